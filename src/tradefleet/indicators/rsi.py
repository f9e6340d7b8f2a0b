"""RSI: which share of the recent movement of the close was upward, 0 to 100."""

from collections import deque
from collections.abc import Callable, Generator
from itertools import islice
from math import nan
from typing import Protocol

from tradefleet.indicators import Numbers
from tradefleet.indicators.averages import WilderAverage
from tradefleet.indicators.tolerance import to_6_decimals


class Rsi(Protocol):
    """100 * gain / (gain + loss) from the averages of `period` changes; 50 if none moved."""

    @property
    def update(self) -> Callable[[Numbers], None]: ...

    def last_two(self) -> tuple[float, float]:
        """Return the value of one bar ago, and the value."""


def new_rsi(period: int, smoothing: str) -> Rsi:
    return WilderRsi(period) if smoothing == "wilder" else SimpleRsi(period)


class SimpleRsi:
    """RSI of simple means, computed when it is asked for.

    gain - loss is how far the close came, gain + loss how far it went, so that
    RSI = 50 + 50 * came / went. `came` is the difference of two closes, `went` a sum over the
    window, most of which the last two windows share.
    """

    __slots__ = ("_closes", "_moves", "_shared", "update")

    def __init__(self, period: int) -> None:
        self._shared = period
        # One more of each than an RSI needs, for that of the bar before; unknown at first.
        self._closes = deque([nan] * (period + 2), period + 2)
        self._moves = deque([nan] * (period + 1), period + 1)
        taking = _append_move(self._closes, self._moves)
        next(taking)
        self.update: Callable[[Numbers], None] = taking.send

    def last_two(self) -> tuple[float, float]:
        moves, closes = self._moves, self._closes
        shared = sum(islice(moves, 1, self._shared))
        came_before, went_before = closes[-2] - closes[0], moves[0] + shared
        came, went = closes[-1] - closes[1], shared + moves[-1]
        return (
            to_6_decimals(50.0 + 50.0 * came_before / went_before) if went_before else 50.0,
            to_6_decimals(50.0 + 50.0 * came / went) if went else 50.0,
        )


def _append_move(closes: deque[float], moves: deque[float]) -> Generator[None, Numbers, None]:
    """Append the close of each bar that is sent, and how far it is from the close before."""
    before = nan
    add_close, add_move = closes.append, moves.append
    while True:
        _, _, _, close, _ = yield
        add_close(close)
        add_move(close - before if close > before else before - close)
        before = close


class WilderRsi:
    """RSI of Wilder's averages, carried along."""

    __slots__ = ("_before", "_close", "_gain", "_loss", "_value")

    def __init__(self, period: int) -> None:
        self._gain = WilderAverage(period)
        self._loss = WilderAverage(period)
        self._close = nan
        self._value = self._before = nan

    def update(self, bar: Numbers) -> None:
        change = bar[3] - self._close
        self._close = bar[3]
        if change == change:  # there is a bar before
            self._gain.update(max(change, 0.0))
            self._loss.update(max(-change, 0.0))
            gain, loss = self._gain.value, self._loss.value
            moved = gain + loss
            self._before = self._value
            self._value = to_6_decimals(100.0 * gain / moved) if moved else 50.0

    def last_two(self) -> tuple[float, float]:
        return self._before, self._value
