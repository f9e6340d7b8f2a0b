"""What holds for every store's bots by hand, switches over everybody and its census."""

from dataclasses import replace

import pytest

from tests.makers import START, after_start
from tests.store_rig import ALICE, BOB, bot, full_memory, order_of, register, take, write
from tradefleet.domain.bot import MANUAL, BotStatus
from tradefleet.domain.effects import MemoryChanged, OrderPlaced
from tradefleet.domain.errors import Refused
from tradefleet.domain.limits import MAINTENANCE, Halt, Scope, Switch
from tradefleet.store import Census


def desk(number: int = 9, **changes):
    return bot(ALICE, number, strategy=MANUAL, **changes)


async def test_a_bot_by_hand_stands_beside_the_pair_of_its_symbol_and_is_no_pair(store):
    pair = bot(ALICE)
    await register(store, ALICE, pair)
    by_hand = desk(symbol=pair.symbol, account_id=pair.account_id)
    async with store.open(ALICE) as own:
        await own.add_bot(by_hand)
    with pytest.raises(Refused, match="already traded"):
        async with store.open(ALICE) as own:
            await own.add_bot(replace(by_hand, id="another"))
    async with store.open(ALICE, reading=True) as own:
        assert [each.id for each in await own.bots()] == [pair.id]
        assert [each.id for each in await own.manual_bots()] == [by_hand.id]
        assert set(await own.memories()) == {pair.id, by_hand.id}
    load = await store.load_user(ALICE)
    assert {each.id for each in load.bots} == {pair.id, by_hand.id}


async def test_the_platforms_two_switches_stand_side_by_side(store):
    await register(store, ALICE)
    for name, halt in (("*", Halt.FLATTEN), (MAINTENANCE, Halt.STOP), (MAINTENANCE, Halt.RUN)):
        switch = Switch(
            scope=Scope.PLATFORM, scope_id=name, halt=halt, reason=name, changed_at=START
        )
        await store.set_platform_switch(switch)
        assert await store.platform_switch(name) == switch
    assert (await store.platform_switch()).halt is Halt.FLATTEN
    async with store.open(ALICE, reading=True) as own:
        found = {each.scope_id: each.halt for each in await own.switches()}
    assert found == {"*": Halt.FLATTEN, MAINTENANCE: Halt.RUN}


async def test_the_census_counts_what_there_is(store):
    assert (await store.census(START)).users == 0
    pair = bot(ALICE, status=BotStatus.RUNNING)
    await register(store, ALICE, pair, desk())
    await register(store, BOB, bot(BOB, status=BotStatus.STOPPED), tier="premium")
    lease = (await take(store))[ALICE]
    await write(store, lease, MemoryChanged(full_memory(pair)), OrderPlaced(order_of(pair)))
    found = await store.census(START)
    assert found == Census(
        users=2,
        active=1,
        registered=found.registered,
        by_tier={"free": 1, "premium": 1},
        accounts=2,
        bots=2,
        running=1,
        positions=1,
        orders=1,
        trades=0,
    )
    assert (await store.census(after_start(days=1000))).orders == 0
