"""Sealed keys in a database: an older one is upgraded to hold them, and what goes is gone."""

from pathlib import Path

import pytest
from alembic import command

from tests.contract.test_every_store_keys import connect, pending, sealed
from tests.key_rig import keyed
from tests.postgres_server import execute
from tests.store_rig import ALICE, account, register
from tradefleet.domain.user import Account
from tradefleet.stores.sql import SchemaState, check
from tradefleet.stores.sql.address import read_address
from tradefleet.stores.sql.engine import make_engine
from tradefleet.stores.sql.schema import alembic_config

USER = (
    "INSERT INTO users VALUES"
    f" ('{ALICE}', 'alice', NULL, 'free', 'user', '{{}}', '2026-01-01T00:00:00.000000Z')"
)
ACCOUNT = (
    "INSERT INTO accounts VALUES"
    f" ('account1 of {ALICE}', '{ALICE}', 'paper', 'paper', '2026-01-01T00:01:00.000000Z')"
)


async def first_schema(url: str) -> None:
    """Make a database as the version before keys left it, but for its views: those are new."""

    def migrate(connection):
        config = alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.exec_driver_sql(USER)
        connection.exec_driver_sql(ACCOUNT)

    engine = make_engine(read_address(url))
    async with engine.begin() as connection:
        await connection.run_sync(migrate)
    await engine.dispose()


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_accounts_of_an_older_database_are_kept_and_connected(
    kind, tmp_path, request, clock, open_sql_store
):
    url = str(tmp_path / "old.db")
    if kind == "postgres":
        url = request.getfixturevalue("bare_postgres_url")
    await first_schema(url)
    assert (await check(url)).state is SchemaState.BEHIND
    store = await open_sql_store(url, clock=clock)
    async with store.open(ALICE) as own:
        assert await own.accounts() == [account(ALICE)]
        await own.save_account(keyed(ALICE))
        await own.save_sealed_key(sealed(keyed(ALICE)))
    assert isinstance((await store.load_user(ALICE)).accounts[0], Account)


def everything_in(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.iterdir() if file.is_file())


GONE = b"gone-is-what-was-wrapped-and-sealed-here"


@pytest.mark.parametrize("way", ["drop", "shred", "replace"])
async def test_what_is_destroyed_is_overwritten_in_the_file(
    way, sqlite_url, clock, tmp_path, open_sql_store
):
    store = await open_sql_store(sqlite_url, clock=clock)
    await register(store, ALICE)
    owner = keyed(ALICE)
    await connect(store, owner, sealed(owner, sealed=GONE))
    async with store.open(ALICE) as own:
        await own.save_wrapped_key(GONE)
        await own.save_pending_key(pending(owner, sealed=GONE))
    await store.close()
    assert everything_in(tmp_path).count(GONE) == 3
    store = await open_sql_store(sqlite_url, clock=clock)
    async with store.open(ALICE) as own:
        if way == "shred":
            await own.shred_keys()
        elif way == "drop":
            await own.drop_sealed_key(owner.id)
            await own.drop_pending_key()
        else:
            await own.save_sealed_key(sealed(owner, sealed=b"x"))
            await own.save_pending_key(pending(owner, sealed=b"x"))
    if way != "shred":
        assert await store.rewrap(ALICE, GONE, b"x")
    await store.close()
    assert GONE not in everything_in(tmp_path)


def test_a_fingerprint_is_unique_in_the_database_itself(postgres_url):
    found = execute(
        postgres_url,
        "SELECT indexdef FROM pg_indexes WHERE indexname = 'uq_credentials_fingerprint'",
    )
    assert "UNIQUE" in str(found)
