"""A bot that comes with a position and trades from elsewhere, in every store."""

from datetime import timedelta
from decimal import Decimal

import pytest

from tests.makers import START
from tests.store_rig import ALICE, BOB, bot, full_memory, register, take
from tradefleet.domain.errors import BrokenInvariant, Conflict
from tradefleet.domain.position import Trade


def trade(number: int = 1, whose=ALICE) -> Trade:
    owner = bot(whose)
    return Trade(
        id=f"t{number}",
        user_id=whose,
        account_id=owner.account_id,
        bot_id=owner.id,
        symbol=owner.symbol,
        opened_at=START,
        closed_at=START + timedelta(hours=number),
        quantity=Decimal("0.5"),
        entry_price=Decimal(100),
        exit_price=Decimal(110),
        gross_pnl=Decimal(5),
        fees=Decimal("0.1"),
        exit_reason="imported",
    )


async def test_what_a_bot_brings_with_it_is_kept_and_found_by_who_runs_it(store):
    await register(store, ALICE, bot(ALICE))
    memory = full_memory(bot(ALICE))
    for _ in range(2):
        async with store.open(ALICE) as own:
            await own.adopt(memory, [trade(1), trade(2)])
    async with store.open(ALICE, reading=True) as own:
        assert (await own.memories())[bot(ALICE).id] == memory
        assert list(await own.trades()) == [trade(1), trade(2)]
    assert (await store.load_user(ALICE)).memories[bot(ALICE).id] == memory


async def test_nothing_is_given_to_a_bot_that_somebody_runs(store, clock):
    await register(store, ALICE, bot(ALICE))
    await take(store, now=clock.now())
    with pytest.raises(Conflict, match="host runs this user's bots now: stop the service first"):
        async with store.open(ALICE) as own:
            await own.adopt(full_memory(bot(ALICE)), [trade()])
    async with store.open(ALICE, reading=True) as own:
        assert list(await own.trades()) == []


async def test_nothing_of_another_user_or_bot_is_taken(store):
    for user_id in (ALICE, BOB):
        await register(store, user_id, bot(user_id))
    with pytest.raises(BrokenInvariant):
        async with store.open(ALICE) as own:
            await own.adopt(full_memory(bot(BOB)), [])
    with pytest.raises(BrokenInvariant):
        async with store.open(ALICE) as own:
            await own.adopt(full_memory(bot(ALICE)), [trade(whose=BOB)])
