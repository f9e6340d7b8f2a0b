"""All of a user's rows in every table, read at one moment and some hundreds at a time."""

from collections.abc import AsyncIterator, Mapping, Sequence
from hashlib import sha256
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tradefleet.domain.ids import UserId
from tradefleet.operations.privacy.records import ROWS_AT_ONCE, ExportedTable
from tradefleet.stores.sql import tables
from tradefleet.stores.sql.privacy.rules import RULES, Fate, Rule, stands_for

FINGERPRINT = 16  # characters


def is_theirs(rule: Rule, user_id: UserId) -> ColumnElement[bool]:
    """Return which rows of a table are a user's."""
    column = rule.table.c[rule.by]
    if rule.by != "account_id":
        return column == user_id
    account = tables.accounts.c
    return column.in_(select(account.id).where(account.user_id == user_id))


async def exported(connection: AsyncConnection, user_id: UserId) -> AsyncIterator[ExportedTable]:
    """Yield every table that may hold rows of a user; each is read before the next is asked for."""
    for rule in RULES:
        if rule.fate is not Fate.NOBODYS:
            yield ExportedTable(rule.name, rows_of(connection, rule, user_id))


async def rows_of(
    connection: AsyncConnection, rule: Rule, user_id: UserId
) -> AsyncIterator[Sequence[Mapping[str, Any]]]:
    query = select(rule.table).where(is_theirs(rule, user_id)).order_by(*rule.table.primary_key)
    hidden = stands_for(rule)
    result = await connection.stream(query.execution_options(yield_per=ROWS_AT_ONCE))
    async for part in result.mappings().partitions(ROWS_AT_ONCE):
        yield [shown(dict(row), hidden) for row in part]


def shown(row: Mapping[str, Any], hidden: Mapping[str, str]) -> dict[str, Any]:
    """Return a row without what opens anything."""
    return {
        str(name): said_of(value, hidden[name]) if name in hidden else value
        for name, value in row.items()
    }


def said_of(value: object, instead: str) -> str | None:
    """Return what stands for a value that is withheld."""
    if value is None:
        return None
    sealed = bytes(value) if isinstance(value, bytes | memoryview) else b""
    return instead.format(fingerprint=sha256(sealed).hexdigest()[:FINGERPRINT])
