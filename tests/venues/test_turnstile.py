"""Requests of one key, one by one: whose turn it is, and the number each is given."""

import asyncio
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.makers import START
from tests.venuesim.rig import until
from tradefleet.engine.pace import Priority
from tradefleet.venues._ccxt import turnstile
from tradefleet.venues._ccxt.turnstile import LEAP, Turnstile

EPOCH_US = 1_767_225_600_000_000  # START


def after(microseconds: int) -> datetime:
    return START + timedelta(microseconds=microseconds)


# ---- numbers


def test_a_number_is_the_time_in_microseconds():
    assert Turnstile().number(START) == EPOCH_US
    assert Turnstile().number(after(7)) == EPOCH_US + 7


@given(st.lists(st.integers(-(10**9), 10**9), min_size=2, max_size=30))
def test_every_number_is_greater_than_the_last_whatever_the_clock_does(moments):
    kept = Turnstile()
    numbers = [kept.number(after(each)) for each in moments]
    assert numbers == sorted(set(numbers))


def test_no_number_runs_ahead_of_a_clock_that_runs_so_that_a_restart_begins_above_all():
    kept, before = Turnstile(), [EPOCH_US + n for n in range(1000)]
    assert [kept.number(after(n)) for n in range(1000)] == before
    assert Turnstile().number(after(1000)) > before[-1]


def test_who_is_refused_leaps_ahead_of_the_clock_and_stays_there():
    kept = Turnstile()
    kept.refused(kept.number(START))
    assert kept.number(START) == EPOCH_US + LEAP
    assert kept.number(after(5)) == EPOCH_US + LEAP + 5


def test_a_number_that_a_later_one_has_overtaken_is_no_reason_to_leap():
    kept = Turnstile()
    overtaken, _ = kept.number(START), kept.number(after(1))
    kept.refused(overtaken)
    assert kept.ahead == 0


def test_there_is_an_end_to_leaping():
    kept, leaps = Turnstile(), list[int]()
    while not kept.is_hopeless:
        kept.refused(kept.number(START))
        leaps.append(kept.ahead // 1_000_000)
    assert leaps == [10, 40, 160, 640, 2560, 10240, 40960, 163840]
    kept.refused(kept.number(START))
    assert kept.ahead // 1_000_000 == leaps[-1]


# ---- turns


async def passed(kept: Turnstile, priority: Priority, name: str, order: list[str]) -> None:
    async with kept.passing(priority):
        order.append(name)
        await asyncio.sleep(0)


async def test_the_most_urgent_goes_first_and_among_equals_who_came_first():
    kept, order = Turnstile(), list[str]()
    async with asyncio.TaskGroup() as tasks, kept.passing(Priority.READ):
        for name, priority in (
            ("read", Priority.READ),
            ("entry", Priority.ENTRY),
            ("exit 1", Priority.EXIT),
            ("cancel", Priority.CANCEL),
            ("exit 2", Priority.EXIT),
        ):
            tasks.create_task(passed(kept, priority, name, order))
        await asyncio.sleep(0.01)
        assert order == []
    assert order == ["exit 1", "exit 2", "cancel", "entry", "read"]


async def test_nobody_passes_while_another_does():
    kept, inside, most = Turnstile(), 0, 0

    async def pass_through() -> None:
        nonlocal inside, most
        async with kept.passing(Priority.READ):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1

    async with asyncio.TaskGroup() as tasks:
        for _ in range(50):
            tasks.create_task(pass_through())
    assert most == 1


async def test_who_takes_too_long_holds_up_nobody_and_lets_nobody_in_twice(monkeypatch):
    monkeypatch.setattr(turnstile, "HELD_SECONDS", 0.02)
    kept, order = Turnstile(), list[str]()
    async with asyncio.TaskGroup() as tasks:
        async with kept.passing(Priority.EXIT):
            tasks.create_task(passed(kept, Priority.READ, "next", order))
            await until(lambda: order == ["next"])
            async with kept.passing(Priority.READ):
                tasks.create_task(passed(kept, Priority.READ, "third", order))
                await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert order == ["next", "third"]


@pytest.mark.parametrize("moment", ["waiting", "just let in"])
async def test_who_is_cancelled_gives_its_turn_to_the_next(moment):
    kept, order = Turnstile(), list[str]()
    async with asyncio.TaskGroup() as tasks:
        async with kept.passing(Priority.READ):
            gone = tasks.create_task(passed(kept, Priority.EXIT, "gone", order))
            tasks.create_task(passed(kept, Priority.READ, "next", order))
            await asyncio.sleep(0)
            if moment == "waiting":
                gone.cancel()
                await asyncio.sleep(0)
        gone.cancel()
    assert order == ["next"]


async def test_an_error_inside_lets_the_next_one_in():
    kept, order = Turnstile(), list[str]()
    with pytest.raises(ValueError, match="inside"):
        async with kept.passing(Priority.READ):
            raise ValueError("inside")
    await passed(kept, Priority.READ, "next", order)
    assert order == ["next"]
