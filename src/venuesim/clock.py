"""The venue's clock: the machine's, or one that is set by hand through the admin port."""

import asyncio
import time
from collections.abc import Callable
from typing import Protocol


class Clock(Protocol):
    """Milliseconds since 1970, UTC, as the venue believes them."""

    def now_ms(self) -> int: ...
    def now_ns(self) -> int: ...


class RealClock:
    """The machine's clock, skewed by so many milliseconds."""

    def __init__(self, skew_ms: int = 0) -> None:
        self.skew_ms = skew_ms

    def now_ms(self) -> int:
        return self.now_ns() // 1_000_000

    def now_ns(self) -> int:
        return time.time_ns() + self.skew_ms * 1_000_000


class ManualClock:
    """Stands still until it is set; whoever listens hears every change. It never goes back."""

    def __init__(self, now_ms: int) -> None:
        self._now_ms = now_ms
        self.listeners: list[Callable[[int], None]] = []

    def now_ms(self) -> int:
        return self._now_ms

    def now_ns(self) -> int:
        return self._now_ms * 1_000_000

    def set(self, now_ms: int) -> None:
        if now_ms < self._now_ms:
            raise ValueError("the clock of a venue does not go back")
        self._now_ms = now_ms
        for listener in self.listeners:
            listener(now_ms)


async def real_sleep(seconds: float) -> None:
    """Wait in the machine's time, whatever clock the venue has."""
    await asyncio.sleep(seconds)
