"""ATR: how far a bar reaches on average, gaps included, in price."""

from collections import deque
from collections.abc import Callable, Generator
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

    @property
    def update(self) -> Callable[[Numbers], None]: ...

    def value(self) -> float: ...


def new_atr(period: int, smoothing: str) -> Atr:
    return WilderAtr(period) if smoothing == "wilder" else SimpleAtr(period)


class SimpleAtr:
    """ATR as a simple mean of the last true ranges, computed when it is asked for."""

    __slots__ = ("_period", "_ranges", "update")

    def __init__(self, period: int) -> None:
        self._period = period
        self._ranges = deque([nan] * period, period)
        taking = _append_range(self._ranges)
        next(taking)
        self.update: Callable[[Numbers], None] = taking.send

    def value(self) -> float:
        return sum(self._ranges) / self._period


def _append_range(ranges: deque[float]) -> Generator[None, Numbers, None]:
    """Append the true range of each bar that is sent, from the second on."""
    _, _, _, before, _ = yield
    add_range = ranges.append
    while True:
        _, high, low, close, _ = yield
        add_range((high if high > before else before) - (low if low < before else before))
        before = close


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

    def value(self) -> float:
        return self._average.value


def stop_below(level: float, atrs: float, atr: float) -> Decimal:
    """Return the price so many ATR below a level; zero while either is unknown."""
    stop = level - atrs * atr
    return from_float(stop) if isfinite(stop) else ZERO
