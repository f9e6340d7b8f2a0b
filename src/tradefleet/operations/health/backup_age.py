"""How old the latest backup is."""

import asyncio
from dataclasses import dataclass

from tradefleet.clock import Clock
from tradefleet.domain.health import Metric
from tradefleet.operations.backup.shelf import Shelf
from tradefleet.operations.health.checks import Measured


@dataclass(slots=True, eq=False)
class BackupAge:
    """Looks at the shelf; without a backup there, how long this process has waited for one."""

    shelf: Shelf
    clock: Clock
    _began: float | None = None

    async def measure(self) -> Measured:
        if self._began is None:
            self._began = self.clock.monotonic()
        newest = await asyncio.to_thread(self.shelf.newest)
        if newest is None:
            seconds = self.clock.monotonic() - self._began
            return {"backup_age_h": Metric(seconds / 3600, detail="there is none yet")}
        age = self.clock.now() - newest.header.taken_at
        return {"backup_age_h": Metric(age.total_seconds() / 3600, detail=newest.file.name)}
