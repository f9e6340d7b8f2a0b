"""What can happen to a bot: everything its engine reacts to."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TypeAlias

from tradefleet.domain.ids import OrderId
from tradefleet.domain.market import Bar
from tradefleet.domain.order import OrderEvent
from tradefleet.domain.signal import Signal


@dataclass(frozen=True, slots=True)
class BarClosed:
    """A bar of the bot's stream closed.

    at: its close time; signal: what its strategy says; trail: how far under the highest high
    a trailing stop stands now (None when the strategy does not trail or does not know yet).
    rank: how its entry stands among those of other bots of the same universe, for people.
    """

    bar: Bar
    at: datetime
    signal: Signal | None
    trail: Decimal | None
    rank: str = ""


@dataclass(frozen=True, slots=True)
class StopHit:
    """The price fell to the bot's stop; price is where the market is now."""

    price: Decimal
    at: datetime


@dataclass(frozen=True, slots=True)
class TargetHit:
    """The price rose to the bot's nearest target; price is where the market is now."""

    price: Decimal
    at: datetime


@dataclass(frozen=True, slots=True)
class EntryDue:
    """The waiting time of a held entry is over; price is where the market is now."""

    order_id: OrderId
    price: Decimal
    at: datetime


@dataclass(frozen=True, slots=True)
class ExitAsked:
    """Somebody wants the position closed now: reason says who ("force_exit", "kill_switch")."""

    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class StopAsked:
    """No new entries from now on; an open position stays protected."""

    at: datetime


@dataclass(frozen=True, slots=True)
class StartAsked:
    """Entries are allowed again."""

    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class BuyAsked:
    """Its user wants to buy now: quantity in base or, without one, for amount in quote.

    asked_at tells one request from another and is later than that of any before; price is where
    the market is at `at`; funds: what may be spent, fee included.
    """

    asked_at: datetime
    at: datetime
    price: Decimal
    funds: Decimal
    amount: Decimal | None = None
    quantity: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SellAsked:
    """Its user wants to sell a quantity now, of what they hold in the account, bought here or not.

    asked_at and price as for BuyAsked; amount: no more than is worth this, in quote.
    """

    asked_at: datetime
    at: datetime
    price: Decimal
    quantity: Decimal
    amount: Decimal | None = None


@dataclass(frozen=True, slots=True)
class TooLate:
    """What was asked for at asked_at reached the bot when it was no longer wanted, or could be."""

    asked_at: datetime
    reason: str


Event: TypeAlias = (
    BarClosed
    | StopHit
    | TargetHit
    | EntryDue
    | ExitAsked
    | StopAsked
    | StartAsked
    | BuyAsked
    | SellAsked
    | TooLate
    | OrderEvent
)
