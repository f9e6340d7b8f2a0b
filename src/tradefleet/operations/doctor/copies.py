"""Backups: is there one that is young enough, and did the last attempt succeed?"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from tradefleet.alert import AlertSpec
from tradefleet.operations.backup.shelf import Kept
from tradefleet.operations.doctor.finding import Finding, Level, by_rule, problem, warning

CHECK = "backup"
MAKE = "tradefleet backup makes one now, and tries it out"


def look(
    newest: Kept | None,
    history: Sequence[Mapping[str, Any]],
    now: datetime,
    rule: AlertSpec,
    *,
    scheduled: bool,
    is_needed: bool,
) -> Iterator[Finding]:
    """Tell of the newest backup, and of what failed since; rule: how old it may be, in hours."""
    if newest is None:
        told = "there is none of this database"
        if scheduled and is_needed:
            yield problem(CHECK, told, MAKE)
        else:
            yield warning(CHECK, told if scheduled else f"{told}, nor will there be any", MAKE)
        return
    hours = (now - newest.header.taken_at).total_seconds() / 3600
    text = f"{newest.file.name}, {int(hours)} h old, restored and compared"
    found = by_rule(rule, hours, CHECK, text, f"{MAKE}; see that the service runs at 02:00 UTC")
    if scheduled or found.level is Level.OK:
        yield found
    else:
        yield warning(CHECK, text, MAKE)
    latest = history[-1] if history else {}
    if latest and not latest.get("made"):
        yield problem(
            CHECK, f"the last attempt failed, at {latest.get('at')}: {latest.get('why')}", MAKE
        )
