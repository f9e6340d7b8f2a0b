"""Market data reaches every bot it concerns: warmed, without gaps, and said so when it stops."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.makers import BTC, ETH, START, after_start, bar
from tests.runtime.live_rig import ALICE, BOB, CAROL, STREAM, Ground, Running, enter, leave, quiet
from tradefleet.domain.bot import BotStatus
from tradefleet.domain.errors import Refused, VenueUnavailable
from tradefleet.domain.ids import UserId
from tradefleet.domain.market import Stream, Timeframe
from tradefleet.runtime import feed as feed_module
from tradefleet.runtime import host as host_module
from tradefleet.venue import BarSeen

ETHER = Stream("paper", ETH, Timeframe(60))


@pytest.fixture
async def ground() -> Ground:
    """A service whose market has five bars behind it when the first host starts."""
    ground = Ground.new()
    ground.market.bars[STREAM] = [bar(100, minute) for minute in range(-5, 0)]
    await ground.join()
    return ground


@pytest.fixture
async def running(ground: Ground) -> AsyncIterator[Running]:
    async with ground.host() as running:
        yield running


def seen(running: Running, user: UserId = ALICE) -> list[int]:
    """Return the minutes of the bars that a user's strategy saw."""
    script = running.bot(user).group.strategy
    return [int((each.opened_at - START).total_seconds() // 60) for each in script.seen]


# ------------------------------------------------------------------------- warming


async def test_a_strategy_sees_as_much_history_as_it_needs_and_then_every_bar(ground, running):
    async with running.feeding() as market:
        await market.bar(0)
        await market.bar(1)
    assert seen(running) == [-3, -2, -1, 0, 1]
    assert ground.market.histories == [(STREAM, START, 3)]


async def test_history_is_learned_from_and_not_acted_upon(ground):
    ground.theatre.say(-1, enter())
    async with ground.host():
        assert await ground.orders() == []


async def test_without_history_at_first_the_next_bar_brings_it(ground):
    ground.market.history_error = VenueUnavailable("no route")
    ground.theatre.say(0, enter())
    async with ground.host() as running, running.feeding() as market:
        assert (await ground.bot()).status is BotStatus.RUNNING
        assert seen(running) == []
        market.history_error = None
        await market.bar(0)
        assert seen(running) == [-3, -2, -1, 0]
        assert await ground.states() == ["created"]


async def test_a_market_that_refuses_its_history_sets_only_that_bot_aside(ground):
    await ground.join(BOB, pair="ETH/USDT")
    ground.market.history_error = Refused("There is no such market.")
    async with ground.host() as running:
        await running.poll()
        assert (await ground.bot()).status is BotStatus.SET_ASIDE
        assert "There is no such market." in (await ground.bot()).note
    assert running.host.users.keys() == {ALICE, BOB}


async def test_a_strategy_that_fails_on_history_is_set_aside_and_stops_nobody(ground):
    await ground.join(BOB, words="name=b")
    ground.theatre.say(-2, ZeroDivisionError("a bug"), name="b")
    async with ground.host() as running:
        assert (await ground.bot(BOB)).status is BotStatus.SET_ASIDE
        assert (await ground.bot(ALICE)).status is BotStatus.RUNNING
        assert seen(running) == [-3, -2, -1]


async def test_a_bar_that_closes_while_history_is_on_its_way_is_not_taken_for_all_there_is(ground):
    """Or the strategy would begin with that one bar and nothing before it."""
    async with ground.host() as running, running.feeding() as market:
        await ground.join(BOB, words="name=b")
        market.gate = gate = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(running.ownership.poll())
            await quiet()
            await market.bar(0)
            assert seen(running) == [-3, -2, -1, 0]
            market.gate = None
            gate.set()
        await market.bar(1)
        assert seen(running, BOB) == seen(running) == [-3, -2, -1, 0, 1]


# ---------------------------------------------------------------------------- gaps


async def test_missing_bars_are_fetched_before_the_one_that_came(ground, running):
    async with running.feeding() as market:
        await market.bar(0)
        market.bars[STREAM] += [bar(100, 1), bar(100, 2)]
        await market.bar(3)
        assert seen(running) == [-3, -2, -1, 0, 1, 2, 3]
        assert market.histories[1:] == [(STREAM, after_start(minutes=3), 2)]
        assert running.feed.gaps == 1


async def test_nobody_acts_on_late_bars_and_everybody_on_the_live_one(ground, running):
    ground.theatre.say(1, enter())
    async with running.feeding() as market:
        await market.bar(0)
        market.bars[STREAM].append(bar(100, 1))
        await market.bar(2)
        assert await ground.orders() == []
        ground.theatre.say(4, enter())
        market.bars[STREAM].append(bar(100, 3))
        await market.bar(4)
        (order,) = await ground.orders()
        assert order.decided_at == after_start(minutes=5)


async def test_a_late_reason_to_leave_sells_nothing(ground, running):
    ground.theatre.say(0, enter(95, "0.1"))
    ground.theatre.say(1, leave())
    async with running.feeding() as market:
        await market.bar(0)
        await market.price(100)
        await ground.link().fill(ground.link().submitted[0], 100)
        market.bars[STREAM].append(bar(100, 1))
        await market.bar(2)
        assert await ground.states() == ["done"]


async def test_bars_that_came_twice_or_out_of_turn_are_ignored(ground, running):
    async with running.feeding() as market:
        await market.bar(0)
        await market.bar(1)
        await market.say(BarSeen(STREAM, bar(100, 1)), BarSeen(STREAM, bar(100, 0)))
        await market.say(BarSeen(STREAM, bar(100, -9)))
        assert seen(running) == [-3, -2, -1, 0, 1]
        assert len(market.histories) == 1


async def test_a_market_that_cannot_fill_a_gap_now_is_asked_again(ground, running):
    ground.theatre.say(5, enter())
    async with running.feeding() as market:
        await market.bar(0)
        market.bars[STREAM].append(bar(100, 1))
        market.history_error = VenueUnavailable("no route")
        await market.bar(2)
        assert seen(running)[-1] == 0
        await ground.clock.pass_by(6)
        market.history_error = None
        market.bars[STREAM].append(bar(100, 3))
        await market.bar(4)
        assert seen(running) == [-3, -2, -1, 0, 1, 2, 3, 4]
        await market.bar(5)
        assert await ground.states() == ["created"]


async def test_a_long_gap_is_fetched_within_its_limit(ground, running, monkeypatch):
    monkeypatch.setattr(feed_module, "GAP_BARS_MAX", 4)
    async with running.feeding() as market:
        await market.bar(0)
        await market.bar(90)
    assert ground.market.histories[-1] == (STREAM, after_start(minutes=90), 4)


async def test_a_strategy_that_failed_makes_no_gap_for_those_beside_it(ground):
    await ground.join(BOB, words="name=b")
    ground.theatre.say(0, ZeroDivisionError("a bug"), name="b")
    async with ground.host() as running, running.feeding() as market:
        asked = len(market.histories)
        for minute in range(4):
            await market.bar(minute)
        assert seen(running) == [-3, -2, -1, 0, 1, 2, 3]
        assert len(market.histories) == asked
        assert running.feed.gaps == 0


# ------------------------------------------------------------------- subscriptions


async def test_the_streams_that_are_wanted_are_followed_and_no_others(ground, running):
    async with running.feeding() as market:
        assert market.subscriptions == [(STREAM,)]
        await ground.join(BOB, pair="ETH/USDT")
        await running.poll()
        assert set(market.subscriptions[-1]) == {STREAM, ETHER}
        await ground.ask("/stop_trading", "/removepair ETH/USDT", user=BOB)
        await running.poll()
        assert market.subscriptions[-1] == (STREAM,)
        assert len(market.subscriptions) == 3


async def test_another_follower_of_a_stream_restarts_nothing(ground, running):
    async with running.feeding() as market:
        await ground.join(BOB)
        await ground.join(CAROL, words="name=c")
        await running.poll()
        assert len(running.host.bots) == 3
        assert market.subscriptions == [(STREAM,)]


async def test_a_feed_that_nobody_needs_follows_nothing(ground, running):
    running.host.drop(running.user())
    async with running.feeding() as market:
        await ground.clock.pass_by(30)
        assert market.subscriptions == []


async def test_a_bar_reaches_all_its_followers_even_if_streams_change_meanwhile(
    ground, monkeypatch
):
    """Bots give way to others while a bar is handed out; a new stream must not cut that off."""
    monkeypatch.setattr(host_module, "SLICE_SECONDS", -1.0)
    users = [UserId(f"user-{number}") for number in range(40)]
    await ground.join(*users)
    ground.theatre.say(0, enter())
    async with ground.host() as running, running.feeding() as market:
        script = running.bot(users[0]).group.strategy
        say = script.on_bar

        def on_bar(bar_):
            running.host.board.by_stream[ETHER] = []
            running.feed.changed()
            return say(bar_)

        script.on_bar = on_bar
        await market.bar(0)
        assert len(market.subscriptions) == 2
        states = [await ground.states(user) for user in users]
        assert states == [["created"]] * 40


@pytest.mark.parametrize("end", [VenueUnavailable("connection reset"), None], ids=["error", "end"])
async def test_a_market_that_falls_silent_is_subscribed_to_again(ground, running, end):
    async with running.feeding() as market:
        await market.say(end)
        await ground.clock.pass_by(4.9)
        assert len(market.subscriptions) == 1
        await ground.clock.pass_by(0.2)
        assert len(market.subscriptions) == 2
        await market.price(101)
        assert running.feed.last[BTC] == 101


async def test_what_a_market_should_not_raise_stops_the_feed(ground, running):
    with pytest.raises(ExceptionGroup, match="unhandled"):
        async with running.feeding() as market:
            await market.say(ZeroDivisionError("a bug in the adapter"))


# -------------------------------------------------------------------------- prices


async def test_a_price_fires_stops_and_is_kept(ground, running):
    ground.theatre.say(0, enter(95, "0.1"))
    async with running.feeding() as market:
        await market.bar(0)
        await market.price(100)
        await ground.link().fill(ground.link().submitted[0], 100)
        await market.price("94.5")
        assert await ground.states() == ["done", "open"]
        assert running.feed.last[BTC] == Decimal("94.5")
        assert running.feed.prices[BTC] == ground.clock.now()


async def test_a_symbol_without_prices_is_reported_once_until_they_come_back(ground, running):
    async with running.feeding() as market:
        await market.price(100)
        await ground.clock.pass_by(60)
        assert running.feed.check_stale() == []
        await ground.clock.pass_by(1)
        assert running.feed.check_stale() == [BTC]
        assert running.feed.stale == {BTC}
        assert running.feed.check_stale() == []
        await market.price(100)
        assert running.feed.check_stale() == []
        assert running.feed.stale == set()
        await ground.clock.pass_by(61)
        assert running.feed.check_stale() == [BTC]


async def test_a_symbol_that_never_had_a_price_is_stale_after_as_long(ground, running):
    assert running.feed.check_stale() == []
    await ground.clock.pass_by(61)
    assert running.feed.check_stale() == [BTC]


async def test_a_symbol_that_nobody_follows_is_not_stale(ground, running):
    running.feed.check_stale()
    running.host.drop(running.user())
    await ground.clock.pass_by(61)
    assert running.feed.check_stale() == []


# ------------------------------------------------------------------ the entry delay


@pytest.fixture
async def delayed(ground: Ground) -> AsyncIterator[Running]:
    """A bot whose entries wait six seconds, with one decided at 00:01:00."""
    await ground.ask("/stop_trading", "/removepair BTC/USDT")
    await ground.ask(
        "/addpair BTC/USDT 1000 strategy=script timeframe=1m name=d delay=6", "/start_trading"
    )
    ground.theatre.say(0, enter(95, "0.1"), name="d")
    async with ground.host() as running:
        await running.bar(0)
        yield running


async def test_an_entry_is_held_until_the_first_price_after_its_delay(ground, delayed):
    async with delayed.feeding() as market:
        for _ in range(5):
            await ground.clock.pass_by(1)
            await market.price(100)
        assert await ground.states() == ["created"]
        await ground.clock.pass_by(1)
        await market.price(100)
        (order,) = await ground.orders()
        assert order.sent_at - order.decided_at == timedelta(seconds=6)
        assert len(ground.link().submitted) == 1


async def test_an_entry_whose_price_comes_too_late_lapses(ground, delayed):
    async with delayed.feeding() as market:
        await ground.clock.pass_by(61)
        await market.price(100)
        (order,) = await ground.orders()
        assert order.state.value == "void"
        assert "the next price came at 00:02:01" in order.note
        assert ground.link().submitted == []


async def test_an_entry_whose_price_fell_to_its_stop_lapses(ground, delayed):
    async with delayed.feeding() as market:
        await ground.clock.pass_by(6)
        await market.price(95)
        assert await ground.states() == ["void"]


async def test_prices_of_another_symbol_release_nothing(ground, delayed):
    async with delayed.feeding() as market:
        await ground.clock.pass_by(7)
        await market.price(100, ETH)
        assert await ground.states() == ["created"]
