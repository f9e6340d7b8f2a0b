"""A world is the whole service in made-up time: it trades, survives, and repeats itself."""

import asyncio
import subprocess
import sys
from dataclasses import replace

import pytest

from judge import world
from judge.verdict import judge
from judge.world import menu
from judge.world.loop import Deadlock, run_virtual
from judge.world.playing import VENUES, kinds_of, size_of

SMALL = world.Size(users=3, kinds=(menu.ANSWER_LOST,), seconds=(30, 60), users_max=2)


@pytest.mark.parametrize("venue", VENUES)
def test_a_calm_world_trades_and_leaves_nothing_open(venue):
    played = world.play(3, venue, size=world.calm())
    verdict = judge(played.evidence)
    assert verdict.is_clean, verdict.findings[:3]
    assert played.settled and not played.deaths
    assert played.counts["orders"] > 15
    assert not any(kind in menu.KINDS for kind in played.counts)


@pytest.mark.parametrize("venue", VENUES)
def test_a_hostile_world_loses_hosts_at_every_turn_and_nothing_else(venue):
    played = world.play(4, venue, size=SMALL)
    verdict = judge(played.evidence)
    assert verdict.is_clean, verdict.findings[:3]
    assert played.settled and not played.deaths
    assert verdict.number("crashes") >= 2
    assert verdict.number("faults") >= 10


def test_the_store_on_sqlite_comes_to_the_same_verdict():
    small = replace(SMALL, users=2, seconds=(15, 20), store="sqlite")
    played = world.play(5, "kraken", size=small)
    assert judge(played.evidence).is_clean
    assert played.settled and not played.deaths
    assert len(played.evidence.database.orders) > 5


def test_the_same_seed_gives_the_same_journal_whatever_the_hash_seed_of_the_process():
    told = "from judge import world; print(world.play(4, 'bybit', size=SIZE).journal_hash)"
    code = told.replace("SIZE", "world.Size(users=2, kinds=('body cut',), seconds=(10, 15))")
    hashes = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": "."},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(hashes) == 1


def test_another_seed_gives_another_journal():
    small = world.Size(users=1, hosts=1, seconds=(10, 10))
    one, two = (world.play(seed, "mt5", size=small) for seed in (1, 2))
    assert one.journal_hash != two.journal_hash


def test_ten_seeds_of_a_venue_go_through_every_kind_of_fault():
    for place, _ in enumerate(VENUES):
        seeds = range(place, 40 + place, len(VENUES))
        assert {kind for seed in seeds for kind in kinds_of(seed)} == set(menu.KINDS)


def test_some_worlds_stand_on_sqlite():
    assert {size_of(seed).store for seed in range(44)} == {"memory", "sqlite"}


def test_a_world_in_which_everybody_waits_for_ever_says_so():
    async def forever() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(Deadlock):
        run_virtual(forever())
