"""VWAP: the mean of typical prices weighted by volume, over a window without daily reset."""

from itertools import accumulate
from math import nan

from tradefleet.indicators import Numbers


class Vwap:
    """Sum of typical price times volume over the sum of volume, of exactly `period` bars.

    Unknown while there are fewer bars, or nothing was traded in them.

    Bars are taken in blocks of `period`, so that the window is the tail of the last full block
    and all of the one that is filling. The tails are summed once per block, the filling one is
    summed as it comes: every sum is of numbers in the window, and nothing is ever subtracted.
    """

    __slots__ = (
        "_period",
        "_volume",
        "_volume_tails",
        "_volumes",
        "_worth",
        "_worth_tails",
        "_worths",
    )

    def __init__(self, period: int) -> None:
        self._period = period
        self._worths: list[float] = []
        self._volumes: list[float] = []
        self._worth = self._volume = 0.0
        self._worth_tails: list[float] = []  # by length, from 1 to period
        self._volume_tails: list[float] = []

    def update(self, bar: Numbers) -> None:
        _, high, low, close, volume = bar
        worth = (high + low + close) / 3.0 * volume
        volumes = self._volumes
        volumes.append(volume)
        self._worths.append(worth)
        self._volume += volume
        self._worth += worth
        if len(volumes) == self._period:
            self._worth_tails = list(accumulate(reversed(self._worths)))
            self._volume_tails = list(accumulate(reversed(volumes)))
            self._worth = self._volume = 0.0
            self._worths.clear()
            volumes.clear()

    @property
    def value(self) -> float:
        if not self._volume_tails:
            return nan
        tail = -1 - len(self._volumes)
        volume = self._volume_tails[tail] + self._volume
        return (self._worth_tails[tail] + self._worth) / volume if volume else nan
