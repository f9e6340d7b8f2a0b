"""Webhooks and their deliveries as rows."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import cast

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tradefleet.domain.errors import ensure
from tradefleet.domain.ids import UserId
from tradefleet.stores.sql import tables
from tradefleet.stores.sql.queries import Reading, rows
from tradefleet.stores.sql.shapes import Shape
from tradefleet.stores.sql.statements import save
from tradefleet.webhook import DELIVERIES_KEPT, Delivery, Webhook

WEBHOOK = Shape(Webhook, tables.webhooks)
DELIVERY = Shape(Delivery, tables.webhook_deliveries)
HOOKS, SENT, HEADS = tables.webhooks.c, tables.webhook_deliveries.c, tables.event_heads.c

Opened = Callable[[], AbstractAsyncContextManager[AsyncConnection]]


class SqlUserWebhooks:
    """One user's webhooks, in that user's transaction."""

    def __init__(self, connection: Reading, user_id: UserId, *, reading: bool) -> None:
        self._connection = connection
        self._user_id = user_id
        self._reading = reading

    @property
    def _writing(self) -> AsyncConnection:
        ensure(not self._reading, "a change in a transaction that was opened for reading")
        return cast(AsyncConnection, self._connection)

    async def all(self) -> Sequence[Webhook]:
        query = select(tables.webhooks).where(HOOKS.user_id == self._user_id)
        found = await rows(self._connection, query.order_by(HOOKS.created_at, HOOKS.id))
        return [WEBHOOK.read(row) for row in found]

    async def save(self, webhook: Webhook) -> None:
        ensure(webhook.user_id == self._user_id, "a row of another user")
        await save(self._writing, tables.webhooks, WEBHOOK.columns(webhook))

    async def remove(self, id: str) -> None:
        mine = (SENT.user_id == self._user_id, SENT.webhook_id == id)
        await self._writing.execute(delete(tables.webhook_deliveries).where(*mine))
        gone = delete(tables.webhooks).where(HOOKS.user_id == self._user_id, HOOKS.id == id)
        await self._writing.execute(gone)

    async def note(self, delivery: Delivery) -> None:
        row = {**DELIVERY.columns(delivery), "user_id": self._user_id}
        await save(self._writing, tables.webhook_deliveries, row)
        mine = (SENT.user_id == self._user_id, SENT.webhook_id == delivery.webhook_id)
        oldest_kept = (
            select(SENT.number)
            .where(*mine)
            .order_by(SENT.number.desc())
            .offset(DELIVERIES_KEPT)
            .limit(1)
            .scalar_subquery()
        )
        old = delete(tables.webhook_deliveries).where(*mine, SENT.number <= oldest_kept)
        await self._writing.execute(old)

    async def deliveries(self, id: str, limit: int) -> Sequence[Delivery]:
        query = select(tables.webhook_deliveries).where(
            SENT.user_id == self._user_id, SENT.webhook_id == id
        )
        found = await rows(self._connection, query.order_by(SENT.number.desc()).limit(limit))
        return [DELIVERY.read(row) for row in found]


class SqlWebhookStore:
    """Everybody's webhooks, for who sends."""

    def __init__(self, reading: Opened) -> None:
        self._reading = reading

    async def due(self, now: datetime, limit: int) -> Sequence[Webhook]:
        query = (
            select(tables.webhooks)
            .join(tables.event_heads, HEADS.user_id == HOOKS.user_id)
            .where(HOOKS.next_at <= now, HEADS.last > HOOKS.done)
            .order_by(HOOKS.next_at, HOOKS.id)
            .limit(limit)
        )
        async with self._reading() as connection:
            return [WEBHOOK.read(row) for row in await rows(connection, query)]
