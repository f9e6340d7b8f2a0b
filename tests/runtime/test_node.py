"""One process: it says how it is, stops when told, and ends with the error that ended it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from tests.makers import BTC, bar
from tests.runtime.live_rig import (
    ALICE,
    BOB,
    STREAM,
    Answer,
    Ground,
    Running,
    VirtualClock,
    enter,
    lone_error,
    quiet,
)
from tradefleet.domain.bot import BotStatus
from tradefleet.domain.errors import StoreUnavailable, VenueUnavailable
from tradefleet.runtime.node import Node, first_of

TTL = 15.0


@pytest.fixture
async def ground() -> Ground:
    ground = Ground.new()
    ground.market.bars[STREAM] = [bar(100, minute) for minute in range(-5, 0)]
    await ground.join()
    ground.theatre.say(0, enter(95, "0.1"))
    return ground


@asynccontextmanager
async def started(
    ground: Ground, *others: object, owner: str = "host-1"
) -> AsyncIterator[tuple[Running, asyncio.Event]]:
    """Run a node until the body or the node ends; an error of either is raised."""
    running = ground.host(owner, lease_seconds=TTL)
    running.node.others = others
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(running.node.run(stop))
        await ground.clock.pass_by(1)
        yield running, stop
        stop.set()
        await quiet()


async def bought(ground: Ground) -> None:
    await ground.market.bar(0)
    await ground.market.price(100)
    await ground.link().fill(ground.link().submitted[0], 100)
    assert await ground.states() == ["done"]


# ------------------------------------------------------------------------- running


async def test_a_node_trades_from_bar_to_trade_by_itself(ground):
    async with started(ground):
        await bought(ground)
        await ground.market.price(94)
        await ground.link().fill(ground.link().submitted[1], 94)
        (trade,) = await ground.trades()
        assert trade.exit_reason == "stop"


async def test_a_node_keeps_its_leases_and_hears_commands(ground):
    async with started(ground) as (running, _):
        epoch = running.user().lease.epoch
        await ground.clock.pass_by(60)
        assert running.user().lease.epoch == epoch
        await ground.join(BOB)
        await ground.clock.pass_by(1.1)
        assert BOB in running.host.users
        await ground.ask("/stop_trading")
        await ground.clock.pass_by(1.1)
        assert not running.bot().engine.running


async def test_open_positions_are_marked_for_status(ground):
    async with started(ground):
        await bought(ground)
        await ground.market.price(107)
        await ground.clock.pass_by(6)
        async with ground.store.open(ALICE, reading=True) as store:
            (memory,) = (await store.memories()).values()
        assert memory.last_price == 107
        written = len(ground.store.batches)
        await ground.clock.pass_by(30)
        assert len(ground.store.batches) == written, "the same price is not written again"


async def test_who_holds_something_is_told_once_that_prices_stopped(ground):
    await ground.join(BOB)
    await ground.ask("/stop_trading", user=BOB)
    async with started(ground):
        await bought(ground)
        await ground.clock.pass_by(90)
        silent = [text for text in await ground.told() if "No prices of BTC/USDT" in text]
        assert silent == ["⚠️ No prices of BTC/USDT are coming in; its stop waits for one."]
        assert not [text for text in await ground.told(BOB) if "No prices" in text]


async def test_who_holds_it_elsewhere_is_not_told_that_prices_stopped_here(ground):
    async with started(ground) as (running, _):
        await bought(ground)
        spec = running.bot().engine.spec
        running.node.feeds["another"] = replace(running.feed, venue="another")
        running.bot().engine.spec = replace(spec, venue="another")
        await ground.clock.pass_by(90)
        assert not [text for text in await ground.told() if "No prices" in text]


async def test_what_strategies_said_is_kept_for_why(ground):
    async with started(ground):
        await ground.market.bar(0)
        await ground.market.bar(1)
        await ground.clock.pass_by(6)
        async with ground.store.open(ALICE, reading=True) as store:
            notes = await store.signal_notes((await ground.bot()).group)
        assert [note.kind for note in notes] == ["entry", "no"]


# ------------------------------------------------------------------------ readings


def values(running: Running) -> dict[str, float | None]:
    return {name: metric.value for name, metric in running.node.readings().items()}


def told(running: Running, name: str) -> str:
    return running.node.readings()[name].detail


async def test_a_node_knows_how_much_runs_in_it(ground):
    async with started(ground) as (running, _):
        await ground.market.price(100)
        assert running.node.recovered.is_set()
        found = values(running)
        assert (found.pop("active_users"), found.pop("active_bots")) == (1, 1)
        assert set(found.values()) == {0}
        await ground.ask("/stop_trading")
        await ground.clock.pass_by(1)
        assert {n: m.value for n, m in running.node.figures().items()} == {
            "active_users": 1,
            "active_bots": 0,
        }


async def test_a_node_that_has_not_taken_its_users_knows_it(ground):
    assert not ground.host().node.recovered.is_set()


async def test_bots_that_were_set_aside_are_counted_and_named(ground):
    async with started(ground) as (running, _):
        running.host.set_aside(running.bot(), "a test")
        found = values(running)
        assert (found["set_aside_bots"], found["bot_crash_rate"]) == (1, 100)
        assert told(running, "bot_crash_rate") == running.bot().id


async def test_a_market_that_falls_silent_is_seen_by_the_age_of_its_prices(ground):
    async with started(ground) as (running, _):
        await ground.market.price(100)
        await ground.clock.pass_by(40)
        assert values(running)["market_data_age_s"] == 40
        assert told(running, "market_data_age_s") == "paper"
        await ground.clock.pass_by(30)
        found = values(running)
        assert (found["market_data_age_s"], found["stale_symbols"]) == (70, 1)
        assert told(running, "stale_symbols") == "paper BTC/USDT"
        await ground.market.price(100)
        await ground.clock.pass_by(5)
        found = values(running)
        assert (found["market_data_age_s"], found["stale_symbols"]) == (5, 0)


async def test_a_bot_whose_bars_are_overdue_is_named_while_it_runs(ground):
    async with started(ground) as (running, _):
        await ground.market.bar(0)
        await ground.clock.pass_by(59)
        assert values(running)["bot_idle_s"] == 0, "the next bar is not due yet"
        await ground.clock.pass_by(31)
        assert values(running)["bot_idle_s"] == 30
        assert told(running, "bot_idle_s") == f"{running.bot().id} 30 s"
        await ground.ask("/stop_trading")
        await ground.clock.pass_by(1)
        assert values(running)["bot_idle_s"] == 0


async def test_a_long_queue_is_counted(ground):
    running = ground.host()
    for _ in range(1000):
        running.host.journal.add(None, lambda error: None)
    assert values(running)["journal_queue"] == 1000


async def test_a_loop_that_lags_is_seen_at_its_worst_and_only_once(ground):
    class LateClock(VirtualClock):
        late = 0.3

        async def sleep(self, seconds: float) -> None:
            await super().sleep(seconds + (self.late if seconds == 1 else 0))

    ground.clock.__class__ = LateClock
    async with started(ground) as (running, _):
        await ground.clock.pass_by(2)
        ground.clock.late = 0
        await ground.clock.pass_by(5)
        assert values(running)["event_loop_lag_ms"] == pytest.approx(300)
        await ground.clock.pass_by(2)
        assert values(running)["event_loop_lag_ms"] == 0


def test_of_many_names_the_first_are_told():
    assert first_of(["a", "b", "c"]) == "a, b, c"
    assert first_of("abcdefg") == "a, b, c, d, e and 2 more"


# ------------------------------------------------------------------------ stopping


async def test_a_node_that_stops_lets_its_users_go_at_once(ground):
    async with started(ground) as (first, stop):
        stop.set()
        await quiet()
        async with ground.host("host-2") as second:
            assert set(second.host.users) == {ALICE}
        assert first.node.recovered.is_set()


async def test_a_node_finishes_what_is_on_its_way_before_it_stops(ground):
    link = None
    async with started(ground) as (_, stop):
        link = ground.link()
        link.gate = asyncio.Event()
        await ground.market.bar(0)
        await ground.market.price(100)
        assert await ground.states() == ["sending"]
        stop.set()
        await quiet()
        assert ground.store._shared.leases[ALICE].owner == "host-1"
        link.gate.set()
        await quiet()
        assert await ground.states() == ["open"]
        assert ground.store._shared.leases[ALICE].owner == ""


@pytest.mark.parametrize("answer", [Answer.LOSE_ANSWER, Answer.LOSE_REQUEST])
async def test_a_node_does_not_wait_for_look_ups_that_are_to_come(ground, answer):
    """An order may stay in doubt for hours; whoever takes the user next asks about it."""
    async with started(ground) as (_, stop):
        ground.link().answers.append(answer)
        ground.link().look_ups.extend(VenueUnavailable("no route") for _ in range(9))
        await ground.market.bar(0)
        await ground.market.price(100)
        assert await ground.states() == ["unknown"]
        stop.set()
        await quiet()
        assert ground.store._shared.leases[ALICE].owner == ""
    ground.link().look_ups.clear()
    async with ground.host("host-2"):
        expected = "open" if answer is Answer.LOSE_ANSWER else "unknown"
        assert await ground.states() == [expected]
        assert len(ground.link().submitted) == 1


async def test_a_bell_that_rings_after_the_end_wakes_nobody(ground):
    async with started(ground) as (_, stop):
        await ground.market.bar(0)
        await ground.market.price(100)
        stop.set()
        await quiet()
        asked = len(ground.link().asked)
        await ground.link().fill(ground.link().submitted[0], 100)
        assert len(ground.link().asked) == asked


async def test_what_runs_beside_the_host_ends_after_it(ground):
    ended = []

    async def beside() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(ground.store._shared.leases[ALICE].owner)

    async with started(ground, beside):
        assert ended == []
    assert ended == [""]


# ----------------------------------------------------------------- errors that end it


async def ends_with(ground: Ground, kind: type[Exception], break_it) -> None:
    """Break something in a running node and expect it to end with that error, at once."""
    with pytest.raises(BaseExceptionGroup) as caught:
        async with started(ground) as (running, _):
            break_it(running)
            await ground.clock.pass_by(20)
            await asyncio.Event().wait()
    assert isinstance(lone_error(caught.value), kind)


async def test_a_journal_that_fails_ends_the_process(ground):
    async def full(batches: object) -> None:
        raise StoreUnavailable("the disk is full")

    def break_it(running: Running) -> None:
        ground.store.before_write = full
        running.host.set_aside(running.bot(), "something to write")
        running.host.flush()

    await ends_with(ground, StoreUnavailable, break_it)


async def test_an_ownership_that_fails_ends_the_process(ground):
    async def fail(*args: object, **named: object) -> None:
        raise StoreUnavailable("no connection")

    def break_it(running: Running) -> None:
        ground.store.take_leases = fail

    await ends_with(ground, StoreUnavailable, break_it)


async def test_a_feed_that_fails_ends_the_process(ground):
    def break_it(running: Running) -> None:
        ground.market.events_left.put_nowait(ZeroDivisionError("a bug in the adapter"))

    await ends_with(ground, ZeroDivisionError, break_it)


async def test_a_job_that_fails_ends_the_process(ground):
    async def fail(*args: object, **named: object) -> None:
        raise StoreUnavailable("no connection")

    def break_it(running: Running) -> None:
        ground.store.note_signals = fail
        group = running.bot().group
        group.note(ground.clock.now(), None)

    await ends_with(ground, StoreUnavailable, break_it)


async def test_a_task_beside_the_host_that_fails_ends_the_process(ground):
    broken = asyncio.Event()

    async def beside() -> None:
        await broken.wait()
        raise OSError("the port is taken")

    with pytest.raises(BaseExceptionGroup) as caught:
        async with started(ground, beside):
            broken.set()
            await asyncio.Event().wait()
    assert isinstance(lone_error(caught.value), OSError)


async def test_a_start_that_fails_ends_the_process(ground):
    async def fail(*args: object, **named: object) -> None:
        raise StoreUnavailable("no connection")

    ground.store.take_leases = fail
    with pytest.raises(BaseExceptionGroup) as caught:
        async with started(ground) as (running, _):
            assert not running.node.recovered.is_set()
            await asyncio.Event().wait()
    assert isinstance(lone_error(caught.value), StoreUnavailable)


async def test_a_process_that_ended_with_an_error_left_nothing_half_done(ground):
    with pytest.raises(BaseExceptionGroup):
        async with started(ground) as (running, _):
            await bought(ground)
            ground.market.events_left.put_nowait(ZeroDivisionError("a bug"))
            await asyncio.Event().wait()
    await ground.store.release_leases("host-1")
    async with ground.host("host-2") as running:
        assert (await ground.bot()).status is BotStatus.RUNNING
        await running.price(94)
        assert await ground.states() == ["done", "open"]
        assert isinstance(running.node, Node) and running.feed.streams()[0].symbol == BTC
