"""Judges what all processes measured, by one of them for all, and tells people what changed.

Each process writes down what it measured. The one on duty reads all of it, holds the worst of each
metric against the rules, keeps what became of each alert in the database, and only then tells it.
When the database is away, whoever was on duty goes on with what it sees itself.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from tradefleet.alert import (
    RANKS,
    Alert,
    AlertBook,
    AlertChange,
    AlertSink,
    AlertSpec,
    changes_of,
    gone,
)
from tradefleet.clock import Clock
from tradefleet.domain.errors import StoreError, StoreUnavailable
from tradefleet.domain.health import HealthReport, Metric
from tradefleet.duty import Duty
from tradefleet.health import ProcessReport
from tradefleet.store import Store

logger = logging.getLogger(__name__)

DUTY = "alerts"
STORE_SECONDS = 5.0  # for all that one step asks of the database
TELL_SECONDS = 10.0  # for one telling
KNOWN_MAX = 200  # alerts that are read when the duty is taken
ROUNDS_HELD = 3  # the duty is held for so many rounds; who died is followed after that
FORGOTTEN_AFTER = timedelta(minutes=10)  # a process that says nothing for so long is no more
HOST_OVERDUE = "host_overdue_s"


class LogSink:
    """Tells the log alone."""

    async def tell(self, change: AlertChange) -> None:
        logger.warning("alert %d, %s: %s", change.id, change.state.value, change.text)


@dataclass(slots=True, kw_only=True, eq=False)
class Alerting:
    """store: None while the database is away. book: all known alerts; it may outlive both."""

    store: Store | None
    clock: Clock
    owner: str
    rules: Mapping[str, AlertSpec]
    every: float
    sinks: Sequence[AlertSink] = (LogSink(),)
    book: AlertBook = field(default_factory=AlertBook)
    on_duty: bool = False
    seen: dict[str, Metric] = field(default_factory=dict)  # what only all together show
    _epoch: int | None = None
    _is_away: bool = False  # the database, and that was said
    _unsaved: dict[str, Alert] = field(default_factory=dict)  # by rule

    async def heard(self, report: HealthReport) -> None:
        """Take what this process measured, and do what is to be done about it."""
        duty = None
        try:
            async with asyncio.timeout(STORE_SECONDS):
                await self._kept.health.report(self._own(report))
                duty = await self._take()
                reports = await self._kept.health.reports() if duty else []
        except (StoreError, TimeoutError) as error:
            if not self.on_duty:
                return
            if not self._is_away:
                logger.warning("alerts are judged without the database: %s", why(error))
            self._is_away = True
            await self._judge(report.metrics, report.measured_at, complete=False)
            return
        self._is_away = False
        self.on_duty = duty is not None
        if duty is None:
            self.seen = {}
            self._forget()
            return
        metrics = await self._together(reports, report.measured_at)
        await self._judge(metrics, report.measured_at, complete=True, duty=duty)

    async def leave(self) -> None:
        """Say that this process is no more, so that nobody misses it, and let go of the duty."""
        await self._kept.health.forget_report(self.owner)
        for duty in await self._kept.duties.held():
            if duty.name == DUTY and duty.owner == self.owner:
                await self._kept.duties.release(duty)

    @property
    def _kept(self) -> Store:
        if self.store is None:
            raise StoreUnavailable("the database is away")
        return self.store

    def _own(self, report: HealthReport) -> ProcessReport:
        return ProcessReport(
            owner=self.owner,
            measured_at=report.measured_at,
            every=self.every,
            recovered=report.recovered,
            metrics=report.metrics,
        )

    async def _take(self) -> Duty | None:
        """Take or prolong the duty, and read what is to be known for it."""
        ttl = self.every * ROUNDS_HELD
        duty = await self._kept.duties.take(DUTY, self.owner, now=self.clock.now(), ttl=ttl)
        if duty is None:
            await self._read_number()
            return None
        fresh = self._epoch != duty.epoch
        if fresh and self._epoch is not None:
            self._forget()  # another judged meanwhile
        known = await self._kept.health.alerts(KNOWN_MAX, only_open=not fresh)
        self.book.heard(known)
        if fresh:  # the book may be older than the database's absence
            mine = [alert for alert in self.book.latest.values() if alert not in known]
            self._unsaved |= {alert.rule: alert for alert in mine}
        self.book.last_id = max(self.book.last_id, duty.place)
        self._epoch = duty.epoch
        return duty

    async def _read_number(self) -> None:
        """Learn the highest number that the judge gave.

        While the database is away each process tells of it, for none can ask another: under the
        same number then, and not under that of an alert the others know.
        """
        for held in await self._kept.duties.held():
            if held.name == DUTY:
                self.book.last_id = max(self.book.last_id, held.place)

    def _forget(self) -> None:
        """Forget what another is the judge of now."""
        self.book.latest.clear()
        self._unsaved.clear()
        self._epoch = None

    async def _together(
        self, reports: Sequence[ProcessReport], now: datetime
    ) -> Mapping[str, Metric]:
        """Return the worst of each metric over the processes that speak, and who does not."""
        overdue = {report.owner: overdue_of(report, now) for report in reports}
        for owner, late in overdue.items():
            if late > FORGOTTEN_AFTER:
                await self._drop(owner)
        speaking = [each for each in reports if overdue[each.owner].total_seconds() < each.every]
        silent = {
            owner: late
            for owner, late in overdue.items()
            if late <= FORGOTTEN_AFTER and owner != self.owner
        }
        worst = max(silent, key=lambda owner: silent[owner], default=None)
        seconds = 0.0 if worst is None else max(0.0, silent[worst].total_seconds())
        metrics = merged(speaking, self.rules)
        self.seen = {HOST_OVERDUE: Metric(seconds, detail=worst if worst and seconds else "")}
        metrics |= self.seen
        return metrics

    async def _drop(self, owner: str) -> None:
        try:
            await self._kept.health.forget_report(owner)
        except StoreError as error:
            logger.warning("the report of %s is not forgotten now: %s", owner, error)

    async def _judge(
        self,
        metrics: Mapping[str, Metric],
        now: datetime,
        *,
        complete: bool,
        duty: Duty | None = None,
    ) -> None:
        for alert in self.book.judge(self.rules.values(), metrics, now, complete=complete):
            self._unsaved[alert.rule] = alert
        grown = duty is not None and self.book.last_id > duty.place
        if duty is not None and grown and not await self._numbered(duty):
            return
        await self._save()
        for alert in list(self.book.latest.values()):
            await self._tell(alert)
        await self._save()

    async def _numbered(self, duty: Duty) -> bool:
        """Write down the highest number given; False: another judges by now, or nobody can say."""
        try:
            async with asyncio.timeout(STORE_SECONDS):
                mine = await self._kept.duties.advance(duty, self.book.last_id)
        except (StoreError, TimeoutError):
            return True  # the next round says
        if not mine:
            self._forget()
            self.on_duty = False
        return mine

    async def _save(self) -> None:
        """Write down what changed; what cannot be now is written in a later round."""
        try:
            async with asyncio.timeout(STORE_SECONDS):
                for rule, alert in list(self._unsaved.items()):
                    await self._kept.health.keep_alert(alert)
                    self._unsaved.pop(rule)
        except (StoreError, TimeoutError) as error:
            if not self._is_away:
                logger.warning("alerts are not written down now: %s", why(error))

    async def _tell(self, alert: Alert) -> None:
        """Tell what is to be told of an alert; what nobody took is told at the next round."""
        changes = changes_of(alert, self.rules.get(alert.rule) or gone(alert))
        if not changes:
            return
        for change in changes:
            # An error is an answer here: a receiver must not end what it tells of.
            told = await asyncio.gather(
                *(tell(sink, change) for sink in self.sinks), return_exceptions=True
            )
            failed = [error for error in told if error is not None]
            for error in failed:
                logger.warning("alert %d could not be told: %r", alert.id, error)
            if any(isinstance(error, StoreUnavailable) for error in failed):
                return
        known = replace(alert, untold=None, ack_told=alert.acknowledged_at is not None)
        self.book.latest[alert.rule] = self._unsaved[alert.rule] = known


async def tell(sink: AlertSink, change: AlertChange) -> None:
    async with asyncio.timeout(TELL_SECONDS):
        await sink.tell(change)


def why(error: StoreError | TimeoutError) -> str:
    return str(error) or "it does not answer"


def overdue_of(report: ProcessReport, now: datetime) -> timedelta:
    """Return by how much the next word of a process is late; negative: it is not due yet."""
    return now - report.measured_at - timedelta(seconds=report.every)


def merged(reports: Iterable[ProcessReport], rules: Mapping[str, AlertSpec]) -> dict[str, Metric]:
    """Return the worst of each metric, saying whose it is when there are several processes."""
    found, of = list(reports), {rule.metric: rule for rule in rules.values()}
    worst: dict[str, Metric] = {}
    for report in found:
        for name, metric in report.metrics.items():
            said = named(metric, report.owner) if len(found) > 1 else metric
            if name not in worst or badness(said, of.get(name)) > badness(
                worst[name], of.get(name)
            ):
                worst[name] = said
    return worst


def named(metric: Metric, owner: str) -> Metric:
    return replace(metric, detail=f"{owner}: {metric.detail}" if metric.detail else owner)


def badness(metric: Metric, rule: AlertSpec | None) -> tuple[int, float]:
    """Return what sorts metrics from good to bad."""
    if metric.value is None:
        return 3, 0.0
    if rule is None:
        return 0, metric.value
    return RANKS[rule.level(metric.value)], -metric.value if rule.below else metric.value
