"""Is the database's schema the one this program knows, and how it becomes so."""

import asyncio
import os
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import AsyncEngine

from tradefleet.domain.errors import StoreUnavailable
from tradefleet.stores.sql import policies, roles, views
from tradefleet.stores.sql.address import Address, read_address
from tradefleet.stores.sql.engine import make_engine, reading_options
from tradefleet.stores.sql.faults import translated

MIGRATIONS = Path(__file__).parent / "migrations"
OWNS_SCHEMA = (
    "SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = 'alembic_version'::regclass"
)
UPGRADE_LOCK = 7_246_003  # names our lock among PostgreSQL's advisory ones


class SchemaState(StrEnum):
    """How the schema stands to this program."""

    CURRENT = "current"
    BEHIND = "behind"  # an upgrade brings it up to date
    NEWER = "newer"  # written by a later version
    MISSING = "missing"  # no database, or an empty one
    UNFINISHED = "unfinished"  # a move into it did not come to its end
    MOVED = "moved"  # away, into another database, which is used instead


# Said in place of the schema's revision, so that no version of the program uses such a database.
MARKS = {"unfinished": SchemaState.UNFINISHED, "moved": SchemaState.MOVED}
NOT_IN_USE = {
    SchemaState.UNFINISHED: "{place} is half of a move that did not come to its end: say the same "
    "`tradefleet db move` again.",
    SchemaState.MOVED: "{place} was moved into another database: name that one (DATABASE_URL), or "
    "say `tradefleet db reopen` to use this one again, without what happened in the other.",
}


@dataclass(frozen=True, slots=True)
class SchemaCheck:
    state: SchemaState
    found: str | None  # the revision in the database
    known: str  # the newest revision of this program


async def check(url: str) -> SchemaCheck:
    """Look at the database; change nothing."""
    address = read_address(url)
    if address.file and not address.file.exists():
        return SchemaCheck(SchemaState.MISSING, None, newest())
    return await with_engine(address, check_engine)


async def upgrade(url: str) -> SchemaCheck:
    """Bring the database up to date and return what it was before; make it when there is none."""
    address = read_address(url)
    await make_folder(address)
    return await with_engine(address, upgrade_engine)


async def with_engine(address: Address, act: object) -> SchemaCheck:
    engine = make_engine(address)
    try:
        return await act(engine, address)  # type: ignore[operator, no-any-return]
    finally:
        await engine.dispose()


async def make_folder(address: Address) -> None:
    if address.file:
        with translated(address):
            await asyncio.to_thread(make_private, address.file)


def make_private(file: Path) -> None:
    """Make the folder, and the file, if it is not there, so that nobody else may read it.

    What SQLite writes beside it can be read by whoever can read the file.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


async def check_engine(engine: AsyncEngine, address: Address) -> SchemaCheck:
    with translated(address):
        async with engine.connect() as connection:
            reading = await connection.execution_options(**reading_options(address))
            return await reading.run_sync(look)


async def upgrade_engine(engine: AsyncEngine, address: Address) -> SchemaCheck:
    with translated(address):
        async with engine.begin() as connection:
            await connection.run_sync(lock)
            before = await connection.run_sync(look)
            refuse_unusable(before, address)
            if before.state is SchemaState.MISSING:
                await connection.run_sync(refuse_foreign, address)
            if before.state is SchemaState.BEHIND:
                await connection.run_sync(refuse_unowned, before, address)
            if before.state is not SchemaState.CURRENT:
                await connection.run_sync(migrate)
            return before


def lock(connection: Connection) -> None:
    """Let one process at a time upgrade; SQLite has locked the file for it by now.

    However busy the machine is: nobody takes the database over from who upgrades it.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        connection.execute(text(f"SELECT pg_advisory_xact_lock({UPGRADE_LOCK})"))


def look(connection: Connection) -> SchemaCheck:
    found = MigrationContext.configure(connection).get_current_revision()
    known = newest()
    if found is None:
        return SchemaCheck(SchemaState.MISSING, None, known)
    if found == known:
        return SchemaCheck(SchemaState.CURRENT, found, known)
    for mark, state in MARKS.items():
        if found.startswith(mark):
            return SchemaCheck(state, found, known)
    ours = {script.revision for script in scripts().walk_revisions()}
    state = SchemaState.BEHIND if found in ours else SchemaState.NEWER
    return SchemaCheck(state, found, known)


def migrate(connection: Connection) -> None:
    """Run what is missing, in the transaction that found it missing."""
    policies.say_system(connection)
    views.drop_all(connection)
    config = alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    views.create_all(connection)
    policies.build_all(connection)
    roles.grant_again(connection)


def not_in_use(state: SchemaState, place: str) -> str:
    """Say why a database that is half of a move is not used, and the cure."""
    return NOT_IN_USE[state].format(place=place)


def refuse_unusable(found: SchemaCheck, address: Address) -> None:
    """Refuse what this program must not touch: a later version's, or half of a move."""
    if found.state in NOT_IN_USE:
        raise StoreUnavailable(not_in_use(found.state, f"The database {address}"))
    if found.state is SchemaState.NEWER:
        raise StoreUnavailable(
            f"The database {address} was written by a newer version of tradefleet (schema"
            f" {found.found}, this one knows {found.known}): install that version, or restore a"
            " backup from before the upgrade."
        )


def refuse_foreign(connection: Connection, address: Address) -> None:
    if inspect(connection).get_table_names():
        raise StoreUnavailable(
            f"The database {address} holds tables of another program: name another database."
        )


def refuse_unowned(connection: Connection, found: SchemaCheck, address: Address) -> None:
    """Let a role that owns nothing, as the service should have, send for the owner."""
    if connection.dialect.name == "postgresql" and not connection.scalar(text(OWNS_SCHEMA)):
        raise StoreUnavailable(
            f"The database {address} is not up to date (schema {found.found}, this version needs"
            f" {found.known}), and {address.url.username} does not own it: run `tradefleet db"
            " upgrade --db` with the owner's address."
        )


@cache
def newest() -> str:
    return scripts().get_current_head() or ""


@cache
def scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(alembic_config())


def alembic_config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
