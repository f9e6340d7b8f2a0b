"""What a transaction changed of a user, from what to what, as the audit log keeps it."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

from tradefleet.domain.audit import moment_text
from tradefleet.domain.market import Symbol

TEXT_MAX = 500  # characters of one value
CHANGES_MAX = 200  # of one line
UNTOLD = frozenset({"id", "user_id", "changed_at", "checked_at"})  # of what is said elsewhere


class Changes:
    """Collects what is saved; what was before is given by whoever saves."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], tuple[Any, Any]] = {}

    def saved(self, what: str, id: str, before: object, after: object) -> None:
        """Note that something became something else; None: it is not there."""
        first = self._found.get((what, id), (before, None))[0]
        self._found[what, id] = (first, after)

    def taken(self) -> list[dict[str, Any]]:
        """Return what changed since this was asked last."""
        found, self._found = self._found, {}
        told = [told_of(what, id, before, after) for (what, id), (before, after) in found.items()]
        real = [each for each in told if each["before"] != each["after"]]
        if len(real) > CHANGES_MAX:
            more = {"what": "more", "id": str(len(real) - CHANGES_MAX)}
            return [*real[:CHANGES_MAX], more]
        return real


def told_of(what: str, id: str, before: object, after: object) -> dict[str, Any]:
    """Return a change: of what was there before and is now, only what differs."""
    old, new = shown(before), shown(after)
    if isinstance(old, dict) and isinstance(new, dict):
        same = {name for name in old if name in new and old[name] == new[name]}
        old = {name: value for name, value in old.items() if name not in same}
        new = {name: value for name, value in new.items() if name not in same}
    return {"what": what, "id": id, "before": old, "after": new}


def shown(value: object) -> Any:
    """Return a value as the log says it."""
    match value:
        case Enum():
            return value.value
        case bool() | int() | None:
            return value
        case str():
            return value[:TEXT_MAX]
        case Symbol():
            return str(value)
        case Decimal():
            return f"{value:f}"
        case datetime():
            return moment_text(value)
        case date():
            return value.isoformat()
        case Mapping():
            return {str(name): shown(item) for name, item in sorted(value.items())}
        case frozenset() | set():
            return sorted(map(str, value))
        case tuple() | list():
            return [shown(item) for item in value]
        case _ if is_dataclass(value):
            given = {f.name: getattr(value, f.name) for f in fields(value) if f.name not in UNTOLD}
            return {name: shown(item) for name, item in given.items() if item not in (None, "", ())}
        case _:
            return str(value)[:TEXT_MAX]
