"""What counts how often something was asked: windows of time that begin with the first ask."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Count:
    """How often a key was hit in its window, this time included, and when the window ends."""

    used: int
    seconds_left: float


class Counters(Protocol):
    """Counts hits by key; of many at once, each is told another number."""

    async def hit(self, key: str, seconds: int) -> Count:
        """Count a hit of a key in its window of so many seconds; never fail."""

    async def look(self, key: str, seconds: int) -> Count:
        """Return how often a key was hit in its window, and count nothing."""

    async def close(self) -> None: ...
