"""How the service is: measured values, each with its status, and the report they make."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

DIGITS = 2  # of a value as it is shown


class Status(StrEnum):
    """How good a value is, from the best to the worst."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"


BY_BADNESS = tuple(Status)


@dataclass(frozen=True, slots=True)
class Metric:
    """A measured value; None: it could not be measured. detail says which, where or why."""

    value: float | None
    status: Status = Status.HEALTHY
    unit: str = ""
    detail: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the entry as monitors know it; detail is not for everybody's eyes."""
        value = None if self.value is None else round(self.value, DIGITS)
        return {"value": value, "status": self.status.value}


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthReport:
    """What was measured at a time. recovered: every user has been taken since the start."""

    measured_at: datetime
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    recovered: bool = True
    maintenance: bool = False

    @property
    def overall(self) -> Status:
        """Return the worst status; what has not recovered yet is at best degraded."""
        least = Status.HEALTHY if self.recovered else Status.DEGRADED
        return worst_of(least, *(metric.status for metric in self.metrics.values()))

    @property
    def active_alerts(self) -> int:
        """Return how many values are not as they should be."""
        return sum(metric.status is not Status.HEALTHY for metric in self.metrics.values())

    @property
    def critical_alerts(self) -> int:
        return sum(metric.status is Status.UNHEALTHY for metric in self.metrics.values())

    def as_json(self) -> dict[str, Any]:
        """Return what GET /health answers."""
        return {
            "overall_status": self.overall.value,
            "maintenance_mode": self.maintenance,
            "timestamp": self.measured_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "metrics": {name: metric.as_json() for name, metric in self.metrics.items()},
            "active_alerts": self.active_alerts,
            "critical_alerts": self.critical_alerts,
        }


def worst_of(*statuses: Status) -> Status:
    """Return the worst of some statuses, at least one."""
    return max(statuses, key=BY_BADNESS.index)
