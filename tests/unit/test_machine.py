"""What a process takes of its machine is measured, and a full disk is seen by writing to it."""

import asyncio
import os
import threading
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.doors import Still
from tradefleet.operations.health import machine
from tradefleet.operations.health.machine import (
    Machine,
    disk_percent,
    memory_bytes,
    memory_percent,
    of_container,
    of_machine,
)


def test_the_processor_is_told_for_the_time_since_it_was_looked_at(monkeypatch):
    clock, busy = Still(), iter([10.0, 10.5, 10.6, 20.0, 20.25])
    looked = Machine(clock=clock)
    times = SimpleNamespace(times=lambda: SimpleNamespace(user=next(busy), system=0.0))
    monkeypatch.setattr(machine, "os", times)
    told = []
    for step in (0, 20, 5, 10, 50):
        clock.time += timedelta(seconds=step)
        told.append(looked.cpu_percent())
    assert told == pytest.approx([0, 2.5, 2.5, 950 / 15, 0.5])


async def test_what_is_measured_has_its_name(tmp_path):
    looked = Machine(clock=Still(), folders=[tmp_path / "data", tmp_path])
    found = {
        **await looked.processor(),
        **await looked.memory(),
        **await looked.disk(),
        **await looked.writing(),
    }
    assert list(found) == ["cpu_usage", "memory_usage", "disk_usage", "disk_write_ms"]
    assert 0 < found["disk_usage"].value <= 100
    assert found["disk_write_ms"].detail == str(tmp_path / "data")
    assert list((tmp_path / "data").iterdir()) == [], "the trial leaves nothing behind"


def test_memory_is_the_processs_and_known_everywhere(monkeypatch, tmp_path):
    most = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert 0 < memory_percent() < 100
    assert 10_000_000 < memory_bytes() < most
    monkeypatch.setattr(machine, "STATM", tmp_path / "none")
    assert 10_000_000 < memory_bytes() < most


def test_memory_that_is_taken_is_the_machines_or_the_containers(monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(machine, "CGROUP", tmp_path)
    ours = of_machine()
    assert 0 < ours < 100, "where the machine does not say, it is our own share"
    (tmp_path / "meminfo").write_text("MemTotal: 1000 kB\nMemAvailable: 250 kB\n")
    assert of_machine() == 75
    assert of_container() == 0
    for name, said in (("max", "max"), ("current", "900"), ("stat", "anon 1\ninactive_file 100")):
        (tmp_path / f"memory.{name}").write_text(said)
    assert of_container() == 0, "nothing limits it"
    (tmp_path / "memory.max").write_text("1000\n")
    assert of_container() == 80
    assert memory_percent() == 80


def test_a_folder_that_is_not_there_yet_is_on_its_parents_disk(tmp_path):
    share, name = disk_percent(tmp_path / "not" / "yet")
    assert share == pytest.approx(disk_percent(tmp_path)[0], abs=1)
    assert name == str(tmp_path / "not" / "yet")


async def test_a_folder_that_cannot_be_written_is_an_error_that_says_why(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match=r"exists|Not a directory"):
        await Machine(clock=Still(), folders=[tmp_path / "file"]).writing()


async def test_a_disk_that_hangs_holds_one_thread_and_no_more(tmp_path, monkeypatch):
    looked, free = Machine(clock=Still(), folders=[tmp_path]), threading.Event()
    asked = []

    def hangs(folder: Path) -> tuple[float, str]:
        asked.append(folder)
        free.wait(10)
        return 1.0, ""

    monkeypatch.setattr(machine, "disk_percent", hangs)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(looked.disk(), 0.05)
    with pytest.raises(TimeoutError):
        await looked.disk()
    assert len(asked) == 1
    free.set()
