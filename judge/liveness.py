"""How long things took: in doubt, after a crash, without a stop."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self, TypeAlias

from judge.case import Case, patience_of
from judge.checks.promises import percentile, unprotected_of

Seconds: TypeAlias = Mapping[str, Sequence[float]]
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
    told = [float(str(each.fields["seconds"])) for each in case.happened("unknown")]
    return {
        "unknown": told or list(_doubts(case)),
        "recovery": list(_recoveries(case)),
        "unprotected": [seconds for seconds, _ in unprotected_of(case)],
    }


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
