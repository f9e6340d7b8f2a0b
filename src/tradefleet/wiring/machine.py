"""What the process takes of its machine, told beside what the node says of itself."""

import os
import resource
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tradefleet.clock import Clock
from tradefleet.runtime.node import rated
from tradefleet.surfaces.api.health import Health

STATM = Path("/proc/self/statm")  # of Linux: the process's size and what of it is in memory, pages
STATUSES = ("healthy", "degraded", "unhealthy")
APART_SECONDS = 1.0  # two looks that are closer together would tell of a moment, not of use


@dataclass(slots=True, kw_only=True)
class Machine:
    """Adds what is measured when somebody asks for the health of the service."""

    node: Health
    clock: Clock
    _cpu: float = field(default=0.0, init=False)
    _seen: tuple[float, float] | None = field(default=None, init=False)

    async def health(self) -> dict[str, Any]:
        """Return what the node reports, with cpu_usage and memory_usage in percent."""
        report = await self.node()
        memory = rated(memory_percent(), 80, 95)
        # A busy processor is no trouble by itself; what it does to us is event_loop_lag_ms.
        own = {"cpu_usage": rated(self.cpu_percent(), 1e9, 1e9), "memory_usage": memory}
        return {
            **report,
            "overall_status": max(report["overall_status"], memory["status"], key=STATUSES.index),
            "metrics": {**own, **report["metrics"]},
            "active_alerts": report["active_alerts"] + (memory["status"] != "healthy"),
            "critical_alerts": report["critical_alerts"] + (memory["status"] == "unhealthy"),
        }

    def cpu_percent(self) -> float:
        """Return how much of one core the process used since it was last asked."""
        used = os.times()
        busy, now = used.user + used.system, self.clock.monotonic()
        if self._seen is None:
            self._seen = busy, now
        elif now - self._seen[1] >= APART_SECONDS:
            self._cpu = (busy - self._seen[0]) / (now - self._seen[1]) * 100
            self._seen = busy, now
        return self._cpu


def memory_percent() -> float:
    """Return what of the machine's memory the process has."""
    return memory_bytes() / (os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")) * 100


def memory_bytes() -> int:
    """Return what the process has in memory now; where that is not told, the most it ever had."""
    try:
        return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024
