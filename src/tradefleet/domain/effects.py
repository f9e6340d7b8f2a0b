"""What a bot asks for: what to write down, then what to do in the world."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias

from tradefleet.domain.bot import BotMemory, BotStatus
from tradefleet.domain.ids import BotId, OrderId, UserId
from tradefleet.domain.ledger import LedgerEntry
from tradefleet.domain.limits import GuardMemory
from tradefleet.domain.order import Fill, Order
from tradefleet.domain.position import Trade


class Topic(StrEnum):
    """What a notice is about; users switch each on, silent or off."""

    FILL = "fill"
    STOP = "stop"
    TRADE = "trade"
    ORDER = "order"
    GUARD = "guard"
    FAULT = "fault"
    SYSTEM = "system"
    SECURITY = "security"


@dataclass(frozen=True, slots=True)
class OrderPlaced:
    """A new intent. Written before anything is sent; sent at once unless it is held."""

    order: Order


@dataclass(frozen=True, slots=True)
class OrderChanged:
    """The order as it stands now."""

    order: Order


@dataclass(frozen=True, slots=True)
class FillBooked:
    """A fill and its ledger entry: one row each, both or none."""

    fill: Fill
    entry: LedgerEntry


@dataclass(frozen=True, slots=True)
class EntryBooked:
    """A movement of money that is no fill of ours: a deposit, a trade somebody made by hand."""

    entry: LedgerEntry


@dataclass(frozen=True, slots=True)
class TradeClosed:
    trade: Trade


@dataclass(frozen=True, slots=True)
class MemoryChanged:
    memory: BotMemory


@dataclass(frozen=True, slots=True)
class GuardChanged:
    memory: GuardMemory


@dataclass(frozen=True, slots=True)
class BotStatusChanged:
    """The host changed what should be: a bot is set aside after a fault."""

    bot_id: BotId
    user_id: UserId
    status: BotStatus
    note: str


@dataclass(frozen=True, slots=True)
class Decided:
    """Why a bot did, or did not, act on a signal: guard is "" when nothing said no."""

    bot_id: BotId
    user_id: UserId
    at: datetime
    outcome: str  # entered, denied, void
    guard: str
    reason: str


@dataclass(frozen=True, slots=True)
class Notify:
    """Tell the user; the lower the priority number, the sooner."""

    user_id: UserId
    topic: Topic
    text: str
    at: datetime
    priority: int = 5


Record: TypeAlias = (
    OrderPlaced
    | OrderChanged
    | FillBooked
    | EntryBooked
    | TradeClosed
    | MemoryChanged
    | GuardChanged
    | BotStatusChanged
    | Decided
    | Notify
)


@dataclass(frozen=True, slots=True)
class SendOrder:
    """Send a written-down order now."""

    order_id: OrderId


@dataclass(frozen=True, slots=True)
class CancelOrder:
    order_id: OrderId


@dataclass(frozen=True, slots=True)
class Protect:
    """Watch these levels from now on, in place of the bot's earlier ones; None: no such level.

    stop fires when the price is at or below it, target when it is at or above.
    """

    stop: Decimal | None
    target: Decimal | None


Effect: TypeAlias = Record | SendOrder | CancelOrder | Protect
