"""One time for our processes and their venues, over real sockets: it moves when a test lets it.

A venue's clock and ours show the same. After each step everything that follows from it is
waited for: requests under way, messages on streams, writes to the database. So bars keep their
own times, signatures are right, and hours pass in seconds.
"""

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar

import aiohttp
import pytest

from tradefleet.venues._ccxt.amounts import from_ms, to_ms
from tradefleet.venues._ccxt.lines import Line
from tradefleet.venues._ccxt.wire import Answer, Transport, Wire
from venuesim.clock import ManualClock
from venuesim.running import Running

T = TypeVar("T")

STILL_LOOKS = 3  # looks in a row at which nothing may be under way
LOOK_SECONDS = 0.0005  # the machine's time between two looks while something is
SETTLED_WITHIN = 20.0  # the machine's time
FINE = timedelta(seconds=1)  # the longest step while something is in doubt


# ------------------------------------------------------------------------- our side


class ProcessClock:
    """The clock of one of our processes; while it is frozen nobody in it wakes up."""

    def __init__(self, time: "Time") -> None:
        self.time = time
        self.is_frozen = False
        self._sleepers: list[tuple[datetime, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()

    def now(self) -> datetime:
        return self.time.now

    def monotonic(self) -> float:
        return self.time.now.timestamp()

    async def sleep(self, seconds: float) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        due = self.now() + timedelta(seconds=max(seconds, 0))
        if due <= self.now() and not self.is_frozen:
            await asyncio.sleep(0)
            return
        heapq.heappush(self._sleepers, (due, next(self._numbers), future))
        await future

    def wake(self) -> None:
        """Wake whoever has slept long enough, each once."""
        due = []
        while not self.is_frozen and self._sleepers and self._sleepers[0][0] <= self.now():
            due.append(heapq.heappop(self._sleepers)[2])
        for future in due:
            if not future.done():
                future.set_result(None)

    def next_due(self) -> datetime | None:
        return self._sleepers[0][0] if self._sleepers and not self.is_frozen else None


@dataclass(slots=True, eq=False)
class Traffic:
    """What one of our processes has under way that the machine, not the clock, will end.

    gate: while it is shut, nothing leaves the process and nothing reaches its database; leaving
    is told of each request once it is signed.
    """

    under_way: int = 0
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    leaving: Callable[[Wire], Awaitable[None]] | None = None

    def __post_init__(self) -> None:
        self.gate.set()

    @contextmanager
    def counted(self) -> Iterator[None]:
        self.under_way += 1
        try:
            yield
        finally:
            self.under_way -= 1

    async def passed(self) -> None:
        """Return when the gate is open."""
        if not self.gate.is_set():
            await self.held(self.gate)

    async def held(self, until: asyncio.Event) -> None:
        """Hold up what is under way, which it is not meanwhile."""
        self.under_way -= 1
        try:
            await until.wait()
        finally:
            self.under_way += 1


class CountedSession:
    """An HTTP session whose streams are counted while they are being opened."""

    def __init__(self, session: aiohttp.ClientSession, traffic: Traffic) -> None:
        self._session, self._traffic = session, traffic

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    async def ws_connect(self, *given: Any, **named: Any) -> Any:
        with self._traffic.counted():
            await self._traffic.passed()
            return await self._session.ws_connect(*given, **named)


class CountedTransport(Transport):
    """A venue's transport that counts what is under way; a shut gate holds up what is signed."""

    def __init__(self, venue: str, traffic: Traffic) -> None:
        super().__init__(venue)
        self.traffic = traffic

    @property
    def session(self) -> Any:
        return CountedSession(super().session, self.traffic)

    async def send(self, wire: Wire, seconds: float) -> Answer:
        with self.traffic.counted():
            if self.traffic.leaving is not None:
                await self.traffic.leaving(wire)
            await self.traffic.passed()
            return await super().send(wire, seconds)


class CountedStore:
    """A store that counts what is under way; a shut gate holds it up."""

    def __init__(self, store: Any, traffic: Traffic) -> None:
        self._store, self._traffic = store, traffic

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if not asyncio.iscoroutinefunction(found):
            return found

        async def counted(*given: Any, **named: Any) -> Any:
            with self._traffic.counted():
                await self._traffic.passed()
                return await found(*given, **named)

        return counted

    @asynccontextmanager
    async def open(self, *given: Any, **named: Any) -> AsyncIterator[Any]:
        with self._traffic.counted():
            await self._traffic.passed()
            async with self._store.open(*given, **named) as opened:
                yield opened


# ------------------------------------------------------------------------- the streams


@dataclass(slots=True)
class HeardOn:
    """How many messages each line of ours that listens has heard, by the port it listens on."""

    counts: dict[int, int] = field(default_factory=dict)
    ports: dict[Line, int] = field(default_factory=dict)

    def watch(self, patch: pytest.MonkeyPatch) -> None:
        listen, take = Line._listen, Line._take

        async def counted_listen(line: Line, socket: aiohttp.ClientWebSocketResponse) -> str:
            port = socket.get_extra_info("sockname")[1]
            self.ports[line], self.counts[port] = port, 0
            try:
                return await listen(line, socket)
            finally:
                del self.counts[port]

        def counted_take(line: Line, data: str) -> None:
            self.counts[self.ports[line]] += 1
            take(line, data)

        patch.setattr(Line, "_listen", counted_listen)
        patch.setattr(Line, "_take", counted_take)

    def unheard(self, sim: Running) -> int:
        """Return how many messages a venue has sent to lines that listen, and nobody has heard."""
        missing = 0
        for outlet in sim.server.streams:
            peer = outlet._transport.get_extra_info("peername") if outlet._transport else None
            heard = self.counts.get(peer[1]) if peer is not None else None
            missing += 0 if heard is None else outlet.messages - heard
        return missing


# ---------------------------------------------------------------------------- the time


class Process:
    """What the time must know of one of our processes; see venue_rig.Service."""

    clock: ProcessClock
    traffic: Traffic

    @property
    def is_thinking(self) -> bool:
        """Whether a thread of it works on something."""
        return False

    @property
    def is_in_doubt(self) -> bool:
        """Whether it waits for its clock with something that must not wait long."""
        return False


@dataclass(slots=True, eq=False)
class Time:
    """The time of all venues and of all our processes; watches look whenever all is quiet."""

    venues: ManualClock
    sims: list[Running] = field(default_factory=list)
    processes: list[Process] = field(default_factory=list)
    heard: HeardOn = field(default_factory=HeardOn)
    watches: list[Callable[[], None]] = field(default_factory=list)

    @property
    def now(self) -> datetime:
        return from_ms(self.venues.now_ms())

    # ------------------------------------------------------------- is it quiet?

    def busy(self) -> str:
        """Return what is under way, "" when nothing is."""
        waiting = len(self.venues.listeners)  # requests that a fault holds up at a venue
        under_way = sum(each.traffic.under_way for each in self.processes)
        if under_way > waiting:
            return f"{under_way - waiting} requests or transactions"
        if any(each.is_thinking for each in self.processes):
            return "a thread"
        unheard = sum(map(self.heard.unheard, self.sims))
        return f"{unheard} messages" if unheard else ""

    async def settle(self) -> None:
        """Return when nothing more follows from what has happened until now."""
        loop: Any = asyncio.get_running_loop()
        until, still = loop.time() + SETTLED_WITHIN, 0
        while still < STILL_LOOKS:
            await asyncio.sleep(0)
            if loop._ready:
                still = 0
            elif what := self.busy():
                still = 0
                if loop.time() > until:
                    raise TimeoutError(f"it does not settle: {what}")
                await asyncio.sleep(LOOK_SECONDS)
            else:
                still += 1
        for look in self.watches:
            look()

    # ------------------------------------------------------------ letting it pass

    async def pass_until(self, moment: datetime, fine: timedelta = FINE) -> None:
        """Let time pass: from one trade of a market to the next, slowly while there is doubt."""
        await self.settle()
        while self.now < moment:
            self._set(min(self._next_stop(fine), moment))
            await self.settle()

    async def pass_by(self, seconds: float, fine: timedelta = FINE) -> None:
        await self.pass_until(self.now + timedelta(seconds=seconds), fine)

    async def pass_finely(self, seconds: float, step: float = 0.25) -> None:
        """Let time pass in small steps, whatever happens."""
        until = self.now + timedelta(seconds=seconds)
        await self.settle()
        while self.now < until:
            self._set(min(self.now + timedelta(seconds=step), until))
            await self.settle()

    async def pass_while(
        self, condition: Callable[[], Any], seconds: float, step: float = 0.25
    ) -> None:
        """Let time pass in small steps while something is so; TimeoutError when it stays so."""
        until = self.now + timedelta(seconds=seconds)
        await self.settle()
        while condition():
            if self.now >= until:
                raise TimeoutError(f"it is still so after {seconds} s")
            self._set(self.now + timedelta(seconds=step))
            await self.settle()

    async def run(self, work: Coroutine[Any, Any, T], step: float = 0.1) -> T:
        """Do something that may have to wait for the clock."""
        task = asyncio.get_running_loop().create_task(work)
        try:
            await self.pass_while(lambda: not task.done(), 600, step)
        finally:
            if not task.done():
                task.cancel()
        return await task

    def _next_stop(self, fine: timedelta) -> datetime:
        """Return the next trade of a market, or sooner, when something is in doubt."""
        trades = [at for player in self.venues.players if (at := player.next_ms()) is not None]
        stops = [from_ms(min(trades))] if trades else [datetime.max.replace(tzinfo=self.now.tzinfo)]
        if any(each.is_in_doubt for each in self.processes if not each.clock.is_frozen):
            stops.append(self.now + fine)
        return max(min(stops), self.now + timedelta(milliseconds=1))

    def _set(self, moment: datetime) -> None:
        self.venues.set(to_ms(moment))
        for process in self.processes:
            process.clock.wake()
