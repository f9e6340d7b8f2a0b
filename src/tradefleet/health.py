"""What a store keeps of the service's health: what each process says of itself, and the alerts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from tradefleet.alert import Alert
from tradefleet.domain.health import Metric

ALERTS_KEPT = 1000  # with higher numbers; what is older and over is forgotten


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessReport:
    """How one process was when it looked last; it looks again after so many seconds."""

    owner: str
    measured_at: datetime
    every: float
    recovered: bool = True
    metrics: Mapping[str, Metric] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What of the database waits for somebody: how much, and the number of the first.

    unowned: users with something to run whom no process runs.
    """

    notices: int = 0
    first_notice: int | None = None
    messages: int = 0
    first_message: int | None = None
    unowned: int = 0


class HealthStore(Protocol):
    """What a store keeps of health, over all processes."""

    async def standing(self, now: datetime) -> Standing: ...

    async def report(self, report: ProcessReport) -> None:
        """Keep what a process says of itself, in place of what it said before."""

    async def reports(self) -> Sequence[ProcessReport]:
        """Return what each process said last, by name."""

    async def forget_report(self, owner: str) -> None:
        """Forget a process that is no more."""

    async def keep_alert(self, alert: Alert) -> None:
        """Add an alert, or change it but for who acknowledged it."""

    async def alerts(self, limit: int, *, only_open: bool = False) -> Sequence[Alert]:
        """Return the latest alerts, the newest first."""

    async def acknowledge(self, id: int, *, by: str, note: str, at: datetime) -> Alert | None:
        """Note who looks after an open alert; None: there is no such one, or it is over."""
