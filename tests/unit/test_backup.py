"""Backups of both databases: made under write load, tried out, brought back, refused."""

import asyncio
import errno
import sqlite3
from contextlib import closing
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import asyncpg
import pytest
from alembic import command
from sqlalchemy import create_engine

from tests.backup_rig import (
    GROUP,
    Writer,
    backups,
    filled,
    group_of,
    require_programs,
)
from tests.postgres_server import address_as, database_address, execute
from tests.store_rig import ALICE, take
from tradefleet.domain.errors import LeaseLost, StoreUnavailable
from tradefleet.domain.limits import Halt
from tradefleet.operations.backup import report, sealed_file, shelf
from tradefleet.operations.backup.backups import Backups
from tradefleet.operations.backup.copying import BackupFault, Picture
from tradefleet.stores.sql import open_store, schema, upgrade
from tradefleet.stores.sql.copies import copier_of, postgres
from tradefleet.stores.sql.copies.sums import digest_of
from tradefleet.stores.sql.roles import set_up_role


@pytest.fixture
def url(sql_url, request):
    """The address of a database of either kind that may be replaced by another."""
    require_programs(sql_url)
    if not sql_url.startswith("postgresql"):
        return sql_url
    own = request.getfixturevalue("bare_postgres_url")
    asyncio.run(upgrade(own))
    return own


# ---- whole databases


async def test_a_backup_under_write_load_is_one_moment_and_comes_back_whole(url, tmp_path):
    store, leases = await filled(url)
    own = backups(url, tmp_path)
    async with Writer(store, leases[ALICE], 2 * GROUP) as writer:
        await writer.another()
        before, made = writer.confirmed, await own.make()
        after = writer.confirmed + GROUP
        await writer.another()
    count = made.picture.tables["orders"]
    assert before <= count <= after
    assert count % GROUP == 0  # no batch is halved
    assert made.picture.tables["fills"] == count
    assert after - GROUP > before  # others wrote meanwhile
    await store.close()
    async with restored_beside(own, made.file, tmp_path) as found:
        assert found.tables == made.picture.tables
        assert found.differences(made.picture) == []


class restored_beside:
    """Opens a backup as a temporary database and reads it."""

    def __init__(self, own: Backups, file: Path, folder: Path) -> None:
        self.folder = folder / "beside"
        self.folder.mkdir()
        self.opened, self.own = own.opened(file, self.folder), own

    async def __aenter__(self) -> Picture:
        found = await self.opened.__aenter__()
        return await self.own.copier.look(found.address)

    async def __aexit__(self, *failure) -> None:
        await self.opened.__aexit__(*failure)


async def test_what_is_restored_has_what_was_backed_up_and_the_other_one_is_kept(url, tmp_path):
    store, leases = await filled(url)
    own = backups(url, tmp_path)
    made = await own.make()
    assert not any(await store.write(group_of(leases[ALICE], 2 * GROUP)))
    await store.close()
    with pytest.raises(BackupFault, match=r"knows of things of .*would be lost.*--force"):
        await own.restore(made.file)
    done = await own.restore(made.file, force=True)
    assert done.before.tables["orders"] == 3 * GROUP
    kept = await own.copier.look(aside_address(url, done.aside))
    assert kept.tables["orders"] == 3 * GROUP
    store = await open_store(url)
    async with store.open(ALICE, reading=True) as reading:
        assert len(await reading.orders(limit=1000)) == 2 * GROUP
        assert len(await reading.entries()) == 2 * GROUP
    await store.close()
    assert "orders 40 (was 60)" in "\n".join(report.restored_lines(done, "x"))


def aside_address(url: str, aside: str) -> str:
    return database_address(url, aside) if url.startswith("postgresql") else aside


async def test_what_is_restored_allows_exits_only_and_shuts_out_who_wrote_before(url, tmp_path):
    store, before = await filled(url)
    own = backups(url, tmp_path)
    made = await own.make()
    await store.close()
    await own.restore(made.file)
    store = await open_store(url)
    switch = await store.platform_switch()
    assert switch.halt is Halt.STOP
    assert switch.reason.startswith("Restored at ")
    (error,) = await store.write(group_of(before[ALICE], 2 * GROUP)[:1])
    assert isinstance(error, LeaseLost)
    now = await take(store, "another host")
    assert now[ALICE].epoch > before[ALICE].epoch + 1000
    assert not any(await store.write(group_of(now[ALICE], 2 * GROUP)))
    await store.close()


async def test_a_database_that_is_lost_comes_back(url, tmp_path):
    store, _ = await filled(url)
    own = backups(url, tmp_path)
    made = await own.make()
    await store.close()
    if url.startswith("postgresql"):
        name = url.partition("?")[0].rpartition("/")[2]
        execute(database_address(url, "postgres"), f"DROP DATABASE {name}", "SELECT 1")
    else:
        await asyncio.to_thread(Path(url).write_bytes, b"this is no database any more" * 1000)
    done = await own.restore(made.file)
    assert done.before is None
    found = await own.copier.standing()
    assert found.tables["orders"] == 2 * GROUP


async def test_a_database_in_use_is_not_replaced(url, tmp_path):
    store, _ = await filled(url)
    own = backups(url, tmp_path)
    made = await own.make()
    with pytest.raises(BackupFault, match="is in use"):
        await own.restore(made.file)
    assert (await own.copier.standing()).tables["orders"] == 2 * GROUP
    async with store.open(ALICE, reading=True) as reading:
        assert len(await reading.orders()) == 2 * GROUP
    await store.close()


async def test_an_owner_notices_that_the_services_own_role_is_connected(
    bare_postgres_url, tmp_path
):
    """PostgreSQL hides from it what others do; once it was granted their role, it ends them."""
    require_programs(bare_postgres_url)
    role = "restore_app"
    await upgrade(bare_postgres_url)
    await set_up_role(bare_postgres_url, role, None)
    owner = address_as("tradefleet", bare_postgres_url)
    execute(owner, f"REVOKE {role} FROM tradefleet", "SELECT 1")  # as db roles left it once
    store, _ = await filled(address_as(role, bare_postgres_url))
    own = backups(owner, tmp_path)
    made = await own.make()
    with pytest.raises(BackupFault, match="is in use by"):
        await own.restore(made.file)
    with pytest.raises(BackupFault, match="may not turn them out"):
        await own.restore(made.file, force=True)
    await set_up_role(owner, role, None)
    await own.restore(made.file, force=True)
    await store.close()
    assert (await own.copier.standing()).tables["orders"] == 2 * GROUP


async def test_force_does_not_replace_a_file_that_somebody_writes(sqlite_url, tmp_path):
    store, _ = await filled(sqlite_url)
    own = backups(sqlite_url, tmp_path)
    made = await own.make()
    with pytest.raises(BackupFault, match="is in use: stop the service first"):
        await own.restore(made.file, force=True)
    await store.close()


async def test_force_turns_out_whoever_is_connected_and_they_cannot_write(
    bare_postgres_url, tmp_path
):
    require_programs(bare_postgres_url)
    store, leases = await filled(bare_postgres_url)
    own = backups(bare_postgres_url, tmp_path)
    made = await own.make()
    await own.restore(made.file, force=True)
    errors = []
    for _ in range(3):  # the first ones notice that their connections are gone
        errors += await store.write(group_of(leases[ALICE], 2 * GROUP)[:1])
    assert all(isinstance(error, LeaseLost | StoreUnavailable) for error in errors)
    assert isinstance(errors[-1], LeaseLost)
    await store.close()


async def test_a_drill_says_what_a_loss_would_cost_and_leaves_nothing(url, tmp_path):
    store, _ = await filled(url)
    own = backups(url, tmp_path)
    first = await own.drill()
    assert first.loss is None
    made = await own.make()
    second = await own.drill()
    assert second.loss < timedelta(minutes=1)
    assert second.restoring > 0
    assert [each.file for each in own.shelf.kept()] == [made.file]
    assert [path.name for path in own.shelf.folder.iterdir()] == [made.file.name]
    lines = "\n".join(report.drill_lines(second))
    assert "RTO: 0." in lines or "RTO: " in lines
    assert "RPO: 0 min" in lines
    assert (await own.copier.standing()).tables["orders"] == 2 * GROUP
    assert await store.platform_switch() is None
    await store.close()
    if url.startswith("postgresql"):
        listed = "SELECT datname FROM pg_database WHERE datname LIKE '%restored%'"
        assert execute(url, listed) == []


def upgraded_to(file: Path, revision: str) -> None:
    """Make a database as an older version of the program did."""
    with create_engine(f"sqlite:///{file}").begin() as connection:
        config = schema.alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


async def test_a_backup_of_an_older_schema_is_brought_up_to_date(tmp_path):
    file = tmp_path / "older.db"
    older = next(iter(schema.scripts().walk_revisions())).down_revision
    await asyncio.to_thread(upgraded_to, file, older)
    own = backups(str(file), tmp_path)
    made = await own.make()
    assert made.header.schema == older
    await own.restore(made.file)
    assert (await own.copier.standing()).schema == schema.newest()
    store = await open_store(str(file), create=False)
    assert (await store.platform_switch()).halt is Halt.STOP
    await store.close()


async def test_a_backup_of_a_newer_schema_is_refused_and_replaces_nothing(sqlite_url, tmp_path):
    store, _ = await filled(sqlite_url)
    await store.close()
    own = backups(sqlite_url, tmp_path)
    with closing(sqlite3.connect(sqlite_url)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    made = await own.make()
    with pytest.raises(StoreUnavailable, match="newer version of tradefleet"):
        await own.restore(made.file, force=True)
    assert (await own.copier.standing()).schema == "9999"
    assert list(tmp_path.glob("*.before-*")) == []


async def test_a_backup_of_another_kind_of_database_is_refused(sqlite_url, tmp_path):
    store, _ = await filled(sqlite_url)
    await store.close()
    made = await backups(sqlite_url, tmp_path).make()
    other = backups("postgresql://nobody@127.0.0.1:1/x", tmp_path)
    with pytest.raises(BackupFault, match="is a backup of sqlite, and the database is postgresql"):
        await other.restore(made.file)


async def test_a_copy_that_lacks_a_row_does_not_become_a_backup(sqlite_url, tmp_path, monkeypatch):
    store, _ = await filled(sqlite_url)
    await store.close()
    own = backups(sqlite_url, tmp_path)

    async def losing(self, address):
        with closing(sqlite3.connect(address)) as connection:
            connection.execute("DELETE FROM leases")
            connection.commit()
        return await look(self, address)

    look = type(own.copier).look
    monkeypatch.setattr(type(own.copier), "look", losing)
    with pytest.raises(BackupFault, match="table leases: 2 rows, and 0"):
        await own.make()
    assert own.shelf.kept() == []


def test_the_sums_of_two_ledgers_differ_by_the_last_digit():
    one = [("a", "cash", "USDT", Decimal("123456789012345678901234567890.00000001"))]
    same = [("a", "cash", "USDT", Decimal("123456789012345678901234567890.0000000100"))]
    other = [("a", "cash", "USDT", Decimal("123456789012345678901234567890.00000002"))]
    assert digest_of(one) == digest_of(same)
    assert digest_of(one) != digest_of(other)


async def test_a_full_disk_is_told_with_the_cure_and_nothing_is_left(
    sqlite_url, tmp_path, monkeypatch
):
    store, _ = await filled(sqlite_url)
    await store.close()
    own = backups(sqlite_url, tmp_path)

    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(sealed_file.os, "fsync", full)
        with pytest.raises(BackupFault, match=r"The disk refuses \(No space left.*room for two"):
            await own.recorded("daily")
    assert [path.name for path in own.shelf.folder.iterdir()] == [shelf.HISTORY]
    assert [line["made"] for line in own.shelf.history()] == [False]


async def test_there_is_no_backup_of_nothing(tmp_path):
    with pytest.raises(StoreUnavailable, match="There is no database"):
        await backups(str(tmp_path / "none.db"), tmp_path).make()


# ---- the programs of PostgreSQL


async def test_an_owner_whom_row_level_security_binds_backs_up_and_restores_all(
    postgres_server, bare_postgres_url, tmp_path
):
    require_programs(bare_postgres_url)
    role, name = "backup_owner", bare_postgres_url.partition("?")[0].rpartition("/")[2]
    make_role = (
        f"DO $$ BEGIN CREATE ROLE {role} LOGIN CREATEDB; "
        "EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
    )
    owns = f"ALTER DATABASE {name} OWNER TO {role}"
    execute(postgres_server, make_role, owns, "SELECT 1")
    url = address_as(role, bare_postgres_url)
    store, _ = await filled(url)
    own = backups(url, tmp_path)
    made = await own.make()
    await store.close()
    assert (made.picture.tables["users"], made.picture.tables["orders"]) == (2, 2 * GROUP)
    await own.restore(made.file)
    assert (await own.copier.standing()).tables["orders"] == 2 * GROUP
    bound = "SELECT relforcerowsecurity FROM pg_class WHERE relname = 'orders'"
    assert execute(url, bound)[0][0] is True


async def test_the_services_role_backs_up_and_its_owner_restores_what_it_may_use_again(
    bare_postgres_url, tmp_path
):
    """It owns nothing; what it may do besides is to make a database, to try a backup out in."""
    require_programs(bare_postgres_url)
    role = "backup_app"
    await upgrade(bare_postgres_url)
    await set_up_role(bare_postgres_url, role, None)
    execute(bare_postgres_url, f"ALTER ROLE {role} CREATEDB", "SELECT 1")
    url = address_as(role, bare_postgres_url)
    store, leases = await filled(url)
    made = await backups(url, tmp_path).make()
    await store.close()
    assert (made.picture.tables["users"], made.picture.tables["orders"]) == (2, 2 * GROUP)
    await backups(bare_postgres_url, tmp_path).restore(made.file)
    store = await open_store(url)
    assert sorted(await store.user_ids()) == sorted(leases)
    await store.close()
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        execute(url, "DELETE FROM fills", role=role)


async def test_a_role_from_which_rows_are_hidden_makes_no_empty_backup(
    postgres_server, bare_postgres_url, tmp_path
):
    require_programs(bare_postgres_url)
    store, _ = await filled(bare_postgres_url)
    await store.close()
    role = "backup_hidden"
    make_role = (
        f"DO $$ BEGIN CREATE ROLE {role} LOGIN CREATEDB; "
        "EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
    )
    grant = f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}"
    hide = "ALTER POLICY tenant ON users USING (false)"
    execute(bare_postgres_url, make_role, grant, hide, "ANALYZE users", "SELECT 1")
    own = backups(address_as(role, bare_postgres_url), tmp_path)
    with pytest.raises(BackupFault, match="Row-level security hides the users"):
        await own.make()
    execute(bare_postgres_url, f"DROP OWNED BY {role}", "SELECT 1")


async def test_who_may_not_make_a_database_is_told_what_to_say(
    postgres_server, bare_postgres_url, tmp_path
):
    require_programs(bare_postgres_url)
    role, name = "backup_reader", bare_postgres_url.partition("?")[0].rpartition("/")[2]
    make_role = (
        f"DO $$ BEGIN CREATE ROLE {role} LOGIN; "
        "EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
    )
    owns = f"ALTER DATABASE {name} OWNER TO {role}"
    execute(postgres_server, make_role, owns, "SELECT 1")
    url = address_as(role, bare_postgres_url)
    await upgrade(url)
    own = backups(url, tmp_path)
    with pytest.raises(BackupFault, match=f"ALTER ROLE {role} CREATEDB"):
        await own.make()
    assert own.shelf.kept() == []


async def test_a_missing_program_is_named_with_how_to_get_it(monkeypatch):
    monkeypatch.setattr(postgres, "candidates", lambda name: [])
    with pytest.raises(BackupFault, match=r"pg_dump .* 17 .*apt-get install postgresql-client-17"):
        await postgres.found_program("pg_dump", 17)


async def test_a_program_older_than_the_server_is_not_used(monkeypatch, tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    for file, version in ((old, 13), (new, 16)):
        file.write_text(f"#!/bin/sh\necho 'pg_dump (PostgreSQL) {version}.4 (Debian 1)'\n")
        file.chmod(0o755)
    monkeypatch.setattr(postgres, "candidates", lambda name: [str(old), str(new)])
    assert await postgres.found_program("pg_dump", 15) == str(new)
    with pytest.raises(BackupFault, match=r"only that of 13, 16"):
        await postgres.found_program("pg_dump", 17)


def test_a_password_goes_to_the_programs_by_their_environment():
    copier = copier_of("postgresql://u:p%40ss@h:5433/d?sslmode=require")
    said = postgres.environment_of(copier.address.url)
    assert (said["PGUSER"], said["PGPASSWORD"], said["PGHOST"]) == ("u", "p@ss", "h")
    assert (said["PGPORT"], said["PGDATABASE"], said["PGSSLMODE"]) == ("5433", "d", "require")
