"""A clock that shows the market's time, moved by whoever plays the market."""

import asyncio
from datetime import datetime


class ReplayClock:
    """Shows the time of the bar being played; sleeping only gives way to others."""

    def __init__(self, start: datetime) -> None:
        self._now = start

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._now.timestamp()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)

    def move_to(self, at: datetime) -> None:
        """Move on to at; time never goes back."""
        self._now = max(self._now, at)
