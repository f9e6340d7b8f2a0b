"""What an alert rule is, and what becomes of an alert: fired, raised, acknowledged, resolved.

A plug-in is a file in alerts/ with one constant, ALERT = AlertSpec(...). Thresholds stand there
and nowhere else: the status of a metric in /health comes from its rule.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from tradefleet.domain.health import Status


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
    measurements one after another must be bad before it fires. cure: one sentence that says
    what to do and names the runbook.
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
    """Where changes of alerts go: to people, by whatever way."""

    async def tell(self, change: AlertChange) -> None:
        """Take a change to be told; twice the same (id, state, at) is told once."""
