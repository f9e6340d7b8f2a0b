"""VWAP: the mean of typical prices weighted by volume, over a window without daily reset."""

from collections.abc import Callable, Generator
from itertools import accumulate
from math import nan

from tradefleet.indicators import Numbers


def new_vwap(period: int) -> Callable[[Numbers], float]:
    """Return a function that takes the next bar and gives the VWAP of the last `period` bars.

    VWAP = sum of typical price times volume / sum of volume. Unknown while there are fewer
    bars, or nothing was traded in them.
    """
    taking = _take(period)
    next(taking)
    return taking.send


def _take(period: int) -> Generator[float, Numbers, None]:
    """Take bars in blocks of `period`, which makes a window of a tail and a beginning.

    The tail of the last full block was summed when it was full, the block that is filling is
    summed as it comes: every sum is of numbers in the window, nothing is ever subtracted.
    A generator, since on every bar its variables cost less than attributes.
    """
    vwap = nan
    worth_tails = [0.0, *[nan] * (period - 1)]  # from no bar to period - 1 bars
    volume_tails = worth_tails
    while True:
        worths: list[float] = []
        volumes: list[float] = []
        all_worth = all_volume = 0.0
        for worth_tail, volume_tail in zip(
            reversed(worth_tails), reversed(volume_tails), strict=True
        ):
            _, high, low, close, volume = yield vwap
            worth = (high + low + close) / 3.0 * volume
            worths.append(worth)
            volumes.append(volume)
            all_worth += worth
            all_volume += volume
            traded = volume_tail + all_volume
            vwap = (worth_tail + all_worth) / traded if traded else nan
        worth_tails = _tails(worths)
        volume_tails = _tails(volumes)


def _tails(block: list[float]) -> list[float]:
    """Return the sums of the last 0, 1, 2 … numbers of a block, but not of all."""
    return list(accumulate(block[:0:-1], initial=0.0))
