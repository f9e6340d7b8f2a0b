"""SQLite's statements for the journal's sheets, made once for each number of rows.

OR FAIL: a statement that fails is not undone by itself, and so SQLite need not save each page
it touches first, which would double its time. The journal undoes the whole transaction.
"""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from sqlalchemy import JSON, Date

from tradefleet.stores.sql.journal.sheets import Sheet, Verb
from tradefleet.stores.sql.types import Money, Time, money_text, time_text, to_json

PARAMETERS_MAX = 32_000  # SQLite takes 32,766 in one statement
ROWS_MAX = 1024


def chunks(sheet: Sheet, rows: list[Any]) -> Iterator[tuple[str, list[Any]]]:
    """Split rows into powers of two, so that few different statements serve any number.

    A rest that nearly fills the next power is filled up with copies of its last row, where
    the same row twice changes nothing.
    """
    start, left, most = 0, len(rows), rows_most(len(sheet.names))
    while left > 0:
        size = min(1 << (left.bit_length() - 1), most)
        chunk = rows[start : start + size]
        if sheet.verb is not Verb.ADD and 2 * size <= most and 3 * size <= 2 * left < 4 * size:
            size *= 2
            chunk = rows[start:] + [rows[-1]] * (size - left)
        yield statement_of(sheet, size), chunk
        start += size
        left -= size


def rows_most(width: int) -> int:
    """Return the largest power of two of rows so wide that one statement takes."""
    return min(ROWS_MAX, 1 << ((PARAMETERS_MAX // width).bit_length() - 1))


@cache
def statement_of(sheet: Sheet, size: int) -> str:
    table, names = sheet.table.name, ", ".join(sheet.names)
    row = "(" + ", ".join("?" * len(sheet.names)) + ")"
    values = "VALUES " + ", ".join([row] * size)
    keys = ", ".join(sheet.keys)
    match sheet.verb:
        case Verb.ADD:
            return f"INSERT OR FAIL INTO {table} ({names}) {values}"
        case Verb.ADD_MISSING:
            return f"INSERT OR FAIL INTO {table} ({names}) {values} ON CONFLICT ({keys}) DO NOTHING"
        case Verb.PUT:
            changes = ", ".join(f"{name} = excluded.{name}" for name in sheet.changes)
            return (
                f"INSERT OR FAIL INTO {table} ({names}) {values}"
                f" ON CONFLICT ({keys}) DO UPDATE SET {changes}"
            )
        case Verb.CHANGE:
            changes = ", ".join(f"{name} = v.{name}" for name in sheet.changes)
            same = " AND ".join(f"t.{key} = v.{key}" for key in sheet.keys)
            guard = f" AND ({sheet.guard})" if sheet.guard else ""
            return (
                f"WITH v ({names}) AS ({values})"
                f" UPDATE OR FAIL {table} AS t SET {changes} FROM v WHERE {same}{guard}"
            )
        case Verb.DROP:
            return f"DELETE FROM {table} WHERE ({keys}) IN ({values})"


@cache
def writers_of(sheet: Sheet) -> list[tuple[int, Callable[[Any], Any]]]:
    """Return where a row has values that SQLite keeps as text, and what makes the text."""
    found: list[tuple[int, Callable[[Any], Any]]] = []
    for place, name in enumerate(sheet.names):
        kind = sheet.table.c[name].type
        if isinstance(kind, Money):
            found.append((place, money_text))
        elif isinstance(kind, Time):
            found.append((place, time_text))
        elif isinstance(kind, JSON):
            found.append((place, to_json))
        elif isinstance(kind, Date):
            found.append((place, str))
    return found
