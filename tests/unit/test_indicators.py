"""Indicators against their written definition: exact arithmetic over nothing but the window."""

from fractions import Fraction
from itertools import pairwise
from math import isnan

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.bars import RECORDED, generated, recorded
from tradefleet.indicators.adx import new_adx
from tradefleet.indicators.atr import new_atr, stop_below
from tradefleet.indicators.averages import Ema, WilderAverage, Window
from tradefleet.indicators.rsi import new_rsi
from tradefleet.indicators.tolerance import to_6_decimals
from tradefleet.indicators.trend import new_trend
from tradefleet.indicators.vwap import new_vwap

seeds = st.integers(0, 10**6)
any_bars = settings(max_examples=10, deadline=None)


def numbers_of(bars):
    return [bar.numbers for bar in bars]


def flat(price, count, volume=1.0):
    return [(price, price, price, price, volume)] * count


class VwapValues:
    """A VWAP that is asked like the others."""

    def __init__(self, period):
        self._take = new_vwap(period)

    def update(self, bar):
        self._vwap = self._take(bar)

    def value(self):
        return self._vwap


class RsiValues:
    """An RSI that is asked like the others."""

    def __init__(self, period, smoothing):
        self._rsi = new_rsi(period, smoothing)
        self.update = self._rsi.update

    def value(self):
        return self._rsi.last_two()[1]


def exact(value):
    return Fraction(value)  # of a float: exactly its value


def values(indicator, bars):
    """Feed bars and return the value after each."""
    found = []
    for bar in bars:
        indicator.update(bar)
        found.append(indicator.value())
    return found


# ---- the definitions, over one window


def written_vwap(window):
    worth = sum((exact(h) + exact(low) + exact(c)) / 3 * exact(v) for _, h, low, c, v in window)
    volume = sum(exact(v) for *_, v in window)
    return worth / volume if volume else None


def written_rsi(window):
    changes = [exact(b[3]) - exact(a[3]) for a, b in pairwise(window)]
    gain, loss = (sum(max(sign * change, 0) for change in changes) for sign in (1, -1))
    return 100 * gain / (gain + loss) if gain + loss else Fraction(50)


def written_atr(window):
    ranges = [
        max(exact(b[1]), exact(a[3])) - min(exact(b[2]), exact(a[3])) for a, b in pairwise(window)
    ]
    return sum(ranges) / len(ranges)


def written_adx(window, period):
    moves = [(b[1] - a[1], a[2] - b[2]) for a, b in pairwise(window)]  # floats: ties as they are
    plus = [exact(up) if up > down and up > 0 else 0 for up, down in moves]
    minus = [exact(down) if down > up and down > 0 else 0 for up, down in moves]
    dx = []
    for end in range(period, 2 * period):
        p, m = sum(plus[end - period : end]), sum(minus[end - period : end])
        dx.append(100 * abs(p - m) / (p + m) if p + m else 0)
    return Fraction(sum(dx)) / period


def check_windows(found, bars, size, written, tolerance):
    """Compare each value with its definition over the last `size` bars; unknown before."""
    assert all(map(isnan, found[: size - 1]))
    for end in range(size, len(bars) + 1):
        expected = written(bars[end - size : end])
        if expected is None:
            assert isnan(found[end - 1])
        else:
            assert abs(exact(found[end - 1]) - expected) <= tolerance(expected), end


def relative(share):
    return lambda expected: share * abs(expected)


def rounded(_):
    return Fraction(1, 10**6)  # half a unit of the 6th decimal, and as much for the floats


@any_bars
@given(seeds)
def test_vwap_is_of_exactly_its_window_whatever_volumes_were_before(seed):
    bars = numbers_of(generated(seed, 160))
    check_windows(values(VwapValues(30), bars), bars, 30, written_vwap, relative(1e-13))


@any_bars
@given(seeds)
def test_rsi_is_of_exactly_its_window(seed):
    bars = numbers_of(generated(seed, 160))
    check_windows(values(RsiValues(14, "simple"), bars), bars, 15, written_rsi, rounded)


@any_bars
@given(seeds)
def test_atr_is_of_exactly_its_window(seed):
    bars = numbers_of(generated(seed, 160))
    check_windows(values(new_atr(14, "simple"), bars), bars, 15, written_atr, relative(1e-12))


@any_bars
@given(seeds)
def test_adx_is_of_exactly_its_window(seed):
    bars = numbers_of(generated(seed, 120))
    check_windows(
        values(new_adx(14, "simple"), bars), bars, 28, lambda w: written_adx(w, 14), rounded
    )


@pytest.mark.parametrize("name", RECORDED)
def test_windows_hold_on_recorded_bars(name):
    bars = numbers_of(recorded(name))[-400:]
    check_windows(values(RsiValues(14, "simple"), bars), bars, 15, written_rsi, rounded)
    check_windows(values(new_atr(14, "simple"), bars), bars, 15, written_atr, relative(1e-12))
    few = bars[:250]
    check_windows(values(VwapValues(100), few), few, 100, written_vwap, relative(1e-13))
    check_windows(
        values(new_adx(14, "simple"), few), few, 28, lambda w: written_adx(w, 14), rounded
    )


@any_bars
@given(seeds, st.integers(1, 60))
def test_a_window_does_not_know_what_came_before_it(seed, skipped):
    bars = numbers_of(generated(seed, 220))
    for make in (
        lambda: VwapValues(100),
        lambda: RsiValues(14, "simple"),
        lambda: new_atr(14, "simple"),
        lambda: new_adx(14, "simple"),
    ):
        early, late = values(make(), bars)[-1], values(make(), bars[skipped:])[-1]
        assert early == pytest.approx(late, rel=1e-13, abs=1e-13, nan_ok=True)


# ---- the edges


def test_a_million_millions_leave_no_trace_once_they_have_left_the_window():
    bars = [(1e9, 1e9, 1e9, 1e9, 1e15)] * 7 + flat(1e-6, 10, volume=1e-6)
    vwap = VwapValues(10)
    assert values(vwap, bars)[-1] == 1e-6


def test_vwap_is_unknown_until_its_window_is_full_and_while_nothing_was_traded():
    bars = flat(5.0, 4, volume=2.0) + flat(5.0, 4, volume=0.0) + flat(7.0, 1, volume=0.5)
    found = values(VwapValues(4), bars)
    assert all(map(isnan, found[:3]))
    assert found[3:7] == [5.0] * 4
    assert isnan(found[7])
    assert found[8] == 7.0


@pytest.mark.parametrize("smoothing", ["simple", "wilder"])
class TestBothSmoothings:
    def test_rsi_of_a_flat_market_is_exactly_50_even_after_a_wild_one(self, smoothing):
        bars = numbers_of(generated(7, 50)) + flat(0.0123, 40)
        rsi = RsiValues(3, smoothing)
        found = values(rsi, flat(3.3, 30) if smoothing == "wilder" else bars)
        assert found[-5:] == [50.0] * 5

    def test_rsi_is_exactly_100_or_0_if_every_change_had_one_sign(self, smoothing):
        up = [(p, p, p, p, 1.0) for p in (0.1 * n for n in range(1, 40))]
        assert set(values(RsiValues(14, smoothing), up)[14:]) == {100.0}
        assert set(values(RsiValues(14, smoothing), up[::-1])[14:]) == {0.0}

    def test_rsi_remembers_its_value_of_one_bar_ago(self, smoothing):
        bars = numbers_of(generated(3, 80))
        rsi, asked_rarely = new_rsi(5, smoothing), new_rsi(5, smoothing)
        last = float("nan")
        for n, bar in enumerate(bars):
            rsi.update(bar)
            asked_rarely.update(bar)
            before, value = rsi.last_two()
            assert before == pytest.approx(last, nan_ok=True, abs=1e-6)
            last = value
            if n % 7 == 0:
                assert asked_rarely.last_two() == pytest.approx((before, value), nan_ok=True, abs=0)

    def test_adx_of_a_flat_market_is_exactly_0(self, smoothing):
        assert values(new_adx(14, smoothing), flat(0.1, 60))[27:] == [0.0] * 33

    def test_adx_of_a_market_that_moves_one_way_is_exactly_100(self, smoothing):
        up = [(p, p + 0.1, p, p, 1.0) for p in (0.3 * n for n in range(1, 60))]
        assert set(values(new_adx(14, smoothing), up)[27:]) == {100.0}
        assert set(values(new_adx(14, smoothing), up[::-1])[27:]) == {100.0}

    def test_a_tie_of_up_and_down_moves_neither(self, smoothing):
        widening = [(10.0, 10.0 + n, 10.0 - n, 10.0, 1.0) for n in map(float, range(9))]
        assert values(new_adx(2, smoothing), widening)[3:] == [0.0] * 6

    def test_the_first_adx_comes_with_bar_28_and_the_first_atr_and_rsi_with_bar_15(self, smoothing):
        bars = numbers_of(generated(1, 40))
        for make, first in ((new_adx, 28), (new_atr, 15), (RsiValues, 15)):
            found = values(make(14, smoothing), bars)
            assert [isnan(value) for value in found] == [n < first for n in range(1, 41)]

    def test_atr_takes_the_gap_to_the_close_before(self, smoothing):
        bars = [(5.0, 5.0, 5.0, 5.0, 1.0), (9.0, 10.0, 9.0, 9.5, 1.0), (3.0, 3.0, 2.0, 2.0, 1.0)]
        assert values(new_atr(2, smoothing), bars)[-1] == (5.0 + 7.5) / 2


def test_wilders_average_starts_with_a_mean_and_then_moves_by_a_share():
    average = WilderAverage(4)
    for x in (1.0, 2.0, 3.0):
        average.update(x)
        assert isnan(average.value)
    average.update(6.0)
    assert average.value == 3.0
    average.update(5.0)
    assert average.value == 3.5


def test_an_ema_begins_with_the_first_value():
    ema = Ema(3)
    assert [ema.update(x) for x in (8.0, 4.0, 4.0)] == [8.0, 6.0, 5.0]
    assert ema.value == 5.0


def test_a_trend_is_three_emas_and_the_gap_of_two_more_less_its_own_ema():
    closes = [bar[3] for bar in numbers_of(generated(5, 300))]
    take = new_trend((9, 21, 50), (12, 26, 9))
    averages = [Ema(period) for period in (9, 21, 50)]
    macd_fast, macd_slow, signal = Ema(12), Ema(26), Ema(9)
    for close in closes:
        *found, histogram = take(close)
        assert found == pytest.approx([ema.update(close) for ema in averages], rel=1e-12)
        line = macd_fast.update(close) - macd_slow.update(close)
        assert histogram == pytest.approx(line - signal.update(line), abs=1e-12 * close)


@given(st.lists(st.floats(0, 1e12), max_size=30), st.integers(1, 12))
def test_a_window_is_unknown_until_it_is_full(items, size):
    window = Window(size)
    for n, x in enumerate(items, 1):
        window.update(x)
        last = items[max(n - size, 0) : n]
        if n < size:
            assert isnan(window.mean()) and isnan(window.lowest())
        else:
            assert window.mean() == sum(last) / size
            assert window.lowest() == min(last)


@given(st.floats(0, 1000))
def test_rounding_to_6_decimals_is_that_of_python_but_for_ties(value):
    assert to_6_decimals(value) == pytest.approx(round(value, 6), abs=1.1e-6)
    tail = abs(value * 1e6 % 1 - 0.5)
    assert tail < 1e-5 or to_6_decimals(value) == round(value, 6)


def test_a_stop_is_money_and_zero_while_the_atr_is_unknown():
    assert str(stop_below(98.5, 0.5, 1.2)) == "97.9"
    assert stop_below(98.5, 0.5, float("nan")) == 0
