"""Writes the journal and the paper books into PostgreSQL, in statements over arrays."""

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, TypeAlias

import asyncpg

from tradefleet.clock import Clock
from tradefleet.domain.errors import StoreError
from tradefleet.domain.ids import UserId
from tradefleet.store import Batch, BatchRefused, PaperChange, ReplayRun
from tradefleet.stores._gate import refusals
from tradefleet.stores.sql.journal import news, paper_plan, sheets
from tradefleet.stores.sql.journal.plan import Rows, plan_of, run_row
from tradefleet.stores.sql.journal.postgres_statements import json_places, statement_of
from tradefleet.stores.sql.journal.postgres_writer import PostgresWriter
from tradefleet.stores.sql.journal.sheets import Sheet, Verb
from tradefleet.stores.sql.types import to_json

Connection: TypeAlias = Any  # asyncpg's has no types

# Locked in the order of users, as leases.py does; FOR SHARE makes a kill switch or a takeover
# wait for this transaction, or this one for them.
LEASES = """
SELECT user_id, epoch, kill_version, listening FROM leases
WHERE user_id = ANY($1::text[]) ORDER BY user_id FOR SHARE
"""
# Locked last of all, and in the order of users: numbers are given in the order of commits.
HEADS = """
SELECT user_id, last FROM event_heads
WHERE user_id = ANY($1::text[]) ORDER BY user_id FOR UPDATE
"""
POSITIONS = f"SELECT {news.POSITIONS} FROM positions WHERE user_id = ANY($1::text[])"
PAPER_NUMBERS = """
SELECT account_id, number FROM paper_accounts
WHERE account_id = ANY($1::text[]) ORDER BY account_id FOR UPDATE
"""
# What a batch is to blame for, not the database.
BATCH_FAULTS = (
    BatchRefused,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.DataError,
    asyncpg.RaiseError,
)


TELL = "SELECT pg_notify('tradefleet_events', each) FROM unnest($1::text[]) AS each"
Written: TypeAlias = tuple[Sequence[StoreError | None], Collection[UserId]]


class PostgresJournal:
    """What is written often; the paper books have their own connection."""

    def __init__(
        self,
        writer: PostgresWriter,
        paper_writer: PostgresWriter,
        clock: Clock,
        told: Callable[[Collection[UserId]], None],
    ) -> None:
        self._writer = writer
        self._paper_writer = paper_writer
        self._clock = clock
        self._told = told  # whose events there are new ones of

    async def write(
        self, batches: Sequence[Batch], run: ReplayRun | None
    ) -> Sequence[StoreError | None]:
        async def work(connection: Connection) -> Written:
            try:
                return await at_once(connection, batches, run, self._clock.now)
            except BATCH_FAULTS:
                return await one_by_one(connection, batches, run, self._clock.now)

        errors, told = await self._writer.run(work)
        if told:
            self._told(told)
        return errors

    async def write_paper(self, changes: Sequence[PaperChange]) -> None:
        async def work(connection: Connection) -> None:
            async with connection.transaction():
                accounts = list({change.account_id for change in changes})
                known = await connection.fetch(PAPER_NUMBERS, accounts)
                paper_plan.check_numbers(changes, dict(known))
                await write_steps(connection, paper_plan.steps(changes))

        await self._paper_writer.run(work)

    async def close(self) -> None:
        await self._writer.close()
        await self._paper_writer.close()


async def at_once(
    connection: Connection,
    batches: Sequence[Batch],
    run: ReplayRun | None,
    now: Callable[[], datetime],
) -> Written:
    async with connection.transaction():
        leases = await begin(connection, batches)
        errors = refusals(batches, leases.fences)
        positions = await positions_before(connection, batches, leases)
        kept = [batch for batch, error in zip(batches, errors, strict=True) if not error]
        await write_steps(connection, plan_of(kept).steps())
        await save_run(connection, run)
        written = news.kept(batches, errors, leases.listening)
        told = await record(connection, written, positions, now)
    return errors, told


async def one_by_one(
    connection: Connection,
    batches: Sequence[Batch],
    run: ReplayRun | None,
    now: Callable[[], datetime],
) -> Written:
    """Write each batch for itself, so that only the culprit is refused."""
    async with connection.transaction():
        leases = await begin(connection, batches)
        errors = refusals(batches, leases.fences)
        positions = await positions_before(connection, batches, leases)
        for place, batch in enumerate(batches):
            if errors[place]:
                continue
            try:
                async with connection.transaction():  # a savepoint
                    await write_steps(connection, plan_of([batch]).steps())
                    await connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
                    await connection.execute("SET CONSTRAINTS ALL DEFERRED")
            except BATCH_FAULTS as error:
                errors[place] = BatchRefused(str(error))
        await save_run(connection, run)
        written = news.kept(batches, errors, leases.listening)
        told = await record(connection, written, positions, now)
    return errors, told


async def begin(connection: Connection, batches: Sequence[Batch]) -> news.Leases:
    found = await connection.fetch(LEASES, list({batch.user_id for batch in batches}))
    return news.read_leases(found)


async def positions_before(
    connection: Connection, batches: Sequence[Batch], leases: news.Leases
) -> news.Positions:
    """Return what bots hold whose moves somebody wants to be told."""
    users = news.movers(batches, leases.listening) if leases.listening else []
    return news.read_positions(await connection.fetch(POSITIONS, users)) if users else {}


async def record(
    connection: Connection,
    written: dict[UserId, list[Batch]],
    positions: news.Positions,
    now: Callable[[], datetime],
) -> Collection[UserId]:
    """Record as events what was written for who is listened to; return for whom there are any."""
    if not written:
        return ()
    lasts = dict(await connection.fetch(HEADS, list(written)))
    found = news.steps(written, positions, lasts, now())
    await write_steps(connection, found)
    told = [row[0] for row in found[1][1]]
    await connection.execute(TELL, told)
    return told


async def save_run(connection: Connection, run: ReplayRun | None) -> None:
    if run:
        await write_rows(connection, sheets.RUNS, [run_row(run)])


async def write_steps(connection: Connection, steps: Iterable[tuple[Sheet, Rows]]) -> None:
    for sheet, rows in steps:
        if rows:
            await write_rows(connection, sheet, rows)


async def write_rows(connection: Connection, sheet: Sheet, rows: Rows) -> None:
    """Write rows; raise BatchRefused when one that must be there is not as it must be."""
    arrays: list[Any] = [list(column) for column in zip(*rows, strict=True)]
    for place in json_places(sheet):
        arrays[place] = [None if v is None else to_json(v) for v in arrays[place]]
    status = await connection.execute(statement_of(sheet), *arrays)
    count = int(status.rpartition(" ")[2])
    if sheet.verb is Verb.CHANGE and count != len(rows):
        raise BatchRefused(f"{len(rows) - count} rows of {sheet.table.name} cannot become so")
