"""The synthetic market: repeatable at any moment, lively, and true to itself."""

import hashlib
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal, localcontext
from itertools import pairwise
from statistics import pstdev

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradefleet.domain.errors import Refused
from tradefleet.domain.market import Bar, Symbol, Timeframe
from tradefleet.simulation.assets import ASSETS, DOLLARS, asset_of, digits_of
from tradefleet.simulation.generated import generated_bars
from tradefleet.simulation.synthetic import KNOT, Regime, bars, price_at, regime_at

BTC = Symbol("BTC", "USDT")
START = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = Timeframe(60)
DAY = Timeframe(86_400)


def digest(series: list[Bar]) -> str:
    """A short print of all that is in the bars."""
    return hashlib.sha256(repr(series).encode()).hexdigest()[:16]


def sound(bar: Bar) -> bool:
    """Whether the bar passes the checks it was spared, and its floats are its decimals."""
    again = Bar(bar.opened_at, bar.open, bar.high, bar.low, bar.close, bar.volume)
    return again == bar and again.numbers == bar.numbers


# ---- repeatable


def test_a_seed_gives_the_same_market_on_every_machine():
    assert digest(bars(1, BTC, MINUTE, START, 100)) == "fd6bee3708649a64"
    assert digest(bars(1, Symbol("ETH", "BTC"), DAY, START, 20)) == "b434ea8b0c743a2f"
    assert digest(generated_bars(100)) == "5335e2cab8494221"


def test_another_seed_gives_another_market():
    one, other = (bars(seed, BTC, MINUTE, START, 5) for seed in (1, 2))
    assert one != other
    assert generated_bars(5, seed=1) != generated_bars(5, seed=2)


def test_what_others_did_to_the_decimal_context_changes_nothing():
    wanted = bars(1, BTC, MINUTE, START, 3), price_at(1, BTC, START), generated_bars(3)
    with localcontext() as context:
        context.prec = 2
        assert (bars(1, BTC, MINUTE, START, 3), price_at(1, BTC, START), generated_bars(3)) == (
            wanted
        )


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 400), st.integers(1, 20))
def test_bars_are_the_same_from_wherever_they_are_asked(skipped, count):
    later = bars(5, BTC, MINUTE, START + skipped * MINUTE.delta, count)
    assert later == bars(5, BTC, MINUTE, START, skipped + count)[skipped:]


def test_a_long_history_is_drawn_in_blocks_without_a_seam():
    hour = Timeframe(3600)
    series = bars(1, BTC, hour, START, 150)
    assert [bar.opened_at for bar in series] == [START + i * hour.delta for i in range(150)]
    assert all(one.close == next_.open for one, next_ in pairwise(series))


# ---- true to itself


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(["BTC/USDT", "ETH/BTC", "PEPE/USDT", "EURUSD", "FOO/USDC"]),
    st.sampled_from([KNOT, 15, 60, 300]),
    st.integers(-(10**9), 10**10),
)
def test_a_bar_is_what_its_ticks_were(pair, seconds, moment):
    at = datetime.fromtimestamp(moment, UTC)
    symbol, timeframe = Symbol.parse(pair), Timeframe(seconds)
    (bar,) = bars(3, symbol, timeframe, at, 1)
    assert bar.opened_at <= at < bar.opened_at + timeframe.delta
    ticks = [price_at(3, symbol, bar.opened_at + timedelta(seconds=s)) for s in range(seconds + 1)]
    assert (bar.open, bar.high, bar.low, bar.close) == (
        ticks[0],
        max(ticks),
        min(ticks),
        ticks[-1],
    )
    assert sound(bar)


def test_a_long_bar_is_its_shorter_ones():
    (hour,) = bars(1, BTC, Timeframe(3600), START, 1)
    minutes = bars(1, BTC, MINUTE, START, 60)
    assert hour.open == minutes[0].open
    assert hour.close == minutes[-1].close
    assert hour.high == max(bar.high for bar in minutes)
    assert hour.low == min(bar.low for bar in minutes)


@pytest.mark.parametrize("text", ["61m", "4h", "1d", "1w"])
def test_a_very_long_bar_is_drawn_through_fewer_knots_but_begins_and_ends_right(text):
    timeframe = Timeframe.parse(text)
    (bar,) = bars(1, BTC, timeframe, START, 1)
    assert bar.open == price_at(1, BTC, bar.opened_at)
    assert bar.close == price_at(1, BTC, bar.opened_at + timeframe.delta)
    assert sound(bar)


def test_no_triangle_of_pairs_disagrees():
    eth, btc = (price_at(1, Symbol(name, "USDT"), START) for name in ("ETH", "BTC"))
    assert abs(price_at(1, Symbol("ETH", "BTC"), START) - eth / btc) < Decimal("2e-7")


def test_a_timeframe_that_is_no_multiple_of_the_knots_is_refused():
    with pytest.raises(Refused, match="multiples of 5s long; 7s is not"):
        bars(1, BTC, Timeframe(7), START, 1)


def test_no_bars_are_no_bars():
    assert bars(1, BTC, MINUTE, START, 0) == []
    assert generated_bars(0) == []


# ---- lively and plausible


def returns(series: list[Bar]) -> list[float]:
    return [float(bar.close / bar.open) - 1 for bar in series]


def test_a_day_moves_btc_by_a_few_percent_and_others_more():
    spread = {
        name: pstdev(returns(bars(1, Symbol(name, "USDT"), DAY, START, 120)))
        for name in ("BTC", "SOL", "EUR")
    }
    assert 0.02 < spread["BTC"] < 0.05
    assert spread["SOL"] > spread["BTC"] > 5 * spread["EUR"]


def test_volume_varies_and_rises_with_what_the_price_travels():
    series = bars(1, BTC, Timeframe(300), START, 1000)
    calm, wild = [], []
    for bar in series:
        (wild if (bar.high - bar.low) / bar.low > Decimal("0.005") else calm).append(bar.volume)
    assert len(wild) > 50
    assert sum(wild) / len(wild) > sum(calm) / len(calm) * Decimal("1.3")
    assert min(bar.volume for bar in series) > 0


def test_all_regimes_occur_and_differ():
    step = timedelta(minutes=5)
    times = [START + n * step for n in range(2_000)]
    regimes = [regime_at(1, "BTC", at) for at in times]
    seen = Counter(regimes)
    assert seen.keys() == set(Regime)
    assert seen[Regime.RANGE] > seen[Regime.TREND] > seen[Regime.SHOCK] > 50
    spread: dict[Regime, list[float]] = {regime: [] for regime in Regime}
    series = bars(1, BTC, Timeframe(300), START, len(times))
    for regime, change in zip(regimes, returns(series), strict=True):
        spread[regime].append(change)
    assert pstdev(spread[Regime.SHOCK]) > 1.5 * pstdev(spread[Regime.RANGE])


def test_moving_averages_cross_several_times_a_day_on_five_minute_bars():
    fast = slow = None
    crosses, above = 0, None
    for bar in bars(1, BTC, Timeframe(300), START, 288 * 5):
        close = bar.numbers[3]
        fast = close if fast is None else fast + (close - fast) * 0.2
        slow = close if slow is None else slow + (close - slow) / 11
        crosses += above is not None and above != (fast > slow)
        above = fast > slow
    assert 5 * 5 < crosses < 30 * 5


def test_every_known_asset_has_a_price_of_its_size():
    for name, asset in ASSETS.items():
        if name not in DOLLARS:
            price = float(price_at(1, Symbol(name, "USDT"), START))
            assert asset.worth / 4 < price < asset.worth * 4
    assert price_at(1, Symbol("USDC", "USDT"), START) == 1


def test_a_stranger_gets_a_plausible_price_by_its_name():
    assert asset_of("FOO") == asset_of("FOO") != asset_of("BAR")
    assert all(0.01 <= asset_of(f"X{n}").worth <= 100 for n in range(200))


def test_prices_show_five_figures_or_more():
    assert digits_of(BTC) == (2, 5)
    assert digits_of(Symbol("XRP", "USDT")) == (6, 0)
    assert digits_of(Symbol.parse("EURUSD")) == (5, 1)
    assert digits_of(Symbol("SHIB", "BTC"))[0] == 8


# ---- the random walk for benchmarks


def test_generated_bars_are_sound_and_without_gaps():
    series = generated_bars(5_000, seed=9, timeframe=Timeframe(300))
    assert all(map(sound, series))
    assert all(
        after.opened_at - before.opened_at == timedelta(minutes=5) and after.open == before.close
        for before, after in pairwise(series)
    )
    assert 0.0003 < pstdev(returns(series)) < 0.001
