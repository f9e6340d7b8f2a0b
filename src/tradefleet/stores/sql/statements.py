"""Inserts that know what to do about a row that is there already, on either database."""

from functools import cache
from typing import Any

from sqlalchemy import Table, insert
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from tradefleet.stores.sql.glance import Stroke, known


async def insert_missing(connection: AsyncConnection | Stroke, table: Table, rows: Any) -> int:
    """Insert a row, or rows in one statement, whose key is not there yet; return how many."""
    statement = insert_into(table, connection.dialect.name).values(rows)
    return (await connection.execute(statement.on_conflict_do_nothing())).rowcount


async def save(connection: AsyncConnection | Stroke, table: Table, row: dict[str, Any]) -> int:
    """Insert a row or change the one with its key; a row of another user is left alone.

    Return how many rows are as they should be now: 1 or 0.
    """
    statement = saving(table, connection.dialect.name, tuple(row))
    return (await connection.execute(statement, row)).rowcount


@cache
def adding(table: Table) -> Any:
    """Return the insert of one row, made once for each table."""
    return known(insert(table).inline())


def insert_into(table: Table, dialect: str) -> Any:
    return sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)


@cache
def saving(table: Table, dialect: str, names: tuple[str, ...]) -> Any:
    statement = insert_into(table, dialect)
    keys = [column.name for column in table.primary_key]
    changes = {name: statement.excluded[name] for name in names if name not in keys}
    mine = table.c.user_id == statement.excluded.user_id if "user_id" in changes else None
    return known(statement.on_conflict_do_update(index_elements=keys, set_=changes, where=mine))
