"""The judge's own strategy and bars: in and out in a rhythm, so that orders come densely.

Everything else of a host is the service's own. Bars of a venue are a minute long at the least;
these are made of its prices as they come over its stream, one every quarter of a second.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from tradefleet.clock import Clock
from tradefleet.domain.credentials import Credentials, KeyReport
from tradefleet.domain.ids import OrderId
from tradefleet.domain.market import Bar, Stream, Symbol, Timeframe, TradingRules
from tradefleet.domain.user import Account, Mode
from tradefleet.strategy import Entry, Signal, StrategySpec, TradePlan
from tradefleet.venue import AccountLink, BarSeen, MarketData, MarketEvent, PriceSeen, Venue

NAME = "rhythm"
BEAT = timedelta(milliseconds=250)  # between two bars
TIMEFRAME = Timeframe(5)  # what a bar says its length is: an entry lapses after so long
LISTENED = Timeframe(60)  # the venue's own bars, which nobody here looks at
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
SHARE = Decimal("0.2")  # of a bot's balance goes into an entry
STOP_BELOW = Decimal("0.997")  # of the close
PLAN = TradePlan(targets=((Decimal(1), Decimal("0.5")), (Decimal(3), Decimal(1))))


@dataclass(slots=True)
class Rhythm:
    """Every so many beats: in where a bot is flat, out where it holds. closing: only out."""

    period: int
    phase: int
    closing: bool
    plan: TradePlan = PLAN
    bars_needed: int = 0

    def on_bar(self, bar: Bar) -> Signal | None:
        if self.closing:
            return Signal(exit_reason="closing", reasons=("the judge closes",))
        if (beat_of(bar.opened_at) + self.phase) % self.period:
            return None
        reasons = ("the beat",)
        entry = Entry(bar.close * STOP_BELOW, SHARE, score=0, strength=0.0, reasons=reasons)
        return Signal(entry, exit_reason="beat", reasons=reasons)

    def why_not(self) -> str:
        return "not its beat"

    def trail_distance(self) -> Decimal | None:
        return None


def rhythm(*, closing: bool) -> StrategySpec:
    """Return the strategy; closing: nothing is entered any more, and everything left."""

    def build(params: Mapping[str, str]) -> Rhythm:
        return Rhythm(int(params.get("period", "8")), int(params.get("phase", "0")), closing)

    return StrategySpec(
        name=NAME,
        summary="In and out in a rhythm; for judging only.",
        parameters={"period": ("8", "beats"), "phase": ("0", "beats")},
        build=build,
        bars_needed=0,
    )


def beat_of(at: datetime) -> int:
    return (at - EPOCH) // BEAT


@dataclass(slots=True, eq=False)
class QuickBars:
    """A venue's market whose bars come at every beat, cut from the prices of its stream."""

    market: MarketData
    clock: Clock
    _open: dict[Symbol, tuple[int, Decimal, Decimal, Decimal]] = field(default_factory=dict)

    async def rules(self, symbol: Symbol) -> TradingRules:
        return await self.market.rules(symbol)

    async def history(self, stream: Stream, *, before: datetime, count: int) -> Sequence[Bar]:
        return ()  # nobody here warms up, and a gap is not worth repairing

    async def events(self, streams: Sequence[Stream]) -> AsyncIterator[MarketEvent]:
        wanted = {stream.symbol: stream for stream in streams}
        listened = [Stream(each.venue, each.symbol, LISTENED) for each in wanted.values()]
        async for event in self.market.events(listened):
            if not isinstance(event, PriceSeen):
                continue
            closed = self._take(event)
            if closed is not None:
                for stream in streams:
                    if stream.symbol == event.symbol:
                        yield BarSeen(stream, closed)
            yield event

    def _take(self, seen: PriceSeen) -> Bar | None:
        """Add a price to the open bar; the first one of the next beat closes it."""
        beat, price = beat_of(self.clock.now()), seen.quote.price
        last, opened, high, low = self._open.get(seen.symbol, (beat, price, price, price))
        if beat == last:
            self._open[seen.symbol] = (beat, opened, max(high, price), min(low, price))
            return None
        self._open[seen.symbol] = (beat, price, price, price)
        closed_at = EPOCH + beat * BEAT
        return Bar(closed_at - TIMEFRAME.delta, opened, max(high, price), min(low, price), price,
                   Decimal(1))  # fmt: skip


@dataclass(slots=True, eq=False)
class Quick:
    """A venue as it is, but for its bars."""

    venue: Venue
    clock: Clock
    market: MarketData = field(init=False)

    def __post_init__(self) -> None:
        self.market = QuickBars(self.venue.market, self.clock)

    async def link(self, account: Account, news: Callable[[OrderId], None]) -> AccountLink:
        return await self.venue.link(account, news)

    async def check_key(self, credentials: Credentials, mode: Mode) -> KeyReport:
        return await self.venue.check_key(credentials, mode)

    async def close(self) -> None:
        await self.venue.close()
