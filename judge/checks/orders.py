"""Each order here against the same order there."""

from collections import defaultdict
from collections.abc import Iterable

from judge.case import FINAL, Case, units_of
from judge.checks.exposure import shown
from judge.evidence import StoredOrder
from judge.finding import Finding
from judge.journals import VenueOrder

HAD_BY_VENUE = frozenset({"open", "closing", "done"})


def broken_journals(case: Case) -> Iterable[Finding]:
    for venue, journal in case.journals.items():
        if journal.broken:
            yield Finding(
                counter="broken_journals",
                at_ms=0,
                account_id="",
                text=f"the journal of {venue} is broken: {journal.broken}",
            )
    for venue in sorted({owned.venue for owned in case.evidence.owned} - set(case.journals)):
        yield Finding(
            counter="broken_journals", at_ms=0, account_id="", text=f"{venue} left no journal"
        )


def duplicate_cid(case: Case) -> Iterable[Finding]:
    named: defaultdict[tuple[str, str, str], list[VenueOrder]] = defaultdict(list)
    for order in case.accepted:
        if order.client_id:
            named[order.venue, order.account, order.client_id].append(order)
    for orders in named.values():
        for number, order in enumerate(orders[1:], start=2):
            yield _about(
                case,
                order,
                "duplicate_cid",
                f"{order.venue} accepted this client id for the {_th(number)} time:"
                f" orders {', '.join(str(each.id) for each in orders[:number])}",
            )


def double_decision(case: Case) -> Iterable[Finding]:
    slots: defaultdict[tuple[str, int], list[StoredOrder]] = defaultdict(list)
    for intent in case.evidence.database.orders:
        if case.accepted_of(intent):
            slots[intent.bot_id, intent.seq].append(intent)
    for (bot, seq), intents in slots.items():
        for intent in intents[1:]:
            yield Finding(
                counter="double_decision",
                at_ms=case.accepted_of(intent)[0].first_ms,
                account_id=intent.account_id,
                text=f"decision {seq} of {bot} has {len(intents)} accepted orders",
                orders=tuple(each.id for each in intents),
            )


def orphan_orders(case: Case) -> Iterable[Finding]:
    for order in case.accepted:
        if case.intent(order) is None:
            yield _about(
                case,
                order,
                "orphan_orders",
                f"{order.venue} accepted a {order.side} of {shown(order.quantity)} {order.symbol}"
                f" (order {order.id}) that the database does not know",
            )


def altered_orders(case: Case) -> Iterable[Finding]:
    for intent in case.evidence.database.orders:
        decided = (intent.symbol, intent.side, units_of(intent.quantity))
        for order in case.accepted_of(intent):
            if decided != (order.symbol, order.side, order.changes[0].quantity):
                yield _about(
                    case,
                    order,
                    "altered_orders",
                    f"{order.venue} accepted a {order.side} of"
                    f" {shown(order.changes[0].quantity)} {order.symbol}, and what was decided is"
                    f" a {intent.side} of {intent.quantity} {intent.symbol}",
                )


def phantom_orders(case: Case) -> Iterable[Finding]:
    for intent in case.evidence.database.orders:
        if intent.account_id not in case.owners or case.there(intent):
            continue
        if intent.state in HAD_BY_VENUE:
            yield _of(
                intent,
                "phantom_orders",
                f"the database says this order is {intent.state}, and"
                f" {case.venue_of(intent.account_id)} never had it",
                case.ended_ms,
            )


def assumed_final(case: Case) -> Iterable[Finding]:
    for intent in case.evidence.database.orders:
        if intent.state not in FINAL:
            continue
        for order in case.accepted_of(intent):
            if order.is_live:
                what = "it is live"
            elif order.filled and intent.state != "done":
                what = f"it traded {shown(order.filled)}"
            else:
                continue
            yield _of(
                intent,
                "assumed_final",
                f"the database says this order is {intent.state};"
                f" at {order.venue} {what} (order {order.id})",
                case.ended_ms,
            )


def closing_mismatch(case: Case) -> Iterable[Finding]:
    for intent in case.evidence.database.orders:
        if intent.state != "done" or not case.there(intent):
            continue
        there = sum(order.filled for order in case.there(intent))
        here = units_of(intent.filled)
        booked = sum(units_of(fill.quantity) for fill in case.fills[intent.id])
        if here != there or booked != there:
            yield _of(
                intent,
                "closing_mismatch",
                f"done with {shown(here)} ({shown(booked)} booked), and"
                f" {case.venue_of(intent.account_id)} traded {shown(there)}",
                case.ended_ms,
            )


def stuck_intents(case: Case) -> Iterable[Finding]:
    quiet_ms = case.ended_ms - case.last_trouble_ms
    for intent in case.evidence.database.orders:
        patience = case.patience(intent.account_id).stuck_ms
        if intent.account_id not in case.owners or intent.state in FINAL or quiet_ms < patience:
            continue
        if case.ended_ms - (intent.sent_ms or intent.decided_ms) < patience:
            continue
        if intent.state == "open" and any(order.is_live for order in case.there(intent)):
            continue  # it waits at the venue, as it should
        yield _of(
            intent,
            "stuck_intents",
            f"still {intent.state} {quiet_ms // 1000} s after the last fault",
            case.ended_ms,
        )


def _about(case: Case, order: VenueOrder, counter: str, text: str) -> Finding:
    owned = case.owned(order)
    return Finding(
        counter=counter,
        at_ms=order.first_ms,
        account_id=owned.account_id if owned is not None else order.account,
        text=text,
        orders=(order.name,),
    )


def _of(intent: StoredOrder, counter: str, text: str, at_ms: int) -> Finding:
    return Finding(
        counter=counter, at_ms=at_ms, account_id=intent.account_id, text=text, orders=(intent.id,)
    )


def _th(number: int) -> str:
    return {2: "second", 3: "third"}.get(number, f"{number}th")
