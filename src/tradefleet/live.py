"""Live events: what of a user's is recorded as it happens, and the part of a store that keeps it.

Each user has a sequence of their own, numbered without a gap in the order of commits, and written
in the transaction of what it tells. It is recorded only for who listens, or did within a day.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol

import orjson

from tradefleet.domain.ids import UserId
from tradefleet.domain.live import KIND_OF, Data

EVENTS_KEPT = timedelta(hours=24)
EVENTS_MAX = 10_000  # of one user's that are kept


@dataclass(frozen=True, slots=True)
class LiveEvent:
    """One thing that happened; data is JSON."""

    number: int
    at: datetime
    kind: str
    data: str

    def json(self) -> str:
        """Return the event as it is told everywhere."""
        return f'{{"id":{self.number},"type":"{self.kind}","at":"{stamp(self.at)}",' + (
            f'"data":{self.data}}}'
        )


@dataclass(frozen=True, slots=True)
class Head:
    """Where a user's sequence stands: its last number, and after which number it is unbroken."""

    last: int
    since: int

    def knows(self, number: int) -> bool:
        """Say whether all that happened after this number is there."""
        return self.since <= number <= self.last


@dataclass(frozen=True, slots=True)
class Equity:
    """What all bots of a user are worth in quote, by quote asset, and how many hold something."""

    equity: Mapping[str, Decimal]
    positions: int


class UserLive(Protocol):
    """One user's events, in that user's transaction."""

    async def listen(self) -> Head:
        """Have events recorded from now on, if they are not; say where the sequence stands."""

    async def head(self) -> Head | None:
        """Say where the sequence stands; None: nothing is recorded."""

    async def after(self, number: int, limit: int) -> Sequence[LiveEvent]:
        """Return events after a number, the oldest first."""

    async def forget(self, before: datetime, keep: int) -> None:
        """Forget events from before a time, and all but the latest `keep`.

        Nothing more is recorded when nobody listened since then.
        """


class LiveStore(Protocol):
    """Everybody's events, for who tells them on."""

    async def heads(self, user_ids: Sequence[UserId]) -> Mapping[UserId, Head]: ...
    async def since(
        self, places: Mapping[UserId, int], limit: int
    ) -> Mapping[UserId, list[LiveEvent]]:
        """Return for each user the events after a number, at most `limit` over all of them."""

    async def equities(self, user_ids: Sequence[UserId]) -> Mapping[UserId, Equity]: ...
    async def touch(self, user_ids: Sequence[UserId]) -> None:
        """Note that these users still listen."""

    async def listeners(self) -> Sequence[UserId]:
        """Return whose events are recorded."""

    def watch(self, told: Callable[[UserId], None]) -> AbstractContextManager[None]:
        """Have told called, soon after something was recorded for a user, while this is entered.

        It is a hint: what another process recorded may come without one.
        """

    async def hear(self) -> None:
        """Pass on such hints of other processes, until cancelled, where the database has them."""


def stamp(at: datetime) -> str:
    """Write a time: 2026-01-01T00:05:00.123456Z."""
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")


def as_text(data: Data) -> str:
    """Write what an event tells as JSON: every digit of an amount, times with a Z."""
    return orjson.dumps(data, default=_plain, option=orjson.OPT_UTC_Z).decode()


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return format(value, "f")
    raise TypeError(f"{type(value).__name__} has no place in an event")


def numbered(news: Iterable[Data], last: int, at: datetime) -> list[LiveEvent]:
    """Make events of what happened, numbered from after the last one."""
    return [
        LiveEvent(number, at, KIND_OF[type(each)].value, as_text(each))
        for number, each in enumerate(news, last + 1)
    ]
