"""The audit log's rows: one user's chain inside a transaction, and all chains together."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any

from sqlalchemy import Select, Text, case, cast, func, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from tradefleet.clock import Clock
from tradefleet.domain.audit import (
    NO_KEYS,
    SYSTEM,
    WEAK,
    ChainKeys,
    Entry,
    Head,
    Written,
    entry_of,
)
from tradefleet.domain.ids import UserId
from tradefleet.store import who_acts
from tradefleet.stores._chain import lines_after
from tradefleet.stores.sql import tables
from tradefleet.stores.sql.glance import known
from tradefleet.stores.sql.queries import WHOSE, Reading, rows, rows_of
from tradefleet.stores.sql.statements import adding, save

AUDIT = tables.audit_log.c
LAST = known(
    select(AUDIT.number, AUDIT.hash, AUDIT.key_id)
    .where(AUDIT.user_id == WHOSE)
    .order_by(AUDIT.number.desc())
    .limit(1)
)
# PostgreSQL only: the service's own chain grows by one transaction at a time, as a user's does.
LOCK_SYSTEM = text("SELECT pg_advisory_xact_lock(hashtextextended('audit of the service', 0))")
PLACES_AT_ONCE = 200

Opened = Callable[[], AbstractAsyncContextManager[AsyncConnection]]


async def add_line(
    connection: Any,
    keys: ChainKeys,
    user_id: UserId,
    at: datetime,
    action: str,
    asked: Mapping[str, Any],
    changed: list[dict[str, Any]],
) -> None:
    """Add a line to a chain that nobody else adds to at this moment."""
    found = await rows_of(connection, LAST, user_id)
    last = None
    if found:
        last = (Head(user_id, found[0]["number"], found[0]["hash"]), found[0]["key_id"])
    for line in lines_after(
        keys,
        last,
        user_id=user_id,
        at=at,
        who=who_acts(),
        action=action,
        asked=asked,
        changed=changed,
    ):
        row = line._asdict()
        row["prev_hash"] = row.pop("previous")
        await connection.execute(adding(tables.audit_log), {**row, "at": at})


def as_written(is_sqlite: bool) -> Select[Any]:
    """Return the query of lines as they stand; the time as its text, which the hash covers."""
    shape = 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'
    at = cast(AUDIT.at, Text) if is_sqlite else func.to_char(func.timezone("UTC", AUDIT.at), shape)
    named: dict[str, Any] = {"at": at.label("at"), "previous": AUDIT.prev_hash.label("previous")}
    columns: list[Any] = [named.get(name, AUDIT.get(name)) for name in Written._fields]
    return select(*columns)


async def page_of(
    connection: Reading, query: Select[Any], user_id: UserId, limit: int, before: int | None
) -> Sequence[Entry]:
    """Return lines of a chain, the newest first."""
    asked = query.where(AUDIT.user_id == user_id).order_by(AUDIT.number.desc()).limit(limit)
    if before is not None:
        asked = asked.where(AUDIT.number < before)
    return [entry_of(Written(*row.values())) for row in await rows(connection, asked)]


class SqlAudits:
    """All chains; keys: what lines are written under, given once the vault is open."""

    def __init__(self, reading: Opened, writing: Opened, clock: Clock, *, is_sqlite: bool) -> None:
        self.keys = NO_KEYS
        self.query = as_written(is_sqlite)
        self._reading = reading
        self._writing = writing
        self._clock = clock
        self._is_sqlite = is_sqlite

    async def note(self, action: str, detail: Mapping[str, Any]) -> None:
        async with self._writing() as connection:
            if not self._is_sqlite:
                await connection.execute(LOCK_SYSTEM)
            now = self._clock.now()
            await add_line(connection, self.keys, SYSTEM, now, action, detail, [])

    async def page(self, limit: int, before: int | None = None) -> Sequence[Entry]:
        async with self._reading() as connection:
            return await page_of(connection, self.query, SYSTEM, limit, before)

    async def lines(
        self, *, after: tuple[str, int] | None, limit: int, user_id: str | None = None
    ) -> Sequence[Written]:
        asked = self.query.order_by(AUDIT.user_id, AUDIT.number).limit(limit)
        if user_id is not None:
            asked = asked.where(AUDIT.user_id == user_id)
        if after is not None:
            asked = asked.where(tuple_(AUDIT.user_id, AUDIT.number) > tuple_(*after))
        async with self._reading() as connection:
            return [Written(*row) for row in (await connection.execute(asked)).all()]

    async def heads(
        self, *, since: datetime | None, after: str | None, limit: int
    ) -> Sequence[Head]:
        moved = select(AUDIT.user_id, func.max(AUDIT.number).label("number"))
        moved = moved.group_by(AUDIT.user_id).order_by(AUDIT.user_id).limit(limit)
        if since is not None:
            moved = moved.where(AUDIT.at >= since)
        if after is not None:
            moved = moved.where(AUDIT.user_id > after)
        async with self._reading() as connection:
            found = (await connection.execute(moved)).all()
            places = [(row.user_id, row.number) for row in found]
            hashes = await hashes_at(connection, places)
        return [Head(UserId(user), number, hashes[user, number]) for user, number in places]

    async def hashes(self, places: Sequence[tuple[str, int]]) -> Mapping[tuple[str, int], str]:
        async with self._reading() as connection:
            return await hashes_at(connection, places)

    async def weak(self, limit: int) -> Sequence[Head]:
        is_weak = case((AUDIT.key_id.in_(sorted(WEAK)), 0), else_=1)
        asked = (
            select(AUDIT.user_id, func.max(AUDIT.number))
            .where(AUDIT.user_id != SYSTEM)
            .group_by(AUDIT.user_id)
            .having(func.max(is_weak) == 0)
            .order_by(AUDIT.user_id)
            .limit(limit)
        )
        async with self._reading() as connection:
            found = (await connection.execute(asked)).all()
        return [Head(UserId(user), number, "") for user, number in found]

    async def kept_keys(self) -> Mapping[str, bytes]:
        table = tables.audit_keys
        async with self._reading() as connection:
            return {row["id"]: row["sealed"] for row in await rows(connection, select(table))}

    async def keep_key(self, id: str, sealed: bytes) -> None:
        async with self._writing() as connection:
            await save(connection, tables.audit_keys, {"id": id, "sealed": sealed})


async def hashes_at(
    connection: AsyncConnection, places: Sequence[tuple[str, int]]
) -> dict[tuple[str, int], str]:
    found: dict[tuple[str, int], str] = {}
    for start in range(0, len(places), PLACES_AT_ONCE):
        part = places[start : start + PLACES_AT_ONCE]
        asked = select(AUDIT.user_id, AUDIT.number, AUDIT.hash).where(
            tuple_(AUDIT.user_id, AUDIT.number).in_(part)
        )
        found |= {(row[0], row[1]): row[2] for row in await connection.execute(asked)}
    return found
