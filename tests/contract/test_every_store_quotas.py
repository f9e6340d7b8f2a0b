"""What holds for quotas in every store: the last place is given once; limits of one's own stay."""

import asyncio
import sys
from dataclasses import replace
from pathlib import Path

from tests.doors import ALICE, BOB, Still
from tests.makers import RULES
from tradefleet.domain.errors import Refused
from tradefleet.domain.market import Symbol, TradingRules
from tradefleet.venue import VenueSpec
from tradefleet.wiring import build_dispatcher

PAPER = VenueSpec(name="paper", summary="A venue of the tests.", needs_keys=False)
PROCESS = Path(__file__).with_name("_adding.py")


async def rules(venue: str, symbol: Symbol) -> TradingRules:
    return RULES


def door_over(store, mark: str = ""):
    ids = Still()
    new = ids.new
    ids.new = lambda: mark + new()[len(mark) :]
    return build_dispatcher(store, ids, ids, rules=rules, known_venues={"paper": PAPER})


async def add_many(door, numbers: range) -> list[str]:
    """Add pairs all at once; return what each was answered, "" where it was added."""

    async def add(number: int) -> str:
        try:
            await door.run(ALICE, "addpair", [f"C{number}/USDT", "10"])
        except Refused as refusal:
            return str(refusal)
        return ""

    return list(await asyncio.gather(*(add(number) for number in numbers)))


async def test_of_64_requests_at_once_for_the_last_pair_one_wins(store):
    door = door_over(store)
    for user in (ALICE, BOB):
        await door.run(user, "start")
    assert await add_many(door, range(2)) == ["", ""]
    answers = await add_many(door, range(2, 66))
    assert answers.count("") == 1
    refusals = {answer for answer in answers if answer}
    assert refusals == {
        "Your free tier allows 3 trading pairs, and you have 3. Remove one with /removepair first."
        " The tier premium has 10."
    }
    async with store.open(ALICE, reading=True) as own:
        assert len(await own.bots()) == 3
    await door.run(BOB, "addpair", ["BTC/USDT", "10"])


async def test_of_two_processes_that_want_the_last_pair_at_once_one_wins(sql_url, sql_store):
    door = door_over(sql_store)
    await door.run(ALICE, "start")
    await add_many(door, range(2))
    commands = [(sys.executable, "-m", "tests.contract._adding", sql_url, at) for at in "12"]
    running = [
        await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2]
        )
        for command in commands
    ]
    told = [(await process.communicate())[0].decode().strip() for process in running]
    assert sorted(told) == ["0 of 32", "1 of 32"]
    async with sql_store.open(ALICE, reading=True) as own:
        assert len(await own.bots()) == 3


async def test_limits_of_a_users_own_are_kept(store):
    door = door_over(store)
    await door.run(ALICE, "start")
    async with store.open(ALICE) as own:
        user = await own.user()
        assert user.overrides == {}
        await own.save_user(replace(user, tier="premium", overrides={"bots": 7}))
    async with store.open(ALICE, reading=True) as own:
        assert (await own.user()).overrides == {"bots": 7}
    load = await store.load_user(ALICE)
    assert (load.user.tier, load.user.overrides) == ("premium", {"bots": 7})
