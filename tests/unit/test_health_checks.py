"""Each measurement stands for itself, and what is told is the latest round."""

import asyncio
import logging
from dataclasses import replace

import pytest

from tests.health_rig import RULES, Ward
from tests.runtime.live_rig import VirtualClock
from tradefleet.clock import Clock
from tradefleet.domain.errors import StoreUnavailable
from tradefleet.domain.health import Metric, Status
from tradefleet.domain.tally import RequestTally
from tradefleet.operations.health.checks import Check, HealthWatch, rated, reason
from tradefleet.operations.health.errors import ErrorCount
from tradefleet.operations.health.queues import Queue, Queues
from tradefleet.operations.health.requests import Requests

CPU = Metric(12.0)


def check(name: str, found: object = CPU, **more: object) -> Check:
    async def measure() -> dict[str, Metric]:
        if isinstance(found, BaseException):
            raise found
        if found is asyncio.sleep:
            await asyncio.Event().wait()
        return {name: found}

    return Check(metrics=(name,), measure=measure, **more)


async def found(*checks: Check, **more: object) -> dict[str, tuple[float | None, str, str]]:
    watch = HealthWatch(checks=checks, rules=RULES, clock=VirtualClock(), every=30, **more)
    report = await watch.report()
    return {n: (m.value, m.status.value, m.detail) for n, m in report.metrics.items()}


async def test_a_measurement_that_hangs_or_fails_is_told_and_holds_up_no_other():
    told = await found(
        check("disk_usage", asyncio.sleep, seconds=0.01),
        check("memory_usage", ZeroDivisionError("secret")),
        check("disk_write_ms", OSError(28, "No space left on device")),
        check("telegram_silent_s", StoreUnavailable("it is away")),
        check("cpu_usage", Metric(91.0)),
        check("journal_queue", Metric(7.0)),
    )
    assert told == {
        "disk_usage": (None, "unhealthy", "no answer within 0.01 s"),
        "memory_usage": (None, "unhealthy", "ZeroDivisionError"),
        "disk_write_ms": (None, "unhealthy", "No space left on device"),
        "telegram_silent_s": (None, "unhealthy", "it is away"),
        "cpu_usage": (91.0, "unhealthy", ""),
        "journal_queue": (7.0, "healthy", ""),
    }


async def test_of_a_database_that_is_away_this_alone_is_told():
    away = StoreUnavailable("connection refused")
    waiting = check("queue_length", away, asks_database=True)
    told = await found(check("database_ms", away), waiting, check("cpu_usage"))
    assert list(told) == ["database_ms", "cpu_usage"]
    told = await found(check("database_ms", Metric(1.0)), waiting)
    assert told["queue_length"][:2] == (None, "unhealthy")


async def test_who_asks_is_told_the_latest_round_and_what_is_known_at_once():
    values, bots = iter([1.0, 2.0]), [3]

    async def measure() -> dict[str, Metric]:
        return {"cpu_usage": Metric(next(values))}

    watch = HealthWatch(
        checks=[Check(metrics=("cpu_usage",), measure=measure)],
        rules=RULES,
        clock=VirtualClock(),
        every=30,
        at_once=lambda: {"active_bots": Metric(bots[0])},
    )
    for expected in (3, 4):
        bots[0] = expected
        report = await watch.report()
        assert report.metrics["cpu_usage"].value == 1
        assert report.metrics["active_bots"].value == expected
    await watch.look()
    assert (await watch.report()).metrics["cpu_usage"].value == 2


async def test_who_starts_is_judged_once_it_runs():
    clock, heard, ready = VirtualClock(), [], asyncio.Event()

    async def hear(report: object) -> None:
        heard.append(clock.now())

    watch = HealthWatch(
        checks=[], rules=RULES, clock=clock, every=30, recovered=ready.is_set, heard=hear
    )
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(watch.run())
        await clock.pass_by(5)
        assert not heard
        assert (await watch.report()).overall is Status.DEGRADED
        ready.set()
        await clock.pass_by(1)
        assert len(heard) == 1
        await clock.pass_by(60)
        assert len(heard) == 3
        assert (await watch.report()).overall is Status.HEALTHY
        running.cancel()


async def test_a_start_that_takes_long_is_judged_nevertheless():
    clock, heard = VirtualClock(), []

    async def hear(report: object) -> None:
        heard.append(report)

    watch = HealthWatch(
        checks=[], rules=RULES, clock=clock, every=30, recovered=lambda: False, heard=hear
    )
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(watch.run())
        await clock.pass_by(31)
        assert heard
        running.cancel()


async def test_maintenance_is_told_and_kept_while_the_database_does_not_say():
    said: list[object] = [True, StoreUnavailable("away"), False]

    async def maintenance() -> bool:
        answer = said.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return bool(answer)

    ward = Ward([check("database_ms")], more={"maintenance": maintenance})
    told = []
    for _ in range(3):
        await ward.round()
        told.append((await ward.report()).maintenance)
    assert told == [True, True, False]


def test_a_metric_without_a_rule_is_well_unless_it_is_missing():
    assert rated(Metric(5), None).status is Status.HEALTHY
    assert rated(Metric(None), None).status is Status.UNHEALTHY
    assert rated(Metric(5, unit="ms"), replace(RULES["cpu"], unit="%")).unit == "ms"
    assert rated(Metric(5), RULES["cpu"]).unit == "%"
    assert reason(OSError("no strerror"), 5) == "OSError"


# ---- queues


def looked(queues: Queues, *given: Queue, at: float) -> tuple[float, str, float, str]:
    told = queues.look(given, at)
    longest, stuck = told["queue_length"], told["queue_stuck_s"]
    return longest.value or 0, longest.detail, stuck.value or 0, stuck.detail


def test_the_longest_queue_is_named_and_one_that_does_not_move_is_seen():
    queues = Queues()
    journal, notices = Queue("journal", 3, 10), Queue("notices", 5, 1)
    assert looked(queues, journal, notices, at=0) == (5, "notices", 0, "")
    assert looked(queues, Queue("journal", 3, 11), notices, at=30) == (5, "notices", 30, "notices")
    assert looked(queues, Queue("journal", 9, 11), notices, at=60) == (9, "journal", 60, "notices")
    assert looked(queues, Queue("journal", 9, 11), Queue("notices", 4, 2), at=90)[2:] == (
        60,
        "journal",
    )
    assert looked(queues, Queue("journal", 0, 11), at=99) == (0, "", 0, "")
    assert looked(queues, Queue("lanes", 7), at=99)[2] == 0
    assert looked(queues, Queue("lanes", 7), at=200)[2] == 0, "without a mark nobody can say"


# ---- errors and requests


async def test_errors_of_ours_are_counted_for_five_minutes():
    clock = VirtualClock()
    errors = ErrorCount(clock)
    errors.detach()
    errors.attach()
    ours = logging.getLogger("tradefleet.a.test")
    ours.error("one")
    ours.warning("no error")
    logging.getLogger("another").error("not ours")
    await clock.pass_by(200)
    ours.error("two")
    assert (await errors.measure())["errors_logged"].value == 2
    await clock.pass_by(150)
    assert (await errors.measure())["errors_logged"].value == 1
    errors.detach()
    ours.error("nobody listens")
    assert (await errors.measure())["errors_logged"].value == 1


async def rates(requests: Requests) -> tuple[float | None, float | None]:
    told = await requests.measure()
    return told["error_rate"].value, told["response_ms"].value


async def test_failed_and_slow_requests_of_the_latest_minutes_are_told():
    clock, tally = VirtualClock(), RequestTally()
    requests = Requests(tally, clock)

    def ask(number: int, status: int, seconds: float) -> None:
        for _ in range(number):
            tally.add("GET", "/x", status, seconds)

    ask(10, 500, 1)
    assert await rates(requests) == (0, 0), "too few to tell a rate of"
    ask(180, 200, 0.004)
    ask(10, 503, 3)
    assert await rates(requests) == (10, 1000)
    await clock.pass_by(299)
    assert (await rates(requests))[0] == pytest.approx(100 * 10 / 190, abs=6)
    await clock.pass_by(299)
    assert await rates(requests) == (0, 0)
    ask(100, 200, 60)
    assert await rates(requests) == (0, 20_000)


def test_a_clock_of_the_rig_is_a_clock():
    clock: Clock = VirtualClock()
    assert clock.monotonic() == clock.now().timestamp()
