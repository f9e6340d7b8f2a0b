"""Alerts on their way to people, as rows."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tradefleet.alert import AlertChange
from tradefleet.delivery import TOO_MANY, WAITING_MAX, AlertDelivery
from tradefleet.stores.sql import tables
from tradefleet.stores.sql.codec import to_plain
from tradefleet.stores.sql.queries import rows
from tradefleet.stores.sql.shapes import Shape
from tradefleet.stores.sql.statements import insert_missing
from tradefleet.webhook import Outcome

DELIVERY = Shape(AlertDelivery, tables.alert_deliveries)
TABLE, SENT = tables.alert_deliveries, tables.alert_deliveries.c
RETRYING = Outcome.RETRYING.value

Opened = Callable[[], AbstractAsyncContextManager[AsyncConnection]]


class SqlAlertDeliveries:
    """The deliveries to all receivers."""

    def __init__(self, reading: Opened, writing: Opened) -> None:
        self._reading = reading
        self._writing = writing

    async def add(self, change: AlertChange, receivers: Sequence[str], now: datetime) -> None:
        row: dict[str, Any] = {
            "alert_id": change.id,
            "state": change.state.value,
            "changed_at": change.at,
            "change": to_plain(change),
            "tries": 0,
            "next_at": now,
            "error": "",
            "outcome": RETRYING,
        }
        async with self._writing() as connection:
            for receiver in receivers:
                await insert_missing(connection, TABLE, {**row, "receiver": receiver})
                await self._bound(connection, receiver, now)

    async def _bound(self, connection: AsyncConnection, receiver: str, now: datetime) -> None:
        """Give up the oldest of too many."""
        waits = (SENT.receiver == receiver, SENT.outcome == RETRYING)
        oldest_kept = (
            select(SENT.id)
            .where(*waits)
            .order_by(SENT.id.desc())
            .offset(WAITING_MAX)
            .limit(1)
            .scalar_subquery()
        )
        given_up = {"next_at": None, "done_at": now, "error": TOO_MANY}
        old = update(TABLE).where(*waits, SENT.id <= oldest_kept)
        await connection.execute(old.values(**given_up, outcome=Outcome.GIVEN_UP.value))

    async def waiting(self, receiver: str, limit: int) -> Sequence[AlertDelivery]:
        query = select(TABLE).where(SENT.receiver == receiver, SENT.outcome == RETRYING)
        return await self._read(query.order_by(SENT.id).limit(limit))

    async def keep(self, deliveries: Sequence[AlertDelivery]) -> None:
        async with self._writing() as connection:
            for each in deliveries:
                columns = {
                    "tries": each.tries,
                    "next_at": each.next_at,
                    "done_at": each.done_at,
                    "error": each.error,
                    "outcome": each.outcome.value,
                }
                await connection.execute(
                    update(TABLE).where(SENT.id == each.id, SENT.outcome == RETRYING), columns
                )

    async def latest(self, limit: int) -> Sequence[AlertDelivery]:
        return await self._read(select(TABLE).order_by(SENT.id.desc()).limit(limit))

    async def _read(self, query: Any) -> Sequence[AlertDelivery]:
        async with self._reading() as connection:
            return [DELIVERY.read(row) for row in await rows(connection, query)]

    async def counts(self) -> Mapping[tuple[str, Outcome], int]:
        query = select(SENT.receiver, SENT.outcome, func.count().label("number"))
        async with self._reading() as connection:
            found = await rows(connection, query.group_by(SENT.receiver, SENT.outcome))
        return {(row["receiver"], Outcome(row["outcome"])): row["number"] for row in found}

    async def forget(self, before: datetime) -> int:
        async with self._writing() as connection:
            return (await connection.execute(delete(TABLE).where(SENT.done_at < before))).rowcount
