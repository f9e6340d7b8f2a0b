"""ATR: how far a bar reaches on average, gaps included, in price."""

from collections import deque
from decimal import Decimal
from math import isfinite, nan
from typing import Protocol

from tradefleet.domain.money import ZERO, from_float
from tradefleet.indicators import Numbers
from tradefleet.indicators.averages import WilderAverage


class Atr(Protocol):
    """The average of `period` true ranges; the first bar of a stream has none.

    True range: the range of a bar, stretched to the close before it.
    """

    def update(self, bar: Numbers) -> None: ...

    @property
    def value(self) -> float: ...


def new_atr(period: int, smoothing: str) -> Atr:
    return WilderAtr(period) if smoothing == "wilder" else SimpleAtr(period)


class SimpleAtr:
    """ATR as a simple mean, taken when it is asked for."""

    __slots__ = ("_close", "_period", "_ranges")

    def __init__(self, period: int) -> None:
        self._period = period
        self._ranges: deque[float] = deque(maxlen=period)
        self._close = nan

    def update(self, bar: Numbers) -> None:
        _, high, low, close, _ = bar
        before = self._close
        self._close = close
        if before == before:  # there is a bar before
            self._ranges.append(
                (high if high > before else before) - (low if low < before else before)
            )

    @property
    def value(self) -> float:
        ranges = self._ranges
        return sum(ranges) / self._period if len(ranges) == self._period else nan


class WilderAtr:
    """ATR as Wilder's average, carried along."""

    __slots__ = ("_average", "_close")

    def __init__(self, period: int) -> None:
        self._average = WilderAverage(period)
        self._close = nan

    def update(self, bar: Numbers) -> None:
        _, high, low, close, _ = bar
        before, self._close = self._close, close
        if before == before:  # there is a bar before
            self._average.update(max(high, before) - min(low, before))

    @property
    def value(self) -> float:
        return self._average.value


def stop_below(level: float, atrs: float, atr: float) -> Decimal:
    """Return the price so many ATR below a level; zero while either is unknown."""
    stop = level - atrs * atr
    return from_float(stop) if isfinite(stop) else ZERO
