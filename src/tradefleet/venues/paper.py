"""The paper venue: real prices, pretended orders. No keys, its own durable books.

Orders fill at the next price after they arrive. Like any venue it remembers by itself: its
books are written in transactions of their own, and after a crash the service has to ask it
what became of an order.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial

from tradefleet.domain.credentials import Credentials, KeyFault, KeyRefused, KeyReport
from tradefleet.domain.errors import VenueRejected
from tradefleet.domain.ids import AccountId, OrderId
from tradefleet.domain.market import Bar, Stream, Symbol, TradingRules
from tradefleet.domain.money import ZERO
from tradefleet.domain.order import Fill, Order, OrderKind, OrderReport
from tradefleet.domain.statement import VenueStatement, entries_of_trade
from tradefleet.domain.user import Account, Mode
from tradefleet.runtime.group_commit import GroupCommit
from tradefleet.simulation.paper_book import Costs, PaperBook, PaperOrder
from tradefleet.store import PaperAccountState, PaperBooks, PaperChange
from tradefleet.venue import (
    MarketData,
    MarketEvent,
    PriceSeen,
    VenueOrder,
    VenueSpec,
    VenueTiming,
    VenueTrade,
)

VENUE = VenueSpec(
    name="paper",
    summary="Live prices, pretended orders; needs no keys.",
    needs_keys=False,
)

DEPOSITED = "deposited:"  # balances under this prefix count what was ever paid in
UNDATED = ("what was paid in",)
TIMING = VenueTiming(  # a request cannot outlive its process: absence is certain at once
    deadline=timedelta(0), visibility=timedelta(0), grace=-timedelta.resolution, negatives=1
)


@dataclass(slots=True, eq=False)
class OpenAccount:
    """A paper account that somebody has a link to.

    taken: how much of the latest bar's volume an order had, and when that bar began.
    """

    book: PaperBook
    news: Callable[[OrderId], None]
    taken: dict[OrderId, tuple[datetime, Decimal]] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True, eq=False)
class PaperVenue:
    """All paper accounts of this process, on one market.

    commits must be running; rules_for, when given, overrides the market's rules (replay).
    """

    source: MarketData
    books: PaperBooks
    commits: GroupCommit[PaperChange, None]
    costs: Costs = Costs()
    fee: Decimal | None = None
    accounts: dict[AccountId, OpenAccount] = field(default_factory=dict)
    waiting: defaultdict[Symbol, dict[OrderId, AccountId]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    known_rules: dict[Symbol, TradingRules] = field(default_factory=dict)

    @property
    def market(self) -> MarketData:
        return self

    async def link(self, account: Account, news: Callable[[OrderId], None]) -> "PaperLink":
        """Open an account from the venue's books; orders that waited go on waiting.

        One that is open here already is taken over as it stands, unless another process has
        written to its books since.
        """
        state = await self.books.load(account.id)
        number = state.number if state is not None else 0
        known = self.accounts.get(account.id)
        if known is not None and known.book.number >= number:
            known.news = news
        else:
            await self._open(account.id, state, news)
        return PaperLink(self, account.id)

    async def _open(
        self,
        account_id: AccountId,
        state: PaperAccountState | None,
        news: Callable[[OrderId], None],
    ) -> None:
        opened = OpenAccount(PaperBook(), news)
        if state is not None:
            waiting = {paper.order.id: paper for paper in state.open_orders}
            opened.book = PaperBook(dict(state.balances), waiting, state.number)
        for order_id, paper in opened.book.waiting.items():
            await self.rules(paper.order.symbol)
            if paper.filled:
                fills = await self.books.fills_of(account_id, order_id)
                opened.taken[order_id] = latest_taken(fills)
        for orders in self.waiting.values():
            for order_id in [id for id, owner in orders.items() if owner == account_id]:
                del orders[order_id]
        for order_id, paper in opened.book.waiting.items():
            self.waiting[paper.order.symbol][order_id] = account_id
        self.accounts[account_id] = opened

    async def check_key(self, credentials: Credentials, mode: Mode) -> KeyReport:
        raise KeyRefused(KeyFault.WRONG_MODE, "A paper account needs no key.")

    async def close(self) -> None:
        pass  # the books are the store's

    # -------------------------------------------------------- the public side

    async def rules(self, symbol: Symbol) -> TradingRules:
        rules = self.known_rules.get(symbol)
        if rules is None:
            rules = await self.source.rules(symbol)
            if self.fee is not None:
                rules = replace(rules, fee=self.fee)
            self.known_rules[symbol] = rules
        return rules

    async def history(self, stream: Stream, *, before: datetime, count: int) -> Sequence[Bar]:
        return await self.source.history(stream, before=before, count=count)

    async def events(self, streams: Sequence[Stream]) -> AsyncIterator[MarketEvent]:
        """Pass the source's events on; orders that waited for a price are filled first."""
        async for event in self.source.events(streams):
            if isinstance(event, PriceSeen):
                await self.trade(event.symbol, event.quote.price, event.quote.at)
            yield event

    # -------------------------------------------------------------- matching

    def waits(self, symbol: Symbol) -> bool:
        return bool(self.waiting[symbol])

    async def trade(
        self, symbol: Symbol, price: Decimal, at: datetime, *, volume: Decimal | None = None
    ) -> None:
        """The symbol trades at price: everything that waits is filled there.

        volume is that of the bar which began at `at`.
        """
        due = [(order_id, price) for order_id in self.waiting[symbol]]
        await self._fill(symbol, due, at, volume)

    async def sweep(
        self, symbol: Symbol, to: Decimal, at: datetime, *, kind: OrderKind, volume: Decimal
    ) -> None:
        """The price passes every level on its way to `to`: orders of kind fill at their own."""
        due: list[tuple[OrderId, Decimal]] = []
        for order_id, account_id in self.waiting[symbol].items():
            order = self.accounts[account_id].book.waiting[order_id].order
            if order.kind is not kind or order.price is None:
                continue
            if order.price >= to if kind is OrderKind.STOP else order.price <= to:
                due.append((order_id, order.price))
        await self._fill(symbol, due, at, volume)

    async def _fill(
        self,
        symbol: Symbol,
        due: Sequence[tuple[OrderId, Decimal]],
        at: datetime,
        volume: Decimal | None,
    ) -> None:
        """Fill orders and write the books down; the bells ring once they are written."""
        changes: dict[AccountId, PaperChange] = {}
        for order_id, price in due:
            account_id = self.waiting[symbol][order_id]
            account = self.accounts[account_id]
            since, taken = account.taken.get(order_id, (at, ZERO))
            if at < since:
                continue  # a replay plays again what this venue has behind it
            if at > since:
                taken = ZERO
            share = self.costs.volume_share
            paper, fill = account.book.fill(
                order_id,
                price=price,
                at=at,
                rules=self.known_rules[symbol],
                costs=self.costs,
                most=None if share is None or volume is None else share * volume - taken,
            )
            if fill is None and paper.open:
                continue
            if fill is not None:
                account.taken[order_id] = (at, taken + fill.quantity)
            if not paper.open:
                del self.waiting[symbol][order_id]
                account.taken.pop(order_id, None)
            changes[account_id] = merged(
                changes.get(account_id), self._change(account_id, paper, fill)
            )
        for change in changes.values():
            self.commits.add(change, partial(self._ring, change))
        if changes:
            await self.commits.flushed()

    def _ring(self, change: PaperChange, _: None) -> None:
        """Tell whoever has the account open now, even if whoever moved the market is gone."""
        for paper in change.orders:
            self.accounts[change.account_id].news(paper.order.id)

    def _change(
        self, account_id: AccountId, paper: PaperOrder | None, fill: Fill | None = None
    ) -> PaperChange:
        book = self.accounts[account_id].book
        return PaperChange(
            account_id=account_id,
            number=book.number,
            orders=() if paper is None else (paper,),
            fills=() if fill is None else (fill,),
            balances=dict(book.balances),
        )

    # -------------------------------------------------------- the private side

    async def submit(self, account_id: AccountId, order: Order) -> str:
        rules = await self.rules(order.symbol)
        paper = self.accounts[account_id].book.submit(order, rules)
        await self.commits.write(self._change(account_id, paper))
        self.waiting[order.symbol][order.id] = account_id
        return paper.venue_order_id

    async def cancel(self, account_id: AccountId, order: Order) -> None:
        paper = self.accounts[account_id].book.cancel(order.id)
        if paper is None:
            raise VenueRejected("unknown order")
        self.waiting[order.symbol].pop(order.id, None)
        await self.commits.write(self._change(account_id, paper))

    async def fund(self, account_id: AccountId, deposited: Mapping[str, Decimal]) -> None:
        book = self.accounts[account_id].book
        for asset, total in deposited.items():
            missing = total - book.balances.get(DEPOSITED + asset, ZERO)
            if missing != ZERO:
                book.credit(asset, missing)
                book.credit(DEPOSITED + asset, missing)
                await self.commits.write(self._change(account_id, None))


def latest_taken(fills: Sequence[Fill]) -> tuple[datetime, Decimal]:
    """Return when an order was filled last, and how much then."""
    at = max(fill.filled_at for fill in fills)
    return at, sum((fill.quantity for fill in fills if fill.filled_at == at), ZERO)


def merged(first: PaperChange | None, second: PaperChange) -> PaperChange:
    """Return two changes of one account as one."""
    if first is None:
        return second
    return replace(second, orders=first.orders + second.orders, fills=first.fills + second.fills)


@dataclass(slots=True, eq=False)
class PaperLink:
    """One account's link to the paper venue."""

    venue: PaperVenue
    account_id: AccountId

    @property
    def timing(self) -> VenueTiming:
        return TIMING

    @property
    def is_simulated(self) -> bool:
        return True

    @property
    def rests_stops(self) -> bool:
        return False  # a host holds them: there is no venue that could outlive it

    @property
    def numbers_ahead(self) -> int:
        return 0

    async def submit(self, order: Order) -> str:
        return await self.venue.submit(self.account_id, order)

    async def cancel(self, order: Order) -> None:
        await self.venue.cancel(self.account_id, order)

    async def look_up(self, order: Order) -> OrderReport | None:
        paper = await self.venue.books.order(self.account_id, order.id)
        if paper is None:
            return None
        return OrderReport(paper.venue_order_id, paper.open, paper.filled)

    async def fills_of(self, order: Order) -> Sequence[Fill]:
        return await self.venue.books.fills_of(self.account_id, order.id)

    async def open_orders(self, symbols: Sequence[Symbol]) -> Sequence[VenueOrder]:
        return ()  # nobody but us orders here, and we know what we ordered

    async def orders_since(
        self, symbols: Sequence[Symbol], since: datetime, *, in_doubt: bool = False
    ) -> Sequence[VenueOrder]:
        return ()

    async def trades_since(
        self, symbols: Sequence[Symbol], since: datetime, *, in_doubt: bool = False
    ) -> Sequence[VenueTrade]:
        return ()

    async def balances(self) -> Mapping[str, Decimal]:
        held = self.venue.accounts[self.account_id].book.balances
        return {asset: amount for asset, amount in held.items() if DEPOSITED not in asset}

    async def statement(
        self, symbols: Sequence[Symbol], since: datetime, until: datetime
    ) -> VenueStatement:
        fills = await self.venue.books.fills_between(self.account_id, since, until)
        entries = (
            entry
            for fill in fills
            for entry in entries_of_trade(
                trade_id=fill.id,
                order_id=fill.order_id,
                symbol=fill.symbol,
                side=fill.side,
                quantity=fill.quantity,
                cost=fill.cost,
                fee=fill.fee,
                fee_asset=fill.fee_asset,
                at=fill.filled_at,
            )
        )
        return VenueStatement(tuple(entries), UNDATED)

    async def fund(self, deposited: Mapping[str, Decimal]) -> None:
        await self.venue.fund(self.account_id, deposited)

    async def close(self) -> None:
        pass  # orders that wait go on waiting
