"""What an alert rule is, and what becomes of an alert: fired, raised, acknowledged, resolved.

A plug-in is a file in alerts/ with one constant, ALERT = AlertSpec(...). Thresholds stand there
and nowhere else: the status of a metric in /health comes from its rule.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from difflib import get_close_matches
from enum import StrEnum
from typing import Protocol

from tradefleet.domain.errors import Refused
from tradefleet.domain.health import Metric, Status

COOL_DOWN = timedelta(minutes=15)  # so long bad news that was told is not told again
TEXT_MAX = 500  # characters of what is told of an alert
RANKS = {None: 0, "warning": 1, "critical": 2}


class Level(StrEnum):
    """How bad an alert is."""

    WARNING = "warning"
    CRITICAL = "critical"


class AlertState(StrEnum):
    """What happened to an alert."""

    FIRED = "fired"
    RAISED = "raised"  # from a warning to critical
    RESOLVED = "resolved"
    ACKNOWLEDGED = "acknowledged"


STATUSES = {None: Status.HEALTHY, Level.WARNING: Status.DEGRADED, Level.CRITICAL: Status.UNHEALTHY}


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertSpec:
    """A rule: from which value on a metric is a warning, from which it is critical.

    below: it is bad to be at or under a threshold, not at or over it. rounds: so many
    measurements one after another must be bad before it fires; what cannot be measured fires
    at once. cure: one sentence that says what to do and names the runbook.
    """

    name: str
    metric: str
    summary: str
    cure: str
    unit: str = ""
    warning: float | None = None
    critical: float | None = None
    below: bool = False
    rounds: int = 1

    def level(self, value: float | None) -> Level | None:
        """Return how bad a value is, None when it is good; what cannot be measured is critical."""
        if value is None or self._reaches(value, self.critical):
            return Level.CRITICAL
        return Level.WARNING if self._reaches(value, self.warning) else None

    def status(self, value: float | None) -> Status:
        """Return the same as the status of a metric."""
        return STATUSES[self.level(value)]

    def _reaches(self, value: float, threshold: float | None) -> bool:
        if threshold is None:
            return False
        return value <= threshold if self.below else value >= threshold


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertChange:
    """What people are told of an alert; id, state and at name the telling, which may come twice."""

    rule: str
    level: Level
    state: AlertState
    metric: str
    value: float | None
    unit: str
    text: str
    cure: str
    at: datetime
    id: int


class AlertSink(Protocol):
    """Where changes of alerts go: to people, by whatever way.

    What is dead may be the database: then tell still does what can be done without it. StoreError:
    it could not be taken, and comes again at the next round.
    """

    async def tell(self, change: AlertChange) -> None:
        """Take a change to be told; twice the same (id, state, at) is told once."""


# ---- what becomes of an alert


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One alert, from its firing on; open until resolved_at.

    level and value: as they are now, or were last. told: what people believe it is, None: that
    all is well; told_at and told_worst: when they were last told bad news, and how bad. untold:
    what is still to be told of it, since changed_at; ack_told: that its acknowledgement was.
    """

    id: int
    rule: str
    metric: str
    level: Level
    value: float | None
    text: str
    cure: str
    fired_at: datetime
    changed_at: datetime
    told: Level | None = None
    told_at: datetime | None = None
    told_worst: Level | None = None
    untold: AlertState | None = None
    resolved_at: datetime | None = None
    acknowledged_at: datetime | None = None
    acknowledged_by: str = ""
    note: str = ""
    ack_told: bool = False

    @property
    def is_open(self) -> bool:
        return self.resolved_at is None

    def has_cooled(self, now: datetime) -> bool:
        """Say whether bad news may be told again."""
        return self.told_at is None or now - self.told_at >= COOL_DOWN


@dataclass(slots=True, eq=False)
class AlertBook:
    """The latest alert of each rule, and what becomes of them by what is measured.

    last_id: the highest number an alert has.
    """

    latest: dict[str, Alert] = field(default_factory=dict)
    last_id: int = 0
    _bad: Counter[str] = field(default_factory=Counter)  # rounds in a row, by rule

    def judge(
        self,
        rules: Iterable[AlertSpec],
        metrics: Mapping[str, Metric],
        now: datetime,
        *,
        complete: bool = True,
    ) -> list[Alert]:
        """Hold a measurement against the rules; return the alerts that changed.

        An alert whose rule or metric is no more is resolved; not so when the measurement is not
        complete, and says nothing of what it has not.
        """
        known = {rule.name: rule for rule in rules if complete or rule.metric in metrics}
        for name in self.latest.keys() - known.keys() if complete else ():
            known[name] = gone(self.latest[name])
        found = [self._judge(rule, metrics.get(rule.metric), now) for rule in known.values()]
        changed = [alert for alert in found if alert is not None]
        self.latest |= {alert.rule: alert for alert in changed}
        return changed

    def _judge(self, rule: AlertSpec, metric: Metric | None, now: datetime) -> Alert | None:
        before = self.latest.get(rule.name)
        level = None if metric is None else rule.level(metric.value)
        if metric is None or level is None:
            self._bad[rule.name] = 0
            return resolved(before, metric, now) if before and before.is_open else None
        self._bad[rule.name] += 1
        hasty = metric.value is not None and self._bad[rule.name] < rule.rounds
        if hasty and not (before and before.is_open):
            return None
        text = said(rule, metric)
        if before is not None and (before.is_open or not before.has_cooled(now)):
            after = replace(before, level=level, value=metric.value, text=text, resolved_at=None)
        else:
            self.last_id += 1
            after = Alert(
                id=self.last_id,
                rule=rule.name,
                metric=rule.metric,
                level=level,
                value=metric.value,
                text=text,
                cure=rule.cure,
                fired_at=now,
                changed_at=now,
            )
        after = announced(after, now)
        return after if after != before else None

    def heard(self, known: Collection[Alert]) -> None:
        """Take over what the store knows: at a start all, later who acknowledged what."""
        for alert in sorted(known, key=lambda each: each.id):
            mine = self.latest.get(alert.rule)
            if mine is None or mine.id < alert.id:
                self.latest[alert.rule] = alert
            elif mine.id == alert.id and alert.acknowledged_at is not None:
                self.latest[alert.rule] = replace(
                    mine,
                    acknowledged_at=alert.acknowledged_at,
                    acknowledged_by=alert.acknowledged_by,
                    note=alert.note,
                )
            self.last_id = max(self.last_id, alert.id)


def resolved(alert: Alert, metric: Metric | None, now: datetime) -> Alert:
    """Return an alert whose cause is gone; who was never told of it is not told of its end."""
    value = None if metric is None else metric.value
    after = replace(alert, resolved_at=now, value=value, told=None)
    if alert.told is None:
        return after
    if alert.untold in (AlertState.FIRED, AlertState.RAISED) and alert.told_at == alert.changed_at:
        fired = alert.untold is AlertState.FIRED
        return replace(after, untold=None if fired else AlertState.RESOLVED, changed_at=now)
    return replace(after, untold=AlertState.RESOLVED, changed_at=now)


def announced(alert: Alert, now: datetime) -> Alert:
    """Return an open alert with what people are to be told of it, if they are."""
    is_news = RANKS[alert.level] > RANKS[alert.told]
    is_worse = RANKS[alert.level] > RANKS[alert.told_worst]
    known = alert.acknowledged_at is not None or not alert.has_cooled(now)
    if not is_news or (known and not is_worse):
        return alert
    first = alert.told is None or alert.untold is AlertState.FIRED
    return replace(
        alert,
        untold=AlertState.FIRED if first else AlertState.RAISED,
        changed_at=now,
        told=alert.level,
        told_at=now,
        told_worst=alert.level,
    )


def gone(alert: Alert) -> AlertSpec:
    """Return a rule that nothing breaks, for an alert whose own is no more."""
    return AlertSpec(name=alert.rule, metric=alert.metric, summary=alert.rule, cure="")


def changes_of(alert: Alert, rule: AlertSpec) -> list[AlertChange]:
    """Return what is to be told of an alert now."""
    told = []
    if alert.untold is not None:
        over = alert.untold is AlertState.RESOLVED
        text = f"{rule.summary}: over{after_a_while(alert)}." if over else alert.text
        told.append((alert.untold, text, alert.changed_at))
    if alert.acknowledged_at is not None and not alert.ack_told:
        note = f": {alert.note}" if alert.note else "."
        text = f"{alert.acknowledged_by} looks after it{note}"
        told.append((AlertState.ACKNOWLEDGED, text, alert.acknowledged_at))
    return [
        AlertChange(
            rule=alert.rule,
            level=alert.told_worst or alert.level,
            state=state,
            metric=alert.metric,
            value=alert.value,
            unit=rule.unit,
            text=text[:TEXT_MAX],
            cure=alert.cure,
            at=at,
            id=alert.id,
        )
        for state, text, at in told
    ]


def after_a_while(alert: Alert) -> str:
    """Return how long an alert stood that is over, for a text."""
    minutes = (alert.changed_at - alert.fired_at) / timedelta(minutes=1)
    return f" after {minutes:.0f} min" if minutes < 120 else f" after {minutes / 60:.0f} h"


def said(rule: AlertSpec, metric: Metric) -> str:
    """Return what is wrong, in words."""
    if metric.value is None:
        return f"{rule.summary}: {metric.detail or 'it cannot be measured'}"[:TEXT_MAX]
    value = f"{metric.value:.10g}" if metric.value == int(metric.value) else f"{metric.value:.1f}"
    detail = f" ({metric.detail})" if metric.detail else ""
    return f"{rule.summary}: {value}{unit_after(rule.unit)}{detail}"[:TEXT_MAX]


def unit_after(unit: str) -> str:
    return f" {unit}" if unit else ""


# ---- thresholds as the operator sets them

NONE = "-"
WRITTEN_LIKE = "write name=warning/critical with commas between, like cpu=70/90,disk=80/95"


def with_thresholds(rules: Mapping[str, AlertSpec], said: str) -> dict[str, AlertSpec]:
    """Return the rules with the operator's thresholds; Refused says which is wrong and why.

    name=warning/critical; - for none; what is left out after the slash stays as it is.
    """
    changed = dict(rules)
    for part in filter(None, (part.strip() for part in said.split(","))):
        name, equals, values = part.partition("=")
        name = name.strip()
        if not equals:
            raise Refused(f"{part!r}: {WRITTEN_LIKE}")
        if name not in rules:
            close = get_close_matches(name, rules, n=1)
            hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(sorted(rules))}"
            raise Refused(f"there is no alert {name!r}; {hint}")
        warning, slash, critical = values.partition("/")
        rule = changed[name]
        changed[name] = replace(
            rule,
            warning=threshold(name, warning),
            critical=threshold(name, critical) if slash else rule.critical,
        )
        check_order(changed[name])
    return changed


def threshold(name: str, said: str) -> float | None:
    """Read one threshold."""
    if said.strip() == NONE:
        return None
    try:
        value = float(said)
    except ValueError:
        raise Refused(f"{name}: {said.strip()!r} is not a number; {WRITTEN_LIKE}") from None
    if not 0 <= value < float("inf"):
        raise Refused(f"{name}: a threshold is a number from 0 on")
    return value


def check_order(rule: AlertSpec) -> None:
    """Refuse a rule that is critical before it is a warning."""
    if rule.warning is None or rule.critical is None:
        return
    low, high = sorted((rule.warning, rule.critical))
    if (rule.warning, rule.critical) != ((high, low) if rule.below else (low, high)):
        which = "below" if rule.below else "above"
        raise Refused(f"{rule.name}: critical must be {which} warning, not {rule.critical:g}")
