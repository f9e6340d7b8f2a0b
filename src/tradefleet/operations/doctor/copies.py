"""Backups: is there one that is young enough, and did the last attempt succeed?"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from tradefleet.operations.backup.shelf import Kept
from tradefleet.operations.doctor.finding import Finding, ok, problem, warning

CHECK = "backup"
LATE = timedelta(hours=26)  # after the newest; one is made each day
TOO_LATE = timedelta(hours=50)
MAKE = "tradefleet backup makes one now, and tries it out"


def look(
    newest: Kept | None,
    history: Sequence[Mapping[str, Any]],
    now: datetime,
    *,
    scheduled: bool,
    is_needed: bool,
) -> Iterator[Finding]:
    """Tell of the newest backup, and of what failed since."""
    if newest is None:
        told = "there is none of this database"
        if scheduled and is_needed:
            yield problem(CHECK, told, MAKE)
        else:
            yield warning(CHECK, told if scheduled else f"{told}, nor will there be any", MAKE)
        return
    age = now - newest.header.taken_at
    text = f"{newest.file.name}, {int(age.total_seconds()) // 3600} h old, restored and compared"
    if scheduled and age > TOO_LATE:
        yield problem(CHECK, text, f"{MAKE}; see that the service runs at 02:00 UTC")
    elif age > LATE:
        yield warning(CHECK, text, MAKE)
    else:
        yield ok(CHECK, text)
    latest = history[-1] if history else {}
    if latest and not latest.get("made"):
        yield problem(
            CHECK, f"the last attempt failed, at {latest.get('at')}: {latest.get('why')}", MAKE
        )
