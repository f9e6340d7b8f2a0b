"""A hung event loop is seen from outside of it, told with where it hangs, and ended."""

import asyncio
import json
import logging
import subprocess
import sys
import textwrap
import threading
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from tests.health_rig import Ward
from tests.runtime.live_rig import VirtualClock
from tradefleet.operations.health.checks import Check
from tradefleet.operations.health.watchdog import EXIT_CODE, FILE, LINES_MAX, Watchdog, stack_of

HANGS = textwrap.dedent(
    """
    import asyncio, logging, sys, time
    from pathlib import Path
    from tradefleet.operations.health.watchdog import Watchdog
    from tradefleet.runtime.real_world import RealClock

    def decide_for_ever(secret):
        time.sleep(60)

    async def main():
        dog = Watchdog(
            clock=RealClock(), folder=Path(sys.argv[1]), told_after=0.2, ended_after=0.6
        )
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(dog.run())
            await asyncio.sleep(0.1)
            decide_for_ever("hunter2")

    logging.basicConfig(stream=sys.stdout)
    asyncio.run(main())
    """
)


async def test_a_process_whose_loop_hangs_says_where_ends_and_is_told_of_by_the_next(tmp_path):
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", HANGS, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == EXIT_CODE, done.stderr
    first, *_, last = done.stdout.splitlines()
    assert "the event loop hangs for" in first and first.endswith("decide_for_ever")
    assert "the process ends" in last
    assert "hunter2" not in done.stdout + (tmp_path / FILE).read_text()

    clock = VirtualClock()
    (line,) = (tmp_path / FILE).read_text().splitlines()
    (tmp_path / FILE).write_text(
        json.dumps(json.loads(line) | {"at": clock.now().isoformat()}) + "\nbroken\n"
    )
    dog = Watchdog(clock=clock, folder=tmp_path, told_after=10, ended_after=60)
    ward = Ward([Check(metrics=("watchdog_restarts",), measure=dog.measure)], clock=clock)
    assert await ward.round() == ["watchdog_restart fired warning"]
    assert ward.ear.heard[0].text.endswith("decide_for_ever)")
    await clock.pass_by(3600)
    assert await ward.round() == ["watchdog_restart resolved warning"]


def dog(clock: VirtualClock, folder: Path, ended: list[int]) -> Watchdog:
    def end(code: int) -> None:
        ended.append(code)
        raise SystemExit(code)

    made = Watchdog(clock=clock, folder=folder, told_after=10, ended_after=60, end=end)
    made._ticked_at = made._looked_at = clock.monotonic()
    return made


def look(watched: Watchdog, seconds: float, step: float = 2.5) -> None:
    """Let time pass without a tick, looking every so often."""
    here = threading.get_ident()
    with suppress(SystemExit):
        for _ in range(int(seconds / step)):
            watched.clock._now += timedelta(seconds=step)
            watched.look(here)


def test_a_loop_that_goes_on_again_is_let_live(tmp_path, caplog):
    ended: list[int] = []
    watched = dog(VirtualClock(), tmp_path, ended)
    with caplog.at_level(logging.WARNING):
        look(watched, 50)
        assert [record.message[:30] for record in caplog.records] == [
            "the event loop hangs for 10 s "
        ]
        watched._ticked_at = watched.clock.monotonic()
        look(watched, 2.5)
        assert caplog.records[-1].message == "the event loop goes on"
    assert ended == []
    look(watched, 60)
    assert ended == [EXIT_CODE]


def test_a_machine_that_slept_is_no_hang(tmp_path):
    ended: list[int] = []
    watched = dog(VirtualClock(), tmp_path, ended)
    look(watched, 600, step=300)
    assert ended == []
    look(watched, 60)
    assert ended == [EXIT_CODE], "but one that hangs afterwards is one"


def test_a_disk_that_is_full_keeps_nothing_alive_that_hangs(tmp_path, caplog):
    (tmp_path / FILE).mkdir()
    ended: list[int] = []
    look(dog(VirtualClock(), tmp_path, ended), 60)
    assert ended == [EXIT_CODE]
    assert "cannot be written" in caplog.text


def test_only_the_latest_ends_are_kept(tmp_path):
    (tmp_path / FILE).write_text("{}\n" * (LINES_MAX + 5))
    look(dog(VirtualClock(), tmp_path, []), 60)
    assert len((tmp_path / FILE).read_text().splitlines()) == LINES_MAX


async def test_without_an_end_nothing_is_told(tmp_path):
    watched = dog(VirtualClock(), tmp_path, [])
    told = await watched.measure()
    assert (told["watchdog_restarts"].value, told["watchdog_restarts"].detail) == (0, "")


def test_where_a_thread_is_can_be_told():
    assert "test_where_a_thread_is_can_be_told > " in stack_of(threading.get_ident())
    assert "no more" in stack_of(0)
