"""Databases for tests: every test that asks for one gets its own, empty and up to date."""

import asyncio
import gc
import itertools
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.leftovers import pytest_runtest_makereport, pytest_runtest_protocol
from tests.makers import START
from tests.measuring import Measuring
from tests.postgres_server import APP, address_as, create_database, execute, shared_server
from tradefleet.runtime.replay_clock import ReplayClock
from tradefleet.stores.memory import MemoryStore
from tradefleet.stores.sql import SqlStore, open_store, upgrade
from tradefleet.stores.sql.tables import METADATA

# Hooks are found here by their names.
__all__ = ["pytest_runtest_makereport", "pytest_runtest_protocol"]

OpenStore = Callable[..., Awaitable[SqlStore]]
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "alone")
numbers = itertools.count(1)


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Measuring())


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Nothing is garbage while tests are collected, nor ever again: so nobody looks for it.

    Looking through all that was imported, again and again, was half of the collection's time.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


@pytest.fixture
def clock() -> ReplayClock:
    """A clock that stands still until a test moves it."""
    return ReplayClock(START)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("template") / "template.db"
    asyncio.run(upgrade(str(file)))
    return file


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """The address of a SQLite file of this test's own."""
    return str(shutil.copy(sqlite_template, tmp_path / "trading_service.db"))


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a running server, shared by all processes of the test run."""
    folder = tmp_path_factory.getbasetemp()
    with shared_server(folder if WORKER == "alone" else folder.parent) as server:
        yield server


@pytest.fixture(scope="session")
def postgres_database(postgres_server: str) -> str:
    """The address of a database of this process's own, up to date, for the service's role."""
    owner = create_database(postgres_server, WORKER)
    asyncio.run(upgrade(owner))
    return address_as(APP, owner)


@pytest.fixture
def postgres_url(postgres_database: str) -> Iterator[str]:
    """The address of a PostgreSQL database that is empty at the start of this test.

    It is the address of a role that owns nothing, as the service has it.
    """
    yield postgres_database
    emptied = "; ".join(f"DELETE FROM {name}" for name in METADATA.tables)
    execute(postgres_database, f"SET session_replication_role = replica; {emptied}", "SELECT 1")


@pytest.fixture
def bare_postgres_url(postgres_server: str) -> str:
    """The address of a PostgreSQL database without any table, for its owner."""
    return create_database(postgres_server, f"{WORKER}_{next(numbers)}")


@pytest.fixture
async def open_sql_store() -> AsyncIterator[OpenStore]:
    """Open databases as open_store does; whatever becomes of the test, all are closed after it."""
    async with AsyncExitStack() as stack:

        async def opened(url: str, **options: Any) -> SqlStore:
            store = await open_store(url, **options)
            stack.push_async_callback(store.close)
            return store

        yield opened


@pytest.fixture(params=["sqlite", "postgres"])
def sql_url(request: pytest.FixtureRequest) -> str:
    """The address of a database of this test's own, of either kind."""
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture
async def sql_store(sql_url: str, clock: ReplayClock, open_sql_store: OpenStore) -> SqlStore:
    """An open database of either kind."""
    return await open_sql_store(sql_url, clock=clock)


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def store_url(request: pytest.FixtureRequest) -> str:
    """The address of a store of any kind, "" for the one in memory."""
    if request.param == "memory":
        return ""
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture
async def store(store_url: str, clock: ReplayClock) -> AsyncIterator[MemoryStore | SqlStore]:
    """A store of any kind, open and empty."""
    opened = await open_store(store_url, clock=clock) if store_url else MemoryStore(clock)
    yield opened
    await opened.close()
