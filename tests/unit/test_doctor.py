"""What the doctor makes of what it sees: each trouble is told, with a cure, and nothing else is."""

import os
import resource
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.makers import START
from tradefleet.alert import Alert, Level
from tradefleet.figures import Backlog
from tradefleet.operations.doctor import configuration, copies, kept, machine
from tradefleet.operations.doctor.finding import Finding, ok, problem, warning, worst
from tradefleet.operations.doctor.finding import Level as Grade
from tradefleet.settings import Settings, inspect_settings
from tradefleet.wiring.doctor import Patient

MINUTE = timedelta(minutes=1)
RULES = Settings(_env_file=None).alert_rules()


def grades(found) -> list[str]:
    found = list(found)
    assert all(each.cure for each in found if each.level is not Grade.OK)
    return [each.level.value for each in found]


def test_the_worst_counts():
    assert worst([]) is Grade.OK
    assert worst([ok("a", "a"), warning("b", "b", "c")]) is Grade.WARNING
    assert worst([problem("a", "a", "c"), warning("b", "b", "c")]) is Grade.PROBLEM


# ---- settings with which the service starts all the same

PRODUCTION = {
    "environment": "production",
    "public_url": "https://bots.example.org",
    "admin_telegram_ids": "1",
}


def warned(**given) -> list[str]:
    settings = Settings(_env_file=None, **given)
    return [each.name for each in configuration.warnings_of(settings)]


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({}, []),
        ({"log_level": "DEBUG"}, ["LOG_LEVEL"]),
        ({"http_host": "0.0.0.0"}, ["TRUSTED_PROXIES", "METRICS_TOKEN"]),
        ({"http_host": "0.0.0.0", "trusted_proxies": "10.0.0.1"}, ["METRICS_TOKEN"]),
        (
            {"http_host": "::", "trusted_proxies": "10.0.0.1", "metrics_token": "x" * 16},
            [],
        ),
        ({"public_url": ""}, ["PUBLIC_URL"]),
        ({"allow_withdraw_keys_on_testnet": True}, ["ALLOW_WITHDRAW_KEYS_ON_TESTNET"]),
        ({"backup_keep_daily": 0, "backup_keep_weekly": 0}, ["BACKUP_KEEP_DAILY"]),
        ({"admin_telegram_ids": ""}, ["ADMIN_TELEGRAM_IDS"]),
        ({"admin_telegram_ids": "", "slack_webhook_url": "https://x"}, []),
        ({"redis_url": "redis://cache:6379/0"}, ["DATABASE_URL", "REDIS_URL"]),
        ({"redis_url": "redis://:x7@cache:6379/0"}, ["DATABASE_URL"]),
        ({"redis_url": "redis://cache:6379/0", "database_url": "postgresql://d/x"}, ["REDIS_URL"]),
        ({"redis_url": "redis://127.0.0.1:6379/0", "database_url": "postgresql://d/x"}, []),
    ],
)
def test_what_may_be_wrong_in_production_is_told(given, names):
    assert warned(**{**PRODUCTION, **given}) == names


def test_in_development_most_is_fine(tmp_path):
    assert warned(http_host="0.0.0.0") == []
    assert warned(backup_dir=tmp_path / "nowhere") == ["BACKUP_DIR"]
    assert warned(backup_dir=tmp_path) == []
    nowhere = {"backup_dir": tmp_path / "nowhere", "backup_keep_daily": 0, "backup_keep_weekly": 0}
    assert warned(**nowhere) == []


# ---- the machine


def test_folders_are_tried(tmp_path, monkeypatch):
    there, not_yet = tmp_path / "there", tmp_path / "not" / "yet"
    there.mkdir()
    found = list(machine.disks({"DATA_DIR": there, "LOG_DIR": not_yet}))
    assert [each.text.partition(":")[0] for each in found] == ["DATA_DIR", "DATA_DIR", "LOG_DIR"]
    assert "it can be made" in found[-1].text
    assert list(there.iterdir()) == []

    def refuse(*_, **__):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(machine.tempfile, "NamedTemporaryFile", refuse)
    found = machine.written("DATA_DIR", there)
    assert (found.level, "Read-only" in found.text) == (Grade.PROBLEM, True)


@pytest.mark.parametrize(
    ("total", "free", "level"),
    [
        (100, 30, "ok"),
        (100, 15, "warning"),
        (100, 4, "problem"),
        (1, 0.2, "problem"),
        (4000, 300, "ok"),
        (2, 1, "ok"),
    ],
)
def test_room_on_a_disk_is_judged(tmp_path, monkeypatch, total, free, level):
    usage = SimpleNamespace(total=total * machine.GIB, free=free * machine.GIB)
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda place: usage)
    _, disk = machine.disks({"DATA_DIR": tmp_path})
    assert disk.level.value == level


def test_files_that_others_can_read_are_named(tmp_path):
    key, database = tmp_path / "encryption.key", tmp_path / "x.db"
    for file in (key, database):
        file.touch(mode=0o600)
    files = [key, database, tmp_path / "not-there"]
    assert grades(machine.permissions(files, is_production=True)) == ["ok"]
    os.chmod(key, 0o640)
    assert grades(machine.permissions(files, is_production=True)) == ["ok"]
    os.chmod(key, 0o604)
    os.chmod(database, 0o644)
    assert grades(machine.permissions(files, is_production=False)) == ["problem", "warning"]
    assert grades(machine.permissions(files, is_production=True)) == ["problem", "problem"]
    os.chmod(tmp_path, 0o755)
    (folder,) = machine.permissions([tmp_path], is_production=False)
    assert folder.cure == f"chmod 700 {tmp_path}"


def test_the_files_with_secrets_are_known(tmp_path):
    settings = Settings(_env_file=None, data_dir=tmp_path)
    names = [file.name for file in configuration.secret_files(settings, Path(".env"))]
    assert names == [
        "encryption.key", ".env", "backups", "trading_service.db", "trading_service.db-wal",
        "trading_service.db-shm",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("most", "level"),
    [(65536, "ok"), (1024, "warning"), (256, "problem"), (resource.RLIM_INFINITY, "ok")],
)
def test_few_open_files_are_told(monkeypatch, most, level):
    monkeypatch.setattr(machine.resource, "getrlimit", lambda which: (most, most))
    assert machine.open_files().level.value == level


def test_copies_on_the_same_disk_are_told(tmp_path):
    assert grades(machine.same_disk("A", tmp_path, "B", tmp_path / "later")) == ["warning"]


# ---- what the database keeps


def unsure(minutes: float, state: str = "unknown", id: str = "o1") -> kept.Unsure:
    return kept.Unsure(id, "alice", state, START - minutes * MINUTE)


@pytest.mark.parametrize(
    ("orders", "level"),
    [
        ([], "ok"),
        ([unsure(9)], "ok"),
        ([unsure(11)], "problem"),
        ([unsure(1, "quarantined")], "problem"),
    ],
)
def test_orders_nobody_knows_the_fate_of_are_told(orders, level):
    assert grades(kept.orders(orders, START)) == [level]


def test_of_many_orders_some_are_named():
    (found,) = kept.orders([unsure(60, id=f"o{n}") for n in range(7)], START)
    assert "o4 of alice and 2 more" in found.text


def held(owner: str, minutes: float = 1) -> kept.Held:
    return kept.Held(owner, 3, START + minutes * MINUTE)


@pytest.mark.parametrize(
    ("owner", "minutes", "is_sqlite", "levels"),
    [
        ("here:1", 1, True, ["ok"]),
        ("here:1", -1, True, ["warning"]),
        ("here:2", 1, True, ["warning"]),
        ("there:1", 1, False, ["ok"]),
        ("there:1", 1, True, ["problem"]),
        ("there:1", -1, True, ["warning"]),
    ],
)
def test_leases_of_the_dead_and_of_strangers_are_told(owner, minutes, is_sqlite, levels):
    found = kept.leases(
        [held(owner, minutes)], ["here:2"], START, machine="here", is_sqlite=is_sqlite
    )
    assert grades(found) == levels


def test_nobody_need_be_run():
    (found,) = kept.leases([], [], START, machine="here", is_sqlite=True)
    assert found.text == "nobody is run now"


def backlog(**given) -> Backlog:
    nothing = dict.fromkeys(
        ("notices", "host_messages", "webhooks_failing", "webhooks_disabled", "leases"), 0
    )
    return Backlog(**{"oldest_notice": None, **nothing, **given})


@pytest.mark.parametrize(
    ("given", "levels"),
    [
        ({}, ["ok", "ok", "ok"]),
        ({"notices": 2, "oldest_notice": START - 4 * MINUTE}, ["ok", "ok", "ok"]),
        ({"notices": 2, "oldest_notice": START - 6 * MINUTE}, ["warning", "ok", "ok"]),
        ({"notices": 2, "oldest_notice": START - 61 * MINUTE}, ["problem", "ok", "ok"]),
        ({"host_messages": 1001}, ["ok", "warning", "ok"]),
        ({"host_messages": 5001}, ["ok", "problem", "ok"]),
        ({"webhooks_disabled": 1}, ["ok", "ok", "warning"]),
    ],
)
def test_what_waits_too_long_is_told(given, levels):
    assert grades(kept.backlog(backlog(**given), START, RULES["queue"])) == levels


def alert(level: Level, **given) -> Alert:
    told = {"rule": "disk", "metric": "disk", "value": 99.0, "text": "full", "cure": "room"}
    return Alert(**{"id": 1, "level": level, "fired_at": START, "changed_at": START} | told | given)


def test_open_alerts_are_told_by_their_level():
    assert grades(kept.alerts([])) == ["ok"]
    assert grades(kept.alerts([alert(Level.WARNING), alert(Level.CRITICAL)])) == [
        "warning",
        "problem",
    ]
    (found,) = kept.alerts([alert(Level.CRITICAL, acknowledged_at=START, acknowledged_by="ann")])
    assert found == Finding(
        "alerts", Grade.OK, "disk since 2026-01-01 00:00 UTC, acknowledged by ann"
    )


def test_bots_and_switches_are_told():
    assert grades([*kept.set_aside(0), *kept.halted(None)]) == ["ok", "ok"]
    assert grades([*kept.set_aside(2), *kept.halted("restored")]) == ["warning", "warning"]


# ---- backups


def copy(hours: float) -> SimpleNamespace:
    header = SimpleNamespace(taken_at=START - timedelta(hours=hours))
    return SimpleNamespace(header=header, file=Path("tradefleet-x.backup"))


@pytest.mark.parametrize(
    ("newest", "history", "given", "levels"),
    [
        (copy(3), [], {}, ["ok"]),
        (copy(27), [], {}, ["warning"]),
        (copy(51), [], {}, ["problem"]),
        (copy(51), [], {"scheduled": False}, ["warning"]),
        (None, [], {}, ["problem"]),
        (None, [], {"is_needed": False}, ["warning"]),
        (None, [], {"scheduled": False}, ["warning"]),
        (copy(3), [{"made": False, "at": "x", "why": "full"}], {}, ["ok", "problem"]),
        (copy(3), [{"made": False}, {"made": True}], {}, ["ok"]),
    ],
)
def test_backups_that_are_old_or_failed_are_told(newest, history, given, levels):
    given = {"scheduled": True, "is_needed": True, **given}
    assert grades(copies.look(newest, history, START, RULES["backup_age"], **given)) == levels


def test_the_doctor_judges_by_the_thresholds_that_the_operator_chose():
    settings = Settings(_env_file=None, alert_thresholds="backup_age=2/4,queue=10/20")
    rules, given = settings.alert_rules(), {"scheduled": True, "is_needed": True}
    assert grades(copies.look(copy(3), [], START, rules["backup_age"], **given)) == ["warning"]
    waiting = kept.backlog(backlog(host_messages=20), START, rules["queue"])
    assert grades(waiting) == ["ok", "problem", "ok"]


def test_the_doctor_judges_by_the_usual_thresholds_when_the_chosen_ones_cannot_be_read(tmp_path):
    inspection = inspect_settings(tmp_path / ".env")
    settings = inspection.settings.model_copy(update={"alert_thresholds": "nonsense"})
    patient = Patient(replace(inspection, settings=settings), tmp_path / ".env", "", http=None)
    assert patient.rules == RULES
