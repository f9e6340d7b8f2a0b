"""Counters of requests: in memory by a clock that stands still, and in a real Redis."""

import asyncio
import logging
from collections.abc import Iterator
from datetime import timedelta

import pytest

from tests.redis_server import RedisServer, redis_server
from tradefleet.counter import Count
from tradefleet.counters.memory import MemoryCounters
from tradefleet.counters.redis import AWAY, RedisCounters
from tradefleet.runtime.real_world import RealClock
from tradefleet.runtime.replay_clock import ReplayClock
from tradefleet.wiring.health import redis_check
from tradefleet.wiring.serving import counted_where


class Moving:
    """A clock that is real but for the seconds a test puts on it."""

    def __init__(self) -> None:
        self._real = RealClock()
        self.ahead = 0.0
        self.now = self._real.now
        self.sleep = self._real.sleep

    def monotonic(self) -> float:
        return self._real.monotonic() + self.ahead


def wait(clock: ReplayClock, seconds: float) -> None:
    clock.move_to(clock.now() + timedelta(seconds=seconds))


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with redis_server() as running:
        yield running


async def test_a_window_begins_with_the_first_hit_and_ends_by_itself(clock: ReplayClock):
    counters = MemoryCounters(clock)
    assert await counters.look("a", 60) == Count(0, 60.0)
    assert await counters.hit("a", 60) == Count(1, 60.0)
    wait(clock, 59)
    assert await counters.hit("a", 60) == Count(2, 1.0)
    assert await counters.look("a", 60) == Count(2, 1.0)
    assert await counters.hit("b", 60) == Count(1, 60.0)
    wait(clock, 1)
    assert await counters.look("a", 60) == Count(0, 60.0)
    assert await counters.hit("a", 60) == Count(1, 60.0)
    await counters.close()


async def test_memory_keeps_so_many_windows_and_forgets_those_that_are_over_first(
    clock: ReplayClock,
):
    counters = MemoryCounters(clock, keys_max=3)
    for name, seconds in (("long", 3600), ("short", 60), ("other", 3600)):
        await counters.hit(name, seconds)
    wait(clock, 60)
    await counters.hit("new", 60)
    assert (await counters.look("long", 3600)).used == 1
    assert (await counters.look("other", 3600)).used == 1
    await counters.hit("newer", 60)
    assert (await counters.look("long", 3600)).used == 0
    assert (await counters.look("new", 60)).used == 1


async def test_redis_counts_for_all_processes_together(server: RedisServer):
    clock = Moving()
    here, there = RedisCounters(server.url, clock), RedisCounters(server.url, clock)
    assert await here.is_reached()
    assert (await here.look("shared", 60)).used == 0
    assert (await here.hit("shared", 60)).used == 1
    second = await there.hit("shared", 60)
    assert second.used == 2
    assert 58 < second.seconds_left <= 60
    seen = await here.look("shared", 60)
    assert (seen.used, 58 < seen.seconds_left <= 60) == (2, True)
    await here.close()
    await there.close()


async def test_of_many_hits_at_once_each_is_told_another_number(server: RedisServer):
    counters = RedisCounters(server.url, Moving())
    found = await asyncio.gather(*(counters.hit("crowd", 60) for _ in range(200)))
    assert sorted(each.used for each in found) == list(range(1, 201))
    await counters.close()


async def test_while_redis_is_away_the_process_counts_by_itself_and_says_so_once(
    caplog: pytest.LogCaptureFixture,
):
    clock = Moving()
    with redis_server() as server, caplog.at_level(logging.INFO, "tradefleet.counters.redis"):
        counters = RedisCounters(server.url, clock)
        for expected in (1, 2):
            assert (await counters.hit("a", 60)).used == expected
        server.stop()
        assert not await counters.is_reached()
        for expected in (1, 2, 3):
            assert (await counters.hit("a", 60)).used == expected
        assert (await counters.look("a", 60)).used == 3
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        server.start()
        assert (await counters.hit("a", 60)).used == 4, "it is not asked at each hit"
        clock.ahead += AWAY
        assert (await counters.hit("b", 60)).used == 1
        assert not counters.is_away
        assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
        await counters.close()


async def test_the_service_says_where_it_counts(clock: ReplayClock):
    assert "by this process alone (set REDIS_URL" in await counted_where(MemoryCounters(clock))
    with redis_server() as server:
        counters = RedisCounters(server.url, Moving())
        assert await counted_where(counters) == "in Redis, for all processes together"
        server.stop()
        assert "REDIS_URL cannot be reached" in await counted_where(counters)
        await counters.close()


async def test_health_tells_for_how_long_redis_has_not_answered():
    clock = Moving()
    with redis_server() as server:
        counters = RedisCounters(server.url, clock)
        check = redis_check(counters, clock)

        async def silent() -> float:
            found = (await check.measure())["redis_silent_s"]
            assert bool(found.detail) is counters.is_away
            assert found.value is not None
            return found.value

        clock.ahead += 100
        assert await silent() == 0
        server.stop()
        clock.ahead += 90
        assert 90 <= await silent() < 100
        server.start()
        clock.ahead += AWAY
        assert await silent() == 0, "though nothing was counted meanwhile"
        await counters.close()


async def test_the_password_in_redis_address_is_in_no_log(caplog: pytest.LogCaptureFixture):
    counters = RedisCounters("redis://:canary-of-redis@127.0.0.1:1/0", Moving())
    assert (await counters.hit("a", 60)).used == 1
    assert "cannot be reached" in caplog.text
    assert "canary" not in caplog.text
    await counters.close()
