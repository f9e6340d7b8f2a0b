"""How much there is of everything, counted by the database."""

from datetime import datetime
from typing import Any

from sqlalchemy import Select, distinct, func, select, union
from sqlalchemy.ext.asyncio import AsyncConnection

from tradefleet.domain.bot import MANUAL, BotStatus
from tradefleet.domain.user import AccountState
from tradefleet.store import Census
from tradefleet.stores.sql import tables


async def census(connection: AsyncConnection, since: datetime) -> Census:
    user, bot, position = tables.users.c, tables.bots.c, tables.positions.c

    async def count(query: Select[Any]) -> int:
        return await connection.scalar(query) or 0

    pairs = select(func.count()).select_from(tables.bots)
    pairs = pairs.where(bot.removed_at.is_(None), bot.strategy != MANUAL)
    runs = bot.removed_at.is_(None) & (bot.status == BotStatus.RUNNING)
    active = union(select(bot.user_id).where(runs), select(position.user_id)).subquery()
    every = select(func.count()).select_from
    there = user.erased_at.is_(None)
    tiers = await connection.execute(
        select(user.tier, func.count()).where(there).group_by(user.tier)
    )
    return Census(
        users=await count(every(tables.users).where(there)),
        active=await count(select(func.count(distinct(active.c.user_id)))),
        registered=await count(every(tables.users).where(user.created_at >= since)),
        by_tier={row[0]: row[1] for row in tiers},
        accounts=await count(
            every(tables.accounts).where(tables.accounts.c.state == AccountState.ACTIVE)
        ),
        bots=await count(pairs),
        running=await count(pairs.where(runs)),
        positions=await count(every(tables.positions)),
        orders=await count(every(tables.orders).where(tables.orders.c.decided_at >= since)),
        trades=await count(every(tables.trades).where(tables.trades.c.closed_at >= since)),
    )
