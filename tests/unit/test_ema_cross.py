"""EMA cross: the written rules bar by bar, and why it does not trade."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.bars import RECORDED, generated, recorded
from tests.makers import bar
from tests.unit import written_rules
from tests.unit.written_rules import said
from tradefleet.domain.errors import Refused
from tradefleet.domain.signal import Entry, Signal, TradePlan
from tradefleet.strategies.ema_cross import STRATEGY, build

UP, DOWN = "fast EMA crossed above slow EMA", "fast EMA crossed below slow EMA"


def signals_of(bars, **params):
    strategy = build(params)
    return [strategy.on_bar(b) for b in bars]


def check_against_the_rules(bars):
    expected = written_rules.ema_cross([b.numbers for b in bars])
    found = [said(signal) for signal in signals_of(bars)]
    assert [
        n for n, pair in enumerate(zip(found, expected, strict=True)) if pair[0] != pair[1]
    ] == []


@pytest.mark.parametrize("name", RECORDED)
def test_it_says_what_the_written_rules_say_on_recorded_bars(name):
    check_against_the_rules(recorded(name))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6))
def test_it_says_what_the_written_rules_say_on_generated_bars(seed):
    check_against_the_rules(generated(seed, 400))


def test_it_enters_at_the_cross_up_with_a_stop_two_atr_below_and_leaves_at_the_cross_down():
    closes = [100] * 20 + [102, 103, 104] + [90, 80]
    bars = [bar(close, minute) for minute, close in enumerate(closes)]
    found = signals_of(bars, warmup="1", size="0.25")
    assert [n for n, signal in enumerate(found) if signal] == [20, 23]
    ranges = [2] * 13 + [103 - 99]  # high 103, low 99 … close before 100
    ranges[-1] = max(103, 100) - min(101, 100)
    stop = 102 - 2 * Decimal(sum(ranges)) / 14
    entry = found[20].entry
    assert entry == Entry(entry.stop, Decimal("0.25"), 0, 0.0, (UP,))
    assert entry.stop == Decimal(format(stop, ".10g"))
    assert found[20] == Signal(entry, reasons=(UP,))
    assert found[23] == Signal(exit_reason="ema_cross", reasons=(DOWN,))


def test_two_bars_at_one_level_are_no_cross_until_the_fast_average_leaves_it():
    bars = [bar(100, n) for n in range(200)]
    assert not any(signals_of(bars))


def test_the_first_decision_falls_at_the_bar_named_by_warmup():
    bars = generated(2, 400)
    every = signals_of(bars, warmup="1")
    assert any(every[15:99])
    assert signals_of(bars) == [None] * 99 + every[99:]


def test_no_entry_where_there_is_no_stop():
    rising = [bar(100 + n, n) for n in range(4)]
    assert not any(signals_of(rising, warmup="1"))  # no ATR yet
    wide = [bar(100 + (n > 40), n) for n in range(60)]
    assert any(signals_of(wide, warmup="1"))
    assert not any(signals_of(wide, warmup="1", stop_atr="100"))


def test_why_not_is_silent_exactly_when_there_is_an_entry():
    strategy = build({"warmup": "30"})
    assert strategy.why_not() == "warming up: 0 of 30 bars"
    texts = []
    for b in generated(1, 800):
        signal = strategy.on_bar(b)
        texts.append(strategy.why_not())
        assert (texts[-1] == "") == bool(signal and signal.entry)
    assert texts[28] == "warming up: 29 of 30 bars"
    assert any("is not above slow EMA" in text for text in texts)
    assert any("a bar ago already" in text for text in texts)


def test_why_not_names_a_stop_that_is_out_of_range():
    strategy = build({"warmup": "1", "stop_atr": "100"})
    for n in range(41):
        strategy.on_bar(bar(100 + (n == 40), n))
    assert strategy.why_not() == "stop -99 is not between 0 and the close 101"


def test_the_stop_neither_trails_nor_has_targets():
    strategy = build({})
    signals = [strategy.on_bar(b) for b in generated(1, 200)]
    assert any(signals)
    assert strategy.trail_distance() is None
    assert strategy.plan == TradePlan()


def test_the_plan_takes_its_caps_from_the_parameters():
    plan = build({"risk_per_trade": "0.02", "min_stop_pct": "1"}).plan
    assert plan == TradePlan(risk_per_trade=Decimal("0.02"), min_stop=Decimal("0.01"))


def test_fast_must_be_faster_than_slow():
    with pytest.raises(Refused, match="fast must be below slow, and 21 is not below 21"):
        build({"fast": "21"})


def test_longer_averages_need_more_bars():
    assert build({}).bars_needed == STRATEGY.bars_needed == 500
    assert build({"slow": "200"}).bars_needed == 2000
    assert build({"atr": "100", "smoothing": "wilder"}).bars_needed == 2000
