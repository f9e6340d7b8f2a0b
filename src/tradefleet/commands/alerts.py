"""/alerts: what is wrong with the service now, what to do about it, and what was lately."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tradefleet.alert import Alert, Level
from tradefleet.command import CommandSpec, Context, Question, Reply, Route, VenueDesk
from tradefleet.domain.errors import Refused
from tradefleet.domain.user import Role
from tradefleet.drawing import count
from tradefleet.health import ProcessReport

OPEN_MAX = 20  # told at once
OVER_MAX = 10  # of those that are over
LOOKED_AT = 200  # the latest alerts, among which those are found
SILENT_AFTER = timedelta(minutes=3)  # who measures says so more often
MARKS = {Level.CRITICAL: "🔴", Level.WARNING: "🟠"}
NOBODY_MEASURES = (
    "❓ No process has said how it is for {minutes} min: start the service, or look at its log."
)


@dataclass(frozen=True, slots=True)
class Alerts:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertEntry:
    """One alert; state: open, acknowledged or resolved."""

    id: int
    state: str
    level: str
    rule: str
    metric: str
    value: float | None
    text: str
    cure: str
    fired_at: datetime
    resolved_at: datetime | None
    acknowledged_by: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """A value as a process measured it last; detail: which, where or why, for operators alone."""

    process: str
    metric: str
    value: float | None
    status: str
    unit: str
    detail: str


@dataclass(frozen=True, slots=True)
class AlertList:
    """alerts that are open, the worst first; history: those that are over, the newest first.

    processes: how many say how they are; metrics: how many values they measure; measured: all of
    these, process by process.
    """

    alerts: tuple[AlertEntry, ...]
    history: tuple[AlertEntry, ...]
    measured: tuple[Measurement, ...]
    processes: int
    metrics: int
    measured_at: datetime | None


async def ask(request: Alerts, context: Context) -> Question | None:
    """Read what the processes wrote down: it belongs to no user, nor to one's transaction."""
    everybody, now = context.everybody, context.clock.now()

    async def put(desk: VenueDesk) -> AlertList | None:
        if everybody is None:
            return None
        standing = await everybody.health.alerts(LOOKED_AT, only_open=True)
        latest = await everybody.health.alerts(LOOKED_AT)
        over = [entry_of(alert) for alert in latest if not alert.is_open]
        found = sorted(standing, key=lambda each: (each.level is not Level.CRITICAL, each.id))
        speaking = speakers(await everybody.health.reports(), now)
        return AlertList(
            alerts=tuple(map(entry_of, found)),
            history=tuple(over[:OVER_MAX]),
            measured=tuple(measurement for each in speaking for measurement in measured(each)),
            processes=len(speaking),
            metrics=len({name for report in speaking for name in report.metrics}),
            measured_at=max((each.measured_at for each in speaking), default=None),
        )

    return put


def speakers(reports: Sequence[ProcessReport], now: datetime) -> list[ProcessReport]:
    """Return those processes' words that are not older than they may be."""
    return [
        each
        for each in reports
        if now - each.measured_at < max(SILENT_AFTER, timedelta(seconds=3 * each.every))
    ]


def measured(report: ProcessReport) -> list[Measurement]:
    return [
        Measurement(
            process=report.owner,
            metric=name,
            value=metric.value,
            status=metric.status.value,
            unit=metric.unit,
            detail=metric.detail,
        )
        for name, metric in sorted(report.metrics.items())
    ]


def entry_of(alert: Alert) -> AlertEntry:
    known = "acknowledged" if alert.acknowledged_at else "open"
    return AlertEntry(
        id=alert.id,
        state=known if alert.is_open else "resolved",
        level=alert.level.value,
        rule=alert.rule,
        metric=alert.metric,
        value=alert.value,
        text=alert.text,
        cure=alert.cure,
        fired_at=alert.fired_at,
        resolved_at=alert.resolved_at,
        acknowledged_by=alert.acknowledged_by,
        note=alert.note,
    )


async def alerts(request: Alerts, context: Context) -> Reply:
    found = context.answer
    if not isinstance(found, AlertList):
        raise Refused("What processes write down is not within reach here.")
    lines = [headline(found), *map(told, found.alerts[:OPEN_MAX])]
    if any(entry.state == "open" for entry in found.alerts):
        first = next(entry.id for entry in found.alerts if entry.state == "open")
        lines.append(f"/ack {first} says that you look after it.")
    if found.history:
        lines += ["", "Lately over:", *map(told_shortly, found.history)]
    return Reply(text="\n".join(lines), data=found)


def headline(found: AlertList) -> str:
    if found.measured_at is None:
        silent = NOBODY_MEASURES.format(minutes=f"{SILENT_AFTER / timedelta(minutes=1):.0f}")
        return silent if not found.alerts else f"{silent}\nOpen since before:"
    if found.alerts:
        verb = "is" if len(found.alerts) == 1 else "are"
        return f"🚨 {count(len(found.alerts), 'alert')} {verb} open"
    processes = "1 process" if found.processes == 1 else f"{found.processes} processes"
    metrics = count(found.metrics, "metric")
    return f"✅ All is well: {metrics} of {processes}, as of {found.measured_at:%H:%M:%S} UTC."


def told(entry: AlertEntry) -> str:
    """Return an open alert in words: what, since when, what to do, and who looks after it."""
    mark = MARKS[Level(entry.level)]
    lines = [f"{mark} {entry.id} since {entry.fired_at:%m-%d %H:%M} UTC: {entry.text}"]
    if entry.cure:
        lines.append(f"   {entry.cure}")
    if entry.acknowledged_by:
        note = f": {entry.note}" if entry.note else "."
        lines.append(f"   {entry.acknowledged_by} looks after it{note}")
    return "\n".join(lines)


def told_shortly(entry: AlertEntry) -> str:
    until = f"{entry.resolved_at:%H:%M}" if entry.resolved_at else ""
    return f"⚪ {entry.id} {entry.rule}, {entry.fired_at:%m-%d %H:%M} to {until} UTC: {entry.text}"


COMMAND = CommandSpec(
    name="alerts",
    summary="What is wrong with the service, and what was lately",
    usage="/alerts",
    example="/alerts",
    request=Alerts,
    handler=alerts,
    asks=ask,
    group="Operator",
    place=7,
    role=Role.ADMIN,
    refreshes=True,
    route=Route("GET", "/admin/alerts"),
    data=AlertList,
)
