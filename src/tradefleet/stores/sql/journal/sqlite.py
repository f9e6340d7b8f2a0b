"""Writes the journal and the paper books into SQLite, in statements of many rows."""

import sqlite3
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any, TypeAlias

import orjson

from tradefleet.clock import Clock
from tradefleet.domain.errors import StoreError
from tradefleet.domain.ids import UserId
from tradefleet.store import Batch, BatchRefused, PaperChange, ReplayRun
from tradefleet.stores._gate import refusals
from tradefleet.stores.sql.journal import news, paper_plan, sheets
from tradefleet.stores.sql.journal.plan import Rows, plan_of, run_row
from tradefleet.stores.sql.journal.sheets import Sheet, Verb
from tradefleet.stores.sql.journal.sqlite_statements import chunks, writers_of
from tradefleet.stores.sql.journal.sqlite_writer import SqliteWriter

# As one row of JSON: reading many rows would hand over Python's lock for each.
LEASES = """
SELECT json_group_array(json_array(user_id, epoch, kill_version, listening)) FROM leases
WHERE user_id IN (SELECT value FROM json_each(?))
"""
HEADS = """
SELECT json_group_array(json_array(user_id, last)) FROM event_heads
WHERE user_id IN (SELECT value FROM json_each(?))
"""
POSITIONS = f"""
SELECT json_group_array(json_array({news.POSITIONS})) FROM positions
WHERE user_id IN (SELECT value FROM json_each(?))
"""
PAPER_NUMBERS = """
SELECT json_group_array(json_array(account_id, number)) FROM paper_accounts
WHERE account_id IN (SELECT value FROM json_each(?))
"""
# What a batch is to blame for, not the database.
BATCH_FAULTS = (
    BatchRefused,
    OverflowError,
    sqlite3.IntegrityError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
    sqlite3.DataError,
)


Written: TypeAlias = tuple[Sequence[StoreError | None], Collection[UserId]]


class SqliteJournal:
    """What is written often."""

    def __init__(
        self, writer: SqliteWriter, clock: Clock, told: Callable[[Collection[UserId]], None]
    ) -> None:
        self._writer = writer
        self._clock = clock
        self._told = told  # whose events there are new ones of

    async def write(
        self, batches: Sequence[Batch], run: ReplayRun | None
    ) -> Sequence[StoreError | None]:
        def work(connection: sqlite3.Connection) -> Written:
            try:
                return at_once(connection, batches, run, self._clock.now)
            except BATCH_FAULTS:
                connection.execute("ROLLBACK")
                return one_by_one(connection, batches, run, self._clock.now)

        errors, told = await self._writer.run(work)
        if told:
            self._told(told)
        return errors

    async def write_paper(self, changes: Sequence[PaperChange]) -> None:
        def work(connection: sqlite3.Connection) -> None:
            connection.execute("BEGIN IMMEDIATE")
            accounts = {change.account_id for change in changes}
            paper_plan.check_numbers(changes, dict(ask(connection, PAPER_NUMBERS, accounts)))
            write_steps(connection, paper_plan.steps(changes))
            connection.execute("COMMIT")

        await self._writer.run(work)

    async def close(self) -> None:
        await self._writer.close()


def at_once(
    connection: sqlite3.Connection,
    batches: Sequence[Batch],
    run: ReplayRun | None,
    now: Callable[[], datetime],
) -> Written:
    leases = begin(connection, batches)
    errors = refusals(batches, leases.fences)
    positions = positions_before(connection, batches, leases)
    kept = [batch for batch, error in zip(batches, errors, strict=True) if not error]
    write_steps(connection, plan_of(kept).steps())
    told = record(connection, news.kept(batches, errors, leases.listening), positions, now)
    commit(connection, run)
    return errors, told


def one_by_one(
    connection: sqlite3.Connection,
    batches: Sequence[Batch],
    run: ReplayRun | None,
    now: Callable[[], datetime],
) -> Written:
    """Write each batch for itself, so that only the culprit is refused."""
    leases = begin(connection, batches)
    errors = refusals(batches, leases.fences)
    positions = positions_before(connection, batches, leases)
    for place, batch in enumerate(batches):
        if errors[place]:
            continue
        connection.execute("SAVEPOINT batch")
        try:
            write_steps(connection, plan_of([batch]).steps())
            check_parents(connection, plan_of([batch]).steps())
        except BATCH_FAULTS as error:
            connection.execute("ROLLBACK TO batch")
            errors[place] = BatchRefused(str(error))
        connection.execute("RELEASE batch")
    told = record(connection, news.kept(batches, errors, leases.listening), positions, now)
    commit(connection, run)
    return errors, told


def begin(connection: sqlite3.Connection, batches: Sequence[Batch]) -> news.Leases:
    connection.execute("BEGIN IMMEDIATE")
    return news.read_leases(ask(connection, LEASES, {batch.user_id for batch in batches}))


def positions_before(
    connection: sqlite3.Connection, batches: Sequence[Batch], leases: news.Leases
) -> news.Positions:
    """Return what bots hold whose moves somebody wants to be told."""
    users = news.movers(batches, leases.listening) if leases.listening else []
    return news.read_positions(ask(connection, POSITIONS, set(users))) if users else {}


def record(
    connection: sqlite3.Connection,
    written: dict[UserId, list[Batch]],
    positions: news.Positions,
    now: Callable[[], datetime],
) -> Collection[UserId]:
    """Record as events what was written for who is listened to; return for whom there are any."""
    if not written:
        return ()
    lasts = dict(ask(connection, HEADS, set(written)))
    found = news.steps(written, positions, lasts, now())
    write_steps(connection, found)
    return [row[0] for row in found[1][1]]


def ask(connection: sqlite3.Connection, query: str, ids: set[Any]) -> list[list[Any]]:
    (found,) = connection.execute(query, (orjson.dumps(list(ids)).decode(),)).fetchone()
    rows: list[list[Any]] = orjson.loads(found)
    return rows


def commit(connection: sqlite3.Connection, run: ReplayRun | None) -> None:
    if run:
        write_rows(connection, sheets.RUNS, [run_row(run)])
    connection.execute("COMMIT")


def write_steps(connection: sqlite3.Connection, steps: Any) -> None:
    for sheet, rows in steps:
        if rows:
            write_rows(connection, sheet, rows)


def check_parents(connection: sqlite3.Connection, steps: Any) -> None:
    """Raise BatchRefused for a row that refers to what is not there, without the commit's help."""
    for sheet, rows in steps:
        for reference in sheet.table.foreign_key_constraints:
            if not set(reference.column_keys) <= set(sheet.names):
                continue
            parent = reference.referred_table.name
            same = " AND ".join(f"{e.column.name} = ?" for e in reference.elements)
            places = [sheet.names.index(name) for name in reference.column_keys]
            for row in rows:
                key = [row[place] for place in places]
                if not connection.execute(f"SELECT 1 FROM {parent} WHERE {same}", key).fetchone():
                    raise BatchRefused(f"{sheet.table.name} needs {key} in {parent}")


def write_rows(connection: sqlite3.Connection, sheet: Sheet, rows: Rows) -> None:
    """Write rows; raise BatchRefused when one that must be there is not as it must be."""
    for place, write in writers_of(sheet):
        for row in rows:
            value = row[place]
            if value is not None:
                row[place] = write(value)
    count = 0
    for statement, chunk in chunks(sheet, rows):
        parameters: list[Any] = []
        for row in chunk:
            parameters += row
        connection.execute(statement, parameters)
        if sheet.verb is Verb.CHANGE:  # sqlite3 gives no row count for what begins with WITH
            count += connection.execute("SELECT changes()").fetchone()[0]
    if sheet.verb is Verb.CHANGE and count != len(rows):
        raise BatchRefused(f"{len(rows) - count} rows of {sheet.table.name} cannot become so")
