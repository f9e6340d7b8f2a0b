"""What users are told when something is not allowed, word for word where the guide shows it."""

from dataclasses import replace
from decimal import Decimal

import pytest

from tests.doors import ALICE, BINANCE, BOB, BYBIT, PAPER, Door
from tradefleet.domain.bot import BotStatus
from tradefleet.domain.effects import BotStatusChanged, MemoryChanged, OrderPlaced
from tradefleet.domain.ids import OrderId
from tradefleet.domain.ledger import FREE, Balances, place_of
from tradefleet.domain.limits import TIERS
from tradefleet.domain.market import Side
from tradefleet.domain.order import Order, Purpose
from tradefleet.domain.position import Lot, Position

FIRST_PAIR = "> /addpair BTC/USDT 1000\n✅ Trading Pair Added\nSymbol: BTC/USDT\n"


async def registered(*venues, **parts) -> Door:
    door = Door(*venues, **parts)
    await door.ask("/start")
    return door


async def with_pair(*venues) -> Door:
    door = await registered(*venues)
    await door.ask("/addpair BTC/USDT 1000 paper")
    return door


async def balances(door: Door, account_id: str = "alice:paper") -> Balances:
    books = Balances()
    async with door.store.open(ALICE, reading=True) as store:
        for entry in await store.entries(account_id):
            books.book(entry)
    return books


async def hold(door: Door, symbol: str = "BTC/USDT") -> None:
    """Let a bot hold a position."""
    memory, bot = await door.memory(symbol), (await door.bots())[symbol]
    held = Position(
        symbol=bot.symbol,
        opened_at=door.still.now(),
        lots=(Lot(Decimal(1), Decimal(100)),),
        original=Decimal(1),
        bought=Decimal(100),
    )
    await door.record(MemoryChanged(replace(memory, cash=Decimal(900), position=held)))


# ---- start


async def test_start_is_idempotent_and_says_what_to_do_next():
    door = await registered()
    welcome = "> /start\n👋 Welcome back! "
    await door.talk(
        f"{welcome}Try it without real money: /connect paper, then /addpair BTC/USDT 1000"
    )
    await door.ask("/connect paper")
    await door.talk(f"{welcome}Add a trading pair: /addpair BTC/USDT 1000")
    await door.ask("/addpair BTC/USDT 1000")
    await door.talk(f"{welcome}Start your pairs with /start_trading.")
    await door.ask("/start_trading")
    await door.talk(f"{welcome}Your pairs are trading; /status shows how they do.")


async def test_who_has_a_name_that_is_taken_is_registered_all_the_same():
    door = await registered()
    reply = await door.dispatcher.run(BOB, "start", username="alice")
    assert (reply.data.username, reply.data.is_new) == ("bob", True)
    assert (await door.store.find_user(username="alice")).id == ALICE


# ---- connect


async def test_connecting_twice_is_connecting_once():
    door = await registered()
    await door.talk(
        "> /connect paper\n✅ Exchange Connected\n> /connect Paper\n✅ Exchange Connected"
    )
    async with door.store.open(ALICE, reading=True) as store:
        assert [account.id for account in await store.accounts()] == ["alice:paper"]


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        (
            "/connect kraken k s",
            "❌ kraken comes with its venue adapter, which is not available in this version. "
            "Your keys were not kept.\n",
        ),
        ("/connect mybank", "❌ I do not know that exchange.\n"),
    ],
)
async def test_an_exchange_that_is_not_there_is_refused_with_the_choices(message, answer):
    door = await registered(PAPER, BYBIT)
    assert await door.say(message) == f"{answer}Available now, no keys needed: /connect paper"


async def test_without_any_venue_there_is_nothing_to_choose():
    assert (
        await (await registered(BYBIT)).say("/connect mybank") == "❌ I do not know that exchange."
    )


# ---- addpair


async def test_without_an_exchange_a_paper_account_is_opened_and_said():
    door = await registered()
    await door.talk(
        f"{FIRST_PAIR}Exchange: paper\nBalance: $1000.00\n"
        "📝 I opened a paper account for it: no real money is at risk.\n"
        "> /addpair ETH/USDT 500.5\n✅ Trading Pair Added: ETH/USDT"
    )
    assert (await door.bots())["ETH/USDT"].allocation == Decimal("500.5")


async def test_the_balance_is_deposited_and_allocated_in_the_books_and_at_the_host():
    door = await with_pair()
    bot = (await door.bots())["BTC/USDT"]
    books = await balances(door)
    assert (books.of(place_of(bot.id), "USDT"), books.of(FREE, "USDT")) == (1000, 0)
    assert books.everything() == {"USDT": 0}
    asked = {"account_id": "alice:paper", "bot_id": bot.id, "asset": "USDT", "amount": "1000"}
    assert await door.messages() == [("allocate", asked)]


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        ("BTC/USDT 0", "The balance must be above zero, not 0."),
        ("BTC/USDT -5", "The balance must be above zero, not -5."),
        ("BTC/USDT NaN", "The balance must be a finite number, not NaN."),
        ("BTC/USDT inf", "The balance must be a finite number, not inf."),
        ("BTC/USDT 1e30", "The balance 1e30 is too large; the most is 1000000000000000."),
        ("BTC/USDT 4.99", "The balance is below paper's smallest order, $5.00."),
        ("BTC/USDT lots", "'lots' is not a number; write the balance like 1000 or 0.5."),
        ("BTC 5", "'BTC' is not a pair; write it like BTC/USDT."),
        ("DOGE/USDT 5", "DOGE/USDT is not traded on paper."),
        ("BTC/USDT 5 mybank", "I do not know the exchange 'mybank'; choose one of: bybit, paper."),
        (
            "BTC/USDT 5 bybit",
            "Connect the exchange first: /connect bybit <api_key> <secret>",
        ),
        (
            "BTC/USDT 5 strategy=moon",
            "There is no strategy 'moon'; choose one of: apex, ema_cross.",
        ),
        ("BTC/USDT 5 timeframe=fast", "'fast' is not a timeframe; write it like 1m, 5m, 1h or 1d."),
        ("ETH/BTC 0.00001", "The balance is below paper's smallest order, 0.00010000 BTC."),
    ],
)
async def test_a_pair_that_cannot_be_added_is_refused_and_nothing_is_kept(words, refusal):
    door = await registered(PAPER, BYBIT)
    await door.messages()
    assert await door.say(f"/addpair {words}") == refusal
    assert await door.bots() == {}
    assert await door.messages() == []
    async with door.store.open(ALICE, reading=True) as store:
        assert list(await store.accounts()) == []


async def test_parameters_a_strategy_does_not_know_are_refused():
    door = await registered()
    assert "no parameter 'speed'" in await door.say("/addpair BTC/USDT 10 speed=9")
    assert "must be" in await door.say("/addpair BTC/USDT 10 strategy=ema_cross fast=x")


async def test_a_strategy_and_its_parameters_are_kept():
    door = await registered()
    await door.ask("/addpair BTC/USDT 10 strategy=ema_cross timeframe=1m fast=5 slow=20")
    bot = (await door.bots())["BTC/USDT"]
    assert (bot.strategy, str(bot.timeframe)) == ("ema_cross", "1m")
    assert bot.params == {"fast": "5", "slow": "20"}


async def test_the_same_pair_twice_is_refused():
    door = await with_pair()
    assert (
        await door.say("/addpair btcusdt 5")
        == "You already have BTC/USDT on paper; remove it first."
    )


async def test_the_tier_limits_how_many_pairs_there_are():
    door = await with_pair()
    await door.ask("/addpair ETH/USDT 5")
    await door.ask("/addpair SOL/USDT 5")
    assert await door.say("/addpair ADA/USDT 5") == (
        "Your free tier allows 3 trading pairs, and you have 3. Remove one with /removepair first."
        " The tier premium has 10."
    )
    await door.ask("/removepair ETH/USDT")
    await door.ask("/addpair ADA/USDT 5")


async def test_the_operators_tiers_are_the_ones_that_count():
    one = {**TIERS, "free": replace(TIERS["free"], bots=1)}
    door = await registered(tiers=one)
    await door.ask("/addpair BTC/USDT 10")
    assert (await door.say("/addpair ETH/USDT 5")).startswith(
        "Your free tier allows 1 trading pair,"
    )


async def test_a_user_whose_tier_is_gone_has_the_free_one():
    door = await with_pair()
    async with door.store.open(ALICE) as store:
        await store.save_user(replace(await store.user(), tier="gone"))
    assert "Tier: free (3 trading pairs" in await door.say("/config")


async def test_who_is_connected_twice_says_which():
    door = await with_pair(PAPER, BINANCE)
    await door.ask("/connect binance")
    assert await door.say("/addpair ETH/USDT 5") == (
        "You are connected to several exchanges; add binance or paper at the end."
    )
    await door.ask("/addpair BTC/USDT 5 Binance")
    assert await door.say("/removepair BTC/USDT") == (
        "You trade BTC/USDT on several exchanges; say which: "
        "/removepair BTC/USDT paper or /removepair BTC/USDT binance"
    )
    await door.ask("/removepair BTC/USDT BINANCE")
    assert [bot.venue for bot in (await door.bots()).values()] == ["paper"]


# ---- removepair


async def test_a_removed_pairs_balance_goes_back_to_the_account():
    door = await with_pair()
    bot = (await door.bots())["BTC/USDT"]
    await door.messages()
    await door.talk(
        "> /removepair BTC/USDT\n🗑️ Trading Pair Removed: BTC/USDT\n"
        "$1000.00 went back to your paper account."
    )
    books = await balances(door)
    assert (books.of(place_of(bot.id), "USDT"), books.of(FREE, "USDT")) == (0, 1000)
    assert await door.messages() == [("bot_changed", {"bot_id": bot.id})]


async def test_a_pair_that_trades_or_holds_or_waits_is_not_removed():
    door = await with_pair()
    await door.ask("/start_trading")
    await door.talk(
        "> /removepair BTC/USDT\n⚠️ Cannot remove BTC/USDT while trading is active.\n"
        "Use /stop_trading BTC/USDT first."
    )
    await door.ask("/stop_trading")
    memory = await door.memory("BTC/USDT")
    await hold(door)
    await door.talk(
        "> /removepair BTC/USDT\n⚠️ Cannot remove BTC/USDT while a position is open.\n"
        "Use /forceexit BTC/USDT first."
    )
    await door.record(MemoryChanged(memory), OrderPlaced(await working_order(door)))
    await door.talk(
        "> /removepair BTC/USDT\n⚠️ Cannot remove BTC/USDT while an order is on its way.\n"
        "Try again in a moment."
    )
    assert len(await door.bots()) == 1


async def working_order(door: Door) -> Order:
    bot = (await door.bots())["BTC/USDT"]
    return Order(
        id=OrderId("o1"),
        user_id=ALICE,
        account_id=bot.account_id,
        bot_id=bot.id,
        seq=1,
        symbol=bot.symbol,
        side=Side.BUY,
        quantity=Decimal(1),
        purpose=Purpose.ENTRY,
        decided_at=door.still.now(),
        reason="entry",
    )


async def test_a_pair_nobody_has_is_answered_with_those_there_are():
    door = await with_pair()
    for command in ("removepair", "start_trading", "stop_trading", "status", "position", "config"):
        answer = await door.say(f"/{command} ETH/USDT")
        assert answer == "You have no such pair. Your pairs: BTC/USDT."


# ---- trading


async def test_starting_and_stopping_tells_the_host_only_what_changed():
    door = await with_pair()
    await door.ask("/addpair ETH/USDT 5")
    ids = [bot.id for bot in (await door.bots()).values()]
    await door.messages()
    await door.talk("> /start_trading eth-usdt\n🚀 Trading Started: ETH/USDT")
    assert await door.messages() == [("bot_changed", {"bot_id": ids[1]})]
    await door.talk("> /start_trading\n🚀 Trading Started\n2 pairs now trading.")
    assert await door.messages() == [("bot_changed", {"bot_id": ids[0]})]
    await door.talk("> /start_trading\n🟢 Already trading: BTC/USDT, ETH/USDT")
    await door.talk("> /stop_trading\n⏸️ Trading Stopped\n2 pairs stopped.")
    await door.messages()
    await door.talk("> /stop_trading ETH/USDT\n🔴 Not trading: ETH/USDT")
    assert await door.messages() == []


async def test_stopping_a_pair_that_holds_something_says_that_it_stays_protected():
    door = await with_pair()
    await door.ask("/start_trading")
    await hold(door)
    await door.talk(
        "> /stop_trading\n⏸️ Trading Stopped: BTC/USDT\n"
        "BTC/USDT holds a position; it stays protected. /forceexit BTC/USDT closes it."
    )


async def test_a_pair_that_was_set_aside_is_shown_and_revived():
    door = await with_pair()
    bot = (await door.bots())["BTC/USDT"]
    await door.record(BotStatusChanged(bot.id, ALICE, BotStatus.SET_ASIDE, "a fault in step 3"))
    assert "1. BTC/USDT ⚠️ Set aside\n" in await door.say("/status")
    assert "a fault in step 3" in await door.say("/status")
    assert "a fault in step 3" in await door.say("/why BTC/USDT")
    await door.talk(
        "> /start_trading\n🚀 Trading Started: BTC/USDT\n"
        "⚠️ BTC/USDT had been set aside: a fault in step 3"
    )
    bot = (await door.bots())["BTC/USDT"]
    assert (bot.status, bot.note) == (BotStatus.RUNNING, "")


async def test_force_exit_asks_the_host_for_what_is_open_alone():
    door = await with_pair()
    await door.ask("/addpair ETH/USDT 5")
    assert await door.say("/forceexit all") == "You have no open position."
    assert await door.say("/forceexit BTC/USDT") == "You have no open position on BTC/USDT."
    await hold(door)
    await door.messages()
    await door.talk(
        "> /fx ALL\n🛑 Closing now at the market: BTC/USDT\nI will tell you when it is done."
    )
    bot = (await door.bots())["BTC/USDT"]
    assert await door.messages() == [("force_exit", {"bot_id": bot.id})]


async def test_force_exit_catches_an_entry_that_is_on_its_way():
    door = await with_pair()
    await door.record(OrderPlaced(await working_order(door)))
    assert (await door.ask("/fx BTC/USDT")).data.symbols == ("BTC/USDT",)


async def test_what_cannot_be_undone_asks_for_a_confirmation():
    commands = Door().dispatcher.catalog.commands.values()
    assert [c.name for c in commands if c.dangerous] == [
        "ban",
        "broadcast",
        "buy",
        "deleteme",
        "disconnect",
        "forceexit",
        "killswitch",
        "sell",
    ]
    assert [c.name for c in commands if c.dangerous_if] == ["emergency"]


@pytest.mark.parametrize(
    "message",
    [
        "/daily 0",
        "/daily 91",
        "/trades 0",
        "/trades 51",
        "/why 1",
        "/why 0",
        "/why xyz",
        "/help xyz",
    ],
)
async def test_numbers_and_names_out_of_range_are_refused(message):
    reply = await (await registered()).say(message)
    assert reply.startswith(("Ask for 1 to ", "There is no ", "Name a pair"))
