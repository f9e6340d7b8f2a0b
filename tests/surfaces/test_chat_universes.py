"""What users say and are shown of pairs that share a balance, word for word."""

from dataclasses import replace
from decimal import Decimal

import pytest

from tests.doors import ALICE, BINANCE, PAPER, START, Door
from tests.makers import fill
from tradefleet.domain.effects import Decided, FillBooked, MemoryChanged, OrderPlaced
from tradefleet.domain.ledger import FREE, Balances, LedgerEntry, place_of_universe
from tradefleet.domain.order import Order, OrderState, Purpose, Side
from tradefleet.domain.position import Position
from tradefleet.domain.universe import UniverseSpec

ADD = "/adduniverse BTC/USDT,ETH/USDT 1000 positions=1"


async def registered(*venues) -> Door:
    door = Door(*venues or (PAPER,))
    await door.ask("/start")
    return door


async def with_universe(message: str = ADD) -> Door:
    door = await registered()
    await door.ask(message)
    return door


async def universe(door: Door) -> UniverseSpec:
    async with door.store.open(ALICE, reading=True) as store:
        (found,) = await store.universes()
    return found


async def books(door: Door) -> Balances:
    found = Balances()
    async with door.store.open(ALICE, reading=True) as store:
        for entry in await store.entries():
            found.book(entry)
    assert not any(found.everything().values())
    return found


async def bought(door: Door, pair: str = "BTC/USDT") -> None:
    """Let a pair hold a coin for 100 that is at 110 now."""
    bot, memory = (await door.bots())[pair], await door.memory(pair)
    order = Order(
        id="o1",
        user_id=ALICE,
        account_id=bot.account_id,
        bot_id=bot.id,
        seq=1,
        symbol=bot.symbol,
        side=Side.BUY,
        quantity=Decimal(1),
        purpose=Purpose.ENTRY,
        decided_at=START,
        reason="a test",
        state=OrderState.DONE,
        filled=Decimal(1),
    )
    traded = fill(1, 100, fee="0.1", symbol=bot.symbol)
    entry = LedgerEntry.of_fill(traded, user_id=ALICE, account_id=bot.account_id, bot_id=bot.id)
    held = replace(Position.opened_by(traded), stop=Decimal(95), highest=Decimal(110))
    spent = replace(memory, cash=Decimal("-100.1"), position=held, last_price=Decimal(110))
    await door.record(OrderPlaced(order), FillBooked(traded, entry), MemoryChanged(spent))


async def sold(door: Door, pair: str = "BTC/USDT", gain: str = "9.79") -> None:
    """Let it be sold again."""
    bot, memory = (await door.bots())[pair], await door.memory(pair)
    cost = Decimal(gain) - memory.cash
    traded = replace(fill(1, 1, side=Side.SELL, id="f2", symbol=bot.symbol), price=cost, cost=cost)
    entry = LedgerEntry.of_fill(traded, user_id=ALICE, account_id=bot.account_id, bot_id=bot.id)
    flat = replace(memory, cash=Decimal(gain), position=None)
    await door.record(FillBooked(traded, entry), MemoryChanged(flat))


async def test_a_universe_is_made_of_pairs_that_share_what_it_is_given():
    door = await registered()
    await door.talk(
        """
> /adduniverse BTC/USDT,eth-usdt 1000 positions=1
🌐 Universe Added: main
Pairs: BTC/USDT, ETH/USDT
Exchange: paper
Balance: $1000.00, shared by 2 pairs
Positions: at most 1 at once
📝 I opened a paper account for it: no real money is at risk.
> /adduniverse SOL/USDT 500 positions=0
🌐 Universe Extended: main
Pairs: BTC/USDT, ETH/USDT, SOL/USDT
Exchange: paper
Balance: $1500.00, shared by 3 pairs
Positions: as many at once as your limits allow
"""
    )
    spec, bots = await universe(door), await door.bots()
    assert {bot.universe_id for bot in bots.values()} == {spec.id}
    assert {bot.allocation for bot in bots.values()} == {Decimal(0)}
    found = await books(door)
    assert (found.of(place_of_universe(spec.id), "USDT"), found.of(FREE, "USDT")) == (1500, 0)
    asked = {"account_id": "alice:paper", "universe_id": spec.id, "asset": "USDT"}
    assert await door.messages() == [
        ("allocate", {**asked, "amount": "1000"}),
        ("allocate", {**asked, "amount": "500"}),
    ]


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        (", 100", "Name the pairs with commas between them, like BTC/USDT,ETH/USDT."),
        ("BTC/USDT,ETH/BTC 9", "The pairs of a universe share one balance; these count in"),
        ("BTC/USDT 4", "The balance is below paper's smallest order, $5.00."),
        ("BTC/USDT", "The balance is below paper's smallest order, $5.00."),
        ("BTC/USDT,DOGE/USDT 9", "DOGE/USDT is not traded on paper."),
        ("BTC/USDT 9 name=a.b", "A universe's name has up to 20 letters, digits, - and _."),
        ("BTC/USDT 9 strategy=luck", "There is no strategy 'luck'; choose one of:"),
        ("BTC/USDT 9 timeframe=soon", "'soon' is not a timeframe"),
        ("BTC/USDT 9 mybank", "I do not know the exchange 'mybank'"),
        ("BTC/USDT,ETH/USDT,SOL/USDT,ADA/USDT 9", "Your free tier allows 3 trading pairs, and"),
        (
            "BTC/USDT 9 positions=-1",
            "positions must be a whole number from 0 to 999999999, not '-1'.",
        ),
    ],
)
async def test_a_universe_that_cannot_be_is_refused_and_nothing_is_left_of_it(words, refusal):
    door = await registered()
    assert (await door.say(f"/adduniverse {words}")).startswith(refusal)
    async with door.store.open(ALICE, reading=True) as store:
        assert (await store.universes(), await store.bots(), await store.entries()) == ([], [], [])


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        ("ETH/USDT 9", "You already have ETH/USDT on paper; remove it first."),
        ("BTC/USDC 9", "The universe main counts in USDT, not in USDC."),
        ("SOL/USDT 9 timeframe=1m", "The universe scans bars of 5m: all its pairs have the same."),
    ],
)
async def test_what_does_not_fit_a_universe_is_refused(words, refusal):
    door = await with_universe()
    assert await door.say(f"/adduniverse {words}") == refusal
    assert len(await door.bots()) == 2


async def test_pairs_that_join_trade_as_the_others_do():
    door = await with_universe(
        "/adduniverse BTC/USDT 100 strategy=ema_cross timeframe=1m name=Fast fast=5"
    )
    await door.ask("/adduniverse ETH/USDT name=fast")
    first, second = (await door.bots()).values()
    assert (second.strategy, second.timeframe, second.params) == ("ema_cross", first.timeframe, {
        "fast": "5"
    })  # fmt: skip
    assert (await universe(door)).allocation == 100


async def test_what_a_universe_has_is_shown_wherever_pairs_are():
    door = await with_universe()
    await door.ask("/addpair SOL/USDT 500")
    await bought(door)
    await door.talk(
        """
> /listpairs
📊 Your Trading Pairs (3)
1. BTC/USDT 🔴 Stopped
   Balance: shared in universe main
2. ETH/USDT 🔴 Stopped
   Balance: shared in universe main
3. SOL/USDT 🔴 Stopped
   Balance: $500.00
🌐 main: 2 pairs, at most 1 at once
   Balance: $1000.00
> /status
📊 Your Trading Pairs (3)
1. BTC/USDT 🔴 Stopped
   PnL: $9.90 (0.99%) of universe main
2. ETH/USDT 🔴 Stopped
   PnL: $0.00 (0.00%) of universe main
3. SOL/USDT 🔴 Stopped
   Equity: $500.00 | PnL: $0.00 (0.00%)
🌐 Universe main: 1 of 1 position, $899.90 free
   Balance: $1000.00 → Equity: $1009.90
   PnL: $9.90 (0.99%)
> /status ETH/USDT
📊 Your Trading Pairs (1)
1. ETH/USDT 🔴 Stopped
   PnL: $0.00 (0.00%) of universe main
🌐 Universe main: 1 of 1 position, $899.90 free
   Balance: $1000.00 → Equity: $1009.90
   PnL: $9.90 (0.99%)
"""
    )
    assert "🌐 Universe main: $1000.00 shared, at most 1 at once" in await door.say("/config")
    assert "\nUniverse main: $1000.00 shared" in await door.say("/config BTC/USDT")
    assert "BTC/USDT  paper    apex      5m         main" in await door.say("/config")
    assert "USDT         $1399.90        $1399.90           $0.00" in await door.say("/balance")
    data = (await door.ask("/status")).data
    assert (data.universes[0].free, data.universes[0].positions) == (Decimal("899.9"), 1)
    assert [pair.universe for pair in data.pairs] == ["main", "main", ""]


async def test_why_says_that_others_came_first():
    door = await with_universe()
    bot = (await door.bots())["ETH/USDT"]
    reason = "place 2 of 2 entries of this bar (score 3, strength 0.50), after BTC/USDT: no room"
    await door.record(Decided(bot.id, ALICE, START, "denied", "universe_positions", reason))
    text = await door.say("/why ETH/USDT")
    assert "Universe main: of the entries of one bar the best come first." in text
    assert f"denied by universe_positions: {reason}" in text


async def test_what_a_pair_had_stays_with_its_universe_until_the_last_one_goes():
    door = await with_universe()
    await bought(door)
    await sold(door)
    await door.talk(
        """
> /removepair BTC/USDT
🗑️ Trading Pair Removed: BTC/USDT
Its balance stays with the universe main, 1 pair.
> /status
📊 Your Trading Pairs (1)
1. ETH/USDT 🔴 Stopped
   PnL: $0.00 (0.00%) of universe main
🌐 Universe main: 0 of 1 position, $1009.79 free
   Balance: $1000.00 → Equity: $1009.79
   PnL: $9.79 (0.98%)
"""
    )
    spec = await universe(door)
    assert (spec.allocation, spec.carried) == (1000, Decimal("9.79"))
    assert (await books(door)).of(place_of_universe(spec.id), "USDT") == spec.funds
    await door.talk(
        """
> /removepair ETH/USDT
🗑️ Trading Pair Removed: ETH/USDT
It was the last pair of the universe main: $1009.79 went back to your paper account.
"""
    )
    found = await books(door)
    assert found.of(FREE, "USDT") == Decimal("1009.79")
    assert found.of(place_of_universe(spec.id), "USDT") == 0
    async with door.store.open(ALICE, reading=True) as store:
        assert await store.universes() == []


async def test_a_universe_is_removed_with_all_its_pairs_or_not_at_all():
    door = await with_universe()
    await door.ask("/start_trading ETH/USDT")
    assert (await door.say("/removepair universe=main")).startswith(
        "⚠️ Cannot remove ETH/USDT while trading is active."
    )
    assert len(await door.bots()) == 2
    await door.ask("/stop_trading")
    await door.talk(
        """
> /removepair universe=Main
🗑️ Universe Removed: main, 2 pairs
$1000.00 went back to your paper account.
> /removepair universe=main
You have no universe main; /adduniverse makes one.
> /removepair
Name the pair: /removepair BTC/USDT, or a universe: universe=main
"""
    )
    assert (await books(door)).of(FREE, "USDT") == 1000


async def test_universes_of_one_name_on_two_exchanges_are_told_apart():
    door = await registered(PAPER, BINANCE)
    await door.ask("/adduniverse BTC/USDT 100 paper")
    await door.ask("/connect binance")
    await door.ask("/adduniverse BTC/USDT 200 binance")
    assert await door.say("/removepair universe=main") == (
        "You have a universe main on several exchanges; add exchange=paper or exchange=binance."
    )
    text = await door.say("/removepair universe=main exchange=binance")
    assert "$200.00 went back to your binance account." in text
    assert (await universe(door)).allocation == 100
    assert (
        await door.say("/removepair universe=other")
        == "You have no universe other; your universes: main."
    )
