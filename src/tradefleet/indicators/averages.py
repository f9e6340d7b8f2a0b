"""Averages over a stream of numbers: exponential, over a window, Wilder's."""

from collections import deque
from collections.abc import Callable
from math import nan


class Ema:
    """Exponential average with weight 2 / (period + 1), seeded with the first value."""

    __slots__ = ("_weight", "value")

    def __init__(self, period: int) -> None:
        self._weight = 2.0 / (period + 1)
        self.value = nan

    def update(self, x: float) -> float:
        value = self.value
        value = x if value != value else value + self._weight * (x - value)
        self.value = value
        return value


class Window:
    """The last `size` values; what is asked of it is NaN until there are enough."""

    __slots__ = ("_size", "_values", "update")

    def __init__(self, size: int) -> None:
        self._size = size
        self._values = deque([nan] * size, size)
        self.update: Callable[[float], None] = self._values.append

    def mean(self) -> float:
        return sum(self._values) / self._size

    def lowest(self) -> float:
        first = self._values[0]
        return min(self._values) if first == first else nan


class WilderAverage:
    """The mean of the first `period` values, then value += (x - value) / period."""

    __slots__ = ("_first", "_period", "value")

    def __init__(self, period: int) -> None:
        self._period = period
        self._first: list[float] = []
        self.value = nan

    def update(self, x: float) -> None:
        value = self.value
        if value == value:
            self.value = value + (x - value) / self._period
            return
        self._first.append(x)
        if len(self._first) == self._period:
            self.value = sum(self._first) / self._period
            self._first.clear()
