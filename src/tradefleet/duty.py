"""What one process alone does for all: values, and the part of a store that says whose turn it is.

A duty is held for a time that must be prolonged; who takes it over holds it under the next epoch,
so that whoever held it before, and only slept, can no longer write how far it came.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Duty:
    """Something one process does for all, and how far it came; owner is "" when nobody does it."""

    name: str
    owner: str
    epoch: int
    expires_at: datetime
    place: int = 0


class DutyStore(Protocol):
    """Who does what for all."""

    async def take(self, name: str, owner: str, *, now: datetime, ttl: float) -> Duty | None:
        """Take a duty that is free or ran out, or prolong one's own; None: another holds it.

        The epoch grows whenever the owner changes.
        """

    async def advance(self, duty: Duty, place: int) -> bool:
        """Write how far it came; False, writing nothing, when it was taken over since."""

    async def release(self, duty: Duty) -> None:
        """Let go of a duty, if it was not taken over since."""

    async def held(self) -> Sequence[Duty]:
        """Return all that somebody holds, run out or not."""
