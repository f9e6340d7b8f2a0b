"""What a user did and what was decided for them, read inside one transaction."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tradefleet.domain.effects import Decided
from tradefleet.domain.ids import AccountId, BotId, OrderId, UserId
from tradefleet.domain.ledger import LedgerEntry
from tradefleet.domain.limits import GuardMemory
from tradefleet.domain.order import Fill, Order, OrderState
from tradefleet.domain.paging import Page
from tradefleet.domain.position import Trade
from tradefleet.store import Answer, SignalNote
from tradefleet.stores.sql import queries, shapes, tables
from tradefleet.stores.sql.queries import entries_of, rows


class UserReads:
    """The reading half of a user's store."""

    def __init__(self, connection: AsyncConnection, user_id: UserId) -> None:
        self._connection = connection
        self._user_id = user_id

    @property
    def user_id(self) -> UserId:
        return self._user_id

    async def guard(self) -> GuardMemory | None:
        return await queries.read_guard(self._connection, self._user_id)

    async def orders(self, bot_id: BotId | None = None, limit: int = 100) -> Sequence[Order]:
        found: list[Order] = []
        for part in (tables.is_working, tables.is_final):  # each has its index
            query = self._latest(tables.orders, "decided_at", bot_id, limit).where(part)
            found += [shapes.ORDER.read(row) for row in await rows(self._connection, query)]
        return sorted(found, key=lambda order: (order.decided_at, order.id))[-limit:]

    def _latest(self, table: Any, time: str, bot_id: BotId | None, limit: int) -> Select[Any]:
        query = select(table).where(table.c.user_id == self._user_id)
        if bot_id is not None:
            query = query.where(table.c.bot_id == bot_id)
        return query.order_by(table.c[time].desc(), table.c.id.desc()).limit(limit)

    async def order(self, order_id: OrderId) -> Order | None:
        table = tables.orders
        query = select(table).where(table.c.user_id == self._user_id, table.c.id == order_id)
        found = await rows(self._connection, query)
        return shapes.ORDER.read(found[0]) if found else None

    async def order_page(
        self, page: Page, *, states: Collection[OrderState] | None = None
    ) -> Sequence[Order]:
        found: list[Order] = []
        for part in (tables.is_working, tables.is_final):  # each has its index
            query = self._page(tables.orders, "decided_at", page).where(part)
            if states is not None:
                query = query.where(tables.orders.c.state.in_(states))
            found += [shapes.ORDER.read(row) for row in await rows(self._connection, query)]
        newest = sorted(found, key=lambda order: (order.decided_at, order.id), reverse=True)
        return newest[: page.limit]

    async def trade_page(self, page: Page) -> Sequence[Trade]:
        query = self._page(tables.trades, "closed_at", page)
        return [shapes.TRADE.read(row) for row in await rows(self._connection, query)]

    def _page(self, table: Any, time: str, page: Page) -> Select[Any]:
        query = self._latest(table, time, None, page.limit)
        at, id = table.c[time], table.c.id
        if page.before is not None:
            older = or_(at < page.before.at, id < page.before.id)
            query = query.where(at <= page.before.at, older)  # the first half is the index's
        if page.since is not None:
            query = query.where(at >= page.since)
        if page.symbol is not None:
            query = query.where(table.c.symbol == str(page.symbol))
        return query

    async def fills(self, order_ids: Sequence[OrderId]) -> Sequence[Fill]:
        table = tables.fills
        query = (
            select(table)
            .where(table.c.user_id == self._user_id, table.c.order_id.in_(order_ids))
            .order_by(table.c.filled_at, table.c.id)
        )
        return [shapes.FILL.read(row) for row in await rows(self._connection, query)]

    async def trades(
        self, *, since: datetime | None = None, bot_id: BotId | None = None, limit: int = 1000
    ) -> Sequence[Trade]:
        query = self._latest(tables.trades, "closed_at", bot_id, limit)
        if since is not None:
            query = query.where(tables.trades.c.closed_at >= since)
        found = await rows(self._connection, query)
        return [shapes.TRADE.read(row) for row in reversed(found)]

    async def entries(self, account_id: AccountId | None = None) -> Sequence[LedgerEntry]:
        table = tables.ledger_entries
        query = select(table).where(table.c.user_id == self._user_id)
        if account_id is not None:
            query = query.where(table.c.account_id == account_id)
        query = query.order_by(table.c.booked_at, table.c.entry_id, table.c.line)
        return entries_of(await rows(self._connection, query))

    async def decisions(self, bot_id: BotId, limit: int = 20) -> Sequence[Decided]:
        table = tables.decisions
        query = (
            select(table)
            .where(table.c.user_id == self._user_id, table.c.bot_id == bot_id)
            .order_by(table.c.at.desc(), table.c.outcome.desc(), table.c.guard.desc())
            .limit(limit)
        )
        found = await rows(self._connection, query)
        return [shapes.DECIDED.read(row) for row in reversed(found)]

    async def signal_notes(self, group: str, limit: int = 20) -> Sequence[SignalNote]:
        table = tables.signals
        query = select(table).where(table.c.follower_group == group)
        found = await rows(self._connection, query.order_by(table.c.id.desc()).limit(limit))
        return [
            SignalNote(group=group, at=row["at"], kind=row["kind"], text=row["text"])
            for row in reversed(found)
        ]

    async def answer(self, key: str) -> Answer | None:
        table = tables.idempotency
        query = select(table).where(table.c.user_id == self._user_id, table.c.key == key)
        found = await rows(self._connection, query)
        return shapes.ANSWER.read(found[0]) if found else None
