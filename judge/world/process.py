"""One host of the world: a whole node of the service, that can be killed, stopped and replaced."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

from judge.world.clocks import Frozen, HostClock
from judge.world.link import WorldLink
from judge.world.market import HostMarket
from tradefleet.domain.credentials import Credentials, KeyReport
from tradefleet.domain.errors import StoreError, StoreUnavailable, VenueUnavailable
from tradefleet.domain.ids import OrderId
from tradefleet.domain.user import Account, Mode
from tradefleet.runtime.feed import Feed
from tradefleet.runtime.host import Host
from tradefleet.runtime.node import Node
from tradefleet.runtime.ownership import Ownership
from tradefleet.store import Batch, Lease
from tradefleet.venues._ccxt.turnstile import Turnstile

logger = logging.getLogger(__name__)
ORDER_KEY = b"the judge's key for order names!"


class Ground(Protocol):
    """What a process stands on: the world, as far as a host touches it."""

    base: Any
    venue_name: str

    def link_of(
        self, process: "HostProcess", account: Account, turnstile: Turnstile
    ) -> WorldLink: ...

    def market_of(self, process: "HostProcess") -> HostMarket: ...
    def clock_of(self, process: "HostProcess") -> HostClock: ...
    def vault_fails(self, account: str) -> bool: ...
    def strategies(self) -> Any: ...
    def tiers(self) -> Any: ...
    def ring_at(self, account: str, ring: Callable[[OrderId], None]) -> Callable[[], None]: ...
    def leases_taken(self, process: "HostProcess", leases: Sequence[Lease]) -> None: ...
    async def before_write(self, process: "HostProcess", batches: Sequence[Batch]) -> None: ...
    async def after_write(
        self, process: "HostProcess", batches: Sequence[Batch], errors: Sequence[Any]
    ) -> None: ...
    def before_change(self) -> None: ...
    def store_pause(self) -> float: ...


class HostStore:
    """The store as one host reaches it: through a gate, and not at all once it is gone."""

    def __init__(self, process: "HostProcess") -> None:
        self._process = process
        self._base = process.ground.base

    def __getattr__(self, name: str) -> Any:
        return getattr(self._base, name)

    async def _pass(self) -> None:
        await self._process.gate.passed()
        if self._process.cut_off:
            raise StoreUnavailable("the connection to the database is lost")

    async def write(self, batches: Sequence[Batch], *, run: Any = None) -> Sequence[Any]:
        process, ground = self._process, self._process.ground
        await self._pass()
        await ground.before_write(process, batches)
        await asyncio.sleep(ground.store_pause())
        await self._pass()
        ground.before_change()
        errors: Sequence[Any] = await self._base.write(batches, run=run)
        await ground.after_write(process, batches, errors)
        await asyncio.sleep(ground.store_pause())
        await self._pass()
        return errors

    @asynccontextmanager
    async def open(self, user_id: Any, *, reading: bool = False) -> AsyncIterator[Any]:
        await self._pass()
        if not reading:
            self._process.ground.before_change()
        async with self._base.open(user_id, reading=reading) as store:
            yield store
        await self._pass()

    async def take_leases(self, owner: str, **more: Any) -> Sequence[Lease]:
        await self._pass()
        self._process.ground.before_change()
        leases: Sequence[Lease] = await self._base.take_leases(owner, **more)
        self._process.ground.leases_taken(self._process, leases)
        await self._pass()
        return leases

    async def renew_leases(self, owner: str, **more: Any) -> Sequence[Lease]:
        leases: Sequence[Lease] = await self._change("renew_leases", owner, **more)
        return leases

    async def release_leases(self, owner: str) -> Any:
        return await self._change("release_leases", owner)

    async def drop_messages(self, ids: Sequence[int]) -> Any:
        return await self._change("drop_messages", ids)

    async def note_signals(self, notes: Sequence[Any], *, keep: int) -> Any:
        await self._pass()  # nothing that the judge reads

    async def load_user(self, user_id: Any) -> Any:
        return await self._look("load_user", user_id)

    async def load_users(self, user_ids: Sequence[Any]) -> Any:
        return await self._look("load_users", user_ids)

    async def rulings(self, user_ids: Sequence[Any]) -> Any:
        return await self._look("rulings", user_ids)

    async def host_messages(self, owner: str, limit: int) -> Any:
        return await self._look("host_messages", owner, limit)

    async def _change(self, name: str, *given: Any, **more: Any) -> Any:
        await self._pass()
        self._process.ground.before_change()
        found = await getattr(self._base, name)(*given, **more)
        await self._pass()
        return found

    async def _look(self, name: str, *given: Any) -> Any:
        await self._pass()
        found = await getattr(self._base, name)(*given)
        await self._pass()
        return found


class HostVenue:
    """The venue as one host has opened it; requests of one key share their numbers."""

    def __init__(self, process: "HostProcess") -> None:
        self._process = process
        self._turnstiles: dict[str, Turnstile] = {}
        self.market = process.ground.market_of(process)

    async def link(self, account: Account, news: Callable[[OrderId], None]) -> WorldLink:
        process = self._process
        await asyncio.sleep(0.001)
        await process.gate.passed()
        if process.ground.vault_fails(account.id):
            raise VenueUnavailable("the vault does not answer")
        turnstile = self._turnstiles.setdefault(account.id, Turnstile())
        link = process.ground.link_of(process, account, turnstile)
        leave = process.ground.ring_at(account.id, process.heard(news))
        link._leave = leave
        process.leaves.append(leave)
        return link

    async def check_key(self, credentials: Credentials, mode: Mode) -> KeyReport:
        raise NotImplementedError("no key is checked here")

    async def close(self) -> None:
        pass


class HostProcess:
    """A node of the service from its start to its end; owner names it in leases.

    gate: shut while it stands still. cut_off: its connection to the database is lost for good.
    """

    def __init__(
        self, ground: Ground, name: str, number: int, *, lease_seconds: float, users_max: int
    ) -> None:
        self.ground, self.name, self.number = ground, name, number
        self.gate = Frozen()
        self.cut_off = False
        self.fault: BaseException | None = None
        self.leaves: list[Callable[[], None]] = []
        self.next_fault = ""  # what the database does once the write that is under way is kept
        self.stops_for = 0.0  # seconds that it stands still from the next crash point on
        self.waiting: set[str] = set()  # orders whose answers are on their way
        self.clock = ground.clock_of(self)
        self.store = HostStore(self)
        self.venue = HostVenue(self)
        venue = ground.venue_name
        host = Host(
            store=self.store,
            clock=self.clock,
            venues={venue: self.venue},
            strategies=ground.strategies(),
            tiers=ground.tiers(),
            order_key=ORDER_KEY,
            owner=name,
        )
        feed = Feed(venue=venue, market=self.venue.market, host=host, clock=self.clock)
        ownership = Ownership(
            host=host, feeds={venue: feed}, lease_seconds=lease_seconds, users_max=users_max
        )
        self.node = Node(host=host, feeds={venue: feed}, ownership=ownership)
        self.task: asyncio.Task[None] | None = None
        self.ended: Callable[[HostProcess], None] = lambda process: None

    @property
    def host(self) -> Host:
        return self.node.host

    @property
    def is_running(self) -> bool:
        return self.task is not None and not self.task.done() and not self.gate.dead

    @property
    def is_awake(self) -> bool:
        return self.is_running and not self.gate.is_shut

    def start(self, before: str) -> None:
        """Start; before: the owner that ran here and is no more, whose leases are let go."""
        loop = asyncio.get_running_loop()
        self.task = loop.create_task(self._run(before))

    async def _run(self, before: str) -> None:
        try:
            if before:
                await self.store.release_leases(before)
            await self.node.run(asyncio.Event())
        except BaseException as error:
            self.fault = only(error)
            if isinstance(self.fault, Exception) and not isinstance(self.fault, StoreError):
                logger.error("host %s died", self.name, exc_info=self.fault)
        finally:
            for leave in self.leaves:
                leave()
            self.gate.dead = True
            self.ended(self)

    def kill(self) -> None:
        """Be gone from this instant: nothing more reaches the store or the venue."""
        self.gate.dead = True
        self.gate.open()
        if self.task is not None:
            self.task.cancel()

    def heard(self, news: Callable[[OrderId], None]) -> Callable[[OrderId], None]:
        """Return a bell that waits while this host stands still."""

        def ring(order_id: OrderId) -> None:
            if not self.gate.dead and not self.gate.is_shut:
                news(order_id)

        return ring


def only(error: BaseException) -> BaseException:
    """Return the error that groups of groups come down to."""
    while isinstance(error, BaseExceptionGroup) and error.exceptions:
        plain = [each for each in error.exceptions if not isinstance(each, StoreError)]
        error = plain[0] if plain else error.exceptions[0]
    return error
