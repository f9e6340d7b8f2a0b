"""Weeks and months by UTC, the newest first: where each begins and ends."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Period:
    """From since, included, to until, not included."""

    since: datetime
    until: datetime

    @property
    def day(self) -> date:
        """The day it begins."""
        return self.since.date()

    def holds(self, at: datetime) -> bool:
        return self.since <= at < self.until


def weeks(now: datetime, number: int) -> list[Period]:
    """Return the latest weeks, that of now first; a week begins on Monday."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    monday = midnight - timedelta(days=midnight.weekday())
    return [Period(monday - WEEK * n, monday - WEEK * (n - 1)) for n in range(number)]


def months(now: datetime, number: int) -> list[Period]:
    """Return the latest months, that of now first."""
    first = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    found = []
    until = (first + timedelta(days=31)).replace(day=1)
    for _ in range(number):
        found.append(Period(first, until))
        until, first = first, (first - timedelta(days=1)).replace(day=1)
    return found
