"""ADX: how one-sided the recent highs and lows moved, 0 to 100, whichever the direction."""

from collections import deque
from math import nan
from typing import Protocol

from tradefleet.indicators import Numbers
from tradefleet.indicators.averages import WilderAverage
from tradefleet.indicators.tolerance import to_6_decimals


class Adx(Protocol):
    """The average of `period` DX; DX = 100 * |plus - minus| / (plus + minus), 0 over nothing.

    plus and minus are the averages of the upward and downward movements of `period` bars, so
    the first value comes with bar 2 * period. The true range cancels out of DX. Of one bar's
    movements up and down only the larger counts, neither on a tie; they are compared as the
    floats they are, without a margin.
    """

    def update(self, bar: Numbers) -> None: ...

    @property
    def value(self) -> float: ...


def new_adx(period: int, smoothing: str) -> Adx:
    return WilderAdx(period) if smoothing == "wilder" else SimpleAdx(period)


class SimpleAdx:
    """ADX of simple means. DX is computed with each bar, the mean of DX when asked for."""

    __slots__ = ("_dx", "_high", "_low", "_minus", "_period", "_plus")

    def __init__(self, period: int) -> None:
        self._period = period
        self._plus: deque[float] = deque(maxlen=period)
        self._minus: deque[float] = deque(maxlen=period)
        self._dx: deque[float] = deque(maxlen=period)
        self._high = self._low = nan

    def update(self, bar: Numbers) -> None:
        _, high, low, _, _ = bar
        up = high - self._high
        down = self._low - low
        self._high = high
        self._low = low
        if up != up:  # the first bar
            return
        plus, minus = self._plus, self._minus
        plus.append(up if up > down and up > 0.0 else 0.0)
        minus.append(down if down > up and down > 0.0 else 0.0)
        if len(plus) == self._period:
            rise, fall = sum(plus), sum(minus)
            moved = rise + fall
            self._dx.append(100.0 * abs(rise - fall) / moved if moved else 0.0)

    @property
    def value(self) -> float:
        dx = self._dx
        return to_6_decimals(sum(dx) / self._period) if len(dx) == self._period else nan


class WilderAdx:
    """ADX of Wilder's averages, carried along."""

    __slots__ = ("_dx", "_high", "_low", "_minus", "_plus")

    def __init__(self, period: int) -> None:
        self._plus = WilderAverage(period)
        self._minus = WilderAverage(period)
        self._dx = WilderAverage(period)
        self._high = self._low = nan

    def update(self, bar: Numbers) -> None:
        _, high, low, _, _ = bar
        up, down = high - self._high, self._low - low
        self._high, self._low = high, low
        if up != up:  # the first bar
            return
        self._plus.update(up if up > down and up > 0.0 else 0.0)
        self._minus.update(down if down > up and down > 0.0 else 0.0)
        rise, fall = self._plus.value, self._minus.value
        moved = rise + fall
        if moved == moved:
            self._dx.update(100.0 * abs(rise - fall) / moved if moved else 0.0)

    @property
    def value(self) -> float:
        return to_6_decimals(self._dx.value)
