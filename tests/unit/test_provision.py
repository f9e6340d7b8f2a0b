"""Accounts whose keys the operator brings: opened at start, kept in step, never by force."""

from dataclasses import replace

import pytest

from tests.doors import ALICE, START
from tests.key_rig import DAY, GOOD, LIVE_ALLOWED, keyed, pair, vault_under
from tradefleet.domain.credentials import KeyFault, KeyRefused
from tradefleet.domain.ids import UserId
from tradefleet.domain.limits import Halt
from tradefleet.domain.user import AccountState, Mode, Role, User
from tradefleet.engine.key_guard import KeyRules
from tradefleet.keyring import Keyring
from tradefleet.operations.provision import Provision, provide

OPERATOR = User(id=UserId("operator"), username="operator", created_at=START, role=Role.ADMIN)
VAULT = vault_under()
AWAY = KeyRefused(KeyFault.NETWORK, "")


def given(credentials=None, user=OPERATOR, mode=Mode.TESTNET):
    return Provision(user=user, venue="bybit", mode=mode, credentials=credentials or pair())


async def provided(store, what=None, answer=GOOD, rules=LIVE_ALLOWED, now=START):
    return await provide(store, VAULT, what or given(), answer, rules, now)


async def account_in(store, user_id=OPERATOR.id):
    async with store.open(user_id, reading=True) as own:
        accounts, switches = await own.accounts(), await own.switches()
    return accounts[0] if accounts else None, [switch.halt for switch in switches]


async def test_user_account_and_key_are_made(store):
    outcome = await provided(store)
    assert (outcome.account_id, outcome.connected, outcome.fault) == (
        "operator:bybit:testnet",
        True,
        "",
    )
    assert await store.find_user(username="operator") == OPERATOR
    account, _ = await account_in(store)
    assert await Keyring(store, VAULT).credentials_of(account) == pair()
    assert account.key.masked == pair().api_key.masked()


async def test_an_existing_user_keeps_name_and_role(store):
    plain = replace(OPERATOR, role=Role.USER, telegram_id=7)
    async with store.open(OPERATOR.id) as own:
        await own.save_user(plain)
    assert (await provided(store)).connected
    assert await store.find_user(username="operator") == plain


async def test_at_the_next_start_the_same_key_is_checked_and_not_connected_again(store):
    await provided(store)
    before = (await account_in(store))[0]
    assert (await provided(store, now=START + DAY)).connected
    after = (await account_in(store))[0]
    assert after.key == replace(before.key, checked_at=START + DAY)
    outcome = await provided(store, answer=replace(GOOD, can_withdraw=True))
    assert (outcome.connected, "may withdraw" in outcome.fault) == (False, True)
    assert (await account_in(store))[1] == [Halt.STOP]


async def test_a_key_that_is_kept_stays_when_its_venue_is_away(store):
    await provided(store)
    outcome = await provided(store, answer=AWAY)
    assert (outcome.connected, outcome.fault.splitlines()[0]) == (
        True,
        "bybit could not be reached.",
    )


@pytest.mark.parametrize("answer", [AWAY, replace(GOOD, can_trade=False)])
async def test_a_new_key_that_does_not_pass_is_not_kept(store, answer):
    outcome = await provided(store, answer=answer)
    assert not outcome.connected
    assert outcome.fault
    assert await account_in(store) == (None, [])


async def test_another_key_takes_the_place_of_the_one_before(store):
    await provided(store)
    await provided(store, given(pair("another key")))
    account, _ = await account_in(store)
    assert (await Keyring(store, VAULT).credentials_of(account)).api_key.reveal() == "another key"


async def test_what_was_let_go_of_is_connected_again(store):
    await provided(store)
    async with store.open(OPERATOR.id) as own:
        (account,) = await own.accounts()
        await own.save_account(replace(account, state=AccountState.DISCONNECTED, key=None))
        await own.drop_sealed_key(account.id)
    assert (await provided(store)).connected
    assert (await account_in(store))[0].is_active


async def test_no_live_account_is_opened_where_that_is_forbidden(store):
    outcome = await provided(store, given(mode=Mode.LIVE), rules=KeyRules(live_ban="No."))
    assert (outcome.connected, outcome.fault) == (False, "No.")
    assert await account_in(store) == (None, [])
    assert (await provided(store, given(mode=Mode.LIVE))).connected


async def test_a_key_or_a_name_of_somebody_else_is_said(store):
    await provided(store)
    other = User(id=ALICE, username="alice", created_at=START)
    taken = await provided(store, given(user=other))
    assert (taken.connected, "connected already" in taken.fault) == (False, True)
    same_name = await provided(store, given(pair("x"), user=replace(other, username="operator")))
    assert (same_name.connected, "is taken" in same_name.fault) == (False, True)


def test_the_account_of_a_provision_is_named_like_everybodys():
    assert given().account_id == replace(keyed(OPERATOR.id)).id
