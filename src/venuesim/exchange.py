"""One venue's own truth: accounts, orders, matching and fees; integers, no clock of its own.

The market is the price of the last trade and a spread around it: an order that takes trades
at the far side of the spread, one that waits trades when a price reaches it, at its own
price. Every change is told to the listeners, in order, before the call returns.

What is set apart for an order is rounded up and what a trade costs is rounded down, so that no
order, in however many parts it trades, can cost more than was set apart at its limit.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TypeAlias

from venuesim.clock import Clock
from venuesim.instruments import Instrument
from venuesim.levels import Levels
from venuesim.orders import Kind, Lifetime, NewOrder, Order, Reason, Refusal, Side, Status, Trade
from venuesim.units import UNITS, cut, rounded_up, times

MILLION = 1_000_000
ORDERS_KEPT = 10_000  # of an account; the oldest that ended are forgotten
TRADES_KEPT = 20_000  # of an account


@dataclass(frozen=True, slots=True)
class Ticked:
    """The market traded, whoever did."""

    symbol: str
    price: int
    quantity: int
    buyer_took: bool
    at_ms: int
    number: int  # of this symbol's trades, rising by one


@dataclass(frozen=True, slots=True)
class OrderChanged:
    """An order came, traded, triggered or ended; trade is set when it traded."""

    order: Order
    trade: Trade | None
    what: str  # new, trade, amended, triggered, canceled, expired, rejected


@dataclass(frozen=True, slots=True)
class BalanceChanged:
    """What an account has of an asset changed; cause: order, trade, deposit, withdrawal."""

    account: str
    asset: str
    free: int
    locked: int
    change: int
    cause: str


Happening: TypeAlias = Ticked | OrderChanged | BalanceChanged


@dataclass(slots=True)
class Account:
    """One client's money and orders. fee_asset: pays fees from it while there is some."""

    name: str
    free: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    locked: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    orders: dict[int, Order] = field(default_factory=dict)  # all, oldest first
    live: dict[int, Order] = field(default_factory=dict)
    by_client_id: dict[str, list[Order]] = field(default_factory=lambda: defaultdict(list))
    trades: list[Trade] = field(default_factory=list)
    fee_asset: str = ""
    fee_from: str = "quote"  # quote, received (base of a buy, quote of a sell), or third


@dataclass(slots=True, kw_only=True)
class Exchange:
    """The books of one venue.

    spread: millionths of the price between bid and ask. fill_parts: into how many trades an
    order that takes is split. unique_ids: live (among open orders) or ever. fok_expires: an
    all-or-nothing order that cannot trade is accepted and expires, instead of being refused.
    fills_by_volume: an order that waits at exactly the price others traded at gets no more than
    they traded. depth: how much of a pair can be taken at once, where it is not everything.
    market and fees: what the others, and the venue, have got from the accounts.
    """

    clock: Clock
    instruments: dict[str, Instrument]
    spread: int = 100
    fill_parts: int = 1
    unique_ids: str = "live"
    fee_from: str = "quote"  # of accounts opened from now on
    open_orders_max: int = 200
    fok_expires: bool = False
    fills_by_volume: bool = False
    depth: dict[str, int] = field(default_factory=dict)
    accounts: dict[str, Account] = field(default_factory=dict)
    prices: dict[str, int] = field(default_factory=dict)
    ticks: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    listeners: list[Callable[[Happening], None]] = field(default_factory=list)
    recorders: list[Callable[[Happening], None]] = field(default_factory=list)
    stalled: set[str] = field(default_factory=set)
    market: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    fees: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    _levels: defaultdict[str, Levels] = field(default_factory=lambda: defaultdict(Levels))
    _orders: int = 1000
    _trades: int = 5000
    _lists: int = 0

    # ------------------------------------------------------------ accounts

    def open_account(self, name: str) -> Account:
        return self.accounts.setdefault(name, Account(name, fee_from=self.fee_from))

    def deposit(self, account: str, asset: str, amount: int) -> None:
        """Pay in, or out when below zero; Refusal when it would leave less than nothing."""
        book = self.accounts[account]
        if book.free[asset] + amount < 0:
            raise Refusal(Reason.INSUFFICIENT_BALANCE, asset)
        book.free[asset] += amount
        self._told_balance(book, asset, amount, "deposit" if amount >= 0 else "withdrawal")

    def worth(self, account: str, asset: str) -> int:
        """Return what an account has of an asset, free and locked."""
        book = self.accounts[account]
        return book.free[asset] + book.locked[asset]

    # -------------------------------------------------------------- market

    def bid(self, symbol: str) -> int:
        return self._side_of_spread(symbol, -1)

    def ask(self, symbol: str) -> int:
        return self._side_of_spread(symbol, 1)

    def _side_of_spread(self, symbol: str, sign: int) -> int:
        tick, price = self.instruments[symbol].tick, self.price(symbol)
        away = price * self.spread // (2 * MILLION)
        steps = (price + sign * away) // tick + (1 if sign > 0 and away else 0)
        return max(tick, steps * tick) if away else price

    def price(self, symbol: str) -> int:
        if symbol not in self.instruments:
            raise Refusal(Reason.UNKNOWN_SYMBOL, symbol)
        if symbol not in self.prices:
            raise Refusal(Reason.NO_PRICE, symbol)
        return self.prices[symbol]

    def tick(self, symbol: str, price: int, quantity: int = 0, at_ms: int | None = None) -> None:
        """Let others trade at a price: orders trigger and fill that it reaches."""
        if symbol not in self.instruments:
            raise Refusal(Reason.UNKNOWN_SYMBOL, symbol)
        before = self.prices.get(symbol, price)
        self.prices[symbol] = price
        self.ticks[symbol] += 1
        at = self.clock.now_ms() if at_ms is None else at_ms
        self._tell(Ticked(symbol, price, quantity, price >= before, at, self.ticks[symbol]))
        self._touch(symbol, price, quantity)

    def _touch(self, symbol: str, price: int, quantity: int) -> None:
        levels = self._levels.get(symbol)
        if levels is None:
            return
        for order in levels.reached(price):
            if order.status is Status.WAITING:
                self._trigger(order)
            if order.is_live and order.status is not Status.WAITING:
                quantity -= self._meet(order, price, quantity)

    def _meet(self, order: Order, price: int, offered: int) -> int:
        """Fill an order that waits if the price is at its limit; return what of the offer it took.

        Others at the same price wait in turn; whoever is passed by the price is filled for sure.
        """
        limit = order.request.price
        if price > limit if order.side is Side.BUY else price < limit:
            return 0
        quantity = order.left
        if self.fills_by_volume and price == limit:
            quantity = min(
                quantity, max(0, offered) // order.instrument.step * order.instrument.step
            )
        if quantity:
            self._fill_in_parts(order, limit, quantity, maker=True)
        return quantity if price == limit else 0

    # -------------------------------------------------------------- orders

    def place(self, account: str, request: NewOrder) -> Order:
        """Accept an order and let it trade at once if it can; Refusal leaves no trace."""
        book, instrument = self.accounts[account], self._instrument(request.symbol)
        quantity = self._checked(book, instrument, request)
        order = self._accept(book, instrument, request, quantity)
        self._begin([order])
        return order

    def _begin(self, orders: Sequence[Order]) -> None:
        """Tell of new orders, and let them trade or wait."""
        for order in orders:
            self._told(order, None, "new")
        for order in orders:
            if order.status is Status.OPEN:
                self._match(order)
            elif order.is_live:
                self._wait(order)

    def _wait(self, order: Order) -> None:
        self._levels[order.symbol].add(order)

    def place_oco(self, account: str, legs: Sequence[NewOrder]) -> list[Order]:
        """Accept two orders of which the first to trade cancels the other; one lock for both."""
        book = self.accounts[account]
        names = [leg.client_id for leg in legs if leg.client_id]
        if len(set(names)) < len(names):
            raise Refusal(Reason.DUPLICATE_CLIENT_ID, names[0])
        if len({(leg.symbol, leg.side) for leg in legs}) != 1:
            raise ValueError("the legs of a list trade one pair, on one side")
        if not all(leg.sets_apart for leg in legs):
            raise ValueError("the legs of a list share what is set apart for them")
        if len(book.live) + len(legs) > self.open_orders_max:
            raise Refusal(Reason.TOO_MANY_ORDERS)
        instrument = self._instrument(legs[0].symbol)
        quantities = [self._checked(book, instrument, leg) for leg in legs]
        needs = [
            self._lock_for(book, instrument, leg, quantity)[1]
            for leg, quantity in zip(legs, quantities, strict=True)
        ]
        self._lists += 1
        orders: list[Order] = []
        for leg, quantity, need in zip(legs, quantities, needs, strict=True):
            # The leg that may cost most sets apart enough for any; whichever trades takes it over.
            locks = need == max(needs) and not any(order.locked for order in orders)
            order = self._accept(book, instrument, leg, quantity, locks=locks)
            order.oco = self._lists
            orders.append(order)
        self._begin(orders)
        return orders

    def _instrument(self, symbol: str) -> Instrument:
        instrument = self.instruments.get(symbol)
        if instrument is None:
            raise Refusal(Reason.UNKNOWN_SYMBOL, symbol)
        return instrument

    def test(self, account: str, request: NewOrder) -> None:
        """Check an order as place does, and forget it."""
        self._checked(self.accounts[account], self._instrument(request.symbol), request)

    def stillborn(self, account: str, request: NewOrder, reason: Reason) -> Order:
        """Accept an order and end it at once, for a venue that says yes first and looks later."""
        book, instrument = self.accounts[account], self.instruments[request.symbol]
        request.tags["refused"] = reason.value
        quantity = self._quantity(instrument, request)
        order = self._accept(book, instrument, request, quantity, locks=False)
        self._end(order, Status.CANCELED, "rejected")
        return order

    def amend(
        self, account: str, order: Order, *, quantity: int = 0, price: int = 0, stop_price: int = 0
    ) -> Order:
        """Change what is given of a live order, which keeps its ids; Refusal changes nothing."""
        if order.account != account:
            raise Refusal(Reason.NOT_FOUND)
        if not order.is_live or order.oco:
            raise Refusal(Reason.NOT_LIVE)
        book, instrument = self.accounts[account], order.instrument
        request = replace(
            order.request,
            quantity=quantity or order.quantity,
            quote_quantity=0,
            price=price or order.request.price,
            stop_price=stop_price or order.request.stop_price,
        )
        quantity = self._checked_change(order, request)
        asset, amount = self._lock_for(book, instrument, request, quantity - order.filled)
        holds = order.status is not Status.WAITING or request.holds
        if holds and book.free[asset] + order.locked < amount:
            raise Refusal(Reason.INSUFFICIENT_BALANCE, asset)
        self._levels[order.symbol].remove(order)
        self._release(order)
        order.request, order.quantity, order.updated_ms = request, quantity, self.clock.now_ms()
        if holds:
            self._lock(order)
        self._told(order, None, "amended")
        self._told_balance(book, asset, 0, "order")
        if order.status is Status.WAITING:
            self._wait(order)
        else:
            self._match(order)
        return order

    def _checked_change(self, order: Order, request: NewOrder) -> int:
        instrument = order.instrument
        for value in (request.price, request.stop_price):
            if value % instrument.tick:
                raise Refusal(Reason.BAD_PRICE_TICK)
        quantity = self._quantity(instrument, request)
        if quantity <= order.filled:
            raise Refusal(Reason.QUANTITY_TOO_SMALL, "filled")
        expected = request.price or request.stop_price or self.price(request.symbol)
        if times(quantity, expected) < instrument.notional_min:
            raise Refusal(Reason.NOTIONAL_TOO_SMALL)
        if request.post_only and self._takes(request):
            raise Refusal(Reason.WOULD_TAKE)
        waits = order.status is Status.WAITING
        if waits and self._would_trigger(request, self.price(request.symbol)):
            raise Refusal(Reason.WOULD_TRIGGER)
        return quantity

    def cancel(self, account: str, order: Order, what: str = "canceled") -> Order:
        """Take a live order off the book; with it the other leg of its list."""
        if order.account != account:
            raise Refusal(Reason.NOT_FOUND)
        if not order.is_live:
            raise Refusal(Reason.NOT_LIVE)
        self._end(order, Status.CANCELED, what)
        return order

    def find(
        self, account: str, *, order_id: int | None = None, client_id: str = ""
    ) -> Order | None:
        """Return an account's order by either name; of several with one name, the latest."""
        book = self.accounts[account]
        if order_id is not None:
            return book.orders.get(order_id)
        named = book.by_client_id.get(client_id)
        return named[-1] if named else None

    def _checked(self, book: Account, instrument: Instrument, request: NewOrder) -> int:
        """Return the order's quantity in base; Refusal when the venue would not take it."""
        market = self.price(request.symbol)
        self._check_id(book, request)
        if len(book.live) >= self.open_orders_max:
            raise Refusal(Reason.TOO_MANY_ORDERS)
        for price in (request.price, request.stop_price):
            if price % instrument.tick:
                raise Refusal(Reason.BAD_PRICE_TICK)
        if request.kind.has_limit and request.price <= 0:
            raise Refusal(Reason.BAD_PRICE_TICK, "price")
        if request.kind.triggers and request.stop_price <= 0:
            raise Refusal(Reason.BAD_PRICE_TICK, "stop price")
        quantity = self._quantity(instrument, request)
        expected = request.price or request.stop_price or market
        worth = request.quote_quantity or times(quantity, expected)
        if worth < instrument.notional_min:
            raise Refusal(Reason.NOTIONAL_TOO_SMALL)
        if request.post_only and self._takes(request):
            raise Refusal(Reason.WOULD_TAKE)
        if request.kind.triggers and self._would_trigger(request, market):
            raise Refusal(Reason.WOULD_TRIGGER)
        asset, amount = self._lock_for(book, instrument, request, quantity)
        if request.sets_apart and book.free[asset] < amount:
            raise Refusal(Reason.INSUFFICIENT_BALANCE, asset)
        if self._is_in_vain(request, quantity) and not self.fok_expires:
            raise Refusal(Reason.FOK_UNFILLED)
        return quantity

    def _is_in_vain(self, request: NewOrder, quantity: int) -> bool:
        """Say whether an order wants all at once and cannot have it now."""
        if request.lifetime is not Lifetime.FOK or request.kind is not Kind.LIMIT:
            return False
        return not self._takes(request) or self._offered(request.symbol, quantity) < quantity

    def _check_id(self, book: Account, request: NewOrder) -> None:
        named = book.by_client_id.get(request.client_id) if request.client_id else None
        if named is None:
            return
        # For ever means also after the order itself has been forgotten.
        if self.unique_ids == "ever" or any(order.is_live for order in named):
            raise Refusal(Reason.DUPLICATE_CLIENT_ID, request.client_id)

    def _quantity(self, instrument: Instrument, request: NewOrder) -> int:
        quantity = request.quantity
        if not quantity:  # a market order by quote: what it buys or sells, in whole steps
            price = (
                self.ask(request.symbol) if request.side is Side.BUY else self.bid(request.symbol)
            )
            quantity = request.quote_quantity * UNITS // price
            quantity -= quantity % instrument.step
        if quantity % instrument.step:
            raise Refusal(Reason.BAD_QUANTITY_STEP)
        if quantity < max(instrument.quantity_min, 1):
            raise Refusal(Reason.QUANTITY_TOO_SMALL)
        if quantity > instrument.quantity_max:
            raise Refusal(Reason.QUANTITY_TOO_LARGE)
        return quantity

    def _takes(self, request: NewOrder) -> bool:
        """Say whether an order would trade at once."""
        if request.kind is Kind.MARKET:
            return True
        if request.kind is not Kind.LIMIT:
            return False
        if request.side is Side.BUY:
            return request.price >= self.ask(request.symbol)
        return request.price <= self.bid(request.symbol)

    def _would_trigger(self, request: NewOrder, market: int) -> bool:
        stops = request.kind in (Kind.STOP_MARKET, Kind.STOP_LIMIT)
        falls = stops == (request.side is Side.SELL)
        return market <= request.stop_price if falls else market >= request.stop_price

    def _lock_for(
        self, book: Account, instrument: Instrument, request: NewOrder, quantity: int
    ) -> tuple[str, int]:
        """Return the asset and amount an order sets apart, with the fee if that comes on top."""
        if request.side is Side.SELL:
            return instrument.base, quantity
        if request.kind.has_limit:
            price = request.price
        elif request.kind.triggers:
            price = request.stop_price
        else:
            price = self.ask(request.symbol)
        return instrument.quote, self._price_of(book, instrument, request, quantity, price)

    @staticmethod
    def _price_of(
        book: Account, instrument: Instrument, request: NewOrder, quantity: int, price: int
    ) -> int:
        """Return the most that a buy can cost at a price, in however many parts."""
        grain: int = 10 ** (8 - instrument.amount_decimals)
        cost = rounded_up(quantity * price, UNITS * grain) * grain
        if book.fee_from != "quote" or request.tags.get("fee_from") == "base":
            return cost
        rate = max(instrument.maker_fee, instrument.taker_fee)
        return cost + rounded_up(cost * rate, MILLION * grain) * grain

    def _accept(
        self,
        book: Account,
        instrument: Instrument,
        request: NewOrder,
        quantity: int,
        *,
        locks: bool = True,
    ) -> Order:
        now = self.clock.now_ms()
        self._orders += 1
        order = Order(
            id=self._orders,
            account=book.name,
            instrument=instrument,
            request=request,
            client_id=request.client_id,
            created_ms=now,
            updated_ms=now,
            status=Status.WAITING if request.kind.triggers else Status.OPEN,
            quantity=quantity,
        )
        book.orders[order.id] = book.live[order.id] = order
        self._forget(book)
        if request.client_id:
            book.by_client_id[request.client_id].append(order)
        if locks and request.sets_apart:
            self._told_balance(book, self._lock(order), 0, "order")
        return order

    def _forget(self, book: Account) -> None:
        """Drop the oldest orders and trades of an account that has had very many."""
        if len(book.trades) > TRADES_KEPT:
            del book.trades[: TRADES_KEPT // 10]
        if len(book.orders) <= ORDERS_KEPT:
            return
        ended = (order for order in book.orders.values() if not order.is_live)
        for order in list(islice(ended, ORDERS_KEPT // 10)):
            del book.orders[order.id]
            if order.client_id:
                book.by_client_id[order.client_id].remove(order)
                if self.unique_ids != "ever" and not book.by_client_id[order.client_id]:
                    del book.by_client_id[order.client_id]

    def _lock(self, order: Order) -> str:
        """Set apart what is left of an order may cost; return the asset."""
        book = self.accounts[order.account]
        asset, order.locked = self._lock_for(book, order.instrument, order.request, order.left)
        book.free[asset] -= order.locked
        book.locked[asset] += order.locked
        return asset

    # ------------------------------------------------------------ matching

    def _trigger(self, order: Order) -> None:
        self._levels[order.symbol].remove(order)
        order.status, order.triggered = Status.OPEN, True
        order.updated_ms = self.clock.now_ms()
        self._end_others(order)
        self._told(order, None, "triggered")
        if not order.request.sets_apart and not self._locks_late(order):
            return
        self._match(order)

    def _locks_late(self, order: Order) -> bool:
        """Set apart what a triggered order needs; end it when that is not there."""
        book = self.accounts[order.account]
        asset, amount = self._lock_for(book, order.instrument, order.request, order.left)
        if book.free[asset] < amount:
            order.request.tags["refused"] = Reason.INSUFFICIENT_BALANCE.value
            self._end(order, Status.CANCELED, "rejected")
            return False
        self._told_balance(book, self._lock(order), 0, "order")
        return True

    def _match(self, order: Order) -> None:
        """Trade what can be traded now; let the rest wait, or end if it may not."""
        buys, market = order.side is Side.BUY, not order.kind.has_limit
        price = self.ask(order.symbol) if buys else self.bid(order.symbol)
        limit = order.request.price
        if market or (price <= limit if buys else price >= limit):
            offered = self._offered(order.symbol, order.left)
            if offered == order.left or order.request.lifetime is not Lifetime.FOK:
                self._fill_in_parts(order, price, offered)
        if not order.is_live:
            return
        if market or order.request.lifetime is not Lifetime.GTC:
            self._end(order, Status.EXPIRED, "expired")
        else:
            self._wait(order)

    def _offered(self, symbol: str, wanted: int) -> int:
        """Return how much of what is wanted can be taken at once."""
        depth = self.depth.get(symbol, wanted)
        return min(wanted, depth - depth % self.instruments[symbol].step)

    def _fill_in_parts(
        self, order: Order, price: int, quantity: int, *, maker: bool = False
    ) -> None:
        step, parts = order.instrument.step, max(1, self.fill_parts)
        part = max(step, quantity // parts // step * step)
        for number in range(parts):
            if quantity and order.is_live:
                now = quantity if number == parts - 1 else min(part, quantity)
                self._fill(order, price, now, maker=maker)
                quantity -= now

    def _fill(self, order: Order, price: int, quantity: int, *, maker: bool = False) -> None:
        """Trade so much of an order, or what can be paid of it; nothing at all ends it."""
        book, instrument = self.accounts[order.account], order.instrument
        self._end_others(order)
        buys = order.side is Side.BUY
        if buys:
            quantity = min(quantity, self._affordable(book, order, quantity, price))
        if not quantity:
            self._end(order, Status.EXPIRED, "expired")
            return
        cost = cut(quantity * price, UNITS, instrument.amount_decimals)
        fee, fee_asset = self._fee(book, order, quantity, cost, maker=maker)
        asset, spent = (instrument.quote, cost) if buys else (instrument.base, quantity)
        other, got = (instrument.base, quantity) if buys else (instrument.quote, cost)
        self._unlock(order, quantity, price, spent + (fee if fee_asset == asset else 0))
        for name, change in ((asset, -spent), (other, got)):
            book.free[name] += change
            self.market[name] -= change
        book.free[fee_asset] -= fee
        self.fees[fee_asset] += fee
        self._trades += 1
        trade = Trade(
            id=self._trades,
            order_id=order.id,
            account=order.account,
            symbol=order.symbol,
            side=order.side,
            price=price,
            quantity=quantity,
            cost=cost,
            fee=fee,
            fee_asset=fee_asset,
            maker=maker,
            at_ms=self.clock.now_ms(),
            kind=order.kind,
        )
        order.filled += quantity
        order.cost += cost
        order.trades.append(trade)
        book.trades.append(trade)
        order.updated_ms = trade.at_ms
        order.status = Status.PARTIAL if order.left else Status.FILLED
        if not order.left:
            book.live.pop(order.id, None)
            self._levels[order.symbol].remove(order)
            self._release(order)
        self._told(order, trade, "trade")
        for name, change in ((asset, -spent), (other, got)):
            self._told_balance(book, name, change, "trade")
        if fee_asset not in (asset, other):
            self._told_balance(book, fee_asset, -fee, "trade")

    def _affordable(self, book: Account, order: Order, quantity: int, price: int) -> int:
        """Return how much of a buy its account can pay for.

        Only a market order can lack money: one that triggered far above the price it was to, or
        was not to hold any.
        """
        instrument, request = order.instrument, order.request
        have = book.free[instrument.quote] + order.locked
        if self._price_of(book, instrument, request, quantity, price) <= have:
            return quantity
        need = self._price_of(book, instrument, request, UNITS, price)
        steps = have * UNITS // max(1, need) // instrument.step
        while steps > 0 and (
            self._price_of(book, instrument, request, steps * instrument.step, price) > have
        ):
            steps -= 1
        return max(0, steps) * instrument.step

    def _fee(
        self, book: Account, order: Order, quantity: int, cost: int, *, maker: bool
    ) -> tuple[int, str]:
        """Return the fee of a trade and its asset; called before the trade is booked."""
        instrument = order.instrument
        rate = instrument.maker_fee if maker else instrument.taker_fee
        in_quote = cut(cost * rate, MILLION, instrument.amount_decimals)
        if book.fee_from == "third" and book.fee_asset:
            worth = self._worth_in_quote(book.fee_asset, instrument.quote)
            fee = in_quote * UNITS // worth if worth else 0
            if worth and book.free[book.fee_asset] >= fee:
                return fee, book.fee_asset
        buys, in_base = order.side is Side.BUY, cut(quantity * rate, MILLION, 8)
        wanted = order.request.tags.get("fee_from")
        if wanted == "base" and (buys or book.free[instrument.base] >= in_base):
            return in_base, instrument.base
        if book.fee_from != "quote" and buys:
            return in_base, instrument.base
        return in_quote, instrument.quote

    def _worth_in_quote(self, asset: str, quote: str) -> int:
        return UNITS if asset == quote else self.prices.get(f"{asset}/{quote}", 0)

    def _unlock(self, order: Order, quantity: int, price: int, needed: int) -> None:
        """Set free what a trade needs, and what the rest of the order then needs no more."""
        book, instrument = self.accounts[order.account], order.instrument
        if order.side is Side.SELL:
            asset, still = instrument.base, order.left - quantity
        else:
            limit = order.request.price if order.kind.has_limit else price
            asset = instrument.quote
            still = self._price_of(book, instrument, order.request, order.left - quantity, limit)
        missing = needed - book.free[asset]
        amount = max(0, order.locked - still, min(order.locked, missing))
        order.locked -= amount
        book.locked[asset] -= amount
        book.free[asset] += amount

    def _release(self, order: Order) -> None:
        """Set free what an ended order still locks."""
        book = self.accounts[order.account]
        asset = order.instrument.base if order.side is Side.SELL else order.instrument.quote
        book.locked[asset] -= order.locked
        book.free[asset] += order.locked
        order.locked = 0

    def _end(self, order: Order, status: Status, what: str) -> None:
        self._end_alone(order, status, what)
        self._end_others(order)

    def _end_alone(self, order: Order, status: Status, what: str) -> None:
        book = self.accounts[order.account]
        order.status, order.updated_ms = status, self.clock.now_ms()
        book.live.pop(order.id, None)
        self._levels[order.symbol].remove(order)
        asset = order.instrument.base if order.side is Side.SELL else order.instrument.quote
        self._release(order)
        self._told(order, None, what)
        self._told_balance(book, asset, 0, "order")

    def _end_others(self, order: Order) -> None:
        """End the other leg of an order's list; if the order lives on, it takes the lock over.

        Cancelling one leg cancels the other; otherwise the other expires.
        """
        if not order.oco:
            return
        live = self.accounts[order.account].live
        for other in [each for each in live.values() if each.oco == order.oco]:
            if other is order:
                continue
            if order.is_live:
                order.locked, other.locked = order.locked + other.locked, 0
            if order.status is Status.CANCELED:
                self._end_alone(other, Status.CANCELED, "canceled")
            else:
                self._end_alone(other, Status.EXPIRED, "expired")

    # ------------------------------------------------------------- telling

    def live_orders(self) -> Iterable[Order]:
        """Return every account's live orders."""
        return [order for book in self.accounts.values() for order in book.live.values()]

    def _told(self, order: Order, trade: Trade | None, what: str) -> None:
        self._tell(OrderChanged(order, trade, what))

    def _told_balance(self, book: Account, asset: str, change: int, cause: str) -> None:
        self._tell(
            BalanceChanged(book.name, asset, book.free[asset], book.locked[asset], change, cause)
        )

    def _tell(self, happening: Happening) -> None:
        for recorder in self.recorders:
            recorder(happening)
        if isinstance(happening, Ticked) and happening.symbol in self.stalled:
            return
        for listener in self.listeners:
            listener(happening)
