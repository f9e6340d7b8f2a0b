"""Accounts that are connected with another key, or let go of, while a host runs their user."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from tests.key_rig import keyed
from tests.runtime.live_rig import ALICE, BOB, Ground, Running
from tradefleet.domain.ids import AccountId
from tradefleet.domain.user import AccountState

PAPER = AccountId(f"{ALICE}:paper")


@pytest.fixture
async def ground() -> Ground:
    ground = Ground.new()
    await ground.join(ALICE, BOB)
    return ground


@pytest.fixture
async def running(ground: Ground) -> AsyncIterator[Running]:
    async with ground.host() as running:
        yield running


async def change(ground: Ground, **changes) -> None:
    """Change alice's paper account as a command does that connects it, or lets go of it."""
    async with ground.store.open(ALICE) as store:
        (account,) = await store.accounts()
        await store.save_account(replace(account, **changes))
        await store.ask_host("account_changed", {"account_id": account.id})


async def test_an_account_with_another_key_is_opened_anew(ground, running):
    before, bobs = running.user(), running.user(BOB)
    await change(ground, key=keyed(ALICE).key)
    await running.poll()
    await running.poll()
    assert running.user() is not before
    assert running.user().accounts[PAPER].key == keyed(ALICE).key
    assert running.bot().engine.running
    assert running.user(BOB) is bobs
    assert await ground.waiting() == []


async def test_an_account_that_was_let_go_of_is_closed_and_its_bots_with_it(ground, running):
    await change(ground, state=AccountState.DISCONNECTED)
    await running.poll()
    await running.poll()
    assert (running.user().lanes, running.user().bots) == ({}, {})
    assert await ground.waiting() == []
    await change(ground, state=AccountState.ACTIVE)
    await running.poll()
    await running.poll()
    assert PAPER in running.user().lanes
    assert running.bot().engine.running


async def test_an_account_that_did_not_change_is_left_alone(ground, running):
    before = running.user()
    for account_id in (PAPER, AccountId("unknown")):
        await ground.ask_host("account_changed", account_id=account_id)
    await running.poll()
    assert running.user() is before
    assert await ground.waiting() == []
