"""What was promised: kill switches, fences, stops, and the venue's limits."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from judge.case import Case
from judge.evidence import Happened, StoredOrder
from judge.finding import Finding
from judge.journals import VenueOrder

PROTECTED_WITHIN_S = 5.0
TOLD_OF_SWITCHES = ("user_id", "account_id", "bot_id", "venue", "scope", "scope_id")
MADE_LATE = ("request delayed", "request duplicated")
LATE_MS = 125_000  # so long a network holds a call back at most
WOKEN_MS = 2_000  # what a host had begun when it stood still has left by then
LIMITS = frozenset({403, 418, 429})


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """A switch that was on: over whom, from when until when; "" is everybody and everything."""

    user_id: str
    account_id: str
    bot_id: str
    venue: str
    since_ms: int
    until_ms: int

    def covers(self, case: Case, order: VenueOrder, bot: str) -> bool:
        owned = case.owned(order)
        return (
            owned is not None
            and self.user_id in ("", owned.user_id)
            and self.account_id in ("", owned.account_id)
            and self.venue in ("", owned.venue)
            and self.bot_id in ("", bot)
        )


def kills_of(case: Case) -> list[Kill]:
    """Return the switches of the diary, each until it was released."""
    found = []
    every = [each for each in case.evidence.diary if each.kind in ("kill", "released")]
    for number, each in enumerate(every):
        if each.kind != "kill":
            continue
        until = next(
            (e.at_ms for e in every[number + 1 :] if e.kind == "released" and _frees(e, each)),
            case.ended_ms + 10**12,
        )
        found.append(
            Kill(
                user_id=_word(each, "user_id"),
                account_id=_word(each, "account_id") or _scoped(each, "account"),
                bot_id=_word(each, "bot_id") or _scoped(each, "bot"),
                venue=_word(each, "venue"),
                since_ms=each.at_ms,
                until_ms=until,
            )
        )
    return found


def _word(happened: Happened, name: str) -> str:
    return str(happened.fields.get(name) or "")


def _scoped(happened: Happened, scope: str) -> str:
    """Return what a switch is limited to, if it is of that scope."""
    return _word(happened, "scope_id") if _word(happened, "scope") == scope else ""


def _frees(released: Happened, kill: Happened) -> bool:
    return all(_word(released, name) in ("", _word(kill, name)) for name in TOLD_OF_SWITCHES)


def kills(case: Case) -> Iterable[Finding]:
    switches = kills_of(case)
    for order in case.accepted if switches else ():
        intent = case.intent(order)
        opens = order.side == "buy" if intent is None else intent.purpose == "entry"
        owned = case.owned(order)
        if not opens or owned is None:
            continue
        late = case.patience(owned.account_id).late_ms + case.tolerance_ms
        bot = intent.bot_id if intent is not None else ""
        for switch in switches:
            if intent is not None and _armed_under(case, switch, intent, order):
                yield Finding(
                    counter="kill_violations",
                    at_ms=order.first_ms,
                    account_id=owned.account_id,
                    text="an opening order was armed"
                    f" {((intent.sent_ms or 0) - switch.since_ms) / 1000:.1f} s after the kill"
                    " switch was written",
                    orders=(order.name,),
                )
                break
            since = switch.since_ms + late
            if since < order.first_ms < switch.until_ms and switch.covers(case, order, bot):
                yield Finding(
                    counter="kill_violations",
                    at_ms=order.first_ms,
                    account_id=owned.account_id,
                    text=f"{order.venue} accepted an opening order"
                    f" {(order.first_ms - switch.since_ms) / 1000:.1f} s after the kill switch"
                    " was written",
                    orders=(order.name,),
                )
                break


def _armed_under(case: Case, switch: Kill, intent: StoredOrder, order: VenueOrder) -> bool:
    """Say whether an order was let go when a switch was written already, as its own time tells."""
    return (
        intent.sent_ms is not None
        and intent.epoch > 0  # else the database lost when it was sent
        and switch.since_ms + case.tolerance_ms < intent.sent_ms < switch.until_ms
        and switch.covers(case, order, intent.bot_id)
    )


def fences(case: Case) -> Iterable[Finding]:
    overtaken = _overtakings(case)
    for intent in case.evidence.database.orders:
        for order in case.accepted_of(intent):
            yield from _fence(case, intent, order, overtaken.get(intent.user_id, ([], [])))


def _overtakings(case: Case) -> dict[str, tuple[list[int], list[int]]]:
    """Return by user the epochs, rising, and when each was taken."""
    leases: defaultdict[str, dict[int, int]] = defaultdict(dict)
    for each in case.happened("lease"):
        epoch = int(str(each.fields["epoch"]))
        leases[str(each.fields["user_id"])].setdefault(epoch, each.at_ms)
    return {
        user: (sorted(taken), [taken[epoch] for epoch in sorted(taken)])
        for user, taken in leases.items()
    }


def _fence(
    case: Case, intent: StoredOrder, order: VenueOrder, leases: tuple[list[int], list[int]]
) -> Iterable[Finding]:
    epochs, times = leases
    patience, tolerance = case.patience(intent.account_id), case.tolerance_ms
    at_ms = order.first_ms
    if intent.sent_ms is None or not intent.epoch:
        return  # the database lost that it was sent: nothing says under which epoch it was
    after = bisect_right(epochs, intent.epoch)
    if after < len(epochs) and at_ms > times[after] + patience.late_ms + tolerance:
        yield Finding(
            counter="fence_violations",
            at_ms=at_ms,
            account_id=intent.account_id,
            text=f"{order.venue} accepted an order of epoch {intent.epoch}"
            f" {(at_ms - times[after]) / 1000:.1f} s after epoch {epochs[after]} was taken",
            orders=(intent.id,),
        )
        return
    sent_ms, deadline_ms = intent.sent_ms, intent.deadline_ms
    if deadline_ms is None:
        return
    last_ms = max(deadline_ms, sent_ms + patience.late_ms)
    if at_ms > last_ms + tolerance:
        yield Finding(
            counter="fence_violations",
            at_ms=at_ms,
            account_id=intent.account_id,
            text=f"{order.venue} accepted an order {(at_ms - last_ms) / 1000:.1f} s after the"
            " last moment it could be accepted",
            orders=(intent.id,),
        )


def unprotected_of(case: Case) -> list[tuple[float, Happened]]:
    """Return the times a position was without a stop, the shortest first."""
    found = [(float(str(e.fields["seconds"])), e) for e in case.happened("unprotected")]
    return sorted(found, key=lambda each: each[0])


def protection(case: Case) -> Iterable[Finding]:
    """Find positions without a stop, as far as the 99th percentile of all is beyond the goal."""
    seconds = [each for each, _ in unprotected_of(case)]
    if excess(seconds, positions_of(case)) <= 0:
        return
    seconds_99 = percentile(padded(seconds, positions_of(case)), 99)
    for waited, each in unprotected_of(case):
        if waited >= seconds_99:
            yield Finding(
                counter="unprotected_seconds",
                at_ms=each.at_ms,
                account_id=_word(each, "account_id"),
                text=f"a position of {_word(each, 'symbol')} was without a stop for {waited:.1f} s",
                amount=max(1, round(waited - PROTECTED_WITHIN_S)),
            )
            return


def positions_of(case: Case) -> int:
    """Return how many positions there were: entries that traded."""
    return sum(1 for order in case.accepted if order.side == "buy" and order.trades)


def padded(seconds: list[float], positions: int) -> list[float]:
    """Return the times of all positions: those never without a stop count as zero."""
    return sorted([0.0] * max(0, positions - len(seconds)) + list(seconds))


def percentile(values: list[float], percent: int) -> float:
    """Return the value below which so many percent of the values lie; they are sorted.

    Of a few values the largest is beyond the 99th percentile: one in a hundred may be.
    """
    if not values:
        return 0.0
    return values[(len(values) - 1) * percent // 100]


def excess(seconds: list[float], positions: int) -> float:
    """Return by how many seconds the 99th percentile is beyond what was promised."""
    return max(0.0, percentile(padded(seconds, positions), 99) - PROTECTED_WITHIN_S)


def _made_late(case: Case) -> dict[str, list[int]]:
    """Return by account when a network before the venue held calls back, or brought them twice.

    A venue's own journal says nothing of such a network: that names the host it stands before.
    """
    found: defaultdict[str, list[int]] = defaultdict(list)
    for each in case.happened("fault"):
        if _word(each, "host") and _word(each, "fault").startswith(MADE_LATE):
            found[_word(each, "account_id")].append(each.at_ms)
    return found


def _shortly_after(at_ms: int, times: Sequence[int], within_ms: int) -> bool:
    """Say whether one of some sorted times is so shortly before."""
    place = bisect_right(times, at_ms)
    return place > 0 and at_ms - times[place - 1] <= within_ms


def venue_limits(case: Case) -> Iterable[Finding]:
    """Find calls that a venue itself refused for their nonce or their number.

    Not those whose nonce was good when it was drawn: the network or their host's standing still
    made them late, or the network brought them twice.
    """
    thawed = [each.at_ms for each in case.happened("thawed")]
    delayed = _made_late(case)
    for venue, journal in case.journals.items():
        for call in journal.calls:
            refusal = call.code.lower()
            owned = case.places.get((venue, call.account))
            account = owned.account_id if owned is not None else call.account
            if "nonce" in refusal:
                woken = _shortly_after(call.at_ms, thawed, WOKEN_MS)
                late = _shortly_after(call.at_ms, delayed.get(account, ()), LATE_MS)
                if woken or late or call.fault.startswith(MADE_LATE):
                    continue
                counter, text = "nonce_errors", f"{venue} refused a nonce: {call.code}"
            elif call.status in LIMITS or "rate limit" in refusal:
                counter = "bans"
                text = f"{venue} answered {call.status} {call.code}".rstrip()
            else:
                continue
            names = (call.client_id,) if call.client_id else ()
            yield Finding(
                counter=counter, at_ms=call.at_ms, account_id=account, text=text, orders=names
            )
