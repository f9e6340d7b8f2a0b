"""What the process takes of its machine, and what is left there: processor, memory, disk."""

import asyncio
import os
import resource
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from tradefleet.clock import Clock
from tradefleet.domain.health import Metric

STATM = Path("/proc/self/statm")  # of Linux: the process's size and what of it is in memory, pages
MEMINFO = Path("/proc/meminfo")
CGROUP = Path("/sys/fs/cgroup")  # of a container: what it may have
APART_SECONDS = 15.0  # two looks that are closer together would tell of a moment, not of use
TRIAL_FILE = ".can-be-written"
TRIAL_BYTES = 4096

T = TypeVar("T")


@dataclass(slots=True, kw_only=True, eq=False)
class Machine:
    """folders: where the service writes; the first is tried out."""

    clock: Clock
    folders: Sequence[Path] = ()
    _cpu: float = field(default=0.0, init=False)
    _seen: tuple[float, float] | None = field(default=None, init=False)
    _asking: set[str] = field(default_factory=set, init=False)

    async def processor(self) -> dict[str, Metric]:
        return {"cpu_usage": Metric(self.cpu_percent(), detail="of one core")}

    async def memory(self) -> dict[str, Metric]:
        return {"memory_usage": Metric(await self._beside("memory", memory_percent))}

    async def disk(self) -> dict[str, Metric]:
        """Return how full the fullest disk is."""
        fullest = await self._beside("disk", lambda: max(map(disk_percent, self.folders)))
        return {"disk_usage": Metric(fullest[0], detail=fullest[1])}

    async def writing(self) -> dict[str, Metric]:
        """Write a little, so that a disk that is full or gone is seen; OSError says which."""
        seconds = await self._beside("writing", self._write)
        return {"disk_write_ms": Metric(seconds * 1000, detail=str(self.folders[0]))}

    def _write(self) -> float:
        began = self.clock.monotonic()
        folder = self.folders[0]
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / TRIAL_FILE
        try:
            with file.open("wb") as trial:
                trial.write(bytes(TRIAL_BYTES))
                trial.flush()
                os.fsync(trial.fileno())
        finally:
            file.unlink(missing_ok=True)
        return self.clock.monotonic() - began

    async def _beside(self, name: str, ask: Callable[[], T]) -> T:
        """Ask the machine in a thread; one that never came back is not followed by others."""
        if name in self._asking:
            raise TimeoutError
        self._asking.add(name)

        def asked() -> T:
            try:
                return ask()
            finally:
                self._asking.discard(name)

        return await asyncio.to_thread(asked)

    def cpu_percent(self) -> float:
        """Return how much of one core the process used since it was last asked."""
        busy, now = cpu_seconds(), self.clock.monotonic()
        if self._seen is None:
            self._seen = busy, now
        elif now - self._seen[1] >= APART_SECONDS:
            self._cpu = (busy - self._seen[0]) / (now - self._seen[1]) * 100
            self._seen = busy, now
        return self._cpu


def cpu_seconds() -> float:
    """Return what the process has used of the processors."""
    used = os.times()
    return used.user + used.system


def disk_percent(folder: Path) -> tuple[float, str]:
    """Return how much of a folder's disk is taken, as those who are not root have it, and where."""
    there = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
    usage = shutil.disk_usage(there)
    return 100 * usage.used / max(1, usage.used + usage.free), str(folder)


def memory_percent() -> float:
    """Return what is taken of the memory that there is: the machine's, or the container's."""
    return max(of_machine(), of_container())


def of_machine() -> float:
    """Return what is taken of the machine's memory; where that is not told, what we take of it."""
    try:
        lines = MEMINFO.read_text().splitlines()
    except OSError:
        return memory_bytes() / (os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")) * 100
    said = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
    return 100 * (1 - said["MemAvailable"] / said["MemTotal"])


def of_container() -> float:
    """Return what is taken of what the container may have, 0 where nothing limits it."""
    try:
        limit = (CGROUP / "memory.max").read_text().strip()
        taken = int((CGROUP / "memory.current").read_text())
        stat = (CGROUP / "memory.stat").read_text().splitlines()
    except OSError:
        return 0.0
    if not limit.isdigit():
        return 0.0
    # What is only kept of files is given back when it is needed.
    spare = sum(int(line.split()[1]) for line in stat if line.startswith("inactive_file "))
    return 100 * (taken - spare) / int(limit)


def memory_bytes() -> int:
    """Return what the process has in memory now; where that is not told, the most it ever had."""
    try:
        return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024
