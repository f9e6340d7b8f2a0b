"""Private streams: they ring for orders of ours, and are never believed.

Accounts share connections as far as a venue allows. One task has them join, one after the
other, so that a thousand accounts come back without a rush.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import Any

from tradefleet.domain.errors import VenueUnavailable
from tradefleet.domain.ids import AccountId, OrderId
from tradefleet.engine.pace import Backoff, Priority
from tradefleet.venue import VenueCall
from tradefleet.venues._ccxt.amounts import understanding
from tradefleet.venues._ccxt.crew import Crew
from tradefleet.venues._ccxt.dialect import Joined, Left, Rung, StreamNotes
from tradefleet.venues._ccxt.environment import Asker, Environment
from tradefleet.venues._ccxt.lines import Line

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.25  # between two looks for accounts that have to join
ANSWER_SECONDS = 10.0  # until an account that asked to join asks again
AGAIN = Backoff(2.0, 2.0, 120.0)  # seconds between two tries of an account


class Standing(StrEnum):
    """How far an account has got with its stream."""

    OUT = "out"
    ASKED = "asked"
    IN = "in"


@dataclass(slots=True, kw_only=True, eq=False)
class Listener:
    """One account that wants to hear; open_ids: what it is told of after a silence."""

    tag: str
    asker: Asker
    news: Callable[[OrderId], None]
    open_ids: Callable[[], Iterable[OrderId]]
    standing: Standing = Standing.OUT
    due: float = 0.0
    failures: int = 0

    def ring(self, order_ids: Iterable[OrderId]) -> None:
        for order_id in list(order_ids):
            self.news(order_id)


@dataclass(slots=True, eq=False)
class Rope:
    """One connection, the accounts on it, and what is still to be said for those who left."""

    line: Line
    notes: StreamNotes = field(default_factory=StreamNotes)
    listeners: dict[str, Listener] = field(default_factory=dict)
    farewells: list[str] = field(default_factory=list)
    is_muddled: bool = False  # who is on it cannot be told any more: to be opened anew
    task: asyncio.Task[None] | None = None

    def down(self, why: str) -> None:
        """The connection is gone, and with it everybody's place on it."""
        self.notes = StreamNotes()
        self.farewells.clear()
        self.is_muddled = False
        for listener in self.listeners.values():
            listener.standing, listener.due = Standing.OUT, 0.0

    def heard_by(self, tag: str) -> list[Listener]:
        """Return who is meant by a tag; on a connection of one account, by no tag as well."""
        if not tag:
            return list(self.listeners.values())
        found = self.listeners.get(tag)
        return [] if found is None else [found]


@dataclass(slots=True, eq=False)
class Bells:
    """All private streams of one environment."""

    environment: Environment
    crew: Crew
    ropes: list[Rope] = field(default_factory=list)
    _places: dict[AccountId, tuple[Rope, Listener]] = field(default_factory=dict)
    _numbers: int = 0
    _is_joining: bool = False

    @property
    def joined(self) -> int:
        """How many accounts hear now."""
        return sum(each.standing is Standing.IN for _, each in self._places.values())

    def add(
        self,
        account_id: AccountId,
        asker: Asker,
        news: Callable[[OrderId], None],
        open_ids: Callable[[], Iterable[OrderId]],
    ) -> Callable[[], None]:
        """Let an account hear; return what lets go of it, unless it was added anew meanwhile."""
        self._numbers += 1
        before = self._places.get(account_id)
        listener = Listener(tag=f"a{self._numbers}", asker=asker, news=news, open_ids=open_ids)
        if before is not None and before[1].asker.credentials == asker.credentials:
            rope, old = before  # it goes on hearing where it does
            listener.tag, listener.standing, listener.due = old.tag, old.standing, old.due
        else:
            if before is not None:
                self._let_go(account_id, before[1])
            rope = self._rope()
        rope.listeners[listener.tag] = listener
        self._places[account_id] = (rope, listener)
        if not self._is_joining:
            self._is_joining = True
            self.crew.start(self._keep_joining(), f"{self.environment.name} bells")
        return partial(self._let_go, account_id, listener)

    def _let_go(self, account_id: AccountId, listener: Listener) -> None:
        place = self._places.get(account_id)
        if place is None or place[1] is not listener:
            return
        del self._places[account_id]
        rope = place[0]
        del rope.listeners[listener.tag]
        rope.farewells += self.environment.dialect.leave(listener.tag, rope.notes)
        if not rope.listeners:
            self.ropes.remove(rope)
            if rope.task is not None:
                rope.task.cancel()

    def _rope(self) -> Rope:
        """Return a connection with room for one more account."""
        environment, most = self.environment, self.environment.dialect.accounts_per_stream
        for rope in self.ropes:
            if len(rope.listeners) < most:
                return rope
        self._numbers += 1
        line = Line(
            environment=environment,
            url=environment.addresses.private_stream,
            name=f"{environment.name} private {self._numbers}",
            hear=lambda message: self._hear(rope, message),
            ping=environment.dialect.ping,
        )
        rope = Rope(line)
        line.down = rope.down
        rope.task = self.crew.start(line.run(), line.name)
        self.ropes.append(rope)
        return rope

    # -------------------------------------------------------------- joining

    async def _keep_joining(self) -> None:
        """Have whoever is not heard join, until cancelled."""
        clock = self.environment.clock
        while True:
            for rope in list(self.ropes):
                if rope.line.is_up:
                    await self._join_all(rope)
            await clock.sleep(LOOK_SECONDS)

    async def _join_all(self, rope: Rope) -> None:
        if rope.is_muddled:
            await rope.line.hang_up()
            return
        with suppress(VenueUnavailable):  # then the line is down, and all begins anew
            while rope.farewells:
                await rope.line.say(rope.farewells.pop())
        for listener in list(rope.listeners.values()):
            now = self.environment.clock.monotonic()
            if listener.standing is Standing.IN or listener.due > now or not rope.line.is_up:
                continue
            if listener.standing is Standing.ASKED:
                self._failed(listener, "no answer")
                continue
            try:
                await self._join(rope, listener)
            except VenueUnavailable as error:
                self._failed(listener, str(error))

    async def _join(self, rope: Rope, listener: Listener) -> None:
        dialect, asker = self.environment.dialect, listener.asker
        if asker.credentials is None:
            raise VenueUnavailable("there is no key")
        await self.environment.pacer.turn(
            VenueCall(
                venue=self.environment.name,
                key=asker.key,
                user_id=asker.user_id,
                priority=Priority.RECONCILIATION,
                costs=dialect.join_costs,
            )
        )
        errand = asker.errand(Priority.RECONCILIATION, await self.environment.book())
        with understanding(dialect.title, "joining a private stream"):
            sayings = await dialect.join(errand, asker.credentials, listener.tag, asker.stamp())
        listener.standing = Standing.ASKED
        listener.due = self.environment.clock.monotonic() + ANSWER_SECONDS
        for text in sayings:
            await rope.line.say(text)

    def _failed(self, listener: Listener, why: str) -> None:
        listener.failures += 1
        listener.standing = Standing.OUT
        wait = AGAIN.wait(listener.failures)
        listener.due = self.environment.clock.monotonic() + wait
        logger.warning("%s: an account has no private stream: %s", self.environment.name, why)

    # -------------------------------------------------------------- hearing

    def _hear(self, rope: Rope, message: Any) -> None:
        dialect = self.environment.dialect
        for bell in dialect.bell(message, rope.notes):
            if isinstance(bell, Left) and bell.begin_anew:
                rope.is_muddled = True
            if isinstance(bell, Joined) and not rope.heard_by(bell.tag):  # it left meanwhile
                rope.farewells += dialect.leave(bell.tag, rope.notes)
            for listener in rope.heard_by(bell.tag):
                match bell:
                    case Rung(_, order_ids):
                        listener.ring(order_ids)
                    case Joined():
                        listener.standing, listener.failures = Standing.IN, 0
                        listener.ring(listener.open_ids())
                    case Left(_, why):
                        self._failed(listener, why)
