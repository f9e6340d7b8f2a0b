"""One venue's market data for all bots of a host: one stream each, whoever follows it.

The feed warms a group's strategy with history, follows the streams that somebody wants,
repairs gaps before a bar is acted upon, and says when data has gone stale.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from tradefleet.clock import Clock
from tradefleet.domain.errors import VenueUnavailable
from tradefleet.domain.market import Bar, Stream, Symbol
from tradefleet.runtime.host import Host
from tradefleet.runtime.signal_board import Group
from tradefleet.venue import BarSeen, MarketData, MarketEvent

logger = logging.getLogger(__name__)

GAP_BARS_MAX = 1000  # bars asked for at once to repair a gap
STALE_AFTER = timedelta(seconds=60)  # without a price; a stream also may be one bar late
RETRY_SECONDS = 5.0


@dataclass(slots=True, kw_only=True, eq=False)
class Feed:
    """Brings one venue's bars and prices to the host.

    prices: when each symbol was last heard; last: what was heard then.
    """

    venue: str
    market: MarketData
    host: Host
    clock: Clock
    prices: dict[Symbol, datetime] = field(default_factory=dict)
    last: dict[Symbol, Decimal] = field(default_factory=dict)
    stale: set[Symbol] = field(default_factory=set)
    gaps: int = 0
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    def streams(self) -> list[Stream]:
        """Return the streams that somebody on the host follows."""
        return [stream for stream in self.host.board.by_stream if stream.venue == self.venue]

    async def warm(self, group: Group, before: datetime | None = None) -> None:
        """Let a group's strategy learn from history, so that it can decide from then on."""
        if group.last_at is None and group.strategy.bars_needed:
            group.warming = True  # a live bar that comes meanwhile is fetched later, as a gap
            try:
                bars = await self.market.history(
                    group.stream,
                    before=before or self.clock.now(),
                    count=group.strategy.bars_needed,
                )
            finally:
                group.warming = False
            for bar in bars:
                self.host.learn(group, bar)

    def changed(self) -> None:
        """Followers came or went: follow the streams that are wanted now."""
        self._changed.set()

    async def run(self) -> None:
        """Follow the wanted streams until cancelled; begin again when they change."""
        while True:
            self._changed.clear()
            streams = self.streams()
            async with asyncio.TaskGroup() as tasks:
                pump = tasks.create_task(self._pump(streams))
                await self._changed.wait()
                while set(self.streams()) == set(streams):
                    self._changed.clear()
                    await self._changed.wait()
                async with self._turn:  # an event reaches everybody it concerns, or nobody
                    pump.cancel()

    async def _pump(self, streams: Sequence[Stream]) -> None:
        while streams:
            try:
                async for event in self.market.events(streams):
                    async with self._turn:
                        await self._take(event)
            except VenueUnavailable as error:
                logger.warning("market data of %s: %s; trying again", self.venue, error)
            await self.clock.sleep(RETRY_SECONDS)

    async def _take(self, event: MarketEvent) -> None:
        if isinstance(event, BarSeen):
            await self._bar(event.stream, event.bar)
            return
        self.prices[event.symbol] = event.quote.at
        self.last[event.symbol] = event.quote.price
        self.host.price(self.venue, event.symbol, event.quote.price, event.quote.at)
        await asyncio.sleep(0)

    async def _bar(self, stream: Stream, bar: Bar) -> None:
        """Pass a bar on, after the bars that should have come before it."""
        groups = [g for g in self.host.board.by_stream.get(stream, ()) if not g.fault]
        for group in groups:
            if not group.warming:
                await self.warm(group, bar.opened_at)  # where that failed before
        reached = min((g.last_at for g in groups if g.last_at is not None), default=None)
        if reached is not None and bar.opened_at - reached > stream.timeframe.delta:
            await self._repair(stream, reached, bar.opened_at)
        await self.host.bar(stream, bar)

    async def _repair(self, stream: Stream, reached: datetime, before: datetime) -> None:
        """Fetch the bars between the last one and the one that just came; nobody acts on them."""
        self.gaps += 1
        missing = int((before - reached) / stream.timeframe.delta) - 1
        count = min(missing, GAP_BARS_MAX)
        logger.warning("%s: %d bars are missing; fetching them", stream, missing)
        for bar in await self.market.history(stream, before=before, count=count):
            if reached < bar.opened_at < before:
                await self.host.bar(stream, bar, late=True)

    def check_stale(self) -> list[Symbol]:
        """Return the symbols whose prices stopped coming since the last check."""
        now = self.clock.now()
        watched = {stream.symbol for stream in self.streams()}
        silent = {s for s in watched if now - self.prices.setdefault(s, now) > STALE_AFTER}
        fresh = sorted(silent - self.stale, key=str)
        self.stale = silent
        for symbol in fresh:
            logger.warning("%s: no price of %s since %s", self.venue, symbol, self.prices[symbol])
        return fresh
