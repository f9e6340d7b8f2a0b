"""Opens a database by its address, made or brought up to date first when that is allowed."""

import asyncio

from sqlalchemy import text

from tradefleet.clock import Clock
from tradefleet.domain.errors import StoreUnavailable
from tradefleet.runtime.real_world import RealClock
from tradefleet.stores._hints import Hints
from tradefleet.stores.sql.address import Address, read_address
from tradefleet.stores.sql.checkpoints import Checkpoints
from tradefleet.stores.sql.engine import PATIENCE, make_engine
from tradefleet.stores.sql.faults import translated
from tradefleet.stores.sql.journal.postgres import PostgresJournal
from tradefleet.stores.sql.journal.postgres_writer import PostgresWriter
from tradefleet.stores.sql.journal.sqlite import SqliteJournal
from tradefleet.stores.sql.journal.sqlite_writer import SqliteWriter
from tradefleet.stores.sql.schema import (
    SchemaState,
    check_engine,
    make_folder,
    refuse_unusable,
    upgrade_engine,
)
from tradefleet.stores.sql.system_store import Journal, SqlStore

# Changes that change nothing: a database that cannot be written refuses them all the same.
WRITABLE_SQLITE = text("UPDATE alembic_version SET version_num = version_num")
WRITABLE_POSTGRES = text("UPDATE leases SET owner = owner WHERE false")


async def open_store(
    url: str, *, clock: Clock | None = None, create: bool = True, patience: float = PATIENCE
) -> SqlStore:
    """Open the database at url; StoreUnavailable says why it cannot be, and the cure.

    create: make it, or upgrade it, when that is needed. patience: the seconds to wait for a
    lock that another process holds.
    """
    address = read_address(url)
    if create:
        await make_folder(address)
    elif address.file and not address.file.exists():
        raise StoreUnavailable(f"There is no database {address}: start the service once.")
    store = assemble(address, clock or RealClock(), patience)
    try:
        await prepare(store, address, create=create)
    except BaseException:
        await store.close()
        raise
    return store


def assemble(address: Address, clock: Clock, patience: float) -> SqlStore:
    engine = make_engine(address, patience=patience)
    hints = Hints()
    if not address.is_sqlite:
        writers = PostgresWriter(address, patience), PostgresWriter(address, patience)
        journal: Journal = PostgresJournal(*writers, clock, hints.tell)
        return SqlStore(address=address, engine=engine, journal=journal, clock=clock, hints=hints)
    turn, checkpoints = asyncio.Lock(), Checkpoints(address)
    writer = SqliteWriter(address, patience, turn, checkpoints)
    journal = SqliteJournal(writer, clock, hints.tell)
    return SqlStore(
        address=address,
        engine=engine,
        journal=journal,
        clock=clock,
        hints=hints,
        patience=patience,
        turn=turn,
        checkpoints=checkpoints,
    )


async def prepare(store: SqlStore, address: Address, *, create: bool) -> None:
    """See that the schema is ours and that the database can be written."""
    if create:
        found = await upgrade_engine(store.engine, address)
    else:
        found = await check_engine(store.engine, address)
    refuse_unusable(found, address)
    if found.state is not SchemaState.CURRENT and not create:
        raise StoreUnavailable(
            f"The database {address} is not up to date (schema {found.found}, this version has"
            f" {found.known}): upgrade it, or start the service, which does so."
        )
    with translated(address):
        async with store.engine.begin() as connection:
            await connection.execute(WRITABLE_SQLITE if address.is_sqlite else WRITABLE_POSTGRES)
