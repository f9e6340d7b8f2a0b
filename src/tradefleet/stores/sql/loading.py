"""Reads everything a host needs to run users from where they stood."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tradefleet.domain.errors import BrokenInvariant
from tradefleet.domain.ids import AccountId, FillId, OrderId, UserId
from tradefleet.domain.ledger import LedgerEntry
from tradefleet.domain.order import Order, OrderState
from tradefleet.store import ABSENT_WATCHED, Ruling, UserLoad
from tradefleet.stores.sql import leases, queries, shapes, tables
from tradefleet.stores.sql.queries import by_user, entries_of, rows


async def load_users(connection: AsyncConnection, ids: Sequence[UserId]) -> list[UserLoad]:
    """Load users in this order; each kind of row is asked for once, however many they are."""
    users = await queries.users_of(connection, ids)
    if missing := [user_id for user_id in ids if user_id not in users]:
        raise BrokenInvariant(f"no user {missing[0]}")
    accounts = await queries.accounts_of(connection, ids)
    bots = await queries.bots_of(connection, ids)
    memories = await queries.memories_of(connection, ids)
    orders = await watched_orders(connection, ids)
    fill_ids = await fill_ids_of(connection, ids, orders)
    guards = await queries.guards_of(connection, ids)
    limits = await queries.limits_of(connection, ids)
    switches = await queries.switches_of(connection, ids)
    universes = await queries.universes_of(connection, ids)
    return [
        UserLoad(
            user=users[user_id],
            accounts=accounts[user_id],
            bots=bots[user_id],
            memories=memories[user_id],
            working_orders=orders[user_id],
            fill_ids=fill_ids[user_id],
            guard=guards.get(user_id),
            limits=limits.get(user_id),
            switches=switches[user_id],
            universes=universes[user_id],
        )
        for user_id in ids
    ]


async def load_users_with_entries(
    connection: AsyncConnection, ids: Sequence[UserId]
) -> list[UserLoad]:
    loads = await load_users(connection, ids)
    table = tables.ledger_entries
    query = select(table).where(table.c.user_id.in_(ids))
    query = query.order_by(table.c.booked_at, table.c.entry_id, table.c.line)
    lines = by_user(await rows(connection, query), lambda line: line)
    return [replace(load, entries=by_account(lines[load.user.id])) for load in loads]


async def rulings_of(connection: AsyncConnection, ids: Sequence[UserId]) -> list[Ruling]:
    """Read leases before switches: who changes a switch raises the kill version with it."""
    held = await leases.held_by(connection, ids)
    users = await queries.users_of(connection, ids)
    limits = await queries.limits_of(connection, ids)
    switches = await queries.switches_of(connection, ids)
    return [
        Ruling(
            lease=held[user_id],
            user=users[user_id],
            limits=limits.get(user_id),
            switches=switches[user_id],
        )
        for user_id in ids
    ]


def by_account(
    lines: Sequence[Mapping[str, Any]],
) -> Mapping[AccountId, Sequence[LedgerEntry]]:
    """Return one user's entries, whose ids are their own, apart for each account."""
    found: dict[AccountId, list[LedgerEntry]] = defaultdict(list)
    for entry in entries_of(lines):
        found[entry.account_id].append(entry)
    return found


async def watched_orders(
    connection: AsyncConnection, ids: Sequence[UserId]
) -> Mapping[UserId, list[Order]]:
    """Return the orders that are not final and the latest absent ones, oldest first."""
    order = tables.orders
    theirs = order.c.user_id.in_(ids)
    found = list(await rows(connection, select(order).where(theirs, tables.is_working)))
    latest_first = (order.c.decided_at.desc(), order.c.id.desc())
    place = func.row_number().over(partition_by=order.c.user_id, order_by=latest_first)
    absent = select(order, place.label("place")).where(
        theirs, tables.is_final, order.c.state == OrderState.ABSENT
    )
    every = absent.subquery()
    found += await rows(connection, select(every).where(every.c.place <= ABSENT_WATCHED))
    orders = by_user(found, shapes.ORDER.read)
    for watched in orders.values():
        watched.sort(key=lambda order: (order.decided_at, order.id))
    return orders


async def fill_ids_of(
    connection: AsyncConnection, ids: Sequence[UserId], orders: Mapping[UserId, list[Order]]
) -> Mapping[UserId, dict[FillId, OrderId]]:
    """Return the executions that are booked for these orders."""
    fill = tables.fills.c
    wanted = [order.id for watched in orders.values() for order in watched]
    found: dict[UserId, dict[FillId, OrderId]] = defaultdict(dict)
    for start in range(0, len(wanted), ORDERS_AT_ONCE):
        some = wanted[start : start + ORDERS_AT_ONCE]
        query = select(fill.user_id, fill.id, fill.order_id).where(
            fill.user_id.in_(ids), fill.order_id.in_(some)
        )
        for row in await rows(connection, query):
            found[row["user_id"]][row["id"]] = row["order_id"]
    return found


ORDERS_AT_ONCE = 5000  # named in one query; databases take some ten thousand
