"""Makes the daily and the weekly backup, by one process for all, and says aloud when it fails."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from tradefleet.clock import Clock
from tradefleet.domain.errors import StoreError
from tradefleet.operations.backup.backups import Backups
from tradefleet.operations.backup.copying import BackupFault
from tradefleet.operations.backup.shelf import DAILY, WEEKLY
from tradefleet.store import Store

logger = logging.getLogger(__name__)

ROUND = 30.0  # seconds
AGAIN = timedelta(minutes=15)  # after one that failed
DUTY_SECONDS = 3600.0  # the longest a backup may take before another process tries
SUNDAY = datetime(2026, 1, 4, tzinfo=UTC)
# When each is due: from such a moment on, every so often.
DUE: Mapping[str, tuple[datetime, timedelta]] = {
    DAILY: (SUNDAY + timedelta(hours=2), timedelta(days=1)),
    WEEKLY: (SUNDAY + timedelta(hours=3), timedelta(weeks=1)),
}


def latest_due(reason: str, now: datetime) -> datetime:
    """Return when such a backup was due last."""
    first, every = DUE[reason]
    return first + (now - first) // every * every


@dataclass(slots=True, kw_only=True, eq=False)
class BackupSchedule:
    """The scheduled backups; how far they came stands in the database, so that none is made twice.

    One that was missed while nothing ran is made at the next start. A database that never had one
    waits for the next time.
    """

    backups: Backups
    store: Store
    clock: Clock
    owner: str
    _done: dict[str, datetime] = field(default_factory=dict)
    _not_before: dict[str, datetime] = field(default_factory=dict)

    async def run(self) -> None:
        """Make what is due, over and over, until cancelled."""
        while True:
            await self.turn()
            await self.clock.sleep(ROUND)

    async def turn(self) -> None:
        """Make what is due now."""
        now = self.clock.now()
        for reason in DUE:
            due = latest_due(reason, now)
            waits = self._done.get(reason) == due or now < self._not_before.get(reason, now)
            if waits or not self.backups.shelf.keep.get(reason):
                continue
            try:
                await self._make(reason, due, now)
            except (BackupFault, StoreError) as error:
                self._not_before[reason] = now + AGAIN
                logger.error("the %s backup failed: %s", reason, error)

    async def _make(self, reason: str, due: datetime, now: datetime) -> None:
        duties, name = self.store.duties, f"{reason} backup"
        duty = await duties.take(name, self.owner, now=now, ttl=DUTY_SECONDS)
        if duty is None:
            return  # another process is at it; whether it got there shows at the next look
        try:
            place = int(due.timestamp())
            if 0 < duty.place < place:
                made = await self.backups.recorded(reason)
                said = {"reason": reason, "file": made.file.name, "bytes": made.size}
                await self.store.audits.note("backup", said)
                logger.info("the %s backup is %s, %d bytes", reason, made.file.name, made.size)
            if duty.place < place:
                await duties.advance(duty, place)
            self._done[reason] = due
        finally:
            await duties.release(duty)
