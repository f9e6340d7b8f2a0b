"""Notices on their way to users, messages on their way to hosts, notes for whoever asks why."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import and_, delete, insert, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tradefleet.domain.effects import Notify, Topic
from tradefleet.domain.notices import DEFAULTS, Loudness
from tradefleet.store import HostMessage, OutboxNotice, SignalNote
from tradefleet.stores.sql import tables
from tradefleet.stores.sql.queries import rows

USUAL_PRIORITY = 5


async def due(connection: AsyncConnection, *, now: datetime, limit: int) -> Sequence[OutboxNotice]:
    outbox, user, chosen = tables.outbox, tables.users.c, tables.loudness.c
    is_of_it = and_(chosen.user_id == outbox.c.user_id, chosen.topic == outbox.c.topic)
    query = (
        select(outbox, user.telegram_id, chosen.loudness)
        .join(tables.users, user.id == outbox.c.user_id)
        .outerjoin(tables.loudness, is_of_it)
        .where(tables.is_waiting, outbox.c.due_at <= now)
        .order_by(outbox.c.priority, outbox.c.at, outbox.c.id)
        .limit(limit)
    )
    return [notice_of(row) for row in await rows(connection, query)]


def notice_of(row: Mapping[str, Any]) -> OutboxNotice:
    notice = Notify(
        user_id=row["user_id"],
        topic=Topic(row["topic"]),
        text=row["text"],
        at=row["at"],
        priority=row["priority"],
    )
    return OutboxNotice(
        id=row["id"],
        notice=notice,
        telegram_id=row["telegram_id"],
        tries=row["tries"],
        loudness=Loudness(row["loudness"] or DEFAULTS[notice.topic]),
    )


async def sent(connection: AsyncConnection, ids: Sequence[int], *, now: datetime) -> None:
    outbox = tables.outbox
    await connection.execute(update(outbox).where(outbox.c.id.in_(ids)).values(sent_at=now))


async def failed(
    connection: AsyncConnection, id: int, *, retry_at: datetime | None, error: str
) -> None:
    outbox = tables.outbox
    await connection.execute(
        update(outbox)
        .where(outbox.c.id == id)
        .values(tries=outbox.c.tries + 1, due_at=retry_at, error=error)
    )


async def put_off(
    connection: AsyncConnection, ids: Sequence[int], *, until: datetime | None, error: str
) -> None:
    outbox = tables.outbox
    put_off = update(outbox).where(outbox.c.id.in_(ids)).values(due_at=until, error=error)
    await connection.execute(put_off)


async def post_to_all(connection: AsyncConnection, topic: Topic, text: str, at: datetime) -> int:
    """Put a notice for every user into the outbox."""
    outbox, names = tables.outbox, ("user_id", "topic", "text", "at", "priority", "tries")
    said = [literal(topic.value), literal(text), literal(at, outbox.c.at.type)]
    plain = [*said, literal(USUAL_PRIORITY), literal(0), literal(at, outbox.c.due_at.type)]
    there = tables.users.c.erased_at.is_(None)
    everybody = select(tables.users.c.id, *plain, literal("")).where(there)
    added = insert(outbox).from_select([*names, "due_at", "error"], everybody)
    return (await connection.execute(added)).rowcount


async def messages_for(
    connection: AsyncConnection, owner: str, limit: int
) -> Sequence[HostMessage]:
    message, lease = tables.host_messages, tables.leases.c
    query = (
        select(message)
        .join(tables.leases, lease.user_id == message.c.user_id)
        .where(lease.owner == owner)
        .order_by(message.c.id)
        .limit(limit)
    )
    return [HostMessage(**row) for row in await rows(connection, query)]


async def drop_messages(connection: AsyncConnection, ids: Sequence[int]) -> None:
    messages: Any = tables.host_messages
    await connection.execute(delete(messages).where(messages.c.id.in_(ids)))


async def note_signals(
    connection: AsyncConnection, notes: Sequence[SignalNote], *, keep: int
) -> None:
    """Add notes, then drop all but the latest of each group they belong to."""
    signals = tables.signals
    if not notes:
        return
    added = [
        {"follower_group": note.group, "at": note.at, "kind": note.kind, "text": note.text}
        for note in notes
    ]
    await connection.execute(insert(signals), added)
    for group in sorted({note.group for note in notes}):
        mine = signals.c.follower_group == group
        oldest_kept = (
            select(signals.c.id)
            .where(mine)
            .order_by(signals.c.id.desc())
            .offset(keep)
            .limit(1)
            .scalar_subquery()
        )
        await connection.execute(delete(signals).where(mine, signals.c.id <= oldest_kept))
