"""What one venue's file provides: its words for what every venue does.

A dialect knows formats and codes; it waits for nothing by itself, keeps nothing about accounts
and decides nothing. What it asks goes through an Errand, which paces, signs, sends and judges.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol, TypeAlias

from tradefleet.domain.credentials import Credentials, KeyReport
from tradefleet.domain.ids import OrderId
from tradefleet.domain.market import Bar, Symbol, Timeframe
from tradefleet.domain.order import Order, OrderReport
from tradefleet.domain.statement import VenueStatement
from tradefleet.domain.user import Mode
from tradefleet.venue import VenueOrder, VenueTiming, VenueTrade
from tradefleet.venues._ccxt.addresses import Addresses
from tradefleet.venues._ccxt.calls import Ask, Call, Outcome
from tradefleet.venues._ccxt.listings import Listing, Listings
from tradefleet.venues._ccxt.wire import Answer, Wire


@dataclass(frozen=True, slots=True)
class Errand:
    """What a dialect asks through, for one account or for nobody; now is the venue's time.

    ask returns the payload of a clean answer; it raises VenueSaid for the venue's own errors
    and VenueUnavailable for everything else. apis: which of the venue's interfaces are there.
    """

    ask: Ask
    book: Listings
    now: datetime
    apis: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Followed:
    """One stream of bars that is wanted, in the venue's words."""

    listing: Listing
    timeframe: Timeframe
    word: str  # the venue's name of the timeframe


@dataclass(frozen=True, slots=True)
class Traded:
    """A public stream told a price."""

    stream_id: str
    price: Decimal
    at: datetime


@dataclass(frozen=True, slots=True)
class BarTold:
    """A public stream told at `at` how a bar stands; is_closed is None where it never says."""

    stream_id: str
    word: str
    bar: Bar
    is_closed: bool | None
    at: datetime


Told: TypeAlias = Traded | BarTold


@dataclass(frozen=True, slots=True)
class Rung:
    """A private stream named orders of ours; tag says whose stream it was."""

    tag: str
    order_ids: tuple[OrderId, ...]


@dataclass(frozen=True, slots=True)
class Joined:
    """A private stream has accepted an account."""

    tag: str


@dataclass(frozen=True, slots=True)
class Left:
    """A private stream does not serve an account, or no longer does; why is for the log.

    begin_anew: only a new connection can help.
    """

    tag: str
    why: str
    begin_anew: bool = False


Bell: TypeAlias = Rung | Joined | Left


@dataclass(slots=True)
class StreamNotes:
    """What a dialect remembers while one connection lasts: the venue's number to our tag."""

    tags: dict[str, str] = field(default_factory=dict)


class Dialect(Protocol):
    """One venue's protocol."""

    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str:
        """How people write the venue's name."""

    @property
    def modes(self) -> tuple[Mode, ...]: ...
    @property
    def ccxt_options(self) -> Mapping[str, Any]:
        """ccxt's options for reading the spot markets and nothing else."""

    @property
    def timing(self) -> VenueTiming: ...
    @property
    def timeframes(self) -> Mapping[timedelta, str]:
        """The venue's names of the timeframes it has."""

    @property
    def bars_page(self) -> int:
        """How many bars one answer holds at most."""

    @property
    def signs_sent_at(self) -> bool:
        """Whether the time of signing fences an order; where not, its call says until when."""

    @property
    def counts_requests(self) -> bool:
        """Whether what a key signs must carry ever greater numbers, and arrive in that order."""

    @property
    def market_costs(self) -> Mapping[str, float]:
        """What one request for the list of markets costs."""

    # ------------------------------------------------------------- the wire

    def addresses(self, mode: Mode) -> Addresses: ...
    def sign(self, call: Call, url: str, credentials: Credentials, stamp: int) -> Wire:
        """Return the request as it goes out. stamp: milliseconds, or the number to count by."""

    def read(self, answer: Answer) -> Outcome: ...

    # --------------------------------------------------------------- public

    def listing(self, symbol: Symbol, market: Mapping[str, Any]) -> Listing: ...
    def server_time(self) -> Call: ...
    def time_of(self, payload: Any) -> datetime: ...
    async def bars(
        self, errand: Errand, followed: Followed, until: datetime, count: int
    ) -> Sequence[Bar]:
        """Return the latest bars that opened at or before until, oldest first, one page."""

    async def last_price(self, errand: Errand, listing: Listing) -> Decimal:
        """Return the price of the last trade, zero when there never was one."""

    # --------------------------------------------------------------- orders

    def create(self, order: Order, listing: Listing) -> Call: ...
    def created(self, payload: Any, order: Order, listing: Listing) -> str:
        """Return the new order's id; ValueError and the like unless this order was taken."""

    def cancel(self, order: Order, listing: Listing) -> Call: ...
    async def find(self, errand: Errand, order: Order, listing: Listing) -> OrderReport | None:
        """Return the venue's word on an order; None when all its sources say there is none."""

    async def trades_of(
        self, errand: Errand, order: Order, listing: Listing, venue_order_id: str
    ) -> Sequence[VenueTrade]: ...
    async def open_orders(
        self, errand: Errand, listings: Sequence[Listing]
    ) -> Sequence[VenueOrder]: ...
    async def orders_since(
        self, errand: Errand, listings: Sequence[Listing], since: datetime
    ) -> Sequence[VenueOrder]: ...
    async def trades_since(
        self, errand: Errand, listings: Sequence[Listing], since: datetime
    ) -> Sequence[VenueTrade]: ...
    async def balances(self, errand: Errand) -> Mapping[str, Decimal]:
        """Return all of every asset, what is locked in orders too."""

    async def statement(
        self, errand: Errand, listings: Sequence[Listing], since: datetime, until: datetime
    ) -> VenueStatement:
        """Return all changes of the account's money in that time; more around it does no harm."""

    @property
    def ledger_right(self) -> str:
        """What the right to read the ledger is called on the venue's page of keys."""

    async def rights(self, errand: Errand, mode: Mode) -> KeyReport:
        """Return what a key may do and what the account has; VenueSaid when it is refused."""

    # -------------------------------------------------------------- streams

    @property
    def topics_per_stream(self) -> int:
        """How many Followed one public connection carries at most."""

    @property
    def accounts_per_stream(self) -> int:
        """How many accounts one private connection carries at most."""

    @property
    def join_costs(self) -> Mapping[str, float]: ...
    @property
    def ping(self) -> str:
        """What keeps a connection open, "" where frames of the protocol do."""

    def subscribe(self, followed: Sequence[Followed]) -> Sequence[str]: ...
    def told(self, message: Any) -> Iterable[Told]: ...
    async def join(
        self, errand: Errand, credentials: Credentials, tag: str, stamp: int
    ) -> Sequence[str]:
        """Return what is said on a private connection so that it tells of an account."""

    def leave(self, tag: str, notes: StreamNotes) -> Sequence[str]:
        """Return what is said so that a private connection no longer tells of an account."""

    def bell(self, message: Any, notes: StreamNotes) -> Iterable[Bell]:
        """Return what a private message rings for; a tag of "" means all on its connection."""
