"""Reports of processes and alerts as rows."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, or_, select, union, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tradefleet.alert import Alert, AlertState, Level
from tradefleet.domain.bot import BotStatus
from tradefleet.domain.health import Metric
from tradefleet.health import ALERTS_KEPT, ProcessReport, Standing
from tradefleet.stores.sql import tables
from tradefleet.stores.sql.codec import from_plain, to_plain
from tradefleet.stores.sql.queries import rows
from tradefleet.stores.sql.statements import save
from tradefleet.stores.sql.user_store import NOBODY

ALERTS = tables.alerts.c
REPORTS = tables.process_reports.c
NAMES = tuple(each.name for each in fields(Alert))
# What the judge of alerts never writes: it is said by whoever acknowledges.
ACKNOWLEDGED = frozenset({"acknowledged_at", "acknowledged_by", "note"})
LEVELS = ("told", "told_worst")  # "" for none

Opened = Callable[[], AbstractAsyncContextManager[AsyncConnection]]


class SqlHealth:
    """What the database keeps of health."""

    def __init__(self, reading: Opened, writing: Opened) -> None:
        self._reading = reading
        self._writing = writing

    async def standing(self, now: datetime) -> Standing:
        outbox, message = tables.outbox.c, tables.host_messages.c
        due = select(func.count(), func.min(outbox.id)).where(
            tables.is_waiting, outbox.due_at <= now
        )
        waiting = select(func.count(), func.min(message.id))
        async with self._reading() as connection:
            notices, first_notice = (await connection.execute(due)).one()
            messages, first_message = (await connection.execute(waiting)).one()
            unowned = await connection.scalar(unowned_users(now))
        return Standing(
            notices=notices,
            first_notice=first_notice,
            messages=messages,
            first_message=first_message,
            unowned=unowned or 0,
        )

    async def report(self, report: ProcessReport) -> None:
        row = {
            "owner": report.owner,
            "measured_at": report.measured_at,
            "every": report.every,
            "recovered": report.recovered,
            "metrics": to_plain(dict(report.metrics)),
        }
        async with self._writing() as connection:
            await save(connection, tables.process_reports, row)

    async def reports(self) -> Sequence[ProcessReport]:
        query = select(tables.process_reports).order_by(REPORTS.owner)
        async with self._reading() as connection:
            return [report_of(row) for row in await rows(connection, query)]

    async def forget_report(self, owner: str) -> None:
        async with self._writing() as connection:
            await connection.execute(delete(tables.process_reports).where(REPORTS.owner == owner))

    async def keep_alert(self, alert: Alert) -> None:
        row = {name: plain(name, getattr(alert, name)) for name in NAMES}
        async with self._writing() as connection:
            changes = {name: value for name, value in row.items() if name not in ACKNOWLEDGED}
            changed = update(tables.alerts).where(ALERTS.id == alert.id).values(changes)
            if (await connection.execute(changed)).rowcount == 0:
                await connection.execute(tables.alerts.insert(), row)
                old = (ALERTS.id <= alert.id - ALERTS_KEPT, ALERTS.resolved_at.is_not(None))
                await connection.execute(delete(tables.alerts).where(*old))

    async def alerts(self, limit: int, *, only_open: bool = False) -> Sequence[Alert]:
        query = select(tables.alerts).order_by(ALERTS.id.desc()).limit(limit)
        if only_open:
            query = query.where(ALERTS.resolved_at.is_(None))
        async with self._reading() as connection:
            return [alert_of(row) for row in await rows(connection, query)]

    async def acknowledge(self, id: int, *, by: str, note: str, at: datetime) -> Alert | None:
        done = (
            update(tables.alerts)
            .where(ALERTS.id == id, ALERTS.resolved_at.is_(None))
            .values(acknowledged_at=at, acknowledged_by=by, note=note)
            .returning(tables.alerts)
        )
        async with self._writing() as connection:
            found = await rows(connection, done)
        return alert_of(found[0]) if found else None


def unowned_users(now: datetime) -> Any:
    """Return the count of users with something to run whose lease nobody holds now."""
    bot, order, lease = tables.bots.c, tables.orders.c, tables.leases.c
    busy = union(
        select(bot.user_id).where(bot.status == BotStatus.RUNNING, bot.removed_at.is_(None)),
        select(tables.positions.c.user_id),
        select(order.user_id).where(tables.is_working),
    )
    free = or_(lease.owner == NOBODY, lease.expires_at <= now)
    return select(func.count()).select_from(tables.leases).where(free, lease.user_id.in_(busy))


def plain(name: str, value: Any) -> Any:
    """Return a field of an alert as its column has it."""
    if name in (*LEVELS, "untold"):
        return "" if value is None else value.value
    return value.value if name == "level" else value


def alert_of(row: Mapping[str, Any]) -> Alert:
    values = {name: row[name] for name in NAMES}
    values |= {name: Level(row[name]) if row[name] else None for name in LEVELS}
    values["untold"] = AlertState(row["untold"]) if row["untold"] else None
    return Alert(**{**values, "level": Level(row["level"])})


def report_of(row: Mapping[str, Any]) -> ProcessReport:
    metrics = {name: from_plain(Metric, plain) for name, plain in row["metrics"].items()}
    names = ("owner", "measured_at", "every", "recovered")
    return ProcessReport(**{name: row[name] for name in names}, metrics=metrics)
