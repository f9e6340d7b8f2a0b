"""Commands that wait for the digits of a second factor: they are the next message."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tradefleet.clock import Clock

LIFETIME = timedelta(seconds=120)
WAITING_MAX = 10_000  # the oldest is forgotten first
DIGITS = 6


@dataclass(frozen=True, slots=True)
class Waiting:
    """What is run once the digits are there."""

    name: str
    words: tuple[str, ...] = field(repr=False)
    expires_at: datetime


class Proofs:
    """What waits, one command of each person."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: OrderedDict[int, Waiting] = OrderedDict()

    def wait(self, person: int, name: str, words: Sequence[str]) -> None:
        """Remember a command that was refused for want of digits."""
        until = self._clock.now() + LIFETIME
        self._waiting[person] = Waiting(name, tuple(words), until)
        self._waiting.move_to_end(person)
        if len(self._waiting) > WAITING_MAX:
            self._waiting.popitem(last=False)

    def take(self, person: int) -> Waiting | None:
        """Return what waits, and let it wait no more; None when nothing does, or for too long."""
        waiting = self._waiting.pop(person, None)
        if waiting is None or self._clock.now() >= waiting.expires_at:
            return None
        return waiting


def digits_in(words: Sequence[str]) -> str:
    """Return the digits that a message is, "" when it is something else."""
    text = "".join(words)
    return text if len(text) == DIGITS and text.isascii() and text.isdigit() else ""
