"""What the database counts for operators."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any

from sqlalchemy import Float, Select, case, cast, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tradefleet.figures import TIMED_MAX, Backlog, Dealings, Presence, Timed
from tradefleet.stores.sql import tables
from tradefleet.stores.sql.queries import rows

AUDIT, BOTS, ORDERS = tables.audit_log.c, tables.bots.c, tables.orders.c
OUTBOX, TRADES, USERS = tables.outbox.c, tables.trades.c, tables.users.c

Opened = Callable[[], AbstractAsyncContextManager[AsyncConnection]]


class SqlFigures:
    """Counts over everybody's rows."""

    def __init__(self, reading: Opened) -> None:
        self._reading = reading

    async def backlog(self, now: datetime) -> Backlog:
        hooks, leases = tables.webhooks.c, tables.leases.c
        every = select(func.count()).select_from
        async with self._reading() as connection:

            async def count(query: Select[Any]) -> int:
                return await connection.scalar(query) or 0

            oldest = select(func.min(OUTBOX.at), func.count()).where(tables.is_waiting)
            at, notices = (await connection.execute(oldest)).one()
            of_hooks = every(tables.webhooks)
            return Backlog(
                notices=notices,
                oldest_notice=at,
                host_messages=await count(every(tables.host_messages)),
                webhooks_failing=await count(
                    of_hooks.where(hooks.failures > 0, hooks.next_at.is_not(None))
                ),
                webhooks_disabled=await count(of_hooks.where(hooks.next_at.is_(None))),
                leases=await count(
                    every(tables.leases).where(leases.owner != "", leases.expires_at > now)
                ),
            )

    async def dealings(self, since: datetime) -> Dealings:
        async with self._reading() as connection:
            found = await rows(connection, PRESENCES)
            tiers = await rows(connection, TIERS)
            trades = await rows(connection, traded(since))
            orders = await rows(connection, sent(since))
        return Dealings(
            users={row["id"]: Presence(row["created_at"], latest(row)) for row in found},
            tiers={row["tier"]: row["number"] for row in tiers},
            trades={row["strategy"]: (row["number"], row["won"]) for row in trades},
            orders=[
                Timed(
                    let_go(row["decided_at"], row["hold_until"]), row["sent_at"], row["filled_at"]
                )
                for row in orders
            ],
        )


def latest(row: Any) -> datetime | None:
    return max(filter(None, (row["acted"], row["ordered"])), default=None)


def let_go(decided: datetime, held_until: datetime | None) -> datetime:
    return decided if held_until is None else max(decided, held_until)


ACTED = (
    select(AUDIT.user_id, func.max(AUDIT.at).label("acted"))
    .where(AUDIT.actor == AUDIT.user_id)
    .group_by(AUDIT.user_id)
    .subquery()
)
ORDERED = (
    select(ORDERS.user_id, func.max(ORDERS.decided_at).label("ordered"))
    .group_by(ORDERS.user_id)
    .subquery()
)
PRESENCES = (
    select(USERS.id, USERS.created_at, ACTED.c.acted, ORDERED.c.ordered)
    .outerjoin(ACTED, ACTED.c.user_id == USERS.id)
    .outerjoin(ORDERED, ORDERED.c.user_id == USERS.id)
)
TIERS = select(USERS.tier, func.count().label("number")).group_by(USERS.tier)


def traded(since: datetime) -> Select[Any]:
    won = func.sum(case((cast(TRADES.pnl, Float) > 0, 1), else_=0)).label("won")
    query = select(BOTS.strategy, func.count().label("number"), won)
    query = query.join(tables.bots, BOTS.id == TRADES.bot_id).where(TRADES.closed_at >= since)
    return query.group_by(BOTS.strategy)


def sent(since: datetime) -> Select[Any]:
    latest = (
        select(ORDERS.id, ORDERS.decided_at, ORDERS.hold_until, ORDERS.sent_at)
        .where(ORDERS.sent_at.is_not(None), ORDERS.sent_at >= since)
        .order_by(ORDERS.decided_at.desc())
        .limit(TIMED_MAX)
        .subquery()
    )
    fills = tables.fills.c
    first = func.min(fills.filled_at).label("filled_at")
    columns = (latest.c.id, latest.c.decided_at, latest.c.hold_until, latest.c.sent_at)
    query = select(*columns, first).outerjoin(tables.fills, fills.order_id == latest.c.id)
    return query.group_by(*columns)
