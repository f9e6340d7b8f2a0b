"""Looks at a database that a service may be using, and changes nothing in it."""

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import func, select, text

from tradefleet.clock import Clock
from tradefleet.domain.bot import BotStatus
from tradefleet.domain.errors import StoreUnavailable
from tradefleet.domain.order import OrderState
from tradefleet.operations.backup.copying import BackupFault
from tradefleet.operations.doctor.kept import Held, Unsure
from tradefleet.stores.sql import tables
from tradefleet.stores.sql.address import read_address
from tradefleet.stores.sql.copies.postgres import found_program
from tradefleet.stores.sql.engine import PATIENCE
from tradefleet.stores.sql.faults import translated
from tradefleet.stores.sql.opening import assemble
from tradefleet.stores.sql.schema import SchemaState, check_engine
from tradefleet.stores.sql.system_store import SqlStore
from tradefleet.stores.sql.user_store import NOBODY

UNSURE_MAX = 1000  # orders
UNSURE = (OrderState.SENDING, OrderState.UNKNOWN, OrderState.QUARANTINED)
ROWS_TOLD = 3
OLDEST_POSTGRES = 14
# Settings of a server without which what was confirmed may be lost, or half written.
NEEDED = ("fsync", "full_page_writes")
DAMAGE = (
    "SELECT coalesce((SELECT checksum_failures FROM pg_stat_database"
    " WHERE datname = current_database()), 0),"
    " (SELECT count(*) FROM pg_index WHERE NOT indisvalid)"
)


@dataclass(frozen=True, slots=True)
class Facts:
    """What is stuck or held, over all users."""

    unsure: Sequence[Unsure]
    set_aside: int
    held: Sequence[Held]


@dataclass(frozen=True, slots=True)
class Server:
    """A database server, and what is wrong with it; offset: its clock's before ours, seconds."""

    version: str
    offset: float
    faults: Sequence[tuple[str, str]]
    pg_dump: str = ""  # what is wrong with it


async def open_to_look(url: str, clock: Clock) -> SqlStore:
    """Open a database of this version's schema; StoreUnavailable says why it cannot be."""
    address = read_address(url)
    if address.file and not address.file.exists():
        raise StoreUnavailable(f"There is no database {address}: start the service once.")
    store = assemble(address, clock, PATIENCE)
    try:
        found = await check_engine(store.engine, address)
        if found.state is not SchemaState.CURRENT:
            raise StoreUnavailable(
                f"The database {address} has schema {found.found or 'none'}, and this version "
                f"{found.known}: `tradefleet db check` tells what to do."
            )
    except BaseException:
        await store.close()
        raise
    return store


async def facts_of(store: SqlStore) -> Facts:
    order, bot, lease = tables.orders.c, tables.bots.c, tables.leases.c
    unsure = (
        select(order.id, order.user_id, order.state, func.coalesce(order.sent_at, order.decided_at))
        .where(tables.is_working, order.state.in_(UNSURE))
        .order_by(order.decided_at)
        .limit(UNSURE_MAX)
    )
    aside = select(func.count()).where(bot.status == BotStatus.SET_ASIDE, bot.removed_at.is_(None))
    held = (
        select(lease.owner, func.count(), func.max(lease.expires_at))
        .where(lease.owner != NOBODY)
        .group_by(lease.owner)
        .order_by(lease.owner)
    )
    async with store.reading() as connection:
        return Facts(
            unsure=[Unsure(*row) for row in await connection.execute(unsure)],
            set_aside=await connection.scalar(aside) or 0,
            held=[Held(*row) for row in await connection.execute(held)],
        )


async def has_secret(store: SqlStore, name: str) -> bool:
    """Say whether a secret of the service was made already."""
    query = select(func.count()).select_from(tables.secrets).where(tables.secrets.c.name == name)
    async with store.reading() as connection:
        return bool(await connection.scalar(query))


# ---- the file


async def sqlite_damage(url: str, seconds: float) -> list[str] | None:
    """Return what is damaged in a file, [] for nothing, None when there was no time to see."""
    file = read_address(url).file
    if file is None:
        return []
    if not file.exists():
        return []
    return await _looked_at(file, seconds)


async def _looked_at(file: Path, seconds: float) -> list[str] | None:
    """Look in a thread, beside whoever writes; no longer than so many seconds."""
    with closing(read_only(file)) as connection:
        looking = asyncio.get_running_loop().run_in_executor(None, _damage, connection)
        try:
            done, _ = await asyncio.wait([looking], timeout=seconds)
        finally:
            if not looking.done():
                connection.interrupt()
                await asyncio.wait([looking])
        return looking.result() if done else None


def read_only(file: Path) -> sqlite3.Connection:
    uri = f"{file.absolute().as_uri()}?mode=ro"
    return sqlite3.connect(uri, uri=True, check_same_thread=False)


def _damage(connection: sqlite3.Connection) -> list[str]:
    try:
        found = [str(row[0]) for row in connection.execute(f"PRAGMA quick_check({ROWS_TOLD})")]
        stray = connection.execute("PRAGMA foreign_key_check").fetchmany(ROWS_TOLD)
    except sqlite3.DatabaseError as error:
        return [str(error)]
    lost = [f"a row of {row[0]} belongs to one of {row[2]} that is not there" for row in stray]
    return [*(each for each in found if each != "ok"), *lost]


# ---- the server


async def server_of(url: str, clock: Clock) -> Server | None:
    """Look at a PostgreSQL server; None: SQLite has none."""
    address = read_address(url)
    if address.is_sqlite:
        return None
    store = assemble(address, clock, PATIENCE)
    try:
        with translated(address):
            async with store.engine.connect() as connection:
                before = clock.now()
                there: datetime = await connection.scalar(text("SELECT clock_timestamp()"))
                middle = before + (clock.now() - before) / 2
                version = str(await connection.scalar(text("SHOW server_version")))
                told = await connection.scalar(text("SHOW server_version_num"))
                number = int(told or 0) // 10_000
                said = {name: await connection.scalar(text(f"SHOW {name}")) for name in NEEDED}
                failures, invalid = (await connection.execute(text(DAMAGE))).one()
    finally:
        await store.close()
    faults = [
        (f"{name} is {value}", f"ALTER SYSTEM SET {name} = on, and restart the server")
        for name, value in said.items()
        if value != "on"
    ]
    if number < OLDEST_POSTGRES:
        faults.append((f"version {version} is too old", f"use {OLDEST_POSTGRES} or newer"))
    if failures:
        cure = "its disk or memory is failing: restore the last backup on another machine"
        faults.append((f"{failures} pages failed their checksum", cure))
    if invalid:
        faults.append((f"{invalid} indexes are not valid", "REINDEX DATABASE CONCURRENTLY"))
    try:
        await found_program("pg_dump", number)
        pg_dump = ""
    except BackupFault as fault:
        pg_dump = str(fault)
    return Server(version, (there - middle).total_seconds(), faults, pg_dump)
