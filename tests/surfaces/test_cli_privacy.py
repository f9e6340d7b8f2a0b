"""`tradefleet privacy` as it is typed, over real files; and a restore that erases again."""

import asyncio
import json
import sqlite3
import zipfile
from contextlib import closing

import pytest
from typer.testing import CliRunner

from tests.store_rig import account, user
from tradefleet.domain.ids import UserId
from tradefleet.stores.sql import open_store
from tradefleet.surfaces.cli.app import build_app
from tradefleet.wiring.parts import build_parts

MASTER = "0123456789abcdefghijklmnopqrstuv"
CANARY = UserId("cnryalice77q")


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ENCRYPTION_KEY", MASTER)
    monkeypatch.setenv("VENUES", "binance")
    monkeypatch.setenv("LOG_FILE", "")
    (tmp_path / "data").mkdir()
    file = tmp_path / "data" / "trading_service.db"
    asyncio.run(made(str(file)))
    return file


async def made(url):
    store = await open_store(url)
    await store.secret("order_ids")
    for user_id in (CANARY, UserId("bob")):
        async with store.open(user_id) as own:
            await own.save_user(user(user_id))
            await own.save_account(account(user_id))
    await store.close()


def run(*words):
    result = CliRunner().invoke(build_app(build_parts()), list(words))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.output
    assert "Traceback" not in result.output
    return result


def users_in(file):
    with closing(sqlite3.connect(file)) as connection:
        return [row[0] for row in connection.execute("SELECT id FROM users ORDER BY id")]


def test_a_user_is_exported_erased_and_not_brought_back_by_a_backup(file, tmp_path):
    told = run("privacy", "export", CANARY, "--out", "mine.zip", "--reason", "asked")
    assert told.exit_code == 0, told.output
    with zipfile.ZipFile(tmp_path / "mine.zip") as archive:
        assert json.loads(archive.read("manifest.json"))["user"] == CANARY
    assert (
        "is there already"
        in run("privacy", "export", CANARY, "--out", "mine.zip", "--reason", "asked").output
    )
    assert run("privacy", "export", "nobody", "--out", "x.zip", "--reason", "asked").exit_code == 1
    assert not (tmp_path / "x.zip").exists()
    assert run("backup").exit_code == 0

    told = run("privacy", "erase", CANARY, "--reason", "asked by letter", "--yes")
    assert told.exit_code == 0, told.output
    assert "Erased. What is kept of their trades is kept under erased-" in told.output
    (pseudonym,) = [name for name in users_in(file) if name.startswith("erased-")]
    assert CANARY not in users_in(file)
    assert pseudonym in run("privacy", "erasures").output
    assert run("privacy", "erase", CANARY, "--reason", "again", "--yes").exit_code == 1
    assert CANARY.encode() not in file.read_bytes()

    told = run("restore", "latest", "--force", "--no-compare")
    assert told.exit_code == 0, told.output
    assert users_in(file) == ["bob", pseudonym]
    assert CANARY.encode() not in file.read_bytes()
    assert run("audit", "verify").exit_code == 0, run("audit", "verify").output


def test_a_restore_without_a_readable_list_of_erasures_is_refused(file):
    assert run("backup").exit_code == 0
    assert run("privacy", "erase", CANARY, "--reason", "r", "--yes").exit_code == 0
    listed = file.parent / "backups" / "erasures.jsonl"
    listed.write_text(listed.read_text()[:40])
    told = run("restore", "latest", "--force", "--no-compare")
    assert told.exit_code == 1
    assert "cannot be read as the list of who was erased" in told.output
    assert CANARY not in users_in(file)


def test_an_erasure_asks_first_and_without_an_answer_nothing_is_done(file):
    assert run("privacy", "erase", CANARY, "--reason", "r").exit_code == 1
    assert CANARY in users_in(file)


def test_retention_says_what_would_go_and_a_file_is_written_anew(file):
    told = run("privacy", "retention", "--dry-run")
    assert told.exit_code == 0, told.output
    assert "0 closed trades from before " in told.output
    assert "There was nothing to remove." in run("privacy", "retention").output
    assert "Written anew" in run("privacy", "scrub").output


def test_a_backup_from_another_machine_brings_its_list_along(file, tmp_path):
    assert run("backup").exit_code == 0
    assert run("privacy", "erase", CANARY, "--reason", "r", "--yes").exit_code == 0
    carried = tmp_path / "carried"
    (file.parent / "backups").rename(carried)
    (file.parent / "erasures.jsonl").unlink()
    (backup,) = carried.glob("*.backup")
    assert run("restore", str(backup), "--force", "--no-compare").exit_code == 0
    assert [name for name in users_in(file) if not name.startswith("erased-")] == ["bob"]
    listed = (file.parent / "backups" / "erasures.jsonl").read_text()
    assert listed == (carried / "erasures.jsonl").read_text()
