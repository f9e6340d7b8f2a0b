"""PostgreSQL's statements for the journal's sheets: every column comes as one array."""

from functools import cache
from typing import Any

from sqlalchemy import JSON
from sqlalchemy.dialects import postgresql

from tradefleet.stores.sql.journal.sheets import Sheet, Verb

DIALECT: Any = postgresql.dialect()  # type: ignore[no-untyped-call]


@cache
def statement_of(sheet: Sheet) -> str:
    table, names = sheet.table.name, ", ".join(sheet.names)
    keys = ", ".join(sheet.keys)
    match sheet.verb:
        case Verb.ADD:
            return f"INSERT INTO {table} ({names}) {rows_of(sheet)}"
        case Verb.ADD_MISSING:
            return f"INSERT INTO {table} ({names}) {rows_of(sheet)} ON CONFLICT ({keys}) DO NOTHING"
        case Verb.PUT:
            changes = ", ".join(f"{name} = excluded.{name}" for name in sheet.changes)
            return (
                f"INSERT INTO {table} ({names}) {rows_of(sheet)}"
                f" ON CONFLICT ({keys}) DO UPDATE SET {changes}"
            )
        case Verb.CHANGE:
            changes = ", ".join(f"{name} = v.{name}" for name in sheet.changes)
            same = " AND ".join(f"t.{key} = v.{key}" for key in sheet.keys)
            guard = f" AND ({sheet.guard})" if sheet.guard else ""
            return (
                f"UPDATE {table} AS t SET {changes} FROM ({rows_of(sheet)}) AS v"
                f" WHERE {same}{guard}"
            )
        case Verb.DROP:
            return f"DELETE FROM {table} WHERE ({keys}) IN ({rows_of(sheet)})"


def rows_of(sheet: Sheet) -> str:
    """Return the query that turns the arrays into rows."""
    json = {sheet.names[place] for place in json_places(sheet)}
    arrays = []
    for number, name in enumerate(sheet.names, 1):
        kind = "text" if name in json else sheet.table.c[name].type.compile(dialect=DIALECT)
        arrays.append(f"${number}::{kind}[]")
    columns = ", ".join(f"a.{name}::jsonb" if name in json else f"a.{name}" for name in sheet.names)
    return f"SELECT {columns} FROM unnest({', '.join(arrays)}) AS a ({', '.join(sheet.names)})"


@cache
def json_places(sheet: Sheet) -> tuple[int, ...]:
    """Return where a row has JSON, which is sent as text."""
    names = enumerate(sheet.names)
    return tuple(place for place, name in names if isinstance(sheet.table.c[name].type, JSON))
