"""A real venue's account as far as its lists and balances go: others trade in it, too."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from tests.makers import BTC, Number
from tests.runtime.live_rig import (
    ALICE,
    Ground,
    Link,
    Running,
    Venue,
    listed,
    quiet,
    traded,
)
from tradefleet.domain.ids import AccountId, FillId, UserId
from tradefleet.domain.ledger import Balances, LedgerEntry
from tradefleet.domain.limits import Halt, Scope
from tradefleet.domain.market import Side, Symbol
from tradefleet.domain.order import Fill, Order
from tradefleet.domain.statement import (
    EntryKind,
    VenueEntry,
    VenueStatement,
    entries_of_trade,
)
from tradefleet.domain.user import ExternalChanges
from tradefleet.venue import VenueOrder, VenueTrade

HERE = AccountId("alice:paper")


class RealLink(Link):
    """One account at a venue where its user trades as well.

    holdings is the venue's own book; anonymous: trades are listed without the names of their
    orders; silent: no bell rings; twice: every trade is listed twice, the latest first.
    """

    is_simulated = False

    def __init__(self, ground: Ground, *given: Any) -> None:
        super().__init__(*given)
        self.ground = ground
        self.holdings: dict[str, Decimal] = {"USDT": Decimal(1000)}
        self.strangers: list[VenueOrder] = []
        self.foreign: list[VenueTrade] = []
        self.dealt: list[VenueTrade] = []  # by others, listed or not: the ledger has them all
        self.anonymous = self.silent = self.twice = False
        self.balance_calls = 0
        self.payments: list[VenueEntry] = []
        self.statements = 0
        self.statement_error: Exception | None = None
        self.hidden: tuple[str, ...] = ()
        self.numbers = itertools.count(1)

    # ------------------------------------------------------------ what is listed

    async def open_orders(self, symbols: Sequence[Symbol]) -> Sequence[VenueOrder]:
        found = await super().open_orders(symbols)
        return [*found, *(order for order in self.strangers if order.is_open)]

    async def orders_since(
        self, symbols: Sequence[Symbol], since: datetime, *, in_doubt: bool = False
    ) -> Sequence[VenueOrder]:
        self._list("orders_since")
        found = [*(listed(each) for each in self.orders.values()), *self.strangers]
        return [each for each in found if each.created_at >= since and each.symbol in symbols]

    async def trades_since(
        self, symbols: Sequence[Symbol], since: datetime, *, in_doubt: bool = False
    ) -> Sequence[VenueTrade]:
        own = await super().trades_since(symbols, since)
        found = [*own, *(t for t in self.foreign if t.at >= since and t.symbol in symbols)]
        if self.anonymous:
            found = [replace(trade, client_id="") for trade in found]
        found.sort(key=lambda trade: trade.at, reverse=self.twice)
        return found * 2 if self.twice else found

    async def balances(self) -> Mapping[str, Decimal]:
        self._list("balances")
        self.balance_calls += 1
        return {asset: amount for asset, amount in self.holdings.items() if amount}

    async def statement(
        self, symbols: Sequence[Symbol], since: datetime, until: datetime
    ) -> VenueStatement:
        """Return what moved holdings, whoever moved them."""
        self.statements += 1
        if self.statement_error is not None:
            raise self.statement_error
        every = [traded(each, fill) for each in self.orders.values() for fill in each.fills]
        trades = [each for each in every if each.symbol in symbols]
        entries = [*self.payments, *(e for t in [*trades, *self.dealt] for e in moved_by(t))]
        return VenueStatement(tuple(e for e in entries if since <= e.at <= until), self.hidden)

    # ------------------------------------------------------------ what happens there

    async def fill(
        self,
        order: Order,
        price: Number,
        quantity: Number | None = None,
        at: datetime | None = None,
    ) -> None:
        news, self.news = self.news, (lambda _: None) if self.silent else self.news
        await super().fill(order, price, quantity, at or self.ground.clock.now())
        self.news = news
        self._book(self.orders[order.id].fills[-1])

    def _book(self, fill: Fill) -> None:
        sign = fill.side.sign
        self._move(fill.symbol.base, sign * fill.quantity)
        self._move(fill.symbol.quote, -sign * fill.cost)
        self._move(fill.fee_asset, -fill.fee)

    def change(self, asset: str, amount: Number, kind: EntryKind = EntryKind.DEPOSIT) -> None:
        """Let money come in, or go out."""
        self._move(asset, amount)
        entry = VenueEntry(
            id=f"L{next(self.numbers)}",
            kind=kind,
            asset=asset,
            amount=Decimal(amount),
            at=self.ground.clock.now(),
        )
        self.payments.append(entry)

    def _move(self, asset: str, amount: Number) -> None:
        self.holdings[asset] = self.holdings.get(asset, Decimal(0)) + Decimal(amount)

    def trade(
        self,
        side: Side,
        quantity: Number,
        price: Number = 100,
        symbol: Symbol = BTC,
        client_id: str = "",
        is_listed: bool = True,
    ) -> VenueTrade:
        """Let somebody else trade in the account."""
        number, now = next(self.numbers), self.ground.clock.now()
        amount = Decimal(quantity)
        trade = VenueTrade(
            id=FillId(f"X{number}"),
            venue_order_id=f"XO{number}",
            client_id=client_id,
            symbol=symbol,
            side=side,
            quantity=amount,
            price=Decimal(price),
            cost=amount * Decimal(price),
            fee=Decimal("0.1"),
            fee_asset="USDT",
            at=now,
        )
        self.strangers.append(self.stranger(client_id, trade.venue_order_id, side, amount, amount))
        self.dealt.append(trade)
        if is_listed:
            self.foreign.append(trade)
        self._move(symbol.base, side.sign * amount)
        self._move(symbol.quote, -side.sign * trade.cost - trade.fee)
        return trade

    def stranger(
        self,
        client_id: str,
        number: str,
        side: Side = Side.BUY,
        quantity: Decimal = Decimal(1),
        filled: Decimal = Decimal(0),
        symbol: Symbol = BTC,
    ) -> VenueOrder:
        return VenueOrder(
            venue_order_id=number,
            client_id=client_id,
            symbol=symbol,
            side=side,
            quantity=quantity,
            filled=filled,
            is_open=filled < quantity,
            created_at=self.ground.clock.now(),
        )


def moved_by(trade: VenueTrade) -> list[VenueEntry]:
    """Return a trade's rows in the venue's ledger."""
    return list(
        entries_of_trade(
            trade_id=trade.id,
            order_id=trade.venue_order_id,
            symbol=trade.symbol,
            side=trade.side,
            quantity=trade.quantity,
            cost=trade.cost,
            fee=trade.fee,
            fee_asset=trade.fee_asset,
            at=trade.at,
        )
    )


class RealVenue(Venue):
    """A venue of such accounts."""

    ground: Ground

    async def link(self, account: Any, news: Any) -> Any:
        if account.id not in self.links:
            self.links[account.id] = RealLink(self.ground, news, self.timing)
        return await super().link(account, news)


async def real_ground(*users: UserId) -> Ground:
    """Return a ground whose users have accounts at a real venue, each with one running bot."""
    ground = Ground.new()
    ground.venue = RealVenue(ground.market, ground.venue.timing)
    ground.venue.ground = ground
    await ground.join(*(users or (ALICE,)))
    return ground


@asynccontextmanager
async def watched(ground: Ground, owner: str = "host-1") -> AsyncIterator[Running]:
    """Run a host whose accounts are held against the venue; then it is as if it were killed."""
    async with ground.host(owner) as running, asyncio.TaskGroup() as tasks:
        rounds = tasks.create_task(running.node.reconciliation.run())
        await quiet()
        try:
            yield running
        finally:
            rounds.cancel()
            for user in running.host.users.values():
                user.gone = True  # or the host would wait for look-ups that are to come
    await ground.store.release_leases(owner)


# ------------------------------------------------------------------- what is stored


async def entries(ground: Ground, kind: str = "", user: UserId = ALICE) -> list[LedgerEntry]:
    async with ground.store.open(user, reading=True) as store:
        return [e for e in await store.entries() if kind in ("", e.kind)]


async def books(ground: Ground, user: UserId = ALICE) -> Balances:
    balances = Balances()
    for entry in await entries(ground, user=user):
        balances.book(entry)
    return balances


async def halt_of(ground: Ground, account: AccountId = HERE) -> Halt:
    """Return what the account's own switch says."""
    async with ground.store.open(ALICE, reading=True) as store:
        for switch in await store.switches():
            if switch.scope is Scope.ACCOUNT and switch.scope_id == account:
                return switch.halt
    return Halt.RUN


async def policy(ground: Ground, changes: ExternalChanges, running: Running | None = None) -> None:
    """Choose what is done about what others do in the account."""
    async with ground.store.open(ALICE) as store:
        (account,) = await store.accounts()
        account = replace(account, external_changes=changes)
        await store.save_account(account)
    if running is not None:
        running.user().accounts[HERE] = account


async def agrees(ground: Ground, user: UserId = ALICE) -> None:
    """Check that the ledger says what the venue has, and that no money has appeared."""
    found = await books(ground, user)
    totals = {asset: amount for asset, amount in found.account_totals().items() if amount}
    there = {a: n for a, n in ground.link(user).holdings.items() if n}
    assert totals == there
    assert not any(found.everything().values())
