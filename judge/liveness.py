"""How long things took: in doubt, after a crash, without a stop."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self, TypeAlias

from judge.case import Case
from judge.checks.promises import percentile, unprotected_of

Seconds: TypeAlias = Mapping[str, Sequence[float]]
MEASURED = ("unknown", "recovery", "unprotected")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How long something took, in seconds, over all the times it happened."""

    count: int = 0
    p50: float = 0.0
    p99: float = 0.0
    max: float = 0.0

    @classmethod
    def of(cls, seconds: Iterable[float]) -> Self:
        values = sorted(seconds)
        if not values:
            return cls()
        return cls(
            count=len(values),
            p50=round(percentile(values, 50), 3),
            p99=round(percentile(values, 99), 3),
            max=round(values[-1], 3),
        )


def measured(case: Case) -> dict[str, list[float]]:
    """Return the seconds of each, unsorted, so that runs can be put together."""
    return {
        "unknown": [float(str(each.fields["seconds"])) for each in case.happened("unknown")],
        "recovery": list(_recoveries(case)),
        "unprotected": [seconds for seconds, _ in unprotected_of(case)],
    }


def _recoveries(case: Case) -> Iterable[float]:
    """Yield how long each user waited until they were run again after their host was gone."""
    host_of: dict[str, str] = {}
    down: dict[str, int] = {}
    for each in case.evidence.diary:
        user, host = str(each.fields.get("user_id", "")), str(each.fields.get("host", ""))
        if each.kind == "lease":
            host_of[user] = host
        elif each.kind in ("crash", "frozen"):
            for owned, owner in host_of.items():
                if owner == host:
                    down.setdefault(owned, each.at_ms)
        elif each.kind == "thawed":
            for owned in [u for u in down if host_of.get(u) == host]:
                del down[owned]  # nobody had overtaken it: it goes on
        elif each.kind == "recovered" and user in down:
            yield (each.at_ms - down.pop(user)) / 1000
