"""What goes wrong with a real database ends in StoreUnavailable with the cause and the cure."""

import asyncio
import os
import shutil
import sqlite3
from contextlib import contextmanager

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_dbapi as Dialect
from sqlalchemy.exc import DBAPIError, InternalError

from tests.makers import START
from tests.postgres_server import SUPERUSER, address_as, execute, unprivileged_user
from tests.store_rig import ALICE, batch, bot, order_of, register, take, write
from tradefleet.domain.effects import OrderPlaced
from tradefleet.domain.errors import StoreUnavailable
from tradefleet.domain.limits import RiskLimits
from tradefleet.stores.sql import open_store
from tradefleet.stores.sql.address import read_address
from tradefleet.stores.sql.faults import as_unavailable, translated
from tradefleet.stores.sql.policies import say_system

PATIENCE = 0.1


@pytest.fixture
async def filled(sqlite_url, clock, open_sql_store):
    """An open SQLite store with a user who is held."""
    store = await open_sql_store(sqlite_url, clock=clock, patience=PATIENCE)
    await register(store, ALICE, bot(ALICE))
    return store, (await take(store))[ALICE]


async def save_limits(store):
    async with store.open(ALICE) as own:
        await own.save_limits(RiskLimits.default())


async def orders_in(store):
    async with store.open(ALICE, reading=True) as own:
        return [order.id for order in await own.orders()]


def many_orders(count):
    return [OrderPlaced(order_of(bot(ALICE), f"o{n}", seq=n, note="x" * 500)) for n in range(count)]


# ---- the disk is full


@contextmanager
def full_disk(store):
    """Let the database file not grow any more, for every connection of the store."""
    connections = []

    def limit(connection):
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")
        connections.append(connection)

    yield limit
    for connection in connections:
        connection.execute("PRAGMA max_page_count = 1073741823")


async def test_a_full_disk_keeps_nothing_and_says_so(filled):
    store, lease = filled
    await write(store, lease, *many_orders(1))
    writer = store._journal._writer
    with full_disk(store) as limit:
        await writer.run(limit)
        with pytest.raises(StoreUnavailable, match=r"disk is full: free some space at .*\.db"):
            await store.write([batch(lease, *many_orders(500))])
        assert await orders_in(store) == ["o0"]
        await writer.run(lambda c: c.execute("PRAGMA max_page_count = 1073741823"))
    await write(store, lease, *many_orders(500))
    assert len(await orders_in(store)) == 100


# ---- somebody else holds the lock


async def test_a_file_locked_by_another_process_is_waited_for_then_given_up(filled, sqlite_url):
    store, lease = filled
    other = sqlite3.connect(sqlite_url, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    for attempt in (
        write(store, lease, *many_orders(1)),
        save_limits(store),
        store.renew_leases("host", now=START, ttl=1),
    ):
        with pytest.raises(StoreUnavailable, match="locked by another process"):
            await attempt
    assert await orders_in(store) == []
    other.execute("ROLLBACK")
    other.close()
    await save_limits(store)
    await write(store, lease, *many_orders(1))


async def test_a_postgres_row_locked_for_too_long_is_given_up(postgres_url, clock, open_sql_store):
    store = await open_sql_store(postgres_url, clock=clock, patience=PATIENCE)
    await register(store, ALICE, bot(ALICE))
    lease = (await take(store))[ALICE]
    other = await asyncpg.connect(address_as(SUPERUSER, postgres_url))
    async with other.transaction():
        await other.execute("UPDATE leases SET owner = 'x'")
        with pytest.raises(StoreUnavailable, match="locked by another"):
            await write(store, lease, *many_orders(1))
    await other.close()


async def test_a_process_that_stands_still_in_a_transaction_holds_nobody_up_for_long(
    postgres_url, clock, open_sql_store
):
    """Its locks are let go before others give up waiting; what it had begun is undone."""
    patience = 1.5
    still = await open_sql_store(postgres_url, clock=clock, patience=patience)
    store = await open_sql_store(postgres_url, clock=clock, patience=patience)
    await register(store, ALICE, bot(ALICE))
    lease = (await take(store))[ALICE]
    with pytest.raises(DBAPIError):
        async with still.engine.begin() as connection:
            await connection.run_sync(say_system)
            await connection.execute(text("UPDATE leases SET owner = 'x'"))
            assert await store.renew_leases("host", now=START, ttl=1)
            await connection.execute(text("SELECT 1"))
    await write(store, lease, *many_orders(1))


# ---- the file cannot be written, or is no database


@contextmanager
def without_roots_rights(folder):
    """Be an ordinary user for a moment, if we are root: root may write anything."""
    name = unprivileged_user()
    if name is None:
        yield
        return
    for parent in [folder, *folder.parents][:-2]:
        parent.chmod(parent.stat().st_mode | 0o055)
    shutil.chown(folder, name)
    os.seteuid(folder.stat().st_uid)
    try:
        yield
    finally:
        os.seteuid(0)


async def test_a_read_only_file_is_refused_at_the_opening(sqlite_url, tmp_path):
    os.chmod(sqlite_url, 0o444)
    with (
        without_roots_rights(tmp_path),
        pytest.raises(StoreUnavailable, match="cannot be written: let the user"),
    ):
        await open_store(sqlite_url)


async def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable, match="see that its folder exists"):
        await open_store(str(tmp_path / "file" / "x.db"))


async def test_a_folder_in_place_of_the_file_is_refused(tmp_path):
    with pytest.raises(StoreUnavailable, match="cannot be opened"):
        await open_store(str(tmp_path))


async def test_a_file_of_another_kind_is_refused(tmp_path):
    file = tmp_path / "x.db"
    file.write_bytes(b"Dear diary, " * 1000)
    with pytest.raises(StoreUnavailable, match="not a database of ours"):
        await open_store(str(file))
    assert file.read_bytes().startswith(b"Dear diary")


async def test_a_damaged_file_is_refused(filled, sqlite_url, tmp_path):
    store, lease = filled
    await write(store, lease, *many_orders(50))
    await store.close()
    file = tmp_path / "damaged.db"
    data = bytearray((tmp_path / "trading_service.db").read_bytes())
    for page in range(1, len(data) // 4096):
        data[page * 4096 : page * 4096 + 100] = b"\xff" * 100
    file.write_bytes(data)
    with pytest.raises(StoreUnavailable, match="damaged: restore the last backup"):
        opened = await open_store(str(file))
        try:
            await opened.user_ids()
        finally:
            await opened.close()


# ---- the server


async def test_a_server_that_is_not_there_is_said_so_without_the_password(tmp_path):
    url = f"postgresql://u:hidden@/x?host={tmp_path}"
    with pytest.raises(StoreUnavailable, match="cannot be reached") as error:
        await open_store(url)
    assert "hidden" not in str(error.value)


async def test_a_database_that_is_not_there_is_said_so(postgres_server):
    url = postgres_server.replace("/postgres?", "/nowhere?")
    with pytest.raises(StoreUnavailable, match="There is no database"):
        await open_store(url)


async def test_a_connection_that_was_cut_is_opened_anew(postgres_url, clock, open_sql_store):
    store = await open_sql_store(postgres_url, clock=clock)
    await register(store, ALICE, bot(ALICE))
    lease = (await take(store))[ALICE]
    await write(store, lease, *many_orders(1))
    execute(
        postgres_url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    with pytest.raises(StoreUnavailable):
        await store.write([batch(lease, *many_orders(2))])
    await write(store, lease, *many_orders(3))
    assert await orders_in(store) == ["o0", "o1", "o2"]


PLACE = read_address("postgresql://host/name")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (asyncpg.DiskFullError("no space"), "disk is full"),
        (asyncpg.TooManyConnectionsError("too many"), "takes no more connections"),
        (asyncpg.ReadOnlySQLTransactionError("standby"), "read-only"),
        (asyncpg.InvalidPasswordError("no"), "refuses this user or password"),
        (asyncpg.CannotConnectNowError("starting"), "starting or stopping"),
        (asyncpg.DeadlockDetectedError("deadlock"), "try again"),
        (asyncpg.DataCorruptedError("bad"), "damaged"),
        (asyncpg.OutOfMemoryError("no"), "out of resources"),
        (asyncpg.InterfaceError("closed"), "cannot be reached"),
        (ConnectionRefusedError("no"), "cannot be reached"),
        (TimeoutError(), "cannot be reached"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_each_complaint_of_the_server_has_its_words(error, words):
    assert words in str(as_unavailable(error, PLACE))


def test_a_driver_that_lost_track_of_its_server_has_lost_the_connection():
    """As asyncpg says it, and as SQLAlchemy wraps it: neither is its usual kind of error."""
    told = asyncpg.InternalClientError("got result for unknown protocol state 3")
    wrapped = Dialect.InternalClientError(f"{type(told)}: {told}")
    wrapped.__cause__ = told
    for error in (told, InternalError("SELECT 1", {}, wrapped)):
        with pytest.raises(StoreUnavailable, match=r"is lost: .*unknown proto"), translated(PLACE):
            raise error


@pytest.mark.parametrize(
    "error", [asyncpg.UniqueViolationError("x"), sqlite3.IntegrityError("x"), ValueError("x")]
)
def test_a_fault_of_ours_is_not_blamed_on_the_database(error):
    assert as_unavailable(error, PLACE) is None


# ---- our own transactions


async def test_a_transaction_that_is_cancelled_leaves_no_trace(sql_store):
    await register(sql_store, ALICE, bot(ALICE))
    begun = asyncio.Event()

    async def hang():
        async with sql_store.open(ALICE) as own:
            await own.save_limits(RiskLimits.default())
            begun.set()
            await asyncio.sleep(60)

    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(hang())
        await begun.wait()
        task.cancel()
    async with sql_store.open(ALICE) as own:
        assert await own.limits() is None
        await own.save_limits(RiskLimits.default())
