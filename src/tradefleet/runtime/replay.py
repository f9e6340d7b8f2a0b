"""Play recorded bars through the live pipeline: feed, board, engine, journal, venue, ledger.

Bar by bar and phase by phase (simulation/bar_path.py), waiting at each phase until everything
is written down. The place reached is written with every group of the journal, so that a
replay that was killed goes on from there: what follows the last written place is played
again, and comes out the same.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from tradefleet.domain.market import Bar, Stream, Symbol
from tradefleet.domain.order import OrderKind
from tradefleet.runtime.host import Host
from tradefleet.runtime.replay_clock import ReplayClock
from tradefleet.simulation.bar_path import Phase
from tradefleet.store import ReplayRun


class Playable(Protocol):
    """A simulated venue whose market is moved from outside."""

    async def trade(
        self, symbol: Symbol, price: Decimal, at: datetime, *, volume: Decimal | None = None
    ) -> None: ...
    async def sweep(
        self, symbol: Symbol, to: Decimal, at: datetime, *, kind: OrderKind, volume: Decimal
    ) -> None: ...
    def waits(self, symbol: Symbol) -> bool:
        """Say whether any order waits for a price."""


@dataclass(slots=True, kw_only=True, eq=False)
class Replay:
    """Plays bars of one stream on a host; on_bar is called after each bar with its number."""

    host: Host
    venue: Playable
    clock: ReplayClock
    stream: Stream
    run: ReplayRun
    on_bar: Callable[[int], Awaitable[None]]

    async def play(self, bars: Sequence[Bar]) -> None:
        """Play the bars from where the run stands to their end."""
        reached = self.run.cursor
        for number, bar in enumerate(bars):
            if reached is not None and bar.opened_at < reached[0]:
                self._learn(bar)
                continue
            first = Phase.OPEN
            if reached is not None and bar.opened_at == reached[0]:
                first = Phase(reached[1])
            await self._play(bar, first)
            await self.on_bar(number + 1)

    def _learn(self, bar: Bar) -> None:
        """Let the strategies see a bar that was played before the restart."""
        for group in self.host.board.by_stream.get(self.stream, ()):
            self.host.learn(group, bar)

    async def _play(self, bar: Bar, first: Phase) -> None:
        host, venue, symbol, at = self.host, self.stream.venue, self.stream.symbol, bar.opened_at
        self.clock.move_to(at)
        if first <= Phase.OPEN and (self._concerns(bar) or self.venue.waits(symbol)):
            self._at(bar, Phase.OPEN)
            await self._open(bar)
            stop = host.books[venue, symbol].best_stop
            if stop is not None and bar.open <= stop:  # bought just now, at or below its stop
                await self._open(bar)
        if first <= Phase.LOW:
            self._at(bar, Phase.LOW)
            if host.sweep_down(venue, symbol, bar.low, at) or self.venue.waits(symbol):
                await self._sweep(bar, bar.low, OrderKind.STOP)
        if first <= Phase.HIGH:
            self._at(bar, Phase.HIGH)
            if host.sweep_up(venue, symbol, bar.high, at) or self.venue.waits(symbol):
                await self._sweep(bar, bar.high, OrderKind.TARGET)
        self._at(bar, Phase.CLOSE)
        self.clock.move_to(at + self.stream.timeframe.delta)
        await host.bar(self.stream, bar)
        if not host.work.is_idle:
            await host.settle()

    async def _open(self, bar: Bar) -> None:
        host, venue, symbol, at = self.host, self.stream.venue, self.stream.symbol, bar.opened_at
        host.price(venue, symbol, bar.open, at)
        await host.settle()
        await self.venue.trade(symbol, bar.open, at, volume=bar.volume)
        await host.settle()

    async def _sweep(self, bar: Bar, to: Decimal, kind: OrderKind) -> None:
        await self.host.settle()
        symbol = self.stream.symbol
        await self.venue.sweep(symbol, to, bar.opened_at, kind=kind, volume=bar.volume)
        await self.host.settle()

    def _concerns(self, bar: Bar) -> bool:
        """Say whether anybody waits for the opening price."""
        market = (self.stream.venue, self.stream.symbol)
        book = self.host.books[market]
        stop, target = book.best_stop, book.best_target
        return bool(
            self.host.held.get(market)
            or (stop is not None and bar.open <= stop)
            or (target is not None and bar.open >= target)
        )

    def _at(self, bar: Bar, phase: Phase) -> None:
        """From here on, what is written down is written as of this place."""
        self.run = replace(self.run, cursor=(bar.opened_at, int(phase)))
        self.host.cursor = self.run
