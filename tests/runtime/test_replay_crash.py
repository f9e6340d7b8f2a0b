"""A replay whose power is cut at any write ends exactly as an undisturbed one."""

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest

from tests.runtime.replay_rig import (
    BARS,
    Fuse,
    PowerCut,
    World,
    fork,
    ledger,
    notices,
    options,
    play,
    told,
)
from tradefleet.simulation.options import PlayOptions
from tradefleet.simulation.paper_book import Costs


@dataclass(slots=True)
class Undisturbed:
    """A replay that nothing happened to, and the world as each of its writes found it."""

    options: PlayOptions
    bars: Any
    result: dict[str, Any]
    ledger: list[tuple[str, ...]]
    notices: list[str]
    writes: list[str]
    worlds: list[World] = field(repr=False)

    async def check(self, world: World, where: str) -> None:
        """Resume in a new process and compare everything that anybody can see."""
        played = told(await play(world, self.options, self.bars, resume=True))
        assert played == self.result, where
        assert await ledger(world) == self.ledger, where
        assert await notices(world) == self.notices, where
        assert max(world.sent.values()) == 1, f"{where}: an intent was sent twice"


async def undisturbed(chosen: PlayOptions, bars: Any = BARS) -> Undisturbed:
    writes: list[str] = []
    worlds: list[World] = []
    world = World.empty()

    def before(number: int, name: str) -> None:
        writes.append(name)
        worlds.append(fork(world))

    result = told(await play(world, chosen, bars, fuse=Fuse(before=before)))
    worlds.append(fork(world))
    told_users = await notices(world)
    return Undisturbed(chosen, bars, result, await ledger(world), told_users, writes, worlds)


# What a power cut leaves is what was written: cutting after one write leaves the same as cutting
# before the next one. So these worlds are all that there are.
@pytest.mark.parametrize("strategy", ["apex", "ema_cross"])
async def test_a_power_cut_at_any_write_changes_nothing_of_the_result(strategy):
    calm = await undisturbed(options(strategy))
    trades = calm.result["replay-00001"]["trades"]
    assert calm.result["replay-00001"]["ledger_balanced"]
    assert len(trades) >= 9
    count = Counter(calm.writes)
    assert count["write"] > 60 and count["paper"] > 40
    for number, world in enumerate(calm.worlds):
        await calm.check(world, f"cut before write {number + 1}")


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("strategy", ["apex", "ema_cross"])
async def test_a_process_whose_write_fails_ends_with_that_error_and_can_be_resumed(strategy, after):
    calm = await undisturbed(options(strategy))
    for number in range(2, len(calm.writes) + 1, 17):
        world = World.empty()
        with pytest.raises(PowerCut, match=calm.writes[number - 1]):
            await play(world, calm.options, fuse=Fuse(number, after))
        await calm.check(world, f"cut at write {number}")


@pytest.mark.parametrize("lifetime", [9, 14, 23, 41])
async def test_power_cuts_one_after_the_other_change_nothing_either(lifetime):
    """Many of these hit a process that is still picking up what the last one left."""
    calm = await undisturbed(options("apex"))
    world, lives = World.empty(), 0
    while True:
        lives += 1
        assert lives < 100, "no life got any further"
        try:
            fuse = Fuse(lifetime, after=lives % 2 == 0)
            await play(world, calm.options, fuse=fuse, resume=lives > 1)
            break
        except PowerCut:
            continue
    assert lives > len(calm.writes) // lifetime
    await calm.check(world, f"after {lives} lives")


async def test_a_power_cut_changes_nothing_while_orders_fill_in_parts_over_several_bars():
    """Entries are still being bought when the bot sells, and are taken back."""
    thin = Costs(volume_share=Decimal("0.02"), slippage=Decimal("0.0005"))
    bars = BARS[250:390]
    parameters = {"warmup": "30", "score_min": "2", "filters_min": "3"}
    calm = await undisturbed(options("apex", costs=thin, strategy_params=parameters), bars)
    assert len(calm.writes) > 150
    for number, world in enumerate(calm.worlds):
        await calm.check(world, f"cut before write {number + 1}")


async def test_a_power_cut_changes_nothing_for_limits_and_what_they_count():
    chosen = options("apex", limited=True)
    calm = await undisturbed(chosen)
    free = told(await play(World.empty(), options("apex")))
    assert calm.result != free, "no limit was ever reached"
    for number, world in list(enumerate(calm.worlds))[::3]:
        await calm.check(world, f"cut before write {number + 1}")


async def test_a_power_cut_changes_nothing_for_several_users_who_share_the_writes():
    calm = await undisturbed(options("apex", bots=3))
    assert {len(bot["trades"]) for name, bot in calm.result.items() if name != "signals"} == {9}
    for number, world in list(enumerate(calm.worlds))[::11]:
        await calm.check(world, f"cut before write {number + 1}")
