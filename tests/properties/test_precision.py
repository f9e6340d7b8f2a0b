"""No order we make breaks a venue's filters, and none sells more than is there: promise 12."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from random import Random

import pytest

from tests.properties.desks import VENUES, Ground, ground
from tests.properties.effort import TIMES
from tradefleet.domain.errors import VenueRejected
from tradefleet.domain.limits import Approved, Denied, RiskLimits
from tradefleet.domain.market import Side, Symbol, TradingRules
from tradefleet.domain.money import money_context, round_to_tick
from tradefleet.domain.order import Fill, Order
from tradefleet.domain.position import Position
from tradefleet.domain.signal import Entry, TradePlan
from tradefleet.engine import exits
from tradefleet.engine.risk import review
from tradefleet.engine.sizing import size_entry
from tradefleet.venues._ccxt.account import CcxtLink
from venuesim.instruments import Listing as Listed
from venuesim.instruments import pair
from venuesim.running import listings_of
from venuesim.units import units

ROUND_TRIPS = 150 * TIMES  # of each venue: some orders each
FRESH = 500  # round trips until the venue's books begin anew
PLAN = TradePlan(
    targets=((Decimal(1), Decimal("0.4")), (Decimal(2), Decimal("0.3")), (Decimal(3), Decimal(1)))
)


@dataclass(slots=True, kw_only=True)
class Trader:
    """Sends orders as a bot would make them; what the venue refuses ends the test."""

    ground: Ground
    link: CcxtLink
    counts: Counter[str] = field(default_factory=Counter)
    listed: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        self.listed = dict(self.ground.exchange.prices)

    def owned(self, asset: str) -> Decimal:
        return Decimal(self.ground.exchange.accounts["trader"].free[asset]).scaleb(-8)

    def begins_with(self, quote: str, amount: int) -> None:
        """Leave the account with so much quote and nothing else."""
        book = self.ground.exchange.accounts["trader"]
        assert not book.live
        book.free.clear()
        self.ground.exchange.deposit("trader", quote, amount)

    async def sends(self, order: Order) -> Sequence[Fill]:
        given = order.symbol.base if order.side is Side.SELL else ""
        if given:
            assert order.quantity <= self.owned(given), "more is sold than is owned"
        try:
            await self.link.submit(order)
        except VenueRejected as refusal:
            raise AssertionError(f"{refusal}: {order}") from None
        self.counts["orders"] += 1
        return await self.link.fills_of(order)

    async def goes_round(self, chance: Random) -> None:
        """Buy as a signal would have it, then sell at targets, by a stop, and at the end."""
        book = await self.ground.environment.book()
        listing = chance.choice(list(book.by_symbol.values()))
        rules, symbol = listing.rules, listing.symbol
        price = self.price_of(symbol, rules, chance)
        cash = Decimal(10) ** chance.randint(-1, 5) * chance.randint(100_000, 999_999) / 100_000
        if symbol.quote not in ("USD", "USDT", "USDC", "EUR"):
            cash /= 10_000
        cash = cash.quantize(Decimal("1e-8"))
        self.begins_with(symbol.quote, units(cash))
        stop = price * chance.randint(8_000, 9_990) / 10_000
        entry = Entry(
            stop=stop,
            fraction=Decimal(chance.randint(1, 100)) / 100,
            score=1,
            strength=1.0,
            reasons=("a test",),
        )
        sized = size_entry(entry, free_quote=cash, close=price, rules=rules, plan=PLAN)
        if isinstance(sized, Denied):
            self.counts[sized.guard] += 1
            return
        most = self.ground.exchange.instruments[str(symbol)].quantity_max
        if sized.quantity > Decimal(most).scaleb(-8):
            self.counts["more than the venue takes at once"] += 1  # the engine knows of no most
            return
        bought = self.ground.order(symbol, Side.BUY, sized.quantity)
        verdict = review(
            bought, price=price, free_quote=cash, balance=cash, limits=RiskLimits(), rules=rules
        )
        if verdict != Approved():
            self.counts["not payable"] += 1
            return
        position: Position | None = None
        for fill in await self.sends(bought):
            position = position.after(fill) if position else Position.opened_by(fill)
        assert position is not None
        held = exits.protected(position, sized.stop, PLAN, rules)
        await self.rests(held, rules)
        await self.leaves(held, rules, chance)

    def price_of(self, symbol: Symbol, rules: TradingRules, chance: Random) -> Decimal:
        """Let the market stand anywhere between a fifth and five times its listing's price."""
        exchange = self.ground.exchange
        tick = exchange.instruments[str(symbol)].tick
        there = int(self.listed[str(symbol)] * 5 ** chance.uniform(-1, 1))
        exchange.prices[str(symbol)] = max(there // tick, 20) * tick
        return Decimal(exchange.prices[str(symbol)]).scaleb(-8)

    async def rests(self, held: Position, rules: TradingRules) -> None:
        """A stop waits at the venue for a while, where it is worth enough for one."""
        quantity = rules.round_quantity(held.quantity)
        if not rules.allows(quantity, held.stop):
            self.counts["too little for a stop"] += 1
            return
        resting = self.ground.resting(held.symbol, quantity, held.stop)
        await self.sends(resting)
        await self.link.cancel(resting)

    async def leaves(self, held: Position, rules: TradingRules, chance: Random) -> None:
        while held.targets:
            (level, part), *others = held.targets
            unsold = rules.round_quantity(held.quantity)
            price = self.moved_to(held.symbol, level, rules)
            part = exits.part_to_sell(held, part, price, unsold, rules)
            held = replace(held, targets=tuple(others))
            if not rules.allows(part, price):
                self.counts["too little for a target"] += part > 0
                continue
            sold = self.ground.order(held.symbol, Side.SELL, part)
            for fill in await self.sends(sold):
                held = held.after(fill)
            if not held.quantity or chance.random() < 0.1:
                break
        unsold = rules.round_quantity(held.quantity)
        price = Decimal(self.ground.exchange.prices[str(held.symbol)]).scaleb(-8)
        if rules.allows(unsold, price):
            await self.sends(self.ground.order(held.symbol, Side.SELL, unsold))
        elif unsold:
            self.counts["too little to be sold"] += 1

    def moved_to(self, symbol: Symbol, level: Decimal, rules: TradingRules) -> Decimal:
        price = round_to_tick(level, rules.price_tick)
        self.ground.exchange.prices[str(symbol)] = units(price)
        return price


# Pair, tick, step, least quantity, least value. Kraken's steps are always a power of ten.
STRANGE = (
    ("AAA/USDT", "0.5", "0.25", "0.75", "9.87"),
    ("BBB/USDT", "0.00000001", "1000", "3000", "1"),
    ("CCC/USDT", "25", "0.00000001", "0.00000003", "0.5"),
    ("DDD/USDT", "0.0003", "0.7", "2.1", "5"),
)


def odd(name: str) -> list[Listed]:
    """Return what a venue lists, and pairs whose steps are stranger than its own."""
    listed = list(listings_of(name))
    if name == "kraken":
        return listed
    made = [pair(*each) for each in STRANGE]
    return [*listed, *(Listed(each, each.tick * 4_000) for each in made)]


async def plays(name: str, seed: int, times: int) -> Counter[str]:
    chance, counts = Random(seed), Counter[str]()
    while times > 0:
        made = ground(name, instruments=odd(name))
        await made.environment.book()
        trader = Trader(ground=made, link=made.link("trader"), counts=counts)
        for _ in range(min(times, FRESH)):
            with money_context():
                await trader.goes_round(chance)
            made.later()
        times -= FRESH
    return counts


@pytest.mark.parametrize("venue", VENUES)
def test_no_order_breaks_a_filter_or_sells_what_is_not_there(venue):
    counts = asyncio.run(plays(venue, 1, ROUND_TRIPS))
    print(f"{venue}: {dict(counts)}")
    assert counts["orders"] > 2 * ROUND_TRIPS


@pytest.mark.parametrize("venue", VENUES)
def test_this_test_sees_quantities_that_are_not_cut_to_the_step(venue, monkeypatch):
    monkeypatch.setattr(TradingRules, "round_quantity", lambda self, quantity: quantity)
    with pytest.raises(AssertionError):
        asyncio.run(plays(venue, 1, 50))


@pytest.mark.parametrize("venue", VENUES)
def test_this_test_sees_orders_that_are_too_small(venue, monkeypatch):
    monkeypatch.setattr(TradingRules, "allows", lambda self, quantity, price: quantity > 0)
    with pytest.raises(AssertionError):
        asyncio.run(plays(venue, 1, 200))
