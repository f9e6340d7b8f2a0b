"""A host and its users: commands reach running bots, leases and kill switches fence orders."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from tradefleet.dispatcher import name_and_words
from tradefleet.domain.ids import UserId
from tradefleet.domain.market import Bar, Stream, Symbol, Timeframe, TradingRules
from tradefleet.domain.order import OrderState
from tradefleet.domain.signal import Entry, Signal, TradePlan
from tradefleet.runtime.feed import Feed
from tradefleet.runtime.group_commit import GroupCommit, Work
from tradefleet.runtime.host import Host
from tradefleet.runtime.ownership import Ownership
from tradefleet.runtime.real_world import RandomIds
from tradefleet.runtime.replay_clock import ReplayClock
from tradefleet.stores.memory import MemoryPaperBooks, MemoryStore
from tradefleet.strategy import StrategySpec
from tradefleet.venues.paper import PaperVenue
from tradefleet.wiring import build_dispatcher
from tradefleet.wiring.playing import writer_of

START = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
BTC = Symbol("BTC", "USDT")
ALICE = UserId("alice")
D = Decimal


class Eager:
    """Wants to enter at every bar, with a stop two under the close."""

    plan = TradePlan()
    bars_needed = 3

    def __init__(self):
        self.seen = []

    def on_bar(self, bar):
        self.seen.append(bar.opened_at)
        return Signal(entry=Entry(bar.close - 2, D("0.1"), 3, 0.5, ("eager",)))

    def why_not(self):
        return ""

    def trail_distance(self):
        return None


EAGER = StrategySpec(
    name="apex", summary="Eager.", parameters={}, build=lambda params: Eager(), bars_needed=3
)


def bar(minute, close=100):
    price = D(close)
    at = START + minute * MINUTE
    return Bar(at, price, price + 1, price - 1, price, D(1))


class Market:
    """A market whose history is asked for, and counted."""

    def __init__(self):
        self.bars = [bar(n) for n in range(-10, 0)]
        self.asked = []

    async def rules(self, symbol):
        return TradingRules()

    async def history(self, stream, *, before, count):
        self.asked.append((before, count))
        return [b for b in self.bars if b.opened_at < before][-count:]

    async def events(self, streams):
        await asyncio.Event().wait()
        yield


@dataclass
class House:
    """One host on one store, moved by hand."""

    store: MemoryStore
    clock: ReplayClock
    market: Market
    host: Host
    feed: Feed
    ownership: Ownership
    venue: PaperVenue
    said: list[str] = field(default_factory=list)

    async def say(self, *messages):
        door = build_dispatcher(self.store, self.clock, RandomIds(), rules=self.rules)
        for message in messages:
            name, words = name_and_words(message)
            self.said.append((await door.run(ALICE, name, words)).text)

    async def rules(self, venue, symbol):
        return TradingRules()

    async def hear(self):
        await self.ownership.take_users()
        await self.ownership.read_messages()
        await self.host.settle()

    async def closes(self, minute, close=100):
        self.clock.move_to(START + (minute + 1) * MINUTE)
        await self.feed._bar(Stream("paper", BTC, Timeframe(60)), bar(minute, close))
        await self.host.settle()

    async def price(self, value, seconds=1):
        at = self.clock.now() + timedelta(seconds=seconds)
        self.clock.move_to(at)
        await self.venue.trade(BTC, D(value), at)
        await self.host.settle()
        self.host.price("paper", BTC, D(value), at)
        await self.host.settle()

    @property
    def bot(self):
        (bot,) = self.host.bots.values()
        return bot

    async def orders(self):
        async with self.store.open(ALICE) as user:
            return await user.orders()


@asynccontextmanager
async def house(store=None, clock=None, owner="host", books=None):
    clock = clock or ReplayClock(START)
    store = store or MemoryStore(clock)
    market, books = Market(), books or MemoryPaperBooks()
    commits = GroupCommit(writer_of(books), Work())
    venue = PaperVenue(source=market, books=books, commits=commits)
    async with asyncio.TaskGroup() as tasks:
        writing = tasks.create_task(commits.run())
        host = Host(
            store=store,
            clock=clock,
            venues={"paper": venue},
            strategies={"apex": EAGER},
            tiers={},
            order_key=b"k" * 32,
            owner=owner,
        )
        async with host:
            feed = Feed(venue="paper", market=venue.market, host=host, clock=clock)
            ownership = Ownership(host=host, feeds={"paper": feed}, lease_seconds=600)
            yield House(store, clock, market, host, feed, ownership, venue)
        writing.cancel()


@asynccontextmanager
async def trading():
    """A house in which alice's one bot runs on one-minute bars."""
    async with house() as home:
        await home.say("/start", "/addpair BTC/USDT 1000 timeframe=1m", "/start_trading")
        await home.hear()
        yield home


async def test_commands_start_stop_and_remove_a_running_bot():
    async with trading() as home:
        assert home.bot.engine.running

        await home.say("/stop_trading")
        await home.hear()
        assert not home.bot.engine.running
        await home.closes(0)
        assert await home.orders() == []

        await home.say("/removepair BTC/USDT")
        await home.hear()
        assert home.host.bots == {} and home.feed.streams() == []


async def test_a_bot_added_later_joins_the_running_host():
    async with trading() as home:
        await home.say("/addpair ETH/USDT 500 timeframe=1m", "/start_trading ETH/USDT")
        await home.hear()
        assert {str(bot.engine.spec.symbol) for bot in home.host.bots.values()} == {
            "BTC/USDT",
            "ETH/USDT",
        }


async def test_an_entry_fills_at_the_next_price_and_a_force_exit_closes_it():
    async with trading() as home:
        await home.closes(0)
        await home.price(101)
        await home.price(102)
        assert home.bot.engine.position.entry_price == 102  # at the next price

        await home.say("/forceexit BTC/USDT")
        await home.hear()
        await home.price(103)
        assert home.bot.engine.position is None
        async with home.store.open(ALICE) as user:
            (trade,) = await user.trades()
        assert trade.exit_reason == "force_exit"


async def test_a_pause_holds_entries_and_lets_the_stop_go_out():
    async with trading() as home:
        await home.closes(0)
        await home.price(101)
        await home.price(101)
        await home.say("/pause")
        await home.hear()

        await home.price(97)  # the stop was 98
        await home.price(97)
        assert home.bot.engine.position is None
        await home.closes(1)
        await home.price(100)
        assert [order.side for order in await home.orders()] == ["buy", "sell"]


async def test_a_kill_switch_thrown_after_the_decision_keeps_the_entry_from_being_sent():
    async with trading() as home:
        await home.closes(0)
        await home.say("/pause")  # committed, but the host has not heard of it yet
        await home.price(101)

        (order,) = await home.orders()
        assert order.state is OrderState.CREATED
        assert ALICE not in home.host.users  # what was in memory was wrong
        assert not home.venue.waits(BTC)

        await home.ownership._renew()  # taken from the store again, switches included
        await home.price(101)
        (order,) = await home.orders()
        assert order.state is OrderState.VOID
        assert not home.venue.waits(BTC)


async def test_a_host_that_lost_its_lease_sends_nothing_more():
    async with trading() as home:
        await home.closes(0)
        later = home.clock.now() + timedelta(seconds=601)
        taken = await home.store.take_leases("other", now=later, ttl=600, limit=10)
        assert [lease.epoch for lease in taken] == [2]

        await home.price(101)
        (order,) = await home.orders()
        assert order.state is OrderState.CREATED
        assert home.host.users == {} and not home.venue.waits(BTC)


async def test_a_takeover_goes_on_with_the_order_the_dead_host_left_waiting():
    books = MemoryPaperBooks()
    async with house(books=books) as first:
        await first.say("/start", "/addpair BTC/USDT 1000 timeframe=1m", "/start_trading")
        await first.hear()
        await first.closes(0)
        await first.price(101)  # sent; it waits at the venue for the next price
        assert first.venue.waits(BTC)
        first.clock.move_to(first.clock.now() + timedelta(seconds=601))
        async with house(first.store, first.clock, "second", books) as second:
            await second.hear()
            await second.price(103)
            assert second.bot.engine.position.entry_price == 103
            assert second.bot.epoch == 2
            (order,) = await second.orders()
            assert order.state is OrderState.DONE


async def test_a_gap_is_repaired_before_anybody_acts():
    async with trading() as home:
        await home.closes(0)
        home.market.bars += [bar(n) for n in range(5)]
        strategy = home.bot.group.strategy
        await home.closes(4)

        minutes = [(at - START) // MINUTE for at in strategy.seen]
        assert minutes == [-3, -2, -1, 0, 1, 2, 3, 4]
        assert home.feed.gaps == 1
        assert len(await home.orders()) == 1  # of bar 0 alone: it still waits for a price


async def test_a_bar_that_comes_twice_or_late_is_not_taken_again():
    async with trading() as home:
        await home.closes(0)
        seen = len(home.bot.group.strategy.seen)
        await home.feed._bar(Stream("paper", BTC, Timeframe(60)), bar(0))
        await home.feed._bar(Stream("paper", BTC, Timeframe(60)), bar(-1))
        assert len(home.bot.group.strategy.seen) == seen


async def test_prices_that_stop_coming_are_reported_once():
    async with trading() as home:
        home.feed.prices[BTC] = home.clock.now()
        home.clock.move_to(home.clock.now() + timedelta(seconds=61))
        assert home.feed.check_stale() == [BTC]
        assert home.feed.check_stale() == []


async def test_an_entry_whose_price_comes_too_late_is_void():
    async with trading() as home:
        await home.closes(0)
        await home.price(101, seconds=61)
        (order,) = await home.orders()
        assert order.state is OrderState.VOID


@pytest.mark.parametrize("price", [98, 97])
async def test_an_entry_whose_price_is_at_or_below_its_stop_is_void(price):
    async with trading() as home:
        await home.closes(0)
        await home.price(price)
        (order,) = await home.orders()
        assert order.state is OrderState.VOID
