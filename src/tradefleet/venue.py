"""What a venue is: a public side everybody shares, and a private link per account."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol, TypeAlias

from tradefleet.domain.credentials import Credentials, KeyReport
from tradefleet.domain.errors import VenueUnavailable
from tradefleet.domain.ids import FillId, OrderId, UserId
from tradefleet.domain.market import Bar, Quote, Side, Stream, Symbol, TradingRules
from tradefleet.domain.order import Fill, Order
from tradefleet.domain.order import OrderReport as OrderReport
from tradefleet.domain.statement import VenueStatement
from tradefleet.domain.user import Account, Mode
from tradefleet.engine.pace import Priority


@dataclass(frozen=True, slots=True)
class BarSeen:
    """A bar of the stream closed."""

    stream: Stream
    bar: Bar


@dataclass(frozen=True, slots=True)
class PriceSeen:
    """The symbol traded at a price."""

    symbol: Symbol
    quote: Quote


MarketEvent: TypeAlias = BarSeen | PriceSeen


class MarketData(Protocol):
    """The public side of a venue: opened once per venue, shared by all users."""

    async def rules(self, symbol: Symbol) -> TradingRules:
        """Return the venue's rules; raise Refused for a symbol it does not trade."""

    async def history(self, stream: Stream, *, before: datetime, count: int) -> Sequence[Bar]:
        """Return up to count closed bars that opened before `before`, oldest first."""

    def events(self, streams: Sequence[Stream]) -> AsyncIterator[MarketEvent]:
        """Yield prices and closed bars of the streams until cancelled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueTiming:
    """How long a venue may take: what an unknown outcome must wait for.

    deadline: after it the venue refuses an order that was sent; visibility: an accepted order
    may be invisible this long; grace: added to the deadline before absence can be proven.
    margin: how much of the deadline must be left when an order leaves: what its way may take,
    and what the venue wants to be left when it arrives. clock_step: in what steps it tells its
    own time.
    """

    deadline: timedelta = timedelta(seconds=5)
    visibility: timedelta = timedelta(seconds=3)
    grace: timedelta = timedelta(seconds=15)
    negatives: int = 3
    margin: timedelta = timedelta(seconds=1)
    clock_step: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueOrder:
    """An order as a venue's lists show it, ours or not; client_id is "" when it has none."""

    venue_order_id: str
    client_id: str
    symbol: Symbol
    side: Side
    quantity: Decimal
    filled: Decimal
    is_open: bool
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueTrade:
    """An execution as a venue's lists show it; client_id is "" where the list does not say it."""

    id: FillId
    venue_order_id: str
    client_id: str
    symbol: Symbol
    side: Side
    quantity: Decimal
    price: Decimal
    cost: Decimal
    fee: Decimal
    fee_asset: str
    at: datetime


class StatementNotPossible(VenueUnavailable):
    """The key lacks the right to read the venue's ledger; the text names it."""


class AccountLink(Protocol):
    """The private side of a venue: one account's own orders, fills and balances.

    Every list is complete over what was asked, or VenueUnavailable is raised.
    """

    @property
    def timing(self) -> VenueTiming: ...
    @property
    def is_simulated(self) -> bool:
        """Whether nobody but us can change the account, so that nothing need be reconciled."""

    @property
    def rests_stops(self) -> bool:
        """Whether an order of kind RESTING_STOP waits for its price at the venue itself."""

    @property
    def numbers_ahead(self) -> int:
        """How far requests' numbers run ahead of our clock, in microseconds; 0 without numbers.

        It is kept with the account, so that who opens it next begins no lower.
        """

    async def submit(self, order: Order) -> str:
        """Send the order once and return the venue's id for it. Never retries.

        Raise VenueRejected (proven), VenueUnavailable (not one byte was sent, and none will be) or
        OutcomeUnknown (anything else).
        """

    async def cancel(self, order: Order) -> None:
        """Ask the venue to cancel; only a look-up says what became of it."""

    async def look_up(self, order: Order) -> OrderReport | None:
        """Return the venue's word on an order, None when a clean look-up did not find it.

        Raise VenueUnavailable when the look-up itself failed: that is no evidence.
        """

    async def fills_of(self, order: Order) -> Sequence[Fill]: ...
    async def open_orders(self, symbols: Sequence[Symbol]) -> Sequence[VenueOrder]:
        """Return everything open in these symbols, whoever placed it."""

    async def orders_since(
        self, symbols: Sequence[Symbol], since: datetime, *, in_doubt: bool = False
    ) -> Sequence[VenueOrder]:
        """Return every order placed in these symbols since then, open or not.

        in_doubt: an order's fate hangs on it, so it goes before what is read all the time.
        """

    async def trades_since(
        self, symbols: Sequence[Symbol], since: datetime, *, in_doubt: bool = False
    ) -> Sequence[VenueTrade]:
        """Return every execution in these symbols since then, oldest first."""

    async def balances(self) -> Mapping[str, Decimal]: ...
    async def statement(
        self, symbols: Sequence[Symbol], since: datetime, until: datetime
    ) -> VenueStatement:
        """Return every change of the account's money from since to until, both included.

        symbols: whose trades are asked for where a venue lists them by symbol alone. Raise
        StatementNotPossible when the key may not read it.
        """

    async def fund(self, deposited: Mapping[str, Decimal]) -> None:
        """Bring a paper account's deposits up to these totals; a real venue ignores it."""

    async def close(self) -> None:
        """Let go of streams and sockets; nothing is cancelled at the venue."""


class Venue(Protocol):
    """An opened venue."""

    @property
    def market(self) -> MarketData: ...
    async def link(self, account: Account, news: Callable[[OrderId], None]) -> AccountLink:
        """Open an account; news is called with an order's id when there is something new.

        It is a bell, not the truth: whoever hears it looks the order up.
        """

    async def check_key(self, credentials: Credentials, mode: Mode) -> KeyReport:
        """Ask the venue what a key may do; KeyRefused says what is wrong with it and the cure."""

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueCall:
    """One request as the rate governor sees it.

    key: the account it is signed for, "" for public calls. costs: what it takes of which of
    the venue's budgets by name, "weight" being the address's own (Binance weight, Bybit
    requests); the others belong to the key (Kraken "counter" and "pair:XBTUSD", order counts).
    patience: the seconds it may wait for its turn.
    """

    venue: str
    key: str
    user_id: UserId
    priority: Priority
    costs: Mapping[str, float]
    patience: float | None = None


class Pacer(Protocol):
    """Who says when a request may go to a venue: one for the process, shared by all accounts."""

    async def turn(self, call: VenueCall) -> None:
        """Wait for the call's turn; VenueUnavailable when it does not come in time.

        That, too, while the venue has closed its door to us.
        """

    def heard(self, call: VenueCall, status: int, headers: Mapping[str, str]) -> None:
        """Learn from an answer's status and headers (lower-case names)."""

    def too_fast(self, call: VenueCall, seconds: float, *, banned: bool = False) -> None:
        """The venue said that we were too fast: hold that budget, or everybody when banned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueSpec:
    """How to list a venue, and whether an account there is connected with keys."""

    name: str
    summary: str
    needs_keys: bool
    modes: tuple[Mode, ...] = (Mode.PAPER,)  # in which an account there can be opened
