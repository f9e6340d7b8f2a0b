"""What goes wrong is caused for real: /health and an alert say so within a minute, and it is over.

Others are caused elsewhere: a hung loop in tests/unit/test_watchdog.py, a process that dies in
tests/unit/test_alerting.py, a database that goes away under the whole service in
tests/e2e/test_database_away.py.
"""

import asyncio
import logging
import os
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import replace
from pathlib import Path
from sqlite3 import connect
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.health_rig import EVERY, Ward
from tests.makers import BTC, bar
from tests.runtime.live_rig import ALICE, STREAM, Ground, VirtualClock, enter, quiet
from tests.surfaces.bot_api import TOKEN, BotApi, Fault
from tradefleet.domain.effects import Notify, Topic
from tradefleet.domain.ids import UserId
from tradefleet.domain.tally import RequestTally
from tradefleet.engine.pace import Priority
from tradefleet.notifiers.log import LogNotifier
from tradefleet.operations.health import machine
from tradefleet.operations.health.backup_age import BackupAge
from tradefleet.operations.health.checks import Check
from tradefleet.operations.health.errors import ErrorCount
from tradefleet.operations.health.machine import TRIAL_FILE, Machine
from tradefleet.operations.health.requests import Requests
from tradefleet.operations.health.venue_limits import Hits
from tradefleet.runtime.governor import Governor
from tradefleet.runtime.outbox import Outbox
from tradefleet.surfaces.telegram.options import TelegramOptions
from tradefleet.surfaces.telegram.pulse import TelegramPulse
from tradefleet.venue import VenueCall
from tradefleet.wiring.health import database_checks, node_checks

PLACE = SimpleNamespace(max_bots_per_server=1000)


# ---- bots and markets


@asynccontextmanager
async def trading(*users: UserId) -> AsyncIterator[tuple[Ground, Any, Ward]]:
    """A node that runs, with prices that come in all the time, and a watch over it."""
    ground = Ground.new()
    ground.market.bars[STREAM] = [bar(100, minute) for minute in range(-5, 0)]
    await ground.join(*users)
    ground.theatre.say(0, enter(95, "0.1"))
    running = ground.host(lease_seconds=15)
    stop = asyncio.Event()
    ward = Ward(
        [
            *node_checks(running.node, PLACE),
            *database_checks(ground.store, running.node, ground.clock),
        ],
        clock=ground.clock,
        store=ground.store,
    )
    minutes = iter(range(1000))

    async def beat() -> None:
        """A price for each round, a bar for every second one."""
        await ground.market.price(100)
        if ground.clock.now().second >= 30:
            await ground.market.bar(next(minutes))
            await ground.market.price(100)

    ward.beat = beat
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(running.node.run(stop))
        await ground.clock.pass_by(1)
        yield ground, running, ward
        stop.set()
        await quiet()


async def test_a_feed_that_falls_silent():
    async with trading() as (_, _, ward):
        beat = ward.beat

        async def silence() -> None:
            ward.beat = None

        async def speak() -> None:
            ward.beat = beat

        fired = await ward.is_seen_and_over("stale_data", silence, speak)
        assert fired.text.endswith("(paper)")


async def test_a_bot_with_a_fault():
    async with trading() as (ground, running, ward):

        async def start() -> None:
            await ground.ask("/start_trading")
            await ground.clock.pass_by(2)

        fired = await ward.is_seen_and_over(
            "bot_crash_rate", lambda: running.host.set_aside(running.bot(), "a test"), start
        )
        assert (fired.level, fired.value) == ("critical", 100)


async def test_a_position_whose_stop_nobody_watches_for_its_prices_stopped():
    async with trading() as (ground, running, ward):
        assert await ward.round(3) == []
        await ground.link().fill(ground.link().submitted[0], 100)
        beat, ward.beat = ward.beat, None
        heard = await ward.round(4)
        assert {"stale_data fired warning", "silent_symbols fired warning"} < set(heard)
        assert "unprotected_position fired warning" in heard
        (told,) = [each for each in ward.ear.heard if each.rule == "unprotected_position"]
        assert running.bot().id in told.text
        ward.beat = beat
        assert "unprotected_position resolved warning" in await ward.round(2)


async def test_an_event_loop_that_is_late():
    async with trading() as (ground, _, ward):

        class LateClock(VirtualClock):
            async def sleep(self, seconds: float) -> None:
                await super().sleep(seconds + (1.5 if seconds == 1 else 0))

        def late() -> None:
            ground.clock.__class__ = LateClock

        def in_time() -> None:
            ground.clock.__class__ = VirtualClock

        assert await ward.round() == []
        late()
        fired = await ward.told_within_a_minute("event_loop_lag", "fired")
        assert fired.value == pytest.approx(1500)
        in_time()
        await ward.round()
        await ward.told_within_a_minute("event_loop_lag", "resolved")


async def test_users_whom_nobody_runs():
    ground = Ground.new()
    await ground.join()
    idle = ground.host()
    checks = database_checks(ground.store, idle.node, ground.clock)
    ward = Ward(checks, clock=ground.clock, store=ground.store)
    assert await ward.round() == []
    await ward.told_within_a_minute("users_nobody_runs", "fired")
    async with ground.host("host-2"):
        await ward.told_within_a_minute("users_nobody_runs", "resolved")


async def test_a_queue_that_does_not_move():
    ground = Ground.new()
    await ground.join()
    idle = ground.host()
    async with ground.host("host-2"):
        checks = database_checks(ground.store, idle.node, ground.clock)
        ward = Ward(checks, clock=ground.clock, store=ground.store)
        outbox = Outbox(store=ground.store, notifiers=[Everybody()], clock=ground.clock)
        assert await ward.round() == []
        async with ground.store.open(ALICE) as own:
            await own.notify(Notify(ALICE, Topic.SYSTEM, "hello", ground.clock.now()))
        fired = await ward.told_within_a_minute("stuck_queue", "fired")
        assert "notices to users" in fired.text
        async with asyncio.TaskGroup() as tasks:
            delivering = tasks.create_task(outbox.run())
            await ward.told_within_a_minute("stuck_queue", "resolved")
            delivering.cancel()


class Everybody(LogNotifier):
    """Takes every notice."""


# ---- the database


def over(store: Any, file: Path | None = None) -> Ward:
    """A watch over nothing but a database."""
    idle = Ground.new().host()
    clock = VirtualClock()
    return Ward(database_checks(store, idle.node, clock, file), clock=clock, store=store)


async def test_a_database_whose_server_is_gone(postgres_url, tmp_path, open_sql_store):
    server = Between(postgres_url, tmp_path)
    async with server.running():
        ward = over(await open_sql_store(server.url))
        fired = await ward.is_seen_and_over("database", server.stop, server.start)
        assert (fired.level, fired.value) == ("critical", None)
        # all of it is in the database afterwards
        assert [each.rule for each in await ward.store.health.alerts(9)] == ["database"]


async def test_a_database_that_does_not_answer(postgres_url, tmp_path, open_sql_store, monkeypatch):
    monkeypatch.setattr("tradefleet.operations.health.alerting.STORE_SECONDS", 0.2)
    server = Between(postgres_url, tmp_path)
    async with server.running():
        ward = over(await open_sql_store(server.url))
        ward.watch.checks = [replace(each, seconds=0.2) for each in ward.watch.checks]
        fired = await ward.is_seen_and_over("database", server.hang, server.go_on)
        assert fired.text.endswith("no answer within 0.2 s")


async def test_a_database_that_another_process_has_locked(sqlite_url, open_sql_store):
    ward = over(await open_sql_store(sqlite_url, patience=0.05))
    with closing(connect(sqlite_url, isolation_level=None)) as other:
        fired = await ward.is_seen_and_over(
            "database",
            lambda: other.execute("BEGIN IMMEDIATE").close(),
            lambda: other.execute("ROLLBACK").close(),
        )
    assert fired.value is None


async def test_a_database_whose_file_is_gone(sqlite_url, open_sql_store):
    file = Path(sqlite_url)
    ward = over(await open_sql_store(sqlite_url), file)
    away = file.with_suffix(".away")
    fired = await ward.is_seen_and_over(
        "database", lambda: os.rename(file, away), lambda: os.rename(away, file)
    )
    assert fired.text.endswith("is gone")


class Between:
    """Stands between a store and its server, and can be stopped, or hold what passes."""

    def __init__(self, url: str, folder: Path) -> None:
        asked = parse_qs(urlsplit(url).query)
        (host,), (port,) = asked["host"], asked.get("port", ["5432"])
        self.there = f"{host}/.s.PGSQL.{port}"
        self.here = folder / f".s.PGSQL.{port}"
        self.url = url.replace(host, str(folder)).replace(
            host.replace("/", "%2F"), str(folder).replace("/", "%2F")
        )
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._open = asyncio.Event()
        self._open.set()
        self._server: asyncio.Server | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        await self.start()
        try:
            yield
        finally:
            self._open.set()
            await self.stop()

    async def start(self) -> None:
        self._server = await asyncio.start_unix_server(self._serve, str(self.here))

    async def stop(self) -> None:
        if self._server is None:
            return
        self._server.close()
        self._server = None
        for writer in self._writers:
            writer.transport.abort()
        for task in self._tasks:
            task.cancel()
        self.here.unlink(missing_ok=True)

    def hang(self) -> None:
        self._open.clear()

    def go_on(self) -> None:
        self._open.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        there = None
        with suppress(OSError, asyncio.CancelledError):
            from_there, there = await asyncio.open_unix_connection(self.there)
            self._writers |= {writer, there}
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pass(reader, there))
                both.create_task(self._pass(from_there, writer))
        for each in (writer, there):
            if each is not None:
                each.transport.abort()
                self._writers.discard(each)
        self._tasks.discard(task)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                await self._open.wait()
                writer.write(data)
        writer.transport.abort()


# ---- the machine


async def test_a_disk_that_is_full(tmp_path):
    """A small disk of its own where that is allowed; else a file whose every byte is refused."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = mount(folder)
    clock = VirtualClock()
    looked = Machine(clock=clock, folders=[folder])
    checks = [
        Check(metrics=("disk_usage",), measure=looked.disk),
        Check(metrics=("disk_write_ms",), measure=looked.writing),
    ]
    ward = Ward(checks if mounted else checks[1:], clock=clock)
    filler = folder / ("filler" if mounted else TRIAL_FILE)

    def fill() -> None:
        if not mounted:
            filler.symlink_to("/dev/full")
            return
        with suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))

    try:
        assert await ward.round() == []
        fill()
        fired = await ward.told_within_a_minute("disk_write", "fired")
        assert (fired.level, fired.value) == ("critical", None)
        assert "No space left on device" in fired.text
        if mounted:
            assert "disk fired critical" in ward.ear.lines()
        filler.unlink(missing_ok=True)
        await ward.round(2)
        assert ward.ear.lines()[-1].endswith("resolved critical")
        assert (await ward.report()).overall == "healthy"
    finally:
        if mounted:
            await asyncio.to_thread(subprocess.run, ["umount", str(folder)], check=True)


def mount(folder: Path) -> bool:
    """Let a folder be a disk of 256 KiB; False: that is not ours to do."""
    if os.geteuid() != 0:
        return False
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    with suppress(OSError):
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    return False


async def test_memory_that_runs_out(monkeypatch, tmp_path):
    file = tmp_path / "meminfo"
    monkeypatch.setattr(machine, "MEMINFO", file)
    monkeypatch.setattr(machine, "CGROUP", tmp_path)

    def left(kilobytes: int) -> Callable[[], object]:
        return lambda: file.write_text(f"MemTotal: 1000 kB\nMemAvailable: {kilobytes} kB\n")

    left(500)()
    clock = VirtualClock()
    looked = Machine(clock=clock)
    ward = Ward([Check(metrics=("memory_usage",), measure=looked.memory)], clock=clock)
    fired = await ward.is_seen_and_over("memory", left(30), left(500))
    assert (fired.level, fired.value) == ("critical", 97)


# ---- what is outside


async def test_telegram_that_is_not_reached():
    clock = VirtualClock()
    async with BotApi().running() as api:
        pulse = TelegramPulse(TelegramOptions(token=TOKEN, api_url=api.url), clock)
        check = Check(metrics=("telegram_silent_s",), measure=pulse.measure)
        ward = Ward([check], clock=clock)
        fired = await ward.is_seen_and_over(
            "telegram",
            lambda: api.fail("getMe", *[Fault(502, "Bad Gateway")] * 4),
            lambda: None,
        )
        assert fired.value >= EVERY
        await pulse.close()


async def test_a_venue_that_says_that_we_ask_too_much():
    clock = VirtualClock()
    async with Governor(clock=clock) as governor:
        call = VenueCall(
            venue="binance", key="", user_id=ALICE, priority=Priority.READ, costs={"weight": 1}
        )
        hits = Hits(governor.hits, clock)
        ward = Ward([Check(metrics=("venue_limit_hits",), measure=hits.measure)], clock=clock)
        fired = await ward.is_seen_and_over(
            "venue_rate_limit",
            lambda: governor.heard(call, 429, {"retry-after": "5"}),
            lambda: clock.pass_by(300),
        )
        assert (fired.value, fired.text.endswith("(binance)")) == (1, True)


async def test_metaapi_that_says_that_we_ask_too_much():
    clock, hits = VirtualClock(), {"metaapi": 0}
    check = Check(metrics=("metaapi_limit_hits",), measure=Hits(hits, clock).measure)
    ward = Ward([check], clock=clock)
    await ward.is_seen_and_over(
        "metaapi_rate_limit", lambda: hits.update(metaapi=1), lambda: clock.pass_by(300)
    )


# ---- what we do ourselves


async def test_errors_that_are_logged():
    clock = VirtualClock()
    errors = ErrorCount(clock)
    errors.attach()
    ward = Ward([Check(metrics=("errors_logged",), measure=errors.measure)], clock=clock)

    def fail() -> None:
        for _ in range(10):
            logging.getLogger("tradefleet.a.test").error("caused by a test")

    try:
        await ward.is_seen_and_over("error_lines", fail, lambda: clock.pass_by(300))
    finally:
        errors.detach()


async def test_requests_that_fail():
    clock, tally = VirtualClock(), RequestTally()
    requests = Requests(tally, clock)
    check = Check(metrics=("error_rate", "response_ms"), measure=requests.measure)
    ward = Ward([check], clock=clock)

    def answer(status: int, number: int) -> None:
        for _ in range(number):
            tally.add("GET", "/api/v1/status", status, 0.01)

    answer(200, 50)
    fired = await ward.is_seen_and_over(
        "error_rate", lambda: answer(500, 5), lambda: clock.pass_by(330)
    )
    assert fired.text == "Requests fail: 9.1 % (5 of 55)"


async def test_a_backup_that_is_missing():
    clock = VirtualClock()
    kept: list[Any] = []
    shelf = SimpleNamespace(newest=lambda: kept[0] if kept else None)
    check = Check(metrics=("backup_age_h",), measure=BackupAge(shelf, clock).measure)
    ward = Ward([check], clock=clock)
    fired = await ward.is_seen_and_over(
        "backup_age",
        lambda: clock.pass_by(26 * 3600),
        lambda: kept.append(
            SimpleNamespace(
                header=SimpleNamespace(taken_at=clock.now()), file=Path("the-latest.backup")
            )
        ),
    )
    assert "there is none yet" in fired.text


async def test_a_host_that_is_nearly_full():
    async with trading() as (_, running, ward):
        place = SimpleNamespace(max_bots_per_server=1000)
        ward.watch.checks = node_checks(running.node, place)

        def shrink() -> None:
            ward.watch.checks = node_checks(running.node, SimpleNamespace(max_bots_per_server=1))

        def grow() -> None:
            ward.watch.checks = node_checks(running.node, place)

        fired = await ward.is_seen_and_over("bots_per_host", shrink, grow)
        assert "1 of 1" in fired.text
        assert running.bot().engine.spec.symbol == BTC
