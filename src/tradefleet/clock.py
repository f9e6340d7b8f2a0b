"""What a clock and a source of ids are; the real ones are in runtime/real_world.py."""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """Return the time now, aware, UTC."""

    def monotonic(self) -> float:
        """Return seconds that only ever grow, for measuring durations."""

    async def sleep(self, seconds: float) -> None: ...


class Ids(Protocol):
    def new(self) -> str:
        """Return a new id: 32 lower-case hex characters."""
