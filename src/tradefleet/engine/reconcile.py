"""What we believe against what the venue says: the events that make the two agree."""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from decimal import Decimal

from tradefleet.domain.ids import FillId
from tradefleet.domain.money import MONEY, ZERO
from tradefleet.domain.order import (
    Acknowledged,
    ClosedByVenue,
    Fill,
    NotFound,
    Order,
    OrderEvent,
    OrderReport,
    OrderState,
)

# The venue is known to have, or to have had, an order in one of these states.
AT_VENUE = frozenset({OrderState.OPEN, OrderState.CLOSING, OrderState.DONE})


def order_news(
    order: Order,
    report: OrderReport | None,
    fills: Sequence[Fill],
    known_fills: AbstractSet[FillId],
    at: datetime,
) -> list[OrderEvent]:
    """Return what one clean look-up of an order tells, in the order it must be taken.

    report is None when the venue did not find the order; fills are what it says was traded,
    in any order, other orders' and repetitions among them; known_fills are booked already.
    Nothing is concluded beyond what the venue said, so the same answer twice tells nothing
    the second time, except that an order was not found once more.
    """
    new = _new_fills(order, fills, known_fills)
    if report is None:
        missing = order.sent_at is not None and order.is_working and not new
        return [NotFound(order.id, at)] if missing else [*new]
    if order.state is OrderState.REJECTED and not report.filled and not report.is_open and not new:
        return []  # some venues list what they refused
    news: list[OrderEvent] = []
    if order.state not in AT_VENUE or order.venue_order_id != report.venue_order_id:
        news.append(Acknowledged(order.id, report.venue_order_id))
    news += new
    if not report.is_open and not _known_closed(order, report):
        news.append(ClosedByVenue(order.id, report.filled))
    return news


def _new_fills(order: Order, fills: Sequence[Fill], known_fills: AbstractSet[FillId]) -> list[Fill]:
    """Return the order's fills that are not booked yet, each once, oldest first."""
    new = {f.id: f for f in fills if f.order_id == order.id and f.id not in known_fills}
    return sorted(new.values(), key=lambda fill: (fill.filled_at, fill.id))


def _known_closed(order: Order, report: OrderReport) -> bool:
    match order.state:
        case OrderState.DONE:
            return order.filled == report.filled
        case OrderState.CLOSING:
            return order.venue_filled == report.filled
        case _:
            return False


def total(amounts: Iterable[Decimal]) -> Decimal:
    """Return the sum of amounts, exactly."""
    result = ZERO
    for amount in amounts:
        result = MONEY.add(result, amount)
    return result


def balance_differences(
    ledger_totals: Mapping[str, Decimal], venue: Mapping[str, Decimal]
) -> dict[str, Decimal]:
    """Return by asset what the venue holds beyond our ledger, below zero what is missing there.

    Only where they differ: what is left must be explained, or be nobody's.
    """
    differences = {
        asset: MONEY.subtract(venue.get(asset, ZERO), ledger_totals.get(asset, ZERO))
        for asset in sorted({*ledger_totals, *venue})
    }
    return {asset: amount for asset, amount in differences.items() if amount}
