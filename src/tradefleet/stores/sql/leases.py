"""Who runs which user: leases, each fenced by an epoch that only ever grows.

The epoch is the fence, not the clock: a lease that ran out but was taken by nobody still
writes, and the moment somebody takes it, its next epoch shuts the old owner out.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, or_, select, union, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tradefleet.domain.bot import BotStatus
from tradefleet.domain.ids import UserId
from tradefleet.store import Lease
from tradefleet.stores.sql import tables
from tradefleet.stores.sql.queries import rows
from tradefleet.stores.sql.shapes import Shape
from tradefleet.stores.sql.user_store import NOBODY

LEASE = tables.leases.c
LEASES = Shape(Lease, tables.leases)


async def take(
    connection: AsyncConnection, owner: str, *, now: datetime, ttl: float, limit: int
) -> Sequence[Lease]:
    """Take free users who have something to run, skipping what another is taking just now."""
    bot, order = tables.bots.c, tables.orders.c
    busy = union(
        select(bot.user_id).where(bot.status == BotStatus.RUNNING, bot.removed_at.is_(None)),
        select(tables.positions.c.user_id),
        select(order.user_id).where(tables.is_working),
        select(tables.host_messages.c.user_id),
    )
    free = (
        select(LEASE.user_id)
        .where(or_(LEASE.owner == NOBODY, LEASE.expires_at <= now), LEASE.user_id.in_(busy))
        .order_by(LEASE.user_id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    taken = update(tables.leases).values(
        owner=owner, epoch=LEASE.epoch + 1, expires_at=now + timedelta(seconds=ttl)
    )
    return await changed(connection, taken, free)


async def renew(
    connection: AsyncConnection, owner: str, *, now: datetime, ttl: float
) -> Sequence[Lease]:
    held = (
        select(LEASE.user_id)
        .where(LEASE.owner == owner, LEASE.expires_at > now)
        .order_by(LEASE.user_id)
        .with_for_update()
    )
    renewed = update(tables.leases).values(expires_at=now + timedelta(seconds=ttl))
    return await changed(connection, renewed, held)


async def held_by(connection: AsyncConnection, ids: Sequence[UserId]) -> dict[UserId, Lease]:
    """Return the leases of these users, whoever holds them."""
    query = select(tables.leases).where(LEASE.user_id.in_(ids))
    return {row["user_id"]: LEASES.read(row) for row in await rows(connection, query)}


async def changed(connection: AsyncConnection, change: Any, which: Select[Any]) -> Sequence[Lease]:
    """Change the leases that were selected, locked in the order of their users.

    All who lock several leases lock them in this order, so that no two wait for each other.
    """
    change = change.where(LEASE.user_id.in_(which)).returning(tables.leases)
    found = await rows(connection, change)
    return sorted(map(LEASES.read, found), key=lambda lease: lease.user_id)


async def release(connection: AsyncConnection, owner: str) -> None:
    await connection.execute(update(tables.leases).where(LEASE.owner == owner).values(owner=NOBODY))


async def owners(connection: AsyncConnection) -> Sequence[str]:
    held = select(LEASE.owner).where(LEASE.owner != NOBODY).distinct().order_by(LEASE.owner)
    return list((await connection.scalars(held)).all())


async def raise_every_kill_version(connection: AsyncConnection) -> None:
    every = select(LEASE.user_id).order_by(LEASE.user_id).with_for_update()
    await connection.execute(
        update(tables.leases)
        .where(LEASE.user_id.in_(every))
        .values(kill_version=LEASE.kill_version + 1)
    )
