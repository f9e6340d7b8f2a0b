"""One process: it says how it is, stops when told, and ends with the error that ended it."""

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
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
from tradefleet.runtime.node import Node, rated

TTL = 15.0


@pytest.fixture(autouse=True)
def thaw() -> Iterator[None]:
    """A node freezes what was built at its start; other tests' garbage is among it."""
    yield
    gc.unfreeze()


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


# -------------------------------------------------------------------------- health


async def test_a_healthy_node_says_so_with_its_figures(ground):
    async with started(ground) as (running, _):
        await ground.market.price(100)
        report = await running.node.health()
        assert report["overall_status"] == "healthy"
        assert report["timestamp"] == "2026-01-01T00:00:01Z"
        assert report["metrics"]["active_users"] == {"value": 1, "status": "healthy"}
        assert report["metrics"]["active_bots"] == {"value": 1, "status": "healthy"}
        assert (report["active_alerts"], report["critical_alerts"]) == (0, 0)
        await ground.ask("/stop_trading")
        await ground.clock.pass_by(1)
        report = await running.node.health()
        assert report["metrics"]["active_bots"]["value"] == 0


async def test_a_node_that_has_not_taken_its_users_is_degraded(ground):
    running = ground.host()
    assert (await running.node.health())["overall_status"] == "degraded"
    assert not running.node.recovered.is_set()


async def test_faults_and_silent_markets_degrade_a_node(ground):
    async with started(ground) as (running, _):
        running.host.set_aside(running.bot(), "a test")
        report = await running.node.health()
        assert report["metrics"]["set_aside_bots"] == {"value": 1, "status": "degraded"}
        assert report["overall_status"] == "degraded"
        await ground.clock.pass_by(70)
        report = await running.node.health()
        assert report["metrics"]["stale_symbols"] == {"value": 1, "status": "degraded"}
        assert report["active_alerts"] == 2


async def test_a_slow_database_and_a_long_queue_are_said(ground, monkeypatch):
    running = ground.host()
    running.node.recovered.set()

    async def ping() -> float:
        return 0.6

    monkeypatch.setattr(ground.store, "ping", ping)
    for _ in range(1000):
        running.host.journal.add(None, lambda error: None)
    report = await running.node.health()
    assert report["metrics"]["database_ms"] == {"value": 600, "status": "unhealthy"}
    assert report["metrics"]["journal_queue"] == {"value": 1000, "status": "degraded"}
    assert report["overall_status"] == "unhealthy"
    assert (report["active_alerts"], report["critical_alerts"]) == (2, 1)


async def test_a_loop_that_lags_is_said(ground):
    class LateClock(VirtualClock):
        async def sleep(self, seconds: float) -> None:
            await super().sleep(seconds + (0.3 if seconds == 1 else 0))

    ground.clock.__class__ = LateClock
    async with started(ground) as (running, _):
        await ground.clock.pass_by(2)
        report = await running.node.health()
        assert report["metrics"]["event_loop_lag_ms"] == {"value": 300, "status": "degraded"}


@pytest.mark.parametrize(
    ("value", "status"),
    [(0, "healthy"), (9.99, "healthy"), (10, "degraded"), (20, "unhealthy"), (21, "unhealthy")],
)
def test_a_value_is_rated_by_its_thresholds(value, status):
    assert rated(value, 10, 20) == {"value": value, "status": status}


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
