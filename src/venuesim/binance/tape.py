"""The market as the venue shows it: its last trades, its book and what the last day was like."""

from collections import defaultdict, deque
from dataclasses import dataclass, field, replace

from venuesim.candles import KEPT, Candles
from venuesim.exchange import Exchange, Happening, Ticked
from venuesim.instruments import Instrument
from venuesim.units import UNITS, rounded, times

TRADES_KEPT = 1000
LEVELS = 100  # of the book, on each side
LEVEL_WORTH = 5000 * UNITS  # about, in quote
AVERAGE_MINUTES = 5
MINUTE_MS = 60_000

Level = tuple[int, int]  # price, quantity


@dataclass(frozen=True, slots=True)
class Ladder:
    """One side of the book each, best first."""

    number: int  # of the book's states, rising
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What was traded since opened_ms; prices are zero when there never was one."""

    opened_ms: int
    closed_ms: int
    open: int
    high: int
    low: int
    last: int
    volume: int
    amount: int
    first_trade: int
    last_trade: int
    trades: int
    before: int  # the price before the window

    @property
    def change(self) -> int:
        return self.last - self.open

    @property
    def percent(self) -> str:
        """Return the change in percent of the open with three decimals."""
        if not self.open:
            return "0.000"
        thousandths = rounded(abs(self.change) * 100_000, self.open)
        sign = "-" if self.change < 0 and thousandths else ""
        return f"{sign}{thousandths // 1000}.{thousandths % 1000:03d}"

    @property
    def average(self) -> int:
        return rounded(self.amount * UNITS, self.volume) if self.volume else self.last


@dataclass(slots=True, kw_only=True)
class Tape:
    """Follows an exchange's market; hears what happens there."""

    exchange: Exchange
    candles: Candles
    trades: defaultdict[str, deque[Ticked]] = field(
        default_factory=lambda: defaultdict(lambda: deque(maxlen=TRADES_KEPT))
    )
    _states: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    _ladders: dict[str, Ladder] = field(default_factory=dict)
    _days: dict[str, tuple[tuple[int, int], Window]] = field(default_factory=dict)

    def hear(self, happening: Happening) -> None:
        if isinstance(happening, Ticked):
            if happening.quantity:
                self.trades[happening.symbol].append(happening)
            self.stir(happening.symbol)

    def stir(self, symbol: str) -> None:
        """Let the book change: quantities at the top, as in any market that lives."""
        self._states[symbol] += 1

    # ---------------------------------------------------------------- book

    def ladder(self, symbol: str) -> Ladder:
        """Return the book as it stands; it is made up around the market's price."""
        number = self._states[symbol]
        known = self._ladders.get(symbol)
        if known is None or known.number != number:
            instrument = self.exchange.instruments[symbol]
            bid, ask = self.exchange.bid(symbol), self.exchange.ask(symbol)
            if ask <= bid:
                ask = bid + instrument.tick
            spacing = max(instrument.tick, bid // 100_000 // instrument.tick * instrument.tick)
            known = self._ladders[symbol] = Ladder(
                number,
                tuple(_side(instrument, bid, -spacing, number)),
                tuple(_side(instrument, ask, spacing, number)),
            )
        return known

    # -------------------------------------------------------------- numbers

    def window(self, symbol: str, start_ms: int, now_ms: int) -> Window:
        """Return what was traded in whole minutes since start."""
        found = self.candles.history(symbol, 60, start_ms=start_ms, limit=KEPT)
        earlier = self.candles.history(symbol, 60, end_ms=start_ms - 1, limit=1)
        price = self.exchange.prices.get(symbol, 0)
        return Window(
            opened_ms=start_ms,
            closed_ms=now_ms,
            open=found[0].open if found else price,
            high=max((candle.high for candle in found), default=price),
            low=min((candle.low for candle in found), default=price),
            last=price,
            volume=sum(candle.volume for candle in found),
            amount=sum(candle.amount for candle in found),
            first_trade=found[0].first_trade if found else -1,
            last_trade=found[-1].last_trade if found else -1,
            trades=sum(candle.trades for candle in found),
            before=earlier[0].close if earlier else (found[0].open if found else price),
        )

    def day(self, symbol: str, now_ms: int) -> Window:
        """Return the last 24 hours; made anew when something was traded or a minute began."""
        key = (self.exchange.ticks[symbol], now_ms // MINUTE_MS)
        known = self._days.get(symbol)
        if known is None or known[0] != key:
            known = (key, self.window(symbol, now_ms - 86_400_000, now_ms))
            self._days[symbol] = known
        return replace(known[1], opened_ms=now_ms - 86_400_000, closed_ms=now_ms)

    def average_price(self, symbol: str) -> int:
        """Return the average of the last minutes, weighted by volume."""
        minutes = self.candles.history(symbol, 60, limit=AVERAGE_MINUTES)
        if minutes:
            start = minutes[-1].opened_ms - (AVERAGE_MINUTES - 1) * MINUTE_MS
            found = [candle for candle in minutes if candle.opened_ms >= start]
            volume = sum(candle.volume for candle in found)
            if volume:
                return rounded(sum(candle.amount for candle in found) * UNITS, volume)
        return self.exchange.price(symbol)

    def last_trade(self, symbol: str) -> Ticked | None:
        trades = self.trades[symbol]
        return trades[-1] if trades else None


def _side(instrument: Instrument, best: int, spacing: int, number: int) -> list[Level]:
    """Return the levels of one side: the best price, then a grid that stays where it is."""
    width = abs(spacing)
    levels = [(best, _quantity(instrument, best, number))]
    price = best - best % width if spacing < 0 else best + -best % width
    if price == best:
        price += spacing
    while len(levels) < LEVELS and price > 0:
        levels.append((price, _quantity(instrument, price, 0)))
        price += spacing
    return levels


def _quantity(instrument: Instrument, price: int, salt: int) -> int:
    """Return a quantity that looks drawn, and is the same for the same price."""
    mixed = ((price // instrument.tick + 7919 * salt) * 2654435761) >> 8
    amount = LEVEL_WORTH * (25 + mixed % 150) // 100
    quantity = amount * UNITS // price
    return max(instrument.quantity_min, quantity - quantity % instrument.step)


def amount_of(tick: Ticked) -> int:
    return times(tick.quantity, tick.price)
