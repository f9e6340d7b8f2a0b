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

from tradefleet.domain.errors import VenueRejected
from tradefleet.domain.ids import AccountId, OrderId
from tradefleet.domain.market import Bar, Stream, Symbol, TradingRules
from tradefleet.domain.money import ZERO
from tradefleet.domain.order import Fill, Order, OrderKind, OrderReport
from tradefleet.domain.user import Account
from tradefleet.runtime.group_commit import GroupCommit
from tradefleet.simulation.paper_book import Costs, PaperBook, PaperOrder
from tradefleet.store import PaperBooks, PaperChange
from tradefleet.venue import MarketData, MarketEvent, PriceSeen, VenueSpec, VenueTiming

VENUE = VenueSpec(
    name="paper",
    summary="Live prices, pretended orders; needs no keys.",
    needs_keys=False,
)

DEPOSITED = "deposited:"  # balances under this prefix count what was ever paid in
TIMING = VenueTiming(  # a request cannot outlive its process: absence is certain at once
    deadline=timedelta(0), visibility=timedelta(0), grace=-timedelta.resolution, negatives=1
)


@dataclass(slots=True, eq=False)
class OpenAccount:
    """A paper account that somebody has a link to."""

    book: PaperBook
    news: Callable[[OrderId], None]
    taken: dict[OrderId, Decimal] = field(default_factory=dict)  # of this bar's volume


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
        """Open an account from the venue's books; orders that waited go on waiting."""
        state = await self.books.load(account.id)
        book = PaperBook()
        if state is not None:
            waiting = {paper.order.id: paper for paper in state.open_orders}
            book = PaperBook(dict(state.balances), waiting, state.number)
        self.accounts[account.id] = OpenAccount(book, news)
        for order_id, paper in book.waiting.items():
            await self.rules(paper.order.symbol)
            self.waiting[paper.order.symbol][order_id] = account.id
        return PaperLink(self, account.id)

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

    def new_bar(self, symbol: Symbol) -> None:
        """A bar begins: its volume is there to be taken."""
        for account_id in self.waiting[symbol].values():
            self.accounts[account_id].taken.clear()

    async def trade(
        self, symbol: Symbol, price: Decimal, at: datetime, *, volume: Decimal | None = None
    ) -> None:
        """The symbol trades at price: everything that waits is filled there."""
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
        """Fill orders, write the books down, then ring the bells."""
        changes: dict[AccountId, PaperChange] = {}
        bells: list[tuple[OpenAccount, OrderId]] = []
        for order_id, price in due:
            account_id = self.waiting[symbol][order_id]
            account = self.accounts[account_id]
            taken = account.taken.get(order_id, ZERO)
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
            if not paper.open:
                del self.waiting[symbol][order_id]
            if fill is not None:
                account.taken[order_id] = taken + fill.quantity
            changes[account_id] = merged(
                changes.get(account_id), self._change(account_id, paper, fill)
            )
            bells.append((account, order_id))
        for change in changes.values():
            self.commits.add(change, lambda _: None)
        if bells:
            await self.commits.flushed()
        for account, order_id in bells:
            account.news(order_id)

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

    async def balances(self) -> Mapping[str, Decimal]:
        held = self.venue.accounts[self.account_id].book.balances
        return {asset: amount for asset, amount in held.items() if DEPOSITED not in asset}

    async def fund(self, deposited: Mapping[str, Decimal]) -> None:
        await self.venue.fund(self.account_id, deposited)
