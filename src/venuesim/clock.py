"""The venue's clock: the machine's, or one that is set by hand through the admin port."""

import asyncio
import time
from collections.abc import Callable
from typing import Protocol


class Clock(Protocol):
    """Milliseconds since 1970, UTC, as the venue believes them."""

    def now_ms(self) -> int: ...
    def now_ns(self) -> int: ...
    async def wait(self, seconds: float) -> None:
        """Return when so much of the venue's own time has passed."""


class RealClock:
    """The machine's clock, skewed by so many milliseconds."""

    def __init__(self, skew_ms: int = 0) -> None:
        self.skew_ms = skew_ms

    def now_ms(self) -> int:
        return self.now_ns() // 1_000_000

    def now_ns(self) -> int:
        return time.time_ns() + self.skew_ms * 1_000_000

    async def wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Player(Protocol):
    """What happens at times of its own while a clock is set forward: a market of bars."""

    def next_ms(self) -> int | None:
        """Say when it plays next, None for never again."""

    def play(self) -> None:
        """Let happen what is due at that time."""


class ManualClock:
    """Stands still until it is set; whoever listens hears every change. It never goes back.

    On its way to the time it is set to it stops wherever a player has something to play.
    """

    def __init__(self, now_ms: int) -> None:
        self._now_ms = now_ms
        self.players: list[Player] = []
        self.listeners: list[Callable[[int], None]] = []

    def now_ms(self) -> int:
        return self._now_ms

    def now_ns(self) -> int:
        return self._now_ms * 1_000_000

    def set(self, now_ms: int) -> None:
        if now_ms < self._now_ms:
            raise ValueError("the clock of a venue does not go back")
        while (player := self._next(now_ms)) is not None:
            self._now_ms = max(self._now_ms, player.next_ms() or 0)
            player.play()
        self._now_ms = now_ms
        for listener in list(self.listeners):
            listener(now_ms)

    def _next(self, until_ms: int) -> Player | None:
        """Return who plays first of those that play until then; of several at once, the first."""
        due = [(at, player) for player in self.players if (at := player.next_ms()) is not None]
        at, first = min(due, key=lambda pair: pair[0], default=(until_ms + 1, None))
        return first if at <= until_ms else None

    async def wait(self, seconds: float) -> None:
        """Wait until somebody has set the clock so much further."""
        until_ms, there = self._now_ms + int(seconds * 1000), asyncio.Event()

        def heard(now_ms: int) -> None:
            if now_ms >= until_ms:
                there.set()

        self.listeners.append(heard)
        try:
            heard(self._now_ms)
            await there.wait()
        finally:
            self.listeners.remove(heard)


async def real_sleep(seconds: float) -> None:
    """Wait in the machine's time, whatever clock the venue has."""
    await asyncio.sleep(seconds)
