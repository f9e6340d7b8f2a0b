"""Reports of processes and alerts, in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from tradefleet.alert import Alert
from tradefleet.domain.ids import UserId
from tradefleet.health import ALERTS_KEPT, ProcessReport, Standing
from tradefleet.stores.memory.rows import Rows
from tradefleet.stores.memory.shared import NOBODY, Shared


class MemoryHealth:
    """What is kept of health until the process ends."""

    def __init__(self, users: Mapping[UserId, Rows], shared: Shared) -> None:
        self._users = users
        self._shared = shared
        self._reports: dict[str, ProcessReport] = {}
        self._alerts: dict[int, Alert] = {}

    async def standing(self, now: datetime) -> Standing:
        waiting = self._shared.outbox
        due = [id for id, each in waiting.items() if each.due_at is not None and each.due_at <= now]
        leases = self._shared.leases.values()
        free = [each.user_id for each in leases if each.owner == NOBODY or each.expires_at <= now]
        return Standing(
            notices=len(due),
            first_notice=min(due, default=None),
            messages=len(self._shared.messages),
            first_message=min(self._shared.messages, default=None),
            unowned=sum(self._users[user_id].has_something_to_run() for user_id in free),
        )

    async def report(self, report: ProcessReport) -> None:
        self._reports[report.owner] = report

    async def reports(self) -> Sequence[ProcessReport]:
        return [self._reports[owner] for owner in sorted(self._reports)]

    async def forget_report(self, owner: str) -> None:
        self._reports.pop(owner, None)

    async def keep_alert(self, alert: Alert) -> None:
        known = self._alerts.get(alert.id)
        if known is not None:
            alert = replace(
                alert,
                acknowledged_at=known.acknowledged_at,
                acknowledged_by=known.acknowledged_by,
                note=known.note,
            )
        self._alerts[alert.id] = alert
        for id in [id for id in self._alerts if id <= alert.id - ALERTS_KEPT]:
            if known is None and not self._alerts[id].is_open:
                del self._alerts[id]

    async def alerts(self, limit: int, *, only_open: bool = False) -> Sequence[Alert]:
        newest = [self._alerts[id] for id in sorted(self._alerts, reverse=True)]
        return [alert for alert in newest if alert.is_open or not only_open][:limit]

    async def acknowledge(self, id: int, *, by: str, note: str, at: datetime) -> Alert | None:
        known = self._alerts.get(id)
        if known is None or not known.is_open:
            return None
        self._alerts[id] = replace(known, acknowledged_at=at, acknowledged_by=by, note=note)
        return self._alerts[id]
