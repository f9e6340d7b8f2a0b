"""The world's own time, and each host's view of it: skewed, and stopped with its host."""

import asyncio
from datetime import UTC, datetime, timedelta

START = datetime(2026, 1, 5, tzinfo=UTC)
START_MS = int(START.timestamp() * 1000)
MICRO = timedelta(microseconds=1)


class Frozen:
    """Whether a host stands still: whoever passes waits until it goes on, or is gone."""

    def __init__(self) -> None:
        self.dead = False
        self._open: asyncio.Future[None] | None = None

    @property
    def is_shut(self) -> bool:
        return self._open is not None

    def shut(self) -> None:
        if self._open is None:
            self._open = asyncio.get_running_loop().create_future()

    def open(self) -> None:
        gate, self._open = self._open, None
        if gate is not None and not gate.done():
            gate.set_result(None)

    async def passed(self) -> None:
        """Return at once, or when the host goes on; never in a host that is gone."""
        while self._open is not None and not self.dead:
            await asyncio.shield(self._open)
        if self.dead:
            raise asyncio.CancelledError


class WorldClock:
    """What time it is, for venues and for the diary."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def now_us(self) -> int:
        return round(self._loop.time() * 1_000_000)

    def now_ms(self) -> int:
        return START_MS + self.now_us() // 1000

    def now_ns(self) -> int:
        return START_MS * 1_000_000 + self.now_us() * 1000

    def now(self) -> datetime:
        return START + self.now_us() * MICRO

    def monotonic(self) -> float:
        return self._loop.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class HostClock:
    """A host's clock: off by its skew, and nobody in a host that stands still wakes up."""

    def __init__(self, world: WorldClock, gate: Frozen) -> None:
        self._world, self._gate = world, gate
        self._loop = asyncio.get_running_loop()
        self.skew_us = 0

    def now(self) -> datetime:
        return START + (self._world.now_us() + self.skew_us) * MICRO

    def monotonic(self) -> float:
        return self._loop.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self._gate.passed()


def from_ms(at_ms: int) -> datetime:
    return START + timedelta(milliseconds=at_ms - START_MS)


def to_ms(at: datetime) -> int:
    return START_MS + (at - START) // timedelta(milliseconds=1)
