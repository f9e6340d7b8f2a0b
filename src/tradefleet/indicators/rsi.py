"""RSI: which share of the recent movement was upward, 0 to 100."""

from math import nan

from tradefleet.indicators.averages import SMOOTHINGS


class Rsi:
    """100 * gain / (gain + loss), from the averages of `period` changes; 50 if nothing moved."""

    __slots__ = ("_add_gain", "_add_loss", "_close", "_gain", "_loss")

    def __init__(self, period: int, smoothing: str = "simple") -> None:
        self._gain = SMOOTHINGS[smoothing](period)
        self._loss = SMOOTHINGS[smoothing](period)
        self._add_gain = self._gain.update
        self._add_loss = self._loss.update
        self._close = nan
