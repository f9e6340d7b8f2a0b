"""All that a database keeps of users, for who takes it along, erases it, or lets the old go."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, delete, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from tradefleet.domain.ids import UserId
from tradefleet.operations.privacy.records import Aging, Erased, ExportedTable, Old
from tradefleet.store import ErasureRequest
from tradefleet.stores.sql import shapes, tables
from tradefleet.stores.sql.address import Address
from tradefleet.stores.sql.engine import sqlite_connection
from tradefleet.stores.sql.faults import translated
from tradefleet.stores.sql.privacy import erasing
from tradefleet.stores.sql.privacy.exporting import exported
from tradefleet.stores.sql.privacy.rules import AGES, AGES_BY_NAME, RULES, Ages, Fate
from tradefleet.stores.sql.queries import rows
from tradefleet.stores.sql.vault import overwriting

Opened = Callable[[], AbstractAsyncContextManager[AsyncConnection]]
LOCK = text("SELECT pg_advisory_xact_lock(7246013)")  # PostgreSQL only: one erasure at a time
SCRUB_PATIENCE = 60.0  # seconds to wait for the other users of an SQLite file


@dataclass(frozen=True, slots=True)
class SqlRecords:
    """The records of one database, SQLite or PostgreSQL."""

    reading: Opened
    writing: Opened
    address: Address

    @property
    def not_exported(self) -> Mapping[str, str]:
        return {rule.name: rule.why for rule in RULES if rule.fate is Fate.NOBODYS}

    @property
    def aging(self) -> Sequence[Aging]:
        return [each.aging for each in AGES]

    # ---- taking along

    @asynccontextmanager
    async def exporting(self, user_id: UserId) -> AsyncIterator[AsyncIterator[ExportedTable]]:
        async with self.reading() as connection:
            yield exported(connection, user_id)

    # ---- leaving

    async def requests(self) -> Sequence[tuple[UserId, ErasureRequest]]:
        asked = tables.erasure_requests
        query = select(asked).order_by(asked.c.asked_at, asked.c.user_id)
        async with self.reading() as connection:
            found = await rows(connection, query)
        return [(row["user_id"], shapes.ERASURE_REQUEST.read(row)) for row in found]

    async def users(self) -> Sequence[tuple[UserId, datetime]]:
        user = tables.users.c
        query = select(user.id, user.created_at).where(user.erased_at.is_(None)).order_by(user.id)
        async with self.reading() as connection:
            return [(row["id"], row["created_at"]) for row in await rows(connection, query)]

    async def check_erasable(self, user_id: UserId) -> None:
        async with self.reading() as connection:
            await erasing.names_of(connection, user_id)
            await erasing.refuse_while_open(connection, user_id)

    async def erase(
        self,
        user_id: UserId,
        pseudonym: UserId,
        *,
        at: datetime,
        by_whom: str,
        reason: str,
        force: bool = False,
    ) -> Erased:
        async with self.reading() as connection:
            names = await erasing.names_of(connection, user_id)
            found = await erasing.mentions(connection, user_id, names)
        async with self.writing() as connection:
            if connection.dialect.name == "postgresql":
                await connection.execute(LOCK)
            order = erasing.Order(pseudonym, at, by_whom, reason, force)
            async with overwriting(connection):
                return await erasing.erase(connection, user_id, order, found)

    async def erased(self) -> Sequence[Erased]:
        table = tables.erasures
        async with self.reading() as connection:
            found = await rows(connection, select(table).order_by(table.c.at, table.c.user_id))
        return [
            Erased(
                pseudonym=row["user_id"],
                at=row["at"],
                by_whom=row["by_whom"],
                reason=row["reason"],
                rows=row["rows"],
                audit_lines=row["audit_lines"],
                audit_head=row["audit_head"],
            )
            for row in found
        ]

    async def scrub(self, *, at_most: int | None = None) -> bool:
        file = self.address.file
        if file is None or (at_most is not None and file.stat().st_size > at_most):
            return False
        with translated(self.address):
            await asyncio.to_thread(rewritten, self.address)
        return True

    async def behind(self, version: int) -> Sequence[UserId]:
        """Return who agreed to older versions of the risk notice only."""
        consent = tables.consents.c
        latest = select(consent.user_id).group_by(consent.user_id)
        query = latest.having(func.max(consent.version) < version).order_by(consent.user_id)
        async with self.reading() as connection:
            return [UserId(row["user_id"]) for row in await rows(connection, query)]

    # ---- letting the old go

    async def count_old(self, aging: Aging, before: datetime) -> int:
        ages = AGES_BY_NAME[aging.table]
        query = select(func.count()).select_from(ages.table).where(*is_old(ages, before))
        async with self.reading() as connection:
            return await connection.scalar(query) or 0

    async def old(self, aging: Aging, before: datetime, limit: int) -> Old:
        ages = AGES_BY_NAME[aging.table]
        query = select(*ages.table.primary_key).where(*is_old(ages, before)).limit(limit)
        async with self.reading() as connection:
            found = (await connection.execute(query)).all()
        return Old(aging, [tuple(row) for row in found])

    async def remove(self, old: Old, before: datetime) -> int:
        ages = AGES_BY_NAME[old.aging.table]
        keys = [column.name for column in ages.table.primary_key]
        by_key = [ages.table.c[name] == bindparam(f"key_{name}") for name in keys]
        gone = delete(ages.table).where(*by_key, *is_old(ages, before))
        given = [{f"key_{n}": v for n, v in zip(keys, key, strict=True)} for key in old.keys]
        async with self.writing() as connection:
            await connection.execute(gone, given)
        return len(given)


def is_old(ages: Ages, before: datetime) -> tuple[Any, ...]:
    return ages.table.c[ages.at] < before, ages.only


def rewritten(address: Address) -> None:
    """Write an SQLite file anew, and empty its log: nothing deleted is left in either."""
    with closing(sqlite_connection(address, SCRUB_PATIENCE)) as connection:
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
