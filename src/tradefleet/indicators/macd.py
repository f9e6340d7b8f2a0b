"""MACD: the gap between a fast and a slow EMA, and how far it is from its own EMA."""

from math import nan


class Macd:
    """Histogram = line - signal; line = fast EMA - slow EMA, signal = EMA of the line.

    The averages are seeded with the first close, the signal with the first line (zero).
    """

    __slots__ = ("_fast", "_signal", "_slow", "_weights", "before", "histogram")

    def __init__(self, fast: int, slow: int, signal: int) -> None:
        self._weights = (2.0 / (fast + 1), 2.0 / (slow + 1), 2.0 / (signal + 1))
        self._fast = self._slow = self._signal = nan
        self.histogram = nan
        self.before = nan

    def update(self, close: float) -> float:
        """Take a close and return the histogram; `before` keeps the last one."""
        self.before = self.histogram
        if self._fast != self._fast:  # the first close
            self._fast = self._slow = close
            self._signal = self.histogram = 0.0
            return 0.0
        fast_weight, slow_weight, signal_weight = self._weights
        self._fast = fast = self._fast + fast_weight * (close - self._fast)
        self._slow = slow = self._slow + slow_weight * (close - self._slow)
        gap = fast - slow - self._signal
        self._signal += signal_weight * gap
        self.histogram = histogram = gap - signal_weight * gap
        return histogram
