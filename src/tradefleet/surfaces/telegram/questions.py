"""Questions asked before a dangerous command: answered once and within a minute.

What was asked stands in the buttons, so that any process may hear the answer, and that it was
answered in the database. What does not fit, or holds a secret, is kept here.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from tradefleet.clock import Clock, Ids
from tradefleet.identity import IdentityStore, hash_of
from tradefleet.surfaces.telegram.buttons import Verdict

LIFETIME = timedelta(seconds=60)
KEPT_FOR = timedelta(days=1)  # so long an answer is not taken again
OPEN_MAX = 10_000  # kept here; the oldest is forgotten first
DRAWN = 6  # signs of a token that are drawn at random, after the time it runs out


@dataclass(frozen=True, slots=True)
class Question:
    """What will be run if the user says yes."""

    name: str
    words: tuple[str, ...] = field(repr=False)
    expires_at: datetime

    def is_late(self, now: datetime) -> bool:
        return now >= self.expires_at


class Questions:
    """The open questions; who answers saw the buttons in their own chat."""

    def __init__(self, clock: Clock, ids: Ids, identity: IdentityStore) -> None:
        self._clock = clock
        self._ids = ids
        self._identity = identity
        self._kept: OrderedDict[str, tuple[str, tuple[str, ...]]] = OrderedDict()

    def new(self) -> str:
        """Return the token of a new question; it says when that runs out."""
        until = int((self._clock.now() + LIFETIME).timestamp())
        return f"{until:x}{self._ids.new()[-DRAWN:]}"

    def keep(self, token: str, name: str, words: tuple[str, ...]) -> None:
        """Remember what was asked, as the buttons do not hold it."""
        self._kept[token] = (name, words)
        while len(self._kept) > OPEN_MAX:
            self._kept.popitem(last=False)

    async def take(self, person: int, verdict: Verdict) -> Question | None:
        """Return a question, late or not, and close it; None when it is closed or forgotten."""
        spent = hash_of(f"question {person} {verdict.token}")
        if not await self._identity.spend(spent, self._clock.now() + KEPT_FOR):
            return None
        kept = self._kept.pop(verdict.token, None)
        name, words = kept or (verdict.name, verdict.words)
        until = datetime.fromtimestamp(int(verdict.token[:-DRAWN], 16), UTC)
        return Question(name, words, until) if name else None
