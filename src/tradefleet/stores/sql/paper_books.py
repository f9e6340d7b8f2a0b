"""The paper venue's books in SQL: the same database, but never the service's transactions."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from tradefleet.domain.ids import AccountId, OrderId
from tradefleet.domain.order import Fill, Order
from tradefleet.store import PaperAccountState, PaperChange, PaperOrder
from tradefleet.stores.sql import shapes, tables
from tradefleet.stores.sql.codec import from_plain
from tradefleet.stores.sql.queries import rows


class Database(Protocol):
    """What the books need of the store."""

    def reading(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Begin a transaction that writes nothing."""

    async def write_paper(self, changes: Sequence[PaperChange]) -> None:
        """Write changes in one transaction, all or none."""


class SqlPaperBooks:
    """Every paper account's book."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def write(self, changes: Sequence[PaperChange]) -> None:
        if changes:
            await self._database.write_paper(changes)

    async def load(self, account_id: AccountId) -> PaperAccountState | None:
        account, balance, order = tables.paper_accounts, tables.paper_balances, tables.paper_orders
        async with self._database.reading() as connection:
            query: Any = select(account.c.number).where(account.c.account_id == account_id)
            number = await connection.scalar(query)
            if number is None:
                return None
            query = select(balance).where(balance.c.account_id == account_id)
            balances = await rows(connection, query.order_by(balance.c.asset))
            query = select(order).where(order.c.account_id == account_id, tables.is_open)
            orders = await rows(connection, query.order_by(order.c.number, order.c.place))
        return PaperAccountState(
            account_id=account_id,
            number=number,
            balances={row["asset"]: row["amount"] for row in balances},
            open_orders=[paper_order(row) for row in orders],
        )

    async def order(self, account_id: AccountId, order_id: OrderId) -> PaperOrder | None:
        table = tables.paper_orders
        query = select(table).where(table.c.account_id == account_id, table.c.id == order_id)
        async with self._database.reading() as connection:
            found = await rows(connection, query)
        return paper_order(found[0]) if found else None

    async def fills_of(self, account_id: AccountId, order_id: OrderId) -> Sequence[Fill]:
        table = tables.paper_fills
        query = select(table).where(table.c.account_id == account_id, table.c.order_id == order_id)
        async with self._database.reading() as connection:
            found = await rows(connection, query.order_by(table.c.filled_at, table.c.id))
        return [shapes.FILL.read(row) for row in found]

    async def fills_between(
        self, account_id: AccountId, since: datetime, until: datetime
    ) -> Sequence[Fill]:
        table = tables.paper_fills
        query = select(table).where(
            table.c.account_id == account_id,
            table.c.filled_at >= since,
            table.c.filled_at <= until,
        )
        async with self._database.reading() as connection:
            found = await rows(connection, query.order_by(table.c.filled_at, table.c.id))
        return [shapes.FILL.read(row) for row in found]


def paper_order(row: Any) -> PaperOrder:
    return PaperOrder(
        venue_order_id=row["venue_order_id"],
        order=from_plain(Order, row["terms"]),
        open=row["open"],
        filled=row["filled"],
        reject_reason=row["reject_reason"],
    )
