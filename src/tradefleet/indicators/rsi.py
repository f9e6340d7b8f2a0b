"""RSI: which share of the recent movement of the close was upward, 0 to 100."""

from collections import deque
from itertools import islice
from math import nan
from typing import Protocol

from tradefleet.indicators import Numbers
from tradefleet.indicators.averages import WilderAverage
from tradefleet.indicators.tolerance import to_6_decimals


class Rsi(Protocol):
    """100 * gain / (gain + loss) from the averages of `period` changes; 50 if none moved."""

    def update(self, bar: Numbers) -> None: ...

    @property
    def value(self) -> float: ...

    @property
    def before(self) -> float:
        """Return the value of one bar ago."""


def new_rsi(period: int, smoothing: str) -> Rsi:
    return WilderRsi(period) if smoothing == "wilder" else SimpleRsi(period)


class SimpleRsi:
    """RSI of simple means, computed when it is asked for and kept for the next bar."""

    __slots__ = ("_before", "_close", "_gains", "_losses", "_period", "_value")

    def __init__(self, period: int) -> None:
        self._period = period
        self._gains: deque[float] = deque(maxlen=period + 1)  # one more, for the bar before
        self._losses: deque[float] = deque(maxlen=period + 1)
        self._close = nan
        self._value: float | None = None
        self._before: float | None = None

    def update(self, bar: Numbers) -> None:
        close = bar[3]
        change = close - self._close
        self._close = close
        if change > 0.0:
            self._gains.append(change)
            self._losses.append(0.0)
        elif change <= 0.0:  # neither on the first bar
            self._gains.append(0.0)
            self._losses.append(-change)
        self._before = self._value
        self._value = None

    @property
    def value(self) -> float:
        if self._value is None:
            self._value = self._over(len(self._gains) - self._period)
        return self._value

    @property
    def before(self) -> float:
        if self._before is None:
            self._before = self._over(len(self._gains) - self._period - 1)
        return self._before

    def _over(self, first: int) -> float:
        """Return the RSI over `period` changes from the first-th on."""
        if first < 0:
            return nan
        end = first + self._period
        gain, loss = sum(islice(self._gains, first, end)), sum(islice(self._losses, first, end))
        return _ratio(gain, loss)


class WilderRsi:
    """RSI of Wilder's averages, carried along."""

    __slots__ = ("_close", "_gain", "_loss", "before", "value")

    def __init__(self, period: int) -> None:
        self._gain = WilderAverage(period)
        self._loss = WilderAverage(period)
        self._close = nan
        self.value = self.before = nan

    def update(self, bar: Numbers) -> None:
        change = bar[3] - self._close
        self._close = bar[3]
        if change == change:  # there is a bar before
            self._gain.update(max(change, 0.0))
            self._loss.update(max(-change, 0.0))
            self.before = self.value
            self.value = _ratio(self._gain.value, self._loss.value)


def _ratio(gain: float, loss: float) -> float:
    moved = gain + loss
    return to_6_decimals(100.0 * gain / moved) if moved else 50.0
