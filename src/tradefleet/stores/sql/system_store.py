"""The whole database, as commands (open), hosts (leases, write, load) and jobs see it."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import bindparam, delete, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tradefleet.clock import Clock
from tradefleet.domain.effects import Topic
from tradefleet.domain.errors import StoreError, ensure
from tradefleet.domain.ids import AccountId, UserId
from tradefleet.domain.limits import Scope, Switch
from tradefleet.domain.user import Account, Mode, User
from tradefleet.store import (
    Batch,
    Census,
    HostMessage,
    Lease,
    OutboxNotice,
    PaperChange,
    ReplayRun,
    Ruling,
    SealedKey,
    SignalNote,
    UserLoad,
)
from tradefleet.stores._hints import Hints
from tradefleet.stores.sql import leases, outbox, shapes, tables, vault
from tradefleet.stores.sql.address import Address
from tradefleet.stores.sql.audits import SqlAudits
from tradefleet.stores.sql.census import census
from tradefleet.stores.sql.checkpoints import Checkpoints
from tradefleet.stores.sql.deliveries import SqlAlertDeliveries
from tradefleet.stores.sql.duties import SqlDuties
from tradefleet.stores.sql.engine import PATIENCE, reading_options
from tradefleet.stores.sql.faults import translated
from tradefleet.stores.sql.figures import SqlFigures
from tradefleet.stores.sql.glance import Glances, known
from tradefleet.stores.sql.health import SqlHealth
from tradefleet.stores.sql.identity import SqlIdentityStore
from tradefleet.stores.sql.journal.plan import run_row
from tradefleet.stores.sql.journal.sheets import RUNS
from tradefleet.stores.sql.live import SqlLiveStore
from tradefleet.stores.sql.loading import load_users, load_users_with_entries, rulings_of
from tradefleet.stores.sql.paper_books import SqlPaperBooks
from tradefleet.stores.sql.policies import FOR_SYSTEM, FOR_USER, FOR_USER_ALONE
from tradefleet.stores.sql.privacy import SqlRecords
from tradefleet.stores.sql.queries import Reading, read_active_accounts, rows
from tradefleet.stores.sql.statements import insert_missing, save
from tradefleet.stores.sql.user_store import SqlUserStore
from tradefleet.stores.sql.webhooks import SqlWebhookStore

SECRET_BYTES = 32

USER = tables.users.c
BY_TELEGRAM_ID = known(select(tables.users).where(USER.telegram_id == bindparam("asked")))
BY_NAME = known(select(tables.users).where(USER.username == bindparam("asked")))


class Journal(Protocol):
    """The hot path of one kind of database."""

    async def write(
        self, batches: Sequence[Batch], run: ReplayRun | None
    ) -> Sequence[StoreError | None]: ...
    async def write_paper(self, changes: Sequence[PaperChange]) -> None: ...
    async def close(self) -> None: ...


class SqlStore:
    """A database, SQLite or PostgreSQL.

    turn and checkpoints are SQLite's: one writer at a time, in order of arrival.
    """

    def __init__(
        self,
        *,
        address: Address,
        engine: AsyncEngine,
        journal: Journal,
        clock: Clock,
        hints: Hints,
        patience: float = PATIENCE,
        turn: asyncio.Lock | None = None,
        checkpoints: Checkpoints | None = None,
    ) -> None:
        self._address = address
        self.engine = engine
        self._journal = journal
        self._clock = clock
        self._hints = hints
        self._turn = turn
        self._checkpoints = checkpoints
        self._closed = False
        self._glances = Glances(address, engine.dialect, patience) if address.is_sqlite else None
        self.paper_books = SqlPaperBooks(self)
        self.audits = SqlAudits(self.reading, self._writing, clock, is_sqlite=address.is_sqlite)
        self.identity = SqlIdentityStore(self.reading, self._writing)
        self.duties = SqlDuties(self.reading, self._writing)
        self.health = SqlHealth(self.reading, self._writing)
        self.live = SqlLiveStore(self.reading, self._writing, clock, address, hints)
        self.webhooks = SqlWebhookStore(self.reading)
        self.records = SqlRecords(self.reading, self._writing, address)
        self.alert_deliveries = SqlAlertDeliveries(self.reading, self._writing)
        self.figures = SqlFigures(self.reading)

    @property
    def file(self) -> Path | None:
        """The file of an SQLite database."""
        return self._address.file

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """Begin a transaction that sees one moment of everybody's rows and writes nothing."""
        async with self._snapshot() as connection:
            await self._see_all(connection)
            yield connection

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[AsyncConnection]:
        """Begin a transaction over everybody's rows."""
        async with self._change() as connection:
            await self._see_all(connection)
            yield connection

    async def _see_all(self, connection: AsyncConnection) -> None:
        if not self._address.is_sqlite:
            await connection.execute(FOR_SYSTEM)

    @asynccontextmanager
    async def _snapshot(self) -> AsyncIterator[AsyncConnection]:
        with translated(self._address):
            async with self.engine.connect() as connection:
                yield await connection.execution_options(**reading_options(self._address))

    @asynccontextmanager
    async def _change(self) -> AsyncIterator[AsyncConnection]:
        turn: AbstractAsyncContextManager[Any] = self._turn or nullcontext()
        with translated(self._address):
            async with turn:
                async with self.engine.begin() as connection:
                    yield connection
                if self._checkpoints:
                    await self._checkpoints.after_write()

    @asynccontextmanager
    async def open(self, user_id: UserId, *, reading: bool = False) -> AsyncIterator[SqlUserStore]:
        if reading and self._glances:
            with translated(self._address):
                async with self._glances.reading() as glance:
                    if glance is not None:
                        yield SqlUserStore(glance, user_id, self._clock, self.audits, reading=True)
                        return
        elif self._glances and self._turn and self._checkpoints:
            with translated(self._address):
                async with self._turn:
                    async with self._glances.writing() as stroke:
                        own = SqlUserStore(stroke, user_id, self._clock, self.audits, reading=False)
                        yield own
                        recorded = bool(own.news) and await own.live.record(own.news)
                    await self._checkpoints.after_write()
            if recorded:
                self._hints.tell([user_id])
            return
        async with self._snapshot() if reading else self._change() as connection:
            if not self._address.is_sqlite:
                begin = FOR_USER if reading else FOR_USER_ALONE
                await connection.execute(begin, {"user_id": user_id})
            own = SqlUserStore(connection, user_id, self._clock, self.audits, reading=reading)
            yield own
            recorded = bool(own.news) and await own.live.record(own.news)
        if recorded:
            self._hints.tell([user_id])

    async def find_user(
        self, *, telegram_id: int | None = None, username: str | None = None
    ) -> User | None:
        query, asked = (BY_NAME, username) if telegram_id is None else (BY_TELEGRAM_ID, telegram_id)
        if asked is None:
            return None
        async with self._looking() as connection:
            found = await rows(connection, query, {"asked": asked})
        return shapes.USER.read(found[0]) if found else None

    @asynccontextmanager
    async def _looking(self) -> AsyncIterator[Reading]:
        """Begin to read a row or two: in the loop's own thread, where that is sooner."""
        if self._glances:
            with translated(self._address):
                async with self._glances.reading() as glance:
                    if glance is not None:
                        yield glance
                        return
        async with self.reading() as connection:
            yield connection

    async def user_ids(self) -> Sequence[UserId]:
        user = tables.users.c
        async with self.reading() as connection:
            query = select(user.id).order_by(user.created_at, user.id)
            return list((await connection.scalars(query)).all())

    async def census(self, since: datetime) -> Census:
        async with self.reading() as connection:
            return await census(connection, since)

    # ownership

    async def take_leases(
        self, owner: str, *, now: datetime, ttl: float, limit: int
    ) -> Sequence[Lease]:
        async with self._writing() as connection:
            return await leases.take(connection, owner, now=now, ttl=ttl, limit=limit)

    async def renew_leases(self, owner: str, *, now: datetime, ttl: float) -> Sequence[Lease]:
        async with self._writing() as connection:
            return await leases.renew(connection, owner, now=now, ttl=ttl)

    async def release_leases(self, owner: str) -> None:
        async with self._writing() as connection:
            await leases.release(connection, owner)

    async def lease_owners(self) -> Sequence[str]:
        async with self.reading() as connection:
            return await leases.owners(connection)

    # the journal

    async def write(
        self, batches: Sequence[Batch], *, run: ReplayRun | None = None
    ) -> Sequence[StoreError | None]:
        return await self._journal.write(batches, run)

    async def write_paper(self, changes: Sequence[PaperChange]) -> None:
        await self._journal.write_paper(changes)

    async def load_user(self, user_id: UserId) -> UserLoad:
        async with self.reading() as connection:
            (load,) = await load_users(connection, [user_id])
        return load

    async def load_users(self, user_ids: Sequence[UserId]) -> Sequence[UserLoad]:
        async with self.reading() as connection:
            return await load_users_with_entries(connection, user_ids)

    async def rulings(self, user_ids: Sequence[UserId]) -> Sequence[Ruling]:
        async with self.reading() as connection:
            return await rulings_of(connection, user_ids)

    # messages and notices

    async def host_messages(self, owner: str, limit: int) -> Sequence[HostMessage]:
        async with self.reading() as connection:
            return await outbox.messages_for(connection, owner, limit)

    async def drop_messages(self, ids: Sequence[int]) -> None:
        async with self._writing() as connection:
            await outbox.drop_messages(connection, ids)

    async def due_notices(self, *, now: datetime, limit: int) -> Sequence[OutboxNotice]:
        async with self.reading() as connection:
            return await outbox.due(connection, now=now, limit=limit)

    async def notice_sent(self, ids: Sequence[int], *, now: datetime) -> None:
        async with self._writing() as connection:
            await outbox.sent(connection, ids, now=now)

    async def notice_failed(self, id: int, *, retry_at: datetime | None, error: str) -> None:
        async with self._writing() as connection:
            await outbox.failed(connection, id, retry_at=retry_at, error=error)

    async def put_off_notices(
        self, ids: Sequence[int], *, until: datetime | None, error: str
    ) -> None:
        async with self._writing() as connection:
            await outbox.put_off(connection, ids, until=until, error=error)

    async def notify_everybody(self, topic: Topic, text: str, at: datetime) -> int:
        async with self._writing() as connection:
            return await outbox.post_to_all(connection, topic, text, at)

    async def note_signals(self, notes: Sequence[SignalNote], *, keep: int) -> None:
        async with self._writing() as connection:
            await outbox.note_signals(connection, notes, keep=keep)

    async def secret(self, name: str) -> bytes:
        table = tables.secrets
        query = select(table.c.value).where(table.c.name == name)
        async with self.reading() as connection:
            found: bytes | None = await connection.scalar(query)
        if found is not None:
            return found
        async with self._writing() as connection:
            row = {"name": name, "value": secrets.token_bytes(SECRET_BYTES)}
            await insert_missing(connection, table, row)
            return bytes(await connection.scalar(query) or b"")

    # keys

    async def keys_of(
        self, user_ids: Sequence[UserId]
    ) -> Mapping[AccountId, tuple[bytes, SealedKey]]:
        async with self.reading() as connection:
            return await vault.keys_of(connection, user_ids)

    async def wrapped_keys(
        self, *, after: UserId | None = None, limit: int
    ) -> Sequence[tuple[UserId, bytes]]:
        async with self.reading() as connection:
            return await vault.wrapped_keys(connection, after, limit)

    async def rewrap(self, user_id: UserId, old: bytes, new: bytes) -> bool:
        async with self._writing() as connection:
            return await vault.rewrap(connection, user_id, old, new)

    async def keys_to_check(
        self, *, now: datetime, limit: int
    ) -> Sequence[tuple[UserId, AccountId]]:
        async with self.reading() as connection:
            return await vault.keys_to_check(connection, now, limit)

    async def drop_late_keys(self, now: datetime) -> None:
        async with self._writing() as connection:
            await vault.drop_late_keys(connection, now)

    async def active_accounts(self, mode: Mode) -> Sequence[Account]:
        async with self.reading() as connection:
            return await read_active_accounts(connection, mode)

    # switches over everybody

    async def platform_switch(self, id: str = "*") -> Switch | None:
        table = tables.switches
        query = select(table).where(table.c.scope == Scope.PLATFORM, table.c.scope_id == id)
        async with self.reading() as connection:
            found = await rows(connection, query)
        return shapes.SWITCH.read(found[0]) if found else None

    async def set_platform_switch(self, switch: Switch) -> None:
        ensure(switch.scope is Scope.PLATFORM, "not a switch over the platform")
        async with self._writing() as connection:
            table = tables.switches
            before = (table.c.scope == Scope.PLATFORM) & (table.c.scope_id == switch.scope_id)
            await connection.execute(delete(table).where(before))
            await connection.execute(table.insert(), shapes.SWITCH.columns(switch))
            await leases.raise_every_kill_version(connection)

    # replays

    async def replay_run(self, id: str) -> ReplayRun | None:
        table = tables.replay_runs
        async with self.reading() as connection:
            found = await rows(connection, select(table).where(table.c.id == id))
        return run_of(found[0]) if found else None

    async def save_run(self, run: ReplayRun) -> None:
        async with self._writing() as connection:
            row = dict(zip(RUNS.names, run_row(run), strict=True))
            await save(connection, tables.replay_runs, row)

    # requests with a key of their own

    async def drop_answers(self, before: datetime) -> int:
        table = tables.idempotency
        async with self._writing() as connection:
            dropped = delete(table).where(table.c.answered_at < before)
            return (await connection.execute(dropped)).rowcount

    async def ping(self) -> float:
        loop = asyncio.get_running_loop()
        start = loop.time()
        async with self.reading() as connection:
            await connection.execute(text("SELECT 1"))
        return loop.time() - start

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        await self._journal.close()
        if self._glances:
            self._glances.close()
        if self._checkpoints:
            await self._checkpoints.close()
        await self.engine.dispose()


def run_of(row: Any) -> ReplayRun:
    at, phase = row["cursor_at"], row["cursor_phase"]
    return ReplayRun(
        id=row["id"],
        fingerprint=row["fingerprint"],
        cursor=None if at is None else (at, phase),
        finished=row["finished"],
    )
