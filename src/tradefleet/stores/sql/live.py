"""Live events as rows: written with what they tell, numbered under the lock of a head."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from datetime import datetime
from decimal import Decimal
from typing import Any, cast

import asyncpg
import orjson
from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import asyncpg as asyncpg_dialect
from sqlalchemy.ext.asyncio import AsyncConnection

from tradefleet.clock import Clock
from tradefleet.domain.errors import ensure
from tradefleet.domain.ids import UserId
from tradefleet.domain.live import Data
from tradefleet.domain.money import ZERO
from tradefleet.live import Equity, Head, LiveEvent, numbered
from tradefleet.stores._hints import Hints
from tradefleet.stores.sql import tables
from tradefleet.stores.sql.address import Address
from tradefleet.stores.sql.engine import CONNECTION_WAIT
from tradefleet.stores.sql.queries import Reading, memories_of, rows
from tradefleet.stores.sql.shapes import Shape
from tradefleet.stores.sql.statements import save

HEADS, EVENTS, LEASES = tables.event_heads.c, tables.events.c, tables.leases.c
EVENT = Shape(LiveEvent, tables.events)
CHANNEL = "tradefleet_events"
TELL = text("SELECT pg_notify(:channel, :user_id)")
SINCE_SQLITE = text(
    "SELECT e.user_id, e.number, e.at, e.kind, e.data FROM json_each(:places) AS p"
    " JOIN events AS e ON e.user_id = p.key AND e.number > p.value"
    " ORDER BY e.user_id, e.number LIMIT :most"
).columns(*EVENTS)
SINCE_POSTGRES = text(
    "SELECT e.user_id, e.number, e.at, e.kind, e.data"
    " FROM json_each_text(CAST(:places AS json)) AS p (key, value)"
    " JOIN events AS e ON e.user_id = p.key AND e.number > CAST(p.value AS bigint)"
    " ORDER BY e.user_id, e.number LIMIT :most"
).columns(*EVENTS)
HEAR_AGAIN = 5.0  # seconds until a lost connection is opened anew
HEAR_CHECK = 30.0  # seconds between two looks whether it is still there

Opened = Callable[[], AbstractAsyncContextManager[AsyncConnection]]


class SqlUserLive:
    """One user's events, in that user's transaction."""

    def __init__(
        self, connection: Reading, user_id: UserId, clock: Clock, *, reading: bool
    ) -> None:
        self._connection = connection
        self._user_id = user_id
        self._clock = clock
        self._reading = reading

    @property
    def _writing(self) -> AsyncConnection:
        ensure(not self._reading, "a change in a transaction that was opened for reading")
        return cast(AsyncConnection, self._connection)

    async def listen(self) -> Head:
        connection = self._writing
        on = update(tables.leases).values(listening=True)
        mine = (LEASES.user_id == self._user_id, LEASES.listening.is_(False))
        fresh = (await connection.execute(on.where(*mine))).rowcount > 0
        head = await self._locked()
        last = head.last if head else 0
        row: dict[str, Any] = {"user_id": self._user_id, "seen_at": self._clock.now()}
        if fresh or head is None:  # what happened while nobody listened is not known
            head = Head(last + 1, last + 1)
        await save(connection, tables.event_heads, {**row, "last": head.last, "since": head.since})
        return head

    async def head(self) -> Head | None:
        listening = select(LEASES.listening).where(LEASES.user_id == self._user_id)
        if not await self._connection.scalar(listening):
            return None
        return (await heads_of(self._connection, [self._user_id])).get(self._user_id)

    async def _locked(self) -> Head | None:
        query = select(tables.event_heads).where(HEADS.user_id == self._user_id)
        found = await rows(self._connection, query.with_for_update())
        return Head(found[0]["last"], found[0]["since"]) if found else None

    async def after(self, number: int, limit: int) -> Sequence[LiveEvent]:
        query = select(tables.events).where(EVENTS.user_id == self._user_id, EVENTS.number > number)
        found = await rows(self._connection, query.order_by(EVENTS.number).limit(limit))
        return [EVENT.read(row) for row in found]

    async def forget(self, before: datetime, keep: int) -> None:
        connection = self._writing
        # The lease is locked first, as the journal does.
        lease = select(LEASES.user_id).where(LEASES.user_id == self._user_id).with_for_update()
        await connection.execute(lease)
        head = await self._locked()
        if head is None:
            return
        mine = HEADS.user_id == self._user_id
        if await self._is_unheard(before):
            off = update(tables.leases).where(LEASES.user_id == self._user_id)
            await connection.execute(off.values(listening=False))
            since = head.last
        else:
            query = select(func.max(EVENTS.number)).where(
                EVENTS.user_id == self._user_id, EVENTS.at < before
            )
            since = max(head.since, await connection.scalar(query) or 0, head.last - keep)
        await connection.execute(update(tables.event_heads).where(mine).values(since=since))
        old = (EVENTS.user_id == self._user_id, EVENTS.number <= since)
        await connection.execute(delete(tables.events).where(*old))

    async def _is_unheard(self, before: datetime) -> bool:
        """Say whether nobody listened since then and no webhook does."""
        head, webhook = HEADS, tables.webhooks.c
        seen = await self._connection.scalar(
            select(head.seen_at).where(head.user_id == self._user_id)
        )
        wanted = select(func.count()).where(
            webhook.user_id == self._user_id, webhook.next_at.is_not(None)
        )
        return (seen is None or seen < before) and not await self._connection.scalar(wanted)

    async def record(self, news: Sequence[Data]) -> bool:
        """Record what a command did, if somebody listens; say whether anything was recorded."""
        connection = self._writing
        if not await connection.scalar(
            select(LEASES.listening).where(LEASES.user_id == self._user_id)
        ):
            return False
        head = await self._locked()
        told = numbered(news, head.last if head else 0, self._clock.now())
        events = [{**EVENT.columns(each), "user_id": self._user_id} for each in told]
        await connection.execute(insert(tables.events), events)
        await save(
            connection, tables.event_heads, {"user_id": self._user_id, "last": told[-1].number}
        )
        if connection.dialect.name == "postgresql":
            await connection.execute(TELL, {"channel": CHANNEL, "user_id": self._user_id})
        return True


class SqlLiveStore:
    """Everybody's events, for who tells them on."""

    def __init__(
        self, reading: Opened, writing: Opened, clock: Clock, address: Address, hints: Hints
    ) -> None:
        self._reading = reading
        self._writing = writing
        self._clock = clock
        self._address = address
        self._hints = hints

    async def heads(self, user_ids: Sequence[UserId]) -> Mapping[UserId, Head]:
        async with self._reading() as connection:
            return await heads_of(connection, user_ids)

    async def since(
        self, places: Mapping[UserId, int], limit: int
    ) -> Mapping[UserId, list[LiveEvent]]:
        query = SINCE_SQLITE if self._address.is_sqlite else SINCE_POSTGRES
        given = {"places": orjson.dumps(dict(places)).decode(), "most": limit}
        found: dict[UserId, list[LiveEvent]] = {}
        async with self._reading() as connection:
            for row in (await connection.execute(query, given)).mappings():
                found.setdefault(row["user_id"], []).append(EVENT.read(dict(row)))
        return found

    async def equities(self, user_ids: Sequence[UserId]) -> Mapping[UserId, Equity]:
        async with self._reading() as connection:
            memories = await memories_of(connection, user_ids)
            bot = tables.bots.c
            query = select(bot.id, bot.symbol).where(
                bot.user_id.in_(user_ids), bot.removed_at.is_(None)
            )
            symbols = {row["id"]: row["symbol"] for row in await rows(connection, query)}
        found: dict[UserId, Equity] = {}
        for user_id in user_ids:
            sums: dict[str, Decimal] = defaultdict(lambda: ZERO)
            own = memories.get(user_id, {})
            for bot_id, memory in own.items():
                quote = symbols[bot_id].partition("/")[2].partition(":")[0]
                sums[quote] += memory.equity
            held = sum(memory.position is not None for memory in own.values())
            found[user_id] = Equity(dict(sums), held)
        return found

    async def touch(self, user_ids: Sequence[UserId]) -> None:
        async with self._writing() as connection:
            seen = update(tables.event_heads).values(seen_at=self._clock.now())
            for user_id in sorted(user_ids):
                await connection.execute(seen.where(HEADS.user_id == user_id))

    async def listeners(self) -> Sequence[UserId]:
        query = select(LEASES.user_id).where(LEASES.listening.is_(True)).order_by(LEASES.user_id)
        async with self._reading() as connection:
            return list((await connection.scalars(query)).all())

    def watch(self, told: Callable[[UserId], None]) -> AbstractContextManager[None]:
        return self._hints.watch(told)

    async def hear(self) -> None:
        """Pass on what other processes say in PostgreSQL; who polls finds it later without."""
        while not self._address.is_sqlite:
            try:
                await self._hear()
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
                await self._clock.sleep(HEAR_AGAIN)
        await asyncio.Event().wait()

    async def _hear(self) -> None:
        dialect: Any = asyncpg_dialect.dialect
        _, options = dialect().create_connect_args(self._address.url)
        settings = {"application_name": "tradefleet events"}
        connection: Any = await asyncpg.connect(
            **options, server_settings=settings, timeout=CONNECTION_WAIT
        )
        try:
            await connection.add_listener(
                CHANNEL, lambda connection, pid, channel, said: self._hints.tell([UserId(said)])
            )
            while not connection.is_closed():
                await self._clock.sleep(HEAR_CHECK)
                await connection.execute("SELECT 1")
        finally:
            await connection.close(timeout=CONNECTION_WAIT)


async def heads_of(connection: Reading, user_ids: Sequence[UserId]) -> Mapping[UserId, Head]:
    query = select(tables.event_heads).where(HEADS.user_id.in_(user_ids))
    found = await rows(connection, query)
    return {row["user_id"]: Head(row["last"], row["since"]) for row in found}
