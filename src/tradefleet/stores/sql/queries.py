"""Reads of users' rows that more than one part of the store needs."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

from sqlalchemy import Executable, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tradefleet.domain.bot import BotMemory, BotSpec
from tradefleet.domain.ids import BotId, UserId
from tradefleet.domain.ledger import LedgerEntry, Posting
from tradefleet.domain.limits import GuardMemory, RiskLimits, Scope, Switch
from tradefleet.domain.universe import UniverseSpec
from tradefleet.domain.user import Account, AccountState, Mode, User
from tradefleet.stores.sql import shapes, tables
from tradefleet.stores.sql.codec import from_plain

T = TypeVar("T")


async def rows(connection: AsyncConnection, query: Executable) -> Sequence[Mapping[str, Any]]:
    found: Any = (await connection.execute(query)).mappings().all()
    return cast(Sequence[Mapping[str, Any]], found)


async def users_of(connection: AsyncConnection, ids: Sequence[UserId]) -> dict[UserId, User]:
    """Return those of these users who exist; as all below, in one query for all of them."""
    found = await rows(connection, select(tables.users).where(tables.users.c.id.in_(ids)))
    return {row["id"]: shapes.USER.read(row) for row in found}


async def read_user(connection: AsyncConnection, user_id: UserId) -> User | None:
    return (await users_of(connection, [user_id])).get(user_id)


async def limits_of(connection: AsyncConnection, ids: Sequence[UserId]) -> dict[UserId, RiskLimits]:
    table = tables.user_limits
    found = await rows(connection, select(table).where(table.c.user_id.in_(ids)))
    return {row["user_id"]: from_plain(RiskLimits, row["limits"]) for row in found}


async def read_limits(connection: AsyncConnection, user_id: UserId) -> RiskLimits | None:
    return (await limits_of(connection, [user_id])).get(user_id)


async def accounts_of(
    connection: AsyncConnection, ids: Sequence[UserId]
) -> dict[UserId, list[Account]]:
    table = tables.accounts
    query = select(table).where(table.c.user_id.in_(ids))
    found = await rows(connection, query.order_by(table.c.created_at, table.c.id))
    return by_user(found, shapes.ACCOUNT.read)


async def read_accounts(connection: AsyncConnection, user_id: UserId) -> list[Account]:
    return (await accounts_of(connection, [user_id]))[user_id]


async def read_active_accounts(connection: AsyncConnection, mode: Mode) -> list[Account]:
    """Return everybody's connected accounts of a mode."""
    table = tables.accounts
    query = select(table).where(table.c.mode == mode, table.c.state == AccountState.ACTIVE)
    found = await rows(connection, query.order_by(table.c.id))
    return [shapes.ACCOUNT.read(row) for row in found]


async def bots_of(
    connection: AsyncConnection, ids: Sequence[UserId]
) -> dict[UserId, list[BotSpec]]:
    table = tables.bots
    query = select(table).where(table.c.user_id.in_(ids), table.c.removed_at.is_(None))
    return by_user(await rows(connection, query.order_by(table.c.number)), shapes.BOT.read)


async def read_bots(connection: AsyncConnection, user_id: UserId) -> list[BotSpec]:
    return (await bots_of(connection, [user_id]))[user_id]


async def universes_of(
    connection: AsyncConnection, ids: Sequence[UserId]
) -> dict[UserId, list[UniverseSpec]]:
    table = tables.universes
    query = select(table).where(table.c.user_id.in_(ids), table.c.removed_at.is_(None))
    found = await rows(connection, query.order_by(table.c.created_at, table.c.id))
    return by_user(found, shapes.UNIVERSE.read)


async def read_universes(connection: AsyncConnection, user_id: UserId) -> list[UniverseSpec]:
    return (await universes_of(connection, [user_id]))[user_id]


async def memories_of(
    connection: AsyncConnection, ids: Sequence[UserId]
) -> dict[UserId, dict[BotId, BotMemory]]:
    """Return what the bots that still exist remember."""
    position = tables.positions
    query = select(position).where(position.c.user_id.in_(ids))
    positions = {row["bot_id"]: shapes.POSITION.read(row) for row in await rows(connection, query)}
    memory, bot = tables.bot_memories, tables.bots
    query = (
        select(memory)
        .join(bot, bot.c.id == memory.c.bot_id)
        .where(memory.c.user_id.in_(ids), bot.c.removed_at.is_(None))
        .order_by(bot.c.number)
    )
    found: dict[UserId, dict[BotId, BotMemory]] = defaultdict(dict)
    for row in await rows(connection, query):
        bot_id = row["bot_id"]
        read = shapes.MEMORY.read(row, position=positions.get(bot_id))
        found[row["user_id"]][bot_id] = read
    return found


async def read_memories(connection: AsyncConnection, user_id: UserId) -> dict[BotId, BotMemory]:
    return (await memories_of(connection, [user_id]))[user_id]


async def guards_of(
    connection: AsyncConnection, ids: Sequence[UserId]
) -> dict[UserId, GuardMemory]:
    table = tables.guard_memories
    found = await rows(connection, select(table).where(table.c.user_id.in_(ids)))
    return {row["user_id"]: shapes.GUARD.read(row) for row in found}


async def read_guard(connection: AsyncConnection, user_id: UserId) -> GuardMemory | None:
    return (await guards_of(connection, [user_id])).get(user_id)


async def switches_of(
    connection: AsyncConnection, ids: Sequence[UserId]
) -> dict[UserId, list[Switch]]:
    """Return for each the platform's switch first, then their own, oldest change first."""
    table = tables.switches
    covering = table.c.user_id.is_(None) | table.c.user_id.in_(ids)
    query = select(table).where(covering).order_by(table.c.changed_at, table.c.scope_id)
    found = await rows(connection, query)
    platform = [shapes.SWITCH.read(row) for row in found if row["scope"] == Scope.PLATFORM]
    own = by_user([row for row in found if row["scope"] != Scope.PLATFORM], shapes.SWITCH.read)
    return {user_id: [*platform, *own[user_id]] for user_id in ids}


async def read_switches(connection: AsyncConnection, user_id: UserId) -> list[Switch]:
    return (await switches_of(connection, [user_id]))[user_id]


def by_user(
    found: Sequence[Mapping[str, Any]], read: Callable[[Mapping[str, Any]], T]
) -> dict[UserId, list[T]]:
    """Return what rows say, in their order, apart for each user."""
    sorted_out: dict[UserId, list[T]] = defaultdict(list)
    for row in found:
        sorted_out[row["user_id"]].append(read(row))
    return sorted_out


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
