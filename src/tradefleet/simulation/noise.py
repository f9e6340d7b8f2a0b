"""Repeatable noise by random access: the same key and place give the same number everywhere.

Only integers and the exactly rounded operations + - * / are used, so results do not depend on
the machine, its maths library or the order of calls.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache

WORD = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15  # 2**64 divided by the golden ratio
TABLE_MAX = 4096  # longer ways are computed step by step
TABLES_KEPT = 32


def mix(word: int) -> int:
    """Return 64 well stirred bits of word (the finalizer of SplitMix64, Steele et al. 2014)."""
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & WORD
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & WORD
    return word ^ (word >> 31)


def key_of(seed: int, *names: str | int) -> int:
    """Return a 64-bit key that depends on the seed and on every name."""
    key = mix(seed & WORD)
    for byte in "\n".join(map(str, names)).encode():
        key = mix((key + GOLDEN + byte) & WORD)
    return key


def lattice(key: int, place: int) -> float:
    """Return the noise of key at a whole place: uniform in [-1, 1)."""
    return (mix((key + place * GOLDEN) & WORD) >> 11) * 2.0**-52 - 1.0


def eased(step: int, period: int) -> float:
    """Return how far the smooth way from 0 to 1 has come after step of period steps."""
    share = step / period
    return share * share * (3 - 2 * share)


@lru_cache(TABLES_KEPT)
def _way(period: int) -> tuple[float, ...]:
    return tuple(eased(step, period) for step in range(period))


def add_waves(
    values: list[float],
    height: Callable[[int], float],
    period: int,
    first: int,
    stride: int = 1,
) -> None:
    """Add to values[i] the smooth curve through the heights, at place first + i * stride.

    height(n) is where the curve stands at place n * period.
    """
    if period == 1:
        places = range(first, first + len(values) * stride, stride)
        values[:] = [value + height(place) for value, place in zip(values, places, strict=True)]
        return
    done, count = 0, len(values)
    while done < count:
        cell, step = divmod(first + done * stride, period)
        here = height(cell)
        rise = height(cell + 1) - here
        part = values[done : done + (period - step + stride - 1) // stride]
        ways: Sequence[float]
        if period <= TABLE_MAX:
            ways = _way(period)[step : step + len(part) * stride : stride]
        else:
            ways = [eased(step + i * stride, period) for i in range(len(part))]
        values[done : done + len(part)] = [
            value + (here + rise * way) for value, way in zip(part, ways, strict=True)
        ]
        done += len(part)
