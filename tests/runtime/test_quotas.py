"""Quotas of entries and positions: exact among bots that decide at once, whatever crashes; no exit
is ever refused by one, and a new tier counts from the next entry on."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace

import pytest

from tests.makers import MINUTE, START, bar
from tests.runtime.live_rig import ALICE, Ground, Running, enter, quiet
from tradefleet.domain.limits import TIERS, Tier
from tradefleet.domain.market import Stream, Symbol, Timeframe
from tradefleet.domain.order import Order, Purpose
from tradefleet.domain.user import Role

CROWD = [Symbol(f"C{number}", "USDT") for number in range(64)]
DAY = 1440  # minutes
PLENTY = {"entries_per_day": 100, "open_positions": 100, "bots": 100}


def tiers(**limits: int) -> Mapping[str, Tier]:
    return {**TIERS, "free": replace(TIERS["free"], **{**PLENTY, **limits})}


async def crowd(symbols: list[Symbol] = CROWD) -> Ground:
    """A user with many pairs, all of which follow one script."""
    ground = Ground.new()
    ground.door = replace(ground.door, catalog=replace(ground.door.catalog, tiers=tiers()))
    await ground.ask("/start")
    for symbol in symbols:
        await ground.ask(f"/addpair {symbol} 1000 strategy=script timeframe=1m")
    await ground.ask("/start_trading")
    return ground


async def closes(running: Running, minute: int, symbols: list[Symbol] = CROWD) -> None:
    """Let the bar of a minute close on all markets at once, and prices follow."""
    await running.ground.clock.pass_until(START + (minute + 1) * MINUTE)
    streams = [Stream("paper", symbol, Timeframe(60)) for symbol in symbols]
    await asyncio.gather(*(running.host.bar(stream, bar(100, minute)) for stream in streams))
    await quiet()
    for symbol in symbols:
        await running.price(100, symbol)


async def entries(ground: Ground) -> list[Order]:
    return [each for each in await ground.orders() if each.purpose is Purpose.ENTRY]


@pytest.mark.parametrize("limits", [{"entries_per_day": 1}, {"open_positions": 1}], ids=str)
async def test_of_64_bots_that_want_the_last_place_at_once_one_gets_it(limits):
    ground = await crowd()
    ground.theatre.say(0, enter(95, "0.1"))
    async with ground.host(tiers=tiers(**limits)) as running:
        await closes(running, 0)
    assert len(await entries(ground)) == 1
    assert len(ground.link().submitted) == 1
    async with ground.store.open(ALICE, reading=True) as store:
        assert (await store.guard()).entries_today == 1
    told = [text for text in await ground.told() if "the last of 1 entries" in text]
    assert len(told) == ("entries_per_day" in limits), "once, whatever many are refused"


async def test_a_host_that_was_killed_forgets_none_of_the_days_entries():
    ground = await crowd(CROWD[:8])
    for minute in (0, 1, 2, DAY + 5):
        ground.theatre.say(minute, enter(95, "0.1"))
    allowed = tiers(entries_per_day=3)
    async with ground.doomed_host(tiers=allowed) as running:
        await closes(running, 0, CROWD[:2])
    assert len(await entries(ground)) == 2
    async with ground.doomed_host("second", tiers=allowed) as running:
        await closes(running, 1, CROWD[2:8])
    assert len(await entries(ground)) == 3
    async with ground.host("third", tiers=allowed) as running:
        await closes(running, 2, CROWD[3:8])
        assert len(await entries(ground)) == 3, "the day's quota is used up"
        await closes(running, DAY + 5, CROWD[3:8])
        assert len(await entries(ground)) == 6, "the next day has its own"


async def test_no_quota_refuses_an_exit_nor_what_protects():
    ground = await crowd(CROWD[:2])
    ground.theatre.say(0, enter(95, "0.1"))
    async with ground.doomed_host(tiers=tiers(entries_per_day=1, open_positions=1)) as running:
        await closes(running, 0, CROWD[:1])
        (entry,) = await entries(ground)
        await ground.link().fill(entry, 100)
        await quiet()
    # From now on nothing at all is allowed.
    async with ground.host("strict", tiers=tiers(entries_per_day=0, open_positions=0)) as running:
        ground.theatre.say(1, enter(95, "0.1"))
        await closes(running, 1, CROWD[:2])
        assert len(await entries(ground)) == 1
        await ground.ask(f"/forceexit {CROWD[0]}")
        await running.poll()
        await running.price(100, CROWD[0])
        exits = [each for each in await ground.orders() if each.purpose is Purpose.EXIT]
        assert exits, "the exit is sent"
        await ground.link().fill(exits[-1], 100)
        await quiet()
        assert len(await ground.trades()) == 1


async def test_a_new_tier_and_limits_of_ones_own_count_from_the_next_entry_on():
    ground = await crowd(CROWD[:3])
    await ground.ask("/start", user="boss")
    async with ground.store.open("boss") as store:
        await store.save_user(replace(await store.user(), role=Role.ADMIN))
    for minute in range(4):
        ground.theatre.say(minute, enter(95, "0.1"))
    async with ground.host(tiers=tiers(entries_per_day=1)) as running:
        await closes(running, 0, CROWD[:2])
        assert len(await entries(ground)) == 1
        await ground.ask(f"/tier {ALICE} free entries_per_day=2 Tried.", user="boss")
        await running.poll()
        await closes(running, 1, CROWD[1:3])
        assert len(await entries(ground)) == 2, "what the operator gave wins over the tier"
        await ground.ask(f"/tier {ALICE} premium entries_per_day=tier Paid.", user="boss")
        await running.poll()
        await closes(running, 2, CROWD[1:3])
        assert len(await entries(ground)) == 3
    texts = await ground.told()
    assert any("tier free, with entries_per_day 2. /subscription" in text for text in texts)
    assert any("tier premium. /subscription shows it" in text for text in texts)
