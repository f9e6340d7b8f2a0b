"""How an order moves from state to state, as a table; and when an unknown one is given up."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from tradefleet.domain.errors import BrokenInvariant, ensure
from tradefleet.domain.money import MONEY
from tradefleet.domain.order import (
    Acknowledged,
    Armed,
    CancelLost,
    CancelSent,
    CancelState,
    ClosedByVenue,
    Fill,
    NotFound,
    Order,
    OrderEvent,
    OrderState,
    OutcomeLost,
    ProvenAbsent,
    Quarantined,
    Rejected,
    Voided,
)
from tradefleet.domain.values import changed, updated

S = OrderState
Step: TypeAlias = Callable[[Order, Any], Order]

LOOK_UP_MOST = timedelta(seconds=8)  # the longest pause between look-ups of an unknown order
LOOK_UP_QUARANTINED = timedelta(seconds=60)


def after(order: Order, event: OrderEvent) -> Order:
    """Return the order once event has happened to it; the same object when nothing changes.

    Raise BrokenInvariant for what cannot happen in its state: then our books are wrong.
    """
    if event.order_id != order.id:
        raise BrokenInvariant(f"news of {event.order_id} given to order {order.id}")
    step = TABLE.get((order.state, type(event)))
    if step is None:
        raise BrokenInvariant(f"order {order.id} is {order.state}: no {type(event).__name__} now")
    return step(order, event)


# ------------------------------------------------------------------------- the steps


def _arm(order: Order, event: Armed) -> Order:
    return changed(
        order,
        state=S.SENDING,
        epoch=event.epoch,
        sent_at=event.sent_at,
        deadline=event.deadline,
    )


def _void(order: Order, event: Voided) -> Order:
    return changed(order, state=S.VOID, note=event.reason)


def _name(order: Order, event: Acknowledged) -> Order:
    """Learn the venue's name for the order: two names would be two orders."""
    if order.venue_order_id == event.venue_order_id:
        return order
    ensure(not order.venue_order_id, f"the venue has two orders under the name {order.id}")
    return changed(order, venue_order_id=event.venue_order_id)


def _open(order: Order, event: Acknowledged) -> Order:
    return changed(_name(order, event), state=S.OPEN, negatives=0)


def _adopt(order: Order, event: Acknowledged) -> Order:
    return _open(_surprised(order), event)


def _reject(order: Order, event: Rejected) -> Order:
    return changed(order, state=S.REJECTED, note=event.reason)


def _lose(order: Order, event: OutcomeLost) -> Order:
    return changed(order, state=S.UNKNOWN, note=event.cause)


def _count(order: Order, event: NotFound) -> Order:
    return changed(order, negatives=order.negatives + 1)


def _give_up(order: Order, event: ProvenAbsent) -> Order:
    return changed(order, state=S.ABSENT)


def _quarantine(order: Order, event: Quarantined) -> Order:
    return changed(order, state=S.QUARANTINED)


def _fill(order: Order, fill: Fill) -> Order:
    """Add a fill that was not booked before; the full quantity leaves nothing to wait for."""
    filled = MONEY.add(order.filled, fill.quantity)
    if filled > order.quantity:
        raise BrokenInvariant(f"order {order.id} filled {filled} of {order.quantity}")
    state = S.DONE if filled == order.quantity else S.OPEN
    return changed(order, state=state, filled=filled, negatives=0)


def _fill_adopted(order: Order, fill: Fill) -> Order:
    return _fill(_surprised(order), fill)


def _fill_closing(order: Order, fill: Fill) -> Order:
    filled, total = MONEY.add(order.filled, fill.quantity), order.venue_filled
    ensure(
        total is not None and filled <= total,
        f"order {order.id} filled {filled} of the {total} the venue closed it with",
    )
    return changed(order, state=S.DONE if filled == total else S.CLOSING, filled=filled)


def _close(order: Order, event: ClosedByVenue) -> Order:
    """Finish, or wait for the fills that are missing from the venue's total."""
    known = order.filled if order.venue_filled is None else max(order.filled, order.venue_filled)
    ensure(
        known <= event.filled <= order.quantity,
        f"the venue closed order {order.id} at {event.filled}; known are {known} of"
        f" {order.quantity}",
    )
    state = S.DONE if order.filled == event.filled else S.CLOSING
    return updated(order, state=state, venue_filled=event.filled, negatives=0)


def _close_adopted(order: Order, event: ClosedByVenue) -> Order:
    return _close(_surprised(order), event)


def _close_rejected(order: Order, event: ClosedByVenue) -> Order:
    return order if event.filled == 0 else _close_adopted(order, event)


def _close_again(order: Order, event: ClosedByVenue) -> Order:
    ensure(event.filled == order.filled, f"order {order.id} is done at {order.filled}: {event}")
    return order if order.venue_filled is not None else changed(order, venue_filled=event.filled)


def _canceling(order: Order, event: CancelSent) -> Order:
    return updated(order, cancel=CancelState.CANCELING)


def _cancel_lost(order: Order, event: CancelLost) -> Order:
    return updated(order, cancel=CancelState.UNKNOWN)


def _keep(order: Order, event: OrderEvent) -> Order:
    return order


def _surprised(order: Order) -> Order:
    """Remember that the venue has an order we held to be gone or never sent.

    Where the database lost when it was sent, that was after it was decided.
    """
    return changed(
        order,
        note=f"found at the venue when {order.state}: {order.note}",
        sent_at=order.sent_at or order.decided_at,
    )


# ------------------------------------------------------------------------- the table

TABLE: dict[tuple[OrderState, type], Step] = {
    (S.CREATED, Armed): _arm,
    (S.CREATED, Voided): _void,
    # The database may have lost its last commits: what the venue has was sent all the same.
    (S.CREATED, Acknowledged): _adopt,
    (S.CREATED, Fill): _fill_adopted,
    (S.CREATED, ClosedByVenue): _close_adopted,
    # No row for (SENDING, Armed): an order is sent once, ever.
    (S.SENDING, Acknowledged): _open,
    (S.SENDING, Rejected): _reject,
    (S.SENDING, OutcomeLost): _lose,
    (S.SENDING, NotFound): _count,
    (S.SENDING, Fill): _fill,  # a fill may overtake the acknowledgement
    (S.SENDING, ClosedByVenue): _close,
    (S.SENDING, CancelSent): _canceling,
    (S.SENDING, CancelLost): _cancel_lost,
    (S.OPEN, Acknowledged): _name,
    (S.OPEN, OutcomeLost): _keep,  # a fill proved it before the answer was lost
    (S.OPEN, NotFound): _count,  # missing from a list is never "cancelled"
    (S.OPEN, ProvenAbsent): _keep,  # decided before the order was found
    (S.OPEN, Quarantined): _keep,
    (S.OPEN, Fill): _fill,
    (S.OPEN, ClosedByVenue): _close,
    (S.OPEN, CancelSent): _canceling,
    (S.OPEN, CancelLost): _cancel_lost,
    (S.CLOSING, Acknowledged): _name,
    (S.CLOSING, OutcomeLost): _keep,
    (S.CLOSING, NotFound): _count,
    (S.CLOSING, ProvenAbsent): _keep,
    (S.CLOSING, Quarantined): _keep,
    (S.CLOSING, Fill): _fill_closing,
    (S.CLOSING, ClosedByVenue): _close,  # the venue's total may still grow
    (S.CLOSING, CancelSent): _canceling,
    (S.CLOSING, CancelLost): _cancel_lost,
    # No row for (DONE, Fill): all fills the venue named are booked already.
    (S.DONE, Acknowledged): _name,
    (S.DONE, OutcomeLost): _keep,
    (S.DONE, NotFound): _keep,
    (S.DONE, ProvenAbsent): _keep,
    (S.DONE, Quarantined): _keep,
    (S.DONE, ClosedByVenue): _close_again,
    (S.DONE, CancelSent): _keep,  # our cancel crossed the last fill
    (S.DONE, CancelLost): _keep,
    # A refused order at the venue: the proof was none, and what was traded must be booked.
    (S.REJECTED, Acknowledged): _adopt,
    (S.REJECTED, Rejected): _keep,
    (S.REJECTED, OutcomeLost): _keep,
    (S.REJECTED, NotFound): _keep,
    (S.REJECTED, ProvenAbsent): _keep,
    (S.REJECTED, Quarantined): _keep,
    (S.REJECTED, Fill): _fill_adopted,
    (S.REJECTED, ClosedByVenue): _close_rejected,  # some venues list what they refused
    (S.REJECTED, CancelSent): _keep,
    (S.REJECTED, CancelLost): _keep,
    (S.VOID, Voided): _keep,
    (S.VOID, NotFound): _keep,
    (S.VOID, Acknowledged): _adopt,  # as for CREATED
    (S.VOID, Fill): _fill_adopted,
    (S.VOID, ClosedByVenue): _close_adopted,
    (S.UNKNOWN, Acknowledged): _open,
    (S.UNKNOWN, Rejected): _reject,  # the answer was late, not lost
    (S.UNKNOWN, OutcomeLost): _keep,
    (S.UNKNOWN, NotFound): _count,
    (S.UNKNOWN, ProvenAbsent): _give_up,
    (S.UNKNOWN, Quarantined): _quarantine,
    (S.UNKNOWN, Fill): _fill,
    (S.UNKNOWN, ClosedByVenue): _close,
    (S.UNKNOWN, CancelSent): _canceling,
    (S.UNKNOWN, CancelLost): _cancel_lost,
    # A late appearance: an absent order stays watched and is adopted when it turns up.
    (S.ABSENT, Acknowledged): _adopt,
    (S.ABSENT, Rejected): _reject,
    (S.ABSENT, OutcomeLost): _keep,
    (S.ABSENT, NotFound): _keep,
    (S.ABSENT, ProvenAbsent): _keep,
    (S.ABSENT, Quarantined): _keep,
    (S.ABSENT, Fill): _fill_adopted,
    (S.ABSENT, ClosedByVenue): _close_adopted,
    (S.ABSENT, CancelSent): _keep,
    (S.ABSENT, CancelLost): _keep,
    (S.QUARANTINED, Acknowledged): _open,
    (S.QUARANTINED, Rejected): _reject,
    (S.QUARANTINED, OutcomeLost): _keep,
    (S.QUARANTINED, NotFound): _count,
    (S.QUARANTINED, ProvenAbsent): _give_up,
    (S.QUARANTINED, Quarantined): _keep,
    (S.QUARANTINED, Fill): _fill,
    (S.QUARANTINED, ClosedByVenue): _close,
    (S.QUARANTINED, CancelSent): _canceling,
    (S.QUARANTINED, CancelLost): _cancel_lost,
}


# ------------------------------------------------------------- what an unknown one becomes


def resolve(
    order: Order,
    now: datetime,
    *,
    grace: timedelta,
    negatives_needed: int = 3,
    quarantine_after: timedelta = timedelta(minutes=10),
) -> ProvenAbsent | Quarantined | None:
    """Return what follows from finding nothing, or None to look again.

    now: time of the latest clean look-up, which found nothing; grace: how long after its
    deadline (after sending, when it has none) the venue may still show the order. Only an
    unknown order is judged: a quarantined one waits for evidence or a human.
    """
    if order.state is not S.UNKNOWN or order.sent_at is None:
        return None
    last_chance = (order.deadline or order.sent_at) + grace
    if now > last_chance and order.negatives >= negatives_needed:
        return ProvenAbsent(order.id)
    if now - order.sent_at >= quarantine_after:
        return Quarantined(order.id)
    return None


def look_up_due(
    order: Order, now: datetime, visibility: timedelta, *, times: int = 0
) -> datetime | None:
    """Return when to ask the venue about the order next, having asked just now or never.

    First when a new order is visible there, then after 1, 2, 4, 8, 8 … seconds; a quarantined
    order every minute. times: how often it was asked already and nothing had changed. None:
    nothing is open about it that a look-up could tell.
    """
    if order.sent_at is None or not _in_doubt(order):
        return None
    if order.state is S.QUARANTINED:
        return now + LOOK_UP_QUARANTINED
    pause = min(timedelta(seconds=2 ** min(max(order.negatives, times), 3)), LOOK_UP_MOST)
    first = order.sent_at + visibility
    return first if now < first else now + pause


def _in_doubt(order: Order) -> bool:
    unsure = order.state in (S.SENDING, S.UNKNOWN, S.QUARANTINED, S.CLOSING)
    return unsure or (order.is_working and order.cancel is not CancelState.NONE)
