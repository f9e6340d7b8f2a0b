"""Averages over a stream of numbers: exponential, simple over a window, Wilder's.

An average that is not known yet is NaN: every comparison with it is false, which is what an
unknown value must do to a condition.
"""

from collections import deque
from collections.abc import Callable
from itertools import islice
from math import nan
from typing import Protocol


class Ema:
    """Exponential average with weight 2 / (period + 1), seeded with the first value."""

    __slots__ = ("_weight", "value")

    def __init__(self, period: int) -> None:
        self._weight = 2.0 / (period + 1)
        self.value = nan

    def update(self, x: float) -> float:
        value = self.value
        if value == value:  # known
            value += self._weight * (x - value)
        else:
            value = x
        self.value = value
        return value


class Average(Protocol):
    """An average over `period` values; NaN until there are as many."""

    @property
    def update(self) -> Callable[[float], None]: ...

    @property
    def value(self) -> float: ...


class Window:
    """The last `size` values. Adding is cheap, sums are taken when somebody asks.

    A sum is taken over the window itself, newest last, and never carried along: so it depends
    on nothing but the window, is exactly zero over zeros, and one huge value leaves no trace
    once it has left.
    """

    __slots__ = ("_size", "_values", "update")

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: deque[float] = deque(maxlen=size)
        self.update: Callable[[float], None] = self._values.append

    @property
    def total(self) -> float:
        """Return the sum of the whole window; NaN until it is full."""
        values = self._values
        return sum(values) if len(values) == self._size else nan

    @property
    def value(self) -> float:
        """Return the simple mean of the whole window; NaN until it is full."""
        values = self._values
        size = self._size
        return sum(values) / size if len(values) == size else nan

    def mean(self, count: int, skip: int = 0) -> float:
        """Return the mean of `count` values that end `skip` before the last; NaN if too few."""
        if len(self._values) < skip + count:
            return nan
        return sum(islice(reversed(self._values), skip, skip + count)) / count

    def lowest(self) -> float:
        """Return the smallest value of the whole window; NaN until it is full."""
        return min(self._values) if len(self._values) == self._size else nan


class WilderAverage:
    """The mean of the first `period` values, then value += (x - value) / period."""

    __slots__ = ("_first", "_period", "value")

    def __init__(self, period: int) -> None:
        self._period = period
        self._first: list[float] = []
        self.value = nan

    def update(self, x: float) -> None:
        value = self.value
        if value == value:  # known
            self.value = value + (x - value) / self._period
            return
        self._first.append(x)
        if len(self._first) == self._period:
            self.value = sum(self._first) / self._period
            self._first.clear()


SMOOTHINGS: dict[str, Callable[[int], Average]] = {"simple": Window, "wilder": WilderAverage}
