"""A market that never was: prices as a pure function of seed, symbol and time.

A price can be asked for at any moment in any order, so history loaded after a restart and the
ticks that follow it always agree. Each asset has a value in dollars: smooth random curves of
twelve lengths from seconds to a year, each as high as the square root of its length, which
together move like a market does. Now and then a shock makes the short ones several times as
high. A pair's price is the ratio of its two values, so no triangle of pairs disagrees.

Values are drawn at knots 5 s apart. Between two knots a price stays between the two, so that
the highest and lowest knot of a bar are its true high and low.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache, partial
from itertools import pairwise

from tradefleet.domain.errors import Refused
from tradefleet.domain.market import Bar, Symbol, Timeframe
from tradefleet.domain.money import MONEY
from tradefleet.simulation.assets import DOLLARS, asset_of, digits_of
from tradefleet.simulation.checked_bar import checked_bar
from tradefleet.simulation.noise import add_waves, key_of, lattice, mix

KNOT = 5  # seconds
SWING = 1440  # knots: two hours; its waves are what strategies live on
COARSE = (SWING, 5_760, 23_040, 92_160, 368_640, 1_474_560, 5_898_240)
FINE = (1, 4, 16, 64, 256)
HEIGHT = 0.00026  # of a wave one knot long, as a share of the price
SWING_HEIGHT = 1.5  # swings are higher than the square root asks for
TREND_MIN = 0.7  # a swing that rises or falls by more of its height is a trend
SHOCK_CELL, SHOCK_SHARE, SHOCK_GAIN = 180, 0.04, 3.0  # a quarter of an hour, one in 25

EXACT_MAX = 720  # a bar of more knots than this (an hour) is drawn through fewer of them
THINNED_MAX = 240
BLOCK = 50_000  # knots drawn at a time
KNOTS_KEPT = 4096
KEYS_KEPT = 4096
HOUR = 3600 // KNOT
VOLATILITY_MIN = 0.01
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Regime(StrEnum):
    TREND = "trend"
    RANGE = "range"
    SHOCK = "shock"


def regime_at(seed: int, asset: str, at: datetime) -> Regime:
    """Return what the asset's market is doing at a moment."""
    knot = _seconds(at) // KNOT
    cell = knot // SHOCK_CELL
    if _shock_gain(seed, asset, cell) + _shock_gain(seed, asset, cell + 1) > 2:
        return Regime.SHOCK
    key, phase = _wave(seed, asset, SWING)
    swing = (knot + phase) // SWING
    rise = lattice(key, swing + 1) - lattice(key, swing)
    return Regime.TREND if abs(rise) > TREND_MIN else Regime.RANGE


def price_at(seed: int, symbol: Symbol, at: datetime) -> Decimal:
    """Return the price at a moment; it changes once a second."""
    knot, second = divmod(_seconds(at), KNOT)
    ticks = _knot_ticks(seed, symbol, knot)
    if second:
        rise = _knot_ticks(seed, symbol, knot + 1) - ticks
        way = second / KNOT + lattice(_key(seed, "second", symbol), knot * KNOT + second) / 2
        ticks += int(rise * min(max(way, 0.0), 1.0))
    return MONEY.scaleb(Decimal(ticks), -digits_of(symbol)[0])


def bars(seed: int, symbol: Symbol, timeframe: Timeframe, start: datetime, count: int) -> list[Bar]:
    """Return count bars from the one that start is in; they are aligned to 1970 in UTC.

    A bar runs up to and including the first price of the next one.
    """
    knots, rest = divmod(timeframe.seconds, KNOT)
    if rest:
        raise Refused(f"Synthetic bars are multiples of {KNOT}s long; {timeframe} is not.")
    first = _seconds(start) // timeframe.seconds
    length = max(1, BLOCK // knots)
    return [
        bar
        for block in range(first, first + count, length)
        for bar in _block(seed, symbol, knots, block, min(length, first + count - block))
    ]


def _block(seed: int, symbol: Symbol, knots: int, first: int, count: int) -> Iterator[Bar]:
    """Yield the bars number first, first + 1, … since 1970, each as long as knots."""
    stride = 1
    if knots > EXACT_MAX:
        stride = next(n for n in range(knots // THINNED_MAX, knots + 1) if knots % n == 0)
    steps = knots // stride
    path = _ticks(seed, symbol, first * knots, count * steps + 1, stride)
    price_digits, quantity_digits = digits_of(symbol)
    price_scale, quantity_scale = 10**price_digits, 10**quantity_digits
    length = timedelta(seconds=knots * KNOT)
    scaled = MONEY.scaleb
    usual = _usual_volume(symbol, knots) * quantity_scale
    lively = max(_volatility(symbol), VOLATILITY_MIN) * HEIGHT * steps * stride**0.5
    for number in range(count):
        part = path[number * steps : (number + 1) * steps + 1]
        open_, high, low, close = part[0], max(part), min(part), part[-1]
        travel = 0
        for before, after in pairwise(part):
            travel += abs(after - before)
        activity = _activity(seed, symbol, first + number, knots)
        lots = int(usual * activity * (0.2 + travel / (lively * open_)))
        yield checked_bar(
            EPOCH + (first + number) * length,
            scaled(Decimal(open_), -price_digits),
            scaled(Decimal(high), -price_digits),
            scaled(Decimal(low), -price_digits),
            scaled(Decimal(close), -price_digits),
            scaled(Decimal(lots), -quantity_digits),
            (
                open_ / price_scale,
                high / price_scale,
                low / price_scale,
                close / price_scale,
                lots / quantity_scale,
            ),
        )


def _activity(seed: int, symbol: Symbol, number: int, knots: int) -> float:
    """Return how busy a bar is besides its travel: by the hour, and by itself."""
    hours = [1.0]
    hour = HOUR + max(0, knots - HOUR)
    add_waves(hours, partial(lattice, _key(seed, "hour", symbol)), hour, number * knots)
    itself = lattice(_key(seed, f"bar {knots}", symbol), number)
    return (0.2 + hours[0]) * (1 + 0.6 * itself)


def _usual_volume(symbol: Symbol, knots: int) -> float:
    """Return the base units that change hands in a usual bar."""
    base, quote = asset_of(symbol.base), asset_of(symbol.quote)
    dollars = min(base.turnover, quote.turnover) * 1e6
    if symbol.quote not in DOLLARS:
        dollars /= 10
    return dollars / base.worth * knots * KNOT / 86_400


def _volatility(symbol: Symbol) -> float:
    return asset_of(symbol.base).volatility + asset_of(symbol.quote).volatility


def _seconds(at: datetime) -> int:
    return (at - EPOCH) // timedelta(seconds=1)


@lru_cache(KNOTS_KEPT)
def _knot_ticks(seed: int, symbol: Symbol, knot: int) -> int:
    return _ticks(seed, symbol, knot, 1, 1)[0]


def _ticks(seed: int, symbol: Symbol, first: int, count: int, stride: int) -> list[int]:
    """Return the prices at every stride-th knot from first on, counted in price ticks."""
    scale = 10 ** digits_of(symbol)[0]
    values = _values(seed, symbol.base, first, count, stride)
    if symbol.quote not in DOLLARS:
        quotes = _values(seed, symbol.quote, first, count, stride)
        values = [value / quote for value, quote in zip(values, quotes, strict=True)]
    return [max(int(value * scale + 0.5), 1) for value in values]


def _values(seed: int, name: str, first: int, count: int, stride: int) -> list[float]:
    """Return what the asset is worth in dollars at every stride-th knot from first on."""
    asset = asset_of(name)
    slow, fast, gain = [0.0] * count, [0.0] * count, [0.0] * count
    for waves, periods in ((slow, COARSE), (fast, FINE)):
        for period in periods:
            key, phase = _wave(seed, name, period)
            height = partial(_height, key, _height_of(period))
            add_waves(waves, height, period, first + phase, stride)
    add_waves(gain, partial(_shock_gain, seed, name), SHOCK_CELL, first, stride)
    lively, worth = asset.volatility / 4, asset.worth
    values = []
    for low, high, loud in zip(slow, fast, gain, strict=True):
        # A quarter of the logarithm; ((1 + x) / (1 - x)) ** 2 is exp(4 * x) near enough, and
        # unlike exp the same to the last bit on every machine.
        x = (low + high * loud) * lively
        ratio = (1 + x) / (1 - x)
        values.append(worth * ratio * ratio)
    return values


def _height(key: int, height: float, cell: int) -> float:
    return lattice(key, cell) * height


def _height_of(period: int) -> float:
    height: float = HEIGHT * period**0.5
    return height * SWING_HEIGHT if period == SWING else height


def _shock_gain(seed: int, asset: str, cell: int) -> float:
    """Return by how much the short waves are raised where cell begins; 1 is nothing."""
    noise = lattice(_key(seed, "shock", asset), cell)
    return SHOCK_GAIN if noise > 1 - 2 * SHOCK_SHARE else 1.0


@lru_cache(KEYS_KEPT)
def _wave(seed: int, asset: str, period: int) -> tuple[int, int]:
    """Return the key of an asset's waves of a length, and how far they are shifted."""
    key = key_of(seed, asset, period)
    return key, mix(key) % period


@lru_cache(KEYS_KEPT)
def _key(seed: int, what: str, whose: Symbol | str) -> int:
    return key_of(seed, what, str(whose))
