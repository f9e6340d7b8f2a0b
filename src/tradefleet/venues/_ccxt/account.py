"""One account at a venue: its orders, fills and balances, through its own signed requests."""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial

from tradefleet.domain.credentials import KeyFault
from tradefleet.domain.errors import (
    BrokenInvariant,
    OutcomeUnknown,
    VenueRejected,
    VenueUnavailable,
)
from tradefleet.domain.ids import OrderId
from tradefleet.domain.market import Symbol
from tradefleet.domain.order import (
    CancelState,
    Fill,
    Order,
    OrderKind,
    OrderReport,
    OrderState,
    Purpose,
)
from tradefleet.domain.statement import VenueStatement
from tradefleet.domain.values import changed
from tradefleet.engine.pace import Priority
from tradefleet.venue import StatementNotPossible, VenueOrder, VenueTiming, VenueTrade
from tradefleet.venues._ccxt.amounts import UNREADABLE, to_ms, understanding
from tradefleet.venues._ccxt.calls import Done, Garbled, KeyFailed, Said
from tradefleet.venues._ccxt.dialect import Errand
from tradefleet.venues._ccxt.environment import Asker, refuses_number
from tradefleet.venues._ccxt.listings import Listing
from tradefleet.venues._ccxt.valuation import Valuation

ORDER_SECONDS = 8.0  # until an order's answer is given up: it is refused by then, or taken
UNDER_WAY = frozenset({OrderState.SENDING, OrderState.UNKNOWN, OrderState.OPEN, OrderState.CLOSING})
REMEMBERED_MAX = 500  # orders of one account whose id at the venue is remembered


@dataclass(slots=True, kw_only=True, eq=False)
class CcxtLink:
    """One account's link. leave is called once, when the link is closed.

    open_ids: orders that may be open, for whoever rings when the stream was away; the ids of
    orders at the venue are remembered, for their executions are asked for by them.
    """

    asker: Asker
    valuation: Valuation
    leave: Callable[[], None] = lambda: None
    open_ids: dict[OrderId, None] = field(default_factory=dict)
    _venue_ids: OrderedDict[OrderId, str] = field(default_factory=OrderedDict)

    @property
    def timing(self) -> VenueTiming:
        return self.asker.environment.dialect.timing

    @property
    def is_simulated(self) -> bool:
        return False

    @property
    def rests_stops(self) -> bool:
        return True

    @property
    def numbers_ahead(self) -> int:
        return self.asker.numbers_ahead

    @property
    def _title(self) -> str:
        return self.asker.environment.dialect.title

    # --------------------------------------------------------------- orders

    async def submit(self, order: Order) -> str:
        """Send the order once, signed with the time that was written down, and never again."""
        environment, title = self.asker.environment, self._title
        sent_at, deadline = order.sent_at, order.deadline
        if sent_at is None or deadline is None:
            raise BrokenInvariant(f"order {order.id} is sent without having been armed")
        if environment.skew is not None:
            off = environment.skew.total_seconds()
            raise VenueUnavailable(f"our clock is {off:.1f} s off {title}'s; nothing was sent")
        listing = await environment.known(order.symbol)
        call = environment.dialect.create(order, listing)
        self._note(order.id, "", is_open=True)
        outcome = await self.asker.send(
            priority_of(order),
            call,
            stamp=to_ms(sent_at) if environment.dialect.signs_sent_at else None,
            check=partial(self._in_time, deadline),
            seconds=ORDER_SECONDS,
            patience=max(0.0, self._left(deadline).total_seconds()),
        )
        match outcome:
            case Done(payload):
                try:
                    made = environment.dialect.created(payload, order, listing)
                except UNREADABLE as error:
                    kind = type(error).__name__
                    raise OutcomeUnknown(f"{title}: its answer names no order ({kind})") from None
                self._note(order.id, made, is_open=True)
                return made
            case Said(refused=True) if not self._may_be_of_a_copy(outcome):
                self._note(order.id, "", is_open=False)
                raise VenueRejected(str(outcome))
            case Said():
                raise OutcomeUnknown(f"{title}: {outcome}")
            case Garbled(what):
                raise OutcomeUnknown(f"{title}: {what}")

    def _may_be_of_a_copy(self, outcome: Said) -> bool:
        """Say whether a venue that counts requests may have refused a copy of one it carried out.

        Whatever on the way sends a request again passes on the answer to the last: too small a
        number. That proves nothing about the first.
        """
        return self.asker.environment.dialect.counts_requests and refuses_number(outcome)

    def _left(self, deadline: datetime) -> timedelta:
        """Return how long an order may still wait here."""
        return deadline - self.timing.margin - self.asker.environment.clock.now()

    def _in_time(self, deadline: datetime) -> None:
        """Refuse to send what the venue would get too late."""
        if self._left(deadline) <= timedelta(0):
            raise VenueUnavailable("its turn came too late; nothing was sent")

    def _note(self, order_id: OrderId, venue_order_id: str, *, is_open: bool) -> None:
        """Remember an order's id at the venue, and whether it may be open."""
        if is_open:
            self.open_ids[order_id] = None
        else:
            self.open_ids.pop(order_id, None)
        if venue_order_id:
            self._venue_ids[order_id] = venue_order_id
            self._venue_ids.move_to_end(order_id)
        while len(self._venue_ids) > REMEMBERED_MAX:
            self._venue_ids.popitem(last=False)
        while len(self.open_ids) > REMEMBERED_MAX:
            del self.open_ids[next(iter(self.open_ids))]

    async def cancel(self, order: Order) -> None:
        environment = self.asker.environment
        listing = await environment.known(order.symbol)
        call = environment.dialect.cancel(order, listing)
        outcome = await self.asker.send(Priority.CANCEL, call, seconds=ORDER_SECONDS)
        match outcome:
            case Done():
                return
            case Said(refused=refused, absent=absent) if refused or absent:
                raise VenueRejected(str(outcome))
            case _:
                raise OutcomeUnknown(f"{self._title}: {outcome}")

    async def look_up(self, order: Order) -> OrderReport | None:
        listing, errand = await self._errand(order)
        if not order.venue_order_id:
            order = changed(order, venue_order_id=self._venue_ids.get(order.id, ""))
        with understanding(self._title, "an order"):
            report = await self.asker.environment.dialect.find(errand, order, listing)
        if report is not None:
            self._note(order.id, report.venue_order_id, is_open=report.is_open)
        return report

    async def fills_of(self, order: Order) -> Sequence[Fill]:
        """Return the order's executions; its id at the venue is looked up where it is not known."""
        known = order.venue_order_id or self._venue_ids.get(order.id)
        if not known:
            report = await self.look_up(order)
            if report is None:
                return ()
            known = report.venue_order_id
        listing, errand = await self._errand(order)
        with understanding(self._title, "executions"):
            trades = await self.asker.environment.dialect.trades_of(errand, order, listing, known)
        return [await self._fill(order, trade) for trade in trades]

    async def _fill(self, order: Order, trade: VenueTrade) -> Fill:
        return Fill(
            id=trade.id,
            order_id=order.id,
            symbol=trade.symbol,
            side=trade.side,
            quantity=trade.quantity,
            price=trade.price,
            cost=trade.cost,
            fee=trade.fee,
            fee_asset=trade.fee_asset,
            fee_quote=await self.valuation.fee_in_quote(trade),
            filled_at=trade.at,
        )

    async def _errand(self, order: Order) -> tuple[Listing, Errand]:
        environment = self.asker.environment
        listing = await environment.known(order.symbol)
        return listing, self.asker.errand(look_up_priority(order), await environment.book())

    # ---------------------------------------------------------------- lists

    async def open_orders(self, symbols: Sequence[Symbol]) -> Sequence[VenueOrder]:
        listings, errand = await self._errands(symbols)
        with understanding(self._title, "open orders"):
            return await self.asker.environment.dialect.open_orders(errand, listings)

    async def orders_since(
        self, symbols: Sequence[Symbol], since: datetime, *, in_doubt: bool = False
    ) -> Sequence[VenueOrder]:
        listings, errand = await self._errands(symbols, in_doubt=in_doubt)
        with understanding(self._title, "orders"):
            return await self.asker.environment.dialect.orders_since(errand, listings, since)

    async def trades_since(
        self, symbols: Sequence[Symbol], since: datetime, *, in_doubt: bool = False
    ) -> Sequence[VenueTrade]:
        listings, errand = await self._errands(symbols, in_doubt=in_doubt)
        with understanding(self._title, "executions"):
            found = await self.asker.environment.dialect.trades_since(errand, listings, since)
        return sorted(found, key=lambda trade: (trade.at, trade.id))

    async def _errands(
        self, symbols: Sequence[Symbol], *, in_doubt: bool = False
    ) -> tuple[list[Listing], Errand]:
        environment = self.asker.environment
        listings = [await environment.known(symbol) for symbol in dict.fromkeys(symbols)]
        priority = Priority.PROTECTIVE if in_doubt else Priority.RECONCILIATION
        return listings, self.asker.errand(priority, await environment.book())

    async def balances(self) -> Mapping[str, Decimal]:
        errand = self.asker.errand(Priority.READ, await self.asker.environment.book())
        with understanding(self._title, "balances"):
            return await self.asker.environment.dialect.balances(errand)

    async def statement(
        self, symbols: Sequence[Symbol], since: datetime, until: datetime
    ) -> VenueStatement:
        """Ask for the ledger when nobody else wants to ask; symbols of the past are left out."""
        environment = self.asker.environment
        dialect, book = environment.dialect, await environment.book()
        listings = [
            book.by_symbol[each] for each in dict.fromkeys(symbols) if each in book.by_symbol
        ]
        try:
            with understanding(self._title, "the ledger"):
                errand = self.asker.errand(Priority.READ, book)
                told = await dialect.statement(errand, listings, since, until)
        except KeyFailed as failed:
            if failed.fault is not KeyFault.PERMISSION:
                raise
            lacking = f"the key lacks the right “{dialect.ledger_right}”"
            raise StatementNotPossible(lacking) from None
        inside = (entry for entry in told.entries if since <= entry.at <= until)
        return VenueStatement(tuple(sorted(inside, key=lambda e: (e.at, e.id))), told.hidden)

    async def fund(self, deposited: Mapping[str, Decimal]) -> None:
        pass  # a real account has what it has

    async def close(self) -> None:
        self.leave()


def look_up_priority(order: Order) -> Priority:
    """Return who a look-up lets go first: what comes after an order that is under way waits for it.

    An exit waits for the stop before it to be cancelled, a stop for the entry's fills, and an
    unknown order blocks its symbol.
    """
    if order.cancel is not CancelState.NONE:
        return Priority.CANCEL
    return Priority.PROTECTIVE if order.state in UNDER_WAY else Priority.RECONCILIATION


def priority_of(order: Order) -> Priority:
    """Return who an order lets go first when the venue's rate is short."""
    if order.kind is OrderKind.RESTING_STOP:
        return Priority.PROTECTIVE
    return Priority.EXIT if order.purpose is Purpose.EXIT else Priority.ENTRY
