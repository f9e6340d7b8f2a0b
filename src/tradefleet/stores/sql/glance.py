"""A user's transaction on SQLite in the loop's own thread: sooner done than a thread is asked.

A row out of the page cache takes SQLite some microseconds, handing a question to a thread and
the answer back some hundreds. So statements run here, but for what may take long: the rows of an
answer after the first ones, what has to be sorted first, and what waits for the disk or a lock are
left to a thread, on the same connection and in the same transaction.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar

from sqlalchemy import Dialect, Executable
from sqlalchemy.exc import IntegrityError

from tradefleet.stores.sql.address import Address
from tradefleet.stores.sql.engine import sqlite_connection

CONNECTIONS_KEPT = 16  # more than read at one moment, and the others are asked as ever
ROWS_AT_ONCE = 200  # in the loop's thread: a millisecond; the rest of an answer beside it
READING_PATIENCE = 0.05  # seconds the loop waits for a lock; readers beside a writer need none

T = TypeVar("T")
Change = Callable[[Any], Any]
Row = Mapping[str, Any]
NOTHING: Mapping[str, Any] = MappingProxyType({})
_known: dict[int, Executable] = {}


def known(statement: Any) -> Any:
    """Mark what is made once and lives as long as the program: it is compiled once, too."""
    _known[id(statement)] = statement
    return statement


@dataclass(frozen=True, slots=True)
class Prepared:
    """A statement as SQLite is asked, and how what it answers is read."""

    text: str
    parameters: tuple[tuple[str, Change | None], ...]
    values: Mapping[str, Any]
    names: tuple[str, ...]
    readers: tuple[tuple[int, Change], ...]

    def bound(self, given: Mapping[str, Any]) -> list[Any]:
        values = {**self.values, **given}
        return [
            values[name] if write is None else write(values[name])
            for name, write in self.parameters
        ]

    def rows(self, found: Sequence[Sequence[Any]]) -> list[Row]:
        names, readers = self.names, self.readers
        rows: list[Row] = []
        for each in found:
            row = list(each)
            for place, read in readers:
                row[place] = read(row[place])
            rows.append(dict(zip(names, row, strict=True)))
        return rows


def prepare(
    statement: Any, dialect: Dialect, names: Sequence[str], given: Mapping[str, Any]
) -> Prepared:
    """Compile a statement, and find out how its values are written and its columns read.

    names: the columns that an insert is given values for; given: values of its parameters.
    """
    compiled = statement.compile(dialect=dialect, column_keys=list(names) or None)
    values = {name: bind.effective_value for name, bind in compiled.binds.items()}
    expanded = compiled.construct_expanded_state({**values, **given})
    columns = list(getattr(statement, "selected_columns", ()))
    readers = [
        (place, read)
        for place, column in enumerate(columns)
        if (read := column.type.dialect_impl(dialect).result_processor(dialect, None))
    ]
    writers = {
        name: bind.type.dialect_impl(dialect).bind_processor(dialect)
        for name, bind in compiled.binds.items()
    } | dict(expanded.processors)
    return Prepared(
        text=expanded.statement,
        parameters=tuple((name, writers.get(name)) for name in expanded.positiontup or ()),
        values=dict(expanded.parameters),
        names=tuple(column.key or "" for column in columns),
        readers=tuple(readers),
    )


@dataclass(frozen=True, slots=True)
class Done:
    """What a statement came to that changes something."""

    rowcount: int


class Glance:
    """One moment of the database, for one reader."""

    def __init__(self, connection: sqlite3.Connection, prepared: "Statements") -> None:
        self._connection = connection
        self._prepared = prepared
        self.is_beside = False  # a thread has the connection

    async def rows(self, query: Any, given: Mapping[str, Any], *, beside: bool) -> list[Row]:
        """Return what a query finds; beside: it may take long from its first row on."""
        prepared = self._prepared.of(query, given=given)
        values = prepared.bound(given)
        if beside:
            return await self._beside(lambda: self._all(prepared, values))
        cursor = self._connection.execute(prepared.text, values)
        found = prepared.rows(cursor.fetchmany(ROWS_AT_ONCE))
        if len(found) < ROWS_AT_ONCE:
            return found
        return found + await self._beside(lambda: prepared.rows(cursor.fetchall()))

    def _all(self, prepared: Prepared, values: Sequence[Any]) -> list[Row]:
        return prepared.rows(self._connection.execute(prepared.text, values).fetchall())

    async def _beside(self, work: Callable[[], T]) -> T:
        """Let a thread work; whoever is cancelled waits for it, for nobody else may come in."""
        loop = asyncio.get_running_loop()
        working = loop.run_in_executor(self._prepared.threads, work)
        self.is_beside = True
        try:
            return await asyncio.shield(working)
        except asyncio.CancelledError:
            self._connection.interrupt()
            await asyncio.wait([working])
            raise
        finally:
            self.is_beside = False

    async def scalar(self, query: Any) -> Any:
        """Return the first value a query finds, None when there is none."""
        prepared = self._prepared.of(query)
        values = prepared.bound({})
        found = prepared.rows(self._connection.execute(prepared.text, values).fetchmany(1))
        return next(iter(found[0].values())) if found else None

    def begin(self) -> None:
        self._connection.execute("BEGIN")

    def end(self) -> None:
        self._connection.execute("COMMIT")

    def close(self) -> None:
        self._connection.close()


class Stroke(Glance):
    """A transaction that changes something; one at a time, as SQLite wants it."""

    @property
    def dialect(self) -> Dialect:
        return self._prepared.dialect

    async def execute(
        self, statement: Any, given: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None
    ) -> Done:
        """Change something, with one row's values or with several's, one after the other.

        IntegrityError as everywhere when the database refuses a row.
        """
        if given is None or isinstance(given, Mapping):
            return self._execute(statement, given)
        return Done(sum(self._execute(statement, each).rowcount for each in given))

    def _execute(self, statement: Any, given: Mapping[str, Any] | None) -> Done:
        prepared = self._prepared.of(statement, tuple(given or ()))
        values = prepared.bound(given or {})
        try:
            cursor = self._connection.execute(prepared.text, values)
            cursor.fetchall()
        except sqlite3.IntegrityError as error:
            raise IntegrityError(prepared.text, None, error) from error
        return Done(cursor.rowcount)

    async def exec_driver_sql(self, text: str) -> None:
        self._connection.execute(text).fetchall()

    async def start(self) -> None:
        """Take the write lock: at once when it is free, else a thread waits for it."""
        try:
            self._connection.execute("PRAGMA busy_timeout = 0")
            self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            await self._beside(self._wait)

    def _wait(self) -> None:
        self._connection.execute(f"PRAGMA busy_timeout = {int(self._prepared.patience * 1000)}")
        self._connection.execute("BEGIN IMMEDIATE")

    async def commit(self) -> None:
        """Write down what was changed; the loop does not wait for the disk.

        What was handed to the disk is not called back: a caller who is cancelled waits, too.
        """
        loop = asyncio.get_running_loop()
        writing = loop.run_in_executor(self._prepared.threads, self.end)
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:
            await asyncio.wait([writing])
            raise
        except sqlite3.IntegrityError as error:
            raise IntegrityError("COMMIT", None, error) from error

    def take_back(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")


class Statements:
    """What was compiled already, and the threads that wait where the loop must not."""

    def __init__(self, dialect: Dialect, patience: float) -> None:
        self.dialect = dialect
        self.patience = patience
        self.threads = ThreadPoolExecutor(4, thread_name_prefix="sqlite")
        self._kept: dict[tuple[int, tuple[str, ...]], Prepared] = {}

    def of(
        self, statement: Any, names: tuple[str, ...] = (), *, given: Mapping[str, Any] = NOTHING
    ) -> Prepared:
        """Return a statement prepared; names and given as in `prepare`."""
        key = (id(statement), names)
        found = self._kept.get(key)
        if found is None:
            found = prepare(statement, self.dialect, names, given)
            if id(statement) in _known:
                self._kept[key] = found
        return found


class Glances:
    """The connections that are used in the loop's thread: many that only read, one that writes."""

    def __init__(self, address: Address, dialect: Dialect, patience: float) -> None:
        self._address = address
        self._patience = patience
        self._statements = Statements(dialect, patience)
        self._free: list[Glance] = []
        self._count = 0
        self._stroke: Stroke | None = None

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Glance | None]:
        """Begin to read; None when too many do so already."""
        glance = await self._take()
        if glance is None:
            yield None
            return
        try:
            glance.begin()
            yield glance
        finally:
            self._give_back(glance)

    async def _take(self) -> Glance | None:
        if self._free:
            return self._free.pop()
        if self._count >= CONNECTIONS_KEPT:
            return None
        self._count += 1
        try:
            connection = await self._connect(READING_PATIENCE)
            connection.execute("PRAGMA query_only = ON")
        except BaseException:
            self._count -= 1
            raise
        return Glance(connection, self._statements)

    async def _connect(self, patience: float) -> sqlite3.Connection:
        loop, threads = asyncio.get_running_loop(), self._statements.threads
        return await loop.run_in_executor(threads, sqlite_connection, self._address, patience)

    def _give_back(self, glance: Glance) -> None:
        try:
            glance.end()
        except sqlite3.Error:
            self._count -= 1
            glance.close()
        else:
            self._free.append(glance)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Stroke]:
        """Begin to write, and write it down at the end; whoever comes in has the turn to."""
        if self._stroke is None:
            self._stroke = Stroke(await self._connect(self._patience), self._statements)
        stroke = self._stroke
        await stroke.start()
        try:
            yield stroke
            await stroke.commit()
        finally:
            stroke.take_back()

    def close(self) -> None:
        for each in [*self._free, *filter(None, [self._stroke])]:
            each.close()
        self._free, self._stroke = [], None
        self._statements.threads.shutdown(wait=False)
