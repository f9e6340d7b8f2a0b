"""How long things took: in doubt, after a crash, without a stop.

Times are kept as how often each was seen, to a tenth of a second, so that a run of days takes no
more room than one of a minute.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self, TypeAlias

from judge.case import Case, patience_of
from judge.checks.promises import unprotected_of

Times: TypeAlias = Mapping[float, int]  # seconds → how often
LEAVES_IN_DOUBT = (
    "request lost",
    "request delayed",
    "answer lost",
    "reset",
    "body cut",
    "json truncated",
    "html",
    "status",
    "id missing",
)
GRACE_MS = 15_000  # after a deadline: what was accepted may show so late
MEASURED = ("unknown", "recovery", "unprotected")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How long something took, in seconds, over all the times it happened."""

    count: int = 0
    p50: float = 0.0
    p99: float = 0.0
    max: float = 0.0

    @classmethod
    def of(cls, times: Times) -> Self:
        if not times:
            return cls()
        return cls(
            count=sum(times.values()),
            p50=percentile_of(times, 50),
            p99=percentile_of(times, 99),
            max=max(times),
        )


def percentile_of(times: Times, percent: int) -> float:
    """Return the time below which so many percent lie, as percentile does for single values."""
    left = (sum(times.values()) - 1) * percent // 100
    for seconds in sorted(times):
        left -= times[seconds]
        if left < 0:
            return seconds
    return 0.0


def measured(case: Case) -> dict[str, Times]:
    """Return how long each of what is measured took."""
    told = [float(str(each.fields["seconds"])) for each in case.happened("unknown")]
    return {
        "unknown": _times(told or _doubts(case)),
        "recovery": _times(_recoveries(case)),
        "unprotected": _times(seconds for seconds, _ in unprotected_of(case)),
    }


def _times(seconds: Iterable[float]) -> Times:
    return dict(Counter(round(each, 1) for each in seconds))


def _doubts(case: Case) -> Iterable[float]:
    """Yield how long orders were in doubt, as far as the venues' journals show it.

    That is from the request whose answer did not come through to the first question after the
    order that was answered and could find it, or could prove that there is none.
    """
    for venue, journal in case.journals.items():
        proves_ms = patience_of(venue).late_ms + GRACE_MS
        accepted = {order.client_id: order.first_ms for order in journal.orders.values()}
        asked: dict[str, list[int]] = {}
        for call in journal.calls:
            if call.action == "order" and call.status == 200 and not call.fault:
                asked.setdefault(call.client_id, []).append(call.at_ms)
        for call in journal.calls:
            if call.action != "create" or not call.fault.startswith(LEAVES_IN_DOUBT):
                continue
            since = accepted.get(call.client_id, call.at_ms + proves_ms)
            ends = next((at for at in asked.get(call.client_id, ()) if at >= since), None)
            if ends is not None:
                yield (ends - call.at_ms) / 1000


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
