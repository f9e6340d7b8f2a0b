"""Reads of one user's rows that more than one part of the store needs."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, cast

from sqlalchemy import Executable, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tradefleet.domain.bot import BotMemory, BotSpec
from tradefleet.domain.ids import BotId, UserId
from tradefleet.domain.ledger import LedgerEntry, Posting
from tradefleet.domain.limits import GuardMemory, RiskLimits, Scope, Switch
from tradefleet.domain.user import Account, AccountState, Mode, User
from tradefleet.stores.sql import shapes, tables
from tradefleet.stores.sql.codec import from_plain


async def rows(connection: AsyncConnection, query: Executable) -> Sequence[Mapping[str, Any]]:
    found: Any = (await connection.execute(query)).mappings().all()
    return cast(Sequence[Mapping[str, Any]], found)


async def read_user(connection: AsyncConnection, user_id: UserId) -> User | None:
    found = await rows(connection, select(tables.users).where(tables.users.c.id == user_id))
    return shapes.USER.read(found[0]) if found else None


async def read_limits(connection: AsyncConnection, user_id: UserId) -> RiskLimits | None:
    limits = tables.user_limits.c
    found = await connection.scalar(select(limits.limits).where(limits.user_id == user_id))
    return from_plain(RiskLimits, found) if found is not None else None


async def read_accounts(connection: AsyncConnection, user_id: UserId) -> list[Account]:
    table = tables.accounts
    query = select(table).where(table.c.user_id == user_id)
    found = await rows(connection, query.order_by(table.c.created_at, table.c.id))
    return [shapes.ACCOUNT.read(row) for row in found]


async def read_active_accounts(connection: AsyncConnection, mode: Mode) -> list[Account]:
    """Return everybody's connected accounts of a mode."""
    table = tables.accounts
    query = select(table).where(table.c.mode == mode, table.c.state == AccountState.ACTIVE)
    found = await rows(connection, query.order_by(table.c.id))
    return [shapes.ACCOUNT.read(row) for row in found]


async def read_bots(connection: AsyncConnection, user_id: UserId) -> list[BotSpec]:
    table = tables.bots
    query = select(table).where(table.c.user_id == user_id, table.c.removed_at.is_(None))
    return [shapes.BOT.read(row) for row in await rows(connection, query.order_by(table.c.number))]


async def read_memories(connection: AsyncConnection, user_id: UserId) -> dict[BotId, BotMemory]:
    """Return what the bots that still exist remember."""
    position = tables.positions
    query = select(position).where(position.c.user_id == user_id)
    positions = {row["bot_id"]: shapes.POSITION.read(row) for row in await rows(connection, query)}
    memory, bot = tables.bot_memories, tables.bots
    query = (
        select(memory)
        .join(bot, bot.c.id == memory.c.bot_id)
        .where(memory.c.user_id == user_id, bot.c.removed_at.is_(None))
        .order_by(bot.c.number)
    )
    return {
        row["bot_id"]: shapes.MEMORY.read(row, position=positions.get(row["bot_id"]))
        for row in await rows(connection, query)
    }


async def read_guard(connection: AsyncConnection, user_id: UserId) -> GuardMemory | None:
    table = tables.guard_memories
    found = await rows(connection, select(table).where(table.c.user_id == user_id))
    return shapes.GUARD.read(found[0]) if found else None


async def read_switches(connection: AsyncConnection, user_id: UserId) -> list[Switch]:
    """Return the platform's switch first, then the user's own, oldest change first."""
    table = tables.switches
    mine = table.c.user_id.is_(None) | (table.c.user_id == user_id)
    query = select(table).where(mine).order_by(table.c.changed_at, table.c.scope_id)
    found = [shapes.SWITCH.read(row) for row in await rows(connection, query)]
    return sorted(found, key=lambda switch: switch.scope is not Scope.PLATFORM)


def entries_of(lines: Sequence[Mapping[str, Any]]) -> list[LedgerEntry]:
    """Put the rows of postings, in order of entry and line, together again."""
    postings: dict[str, list[Posting]] = defaultdict(list)
    heads: dict[str, Mapping[str, Any]] = {}
    for line in lines:
        heads[line["entry_id"]] = line
        posting = Posting(line["place"], line["asset"], line["amount"])
        postings[line["entry_id"]].append(posting)
    return [
        LedgerEntry(
            id=entry_id,
            user_id=head["user_id"],
            account_id=head["account_id"],
            kind=head["kind"],
            booked_at=head["booked_at"],
            postings=tuple(postings[entry_id]),
        )
        for entry_id, head in heads.items()
    ]


def lines_of(entry: LedgerEntry) -> list[list[Any]]:
    """Return the rows of an entry's postings, in the order of LINE_COLUMNS."""
    head = [entry.user_id, entry.id]
    tail = [entry.account_id, entry.kind, entry.booked_at]
    return [
        [*head, number, *tail, posting.place, posting.asset, posting.amount]
        for number, posting in enumerate(entry.postings)
    ]


LINE_COLUMNS = tuple(column.name for column in tables.ledger_entries.c)
