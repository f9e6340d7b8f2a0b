"""ADX: how one-sided the recent highs and lows moved, 0 to 100, whichever the direction."""

from collections import deque
from collections.abc import Callable, Generator
from itertools import accumulate
from math import nan
from typing import Protocol

from tradefleet.indicators import Numbers
from tradefleet.indicators.averages import WilderAverage
from tradefleet.indicators.tolerance import to_6_decimals


class Adx(Protocol):
    """The average of `period` DX; DX = 100 * |plus - minus| / (plus + minus), 0 over nothing.

    plus and minus are the averages of the upward and downward movements of `period` bars, so
    the first value comes with bar 2 * period. The true range cancels out of DX. Of one bar's
    movements up and down only the larger counts, neither on a tie; they are compared as the
    floats they are, without a margin.
    """

    @property
    def update(self) -> Callable[[Numbers], None]: ...

    def value(self) -> float: ...


def new_adx(period: int, smoothing: str) -> Adx:
    return WilderAdx(period) if smoothing == "wilder" else SimpleAdx(period)


class SimpleAdx:
    """ADX of simple means. DX is computed with each bar, the mean of DX when asked for."""

    __slots__ = ("_dx", "_period", "update")

    def __init__(self, period: int) -> None:
        self._period = period
        self._dx = deque([nan] * period, period)
        taking = _append_dx(period, self._dx)
        next(taking)
        self.update: Callable[[Numbers], None] = taking.send

    def value(self) -> float:
        return to_6_decimals(sum(self._dx) / self._period)


def _append_dx(period: int, dx: deque[float]) -> Generator[None, Numbers, None]:
    """Append the DX of each bar that is sent, from the second on; unknown ones first.

    Movements, falls negative, come in blocks of `period`: a window is the tail of the last
    block and all of the one that is filling. The tails are summed once per block, the filling
    one is summed as it comes: every sum is of movements in the window, nothing leaves a sum.
    A generator, since on every bar its variables cost less than attributes.
    """
    _, last_high, last_low, _, _ = yield
    nets = [0.0, *[nan] * (period - 1)]  # what the tails come to, from none to period - 1
    paths = nets
    add_dx = dx.append
    while True:
        moves: list[float] = []
        net = path = 0.0
        for net_tail, path_tail in zip(reversed(nets), reversed(paths), strict=True):
            _, high, low, _, _ = yield
            up = high - last_high
            down = last_low - low
            last_high = high
            last_low = low
            if up > down and up > 0.0:
                moves.append(up)
                net += up
                path += up
            elif down > up and down > 0.0:
                moves.append(-down)
                net -= down
                path += down
            else:
                moves.append(0.0)
            one_sided = net_tail + net
            moved = path_tail + path
            if one_sided < 0.0:
                one_sided = -one_sided
            add_dx(100.0 * one_sided / moved if moved else 0.0)
        moves.reverse()
        moves.pop()
        nets = list(accumulate(moves, initial=0.0))
        paths = list(accumulate(map(abs, moves), initial=0.0))


class WilderAdx:
    """ADX of Wilder's averages, carried along."""

    __slots__ = ("_dx", "_high", "_low", "_minus", "_plus")

    def __init__(self, period: int) -> None:
        self._plus = WilderAverage(period)
        self._minus = WilderAverage(period)
        self._dx = WilderAverage(period)
        self._high = self._low = nan

    def update(self, bar: Numbers) -> None:
        _, high, low, _, _ = bar
        up, down = high - self._high, self._low - low
        self._high, self._low = high, low
        if up != up:  # the first bar
            return
        self._plus.update(up if up > down and up > 0.0 else 0.0)
        self._minus.update(down if down > up and down > 0.0 else 0.0)
        rise, fall = self._plus.value, self._minus.value
        moved = rise + fall
        if moved == moved:
            self._dx.update(100.0 * abs(rise - fall) / moved if moved else 0.0)

    def value(self) -> float:
        return to_6_decimals(self._dx.value)
