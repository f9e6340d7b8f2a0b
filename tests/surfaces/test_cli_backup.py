"""`tradefleet backup`, `restore` and `drill` as they are typed, over real files."""

import asyncio
import json
import re
import sqlite3
from contextlib import closing

import pytest
from typer.testing import CliRunner

from tests.backup_rig import GROUP, filled, group_of
from tests.makers import after_start
from tests.store_rig import ALICE
from tradefleet.domain.limits import Halt
from tradefleet.stores.sql import open_store
from tradefleet.surfaces.cli.app import build_app
from tradefleet.wiring.parts import build_parts

MASTER = "0123456789abcdefghijklmnopqrstuv"
OTHER_MASTER = "vutsrqponmlkjihgfedcba9876543210"


@pytest.fixture
def file(tmp_path, monkeypatch):
    """The service's database, of two users, in a folder the program is started in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ENCRYPTION_KEY", MASTER)
    monkeypatch.setenv("VENUES", "binance")
    (tmp_path / "data").mkdir()
    file = tmp_path / "data" / "trading_service.db"
    asyncio.run(made(str(file)))
    return file


async def made(url):
    store, _ = await filled(url)
    await store.close()


def run(*words):
    result = CliRunner().invoke(build_app(build_parts()), list(words))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.output
    assert "Traceback" not in result.output
    return result


def orders_in(file):
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute("SELECT count(*) FROM orders").fetchone()[0]


def test_a_backup_is_made_listed_and_brought_back(file):
    result = run("backup")
    assert result.exit_code == 0, result.output
    assert re.match(r"Backup: data/backups/tradefleet-\d{8}T\d{6}Z-manual\.backup", result.output)
    assert "sums of the ledger are equal" in result.output
    listed = run("backup", "--list").output
    assert "manual" in listed
    assert "The newest is 0 min old." in listed
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("UPDATE users SET username = 'changed'  WHERE id = 'alice_id'")
        connection.commit()
    result = run("restore", "latest")
    assert result.exit_code == 0, result.output
    assert "/data/trading_service.db.before-" in result.output
    assert result.output.rstrip().endswith("end it with /killswitch platform run.")
    assert orders_in(file) == 2 * GROUP
    with closing(sqlite3.connect(file)) as connection:
        name = "SELECT username FROM users WHERE id = 'alice_id'"
        assert connection.execute(name).fetchone()[0] == "name of alice_id"

    async def switch():
        store = await open_store(str(file))
        found = await store.platform_switch()
        await store.close()
        return found

    assert asyncio.run(switch()).halt is Halt.STOP


def test_what_is_restored_may_be_opened_by_whom_it_was_before(file):
    file.chmod(0o640)
    before = file.stat()
    run("backup")
    assert run("restore", "latest", "--no-compare").exit_code == 0
    after = file.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (
        before.st_mode,
        before.st_uid,
        before.st_gid,
    )
    assert after.st_ino != before.st_ino


def test_a_link_to_the_database_stays_a_link(file, monkeypatch):
    link = file.with_name("link.db")
    link.symlink_to(file)
    run("backup", "--db", str(link))
    assert run("restore", "latest", "--no-compare", "--db", str(link)).exit_code == 0
    assert link.is_symlink()
    assert len(list(file.parent.glob("trading_service.db.before-*"))) == 1


def test_an_account_that_cannot_be_compared_is_named_and_the_database_stays_restored(file):
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("UPDATE accounts SET venue = 'kraken', mode = 'testnet'")
        connection.commit()
    run("backup")
    result = run("restore", "latest")
    assert result.exit_code == 0
    name = "account1 of alice_id: not compared. kraken is not switched on in this service."
    assert name in result.output


def test_an_admin_lifts_the_safe_mode(file):
    run("backup")
    run("restore", "latest", "--no-compare")
    assert run("users", "add", "carol", "--admin").exit_code == 0
    lift = ("chat", "--user", "carol", "--yes", "/killswitch platform run")
    assert run(*lift).exit_code == 0
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT halt FROM switches").fetchall() == [("run",)]


def test_a_drill_prints_what_a_loss_would_cost(file):
    result = run("drill")
    assert result.exit_code == 0, result.output
    assert re.search(r"^RTO: \d+\.\d s", result.output, re.MULTILINE)
    assert "RPO: everything, for no backup is kept yet; by schedule at most 24 h" in result.output
    assert [path.name for path in (file.parent / "backups").iterdir()] == []


def test_a_damaged_backup_is_refused_and_the_database_left_alone(file):
    run("backup")
    (sealed,) = (file.parent / "backups").glob("*.backup")
    whole = sealed.read_bytes()
    before = file.read_bytes()
    for changed in (whole[:-1], whole[: len(whole) // 2], whole[:-9] + b"x" + whole[-8:]):
        sealed.write_bytes(changed)
        result = run("restore", str(sealed), "--force")
        assert result.exit_code == 1
        assert "is damaged" in result.stderr
    assert file.read_bytes() == before


def test_a_backup_under_another_master_key_is_refused_by_its_fingerprint(file, monkeypatch):
    run("backup")
    monkeypatch.setenv("ENCRYPTION_KEY", OTHER_MASTER)
    result = run("restore", "latest")
    assert result.exit_code == 1
    assert "was sealed under another master key" in result.stderr
    monkeypatch.setenv("ENCRYPTION_KEY", f"{OTHER_MASTER},{MASTER}")
    assert run("restore", "latest", "--no-compare").exit_code == 0


def test_without_a_master_key_none_is_made_up(file, monkeypatch):
    monkeypatch.delenv("ENCRYPTION_KEY")
    result = run("backup")
    assert result.exit_code == 1
    assert "There is no master key here" in result.stderr
    assert not (file.parent / "encryption.key").exists()
    (line,) = (file.parent / "backups" / "history.jsonl").read_text().splitlines()
    assert json.loads(line)["made"] is False


def test_a_database_that_knows_more_is_replaced_only_when_told(file):
    run("backup")

    async def go_on():
        store = await open_store(str(file))
        leases = {lease.user_id: lease for lease in await take_again(store)}
        assert not any(await store.write(group_of(leases[ALICE], 2 * GROUP)))
        await store.close()

    asyncio.run(go_on())
    result = run("restore", "latest")
    assert result.exit_code == 1
    assert "what happened since would be lost" in result.stderr
    assert orders_in(file) == 3 * GROUP
    result = run("restore", "latest", "--force", "--no-compare")
    assert result.exit_code == 0
    assert "orders 40 (was 60)" in result.output
    assert "what was booked since the backup is missing" in result.output
    assert orders_in(file) == 2 * GROUP


async def take_again(store):
    return await store.take_leases("host", now=after_start(days=1), ttl=15.0, limit=10)


def test_a_file_that_is_no_backup_is_refused(file, tmp_path):
    result = run("restore", str(file))
    assert result.exit_code == 1
    assert "is no backup of tradefleet" in result.stderr
    assert "cannot be read" in run("restore", "nowhere.backup").stderr
