"""Prices of a world: one walk for every pair, bars made of it, and each host's stream of both."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from judge.world.chance import Chance
from judge.world.clocks import START, Frozen, WorldClock
from judge.world.desk import INSTRUMENTS, DirectVenue
from judge.world.link import decimal
from tradefleet.domain.errors import Refused
from tradefleet.domain.market import Bar, Quote, Stream, Symbol, Timeframe, TradingRules
from tradefleet.venue import BarSeen, MarketEvent, PriceSeen
from venuesim.units import UNITS

TICK_SECONDS = 1.0
BAR = Timeframe(5)
BARS_KEPT = 400
BUFFERED_MAX = 2000  # events that wait for a host that stands still
MILLION = 1_000_000


@dataclass(slots=True)
class Growing:
    """The bar that is under way."""

    opened_at: datetime
    prices: list[int] = field(default_factory=list)

    def closed(self) -> Bar:
        prices = [decimal(price) for price in self.prices]
        return Bar(
            self.opened_at, prices[0], max(prices), min(prices), prices[-1], Decimal(len(prices))
        )


class Prices:
    """Lets each pair's price walk, a step a second, with a leap now and then."""

    def __init__(self, venue: DirectVenue, clock: WorldClock, chance: Chance, venue_name: str):
        self.venue, self.clock, self.name = venue, clock, venue_name
        self._roll = chance.of("prices")
        self.symbols = {name: symbol_of(name) for name in INSTRUMENTS}
        self.bars: dict[str, deque[Bar]] = {name: deque(maxlen=BARS_KEPT) for name in INSTRUMENTS}
        self._growing: dict[str, Growing] = {}
        self._start = {name: price for name, (_, price) in INSTRUMENTS.items()}
        self.listeners: dict[int, Listening] = {}
        self.calm = False  # nothing moves any more

    def step(self) -> None:
        """Let a second of the market pass: trades, then the bars that end with it."""
        now = self.clock.now()
        for name in INSTRUMENTS:
            price = self._next(name)
            if price != self.venue.books.prices[name]:
                self.venue.books.fill_parts = self._roll.choice((1, 1, 2, 4))
            self.venue.books.tick(name, price, UNITS)
            self._grow(name, self.venue.books.prices[name], now)
            quote = Quote(decimal(self.venue.books.prices[name]), now)
            self._tell(PriceSeen(self.symbols[name], quote))

    def _next(self, name: str) -> int:
        """Return the next price: it walks around where it began, and leaps now and then."""
        price = self.venue.books.prices[name]
        if self.calm:
            return price
        roll, start = self._roll, self._start[name]
        move = int(roll.gauss(0, 1100)) + (start - price) * 15_000 // start  # in millionths
        if roll.random() < 0.004:
            move += roll.choice((-1, 1)) * roll.randrange(8_000, 30_000)
        tick = INSTRUMENTS[name][0].tick
        return max(start // 2, price + price * move // MILLION) // tick * tick

    def _grow(self, name: str, price: int, now: datetime) -> None:
        growing = self._growing.get(name)
        if growing is not None and now >= growing.opened_at + BAR.delta:
            bar = growing.closed()
            self.bars[name].append(bar)
            self._tell(BarSeen(Stream(self.name, self.symbols[name], BAR), bar))
            growing = None
        if growing is None:
            opened = START + (now - START) // BAR.delta * BAR.delta
            growing = self._growing[name] = Growing(opened)
        growing.prices.append(price)

    def _tell(self, event: MarketEvent) -> None:
        for listening in list(self.listeners.values()):
            listening.hear(event)

    async def run(self) -> None:
        while True:
            self.step()
            await asyncio.sleep(TICK_SECONDS)


def symbol_of(name: str) -> Symbol:
    base, _, quote = name.partition("/")
    return Symbol(base, quote)


def rules_of(name: str) -> TradingRules:
    instrument = INSTRUMENTS[name][0]
    return TradingRules(
        price_tick=decimal(instrument.tick),
        quantity_step=decimal(instrument.step),
        notional_min=decimal(instrument.notional_min),
        quantity_min=decimal(instrument.quantity_min),
        fee=Decimal("0.001"),
    )


class Listening:
    """One host's subscription: what it hears of, in order, when the host is awake."""

    def __init__(self, host: "HostMarket", streams: Sequence[Stream]) -> None:
        self._host = host
        self._symbols = {stream.symbol for stream in streams}
        self._heard: deque[MarketEvent] = deque(maxlen=BUFFERED_MAX)
        self._wake: asyncio.Future[None] | None = None
        host.count += 1
        self._number = host.count * 100 + host.number
        host.prices.listeners[self._number] = self

    def hear(self, event: MarketEvent) -> None:
        if self._host.is_deaf:
            return
        symbol = event.symbol if isinstance(event, PriceSeen) else event.stream.symbol
        if symbol not in self._symbols:
            return
        self._heard.append(event)
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    def __aiter__(self) -> AsyncIterator[MarketEvent]:
        return self

    async def __anext__(self) -> MarketEvent:
        try:
            while not self._heard:
                self._wake = asyncio.get_running_loop().create_future()
                await self._wake
            await self._host.gate.passed()
        except BaseException:
            self._host.prices.listeners.pop(self._number, None)
            raise
        return self._heard.popleft()


class HostMarket:
    """The public side of the venue as one host sees it."""

    def __init__(self, prices: Prices, gate: Frozen, number: int) -> None:
        self.prices, self.gate, self.number = prices, gate, number
        self.count = 0
        self.deaf_until = 0.0

    @property
    def is_deaf(self) -> bool:
        """Whether its stream has a gap just now."""
        return self.prices.clock.now_us() < self.deaf_until * 1_000_000

    async def rules(self, symbol: Symbol) -> TradingRules:
        if str(symbol) not in INSTRUMENTS:
            raise Refused(f"{symbol} is not traded here")
        return rules_of(str(symbol))

    async def history(self, stream: Stream, *, before: datetime, count: int) -> Sequence[Bar]:
        await asyncio.sleep(0.03)
        await self.gate.passed()
        bars = [bar for bar in self.prices.bars[str(stream.symbol)] if bar.opened_at < before]
        return bars[-count:] if count else []

    def events(self, streams: Sequence[Stream]) -> AsyncIterator[MarketEvent]:
        return Listening(self, streams)


WARM = timedelta(seconds=30)  # of market before the first host starts
