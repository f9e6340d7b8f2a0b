"""Reads everything a host needs to run a user from where it stood."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from tradefleet.domain.errors import BrokenInvariant
from tradefleet.domain.ids import UserId
from tradefleet.domain.order import Order, OrderState
from tradefleet.store import ABSENT_WATCHED, UserLoad
from tradefleet.stores.sql import queries, shapes, tables
from tradefleet.stores.sql.queries import rows


async def load_user(connection: AsyncConnection, user_id: UserId) -> UserLoad:
    user = await queries.read_user(connection, user_id)
    if user is None:
        raise BrokenInvariant(f"no user {user_id}")
    orders = await watched_orders(connection, user_id)
    fill = tables.fills.c
    query = select(fill.id, fill.order_id).where(
        fill.user_id == user_id, fill.order_id.in_([order.id for order in orders])
    )
    return UserLoad(
        user=user,
        accounts=await queries.read_accounts(connection, user_id),
        bots=await queries.read_bots(connection, user_id),
        memories=await queries.read_memories(connection, user_id),
        working_orders=orders,
        fill_ids={row["id"]: row["order_id"] for row in await rows(connection, query)},
        guard=await queries.read_guard(connection, user_id),
        limits=await queries.read_limits(connection, user_id),
        switches=await queries.read_switches(connection, user_id),
    )


async def watched_orders(connection: AsyncConnection, user_id: UserId) -> list[Order]:
    """Return the orders that are not final and the latest absent ones, oldest first."""
    order = tables.orders
    mine = select(order).where(order.c.user_id == user_id)
    found = list(await rows(connection, mine.where(tables.is_working)))
    absent = mine.where(tables.is_final, order.c.state == OrderState.ABSENT)
    latest = absent.order_by(order.c.decided_at.desc(), order.c.id.desc()).limit(ABSENT_WATCHED)
    found += await rows(connection, latest)
    orders = [shapes.ORDER.read(row) for row in found]
    return sorted(orders, key=lambda order: (order.decided_at, order.id))
