"""The governor lets requests wait for their turn, and shuts a door when a venue has enough."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from benchmarks.governor import governor_costs
from tests.makers import START
from tests.runtime.live_rig import VirtualClock, quiet
from tradefleet.domain.errors import BrokenInvariant, VenueUnavailable
from tradefleet.domain.ids import UserId
from tradefleet.engine.pace import Priority
from tradefleet.runtime.governor import Governor
from tradefleet.runtime.venue_limits import BINANCE, BYBIT, kraken
from tradefleet.venue import Pacer, VenueCall

ALICE, BOB = UserId("alice"), UserId("bob")
BURST = int(BINANCE.address[0].burst)


def call(
    priority: Priority = Priority.READ,
    user: UserId = ALICE,
    venue: str = "binance",
    **costs: float,
) -> VenueCall:
    return VenueCall(
        venue=venue, key=user, user_id=user, priority=priority, costs=costs or {"weight": 1}
    )


EXIT = call(Priority.EXIT)


class Desk:
    """A governor with tasks that wait in it."""

    def __init__(self, clock: VirtualClock, governor: Governor, tasks: asyncio.TaskGroup) -> None:
        self.clock, self.governor, self.tasks = clock, governor, tasks
        self.went: list[str] = []
        self.refused: dict[str, str] = {}

    def send(self, name: str, call: VenueCall = EXIT) -> asyncio.Task[None]:
        async def go() -> None:
            try:
                await self.governor.turn(call)
            except VenueUnavailable as error:
                self.refused[name] = str(error)
            else:
                self.went.append(name)

        return self.tasks.create_task(go())

    async def use_up(self, weight: float = BURST) -> None:
        await self.governor.turn(call(Priority.EXIT, weight=weight))


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    clock = VirtualClock()
    async with asyncio.TaskGroup() as tasks, Governor(clock=clock) as governor:
        yield Desk(clock, governor, tasks)


async def test_it_is_a_pacer(desk: Desk):
    pacer: Pacer = desk.governor
    await pacer.turn(EXIT)


async def test_what_need_not_wait_goes_at_once_and_starts_no_timer(desk: Desk):
    await desk.governor.turn(call())
    assert desk.governor.entrances["binance"].timer is None


async def test_a_request_waits_until_the_budget_has_room(desk: Desk):
    await desk.use_up()
    desk.send("exit", call(Priority.EXIT, weight=54))
    await desk.clock.pass_by(0.9)
    assert desk.went == []
    await desk.clock.pass_by(0.2)
    assert desk.went == ["exit"]


async def test_who_waits_longer_than_they_can_is_told_and_takes_nothing(desk: Desk):
    await desk.use_up()
    await desk.send("entry", replace(call(Priority.ENTRY, weight=54), patience=0.01))
    assert "did not come in time; nothing was sent" in desk.refused["entry"]
    assert len(desk.governor.entrances["binance"].door) == 0
    desk.send("exit", call(Priority.EXIT, weight=54))
    await desk.clock.pass_by(1.1)
    assert desk.went == ["exit"]


async def test_an_exit_that_comes_later_wakes_the_timer_earlier(desk: Desk):
    await desk.use_up()
    desk.send("read", call(weight=1000))
    await quiet()
    desk.send("exit")
    await desk.clock.pass_by(1)
    assert desk.went == ["exit"]
    await desk.clock.pass_by(60)
    assert desk.went == ["exit", "read"]
    assert desk.governor.entrances["binance"].timer is None


async def test_who_stops_waiting_takes_nothing_and_lets_the_next_one_go(desk: Desk):
    await desk.use_up(BURST - 4)
    heavy = desk.send("heavy", call(Priority.EXIT, weight=500))
    light = desk.send("light", call(Priority.EXIT, BOB, weight=1))
    await quiet()
    heavy.cancel()
    await desk.clock.pass_by(0.01)
    assert desk.went == ["light"]
    assert light.done()


async def test_a_wait_may_be_given_up_after_a_time(desk: Desk):
    """How an order whose deadline is near is taken back before it is sent."""
    await desk.use_up()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.001):
            await desk.governor.turn(call())
    assert len(desk.governor.entrances["binance"].door) == 0


async def test_another_host_of_a_venue_has_a_door_of_its_own(desk: Desk):
    await desk.use_up()
    await desk.governor.turn(call(Priority.EXIT, venue="binance:testnet"))
    with pytest.raises(BrokenInvariant, match="no rate limits are known of nowhere"):
        await desk.governor.turn(call(venue="nowhere"))


# --------------------------------------------------------------- the venue's own figures


@pytest.mark.parametrize(
    ("venue", "costs", "headers", "left"),
    [
        ("binance", {"weight": 1}, {"x-mbx-used-weight-1m": "5398"}, 2),
        ("binance", {"orders": 1}, {"x-mbx-order-count-10s": "87"}, 3),
        ("binance", {"orders": 1}, {"x-mbx-order-count-1d": "179998"}, 2),
        (
            "bybit",
            {"create": 1},
            {
                "x-bapi-limit": "20",
                "x-bapi-limit-status": "4",
                "x-bapi-limit-reset-timestamp": "1700000000000",
            },
            2,
        ),
    ],
)
async def test_what_the_answer_says_is_used_is_used(desk: Desk, venue, costs, headers, left):
    """By somebody else behind the same address, or by the user's own other programs."""
    asked = call(Priority.EXIT, venue=venue, **costs)
    desk.governor.heard(asked, 200, headers)
    for number in range(left + 1):
        desk.send(str(number), asked)
    await quiet()
    assert len(desk.went) == left


async def test_a_minute_that_is_used_up_is_waited_for(desk: Desk):
    desk.governor.heard(EXIT, 200, {"x-mbx-used-weight-1m": "5990"})
    desk.send("exit")
    to_the_minute = 60 - START.timestamp() % 60
    await desk.clock.pass_by(to_the_minute)
    assert desk.went == []
    await desk.clock.pass_by(1.1)
    assert desk.went == ["exit"]


async def test_a_limit_that_bybit_raised_for_an_account_is_used(desk: Desk):
    order = call(Priority.EXIT, venue="bybit", create=1)
    headers = {"x-bapi-limit": "100", "x-bapi-limit-status": "99"}
    desk.governor.heard(order, 200, headers)
    for number in range(60):
        desk.send(str(number), order)
    await quiet()
    assert len(desk.went) == 45


@pytest.mark.parametrize("text", ["", "many", "-1", None])
async def test_figures_that_are_none_change_nothing(desk: Desk, text: Any):
    headers = {} if text is None else {"x-mbx-used-weight-1m": text, "x-bapi-limit": text}
    for venue in ("binance", "bybit", "kraken"):
        desk.governor.heard(call(venue=venue, weight=1), 200, headers)
        await desk.governor.turn(call(Priority.EXIT, venue=venue, weight=1))


def test_krakens_limits_depend_on_the_tier():
    assert kraken().keyed["counter"][0].burst < kraken("pro").keyed["counter"][0].burst
    assert kraken("pro").keyed["pair"][0].limit == 180


def test_bybit_is_used_to_sixty_percent_and_no_more():
    (allowance,) = BYBIT.address
    assert allowance.burst + 5 * allowance.rate == pytest.approx(360)


# ----------------------------------------------------------------------- shut doors


@pytest.mark.parametrize(("status", "venue"), [(429, "binance"), (418, "binance"), (403, "bybit")])
async def test_a_ban_shuts_the_door_for_everybody_until_then(desk: Desk, status, venue):
    await desk.governor.turn(call(Priority.EXIT, venue=venue, weight=1))
    desk.governor.heard(call(venue=venue, weight=1), status, {"retry-after": "120"})
    desk.send("bob's exit", call(Priority.EXIT, BOB, venue=venue, weight=1))
    await quiet()
    until = desk.clock.now() + timedelta(seconds=120)
    assert desk.refused["bob's exit"] == (
        f"{venue} takes no requests from us until {until:%Y-%m-%d %H:%M:%S} UTC:"
        f" it answered with status {status}"
    )
    await desk.governor.turn(call(Priority.EXIT, venue="kraken", counter=1))
    await desk.clock.pass_by(121)
    await desk.governor.turn(call(Priority.EXIT, BOB, venue=venue, weight=1))


async def test_who_waits_when_the_door_is_shut_for_long_is_told(desk: Desk):
    await desk.use_up()
    desk.send("read", call())
    await quiet()
    desk.governor.heard(EXIT, 418, {"retry-after": "3600"})
    await quiet()
    assert "it answered with status 418" in desk.refused["read"]
    assert len(desk.governor.entrances["binance"].door) == 0


async def test_a_short_pause_is_waited_out(desk: Desk):
    desk.governor.heard(EXIT, 429, {"retry-after": "3"})
    desk.send("exit")
    desk.send("read", call())
    await desk.clock.pass_by(2.9)
    assert desk.went == []
    await desk.clock.pass_by(0.2)
    assert desk.went == ["exit", "read"]
    assert desk.refused == {}


async def test_a_venue_that_is_being_repaired_says_for_how_long(desk: Desk):
    desk.governor.heard(EXIT, 503, {"retry-after": "30"})
    desk.send("exit")
    await quiet()
    assert list(desk.refused) == ["exit"]


async def test_other_failures_shut_no_door(desk: Desk):
    for status in (400, 404, 500, 503):
        desk.governor.heard(EXIT, status, {})
    await desk.governor.turn(EXIT)


async def test_a_door_that_shuts_again_and_again_stays_shut_for_longer(desk: Desk):
    entrance_after = []
    for _ in range(3):
        for _ in range(5):  # the answers to all that was under way
            desk.governor.heard(EXIT, 429, {})
        door = desk.governor.entrances["binance"].door
        entrance_after.append(door.opens_at - desk.clock.monotonic())
        await desk.clock.pass_by(entrance_after[-1] + 1)
    assert entrance_after == pytest.approx([60, 120, 240])
    desk.governor.heard(EXIT, 200, {})
    desk.governor.heard(EXIT, 429, {})
    assert door.opens_at - desk.clock.monotonic() == pytest.approx(60)


async def test_an_answer_from_before_the_ban_does_not_end_it(desk: Desk):
    desk.governor.heard(EXIT, 418, {"retry-after": "600"})
    desk.governor.heard(EXIT, 200, {"x-mbx-used-weight-1m": "5"})
    desk.governor.heard(EXIT, 429, {"retry-after": "10"})
    await desk.clock.pass_by(300)
    desk.send("exit")
    await quiet()
    assert list(desk.refused) == ["exit"]


async def test_no_ban_is_believed_for_ever(desk: Desk):
    desk.governor.heard(EXIT, 418, {"retry-after": "99999999999"})
    await desk.clock.pass_by(5 * 86_400)
    await desk.governor.turn(EXIT)


async def test_an_account_that_ordered_too_much_shuts_the_door_for_itself_only(desk: Desk):
    order = call(Priority.EXIT, weight=1, orders=1)
    headers = {
        "x-mbx-used-weight-1m": "40",
        "x-mbx-order-count-10s": "100",
        "x-mbx-order-count-1d": "5000",
        "retry-after": "4",
    }
    desk.governor.heard(order, 429, headers)
    desk.send("alice", order)
    desk.send("bob", call(Priority.EXIT, BOB, weight=1, orders=1))
    await quiet()
    assert desk.went == ["bob"]
    await desk.clock.pass_by(12)
    assert desk.went == ["bob", "alice"]


async def test_an_adapter_may_say_that_a_key_was_too_fast(desk: Desk):
    asked = call(Priority.EXIT, venue="kraken", counter=1)
    desk.governor.too_fast(asked, 10)
    desk.send("alice", asked)
    desk.send("bob", call(Priority.EXIT, BOB, venue="kraken", counter=1))
    await desk.clock.pass_by(9)
    assert desk.went == ["bob"]
    await desk.clock.pass_by(2)
    assert desk.went == ["bob", "alice"]


async def test_an_adapter_may_say_that_the_address_is_banned(desk: Desk):
    desk.governor.too_fast(call(venue="kraken", counter=1), 900, banned=True)
    desk.send("bob", call(Priority.EXIT, BOB, venue="kraken", counter=1))
    await quiet()
    assert "it said that we ask too much" in desk.refused["bob"]


async def test_when_the_service_stops_nobody_is_left_waiting():
    clock = VirtualClock()
    async with asyncio.TaskGroup() as tasks:
        async with Governor(clock=clock) as governor:
            desk = Desk(clock, governor, tasks)
            await desk.use_up()
            desk.send("read", call())
            await quiet()
        await quiet()
        assert desk.refused == {"read": "the service is stopping"}
        desk.send("late", call())
        await quiet()
        assert desk.refused["late"] == "the service is stopping"


def test_what_a_turn_costs_can_be_measured():
    costs = governor_costs(rounds=1)
    assert set(costs) == {"cpu_us_per_free_turn", "cpu_us_per_answer", "cpu_us_per_waiting_turn"}
    assert all(cost > 0 for cost in costs.values())
