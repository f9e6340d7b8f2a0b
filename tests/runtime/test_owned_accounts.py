"""Accounts that are connected with another key, or let go of, while a host runs their user."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from tests.key_rig import keyed
from tests.runtime.live_rig import ALICE, BOB, Ground, Link, Running, enter
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


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> list[Link]:
    """The accounts that were let go of at their venues."""
    links: list[Link] = []

    async def close(link: Link) -> None:
        links.append(link)

    monkeypatch.setattr(Link, "close", close)
    return links


async def test_an_account_that_was_let_go_of_is_no_longer_heard(ground, running, closed):
    link = ground.link()
    await change(ground, state=AccountState.DISCONNECTED)
    await running.poll()
    await running.poll()
    assert closed == [link]


async def test_the_accounts_of_a_user_whom_another_host_runs_are_not_heard_here(ground, closed):
    async with ground.host() as running:
        await ground.store.release_leases("host-1")
        async with ground.host("host-2") as other:
            running.host.drop(running.user())  # and the next renewal finds bob's lease lost, too
            await running.poll()
            assert (running.host.users, [*other.host.users]) == ({}, [ALICE, BOB])
            assert closed == [ground.link(), ground.link(BOB)]


async def test_an_account_is_let_go_of_once_what_was_sent_has_come_back(ground, running, closed):
    ground.theatre.say(0, enter(95, "0.1"))
    ground.link().gate = asyncio.Event()
    await running.bar(0)
    await running.price(100)
    user = running.user()
    running.host.drop(user)
    await running.poll()
    assert user.is_busy and ground.link() not in closed
    ground.link().gate.set()
    await running.poll()
    await running.poll()
    assert ground.link() in closed
    assert (running.host.retired, running.user() is user) == ({}, False)
    running.user().gone = True


async def test_an_account_that_cannot_be_let_go_of_stops_nobody(
    ground, running, monkeypatch, caplog
):
    async def close(link: Link) -> None:
        raise RuntimeError("the socket is gone")

    monkeypatch.setattr(Link, "close", close)
    running.host.drop(running.user())
    await running.poll()
    await running.poll()
    assert ALICE in running.host.users
    assert "stays open: RuntimeError('the socket is gone')" in caplog.text


async def test_an_account_that_did_not_change_is_left_alone(ground, running):
    before = running.user()
    for account_id in (PAPER, AccountId("unknown")):
        await ground.ask_host("account_changed", account_id=account_id)
    await running.poll()
    assert running.user() is before
    assert await ground.waiting() == []
