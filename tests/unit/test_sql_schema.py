"""How a database comes to be, is looked at and is upgraded, and what is refused."""

import asyncio
import sqlite3
from dataclasses import fields

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from tests.postgres_server import execute
from tradefleet.domain.errors import StoreUnavailable
from tradefleet.stores.sql import SchemaState, check, open_store, schema, shapes, upgrade, views
from tradefleet.stores.sql.address import read_address
from tradefleet.stores.sql.engine import make_engine
from tradefleet.stores.sql.tables import METADATA

# ---- addresses


@pytest.mark.parametrize(
    ("text", "url", "file"),
    [
        ("data/trading_service.db", "sqlite+aiosqlite:///data/trading_service.db", "data"),
        ("sqlite:///data/x.db", "sqlite+aiosqlite:///data/x.db", "data"),
        ("sqlite:////data/x.db", "sqlite+aiosqlite:////data/x.db", "/data"),
        ("sqlite+aiosqlite:///x.db", "sqlite+aiosqlite:///x.db", "."),
        ("postgres://u:p@h/d", "postgresql+asyncpg://u:***@h/d", None),
        ("postgresql://u@h:1/d", "postgresql+asyncpg://u@h:1/d", None),
        ("postgresql+asyncpg://h/d?host=/tmp", "postgresql+asyncpg://h/d?host=%2Ftmp", None),
    ],
)
def test_an_address_is_read_in_every_form(text, url, file):
    address = read_address(text)
    assert str(address.url) == url
    assert address.is_sqlite == (file is not None)
    if address.file:
        assert str(address.file.parent) == file


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "mysql://h/d",
        "sqlite+pysqlite:///x.db",
        "postgresql+psycopg://h/d",
        "postgresql://h",
        "sqlite://",
        "sqlite:///:memory:",
        "postgresql://u:p@h:port/d",
    ],
)
def test_an_address_that_leads_nowhere_is_refused_with_the_cure(text):
    with pytest.raises(StoreUnavailable) as error:
        read_address(text)
    assert len(str(error.value)) > 20


def test_an_address_never_shows_its_password():
    assert "hidden" not in str(read_address("postgresql://user:hidden@host/name"))


# ---- states


async def test_a_sqlite_file_is_made_with_its_folder(tmp_path):
    file = tmp_path / "a" / "b" / "x.db"
    assert (await check(str(file))).state is SchemaState.MISSING
    assert not file.parent.exists()
    assert (await upgrade(str(file))).state is SchemaState.MISSING
    assert (await check(str(file))).state is SchemaState.CURRENT
    assert (await upgrade(str(file))).state is SchemaState.CURRENT


async def test_a_postgres_database_is_filled(bare_postgres_url):
    assert (await check(bare_postgres_url)).state is SchemaState.MISSING
    assert (await upgrade(bare_postgres_url)).state is SchemaState.MISSING
    found = await check(bare_postgres_url)
    assert (found.state, found.found) == (SchemaState.CURRENT, found.known)


def set_revision(file, revision):
    connection = sqlite3.connect(file)
    with connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
    connection.close()


async def test_a_newer_database_is_not_opened(sqlite_url):
    set_revision(sqlite_url, "9999")
    assert (await check(sqlite_url)).state is SchemaState.NEWER
    for opening in (open_store(sqlite_url), open_store(sqlite_url, create=False)):
        with pytest.raises(StoreUnavailable, match=r"newer version.*9999.*restore a backup"):
            await opening
    with pytest.raises(StoreUnavailable, match="newer version"):
        await upgrade(sqlite_url)


async def test_a_database_behind_is_upgraded_only_when_that_is_allowed(sqlite_url, monkeypatch):
    monkeypatch.setattr(schema, "newest", lambda: "0999")
    assert (await check(sqlite_url)).state is SchemaState.BEHIND
    with pytest.raises(StoreUnavailable, match=r"not up to date.*upgrade it"):
        await open_store(sqlite_url, create=False)
    await (await open_store(sqlite_url)).close()


async def test_a_database_that_is_missing_is_made_only_when_that_is_allowed(tmp_path):
    file = tmp_path / "x.db"
    with pytest.raises(StoreUnavailable, match="There is no database"):
        await open_store(str(file), create=False)
    assert not file.exists()
    await (await open_store(str(file))).close()
    await (await open_store(str(file), create=False)).close()


async def test_a_database_of_another_program_is_left_alone(tmp_path, bare_postgres_url):
    table = "CREATE TABLE users (name text)"
    file = tmp_path / "x.db"
    connection = sqlite3.connect(file)
    connection.execute(table)
    connection.close()
    execute(bare_postgres_url, table, "SELECT 1")
    for url in (str(file), bare_postgres_url):
        with pytest.raises(StoreUnavailable, match="tables of another program"):
            await open_store(url)


async def test_several_may_upgrade_at_once(tmp_path, bare_postgres_url):
    for url in (str(tmp_path / "x.db"), bare_postgres_url):
        await asyncio.gather(*(upgrade(url) for _ in range(4)))
        assert (await check(url)).state is SchemaState.CURRENT


async def test_the_migrations_make_the_tables_the_program_knows(sql_url):
    address = read_address(sql_url)
    engine = make_engine(address)

    def differences(connection):
        return compare_metadata(MigrationContext.configure(connection), METADATA)

    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()


async def test_the_views_are_made_anew_by_an_upgrade(sqlite_url, monkeypatch):
    connection = sqlite3.connect(sqlite_url)
    for name in reversed(views.VIEWS):
        connection.execute(f"DROP VIEW {name}")
    connection.close()
    monkeypatch.setattr(schema, "newest", lambda: "0999")
    await upgrade(sqlite_url)
    connection = sqlite3.connect(sqlite_url)
    found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'view'").fetchall()
    connection.close()
    assert {name for (name,) in found} == set(views.VIEWS)


# ---- tables

SHAPES = {name: shape for name, shape in vars(shapes).items() if isinstance(shape, shapes.Shape)}
del SHAPES["ORDER_CHANGE"], SHAPES["ORDER_TERMS"]  # each has a part
ELSEWHERE = {"MEMORY": {"position"}}  # fields that have a table of their own


@pytest.mark.parametrize("name", SHAPES)
def test_every_field_of_a_value_has_a_column(name):
    shape = SHAPES[name]
    known = {f.name for f in fields(shape.kind) if f.init}
    assert known - set(shape.names) == ELSEWHERE.get(name, set())


APPEND_ONLY = ["fills", "ledger_entries", "audit_log"]
ROW = (
    "INSERT INTO audit_log VALUES ('u', 1, '2026-01-01T00:00:00Z', 'u', '', '', '', 'a', '{}', '',"
    " '', '', 'h')"
)


def test_what_is_append_only_in_sqlite_cannot_be_changed(sqlite_url):
    connection = sqlite3.connect(sqlite_url)
    connection.execute(ROW)
    for change in ("UPDATE audit_log SET action = 'b'", "DELETE FROM audit_log"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            connection.execute(change)
    triggers = "SELECT tbl_name FROM sqlite_master WHERE type = 'trigger'"
    assert sorted(row[0] for row in connection.execute(triggers)) == sorted(APPEND_ONLY * 2)
    connection.close()


@pytest.mark.parametrize("table", APPEND_ONLY)
@pytest.mark.parametrize("change", ["UPDATE {} SET user_id = 'x'", "DELETE FROM {}", "TRUNCATE {}"])
def test_what_is_append_only_in_postgres_cannot_be_changed(postgres_url, table, change):
    with pytest.raises(Exception, match="append-only"):
        execute(postgres_url, change.format(table))


def test_an_unbalanced_entry_cannot_be_booked_in_postgres(postgres_url):
    row = "('{0}', 'e', {1}, '{0}', 'deposit', now(), 'free', 'USDT', {2})"
    values = ", ".join((row.format("u", 0, 1), row.format("u", 1, "-1.00000001")))
    with pytest.raises(Exception, match="does not balance"):
        execute(postgres_url, f"INSERT INTO ledger_entries VALUES {values}")
