"""How the service is: what is measured where, by which rules it is judged, and who is told."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tradefleet.alert import AlertBook, AlertSink
from tradefleet.clock import Clock
from tradefleet.counters.redis import RedisCounters
from tradefleet.domain.errors import StoreError, StoreUnavailable
from tradefleet.domain.health import Metric
from tradefleet.domain.limits import MAINTENANCE, Halt
from tradefleet.domain.tally import RequestTally
from tradefleet.operations.health.alerting import Alerting, LogSink
from tradefleet.operations.health.backup_age import BackupAge
from tradefleet.operations.health.checks import Check, HealthWatch, Measured, rated
from tradefleet.operations.health.errors import ErrorCount
from tradefleet.operations.health.machine import Machine
from tradefleet.operations.health.queues import Queue, Queues
from tradefleet.operations.health.requests import Requests
from tradefleet.operations.health.venue_limits import Hits
from tradefleet.operations.health.watchdog import Watchdog
from tradefleet.runtime.node import Node
from tradefleet.settings import Settings
from tradefleet.store import Store
from tradefleet.surfaces.telegram.options import TelegramOptions
from tradefleet.surfaces.telegram.pulse import TelegramPulse
from tradefleet.wiring.backup import backups_of
from tradefleet.wiring.ground import Ground

HANG_TOLD_SHARE = 6  # the log is told after a sixth of the time after which the process ends
GOODBYE_SECONDS = 2.0


@dataclass(slots=True, kw_only=True, eq=False)
class Health:
    """Everything that measures and judges, and the tasks it runs by."""

    watch: HealthWatch
    alerting: Alerting
    errors: ErrorCount
    watchdog: Watchdog | None
    pulse: TelegramPulse | None

    async def report(self) -> dict[str, Any]:
        """Return what GET /health answers: the latest round."""
        return (await self.watch.report()).as_json()

    @property
    def tasks(self) -> list[Callable[[], Awaitable[None]]]:
        dog = [self.watchdog.run] if self.watchdog is not None else []
        return [self.run, *dog]

    async def run(self) -> None:
        """Measure and judge until cancelled; who comes next finds nothing of ours in its way."""
        self.errors.attach()
        try:
            await self.watch.run()
        finally:
            self.errors.detach()
            with suppress(StoreError, TimeoutError):
                async with asyncio.timeout(GOODBYE_SECONDS):
                    await self.alerting.leave()
            if self.pulse is not None:
                await self.pulse.close()


def health_over(
    ground: Ground,
    node: Node,
    *,
    db: str | None = None,
    telegram: TelegramOptions | None = None,
    requests: RequestTally | None = None,
    sinks: Sequence[AlertSink] = (),
    book: AlertBook | None = None,
    more: Sequence[Check] = (),
) -> Health:
    """Put together what looks after a running service; more: checks of what only others know."""
    settings, clock = ground.settings, ground.clock
    rules, errors = settings.alert_rules(), ErrorCount(clock)
    pulse = TelegramPulse(telegram, clock) if telegram is not None else None
    watchdog = watchdog_of(settings, clock)
    alerting = Alerting(
        store=ground.store,
        clock=clock,
        owner=node.host.owner,
        rules=rules,
        every=settings.health_seconds,
        sinks=[LogSink(), *sinks],
        book=book if book is not None else AlertBook(),
    )
    file = ground.store.file
    folders = folders_of(settings, file)
    checks = [
        *machine_checks(Machine(clock=clock, folders=folders)),
        *node_checks(node, settings),
        *database_checks(ground.store, node, clock, file),
        Check(metrics=("errors_logged",), measure=errors.measure),
        Check(metrics=("venue_limit_hits",), measure=Hits(ground.too_fast, clock).measure),
    ]
    checks += more
    if pulse is not None:
        checks.append(Check(metrics=("telegram_silent_s",), measure=pulse.measure, seconds=10))
    if watchdog is not None:
        checks.append(Check(metrics=("watchdog_restarts",), measure=watchdog.measure))
    if requests is not None:
        answered = Requests(requests, clock)
        checks.append(Check(metrics=("error_rate", "response_ms"), measure=answered.measure))
    if isinstance(ground.counters, RedisCounters):
        checks.append(redis_check(ground.counters, clock))
    if settings.backup_keep_daily or settings.backup_keep_weekly:
        age = BackupAge(backups_of(settings, db).shelf, clock)
        checks.append(Check(metrics=("backup_age_h",), measure=age.measure))

    def at_once() -> Measured:
        seen = alerting.seen
        return {**node.figures(), **{name: rated(seen[name], of[name]) for name in seen}}

    of = {rule.metric: rule for rule in rules.values()}
    watch = HealthWatch(
        checks=checks,
        rules=rules,
        clock=clock,
        every=settings.health_seconds,
        at_once=at_once,
        recovered=node.recovered.is_set,
        maintenance=lambda: is_in_repair(ground.store),
        heard=alerting.heard,
    )
    return Health(watch=watch, alerting=alerting, errors=errors, watchdog=watchdog, pulse=pulse)


async def is_in_repair(store: Store) -> bool:
    repair = await store.platform_switch(MAINTENANCE)
    return repair is not None and repair.halt is not Halt.RUN


def folders_of(settings: Settings, file: Path | None) -> list[Path]:
    """Return where the service writes, the folder of its data first; file: an SQLite database."""
    folders = [settings.data_dir, settings.backup_dir]
    if file is not None:
        folders.append(file.parent)
    return list(dict.fromkeys(folders))


def watchdog_of(settings: Settings, clock: Clock) -> Watchdog | None:
    seconds = settings.watchdog_seconds
    if not seconds:
        return None
    return Watchdog(
        clock=clock,
        folder=settings.data_dir,
        told_after=seconds / HANG_TOLD_SHARE,
        ended_after=seconds,
    )


def redis_check(counters: RedisCounters, clock: Clock) -> Check:
    """Measure for how long Redis has not answered; at the start it is taken to have done so."""
    reached_at = clock.monotonic()

    async def measure() -> Measured:
        nonlocal reached_at
        is_reached, now = await counters.is_reached(), clock.monotonic()
        if is_reached:
            reached_at = now
        detail = "" if is_reached else "requests are counted by this process alone"
        return {"redis_silent_s": Metric(now - reached_at, detail=detail)}

    return Check(metrics=("redis_silent_s",), measure=measure)


def machine_checks(machine: Machine) -> list[Check]:
    return [
        Check(metrics=("cpu_usage",), measure=machine.processor),
        Check(metrics=("memory_usage",), measure=machine.memory),
        Check(metrics=("disk_usage",), measure=machine.disk),
        Check(metrics=("disk_write_ms",), measure=machine.writing),
    ]


def node_checks(node: Node, settings: Settings) -> list[Check]:
    most = settings.max_bots_per_server

    async def readings() -> Measured:
        return node.readings()

    async def bots_per_host() -> Measured:
        bots = len(node.host.bots)
        return {"bots_per_host": Metric(100 * bots / most, detail=f"{bots} of {most}")}

    return [
        Check(metrics=("event_loop_lag_ms", "unprotected_positions"), measure=readings),
        Check(metrics=("bots_per_host",), measure=bots_per_host),
    ]


def database_checks(
    store: Store, node: Node, clock: Clock, file: Path | None = None
) -> list[Check]:
    queues = Queues()

    async def ping() -> Measured:
        """Read a little, timed; that it can be written, too, is seen by taking the lock for it."""
        if file is not None and not await asyncio.to_thread(file.exists):
            raise StoreUnavailable(f"the file {file} is gone")  # what is open would go on unseen
        seconds = await store.ping()
        await store.health.forget_report("")
        return {"database_ms": Metric(seconds * 1000)}

    async def waiting() -> Measured:
        found = await store.health.standing(clock.now())
        journal = node.host.journal
        # Those of accounts have no mark: what is to be looked up waits for the venue's word.
        looked = queues.look(
            [
                Queue("journal", len(journal), journal.groups),
                Queue("orders of accounts", lanes_waiting(node)),
                Queue("notices to users", found.notices, found.first_notice),
                Queue("messages to hosts", found.messages, found.first_message),
            ],
            clock.monotonic(),
        )
        return {**looked, "users_nobody_runs": Metric(found.unowned)}

    return [
        Check(metrics=("database_ms",), measure=ping),
        Check(
            metrics=("queue_length", "queue_stuck_s", "users_nobody_runs"),
            measure=waiting,
            asks_database=True,
        ),
    ]


def lanes_waiting(node: Node) -> int:
    users = list(node.host.users.values())
    return sum(len(lane.jobs) for user in users for lane in user.lanes.values())
