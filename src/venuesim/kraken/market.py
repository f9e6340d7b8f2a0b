"""What the market showed of late: trades, spreads, a day's figures, a book around the price."""

from collections import defaultdict, deque
from dataclasses import dataclass, field
from zlib import crc32

from venuesim.exchange import Exchange, Ticked
from venuesim.kraken.names import Pair
from venuesim.orders import Refusal
from venuesim.units import UNITS, rounded, text
from venuesim.wire import Place

TICKS_KEPT = 1000  # of a pair
SPREADS_KEPT = 200
DAY_MS = 86_400_000
HOUR_S = 3600
CHECKED_LEVELS = 10
LEVEL_WORTH = 4000 * UNITS  # about what stands at one price, in quote of a price of a few thousand


@dataclass(frozen=True, slots=True)
class Level:
    """A price and what can be traded there."""

    price: int
    quantity: int


@dataclass(frozen=True, slots=True)
class Book:
    """Both sides, the best first."""

    bids: tuple[Level, ...]
    asks: tuple[Level, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """A stretch of trading; average weighted by volume."""

    open: int
    high: int
    low: int
    volume: int
    average: int
    trades: int


@dataclass(slots=True)
class Market:
    """Remembers trades and spreads of every pair; the rest is worked out when asked."""

    place: Place
    ticks: defaultdict[str, deque[Ticked]] = field(
        default_factory=lambda: defaultdict(lambda: deque(maxlen=TICKS_KEPT))
    )
    spreads: defaultdict[str, deque[tuple[int, int, int]]] = field(
        default_factory=lambda: defaultdict(lambda: deque(maxlen=SPREADS_KEPT))
    )

    @property
    def exchange(self) -> Exchange:
        return self.place.exchange

    def hear(self, tick: Ticked) -> None:
        if tick.quantity:
            self.ticks[tick.symbol].append(tick)
        bid, ask = self.exchange.bid(tick.symbol), self.exchange.ask(tick.symbol)
        spreads = self.spreads[tick.symbol]
        if not spreads or spreads[-1][1:] != (bid, ask):
            spreads.append((tick.at_ms, bid, ask))

    def last_price(self, symbol: str) -> int | None:
        """Return the price of the last trade, None before the first."""
        return self.exchange.prices.get(symbol)

    def today(self, symbol: str) -> Figures:
        now_ms = self.place.clock.now_ms()
        return self._figures(symbol, now_ms - now_ms % DAY_MS)

    def last_day(self, symbol: str) -> Figures:
        """Return the last 24 hours, begun at a full hour."""
        start_ms = self.place.clock.now_ms() - DAY_MS
        return self._figures(symbol, start_ms - start_ms % (HOUR_S * 1000) + 1)

    def _figures(self, symbol: str, start_ms: int) -> Figures:
        candles = self.place.candles.history(symbol, HOUR_S, start_ms=start_ms, limit=48)
        price = self.last_price(symbol) or 0
        if not candles:
            return Figures(open=price, high=price, low=price, volume=0, average=price, trades=0)
        volume = sum(candle.volume for candle in candles)
        amount = sum(candle.amount for candle in candles)
        return Figures(
            open=candles[0].open,
            high=max(candle.high for candle in candles),
            low=min(candle.low for candle in candles),
            volume=volume,
            average=rounded(amount * UNITS, volume) if volume else price,
            trades=sum(candle.trades for candle in candles),
        )

    def book(self, symbol: str, depth: int) -> Book:
        """Return a book around the price: the same price has the same quantity every time."""
        try:
            bid, ask = self.exchange.bid(symbol), self.exchange.ask(symbol)
        except Refusal:
            return Book((), ())
        if ask <= bid:
            ask = bid + self.exchange.instruments[symbol].tick
        return Book(self._side(symbol, bid, -1, depth), self._side(symbol, ask, 1, depth))

    def _side(self, symbol: str, best: int, sign: int, depth: int) -> tuple[Level, ...]:
        instrument = self.exchange.instruments[symbol]
        step = max(1, best // 20_000 // instrument.tick) * instrument.tick
        first = best - best % step + (step if sign > 0 else 0)
        if first == best:
            first -= step
        prices = [best, *(first + sign * step * number for number in range(depth - 1))]
        return tuple(
            Level(price, _quantity(price, instrument.step)) for price in prices if price > 0
        )


def _quantity(price: int, step: int) -> int:
    """Return what stands at a price: worth a few thousand, and not the same everywhere."""
    spread_out = price * 2_654_435_761 % 2**32 % 1000
    quantity = LEVEL_WORTH * UNITS // max(price, UNITS // 1000) * (500 + spread_out) // 1000
    return max(quantity - quantity % step, step)


def checksum(book: Book, pair: Pair) -> int:
    """Return the sum over the ten best of both sides, asks first, as Kraken's guide says."""
    digits = ""
    for level in (*book.asks[:CHECKED_LEVELS], *book.bids[:CHECKED_LEVELS]):
        for amount, decimals in (
            (level.price, pair.price_decimals),
            (level.quantity, pair.lot_decimals),
        ):
            digits += text(amount, decimals).replace(".", "").lstrip("0")
    return crc32(digits.encode())


def changes(before: tuple[Level, ...], after: tuple[Level, ...]) -> list[Level]:
    """Return what turns one side of a book into another; quantity 0 takes a price away."""
    had = {level.price: level.quantity for level in before}
    has = {level.price for level in after}
    gone = [Level(level.price, 0) for level in before if level.price not in has]
    return gone + [level for level in after if had.get(level.price) != level.quantity]


def mark_ns(tick: Ticked) -> int:
    """Return a trade's place in time, different for trades of one millisecond."""
    return tick.at_ms * 1_000_000 + tick.number % 1_000_000
