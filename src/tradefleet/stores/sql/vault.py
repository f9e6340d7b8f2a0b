"""Rows of sealed keys: kept per user, found by fingerprint and due time, overwritten when they go.

SQLite leaves what was deleted in the file until its place is needed; here it is overwritten.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from tradefleet.domain.ids import AccountId, UserId
from tradefleet.store import KeyTaken, PendingKey, SealedKey
from tradefleet.stores.sql import shapes, tables
from tradefleet.stores.sql.queries import Reading, rows
from tradefleet.stores.sql.statements import adding, save

KEYS = tables.user_keys.c
SEALED = tables.credentials.c
PENDING = tables.pending_keys.c


@asynccontextmanager
async def overwriting(connection: AsyncConnection) -> AsyncIterator[None]:
    """Let what is deleted or replaced inside be overwritten in SQLite's file."""
    if connection.dialect.name != "sqlite":
        yield
        return
    await connection.exec_driver_sql("PRAGMA secure_delete = ON")
    yield
    await connection.exec_driver_sql("PRAGMA secure_delete = OFF")


async def wrapped_key(connection: Reading, user_id: UserId) -> bytes | None:
    found = await rows(connection, select(KEYS.wrapped).where(KEYS.user_id == user_id))
    return found[0]["wrapped"] if found else None


async def save_wrapped_key(connection: AsyncConnection, user_id: UserId, wrapped: bytes) -> None:
    row = {"user_id": user_id, "wrapped": wrapped}
    await connection.execute(adding(tables.user_keys), row)


async def rewrap(connection: AsyncConnection, user_id: UserId, old: bytes, new: bytes) -> bool:
    change = update(tables.user_keys).where(KEYS.user_id == user_id, KEYS.wrapped == old)
    async with overwriting(connection):
        return (await connection.execute(change.values(wrapped=new))).rowcount == 1


async def keys_of(
    connection: AsyncConnection, user_ids: Sequence[UserId]
) -> Mapping[AccountId, tuple[bytes, SealedKey]]:
    query = select(tables.credentials, KEYS.wrapped).where(
        SEALED.user_id.in_(user_ids), KEYS.user_id == SEALED.user_id
    )
    every = [(row["wrapped"], shapes.SEALED_KEY.read(row)) for row in await rows(connection, query)]
    return {sealed.account_id: (wrapped, sealed) for wrapped, sealed in every}


async def wrapped_keys(
    connection: AsyncConnection, after: UserId | None, limit: int
) -> Sequence[tuple[UserId, bytes]]:
    query = select(KEYS.user_id, KEYS.wrapped).order_by(KEYS.user_id).limit(limit)
    if after is not None:
        query = query.where(KEYS.user_id > after)
    return [(row["user_id"], row["wrapped"]) for row in await rows(connection, query)]


async def sealed_keys(connection: Reading, user_id: UserId) -> Mapping[AccountId, SealedKey]:
    query = select(tables.credentials).where(SEALED.user_id == user_id)
    found = [shapes.SEALED_KEY.read(row) for row in await rows(connection, query)]
    return {key.account_id: key for key in found}


async def save_sealed_key(connection: AsyncConnection, user_id: UserId, key: SealedKey) -> None:
    row = {**shapes.SEALED_KEY.columns(key), "user_id": user_id}
    try:
        async with overwriting(connection):
            await save(connection, tables.credentials, row)
    except IntegrityError as error:
        if "fingerprint" in str(error.orig):
            raise KeyTaken from None  # its cause names the row
        raise


async def drop_sealed_key(
    connection: AsyncConnection, user_id: UserId, account_id: AccountId
) -> None:
    gone = delete(tables.credentials).where(
        SEALED.user_id == user_id, SEALED.account_id == account_id
    )
    async with overwriting(connection):
        await connection.execute(gone)


async def pending_key(connection: Reading, user_id: UserId) -> PendingKey | None:
    query = select(tables.pending_keys).where(PENDING.user_id == user_id)
    found = await rows(connection, query)
    return shapes.PENDING_KEY.read(found[0]) if found else None


async def save_pending_key(connection: AsyncConnection, user_id: UserId, key: PendingKey) -> None:
    row = {**shapes.PENDING_KEY.columns(key), "user_id": user_id}
    async with overwriting(connection):
        await save(connection, tables.pending_keys, row)


async def drop_pending_key(connection: AsyncConnection, user_id: UserId) -> None:
    async with overwriting(connection):
        await connection.execute(delete(tables.pending_keys).where(PENDING.user_id == user_id))


async def drop_late_keys(connection: AsyncConnection, now: datetime) -> None:
    async with overwriting(connection):
        await connection.execute(delete(tables.pending_keys).where(PENDING.expires_at <= now))


async def shred_keys(connection: AsyncConnection, user_id: UserId) -> None:
    async with overwriting(connection):
        for table in (tables.credentials, tables.pending_keys, tables.user_keys):
            await connection.execute(delete(table).where(table.c.user_id == user_id))


async def keys_to_check(
    connection: AsyncConnection, now: datetime, limit: int
) -> Sequence[tuple[UserId, AccountId]]:
    query = select(SEALED.user_id, SEALED.account_id).where(SEALED.check_at <= now)
    query = query.order_by(SEALED.check_at, SEALED.account_id).limit(limit)
    return [(row["user_id"], row["account_id"]) for row in await rows(connection, query)]
