"""What a venue is: a public side everybody shares, and a private side per account."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol, TypeAlias

from tradefleet.domain.ids import OrderId
from tradefleet.domain.market import Bar, Quote, Stream, Symbol, TradingRules
from tradefleet.domain.order import Fill, Order


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


@dataclass(frozen=True, slots=True)
class OrderReport:
    """What the venue says of one order: filled is its total in base."""

    venue_order_id: str
    is_open: bool
    filled: Decimal


class AccountLink(Protocol):
    """The private side of a venue: one account's own orders, fills and balances."""

    async def submit(self, order: Order) -> str:
        """Send the order once and return the venue's id for it.

        Raise VenueRejected (proven), OutcomeUnknown (anything else). Never retries.
        """

    async def cancel(self, order: Order) -> None: ...
    async def look_up(self, order: Order) -> OrderReport | None:
        """Return the venue's word on an order, None when a clean look-up did not find it.

        Raise VenueUnavailable when the look-up itself failed: that is no evidence.
        """

    async def fills_of(self, order: Order) -> Sequence[Fill]: ...
    async def balances(self) -> dict[str, Decimal]: ...
    def changed(self) -> AsyncIterator[OrderId]:
        """Yield ids of orders about which there is news; a bell, not the truth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueSpec:
    """How to list a venue: name, and what must be given to connect an account."""

    name: str
    summary: str
    needs_keys: bool
