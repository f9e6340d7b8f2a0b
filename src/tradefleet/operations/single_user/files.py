"""The tables of an old single-user database: a SQLite file, or the same rows as JSON."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeAlias

from tradefleet.domain.errors import Refused

Row: TypeAlias = Mapping[str, Any]
Tables: TypeAlias = Mapping[str, Sequence[Row]]

SQLITE_HEAD = b"SQLite format 3\0"
ROWS_MAX = 1_000_000  # of one table
STATE = "bot_state"  # what JSON without the names of tables is taken for
NO_FILE = "There is no file {file}."
NEITHER = "{file} is neither a SQLite database nor JSON: {why}."
TOO_MANY = "Table {table} of {file} has more than {most:,} rows."


def read_tables(file: Path) -> Tables:
    """Return every table by its name, as rows by their columns, in small letters."""
    try:
        with file.open("rb") as opened:
            head = opened.read(len(SQLITE_HEAD))
    except OSError:
        raise Refused(NO_FILE.format(file=file)) from None
    try:
        return from_sqlite(file) if head == SQLITE_HEAD else from_json(file)
    except sqlite3.Error as error:
        raise Refused(NEITHER.format(file=file, why=error)) from None


def from_sqlite(file: Path) -> Tables:
    uri = f"{file.absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        listed = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite~_%'"
        names = [row[0] for row in connection.execute(f"{listed} ESCAPE '~' ORDER BY name")]
        return {name.lower(): rows_of(connection, file, name) for name in names}


def rows_of(connection: sqlite3.Connection, file: Path, name: str) -> list[Row]:
    quoted = name.replace('"', '""')
    found = connection.execute(f'SELECT * FROM "{quoted}" LIMIT {ROWS_MAX + 1}').fetchall()
    if len(found) > ROWS_MAX:
        raise Refused(TOO_MANY.format(table=name, file=file, most=ROWS_MAX))
    return [
        {key.lower(): value for key, value in zip(row.keys(), row, strict=True)} for row in found
    ]


def from_json(file: Path) -> Tables:
    try:
        found = json.loads(file.read_text(), parse_float=Decimal)
    except (ValueError, UnicodeDecodeError) as error:
        raise Refused(NEITHER.format(file=file, why=error)) from None
    if isinstance(found, list):
        found = {STATE: found}
    if not isinstance(found, dict):
        raise Refused(NEITHER.format(file=file, why="it is one value"))
    if not any(name.lower().startswith(STATE) for name in found):
        found = {STATE: [found]}
    return {
        name.lower(): [lowered(row) for row in (rows if isinstance(rows, list) else [rows])]
        for name, rows in found.items()
    }


def lowered(row: Any) -> Row:
    if not isinstance(row, dict):
        raise Refused(f"A row is {row!r}, and should be columns with values.")
    return {str(key).lower(): value for key, value in row.items()}
