"""APEX: the written rules bar by bar, its sizes and levels, and why it does not trade."""

import gc
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.bars import RECORDED, generated, recorded
from tests.makers import bar
from tests.unit import written_rules
from tests.unit.written_rules import said
from tradefleet.domain.errors import Refused
from tradefleet.domain.signal import Signal, TradePlan
from tradefleet.indicators.atr import new_atr, stop_below
from tradefleet.strategies.apex import STRATEGY, build
from tradefleet.strategies.apex.parameters import ApexParameters, Sizes

ANYTHING = {"filters_min": "0", "score_min": "0", "warmup": "1"}


def signals_of(bars, **params):
    strategy = build(params)
    return [strategy.on_bar(b) for b in bars]


def check_against_the_rules(bars):
    expected = written_rules.apex([b.numbers for b in bars])
    found = [said(signal) for signal in signals_of(bars)]
    assert [
        n for n, pair in enumerate(zip(found, expected, strict=True)) if pair[0] != pair[1]
    ] == []


# ---- the signal


@pytest.mark.parametrize("name", RECORDED)
def test_it_says_what_the_written_rules_say_on_recorded_bars(name):
    check_against_the_rules(recorded(name))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6))
def test_it_says_what_the_written_rules_say_on_generated_bars(seed):
    check_against_the_rules(generated(seed, 400))


@pytest.mark.parametrize(
    ("name", "count"), [("ETH_BTC-5m", 1054), ("TRX_BTC-5m", 833), ("XRP_ETH-1m", 218)]
)
def test_signals_are_as_many_as_an_independent_implementation_counts(name, count):
    assert sum(signal is not None for signal in signals_of(recorded(name))) == count


def test_the_first_decision_falls_at_the_bar_named_by_warmup():
    bars = generated(2, 400)
    plain, early = signals_of(bars), signals_of(bars, warmup="150")
    assert not any(plain[:99])
    assert any(plain[99:149])
    assert early == [None] * 149 + plain[149:]


def test_every_generated_reason_occurs():
    """So that the comparison above is one."""
    found = [s for seed in range(4) for s in signals_of(generated(seed, 3000)) if s]
    assert {s.exit_reason for s in found} == {"", "ema_cross", "opposite_signal"}
    assert {s.entry.score for s in found if s.entry} == {3, 4, 5}
    assert {str(s.entry.fraction) for s in found if s.entry} >= {"0.02", "0.036", "0.06", "0.10"}


def test_an_entry_says_why():
    entry = next(s.entry for s in signals_of(generated(0, 3000)) if s and s.entry)
    *points, figures = entry.reasons
    assert len(points) == entry.score
    assert figures.startswith("ADX ")
    assert "momentum score" in figures


def test_an_entry_signal_equals_a_plain_one_that_says_the_same():
    found = [s for s in signals_of(generated(8, 3000), filters_min="2", score_min="2") if s]
    for signal in (s for s in found if s.entry):
        plain = Signal(signal.entry, signal.exit_reason, signal.reasons)
        assert signal == plain
        assert plain == signal
        assert hash(signal) == hash(plain)
        assert signal != replace(plain, exit_reason="another")
        assert signal != (plain.entry, plain.exit_reason, plain.reasons)


def test_an_entry_is_what_it_was_on_its_bar_however_late_it_is_read():
    late = signals_of(generated(0, 3000))
    strategy = build({})
    for b, signal in zip(generated(0, 3000), late, strict=True):
        now = strategy.on_bar(b)
        assert repr(now and now.entry) == repr(signal and signal.entry)


@pytest.mark.parametrize(
    ("close", "stop"), [("0.12345678904", "0.123456789"), ("0.12345678906", None)]
)
def test_next_to_the_close_the_ten_digits_of_a_stop_decide_whether_it_is_below(close, stop):
    flat = [bar(close, n, high=close, low=close) for n in range(30)]
    loose = {**ANYTHING, "adx_bands": "0,1,2,3,4", "stop_atr": "0"}
    entry = signals_of(flat, **loose)[-1].entry

    assert (entry and entry.stop) == (stop and Decimal(stop))


def test_an_unknown_value_makes_its_condition_false_and_is_no_error():
    first, *others = signals_of(generated(4, 120), **ANYTHING)
    assert first.entry is None  # no ADX: no size; no ATR: no stop
    assert first.exit_reason == "opposite_signal"
    assert [s.entry for s in others[:26]] == [None] * 26
    assert any(s.entry for s in others[26:])


def test_before_100_bars_there_is_no_vwap_to_be_above():
    bars = generated(16, 400)
    assert not any(s and s.entry for s in signals_of(bars, warmup="1")[:99])
    assert any(s and s.entry for s in signals_of(bars, warmup="1", filters_min="4")[:99])


def test_an_entry_and_both_exits_may_fall_on_one_bar():
    loose = {"filters_min": "2", "score_min": "2"}
    found = [s for s in signals_of(generated(8, 3000), **loose) if s and s.entry]
    assert {s.exit_reason for s in found} == {"", "ema_cross", "opposite_signal"}
    for signal in found:
        first = {"": signal.entry.reasons[0], "ema_cross": "fast EMA crossed below middle EMA"}
        assert signal.reasons[0] == first.get(signal.exit_reason, "full short signal")


def test_an_opposite_signal_outranks_a_cross():
    bars = generated(0, 3000)
    both = [
        (with_filters, cross)
        for with_filters, cross in zip(
            signals_of(bars, filters_min="2"), signals_of(bars, score_min="5"), strict=True
        )
        if cross and cross.exit_reason == "ema_cross" and with_filters.exit_reason != "ema_cross"
    ]
    assert both
    assert {s.exit_reason for s, _ in both} == {"opposite_signal"}


def test_the_volume_floor_and_the_momentum_score_stop_entries_and_never_exits():
    bars = generated(0, 3000)
    exits = [s.exit_reason for s in signals_of(bars) if s and s.exit_reason]
    for params in ({"floor_volume": "100"}, {"momentum_min": "3"}):
        found = signals_of(bars, **params)
        assert [s.exit_reason for s in found if s and s.exit_reason] == exits
        assert not any(s and s.entry for s in found)


def test_wilders_smoothing_decides_otherwise():
    bars = generated(0, 2000)
    assert signals_of(bars, smoothing="wilder") != signals_of(bars, smoothing="simple")
    assert signals_of(bars, smoothing="simple") == signals_of(bars)


def test_strength_is_the_momentum_score():
    def strengths(**params):
        found = signals_of(generated(0, 1500), **params)
        return [s.entry.strength for s in found if s and s.entry]

    parts = [
        strengths(momentum_rsi="0", momentum_adx="0"),
        strengths(momentum_base="0", momentum_adx="0"),
        strengths(momentum_base="0", momentum_rsi="0"),
    ]
    assert set(parts[0]) == {0.1}
    assert all(0.2 <= x <= 0.5 for x in parts[2])  # ADX from 20
    assert [sum(three) for three in zip(*parts, strict=True)] == pytest.approx(strengths())


def test_an_rsi_that_is_not_known_adds_no_momentum():
    long_rsi = {**ANYTHING, "rsi": "500", "momentum_adx": "0"}
    found = signals_of(generated(0, 300), **long_rsi)
    assert {s.entry.strength for s in found if s.entry} == {0.1}


# ---- size and levels


@pytest.mark.parametrize(
    ("adx", "score", "fraction"),
    [
        (35.0, 4, "0.06"),
        (35.0, 5, "0.06"),
        (35.0, 3, "0.054"),
        (19.999999, 5, "0"),
        (20.0, 4, "0.02"),
        (20.0, 3, "0.02"),  # 0.9 of it is clamped to the least
        (24.999999, 4, "0.02"),
        (25.0, 4, "0.04"),
        (25.0, 3, "0.036"),
        (30.0, 4, "0.06"),
        (40.0, 4, "0.08"),
        (49.999999, 3, "0.072"),
        (50.0, 4, "0.10"),
        (50.0, 3, "0.09"),
        (100.0, 5, "0.10"),
        (float("nan"), 5, "0"),
    ],
)
def test_size_follows_the_adx_and_the_score(adx, score, fraction):
    assert Sizes(ApexParameters()).fraction(adx, score) == Decimal(fraction)


def test_ten_thousand_at_adx_35_and_score_4_is_an_entry_of_600():
    assert 10_000 * Sizes(ApexParameters()).fraction(35.0, 4) == 600


def test_a_swing_low_of_98_50_and_an_atr_of_1_20_put_the_stop_at_97_90():
    assert stop_below(98.5, ApexParameters().stop_atr, 1.2) == Decimal("97.90")


def test_from_entry_100_and_stop_98_the_targets_are_102_104_106():
    entry, stop = Decimal(100), Decimal(98)
    targets = build({}).plan.targets
    assert [entry + multiple * (entry - stop) for multiple, _ in targets] == [102, 104, 106]
    assert [share for _, share in targets] == [Decimal("0.5"), Decimal("0.25"), Decimal("0.25")]


def test_the_plan_trails_and_waits_6_seconds_and_caps_nothing_by_default():
    plan = build({}).plan
    assert plan == TradePlan(targets=plan.targets, trails=True, entry_delay=6)


def test_the_plan_takes_its_numbers_from_the_parameters():
    params = {
        "targets": "1.5,3",
        "parts": "0.4,0.1",
        "entry_delay": "0",
        "risk_per_trade": "0.01",
        "min_stop_pct": "0.25",
        "breakeven_offset": "0.002",
    }
    assert build(params).plan == TradePlan(
        targets=((Decimal("1.5"), Decimal("0.4")), (Decimal(3), Decimal("0.1"))),
        trails=True,
        entry_delay=0,
        risk_per_trade=Decimal("0.01"),
        min_stop=Decimal("0.0025"),
        breakeven_offset=Decimal("0.002"),
    )


def test_the_trail_stands_one_and_a_half_atr_of_the_last_bar_below():
    strategy, atr = build({}), new_atr(14, "simple")
    for n, b in enumerate(generated(3, 60), 1):
        strategy.on_bar(b)
        atr.update(b.numbers)
        distance = strategy.trail_distance()
        if n < 15:
            assert distance is None
        else:
            assert distance == Decimal(format(1.5 * atr.value(), ".10g"))


# ---- why not


def why_nots(**params):
    strategy = build(params)
    for b in generated(0, 1500):
        signal = strategy.on_bar(b)
        why = strategy.why_not()
        assert (why == "") == bool(signal and signal.entry)
        yield why


def test_before_the_first_bar_it_is_warming_up():
    assert build({}).why_not() == "warming up: 0 of 100 bars"


def test_each_filter_is_named_with_its_figures():
    found = list(why_nots())
    assert found[36] == "warming up: 37 of 100 bars"
    for text in (
        "is not above VWAP 0.",
        "are not each above the next",
        "MACD histogram -",
        "is not above 20",
        "of its 5-bar mean",
        "score 2 is below 3: ",
    ):
        assert any(text in why for why in found), text


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"score_min": "5"}, "score 4 is below 5: near middle EMA or VWAP, "),
        ({"floor_volume": "100"}, "is below 100 of its 20-bar mean "),
        ({"momentum_min": "3"}, "is below 3"),
        ({"adx_bands": "99,99.5,99.7,99.8,99.9"}, "is below 99: no size"),
        ({"stop_atr": "100"}, "is not between 0 and the close 0."),
        ({"warmup": "1"}, "is not above VWAP unknown"),
        ({**ANYTHING, "score_min": "1"}, "score 0 is below 1: no point"),
        (ANYTHING, "volume 0.01 is below 0.3 of its 20-bar mean unknown"),
        ({**ANYTHING, "floor_volume_bars": "1"}, "ADX unknown is below 20: no size"),
    ],
)
def test_each_further_condition_is_named(params, text):
    strategy = build(params)
    found = []
    for b in [bar("0.05", low="0.05", high="0.05", volume="0.01"), *generated(0, 1500)]:
        strategy.on_bar(b)
        found.append(strategy.why_not())
    assert any(text in why for why in found), found[:5]


def test_with_fewer_filters_needed_a_failed_one_is_no_reason():
    found = list(why_nots(filters_min="4"))
    assert any("score" in why for why in found)
    assert any("is not above VWAP" in why for why in found)


# ---- parameters


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"ema_fast": "21"}, "ema_fast, ema_mid, ema_slow must rise, not 21, 21, 50."),
        ({"macd_slow": "5"}, "macd_fast, macd_slow must rise, not 12, 5."),
        ({"rsi_low": "70"}, "rsi_low, rsi_high must rise, not 70.0, 70.0."),
        ({"adx_bands": "20,30,25,40,50"}, "adx_bands must rise"),
        ({"targets": "1,3,2"}, "targets must rise, not 1, 3, 2."),
        ({"adx_bands": "20,30"}, "sizes must have as many numbers as adx_bands: 2."),
        ({"targets": "1,2,3,4", "parts": "0.1,0.1,0.1,0.7"}, "targets may have at most 3"),
        ({"targets": "1,2"}, "parts must have as many numbers as targets: 2."),
        ({"parts": "0.5,0.5,0.01"}, "parts may be 1 together, not 1.01."),
        ({"size_min": "0.11"}, "size_min 0.11 must not be above size_max 0.10."),
        ({"smoothing": "ema"}, "smoothing must be simple or wilder"),
        ({"adx_mim": "10"}, "did you mean adx_min"),
    ],
)
def test_parameters_that_contradict_each_other_are_refused(params, text):
    with pytest.raises(Refused) as refused:
        build(params)
    assert text in str(refused.value)


def test_longer_averages_need_more_bars():
    assert build({}).bars_needed == STRATEGY.bars_needed == 500
    assert build({"ema_slow": "200"}).bars_needed == 2000
    assert build({"smoothing": "wilder"}).bars_needed == 560
    assert build({"vwap": "900"}).bars_needed == 900
    assert build({"warmup": "1000"}).bars_needed == 1000


def test_it_can_join_at_any_bar_and_decides_the_same_after_500():
    bars = generated(5, 1600)
    whole = signals_of(bars)
    for first, second in pairwise(range(0, 1600, 100)):
        joined = signals_of(bars[first : second + 500])
        assert joined[499:] == whole[first + 499 : second + 500]


# ---- what it leaves behind


def test_a_run_that_nobody_has_any_more_is_gone_at_once():
    """Not only when the collector comes: a host may hold it back for long."""

    def runs() -> int:
        return sum(type(each).__name__ in ("Apex", "Looking") for each in gc.get_objects())

    bars = generated(1, 150)
    gc.collect()
    before = runs()
    gc.disable()
    try:
        made = build({})
        for one in bars:
            made.on_bar(one)
        assert runs() == before + 2
        del made
        assert runs() == before
    finally:
        gc.enable()
