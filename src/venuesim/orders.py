"""Orders, trades and what a venue says no to, as the books of every simulated venue hold them."""

from dataclasses import dataclass, field
from enum import StrEnum

from venuesim.instruments import Instrument


class Side(StrEnum):
    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        return 1 if self is Side.BUY else -1


class Kind(StrEnum):
    """What an order waits for, and how it then trades.

    The stop kinds trigger when the price falls to stop_price for a sell and rises to it for a
    buy; the profit kinds the other way round.
    """

    MARKET = "market"
    LIMIT = "limit"
    STOP_MARKET = "stop_market"
    STOP_LIMIT = "stop_limit"
    PROFIT_MARKET = "profit_market"
    PROFIT_LIMIT = "profit_limit"

    @property
    def triggers(self) -> bool:
        return self not in (Kind.MARKET, Kind.LIMIT)

    @property
    def has_limit(self) -> bool:
        return self in (Kind.LIMIT, Kind.STOP_LIMIT, Kind.PROFIT_LIMIT)


class Lifetime(StrEnum):
    """How long an order waits: until cancelled, for an instant, all or nothing."""

    GTC = "gtc"
    IOC = "ioc"
    FOK = "fok"


class Status(StrEnum):
    WAITING = "waiting"  # for its trigger; not on the book
    OPEN = "open"
    PARTIAL = "partial"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"  # an instant order's rest, or a dead OCO leg

    @property
    def is_live(self) -> bool:
        return self in (Status.WAITING, Status.OPEN, Status.PARTIAL)


class Reason(StrEnum):
    """Why a venue refuses; each venue has its own codes and texts for them."""

    UNKNOWN_SYMBOL = "unknown symbol"
    BAD_QUANTITY_STEP = "quantity is not on the step"
    BAD_PRICE_TICK = "price is not on the tick"
    QUANTITY_TOO_SMALL = "quantity below the minimum"
    QUANTITY_TOO_LARGE = "quantity above the maximum"
    NOTIONAL_TOO_SMALL = "notional below the minimum"
    INSUFFICIENT_BALANCE = "insufficient balance"
    DUPLICATE_CLIENT_ID = "duplicate client id"
    WOULD_TAKE = "post-only order would take"
    WOULD_TRIGGER = "stop price would trigger immediately"
    TOO_MANY_ORDERS = "too many open orders"
    NOT_FOUND = "no such order"
    NOT_LIVE = "order is not open any more"
    NO_PRICE = "no price yet"
    FOK_UNFILLED = "could not be filled at once"


class Refusal(Exception):
    """The venue refuses a request, and its books are as they were."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(f"{reason.value}{': ' + detail if detail else ''}")
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOrder:
    """What a client asks for, in units.

    Exactly one of quantity (base) and quote_quantity is above zero; the latter only for
    market orders. holds: sets money apart already while it waits for its trigger.
    """

    symbol: str  # BASE/QUOTE
    side: Side
    kind: Kind
    quantity: int = 0
    quote_quantity: int = 0
    price: int = 0
    stop_price: int = 0
    lifetime: Lifetime = Lifetime.GTC
    client_id: str = ""
    post_only: bool = False
    holds: bool = True
    tags: dict[str, str] = field(default_factory=dict)  # what the venue wants to say again

    @property
    def sets_apart(self) -> bool:
        """Say whether what it may cost is locked as soon as it is accepted."""
        return self.holds or not self.kind.triggers


@dataclass(slots=True, kw_only=True)
class Trade:
    """One execution; amounts in units, fee in fee_asset."""

    id: int
    order_id: int
    account: str
    symbol: str
    side: Side
    price: int
    quantity: int
    cost: int
    fee: int
    fee_asset: str
    maker: bool
    at_ms: int
    kind: Kind


@dataclass(slots=True, kw_only=True)
class Order:
    """An order the venue accepted; live while its status says so."""

    id: int
    account: str
    instrument: Instrument
    request: NewOrder
    client_id: str
    created_ms: int
    updated_ms: int
    status: Status = Status.OPEN
    quantity: int  # in base; of a market order by quote, what it came to
    filled: int = 0
    cost: int = 0
    locked: int = 0  # of base for a sell, of quote for a buy
    triggered: bool = False
    oco: int = 0  # the number of its list, 0 for none
    trades: list[Trade] = field(default_factory=list)

    @property
    def symbol(self) -> str:
        return self.request.symbol

    @property
    def side(self) -> Side:
        return self.request.side

    @property
    def kind(self) -> Kind:
        return self.request.kind

    @property
    def is_live(self) -> bool:
        return self.status.is_live

    @property
    def left(self) -> int:
        return self.quantity - self.filled

    @property
    def average(self) -> int:
        """Average price of what was traded, zero for nothing; rounded half up."""
        if not self.filled:
            return 0
        scaled = sum(trade.quantity * trade.price for trade in self.trades)
        return (2 * scaled + self.filled) // (2 * self.filled)
