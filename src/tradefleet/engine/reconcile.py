"""What we believe against what the venue says: the events that make the two agree."""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from tradefleet.domain.bot import BotSpec
from tradefleet.domain.ids import AccountId, FillId, UserId, client_order_id
from tradefleet.domain.ledger import EXTERNAL, FREE, OWN, Balances, LedgerEntry, Posting
from tradefleet.domain.market import Symbol
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


# ------------------------------------------------------------------ whose is an order?


def may_be_ours(client_id: str) -> bool:
    """Say whether a client order id looks like one of ours: a UUID of version 5 in plain hex."""
    return (
        len(client_id) == 32
        and client_id[12] == "5"
        and client_id[16] in "89ab"
        and all(digit in "0123456789abcdef" for digit in client_id)
    )


def seq_named(client_id: str, bot: BotSpec, key: bytes, seqs: Iterable[int]) -> int | None:
    """Return which of a bot's orders a client order id is the name of, or none of these."""
    for seq in seqs:
        if client_order_id(key, bot.user_id, bot.account_id, bot.id, seq) == client_id:
            return seq
    return None


# --------------------------------------------------------------- what is in the account?


@dataclass(frozen=True, slots=True)
class Claim:
    """What one bot counts on finding in its account: cash in quote, quantity in base."""

    symbol: Symbol
    cash: Decimal
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class Finding:
    """What a difference between the venue and our ledger comes down to.

    moved: what came in (above zero) or went out besides us, by asset; hidden: symbols of which
    something was bought or sold that the venue lists no trade for; short: how much of what
    bots count on is not there.
    """

    moved: Mapping[str, Decimal]
    hidden: tuple[Symbol, ...]
    short: Mapping[str, Decimal]

    @property
    def is_clean(self) -> bool:
        return not self.moved and not self.short


def claimed(claims: Iterable[Claim]) -> dict[str, Decimal]:
    """Return what all bots of an account together count on, by asset."""
    totals: dict[str, Decimal] = {}
    for claim in claims:
        for asset, amount in (
            (claim.symbol.quote, claim.cash),
            (claim.symbol.base, claim.quantity),
        ):
            if amount > ZERO:
                totals[asset] = MONEY.add(totals.get(asset, ZERO), amount)
    return totals


def judge(
    ledger_totals: Mapping[str, Decimal], venue: Mapping[str, Decimal], claims: Sequence[Claim]
) -> Finding:
    """Say what is different at the venue in a quiet moment, and whether bots can live with it."""
    moved = balance_differences(ledger_totals, venue)
    hidden = {
        claim.symbol
        for claim in claims
        if MONEY.multiply(moved.get(claim.symbol.base, ZERO), moved.get(claim.symbol.quote, ZERO))
        < ZERO
    }
    short = {
        asset: MONEY.subtract(amount, venue.get(asset, ZERO))
        for asset, amount in sorted(claimed(claims).items())
        if amount > venue.get(asset, ZERO)
    }
    return Finding(moved, tuple(sorted(hidden, key=str)), short)


def movement_entry(
    moved: Mapping[str, Decimal],
    books: Balances,
    *,
    user_id: UserId,
    account_id: AccountId,
    kind: str,
    at: datetime,
    place: str,
) -> LedgerEntry:
    """Book what came in at a place, and what went out from what no bot owns.

    What left the account goes off the user's own first, then off what is free; beyond that
    the user's own falls below zero: it was money that bots count on.
    """
    postings: list[Posting] = []
    for asset, amount in sorted(moved.items()):
        postings.append(Posting(EXTERNAL, asset, MONEY.minus(amount)))
        if amount > ZERO:
            postings.append(Posting(place, asset, amount))
            continue
        out = MONEY.minus(amount)
        own = min(out, max(books.of(OWN, asset), ZERO))
        free = min(MONEY.subtract(out, own), max(books.of(FREE, asset), ZERO))
        own = MONEY.subtract(out, free)
        parts = ((OWN, own), (FREE, free))
        postings += [Posting(p, asset, MONEY.minus(part)) for p, part in parts if part]
    return LedgerEntry(
        id=f"{kind}:{account_id}:{at:%Y%m%dT%H%M%S.%f}",
        user_id=user_id,
        account_id=account_id,
        kind=kind,
        booked_at=at,
        postings=tuple(postings),
    )
