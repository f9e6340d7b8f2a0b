"""Trend: three EMAs of the close and the MACD histogram, taken in one step."""

from collections.abc import Callable, Generator
from math import nan

Averages = tuple[float, float, float, float]
UNKNOWN: Averages = (nan, nan, nan, nan)


def new_trend(
    emas: tuple[int, int, int], macd: tuple[int, int, int]
) -> Callable[[float], Averages]:
    """Return a function that takes the next close: fast, middle, slow EMA, MACD histogram.

    histogram = line - signal; line = fast EMA - slow EMA, signal = EMA of the line. An EMA has
    the weight 2 / (period + 1) and begins with the first value, the signal with zero. Alone
    among the indicators EMAs carry the stream along; what they carry fades, errors with it.
    """
    taking = _take(*(2.0 / (period + 1) for period in (*emas, *macd)))
    next(taking)
    return taking.send


def _take(
    fast_weight: float,
    mid_weight: float,
    slow_weight: float,
    macd_fast_weight: float,
    macd_slow_weight: float,
    signal_weight: float,
) -> Generator[Averages, float, None]:
    """A generator, since on every bar its variables cost a third less than attributes."""
    close = yield UNKNOWN
    fast = mid = slow = macd_fast = macd_slow = close
    signal = histogram = 0.0
    while True:
        close = yield fast, mid, slow, histogram
        fast += fast_weight * (close - fast)
        mid += mid_weight * (close - mid)
        slow += slow_weight * (close - slow)
        macd_fast += macd_fast_weight * (close - macd_fast)
        macd_slow += macd_slow_weight * (close - macd_slow)
        gap = macd_fast - macd_slow - signal
        step = signal_weight * gap
        signal += step
        histogram = gap - step
