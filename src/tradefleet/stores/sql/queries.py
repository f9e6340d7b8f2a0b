"""Reads of users' rows that more than one part of the store needs."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar, cast

from sqlalchemy import Column, Select, Table, Text, bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tradefleet.domain.bot import BotMemory, BotSpec
from tradefleet.domain.ids import BotId, UserId
from tradefleet.domain.ledger import LedgerEntry, Posting
from tradefleet.domain.limits import GuardMemory, RiskLimits, Scope, Switch
from tradefleet.domain.universe import UniverseSpec
from tradefleet.domain.user import Account, AccountState, Mode, User
from tradefleet.stores.sql import shapes, tables
from tradefleet.stores.sql.codec import from_plain
from tradefleet.stores.sql.glance import Glance, known

T = TypeVar("T")
Reading: TypeAlias = AsyncConnection | Glance  # what one moment of the database is read through
WHOSE = bindparam("whose", type_=Text())  # the user, in a query that is made once


async def rows(
    connection: Reading, query: Any, given: Mapping[str, Any] | None = None, *, beside: bool = False
) -> Sequence[Mapping[str, Any]]:
    """Return what a query finds; given: its parameters; beside: it may find very much."""
    if isinstance(connection, Glance):
        return await connection.rows(query, given or {}, beside=beside)
    found: Any = (await connection.execute(query, given)).mappings().all()
    return cast(Sequence[Mapping[str, Any]], found)


async def rows_of(connection: Reading, query: Select[Any], user_id: UserId) -> Any:
    """Return what a query of one user's finds."""
    return await rows(connection, query, {"whose": user_id})


def own(table: Table, *order: Column[Any], there: bool = False) -> Select[Any]:
    """Return the query of one user's rows; there: only what was not removed."""
    query = select(table).where(table.c.user_id == WHOSE).order_by(*order)
    kept: Select[Any] = known(query.where(table.c.removed_at.is_(None)) if there else query)
    return kept


USER = known(select(tables.users).where(tables.users.c.id == WHOSE))
LIMITS = own(tables.user_limits)
ACCOUNTS = own(tables.accounts, tables.accounts.c.created_at, tables.accounts.c.id)
BOTS = own(tables.bots, tables.bots.c.number, there=True)
UNIVERSES = own(tables.universes, tables.universes.c.created_at, tables.universes.c.id, there=True)
POSITIONS = own(tables.positions)
MEMORIES = known(
    select(tables.bot_memories)
    .join(tables.bots, tables.bots.c.id == tables.bot_memories.c.bot_id)
    .where(tables.bot_memories.c.user_id == WHOSE, tables.bots.c.removed_at.is_(None))
    .order_by(tables.bots.c.number)
)
GUARD = own(tables.guard_memories)
SWITCHES = known(
    select(tables.switches)
    .where(tables.switches.c.user_id.is_(None) | (tables.switches.c.user_id == WHOSE))
    .order_by(tables.switches.c.changed_at, tables.switches.c.scope_id)
)


async def users_of(connection: AsyncConnection, ids: Sequence[UserId]) -> dict[UserId, User]:
    """Return those of these users who exist; as all below, in one query for all of them."""
    found = await rows(connection, select(tables.users).where(tables.users.c.id.in_(ids)))
    return {row["id"]: shapes.USER.read(row) for row in found}


async def read_user(connection: Reading, user_id: UserId) -> User | None:
    found = await rows_of(connection, USER, user_id)
    return shapes.USER.read(found[0]) if found else None


async def limits_of(connection: AsyncConnection, ids: Sequence[UserId]) -> dict[UserId, RiskLimits]:
    table = tables.user_limits
    found = await rows(connection, select(table).where(table.c.user_id.in_(ids)))
    return {row["user_id"]: from_plain(RiskLimits, row["limits"]) for row in found}


async def read_limits(connection: Reading, user_id: UserId) -> RiskLimits | None:
    found = await rows_of(connection, LIMITS, user_id)
    return from_plain(RiskLimits, found[0]["limits"]) if found else None


async def accounts_of(
    connection: AsyncConnection, ids: Sequence[UserId]
) -> dict[UserId, list[Account]]:
    table = tables.accounts
    query = select(table).where(table.c.user_id.in_(ids))
    found = await rows(connection, query.order_by(table.c.created_at, table.c.id))
    return by_user(found, shapes.ACCOUNT.read)


async def read_accounts(connection: Reading, user_id: UserId) -> list[Account]:
    return [shapes.ACCOUNT.read(row) for row in await rows_of(connection, ACCOUNTS, user_id)]


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


async def read_bots(connection: Reading, user_id: UserId) -> list[BotSpec]:
    return [shapes.BOT.read(row) for row in await rows_of(connection, BOTS, user_id)]


async def universes_of(
    connection: AsyncConnection, ids: Sequence[UserId]
) -> dict[UserId, list[UniverseSpec]]:
    table = tables.universes
    query = select(table).where(table.c.user_id.in_(ids), table.c.removed_at.is_(None))
    found = await rows(connection, query.order_by(table.c.created_at, table.c.id))
    return by_user(found, shapes.UNIVERSE.read)


async def read_universes(connection: Reading, user_id: UserId) -> list[UniverseSpec]:
    return [shapes.UNIVERSE.read(row) for row in await rows_of(connection, UNIVERSES, user_id)]


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


async def read_memories(connection: Reading, user_id: UserId) -> dict[BotId, BotMemory]:
    found = await rows_of(connection, POSITIONS, user_id)
    positions = {row["bot_id"]: shapes.POSITION.read(row) for row in found}
    return {
        row["bot_id"]: shapes.MEMORY.read(row, position=positions.get(row["bot_id"]))
        for row in await rows_of(connection, MEMORIES, user_id)
    }


async def guards_of(
    connection: AsyncConnection, ids: Sequence[UserId]
) -> dict[UserId, GuardMemory]:
    table = tables.guard_memories
    found = await rows(connection, select(table).where(table.c.user_id.in_(ids)))
    return {row["user_id"]: shapes.GUARD.read(row) for row in found}


async def read_guard(connection: Reading, user_id: UserId) -> GuardMemory | None:
    found = await rows_of(connection, GUARD, user_id)
    return shapes.GUARD.read(found[0]) if found else None


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


async def read_switches(connection: Reading, user_id: UserId) -> list[Switch]:
    """Return the platform's switches first, then the user's own, the oldest change first."""
    found = [shapes.SWITCH.read(row) for row in await rows_of(connection, SWITCHES, user_id)]
    return sorted(found, key=lambda switch: switch.scope is not Scope.PLATFORM)


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
