"""An order: what we decided to send, what became of it, and what the venue says was traded."""

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias

from tradefleet.domain.ids import AccountId, BotId, FillId, OrderId, UserId
from tradefleet.domain.market import Side, Symbol
from tradefleet.domain.money import MONEY, ZERO, to_unit


class OrderState(StrEnum):
    """How far an order has got; the transitions are in engine/order_life.py."""

    CREATED = "created"  # durable, not yet sent
    SENDING = "sending"  # may be on its way: from here on it is never sent again
    OPEN = "open"  # the venue has it
    CLOSING = "closing"  # the venue is done with it, some of its fills are not booked yet
    DONE = "done"  # every fill booked
    REJECTED = "rejected"  # the venue said no, provably
    VOID = "void"  # never sent, and never will be
    UNKNOWN = "unknown"  # sent, no proof of anything: look it up
    ABSENT = "absent"  # proven not to be at the venue; watched, for it may still turn up
    QUARANTINED = "quarantined"  # unknown for too long: a human must look


FINAL_STATES = frozenset({OrderState.DONE, OrderState.REJECTED, OrderState.VOID, OrderState.ABSENT})


class CancelState(StrEnum):
    """How far the cancelling of an order has got; an order query decides, never the answer."""

    NONE = "none"
    CANCELING = "canceling"
    UNKNOWN = "unknown"


class OrderKind(StrEnum):
    MARKET = "market"
    STOP = "stop"  # a market order fired because the price fell to `price`
    TARGET = "target"  # a market order fired because the price rose to `price`
    RESTING_STOP = "resting_stop"  # waits at the venue itself for the price to fall to `price`


class Purpose(StrEnum):
    ENTRY = "entry"  # opens or adds: quotas, breakers and pauses may refuse it
    EXIT = "exit"  # reduces: nothing of ours may ever refuse it


@dataclass(frozen=True, kw_only=True)
class Order:  # no slots: `changed` copies it
    """One intent to trade; its id is a function of (user, account, bot, seq).

    quantity and filled are in base; price is the trigger of STOP and TARGET; reserved is the
    quote set apart for a buy. A held entry is sent at the first price at or after hold_until,
    unless that comes after lapses_at or is at or below lapse_price. venue_filled is what the
    venue says it filled once it is done with the order.
    """

    id: OrderId
    user_id: UserId
    account_id: AccountId
    bot_id: BotId
    seq: int
    symbol: Symbol
    side: Side
    quantity: Decimal
    purpose: Purpose
    decided_at: datetime
    reason: str
    kind: OrderKind = OrderKind.MARKET
    price: Decimal | None = None
    reserved: Decimal = ZERO
    hold_until: datetime | None = None
    lapses_at: datetime | None = None
    lapse_price: Decimal | None = None
    state: OrderState = OrderState.CREATED
    cancel: CancelState = CancelState.NONE
    filled: Decimal = ZERO
    venue_filled: Decimal | None = None
    venue_order_id: str = ""
    epoch: int = 0
    sent_at: datetime | None = None
    deadline: datetime | None = None
    negatives: int = 0  # clean look-ups that did not find it
    note: str = ""  # the venue's code and text, or why it is void

    @property
    def is_final(self) -> bool:
        return self.state in FINAL_STATES

    @property
    def is_working(self) -> bool:
        return self.state not in FINAL_STATES

    @property
    def open_quantity(self) -> Decimal:
        """What may still be filled."""
        return ZERO if self.is_final else self.quantity - self.filled


@dataclass(frozen=True, slots=True)
class Armed:
    """The order is about to be sent under this lease; durable before the first byte."""

    order_id: OrderId
    epoch: int
    sent_at: datetime
    deadline: datetime


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The venue has the order: by its answer, or found by a look-up."""

    order_id: OrderId
    venue_order_id: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """The venue refused the order, and its answer proves that it did."""

    order_id: OrderId
    reason: str


@dataclass(frozen=True, slots=True)
class OutcomeLost:
    """The order was sent and nothing proves what became of it."""

    order_id: OrderId
    cause: str


@dataclass(frozen=True, slots=True)
class NotFound:
    """One clean look-up, complete over the time since sending, did not find the order."""

    order_id: OrderId
    at: datetime


@dataclass(frozen=True, slots=True)
class ProvenAbsent:
    """Deadline and grace are over and enough clean look-ups found nothing."""

    order_id: OrderId


@dataclass(frozen=True, slots=True)
class Quarantined:
    """No evidence either way for too long."""

    order_id: OrderId


@dataclass(frozen=True, slots=True)
class Voided:
    """The order was never sent and never will be."""

    order_id: OrderId
    reason: str


@dataclass(frozen=True, slots=True)
class CancelSent:
    order_id: OrderId


@dataclass(frozen=True, slots=True)
class CancelLost:
    order_id: OrderId


@dataclass(frozen=True, slots=True)
class ClosedByVenue:
    """The venue will fill no more of the order; filled is its own total, in base."""

    order_id: OrderId
    filled: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """One execution: cost is quantity times price as the venue books it, in quote.

    fee is in fee_asset (quote, base or a third), fee_quote the same valued in quote.
    """

    id: FillId
    order_id: OrderId
    symbol: Symbol
    side: Side
    quantity: Decimal
    price: Decimal
    cost: Decimal
    fee: Decimal
    fee_asset: str
    fee_quote: Decimal
    filled_at: datetime


def parted(fill: Fill, quantity: Decimal) -> tuple[Fill, Fill]:
    """Return a fill in two, the first of a quantity; together they are it to the last unit."""
    cost, fee, fee_quote = (
        to_unit(MONEY.divide(MONEY.multiply(amount, quantity), fill.quantity))
        for amount in (fill.cost, fill.fee, fill.fee_quote)
    )
    return (
        replace(fill, quantity=quantity, cost=cost, fee=fee, fee_quote=fee_quote),
        replace(
            fill,
            quantity=MONEY.subtract(fill.quantity, quantity),
            cost=MONEY.subtract(fill.cost, cost),
            fee=MONEY.subtract(fill.fee, fee),
            fee_quote=MONEY.subtract(fill.fee_quote, fee_quote),
        ),
    )


@dataclass(frozen=True, slots=True)
class OrderReport:
    """What the venue says of one order: filled is its total in base."""

    venue_order_id: str
    is_open: bool
    filled: Decimal


OrderEvent: TypeAlias = (
    Armed
    | Acknowledged
    | Rejected
    | OutcomeLost
    | NotFound
    | ProvenAbsent
    | Quarantined
    | Voided
    | CancelSent
    | CancelLost
    | ClosedByVenue
    | Fill
)
