"""Which backups are kept, and when they are made by the clock."""

import logging
import shutil
from datetime import UTC, datetime, timedelta

import pytest

from tests.backup_rig import NOW, backups, clock_at
from tradefleet.operations.backup import report, shelf
from tradefleet.operations.backup.copying import BackupFault
from tradefleet.operations.backup.schedule import AGAIN, BackupSchedule, latest_due
from tradefleet.stores.memory import MemoryStore

# ---- which are kept


async def test_the_newest_of_each_reason_are_kept_and_those_by_hand_for_ever(sqlite_url, tmp_path):
    clock = clock_at()
    own = backups(sqlite_url, tmp_path, clock=clock, daily=2, weekly=1)
    for reason in ("daily", "manual", "weekly", "daily", "manual", "weekly", "daily"):
        await own.make(reason)
        clock.move_to(clock.now() + timedelta(minutes=1))
    kept = [each.reason for each in own.shelf.kept()]
    assert kept == ["daily", "weekly", "manual", "daily", "manual"]
    assert own.shelf.named("latest") == own.shelf.newest().file


async def test_backups_of_another_database_are_neither_removed_nor_the_latest(sqlite_url, tmp_path):
    other_url = str(shutil.copy(sqlite_url, tmp_path / "other.db"))
    clock = clock_at()
    own = backups(sqlite_url, tmp_path, clock=clock, daily=1)
    other = backups(other_url, tmp_path, clock=clock, daily=1)
    first = await own.make("daily")
    for _ in range(2):
        clock.move_to(clock.now() + timedelta(minutes=1))
        await other.make("daily")
    assert own.shelf.named("latest") == first.file
    assert len(other.shelf.kept()) == 1
    first.file.unlink()
    with pytest.raises(BackupFault, match=r"no backup of this database \(1 of others: name"):
        own.shelf.named("latest")


def test_what_a_killed_process_left_is_removed_after_a_day(tmp_path):
    folder = shelf.Shelf(tmp_path, "x", {})
    left = tmp_path / ".making-x"
    left.mkdir()
    made = left.stat().st_mtime
    folder.rotate(datetime.fromtimestamp(made, UTC) + timedelta(hours=1))
    assert left.exists()
    folder.rotate(datetime.fromtimestamp(made, UTC) + timedelta(days=2))
    assert not left.exists()


def test_there_is_no_latest_in_an_empty_folder(tmp_path):
    with pytest.raises(BackupFault, match="There is no backup in"):
        shelf.Shelf(tmp_path, "x", {}).named("latest")


# ---- by the clock


def test_backups_are_due_at_two_and_on_sundays_at_three():
    assert latest_due("daily", NOW).isoformat() == "2026-11-21T02:00:00+00:00"
    assert latest_due("daily", NOW.replace(hour=1)).isoformat() == "2026-11-20T02:00:00+00:00"
    assert latest_due("weekly", NOW).isoformat() == "2026-11-15T03:00:00+00:00"
    sunday = NOW.replace(day=22, hour=3)
    assert latest_due("weekly", sunday) == sunday


def schedule(sqlite_url, tmp_path, clock, store, owner="one", **more):
    own = backups(sqlite_url, tmp_path, clock=clock, **more)
    return BackupSchedule(backups=own, store=store, clock=clock, owner=owner)


async def test_each_backup_is_made_once_when_it_is_due_whoever_looks(sqlite_url, tmp_path):
    clock = clock_at()
    store = MemoryStore(clock)
    one = schedule(sqlite_url, tmp_path, clock, store)
    two = schedule(sqlite_url, tmp_path, clock, store, "two")
    reasons = []
    for hours in (0, 1, 13, 14, 15, 15.5, 16, 38):
        clock.move_to(NOW + timedelta(hours=hours))
        for each in (one, two, one):
            await each.turn()
        reasons.append([kept.reason for kept in reversed(one.backups.shelf.kept())])
    assert reasons[:3] == [[], [], []]  # a new database waits for the next time
    assert reasons[3] == ["daily"]
    assert reasons[4] == reasons[6] == ["daily", "weekly"]
    assert reasons[7] == ["daily", "weekly", "daily"]
    assert [line["made"] for line in one.backups.shelf.history()] == [True, True, True]


async def test_a_backup_that_was_missed_is_made_at_the_next_start(sqlite_url, tmp_path):
    clock = clock_at()
    store = MemoryStore(clock)
    await schedule(sqlite_url, tmp_path, clock, store).turn()
    clock.move_to(NOW + timedelta(days=3))
    again = schedule(sqlite_url, tmp_path, clock, store)
    await again.turn()
    assert [kept.reason for kept in again.backups.shelf.kept()] == ["weekly", "daily"]


async def test_a_backup_that_fails_is_an_error_recorded_and_tried_again(
    tmp_path, sqlite_url, caplog
):
    clock = clock_at()
    store = MemoryStore(clock)
    job = schedule(sqlite_url, tmp_path, clock, store, masters=())
    await job.turn()
    clock.move_to(NOW + timedelta(days=1))
    for _ in range(3):
        await job.turn()
    failed = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(failed) == 2  # daily and weekly, once each
    assert "the daily backup failed: There is no master key here" in failed[0].getMessage()
    assert [line["made"] for line in job.backups.shelf.history()] == [False, False]
    clock.move_to(NOW + timedelta(days=1) + AGAIN)
    await job.turn()
    assert len([record for record in caplog.records if record.levelno == logging.ERROR]) == 4
    lines = report.shelf_lines([], job.backups.shelf.history(), clock.now())
    assert all("There is no master key here" in line for line in lines)


async def test_no_backup_is_made_of_a_reason_of_which_none_are_kept(sqlite_url, tmp_path):
    clock = clock_at()
    job = schedule(sqlite_url, tmp_path, clock, MemoryStore(clock), daily=0)
    await job.turn()
    clock.move_to(NOW + timedelta(days=1))
    await job.turn()
    assert [kept.reason for kept in job.backups.shelf.kept()] == ["weekly"]
