"""VWAP: the mean of typical prices weighted by volume, over a window without daily reset."""

from math import nan

from tradefleet.indicators.averages import Window


class Vwap:
    """Sum of typical price times volume over the sum of volume, of exactly `period` bars.

    Unknown (NaN) until there are as many bars, and while nothing was traded in them.
    """

    __slots__ = ("_add_volume", "_add_worth", "_volume", "_worth")

    def __init__(self, period: int) -> None:
        self._worth = Window(period)
        self._volume = Window(period)
        self._add_worth = self._worth.update
        self._add_volume = self._volume.update

    def update(self, high: float, low: float, close: float, volume: float) -> None:
        self._add_worth((high + low + close) / 3.0 * volume)
        self._add_volume(volume)

    @property
    def value(self) -> float:
        volume = self._volume.total
        return self._worth.total / volume if volume else nan
