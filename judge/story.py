"""Tells what happened to one order in at most fifty lines that a tired person understands."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from judge.case import FINAL, Case, units_of
from judge.checks.exposure import shown
from judge.evidence import Evidence, Happened, StoredOrder
from judge.finding import Finding
from judge.journals import Call, Movement, OrderChange, VenueOrder, VenueTrade
from judge.verdict import Verdict

LINES = 50
NEAR_MS = 130_000  # what happened to the account so long before and after belongs to the story
ABOUT_A_HOST = frozenset({"crash", "frozen", "thawed"})
FINDINGS_TOLD = 8
OWN, AROUND, OTHERS = 0, 1, 2  # what is left out last, and first

VENUE_WORDS = {
    "new": "accepts",
    "amended": "changes",
    "triggered": "triggers",
    "canceled": "cancels",
    "expired": "ends",
    "rejected": "refuses, after it had said yes,",
}
CALL_WORDS = {
    "create": "the request to place {it}",
    "cancel": "the request to cancel {it}",
    "order": "a question after {it}",
    "fills": "a question after the trades of {it}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One line of a story; times: how often the same happened, until last_ms."""

    at_ms: int
    rank: int
    who: str
    text: str
    times: int = 1
    last_ms: int = 0


def story(
    evidence: Evidence, verdict: Verdict, *, finding: Finding | None = None, lines: int = LINES
) -> list[str]:
    """Return the story of a finding: the given one, else the first, else of the busiest order."""
    case = Case.of(evidence)
    about = finding or next(iter(verdict.findings), None)
    account, names = _subject(case, about)
    ending = _ending(case, verdict, account, names)
    head = _heading(case, account, names)
    moments = sorted(_moments(case, account, names), key=lambda each: each.at_ms)
    kept, left_out = _fitted(_collapsed(moments), max(1, lines - len(head) - len(ending) - 1))
    begin = min((each.at_ms for each in evidence.diary), default=0)
    begin = min([begin, *(m.at_ms for m in kept)]) if kept else begin
    told = [_line(each, begin) for each in kept]
    if left_out:
        told.append(f"             … {left_out} more lines about other things are left out")
    return [*head, *told, *ending][:lines]


# ------------------------------------------------------------- whose story


def _subject(case: Case, finding: Finding | None) -> tuple[str, tuple[str, ...]]:
    if finding is not None and (finding.account_id or finding.orders):
        orders = finding.orders or _busiest_of(case, finding.account_id)
        return finding.account_id or _account_of(case, orders), orders
    return _busiest(case)


def _account_of(case: Case, names: Sequence[str]) -> str:
    intent = next((case.stored[name] for name in names if name in case.stored), None)
    return intent.account_id if intent is not None else ""


def _busiest(case: Case) -> tuple[str, tuple[str, ...]]:
    """Return the account with most crashes and faults, and the order most was asked about."""
    trouble = Counter(
        str(each.fields["account_id"])
        for each in case.happened("fault", "crash")
        if each.fields.get("account_id") in case.owners
    )
    accounts = [name for name, _ in trouble.most_common(1)] or list(case.owners)[:1]
    account = accounts[0] if accounts else ""
    return account, _busiest_of(case, account)


def _busiest_of(case: Case, account: str) -> tuple[str, ...]:
    asked: Counter[str] = Counter()
    for call in _calls(case, account):
        if call.client_id:
            asked[call.client_id] += 2 if call.fault else 1
    return tuple(name for name, _ in asked.most_common(1))


def _calls(case: Case, account: str) -> Iterator[Call]:
    owned = case.owners.get(account)
    journal = case.journals.get(owned.venue) if owned is not None else None
    for call in journal.calls if journal is not None else ():
        if owned is not None and call.account == owned.venue_account:
            yield call


# ---------------------------------------------------------------- moments


def _moments(case: Case, account: str, names: Sequence[str]) -> Iterator[Moment]:
    own = [*_of_database(case, account, names), *_of_venue(case, account, names)]
    times = [each.at_ms for each in own if each.rank == OWN]
    begin = min(times, default=0) - NEAR_MS
    end = max(times, default=case.ended_ms) + NEAR_MS
    yield from (each for each in own if begin <= each.at_ms <= end)
    holders = _holders(case, account)
    for each in case.evidence.diary:
        if begin <= each.at_ms <= end:
            yield from _of_diary(case, each, account, names, holders)


def _holders(case: Case, account: str) -> list[tuple[int, str]]:
    """Return who took the account's user when."""
    owned = case.owners.get(account)
    return [
        (each.at_ms, str(each.fields.get("host")))
        for each in case.happened("lease")
        if owned is not None and each.fields.get("user_id") == owned.user_id
    ]


def _of_database(case: Case, account: str, names: Sequence[str]) -> Iterator[Moment]:
    for intent in case.evidence.database.orders:
        if intent.account_id != account and intent.id not in names:
            continue
        rank = OWN if intent.id in names else OTHERS
        it = _label(case, intent.id)
        yield Moment(
            at_ms=intent.decided_ms,
            rank=rank,
            who=intent.bot_id,
            text=f"decides to {intent.side} {shown(units_of(intent.quantity))} {intent.symbol}"
            f" ({intent.purpose}): {it}",
        )
        if intent.sent_ms is not None:
            yield Moment(
                at_ms=intent.sent_ms,
                rank=rank,
                who="host",
                text=f"writes down that {it} is being sent (epoch {intent.epoch}{_until(intent)})",
            )


def _until(intent: StoredOrder) -> str:
    if intent.deadline_ms is None or intent.sent_ms is None:
        return ""
    return f", good for {(intent.deadline_ms - intent.sent_ms) / 1000:g} s"


def _of_venue(case: Case, account: str, names: Sequence[str]) -> Iterator[Moment]:
    owned = case.owners.get(account)
    journal = case.journals.get(owned.venue) if owned is not None else None
    if journal is None or owned is None:
        return
    for step in journal.steps:
        if isinstance(step, Call | Movement | VenueTrade) and step.account != owned.venue_account:
            continue
        match step:
            case Call():
                yield from _of_call(case, step, names, journal.venue)
            case Movement():
                way = "comes in" if step.change > 0 else "goes out"
                text = f"{shown(abs(step.change))} {step.asset} {way}"
                yield Moment(at_ms=step.at_ms, rank=AROUND, who=journal.venue, text=text)
            case OrderChange() | VenueTrade():
                order = journal.orders.get(step.order_id)
                if order is not None and order.account == owned.venue_account:
                    yield _of_step(case, order, step, names)


def _of_call(case: Case, call: Call, names: Sequence[str], venue: str) -> Iterator[Moment]:
    about_it = call.client_id in names
    if not about_it and not (call.fault and call.action in ("create", "cancel")):
        return
    words = CALL_WORDS.get(call.action, "a call ({it})")
    what = words.format(it=_label(case, call.client_id))
    if not call.status:
        answer = "it never arrives"
    else:
        answer = f"{venue} answers {call.status}{' ' + call.code if call.code else ''}"
    fault = f" [{call.fault}]" if call.fault else ""
    yield Moment(
        at_ms=call.arrived_ms or call.at_ms,
        rank=OWN if about_it else OTHERS,
        who="network",
        text=f"{what}{fault}: {answer}",
    )


def _of_step(
    case: Case, order: VenueOrder, step: OrderChange | VenueTrade, names: Sequence[str]
) -> Moment:
    it = _label(case, order.client_id) if order.client_id else "the owner's order"
    if order.client_id == "" and not case.is_by_hand(order):
        it = "an order without a name"
    if isinstance(step, VenueTrade):
        text = (
            f"{it} {'buys' if step.side == 'buy' else 'sells'} {shown(step.quantity)} at"
            f" {shown(step.price)} (trade {step.id}, fee {shown(step.fee)} {step.fee_asset})"
        )
    else:
        text = f"{VENUE_WORDS.get(step.what, step.what)} {it} (order {order.id}, {order.side}"
        text += f" {shown(step.quantity)} {order.symbol})"
    rank = OWN if order.name in names else OTHERS
    return Moment(at_ms=step.at_ms, rank=rank, who=order.venue, text=text)


def _of_diary(
    case: Case,
    each: Happened,
    account: str,
    names: Sequence[str],
    holders: Sequence[tuple[int, str]],
) -> Iterator[Moment]:
    fields, owned = each.fields, case.owners.get(account)
    user = owned.user_id if owned is not None else ""
    elsewhere = fields.get("account_id", "") not in ("", account)
    if elsewhere and each.kind not in ABOUT_A_HOST:
        return
    if fields.get("user_id", user) not in ("", user):
        return
    text = _diary_words(case, each)
    if text:
        who = str(fields.get("host") or ("network" if each.kind == "fault" else "world"))
        rank = OWN if fields.get("order") in names else AROUND
        if each.kind in ABOUT_A_HOST and who not in _latest(holders, each.at_ms):
            rank = OTHERS
        yield Moment(at_ms=each.at_ms, rank=rank, who=who, text=text)


def _latest(holders: Sequence[tuple[int, str]], at_ms: int) -> set[str]:
    """Return who holds the user then, and who did before and may not know that it is over."""
    return {host for taken_ms, host in [h for h in holders if h[0] <= at_ms][-2:]}


def _seconds(fields: Mapping[str, object]) -> str:
    return f"{float(str(fields.get('seconds', 0))):.1f}"


def _diary_words(case: Case, each: Happened) -> str:
    fields = each.fields
    match each.kind:
        case "fault":
            return f"{fields.get('fault')} strikes ({fields.get('action', 'a call')})"
        case "crash":
            after = f", after {fields['fault']}" if fields.get("fault") else ""
            return f"DIES at {fields.get('point')}{after}"
        case "frozen":
            return f"stands still for {_seconds(fields)} s"
        case "thawed":
            return "goes on, and knows nothing of the time that passed"
        case "lease":
            return f"takes the user under epoch {fields.get('epoch')}"
        case "recovered":
            return "has taken everything up again"
        case "kill":
            return f"KILL SWITCH written ({fields.get('scope')} {fields.get('mode', '')})".rstrip()
        case "released":
            return "kill switch released"
        case "manual":
            return f"the owner places order {fields.get('order')} by hand"
        case "unprotected":
            return f"{fields.get('symbol')} was without a stop for {_seconds(fields)} s"
        case "unknown":
            it = _label(case, str(fields.get("order")))
            return f"{it} was in doubt for {_seconds(fields)} s"
        case "quiet":
            return "faults stop for good"
        case "ended":
            return "nothing is expected to change any more"
        case "note":
            return str(fields.get("text", ""))
        case _:
            return ""


# ---------------------------------------------------------------- the page


def _heading(case: Case, account: str, names: Sequence[str]) -> list[str]:
    owned = case.owners.get(account)
    where = f" at {owned.venue}, of {owned.user_id}" if owned is not None else ""
    orders = ", ".join(f"{_label(case, name)} is {name}" for name in names[:2]) or "no order"
    return [f"Account {account}{where}: {orders}"]


def _ending(case: Case, verdict: Verdict, account: str, names: Sequence[str]) -> list[str]:
    lines = []
    for name in names[:2]:
        intent = case.stored.get(name)
        if intent is not None:
            end = "over" if intent.state in FINAL else "not over"
            there = [f"order {o.id} filled {shown(o.filled)}" for o in case.there(intent)]
            lines.append(
                f"In the end   database: {_label(case, name)} is {intent.state} ({end}), filled"
                f" {shown(units_of(intent.filled))}; venue: {'; '.join(there) or 'never had it'}"
            )
    found = [f for f in verdict.findings if f.account_id == account or set(f.orders) & set(names)]
    for each in found[:FINDINGS_TOLD]:
        lines.append(f"VERDICT      {each.counter}: {each.text}")
    if len(found) > FINDINGS_TOLD:
        lines.append(f"VERDICT      … and {len(found) - FINDINGS_TOLD} more in this account")
    return lines if found else [*lines, "VERDICT      nothing is wrong"]


def _collapsed(moments: Iterable[Moment]) -> list[Moment]:
    """Put what happened again and again into one line."""
    told: list[Moment] = []
    for each in moments:
        same = next(
            (
                n
                for n in range(len(told) - 1, max(-1, len(told) - 4), -1)
                if (told[n].who, told[n].text, told[n].rank) == (each.who, each.text, each.rank)
            ),
            None,
        )
        if same is None:
            told.append(each)
        else:
            before = told[same]
            told[same] = replace(before, times=before.times + 1, last_ms=each.at_ms)
    return told


def _fitted(moments: Sequence[Moment], room: int) -> tuple[list[Moment], int]:
    """Leave out what matters least: first what is far from anything about the order itself."""
    if len(moments) <= room:
        return list(moments), 0
    own = sorted(each.at_ms for each in moments if each.rank == OWN)

    def matters(number: int) -> tuple[int, int, int]:
        moment = moments[number]
        return moment.rank, 0 if moment.rank == OWN else _distance(own, moment.at_ms), number

    kept = sorted(range(len(moments)), key=matters)[:room]
    return [moments[n] for n in sorted(kept)], len(moments) - room


def _distance(times: Sequence[int], at_ms: int) -> int:
    """Return how far off the nearest of some sorted times is; what follows them counts less."""
    place = bisect_left(times, at_ms)
    after = [times[place] - at_ms] if place < len(times) else []
    before = [3 * (at_ms - times[place - 1])] if place else []
    return min([*after, *before], default=0)


def _line(moment: Moment, begin_ms: int) -> str:
    again = f" ({moment.times} times, until {_clock(moment.last_ms - begin_ms)})"
    text = moment.text + (again if moment.times > 1 else "")
    return f"{_clock(moment.at_ms - begin_ms):>12} {moment.who[:14]:<14} {text}"


def _clock(passed_ms: int) -> str:
    minutes, rest = divmod(passed_ms, 60_000)
    return f"{minutes}:{rest / 1000:06.3f}"


def _label(case: Case, name: str) -> str:
    """Return what an order is called in a story: by its decision, where that is known."""
    intent = case.stored.get(name)
    if intent is None:
        return f"order {name[:8]}" if name else "an order"
    owned = case.owners.get(intent.account_id)
    alone = owned is not None and len(owned.contracts) == 1
    return f"order #{intent.seq}" + ("" if alone else f" of {intent.bot_id}")
