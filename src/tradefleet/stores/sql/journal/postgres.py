"""Writes the journal and the paper books into PostgreSQL, in statements over arrays."""

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import asyncpg

from tradefleet.domain.errors import StoreError
from tradefleet.store import Batch, BatchRefused, PaperChange, ReplayRun
from tradefleet.stores._gate import refusals
from tradefleet.stores.sql.journal import paper_plan, sheets
from tradefleet.stores.sql.journal.plan import Rows, plan_of, run_row
from tradefleet.stores.sql.journal.postgres_statements import json_places, statement_of
from tradefleet.stores.sql.journal.postgres_writer import PostgresWriter
from tradefleet.stores.sql.journal.sheets import Sheet, Verb
from tradefleet.stores.sql.types import to_json

Connection: TypeAlias = Any  # asyncpg's has no types

# Locked in the order of users, as leases.py does; FOR SHARE makes a kill switch or a takeover
# wait for this transaction, or this one for them.
LEASES = """
SELECT user_id, epoch, kill_version FROM leases
WHERE user_id = ANY($1::text[]) ORDER BY user_id FOR SHARE
"""
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


class PostgresJournal:
    """What is written often; the paper books have their own connection."""

    def __init__(self, writer: PostgresWriter, paper_writer: PostgresWriter) -> None:
        self._writer = writer
        self._paper_writer = paper_writer

    async def write(
        self, batches: Sequence[Batch], run: ReplayRun | None
    ) -> Sequence[StoreError | None]:
        async def work(connection: Connection) -> Sequence[StoreError | None]:
            try:
                return await at_once(connection, batches, run)
            except BATCH_FAULTS:
                return await one_by_one(connection, batches, run)

        return await self._writer.run(work)

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
    connection: Connection, batches: Sequence[Batch], run: ReplayRun | None
) -> Sequence[StoreError | None]:
    async with connection.transaction():
        errors = await begin(connection, batches)
        kept = [batch for batch, error in zip(batches, errors, strict=True) if not error]
        await write_steps(connection, plan_of(kept).steps())
        await save_run(connection, run)
    return errors


async def one_by_one(
    connection: Connection, batches: Sequence[Batch], run: ReplayRun | None
) -> Sequence[StoreError | None]:
    """Write each batch for itself, so that only the culprit is refused."""
    async with connection.transaction():
        errors = await begin(connection, batches)
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
    return errors


async def begin(connection: Connection, batches: Sequence[Batch]) -> list[StoreError | None]:
    found = await connection.fetch(LEASES, list({batch.user_id for batch in batches}))
    return refusals(batches, {user: (epoch, version) for user, epoch, version in found})


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
