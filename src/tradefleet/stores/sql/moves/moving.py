"""Moves a database: one moment of it, every table there is, and every row compared afterwards.

The source is locked against writers until the end; the target is marked as unfinished before its
first row and until all was compared. When all is the same, first the source is marked as moved
away, then the mark of the target is taken off: at no moment can both be used. Broken off anywhere,
the same command begins anew and comes to the same end.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Integer,
    Table,
    Text,
    bindparam,
    cast,
    func,
    insert,
    select,
    text,
    type_coerce,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tradefleet.clock import Clock
from tradefleet.domain.errors import Refused, StoreUnavailable
from tradefleet.runtime.real_world import RealClock
from tradefleet.stores.sql import schema, tables
from tradefleet.stores.sql.address import Address, read_address
from tradefleet.stores.sql.copies import copier_of
from tradefleet.stores.sql.engine import make_engine
from tradefleet.stores.sql.faults import origin, translated
from tradefleet.stores.sql.moves.sight import Row, Sight
from tradefleet.stores.sql.policies import say_system
from tradefleet.stores.sql.schema import SchemaState
from tradefleet.stores.sql.tables import METADATA

BATCH = 2000  # rows held at a time
UNFINISHED = "unfinished"
MOVED = "moved"  # followed by the revision the source had
BESIDE = ("", "-wal", "-shm", "-journal")
Say = Callable[[str], None]

SAME = "{target} is the same database: name another one."
IN_USE = (
    "{source} is in use: {owner} runs there until {until:%Y-%m-%d %H:%M:%S} UTC. Stop the service; "
    "one that was killed is forgotten then."
)
NOT_EMPTY = "{target} is not empty ({table} has {count} rows): name an empty database."
NUL = (
    "{table}.{column} holds a NUL character, which PostgreSQL cannot keep, in the row {key}: "
    "change it first. Nothing was moved."
)
REFUSED_ROW = "{target} refuses a row of {table}: {why}. Nothing was moved."
DIFFERENT = (
    "What arrived is not what was sent: {differences}. The source is untouched and in use as "
    "before; the target is not used by anybody."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """What was moved: rows by table, how many sums and chains were compared, and how long."""

    counts: Mapping[str, int]
    sums: int
    chains: int
    seconds: float


async def move(source: str, target: str, say: Say, clock: Clock | None = None) -> Moved:
    """Move everything; Refused or StoreUnavailable say why not, and what to do."""
    found = Ends(read_address(source), read_address(target), clock or RealClock())
    start = found.clock.monotonic()
    if copier_of(source).identity == copier_of(target).identity:
        raise Refused(SAME.format(target=found.target))
    await found.see_source(source)
    engine = make_engine(found.source)
    try:
        with translated(found.source):
            async with locked(engine, found) as connection:
                return await found.move(connection, say, start)
    finally:
        await engine.dispose()


async def reopen(url: str) -> str:
    """Let a database be used again that was moved away."""
    address = read_address(url)
    found = await schema.check(url)
    if found.state is not SchemaState.MOVED:
        raise Refused(f"The database {address} was not moved away.")
    engine = make_engine(address)
    try:
        with translated(address):
            async with engine.begin() as connection:
                await stamp(connection, (found.found or "").partition(" ")[2])
    finally:
        await engine.dispose()
    return f"The database {address} can be used again; let nobody use the other one any more."


async def stamp(connection: AsyncConnection, revision: str) -> None:
    given = {"revision": revision}
    await connection.execute(text("UPDATE alembic_version SET version_num = :revision"), given)


@asynccontextmanager
async def locked(engine: AsyncEngine, ends: "Ends") -> AsyncIterator[AsyncConnection]:
    """Give a transaction that sees one moment, which nobody can change until it ends."""
    async with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            await connection.execution_options(isolation_level="REPEATABLE READ")
            for statement in LOCKING:
                await connection.execute(text(statement))
        await ends.see_nobody_runs(connection)
        yield connection


# The tables are locked before anything is seen.
LOCKING = (
    "SET LOCAL idle_in_transaction_session_timeout = 0",
    "SET LOCAL tradefleet.scope = 'system'",
    f"LOCK TABLE {', '.join(sorted(METADATA.tables))} IN EXCLUSIVE MODE",
)


@dataclass(frozen=True, slots=True)
class Ends:
    """The two databases of a move."""

    source: Address
    target: Address
    clock: Clock

    # ---- whether it may be

    async def see_source(self, url: str) -> None:
        found = await schema.check(url)
        if found.state is SchemaState.MOVED and await self._is_unfinished():
            return  # broken off at the very end
        if found.state is SchemaState.BEHIND:
            raise Refused(f"{self.source} is not up to date: run `tradefleet db upgrade` first.")
        if found.state is SchemaState.MISSING:
            raise Refused(f"There is nothing to move in {self.source}.")
        schema.refuse_unusable(found, self.source)

    async def _is_unfinished(self) -> bool:
        engine = make_engine(self.target)
        try:
            if self.target.file and not self.target.file.exists():
                return False
            return (await schema.check_engine(engine, self.target)).state is SchemaState.UNFINISHED
        finally:
            await engine.dispose()

    async def see_nobody_runs(self, connection: AsyncConnection) -> None:
        now = self.clock.now()
        for table in (tables.leases, tables.duties):
            held = select(table.c.owner, func.max(table.c.expires_at))
            held = held.where(table.c.owner != "", table.c.expires_at > now)
            row = (await connection.execute(held.group_by(table.c.owner).limit(1))).first()
            if row is not None:
                until: datetime = row[1]
                raise Refused(IN_USE.format(source=self.source, owner=row[0], until=until))

    # ---- moving

    async def move(self, connection: AsyncConnection, say: Say, start: float) -> Moved:
        await self._forget_unfinished()
        await schema.make_folder(self.target)
        engine = make_engine(self.target)
        try:
            with translated(self.target):
                sent = await self._copied(connection, engine, say)
                arrived = await seen(engine)
                if wrong := sent.differences(arrived) + arrived.differences(sent):
                    raise StoreUnavailable(DIFFERENT.format(differences="; ".join(wrong[:5])))
                await self._finish(connection, engine)
        finally:
            await engine.dispose()
        return Moved(
            counts=sent.counts,
            sums=len(sent.sums),
            chains=len(sent.ends),
            seconds=self.clock.monotonic() - start,
        )

    async def _forget_unfinished(self) -> None:
        """Remove what a move that was broken off left."""
        if not await self._is_unfinished():
            return
        if self.target.file:
            for suffix in BESIDE:
                await asyncio.to_thread(Path(f"{self.target}{suffix}").unlink, missing_ok=True)
            return
        engine = make_engine(self.target)
        try:
            async with engine.begin() as connection:
                for listed in OURS:
                    names = list(await connection.scalars(text(listed)))
                    for name in names:
                        await connection.execute(text(f"DROP {name} CASCADE"))
        finally:
            await engine.dispose()

    async def _copied(self, source: AsyncConnection, engine: AsyncEngine, say: Say) -> Sight:
        async with engine.begin() as connection:
            await connection.run_sync(self._prepare)
        sent = Sight()
        async with engine.connect() as connection:
            for table in METADATA.sorted_tables:
                began = self.clock.monotonic()
                await self._copy(table, source, connection, sent)
                if count := sent.counts[table.name]:
                    say(
                        f"{table.name:<24}{count:>12,} rows {self.clock.monotonic() - began:8.1f} s"
                    )
        return sent

    def _prepare(self, connection: Any) -> None:
        """Make the tables, see that they are empty, and mark them, all at once."""
        say_system(connection)
        schema.lock(connection)
        found = schema.look(connection)
        if found.state is SchemaState.MISSING:
            schema.refuse_foreign(connection, self.target)
            schema.migrate(connection)
        elif found.state is not SchemaState.CURRENT:
            schema.refuse_unusable(found, self.target)
            raise Refused(f"{self.target} holds an older database: name an empty one.")
        for table in METADATA.sorted_tables:
            if count := connection.scalar(select(func.count()).select_from(table)):
                raise Refused(NOT_EMPTY.format(target=self.target, table=table.name, count=count))
        given = {"revision": UNFINISHED}
        connection.execute(text("UPDATE alembic_version SET version_num = :revision"), given)
        if not self.target.is_sqlite:
            for name in connection.scalars(text(GUARDED)).all():
                connection.execute(text(f"ALTER TABLE {name} DISABLE TRIGGER USER"))

    async def _copy(
        self, table: Table, source: AsyncConnection, target: AsyncConnection, sent: Sight
    ) -> None:
        reader, adding = sent.begin(table), inserting(table, self.target)
        async for rows in batches(source, table):
            sent.add(reader, rows)
            self._refuse_nul(table, rows)
            try:
                async with target.begin():
                    await target.run_sync(say_system)
                    await target.execute(adding, rows)
            except DBAPIError as error:
                why = str(origin(error)).strip().split("\n")[0]
                words = {"target": self.target, "table": table.name, "why": why}
                raise StoreUnavailable(REFUSED_ROW.format(**words)) from error

    def _refuse_nul(self, table: Table, rows: Sequence[Row]) -> None:
        if self.target.is_sqlite:
            return
        for row in rows:
            for name, value in row.items():
                if isinstance(value, str) and holds_nul(value, table.c[name].type):
                    key = {each.name: row[each.name] for each in table.primary_key}
                    words = {"table": table.name, "column": name, "key": key}
                    raise Refused(NUL.format(**words))

    async def _finish(self, source: AsyncConnection, engine: AsyncEngine) -> None:
        if not self.target.is_sqlite:
            async with engine.begin() as connection:
                await connection.run_sync(say_system)
                for name in (await connection.scalars(text(GUARDED))).all():
                    await connection.execute(text(f"ALTER TABLE {name} ENABLE TRIGGER USER"))
                for table in METADATA.sorted_tables:
                    await count_on(connection, table)
        known = schema.newest()
        await stamp(source, f"{MOVED} {known}")
        await source.commit()
        async with engine.begin() as connection:
            await stamp(connection, known)


# Of an unfinished target, in the order in which they go.
OURS = (
    "SELECT 'VIEW IF EXISTS ' || quote_ident(viewname) FROM pg_views"
    " WHERE schemaname = current_schema()",
    "SELECT 'TABLE IF EXISTS ' || quote_ident(tablename) FROM pg_tables"
    " WHERE schemaname = current_schema()",
    "SELECT 'FUNCTION IF EXISTS ' || oid::regprocedure FROM pg_proc"
    " WHERE pronamespace = current_schema()::regnamespace AND pg_has_role(proowner, 'USAGE')",
)
# Their triggers look at whole statements, or refuse what a second try has to do.
GUARDED = (
    "SELECT DISTINCT relname FROM pg_trigger JOIN pg_class ON tgrelid = pg_class.oid"
    " WHERE NOT tgisinternal AND relnamespace = current_schema()::regnamespace"
)


def holds_nul(value: str, kind: Any) -> bool:
    return "\0" in value or (isinstance(kind, JSON) and "\\u0000" in value)


async def batches(connection: AsyncConnection, table: Table) -> AsyncIterator[list[dict[Any, Any]]]:
    """Yield a table's rows, JSON as the text it is kept as."""
    is_sqlite = connection.dialect.name == "sqlite"
    columns = [
        (type_coerce(column, Text) if is_sqlite else cast(column, Text)).label(column.name)
        if isinstance(column.type, JSON)
        else column
        for column in table.columns
    ]
    query = select(*columns).execution_options(yield_per=BATCH)
    result = await connection.stream(query)
    async for part in result.mappings().partitions():
        yield [dict(row) for row in part]


def inserting(table: Table, target: Address) -> Any:
    values = {}
    for column in table.columns:
        if isinstance(column.type, JSON):
            given = bindparam(column.name, type_=Text())
            kind = column.type.with_variant(Text(), "sqlite")
            values[column.name] = given if target.is_sqlite else cast(given, kind)
        else:
            values[column.name] = bindparam(column.name, type_=column.type)
    return insert(table).values(values)


async def count_on(connection: AsyncConnection, table: Table) -> None:
    """Let a column that counts up by itself go on after its last number."""
    for column in table.primary_key:
        if table.autoincrement_column is column and isinstance(column.type, Integer | BigInteger):
            last = select(func.coalesce(func.max(column), 0)).scalar_subquery()
            sequence = func.pg_get_serial_sequence(table.name, column.name)
            await connection.execute(select(func.setval(sequence, last + 1, False)))


async def seen(engine: AsyncEngine) -> Sight:
    """Read everything in a database."""
    sight = Sight()
    async with engine.connect() as connection, connection.begin():
        await connection.run_sync(say_system)
        for table in METADATA.sorted_tables:
            reader = sight.begin(table)
            async for rows in batches(connection, table):
                sight.add(reader, rows)
    return sight
