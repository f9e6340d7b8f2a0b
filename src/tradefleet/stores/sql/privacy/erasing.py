"""One user's rows deleted, or put under a pseudonym, in one transaction.

A new row of users and new ones of accounts take over what is kept; then the old ones go. While the
table `erasing` holds what becomes what, rows that are append-only may follow, and only so.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Table,
    Text,
    case,
    cast,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from tradefleet.domain.audit import ERASED
from tradefleet.domain.errors import NotThere, Refused
from tradefleet.domain.ids import UserId
from tradefleet.domain.user import AccountState, Role
from tradefleet.drawing import count
from tradefleet.operations.privacy.records import Erased
from tradefleet.stores.sql import tables
from tradefleet.stores.sql.privacy.exporting import is_theirs
from tradefleet.stores.sql.privacy.rules import BY_NAME, RULES, Fate
from tradefleet.stores.sql.queries import rows
from tradefleet.stores.sql.statements import save
from tradefleet.stores.sql.tables import METADATA

STILL_OPEN = (
    "{positions} open and {orders} on their way: close them first (/emergency flatten, then wait "
    "until /position shows none), and ask again."
)
BANNED = "erased"
SOMEBODY = "(about somebody who was erased)"
# Words about one user may stand in rows of another: in notices to the operator's people above all.
MENTIONING = (
    (tables.outbox, "text"),
    (tables.events, "data"),
    (tables.idempotency, "reply"),
    (tables.audit_log, "detail"),
)
COLUMN_OF = {table.name: column for table, column in MENTIONING}
MENTIONS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Mention:
    """A row of another user that names this one; words: without the name."""

    table: Table
    key: Mapping[str, Any]
    whose: str
    words: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Order:
    """What somebody becomes, when, and who says so; force: whatever is open."""

    pseudonym: UserId
    at: datetime
    by_whom: str
    reason: str
    force: bool


async def names_of(connection: AsyncConnection, user_id: UserId) -> tuple[str, ...]:
    """Return by what a user may be named; NotThere when there is nobody of that id."""
    user = tables.users.c
    query = select(user.username, user.telegram_id).where(
        user.id == user_id, user.erased_at.is_(None)
    )
    found = await rows(connection, query)
    if not found:
        raise NotThere(f"There is no user {user_id}.")
    telegram = found[0]["telegram_id"]
    named = (user_id, found[0]["username"], "" if telegram is None else str(telegram))
    return tuple(dict.fromkeys(filter(None, named)))


async def mentions(
    connection: AsyncConnection, user_id: UserId, names: Sequence[str]
) -> list[Mention]:
    """Find others' rows that name a user; read before the erasing, so that nobody waits for it."""
    found = []
    words = re.compile("|".join(rf"(?<![\w-]){re.escape(name)}(?![\w-])" for name in names))
    for table, column in MENTIONING:
        said = cast(table.c[column], Text)
        keys = [each for each in table.primary_key if each.name != "user_id"]
        query = select(table.c.user_id, said.label("said"), *keys).where(
            table.c.user_id != user_id,
            or_(*(said.contains(json_inside(name), autoescape=True) for name in names)),
        )
        if table is tables.audit_log:  # what says who was erased names a pseudonym, and must stay
            query = query.where(table.c.action != ERASED)
        result = await connection.stream(query.execution_options(yield_per=MENTIONS_AT_ONCE))
        async for row in result.mappings():
            if words.search(row["said"]):
                key = {each.name: row[each.name] for each in keys}
                left = without(row["said"], words)
                found.append(Mention(table, key, row["user_id"], left))
    return found


def without(said: str, words: re.Pattern[str]) -> str:
    """Return what is left of a text, or of the texts in JSON, when those with a name go."""
    try:
        read = json.loads(said)
    except ValueError:
        return SOMEBODY
    if not isinstance(read, dict | list):
        return SOMEBODY
    return json.dumps(left_of(read, words), ensure_ascii=False, separators=(",", ":"))


def left_of(value: Any, words: re.Pattern[str]) -> Any:
    if isinstance(value, str):
        return SOMEBODY if words.search(value) else value
    if isinstance(value, list):
        return [left_of(each, words) for each in value]
    if isinstance(value, dict):
        return {left_of(name, words): left_of(each, words) for name, each in value.items()}
    return SOMEBODY if words.search(str(value)) else value


def json_inside(name: str) -> str:
    """Return a name as it stands in JSON that is no ASCII only when the name is."""
    return name if name.isascii() else name.encode("ascii", "ignore").decode() or name


async def refuse_while_open(connection: AsyncConnection, user_id: UserId) -> None:
    position, order = tables.positions, tables.orders
    held = select(func.count()).select_from(position).where(position.c.user_id == user_id)
    working = select(func.count()).select_from(order).where(order.c.user_id == user_id)
    positions = await connection.scalar(held) or 0
    orders = await connection.scalar(working.where(tables.is_working)) or 0
    if positions or orders:
        said = {"positions": count(positions, "position"), "orders": count(orders, "order")}
        raise Refused(STILL_OPEN.format(**said))


async def erase(
    connection: AsyncConnection, user_id: UserId, order: Order, found: Sequence[Mention]
) -> Erased:
    """Erase a user whose others' mentions were found; Refused while anything is open."""
    names = await names_of(connection, user_id)  # who was erased meanwhile is not there
    pseudonym, at = order.pseudonym, order.at
    counts: dict[str, int] = {}
    # First, so that a host which is about to write for this user waits, and then may not.
    await connection.execute(delete(tables.leases).where(tables.leases.c.user_id == user_id))
    if not order.force:
        await refuse_while_open(connection, user_id)
    accounts = await take_over(connection, user_id, pseudonym, at)
    await permit(connection, {user_id: pseudonym, **accounts}, found)
    for table in reversed(METADATA.sorted_tables):
        rule = BY_NAME.get(table.name)
        if rule is not None and rule.fate is Fate.DELETED:
            gone = await connection.execute(delete(table).where(is_theirs(rule, user_id)))
            counts[table.name] = gone.rowcount
    head = await audit_head(connection, user_id)
    for rule in RULES:
        if rule.fate is Fate.RENAMED and rule.table not in (tables.users, tables.accounts):
            counts[rule.name] = await rename(connection, rule.table, user_id, pseudonym, accounts)
    lines = counts["audit_log"] + await forget_mentions(connection, found, pseudonym, counts)
    alert = tables.alerts
    by_them = update(alert).where(alert.c.acknowledged_by.in_(names))
    await connection.execute(by_them.values(acknowledged_by=pseudonym))
    for table, column in ((tables.accounts, "user_id"), (tables.users, "id")):
        gone = await connection.execute(delete(table).where(table.c[column] == user_id))
        counts[table.name] = gone.rowcount
    await connection.execute(delete(tables.erasing))
    done = Erased(
        pseudonym=pseudonym,
        at=at,
        by_whom=order.by_whom,
        reason=order.reason,
        rows={str(name): number for name, number in sorted(counts.items()) if number},
        audit_lines=lines,
        audit_head=head,
    )
    await note(connection, done)
    return done


async def take_over(
    connection: AsyncConnection, user_id: UserId, pseudonym: UserId, at: datetime
) -> dict[str, str]:
    """Add the pseudonym and its accounts; return which account becomes which."""
    user, account = tables.users, tables.accounts
    created = await connection.scalar(select(user.c.created_at).where(user.c.id == user_id))
    somebody: dict[str, Any] = {
        "id": pseudonym,
        "username": pseudonym,
        "tier": "free",
        "role": Role.USER.value,
        "settings": {},
        "overrides": {},
        "created_at": created,
        "banned_at": at,
        "banned_because": BANNED,
        "erased_at": at,
    }
    await connection.execute(insert(user), somebody)
    becomes: dict[str, str] = {}
    for number, row in enumerate(
        await rows(connection, select(account).where(account.c.user_id == user_id)), 1
    ):
        prefix = f"{user_id}:"
        ending = row["id"].removeprefix(prefix) if row["id"].startswith(prefix) else str(number)
        becomes[row["id"]] = f"{pseudonym}:{ending}"
        changed = {"id": becomes[row["id"]], "user_id": pseudonym, "key": None}
        kept = {**row, **changed, "state": AccountState.DISCONNECTED.value}
        await connection.execute(insert(account), kept)
    return becomes


async def permit(
    connection: AsyncConnection, becomes: Mapping[str, str], found: Sequence[Mention]
) -> None:
    """Say what may become what, and in whose chains details may be forgotten."""
    others = {mention.whose: mention.whose for mention in found}
    pairs = [{"was": was, "becomes": name} for was, name in {**others, **becomes}.items()]
    await connection.execute(insert(tables.erasing), pairs)


async def audit_head(connection: AsyncConnection, user_id: UserId) -> str:
    """Return the last hash of a user's chain, "" when there is none."""
    line = tables.audit_log.c
    query = select(line.hash).where(line.user_id == user_id).order_by(line.number.desc()).limit(1)
    return await connection.scalar(query) or ""


async def rename(
    connection: AsyncConnection,
    table: Table,
    user_id: UserId,
    pseudonym: UserId,
    accounts: Mapping[str, str],
) -> int:
    """Put a table's rows under the pseudonym; return how many those are."""
    columns = table.c
    values: dict[str, Any] = {"user_id": pseudonym, **BY_NAME[table.name].emptied}
    if table is tables.audit_log:
        values["actor"] = case((columns.actor == user_id, pseudonym), else_=columns.actor)
        values["detail"] = forgotten(pseudonym)
    if table is tables.universes:
        values["name"] = columns.id
    mine = update(table).where(columns.user_id == user_id)
    if "account_id" not in columns:
        return (await connection.execute(mine.values(values))).rowcount
    renamed = 0
    for was, becomes in accounts.items():
        values["account_id"] = becomes
        if "entry_id" in columns:
            values["entry_id"] = func.replace(columns.entry_id, was, becomes)
        part = mine.where(columns.account_id == was).values(values)
        renamed += (await connection.execute(part)).rowcount
    return renamed


def forgotten(pseudonym: str) -> str:
    """Return what stands in place of a detail that named somebody who was erased."""
    return json.dumps({"erased": pseudonym})


async def forget_mentions(
    connection: AsyncConnection, found: Sequence[Mention], pseudonym: str, counts: dict[str, int]
) -> int:
    """Take the name out of others' rows; return how many lines of others' audits lost a detail."""
    lines = 0
    for mention in found:
        table = mention.table
        is_line = table is tables.audit_log
        column = COLUMN_OF[table.name]
        words = forgotten(pseudonym) if is_line else mention.words
        key = [table.c[name] == value for name, value in mention.key.items()]
        change = update(table).where(table.c.user_id == mention.whose, *key)
        changed = (await connection.execute(change.values({column: words}))).rowcount
        lines += changed if is_line else 0
        name = f"{table.name} of others"
        counts[name] = counts.get(name, 0) + changed
    return lines


async def note(connection: AsyncConnection, done: Erased) -> None:
    row = {
        "user_id": done.pseudonym,
        "at": done.at,
        "by_whom": done.by_whom,
        "reason": done.reason,
        "rows": dict(done.rows),
        "audit_lines": done.audit_lines,
        "audit_head": done.audit_head,
    }
    await save(connection, tables.erasures, row)
