"""Questions asked before a dangerous command: one user's, answered once and within a minute."""

from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tradefleet.clock import Clock, Ids

LIFETIME = timedelta(seconds=60)
OPEN_MAX = 10_000  # the oldest is forgotten first


@dataclass(frozen=True, slots=True)
class Question:
    """What will be run if the user says yes."""

    asked_of: int  # Telegram id
    name: str
    words: tuple[str, ...] = field(repr=False)
    expires_at: datetime

    def is_late(self, now: datetime) -> bool:
        return now >= self.expires_at


class NotYours(Exception):
    """Somebody else was asked; the question stays open."""


class Questions:
    """The open questions, by their token."""

    def __init__(self, clock: Clock, ids: Ids) -> None:
        self._clock = clock
        self._ids = ids
        self._open: OrderedDict[str, Question] = OrderedDict()

    def ask(self, user: int, name: str, words: tuple[str, ...]) -> str:
        """Remember a question and return its token."""
        token = self._ids.new()
        self._open[token] = Question(user, name, words, self._clock.now() + LIFETIME)
        while len(self._open) > OPEN_MAX:
            self._open.popitem(last=False)
        return token

    def take(self, token: str, user: int) -> Question | None:
        """Return an open question, late or not, and close it; None when none is open.

        Raise NotYours when somebody else was asked.
        """
        question = self._open.get(token)
        if question is None:
            return None
        if question.asked_of != user:
            raise NotYours
        del self._open[token]
        return question
