"""Figures of the whole service that only its database knows: what waits, and how it goes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from tradefleet.domain.ids import UserId

RETENTION_DAYS = (1, 7, 30)
TIMED_MAX = 10_000  # orders whose speed is looked at, the latest ones


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """What waits in the database, for all processes.

    oldest_notice: when the oldest that waits was to be told. webhooks_failing: that are tried
    again, webhooks_disabled: that are not. leases: users whom a process runs.
    """

    notices: int
    oldest_notice: datetime | None
    host_messages: int
    webhooks_failing: int
    webhooks_disabled: int
    leases: int


class Presence(NamedTuple):
    """A user: when they came, and when they or a bot of theirs did something last."""

    came: datetime
    seen: datetime | None


class Timed(NamedTuple):
    """An order's moments: decided (or let go, where it was held), sent, first filled."""

    decided: datetime
    sent: datetime
    filled: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dealings:
    """What success is measured by, as it stands in the database.

    tiers: users by tier; trades and won: closed and with profit, by strategy, since then; orders:
    sent since then, the latest TIMED_MAX.
    """

    users: Mapping[UserId, Presence]
    tiers: Mapping[str, int]
    trades: Mapping[str, tuple[int, int]]
    orders: Sequence[Timed]


class FigureStore(Protocol):
    """What the database counts for operators; no user's name or money is in it."""

    async def backlog(self, now: datetime) -> Backlog: ...
    async def dealings(self, since: datetime) -> Dealings: ...


def retention(users: Mapping[UserId, Presence], days: int, now: datetime) -> tuple[int, int]:
    """Return of how many users who came so many days ago or earlier how many are still there.

    Whoever did something that many days after they came, or later, is still there.
    """
    span = timedelta(days=days)
    old = [each for each in users.values() if each.came <= now - span]
    return len(old), sum(each.seen is not None and each.seen >= each.came + span for each in old)


def percentile(values: Sequence[float], share: float) -> float | None:
    """Return the value that a share of all does not exceed, None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
