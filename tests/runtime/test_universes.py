"""A universe on a host: its entries wait for one another, and the best of a bar come first."""

from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal

import pytest

from tests.makers import BTC, ETH, MINUTE, RULES, START, Number, bar
from tests.runtime.live_rig import ALICE, Answer, Ground, Running, leave, quiet
from tests.runtime.real_rig import RealVenue, agrees, halt_of, watched
from tradefleet.domain.effects import Decided
from tradefleet.domain.ledger import EXTERNAL, FREE, Balances, place_of, place_of_universe
from tradefleet.domain.limits import Halt
from tradefleet.domain.market import Stream, Symbol, Timeframe
from tradefleet.domain.order import Order, OrderState
from tradefleet.domain.signal import Entry, Signal

D = Decimal
SETTLED = 240  # seconds in which every difference is seen, seen again and booked
SOL, XRP, ADA = (Symbol(base, "USDT") for base in ("SOL", "XRP", "ADA"))
SEVEN = [BTC, ETH, SOL, XRP, ADA, Symbol("DOT", "USDT"), Symbol("LTC", "USDT")]


def wants(
    score: int, strength: float = 0.5, fraction: Number = "0.06", stop: Number = 98
) -> Signal:
    return Signal(Entry(D(stop), D(fraction), score, strength, ("a test",)), "", ("a test",))


class Universe:
    """Alice's universe: one pair each for symbols, every one with a script of its own."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground

    async def join(
        self, *symbols: Symbol, balance: Number = 150, delay: int = 0, positions: int = 0
    ) -> None:
        ground = self.ground
        await ground.ask("/start")
        async with ground.store.open(ALICE) as store:
            await store.save_user(replace(await store.user(), tier="enterprise"))
        for number, symbol in enumerate(symbols):
            words = {
                "symbols": str(symbol),
                "balance": None if number else str(balance),
                "positions": positions,
                "strategy": "script",
                "timeframe": "1m",
                "params": {"name": symbol.base, "delay": str(delay)},
            }
            await ground.door.run(ALICE, "adduniverse", words)
        await ground.ask("/start_trading")

    def say(self, minute: int, **said: Signal) -> None:
        for base, signal in said.items():
            self.ground.theatre.say(minute, signal, base)

    async def closes(
        self, running: Running, minute: int, *symbols: Symbol, close: Number = 100
    ) -> None:
        """Let the bars of that minute close, one symbol after the other."""
        await self.ground.clock.pass_until(START + (minute + 1) * MINUTE)
        for symbol in symbols:
            await running.host.bar(Stream("paper", symbol, Timeframe(60)), bar(close, minute))
            await quiet()

    async def prices(self, running: Running, *symbols: Symbol, price: Number = 100) -> None:
        for symbol in symbols:
            await running.price(price, symbol)

    @property
    def submitted(self) -> list[str]:
        return [order.symbol.base for order in self.ground.link().submitted]

    async def placed(self) -> dict[str, Order]:
        async with self.ground.store.open(ALICE, reading=True) as store:
            return {order.symbol.base: order for order in await store.orders()}

    async def decided(self, base: str) -> list[Decided]:
        async with self.ground.store.open(ALICE, reading=True) as store:
            bot = next(bot for bot in await store.bots() if bot.symbol.base == base)
            return list(await store.decisions(bot.id))

    async def fill(self, price: Number = 100) -> None:
        """Fill all that the venue has open."""
        link = self.ground.link()
        for known in [known for known in link.orders.values() if known.is_open]:
            await link.fill(known.order, price, at=self.ground.clock.now())

    async def check_books(self) -> None:
        """The ledger balances, and says of every bot and of the purse what they remember."""
        async with self.ground.store.open(ALICE, reading=True) as store:
            books = Balances()
            for entry in await store.entries():
                books.book(entry)
            memories, bots = await store.memories(), await store.bots()
            for universe in await store.universes():
                assert books.of(place_of_universe(universe.id), "USDT") == universe.funds
        assert not any(books.everything().values())
        for bot in bots:
            memory = memories[bot.id]
            held = memory.position.quantity if memory.position else 0
            assert books.of(place_of(bot.id), "USDT") == memory.cash
            assert books.of(place_of(bot.id), bot.symbol.base) == held
        assert books.of(FREE, "USDT") == 0
        traded = books.account_totals()["USDT"] + books.of(EXTERNAL, "USDT")
        assert traded == -books.of("market", "USDT") - books.of("fees", "USDT")


@pytest.fixture
async def universe() -> AsyncIterator[Universe]:
    made = Universe(Ground.new())
    yield made
    await made.check_books()
    sent = [order.id for link in made.ground.venue.links.values() for order in link.submitted]
    assert len(sent) == len(set(sent)), "an intent was sent twice"


async def test_150_dollars_over_seven_pairs_take_the_best_entries_with_valid_orders(universe):
    await universe.join(*SEVEN, balance=150, positions=3)
    scores = {"BTC": 3, "ETH": 4, "SOL": 3, "XRP": 5, "ADA": 4, "DOT": 3, "LTC": 3}
    universe.say(0, **{base: wants(score) for base, score in scores.items()})
    async with universe.ground.host() as running:
        await universe.closes(running, 0, *SEVEN[:-1])
        assert await universe.placed() == {}  # the last one has not spoken yet
        await universe.closes(running, 0, SEVEN[-1])
        assert sorted(await universe.placed()) == ["ADA", "ETH", "XRP"]
        await universe.prices(running, *SEVEN)
        await universe.fill()
    for order in (await universe.placed()).values():
        assert order.state is OrderState.DONE
        assert order.quantity == D("0.09")  # 6 % of 150, none smaller for those before it
        assert RULES.allows(order.quantity, D(100))
    (denied,) = await universe.decided("BTC")
    assert (denied.outcome, denied.guard) == ("denied", "universe_positions")
    assert denied.reason == (
        "place 4 of 7 entries of this bar (score 3, strength 0.50), after XRP/USDT, ADA/USDT,"
        " ETH/USDT: 3 positions and entries are open in the universe main; the limit is 3."
    )
    (entered,) = await universe.decided("XRP")
    assert entered.reason == "place 1 of 7 entries of this bar (score 5, strength 0.50): a test"


async def test_the_users_own_limit_gives_its_places_to_the_best(universe):
    await universe.join(BTC, ETH, SOL)
    await universe.ground.ask("/start")
    async with universe.ground.store.open(ALICE) as store:
        await store.save_user(replace(await store.user(), tier="free"))  # two open positions
    universe.say(0, BTC=wants(3), ETH=wants(3, 0.9), SOL=wants(4))
    async with universe.ground.host() as running:
        await universe.closes(running, 0, BTC, ETH, SOL)
        assert sorted(await universe.placed()) == ["ETH", "SOL"]
    (denied,) = await universe.decided("BTC")
    assert denied.guard == "open_positions"
    assert "after SOL/USDT, ETH/USDT: 2 positions and entries are open; the tier" in denied.reason


@pytest.mark.parametrize("first", [0, 1, 2])
async def test_who_comes_first_does_not_matter(universe, first):
    await universe.join(BTC, ETH, SOL, positions=1)
    universe.say(0, BTC=wants(3), ETH=wants(4, 0.1), SOL=wants(4, 0.2))
    arrival = [BTC, ETH, SOL]
    async with universe.ground.host() as running:
        await universe.closes(running, 0, *arrival[first:], *arrival[:first])
        assert sorted(await universe.placed()) == ["SOL"]


async def test_the_cash_is_used_up_by_the_best(universe):
    await universe.join(BTC, ETH, SOL)
    universe.say(0, BTC=wants(3, fraction="0.4"), ETH=wants(5, fraction="0.4"))
    universe.say(0, SOL=wants(4, fraction="0.4"))
    async with universe.ground.host() as running:
        await universe.closes(running, 0, BTC, ETH, SOL)
        assert {base: o.quantity for base, o in (await universe.placed()).items()} == {
            "ETH": D("0.6"),
            "SOL": D("0.6"),
        }
    (denied,) = await universe.decided("BTC")
    assert denied.guard == "free_funds"
    assert denied.reason.endswith("The order costs 60 and a fee of 0.06; 29.88 is free.")


async def test_what_is_bought_stays_in_the_balance_that_sizes_are_shares_of(universe):
    await universe.join(BTC, ETH)
    universe.say(0, BTC=wants(3, fraction="0.1"))
    universe.say(1, ETH=wants(3, fraction="0.1"))
    async with universe.ground.host() as running:
        await universe.closes(running, 0, BTC, ETH)
        await universe.prices(running, BTC)
        await universe.fill()
        await universe.closes(running, 1, ETH, BTC)
    placed = await universe.placed()
    assert placed["BTC"].quantity == D("0.15")
    assert placed["ETH"].quantity == D("0.14998")  # of 150 less the fee of 0.015


async def test_a_pair_that_is_late_is_waited_for_only_so_long(universe):
    await universe.join(BTC, ETH, SOL, positions=2)
    universe.say(0, BTC=wants(3), ETH=wants(3), SOL=wants(5))
    async with universe.ground.host() as running:
        await universe.closes(running, 0, BTC, ETH)
        await universe.ground.clock.pass_by(2.9)
        await universe.prices(running, BTC, ETH)
        assert universe.submitted == []
        await universe.ground.clock.pass_by(0.1)
        await universe.prices(running, BTC, ETH)
        assert universe.submitted == ["BTC", "ETH"]
        await universe.closes(running, 0, SOL)
        await universe.prices(running, SOL)
        assert universe.submitted == ["BTC", "ETH"]
    (denied,) = await universe.decided("SOL")
    assert denied.guard == "universe_positions"


async def test_waiting_costs_nothing_where_the_strategy_delays_its_entries_anyway(universe):
    await universe.join(BTC, ETH, delay=6)
    universe.say(0, BTC=wants(3))
    async with universe.ground.host() as running:
        await universe.closes(running, 0, BTC)
        await universe.ground.clock.pass_by(5.9)
        await universe.prices(running, BTC)
        assert await universe.placed() == {}
        await universe.ground.clock.pass_by(0.1)
        await universe.prices(running, BTC)
        assert universe.submitted == ["BTC"]


async def test_nobody_waits_for_a_pair_that_could_not_enter(universe):
    await universe.join(BTC, ETH, SOL)
    universe.say(0, ETH=wants(3))
    universe.say(1, BTC=wants(3))
    async with universe.ground.host() as running:
        await universe.closes(running, 0, BTC, SOL, ETH)
        await universe.prices(running, ETH)
        await universe.fill()
        await universe.ground.ask("/stop_trading SOL/USDT")
        await running.poll()
        await universe.closes(running, 1, BTC)
        assert sorted(await universe.placed()) == ["BTC", "ETH"]


async def test_exits_wait_for_nobody(universe):
    await universe.join(BTC, ETH)
    universe.say(0, BTC=wants(3))
    universe.say(1, BTC=leave(), ETH=wants(3))
    async with universe.ground.host() as running:
        await universe.closes(running, 0, BTC, ETH)
        await universe.prices(running, BTC)
        await universe.fill()
        await universe.closes(running, 1, BTC)
        assert universe.submitted == ["BTC", "BTC"]
        await universe.fill(101)


async def test_a_gap_or_a_failed_strategy_does_not_keep_a_round_open(universe):
    await universe.join(BTC, ETH)
    universe.say(0, BTC=wants(3), ETH=ValueError("broken"))
    async with universe.ground.host() as running:
        await universe.closes(running, 0, BTC)
        assert await universe.placed() == {}
        await universe.closes(running, 0, ETH)
        assert sorted(await universe.placed()) == ["BTC"]
        assert not running.host.rounds.open


async def test_a_bot_beside_the_universe_waits_for_nobody_and_pays_itself(universe):
    await universe.join(BTC, ETH)
    await universe.ground.ask(
        "/addpair SOL/USDT 1000 strategy=script timeframe=1m name=SOL", "/start_trading"
    )
    universe.say(0, SOL=wants(3), BTC=wants(3))
    async with universe.ground.host() as running:
        await universe.closes(running, 0, BTC, SOL)
        assert {base: o.quantity for base, o in (await universe.placed()).items()} == {
            "SOL": D("0.6")
        }


async def test_a_host_that_dies_in_a_round_has_promised_nothing(universe):
    await universe.join(BTC, ETH, SOL, positions=1)
    universe.say(0, BTC=wants(5), ETH=wants(3), SOL=wants(4))
    universe.say(1, BTC=wants(3), ETH=wants(4))
    async with universe.ground.doomed_host() as running:
        await universe.closes(running, 0, BTC, ETH)
    assert await universe.placed() == {}
    async with universe.ground.host() as running:
        await universe.closes(running, 0, SOL)  # this host could still hear BTC and ETH
        await universe.ground.clock.pass_by(10)
        await universe.prices(running, SOL)
        assert universe.submitted == ["SOL"]
        await universe.fill()


async def test_a_host_that_is_stopped_decides_no_open_round(universe):
    await universe.join(BTC, ETH)
    universe.say(0, BTC=wants(5))
    async with universe.ground.host() as running:
        await universe.closes(running, 0, BTC)
    assert await universe.placed() == {}


async def test_what_is_reserved_is_reserved_after_a_restart(universe):
    await universe.join(BTC, ETH, SOL)
    universe.say(0, BTC=wants(4, fraction="0.5"), ETH=wants(3, fraction="0.4"))
    universe.say(1, SOL=wants(3, fraction="0.2"), ETH=wants(4, fraction="0.1"))
    async with universe.ground.doomed_host() as running:
        await universe.closes(running, 0, BTC, ETH, SOL)
        universe.ground.link().answers.append(Answer.LOSE_ANSWER)
        await universe.prices(running, BTC)
    assert {b: o.state for b, o in (await universe.placed()).items()} == {
        "BTC": OrderState.UNKNOWN,
        "ETH": OrderState.CREATED,
    }
    async with universe.ground.host() as running:
        (known,) = running.user().universes.values()
        assert (known.balance, known.free) == (D(150), D(150) - D("75.075") - D("60.06"))
        await universe.closes(running, 1, SOL, BTC, ETH)
        (denied,) = await universe.decided("SOL")
        assert denied.guard == "free_funds"


async def test_an_entry_counts_what_is_reserved_for_it_as_free(universe):
    await universe.join(BTC, ETH)
    universe.say(0, BTC=wants(4, fraction="0.5"), ETH=wants(3, fraction="0.49"))
    async with universe.ground.host() as running:
        await universe.closes(running, 0, BTC, ETH)
        await universe.prices(running, BTC, ETH)
        assert universe.submitted == ["BTC", "ETH"]
        await universe.fill()
        (known,) = running.user().universes.values()
        assert known.cash == known.free == D(150) * D("0.01") - D("0.1485")


async def test_an_entry_whose_price_ran_away_takes_nothing_from_the_others(universe):
    await universe.join(BTC, ETH)
    universe.say(0, BTC=wants(4, fraction="0.5"), ETH=wants(3, fraction="0.49"))
    async with universe.ground.host() as running:
        await universe.closes(running, 0, BTC, ETH)
        await universe.prices(running, BTC, price=110)
        await universe.prices(running, ETH)
        assert universe.submitted == ["ETH"]
        await universe.fill()


async def test_money_and_pairs_are_added_while_it_runs(universe):
    await universe.join(BTC, ETH)
    universe.say(1, SOL=wants(4, fraction="0.1"), BTC=wants(3, fraction="0.1"))
    async with universe.ground.host() as running:
        await universe.closes(running, 0, BTC, ETH)
        words = {"symbols": "SOL/USDT", "balance": "50", "params": {"name": "SOL"}}
        await universe.ground.door.run(ALICE, "adduniverse", words)
        await universe.ground.ask("/start_trading")
        await running.poll()
        (known,) = running.user().universes.values()
        assert (known.balance, len(known.members)) == (D(200), 3)
        await universe.closes(running, 1, ETH, BTC, SOL)
        placed = await universe.placed()
        assert {base: order.quantity for base, order in placed.items()} == {
            "SOL": D("0.2"),
            "BTC": D("0.2"),
        }
        assert running.user().guard.equity == 200


async def test_what_a_removed_pair_has_made_stays_in_the_purse(universe):
    await universe.join(BTC, ETH)
    universe.say(0, BTC=wants(3, fraction="0.5"))
    universe.say(1, BTC=leave())
    async with universe.ground.doomed_host() as running:
        await universe.closes(running, 0, BTC, ETH)
        await universe.prices(running, BTC)
        await universe.fill()
        await universe.closes(running, 1, BTC, ETH)
        await universe.fill(120)
        (known,) = running.user().universes.values()
        made = known.balance
        assert made == D(150) + D(15) - D("0.075") - D("0.09")
        await universe.ground.ask("/stop_trading BTC/USDT", "/removepair BTC/USDT")
        await universe.check_books()
        assert known.balance == made  # until the host has heard of it
        await running.poll()
        assert (known.balance, known.spec.carried) == (made, made - 150)
        assert list(known.members) == [
            bot.id for bot in running.user().bots.values() if bot.engine.spec.symbol == ETH
        ]
    async with universe.ground.host() as running:
        (known,) = running.user().universes.values()
        assert known.balance == made
        await universe.ground.ask("/stop_trading", "/removepair universe=main")
        await running.poll()
        assert (running.user().universes, running.user().guard._allocated) == ({}, 0)
    async with universe.ground.store.open(ALICE) as store:
        books = Balances()
        for entry in await store.entries():
            books.book(entry)
        assert books.of(FREE, "USDT") == made
        entry = entry.of_transfer(
            id="taken out",
            user_id=ALICE,
            account_id=entry.account_id,
            kind="deposit",
            at=START,
            asset="USDT",
            amount=made,
            source=FREE,
            target=EXTERNAL,
        )
        await store.book(entry)


async def test_what_a_universe_counts_on_in_a_real_account_is_its_purse_and_what_it_holds():
    ground = Ground.new()
    ground.venue = RealVenue(ground.market, ground.venue.timing)
    ground.venue.ground = ground
    universe = Universe(ground)
    await universe.join(BTC, ETH, balance=1000)
    universe.say(0, ETH=wants(3, fraction="0.6"))
    async with watched(ground) as running:
        await universe.closes(running, 0, BTC, ETH)
        await universe.prices(running, ETH)
        await universe.fill()
        await ground.clock.pass_by(SETTLED)
        assert await halt_of(ground) is Halt.RUN
        await agrees(ground)
        ground.link().change("USDT", -100)
        await ground.clock.pass_by(SETTLED)
        assert await halt_of(ground) is Halt.STOP
        (text,) = [text for text in await ground.told() if "count on" in text]
        assert "100 USDT that your pairs count on is not there any more" in text
