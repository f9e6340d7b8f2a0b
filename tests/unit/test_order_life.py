"""An order changes state only as venues and crashes really make it, and never trades too much."""

from datetime import timedelta
from decimal import Decimal
from itertools import product
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.makers import after_start, fill, order
from tradefleet.domain.errors import BrokenInvariant
from tradefleet.domain.order import (
    FINAL_STATES,
    Acknowledged,
    Armed,
    CancelLost,
    CancelSent,
    CancelState,
    ClosedByVenue,
    Fill,
    NotFound,
    OrderEvent,
    OrderState,
    OutcomeLost,
    ProvenAbsent,
    Quarantined,
    Rejected,
    Voided,
)
from tradefleet.engine.order_life import TABLE, after, look_up_due, resolve

S = OrderState
SENT, DEADLINE = after_start(seconds=1), after_start(seconds=6)

ARMED = Armed("o1", 7, SENT, DEADLINE)
ACK = Acknowledged("o1", "v1")
REJECTED = Rejected("o1", "no funds")
LOST = OutcomeLost("o1", "timeout")
MISSING = NotFound("o1", after_start(seconds=9))
PROVEN = ProvenAbsent("o1")
QUARANTINED = Quarantined("o1")
VOIDED = Voided("o1", "stale")
CANCEL, CANCEL_LOST = CancelSent("o1"), CancelLost("o1")


def closed(filled: int) -> ClosedByVenue:
    return ClosedByVenue("o1", Decimal(filled))


def lived(*events: OrderEvent, quantity: int = 3):
    """Return an order of three after these events."""
    now = order(quantity)
    for event in events:
        now = after(now, event)
    return now


# How each state is reached.
PATHS = {
    S.CREATED: (),
    S.SENDING: (ARMED,),
    S.OPEN: (ARMED, ACK),
    S.CLOSING: (ARMED, ACK, fill(1), closed(2)),
    S.DONE: (ARMED, ACK, fill(1), closed(1)),
    S.REJECTED: (ARMED, REJECTED),
    S.VOID: (VOIDED,),
    S.UNKNOWN: (ARMED, LOST),
    S.ABSENT: (ARMED, LOST, PROVEN),
    S.QUARANTINED: (ARMED, LOST, QUARANTINED),
}

SAME, BROKEN = "same", "broken"
EVENTS = {
    "armed": ARMED,
    "ack": ACK,
    "rejected": REJECTED,
    "lost": LOST,
    "missing": MISSING,
    "proven": PROVEN,
    "quarantined": QUARANTINED,
    "voided": VOIDED,
    "cancel": CANCEL,
    "cancel_lost": CANCEL_LOST,
    "closed": closed(2),
    "fill": fill(1, id="f2"),
}
# What follows for an order of 3 (in CLOSING 1 of 2 is booked, in DONE 1 of 1).
EXPECTED = """
             created  sending  open     closing  done    rejected unknown     absent   quarantined void
armed        sending  broken   broken   broken   broken  broken   broken      broken   broken      broken
ack          open     open     same     same     same    open     open        open     open        open
rejected     broken   rejected broken   broken   broken  same     rejected    rejected rejected    broken
lost         broken   unknown  same     same     same    same     same        same     same        broken
missing      broken   sending  open     closing  same    same     unknown     same     quarantined same
proven       broken   broken   same     same     same    same     absent      same     absent      broken
quarantined  broken   broken   same     same     same    same     quarantined same     same        broken
voided       void     broken   broken   broken   broken  broken   broken      broken   broken      same
cancel       broken   sending  open     closing  same    same     unknown     same     quarantined broken
cancel_lost  broken   sending  open     closing  same    same     unknown     same     quarantined broken
closed       closing  closing  closing  same     broken  closing  closing     closing  closing     closing
fill         open     open     open     done     broken  open     open        open     open        open
"""  # noqa: E501


def every_pair():
    head, *rows = EXPECTED.strip("\n").split("\n")
    for row in rows:
        name, *outcomes = row.split()
        for state, outcome in zip(head.split(), outcomes, strict=True):
            yield pytest.param(S(state), EVENTS[name], outcome, id=f"{state}-{name}")


def test_every_pair_of_state_and_event_is_judged():
    kinds = {type(event) for event in EVENTS.values()}

    assert kinds == set(get_args(OrderEvent))
    assert {(p.values[0], type(p.values[1])) for p in every_pair()} == set(product(S, kinds))
    assert all(lived(*path).state is state for state, path in PATHS.items())


@pytest.mark.parametrize(("state", "event", "outcome"), [*every_pair()])
def test_what_follows(state, event, outcome):
    now = lived(*PATHS[state])
    if outcome == BROKEN:
        with pytest.raises(BrokenInvariant):
            after(now, event)
    elif outcome == SAME:
        assert after(now, event) is now
    else:
        assert after(now, event).state is S(outcome)


# ---- the ordinary life


def test_an_order_remembers_how_it_was_sent():
    now = lived(ARMED)

    assert (now.epoch, now.sent_at, now.deadline) == (7, SENT, DEADLINE)


def test_an_order_fills_in_parts_and_is_done_with_the_last():
    now = lived(ARMED, ACK, fill(1), fill(1, id="f2"))
    assert (now.state, now.filled, now.venue_order_id) == (S.OPEN, 2, "v1")

    now = after(now, fill(1, id="f3"))
    assert (now.state, now.filled) == (S.DONE, 3)
    assert after(now, closed(3)).venue_filled == 3


def test_a_fill_may_overtake_the_acknowledgement():
    now = lived(ARMED, fill(3), ACK, closed(3))

    assert (now.state, now.filled, now.venue_order_id) == (S.DONE, 3, "v1")


def test_an_order_closed_at_the_venue_waits_for_its_fills():
    now = lived(ARMED, ACK, closed(2), fill(1))
    assert now.state is S.CLOSING

    assert after(now, fill(1, id="f2")).state is S.DONE


def test_an_order_closed_untouched_is_done():
    assert lived(ARMED, ACK, closed(0)).state is S.DONE


def test_a_venue_may_find_more_of_its_own_fills():
    now = lived(ARMED, ACK, closed(1), closed(2), fill(2))

    assert (now.state, now.venue_filled) == (S.DONE, 2)


# ---- doubt


def test_look_ups_that_find_nothing_are_counted_until_it_is_found():
    now = lived(ARMED, LOST, MISSING, MISSING)
    assert (now.negatives, now.note) == (2, "timeout")

    assert after(now, ACK).negatives == 0
    assert after(now, fill(1)).negatives == 0
    assert after(now, closed(1)).negatives == 0


def test_a_proof_of_refusal_may_come_late():
    assert lived(ARMED, LOST, REJECTED).note == "no funds"


@pytest.mark.parametrize("state", [S.CREATED, S.REJECTED, S.VOID, S.ABSENT])
@pytest.mark.parametrize("event", [ACK, fill(1), closed(1)], ids=lambda e: type(e).__name__)
def test_an_order_that_turns_up_is_adopted_and_says_so(state, event):
    now = after(lived(*PATHS[state]), event)

    assert now.is_working
    assert now.note.startswith(f"found at the venue when {state}: ")


def test_a_refused_order_in_the_venues_list_is_still_refused():
    refused = lived(ARMED, REJECTED)

    assert after(refused, closed(0)) is refused


# ---- cancelling


def test_a_cancel_changes_no_state_only_the_venues_word_does():
    now = lived(ARMED, ACK, CANCEL)
    assert (now.state, now.cancel) == (S.OPEN, CancelState.CANCELING)

    now = after(now, CANCEL_LOST)
    assert (now.state, now.cancel) == (S.OPEN, CancelState.UNKNOWN)

    assert after(now, CANCEL_LOST) is now

    assert lived(ARMED, ACK, CANCEL, fill(3)).state is S.DONE


# ---- what cannot be


@pytest.mark.parametrize(
    "events",
    [
        (ARMED, ACK, fill(4)),
        (ARMED, ACK, fill(3), fill(1, id="f2")),
        (ARMED, ACK, closed(1), fill(2)),
        (ARMED, ACK, closed(4)),
        (ARMED, ACK, fill(2), closed(1)),
        (ARMED, ACK, closed(2), closed(1)),
        (ARMED, ACK, fill(3), closed(2)),
        (ARMED, ACK, Acknowledged("o1", "v2")),
        (Acknowledged("o2", "v1"),),
    ],
)
def test_impossible_news_is_our_own_bug(events):
    with pytest.raises(BrokenInvariant):
        lived(*events)


amounts = st.integers(1, 3)
events = st.lists(
    st.one_of(
        st.sampled_from([e for e in EVENTS.values() if not isinstance(e, Fill | ClosedByVenue)]),
        amounts.map(fill),
        st.integers(0, 3).map(closed),
    ),
    max_size=12,
)


@settings(deadline=None)
@given(events)
def test_whatever_happens_an_order_keeps_what_it_promises(happened):
    now = order(3)
    armed = booked = 0
    for event in happened:
        try:
            now = after(now, event)
        except BrokenInvariant:
            continue
        armed += isinstance(event, Armed)
        booked += event.quantity if isinstance(event, Fill) else 0
        assert armed <= 1
        assert now.filled == booked <= now.quantity
        assert now.is_final == (now.state in FINAL_STATES)
        assert now.open_quantity == (0 if now.is_final else 3 - booked)
        if now.state is S.DONE:
            assert now.filled in (now.venue_filled, now.quantity)
        if now.filled:
            assert now.state in (S.OPEN, S.CLOSING, S.DONE)


def test_the_table_names_only_states_and_events_there_are():
    assert all(state in S and event in get_args(OrderEvent) for state, event in TABLE)


# ---- giving up


GRACE = timedelta(seconds=15)
LAST_CHANCE = DEADLINE + GRACE
SECOND = timedelta(seconds=1)


def unknown(negatives: int = 3, **changes):
    return order(state=S.UNKNOWN, sent_at=SENT, deadline=DEADLINE, negatives=negatives, **changes)


def test_absence_is_proven_after_deadline_grace_and_three_clean_look_ups():
    assert resolve(unknown(3), LAST_CHANCE, grace=GRACE) is None
    assert resolve(unknown(2), LAST_CHANCE + SECOND, grace=GRACE) is None
    assert resolve(unknown(3), LAST_CHANCE + SECOND, grace=GRACE) == PROVEN
    assert resolve(unknown(3), LAST_CHANCE + SECOND, grace=GRACE, negatives_needed=4) is None


def test_a_venue_without_deadline_is_given_the_grace_from_sending():
    sent = order(state=S.UNKNOWN, sent_at=SENT, negatives=3)

    assert resolve(sent, SENT + GRACE, grace=GRACE) is None
    assert resolve(sent, SENT + GRACE + SECOND, grace=GRACE) == PROVEN


def test_no_evidence_for_too_long_needs_a_human():
    ten = timedelta(minutes=10)

    assert resolve(unknown(2), SENT + ten - SECOND, grace=GRACE) is None
    assert resolve(unknown(2), SENT + ten, grace=GRACE) == QUARANTINED
    assert resolve(unknown(2), SENT + SECOND, grace=GRACE, quarantine_after=SECOND) == QUARANTINED


@pytest.mark.parametrize("state", [state for state in S if state is not S.UNKNOWN])
def test_only_an_unknown_order_is_judged(state):
    sent = order(state=state, sent_at=SENT, negatives=9)

    assert resolve(sent, SENT + timedelta(days=1), grace=GRACE) is None


# ---- looking up


VISIBLE = timedelta(seconds=2)


def test_look_ups_begin_when_the_order_is_visible_and_grow_rarer():
    assert look_up_due(unknown(0), SENT, VISIBLE) == SENT + VISIBLE

    at = SENT + timedelta(seconds=10)
    pauses = [look_up_due(unknown(n), at, VISIBLE) - at for n in (0, 1, 2, 3, 4, 99)]
    assert [pause.total_seconds() for pause in pauses] == [1, 2, 4, 8, 8, 8]


def test_a_quarantined_order_is_looked_up_every_minute():
    lost = order(state=S.QUARANTINED, sent_at=SENT, negatives=50)

    assert look_up_due(lost, SENT, VISIBLE) == SENT + timedelta(minutes=1)


@pytest.mark.parametrize(
    ("changes", "due"),
    [
        ({"state": S.CREATED}, False),
        ({"state": S.SENDING, "sent_at": SENT}, True),
        ({"state": S.OPEN, "sent_at": SENT}, False),
        ({"state": S.OPEN, "sent_at": SENT, "cancel": CancelState.UNKNOWN}, True),
        ({"state": S.CLOSING, "sent_at": SENT}, True),
        ({"state": S.DONE, "sent_at": SENT, "cancel": CancelState.CANCELING}, False),
        ({"state": S.ABSENT, "sent_at": SENT}, False),
    ],
)
def test_only_what_is_in_doubt_is_looked_up(changes, due):
    assert (look_up_due(order(**changes), SENT, VISIBLE) is not None) == due


def test_an_order_whose_sending_was_lost_is_asked_back_again_and_again():
    found = after(order(3), Acknowledged("o1", "V1"))
    assert found.sent_at == found.decided_at
    taken_back, now = after(found, CANCEL), after_start(seconds=60)
    assert look_up_due(taken_back, now, timedelta(seconds=1)) == now + timedelta(seconds=1)


def test_a_lost_request_blocks_for_little_longer_than_deadline_and_grace():
    now, at = unknown(0), SENT
    while True:
        at = look_up_due(now, at, VISIBLE)
        now = after(now, NotFound("o1", at))
        if resolve(now, at, grace=GRACE):
            break

    assert at - SENT <= timedelta(seconds=25)
