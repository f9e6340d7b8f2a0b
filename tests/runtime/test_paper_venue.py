"""The paper venue remembers by itself, tells only what is written, and forgets nothing."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal

import pytest

from tests.makers import BTC, ETH, START, after_start, order
from tests.runtime.live_rig import ALICE, Ground, VirtualClock, enter, lone_error, quiet
from tests.runtime.live_rig import Market as ScriptedMarket
from tradefleet.domain.errors import Refused, StoreError, VenueRejected
from tradefleet.domain.ids import AccountId, OrderId, UserId
from tradefleet.domain.market import Stream, Timeframe
from tradefleet.domain.order import Order, OrderKind, Purpose
from tradefleet.domain.user import Account, Mode, User
from tradefleet.operations.single_user.importing import Choices, Importing
from tradefleet.operations.single_user.shapes import read_bot
from tradefleet.runtime.group_commit import GroupCommit, Work
from tradefleet.simulation.paper_book import Costs
from tradefleet.store import PaperChange
from tradefleet.stores.memory import MemoryPaperBooks
from tradefleet.venues.paper import PaperLink, PaperVenue

ACCOUNT = AccountId("alice:paper")


def account(id: AccountId = ACCOUNT) -> Account:
    return Account(id=id, user_id=UserId("alice"), venue="paper", mode=Mode.PAPER, created_at=START)


@dataclass
class Books:
    """The durable books, and the processes that write to them; gate holds writes up."""

    kept: MemoryPaperBooks = field(default_factory=MemoryPaperBooks)
    market: ScriptedMarket = field(default_factory=lambda: ScriptedMarket(VirtualClock()))
    heard: list[tuple[OrderId, Decimal]] = field(default_factory=list)
    gate: asyncio.Event | None = None

    async def write(self, changes: list[PaperChange]) -> Sequence[None]:
        if self.gate is not None:
            await self.gate.wait()
        await self.kept.write(changes)
        return [None] * len(changes)

    @asynccontextmanager
    async def process(self, **parts: object) -> AsyncIterator[PaperVenue]:
        commits: GroupCommit[PaperChange, None] = GroupCommit(self.write, Work())
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(commits.run())
            yield PaperVenue(source=self.market, books=self.kept, commits=commits, **parts)
            task.cancel()

    def hear(self, order_id: OrderId) -> None:
        """Note what the books say at the very moment the bell rings."""
        paper = self.kept._books[ACCOUNT].orders[order_id]
        self.heard.append((order_id, paper.filled))

    async def link(self, venue: PaperVenue) -> PaperLink:
        link = await venue.link(account(), self.hear)
        await link.fund({"USDT": Decimal(1000)})
        return link


@pytest.fixture
def books() -> Books:
    return Books()


def buy(quantity: object = 1, id: str = "o1", **changes: object) -> Order:
    return order(quantity, id, **changes)


def sell(quantity: object = 1, id: str = "o2", **changes: object) -> Order:
    return order(quantity, id, purpose=Purpose.EXIT, **changes)


# -------------------------------------------------------------------------- orders


async def test_an_order_fills_at_the_next_price_and_at_no_earlier_one(books):
    async with books.process() as venue:
        link = await books.link(venue)
        await venue.trade(BTC, Decimal(90), START)
        number = await link.submit(buy())
        report = await link.look_up(buy())
        assert (report.venue_order_id, report.is_open, report.filled) == (number, True, 0)
        await venue.trade(BTC, Decimal(100), after_start(seconds=1))
        report = await link.look_up(buy())
        assert (report.is_open, report.filled) == (False, 1)
        (fill,) = await link.fills_of(buy())
        assert (fill.price, fill.cost, fill.fee) == (100, 100, Decimal("0.1"))
        assert fill.filled_at == after_start(seconds=1)
        assert await link.balances() == {"USDT": Decimal("899.9"), "BTC": 1}
        await venue.trade(BTC, Decimal(101), after_start(seconds=2))
        assert len(await link.fills_of(buy())) == 1
        told = await link.statement([BTC], START, after_start(seconds=1))
        assert [(each.kind.value, each.asset, each.amount) for each in told.entries] == [
            ("trade", "BTC", 1),
            ("trade", "USDT", -100),
            ("fee", "USDT", Decimal("-0.1")),
        ]
        assert told.hidden == ("what was paid in",)
        assert (await link.statement([BTC], START, START)).entries == ()


async def test_a_price_fills_only_what_waits_for_its_symbol(books):
    async with books.process() as venue:
        link = await books.link(venue)
        await link.submit(buy())
        await venue.trade(ETH, Decimal(100), START)
        assert venue.waits(BTC) and not venue.waits(ETH)
        assert (await link.look_up(buy())).is_open


async def test_it_has_never_heard_of_an_order_that_never_arrived(books):
    async with books.process() as venue:
        link = await books.link(venue)
        assert await link.look_up(buy()) is None
        assert await link.fills_of(buy()) == []


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (sell(), "insufficient BTC"),
        (buy("0.000000001"), "not on the step"),
        (buy(0), "not on the step"),
    ],
    ids=["nothing to sell", "off the step", "nothing"],
)
async def test_it_refuses_what_a_venue_would_refuse(books, sent, said):
    async with books.process() as venue:
        link = await books.link(venue)
        with pytest.raises(VenueRejected, match=said):
            await link.submit(sent)
        assert await link.look_up(sent) is None
        assert not venue.waits(BTC)


async def test_a_buy_that_the_balance_cannot_pay_is_closed_without_a_fill(books):
    async with books.process() as venue:
        link = await books.link(venue)
        await link.submit(buy(20))
        await venue.trade(BTC, Decimal(100), START)
        report = await link.look_up(buy(20))
        assert (report.is_open, report.filled) == (False, 0)
        assert books.heard == [("o1", 0)]
        assert await link.balances() == {"USDT": 1000}


async def test_a_cancelled_order_is_closed_with_what_it_filled(books):
    async with books.process(costs=Costs(volume_share=Decimal("0.1"))) as venue:
        link = await books.link(venue)
        await link.submit(buy())
        await venue.trade(BTC, Decimal(100), START, volume=Decimal(4))
        await link.cancel(buy())
        report = await link.look_up(buy())
        assert (report.is_open, report.filled) == (False, Decimal("0.4"))
        await venue.trade(BTC, Decimal(100), after_start(minutes=1), volume=Decimal(4))
        assert (await link.look_up(buy())).filled == Decimal("0.4")
        with pytest.raises(VenueRejected):
            await link.cancel(buy())


async def test_a_stop_and_a_target_fill_at_their_own_price_as_the_market_passes_them(books):
    async with books.process() as venue:
        link = await books.link(venue)
        await link.submit(buy(2))
        await venue.trade(BTC, Decimal(100), START)
        stop = sell(1, kind=OrderKind.STOP, price=Decimal(95))
        target = sell(1, "o3", kind=OrderKind.TARGET, price=Decimal(110))
        await link.submit(stop)
        await link.submit(target)
        sweep = {"volume": Decimal(9)}
        await venue.sweep(BTC, Decimal(96), START, kind=OrderKind.STOP, **sweep)
        await venue.sweep(BTC, Decimal(109), START, kind=OrderKind.TARGET, **sweep)
        assert venue.waits(BTC)
        await venue.sweep(BTC, Decimal(90), START, kind=OrderKind.STOP, **sweep)
        await venue.sweep(BTC, Decimal(120), START, kind=OrderKind.TARGET, **sweep)
        assert [fill.price for fill in await link.fills_of(stop)] == [95]
        assert [fill.price for fill in await link.fills_of(target)] == [110]


async def test_an_order_takes_at_most_its_share_of_each_bar(books):
    async with books.process(costs=Costs(volume_share=Decimal("0.1"))) as venue:
        link = await books.link(venue)
        await link.submit(buy())
        for number in range(4):  # the bar trades at several prices: its volume is one
            at = after_start(minutes=number // 2)
            await venue.trade(BTC, Decimal(100), at, volume=Decimal(3))
        assert [fill.quantity for fill in await link.fills_of(buy())] == [Decimal("0.3")] * 2
        assert venue.accounts[ACCOUNT].taken
        for number in range(2, 4):
            at = after_start(minutes=number)
            await venue.trade(BTC, Decimal(100), at, volume=Decimal(3))
        assert not venue.waits(BTC)
        assert venue.accounts[ACCOUNT].taken == {}, "what is done is forgotten"


async def test_the_share_of_a_bar_outlives_the_process(books):
    costs = Costs(volume_share=Decimal("0.1"))
    async with books.process(costs=costs) as venue:
        await (await books.link(venue)).submit(buy())
        await venue.trade(BTC, Decimal(100), START, volume=Decimal(3))
        await venue.trade(BTC, Decimal(100), after_start(minutes=1), volume=Decimal(2))
    async with books.process(costs=costs) as venue:
        link = await books.link(venue)
        for minute in (0, 1):  # a replay goes over both bars again
            await venue.trade(BTC, Decimal(100), after_start(minutes=minute), volume=Decimal(3))
        filled = [fill.quantity for fill in await link.fills_of(buy())]
        assert filled == [Decimal("0.3"), Decimal("0.2"), Decimal("0.1")]


# --------------------------------------------------------------------------- bells


async def test_the_bell_rings_once_the_books_are_written(books):
    async with books.process() as venue:
        link = await books.link(venue)
        await link.submit(buy())
        books.gate = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(venue.trade(BTC, Decimal(100), START))
            await quiet()
            assert books.heard == []
            books.gate.set()
        assert books.heard == [("o1", 1)]


async def test_the_bell_rings_even_if_whoever_moved_the_market_is_gone(books):
    """A feed begins again whenever a stream is added: no fill may be lost to that."""
    async with books.process() as venue:
        link = await books.link(venue)
        await link.submit(buy())
        books.gate = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(venue.trade(BTC, Decimal(100), START))
            await quiet()
            task.cancel()
            await quiet()
            books.gate.set()
        await quiet()
        assert books.heard == [("o1", 1)]


async def test_orders_that_fill_together_are_told_each(books):
    async with books.process() as venue:
        link = await books.link(venue)
        other = await venue.link(account(AccountId("bob:paper")), books.heard.append)
        await other.fund({"USDT": Decimal(1000)})
        await link.submit(buy())
        await link.submit(buy(1, "o3"))
        await other.submit(buy(1, "o9", account_id=AccountId("bob:paper")))
        await venue.trade(BTC, Decimal(100), START)
        assert books.heard == [("o1", 1), ("o3", 1), "o9"]


# ---------------------------------------------------------------- opening it again


async def test_what_waited_goes_on_waiting_in_the_next_process(books):
    async with books.process() as venue:
        await (await books.link(venue)).submit(buy())
    async with books.process() as venue:
        link = await books.link(venue)
        assert venue.waits(BTC)
        assert await link.balances() == {"USDT": 1000}, "and it is funded once"
        await venue.trade(BTC, Decimal(100), START)
        assert books.heard == [("o1", 1)]


async def test_an_account_opened_again_here_keeps_what_is_not_written_yet(books):
    async with books.process() as venue:
        link = await books.link(venue)
        await link.submit(buy())
        books.gate = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(venue.trade(BTC, Decimal(100), START))
            await quiet()
            news: list[OrderId] = []
            again = await venue.link(account(), news.append)
            assert await again.balances() == {"USDT": Decimal("899.9"), "BTC": 1}
            books.gate.set()
        assert (news, books.heard) == (["o1"], []), "who has the account now is told"
        books.gate = None
        await again.submit(sell())
        await venue.trade(BTC, Decimal(110), after_start(seconds=1))
        assert (await again.look_up(sell())).filled == 1


async def test_an_account_that_another_process_used_is_read_anew(books):
    async with books.process() as here, books.process() as there:
        await (await books.link(here)).submit(buy())
        other = await books.link(there)
        await there.trade(BTC, Decimal(100), START)
        link = await books.link(here)
        assert await link.balances() == await other.balances()
        assert not here.waits(BTC), "it was filled there"
        await here.trade(BTC, Decimal(200), START)
        assert len(await link.fills_of(buy())) == 1


async def test_two_processes_cannot_both_fill_an_order(books):
    with pytest.raises(BaseExceptionGroup) as caught:
        async with books.process() as there, books.process() as here:
            await (await books.link(here)).submit(buy())
            await books.link(there)
            await there.trade(BTC, Decimal(100), START)
            await here.trade(BTC, Decimal(100), START)
    error = lone_error(caught.value)
    assert isinstance(error, StoreError) and "changed by another" in str(error)
    assert len(books.kept._books[ACCOUNT].fills) == 1


# ---------------------------------------------------------------- money and market


async def test_deposits_are_totals_so_saying_them_again_adds_nothing(books):
    async with books.process() as venue:
        link = await books.link(venue)
        await link.fund({"USDT": Decimal(1000)})
        assert await link.balances() == {"USDT": 1000}
        await link.fund({"USDT": Decimal(1500), "BTC": Decimal(2)})
        assert await link.balances() == {"USDT": 1500, "BTC": 2}
        await link.fund({"USDT": Decimal(700)})
        assert (await link.balances())["USDT"] == 700


async def test_rules_are_the_markets_with_the_venues_own_fee(books):
    async with books.process(fee=Decimal("0.002")) as venue:
        rules = await venue.rules(BTC)
        assert rules.fee == Decimal("0.002")
        assert rules.price_tick == (await books.market.rules(BTC)).price_tick
        books.market.refused[ETH] = Refused("no such market")
        with pytest.raises(Refused):
            await venue.rules(ETH)


async def test_it_needs_no_keys_and_proves_absence_at_once(books):
    async with books.process() as venue:
        timing = (await books.link(venue)).timing
        assert timing.negatives == 1
        assert timing.deadline + timing.grace < timing.visibility


async def test_orders_fill_before_the_price_is_passed_on(books):
    async with books.process() as venue:
        link = await books.link(venue)
        await link.submit(buy())
        filled = []

        async def follow() -> None:
            async for _ in venue.events([Stream("paper", BTC, Timeframe(60))]):
                filled.append((await link.look_up(buy())).filled)

        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(follow())
            await quiet()
            await books.market.price(100)
            await books.market.bar(0)
            task.cancel()
        assert filled == [1, 1]


# ---------------------------------------------------------------- behind a live host


async def test_a_whole_trade_runs_through_feed_host_and_paper_venue():
    ground = Ground.new()
    books = Books(kept=ground.books, market=ground.market)
    async with books.process() as venue:
        ground.venue = venue
        await ground.join()
        ground.theatre.say(0, enter(95, "0.1"))
        async with ground.host() as running, running.feeding() as market:
            await market.bar(0)
            await market.price(100)
            assert await ground.states() == ["open"]
            await market.price(101)
            position = running.bot().engine.position
            assert (position.entry_price, position.stop) == (101, 95)
            await market.price(94)
            await market.price(93)
            (trade,) = await ground.trades()
            assert (trade.exit_price, trade.exit_reason) == (93, "stop")
            (lane,) = running.user().lanes.values()
            assert await lane.link.balances() == {"USDT": running.bot().engine.cash, "BTC": 0}
            assert await ground.states() == ["done", "done"]


async def test_a_position_that_was_taken_over_is_sold_at_its_stop_and_the_books_agree():
    """What `import-single-user` makes, run by a host: nothing of it was bought here."""
    ground = Ground.new()
    books = Books(kept=ground.books, market=ground.market)
    row = {"symbol": "BTC/USDT", "balance": 900, "quantity": 2, "entry_price": 100, "stop": 95}
    old = read_bot({"bot_state": [{**row, "opened_at": START.isoformat()}]})
    user = User(id=ALICE, username="alice", created_at=START)
    choices = Choices(strategy="script", timeframe=Timeframe(60), stop_percent=None)
    async with books.process() as venue:
        ground.venue = venue
        async with ground.store.open(ALICE) as own:
            await own.save_user(user)
        await Importing(store=ground.store, clock=ground.clock, choices=choices).apply(ALICE, old)
        async with ground.host() as running, running.feeding() as market:
            assert running.bot().engine.position.stop == 95
            await market.price(96)
            assert await ground.states() == []
            await market.price(94)
            await market.price(93)
            (trade,) = await ground.trades()
            assert (trade.entry_price, trade.exit_price, trade.exit_reason) == (100, 93, "stop")
            (lane,) = running.user().lanes.values()
            cash = running.bot().engine.cash
            assert await lane.link.balances() == {"USDT": cash, "BTC": 0}
            assert 1080 < cash <= 1086
