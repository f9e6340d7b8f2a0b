"""What a venue is: a public side everybody shares, and a private link per account."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol, TypeAlias

from tradefleet.domain.ids import OrderId
from tradefleet.domain.market import Bar, Quote, Stream, Symbol, TradingRules
from tradefleet.domain.order import Fill, Order
from tradefleet.domain.order import OrderReport as OrderReport
from tradefleet.domain.user import Account


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
    """

    deadline: timedelta = timedelta(seconds=5)
    visibility: timedelta = timedelta(seconds=3)
    grace: timedelta = timedelta(seconds=15)
    negatives: int = 3


class AccountLink(Protocol):
    """The private side of a venue: one account's own orders, fills and balances."""

    @property
    def timing(self) -> VenueTiming: ...

    async def submit(self, order: Order) -> str:
        """Send the order once and return the venue's id for it. Never retries.

        Raise VenueRejected (proven) or OutcomeUnknown (anything else).
        """

    async def cancel(self, order: Order) -> None:
        """Ask the venue to cancel; only a look-up says what became of it."""

    async def look_up(self, order: Order) -> OrderReport | None:
        """Return the venue's word on an order, None when a clean look-up did not find it.

        Raise VenueUnavailable when the look-up itself failed: that is no evidence.
        """

    async def fills_of(self, order: Order) -> Sequence[Fill]: ...
    async def balances(self) -> Mapping[str, Decimal]: ...
    async def fund(self, deposited: Mapping[str, Decimal]) -> None:
        """Bring a paper account's deposits up to these totals; a real venue ignores it."""


class Venue(Protocol):
    """An opened venue."""

    @property
    def market(self) -> MarketData: ...
    async def link(self, account: Account, news: Callable[[OrderId], None]) -> AccountLink:
        """Open an account; news is called with an order's id when there is something new.

        It is a bell, not the truth: whoever hears it looks the order up.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueSpec:
    """How to list a venue, and whether an account there is connected with keys."""

    name: str
    summary: str
    needs_keys: bool
