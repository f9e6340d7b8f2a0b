"""What a start takes is told by phase, once, when every user runs."""

import asyncio
import logging

from tests.makers import bar
from tests.runtime.live_rig import STREAM, Ground, VirtualClock
from tradefleet.runtime.start_times import StartTimes


async def test_parts_of_a_phase_add_up_and_what_comes_later_counts_no_more():
    clock = VirtualClock()
    start = StartTimes(clock=clock)
    for phase, seconds in (("database", 0.5), ("users", 0.25), ("database", 1.0)):
        await clock.pass_by(seconds)
        start.ends(phase)
    assert start.told() == "1.75 s: database 1.50, users 0.25"
    await clock.pass_by(9)
    start.ends("users")
    assert start.told() == "1.75 s: database 1.50, users 0.25"


async def test_a_node_says_once_how_long_it_took_until_everybody_runs(caplog):
    caplog.set_level(logging.INFO, "tradefleet.runtime.node")
    ground = Ground.new()
    ground.market.bars[STREAM] = [bar(100, minute) for minute in range(-5, 0)]
    await ground.join()
    running = ground.host("host-1")
    start = StartTimes(clock=ground.clock)
    running.node.start = running.node.ownership.start = start
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(running.node.run(stop))
        await ground.clock.pass_by(5)
        stop.set()
    (told,) = [record.getMessage() for record in caplog.records]
    assert told.startswith("1 users and 1 bots run after 0.00 s: leases")
    assert [*start.spent] == ["leases", "reading users", "accounts and bots", "history"]


async def test_keys_are_read_together_before_accounts_open_and_forgotten_afterwards(caplog):
    ground = Ground.new()
    ground.market.bars[STREAM] = [bar(100, minute) for minute in range(-5, 0)]
    await ground.join()
    running, asked = ground.host("host-1"), []

    async def read(users):
        asked.append((list(users), len(running.host.users)))
        if users:
            raise ValueError("the vault is shut")  # then each key is read when it is needed

    running.ownership.read_keys = read
    async with running:
        assert asked == [(["alice"], 0), ([], 1)]
        assert len(running.host.bots) == 1
    assert "keys cannot be read together" in caplog.text
