"""What holds for every store's keys: one per account, each API key once, gone when dropped."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.key_rig import DAY, keyed
from tests.makers import START, after_start
from tests.store_rig import ALICE, BOB, LATE, account, register
from tradefleet.domain.errors import BrokenInvariant, Refused
from tradefleet.domain.ids import AccountId, UserId
from tradefleet.domain.user import AccountState, ExternalChanges, Mode
from tradefleet.store import KeyTaken, PendingKey, SealedKey

FULL_KEY = keyed(
    ALICE,
    can_read=True,
    can_trade=None,
    can_withdraw=False,
    ip_restricted=False,
    expires_at=LATE,
    warnings=("one", "zwei ü"),
    fault="something",
    stopped="something",
)


def sealed(owner, print_="f1", **changes):
    given = {
        "account_id": owner.id,
        "sealed": b"\x00sealed\xff",
        "fingerprint": print_,
        "sealed_at": START,
        "check_at": START + DAY,
        **changes,
    }
    return SealedKey(**given)


def pending(owner, **changes):
    given = {
        "account_id": owner.id,
        "venue": owner.venue,
        "mode": owner.mode,
        "sealed": b"pending\x00",
        "fingerprint": "p1",
        "key": owner.key,
        "code": "ABC234",
        "expires_at": after_start(minutes=5),
        **changes,
    }
    return PendingKey(**given)


async def connect(store, owner, key=None):
    async with store.open(owner.user_id) as own:
        await own.save_account(owner)
        await own.save_sealed_key(key or sealed(owner))


async def keys_of(store, user_id):
    async with store.open(user_id, reading=True) as own:
        return await own.wrapped_key(), await own.sealed_keys(), await own.pending_key()


# ---- accounts


async def test_an_account_comes_back_with_all_that_is_known_of_its_key(store):
    await register(store, ALICE)
    changed = replace(
        FULL_KEY, state=AccountState.DISCONNECTED, external_changes=ExternalChanges.ASK
    )
    async with store.open(ALICE) as own:
        await own.save_account(FULL_KEY)
        assert await own.accounts() == [FULL_KEY, account(ALICE)]
        await own.save_account(changed)
    async with store.open(ALICE, reading=True) as own:
        assert await own.accounts() == [changed, account(ALICE)]


async def test_the_connected_accounts_of_a_mode_are_found_over_all_users(store):
    for user_id in (ALICE, BOB):
        await register(store, user_id)
        for mode in (Mode.TESTNET, Mode.LIVE):
            await connect(store, keyed(user_id, mode), sealed(keyed(user_id, mode), user_id + mode))
    live = [keyed(ALICE, Mode.LIVE), keyed(BOB, Mode.LIVE)]
    assert await store.active_accounts(Mode.LIVE) == live
    async with store.open(ALICE) as own:
        await own.save_account(replace(live[0], state=AccountState.DISCONNECTED))
    assert await store.active_accounts(Mode.LIVE) == live[1:]
    assert len(await store.active_accounts(Mode.PAPER)) == 2


# ---- sealed keys


async def test_keys_come_back_to_the_letter(store):
    await register(store, ALICE)
    owner, other = keyed(ALICE), keyed(ALICE, Mode.LIVE)
    async with store.open(ALICE) as own:
        assert await own.wrapped_key() is None
        assert await own.sealed_keys() == {}
        assert await own.pending_key() is None
        await own.save_wrapped_key(b"wrapped\x00\xff")
        await own.save_account(owner)
        await own.save_sealed_key(sealed(owner))
        await own.save_pending_key(pending(other))
        assert await own.wrapped_key() == b"wrapped\x00\xff"
    wrapped, found, waiting = await keys_of(store, ALICE)
    assert (wrapped, found) == (b"wrapped\x00\xff", {owner.id: sealed(owner)})
    assert waiting == pending(other)


async def test_an_account_has_one_sealed_key_and_a_user_one_that_waits(store):
    await register(store, ALICE)
    owner = keyed(ALICE)
    later = sealed(owner, "f2", sealed=b"other", check_at=LATE)
    await connect(store, owner)
    async with store.open(ALICE) as own:
        await own.save_sealed_key(later)
        await own.save_pending_key(pending(owner))
        await own.save_pending_key(pending(owner, code="XYZ789", tries=2))
    _, found, waiting = await keys_of(store, ALICE)
    assert found == {owner.id: later}
    assert (waiting.code, waiting.tries) == ("XYZ789", 2)
    await connect(store, keyed(ALICE, Mode.LIVE), sealed(keyed(ALICE, Mode.LIVE)))  # f1 is free


async def test_a_user_has_one_key_for_good(store):
    await register(store, ALICE)
    async with store.open(ALICE) as own:
        await own.save_wrapped_key(b"first")
    with pytest.raises(BrokenInvariant):
        async with store.open(ALICE) as own:
            await own.save_wrapped_key(b"second")
    assert (await keys_of(store, ALICE))[0] == b"first"


async def test_nobody_sees_the_keys_of_another_user(store):
    for user_id in (ALICE, BOB):
        await register(store, user_id)
    await connect(store, keyed(ALICE))
    async with store.open(ALICE) as own:
        await own.save_wrapped_key(b"w")
        await own.save_pending_key(pending(keyed(ALICE)))
    async with store.open(BOB) as own:
        assert await own.wrapped_key() is None
        assert (await own.sealed_keys(), await own.pending_key()) == ({}, None)
        await own.drop_sealed_key(keyed(ALICE).id)
        await own.drop_pending_key()
        await own.shred_keys()
    wrapped, found, waiting = await keys_of(store, ALICE)
    assert (wrapped, len(found), waiting is None) == (b"w", 1, False)


@pytest.mark.parametrize("other", [keyed(BOB), keyed(ALICE, Mode.LIVE), keyed(ALICE, venue="x")])
async def test_an_api_key_is_connected_once_over_all_users(store, other):
    for user_id in (ALICE, BOB):
        await register(store, user_id)
    await connect(store, keyed(ALICE))
    with pytest.raises(KeyTaken, match="connected already") as error:
        await connect(store, other, sealed(other))
    assert ALICE not in str(error.value)
    assert isinstance(error.value, Refused)
    async with store.open(other.user_id, reading=True) as own:
        assert other not in await own.accounts()
        assert other.id not in await own.sealed_keys()


async def test_of_many_who_connect_one_api_key_at_once_exactly_one_gets_it(store):
    users = [UserId(f"u{number:02}") for number in range(16)]
    for user_id in users:
        await register(store, user_id)
    results = await asyncio.gather(
        *(connect(store, keyed(user_id)) for user_id in users), return_exceptions=True
    )
    assert results.count(None) == 1
    assert [type(result) for result in results if result].count(KeyTaken) == 15


async def test_an_api_key_that_was_let_go_of_can_be_connected_again(store):
    for user_id in (ALICE, BOB):
        await register(store, user_id)
    await connect(store, keyed(ALICE))
    async with store.open(ALICE) as own:
        await own.drop_sealed_key(keyed(ALICE).id)
    await connect(store, keyed(BOB))
    assert (await keys_of(store, ALICE))[1] == {}


async def test_an_account_that_is_not_there_can_have_no_key(store):
    await register(store, ALICE)
    await register(store, BOB)
    with pytest.raises(BrokenInvariant):
        async with store.open(ALICE) as own:
            await own.save_sealed_key(sealed(keyed(ALICE)))


async def test_a_transaction_that_fails_keeps_no_key_and_destroys_none(store):
    await register(store, ALICE)
    owner = keyed(ALICE)
    with pytest.raises(RuntimeError):
        async with store.open(ALICE) as own:
            await own.save_wrapped_key(b"w")
            await own.save_account(owner)
            await own.save_sealed_key(sealed(owner))
            await own.save_pending_key(pending(owner))
            raise RuntimeError
    assert await keys_of(store, ALICE) == (None, {}, None)
    await connect(store, owner)
    with pytest.raises(RuntimeError):
        async with store.open(ALICE) as own:
            await own.shred_keys()
            raise RuntimeError
    assert len((await keys_of(store, ALICE))[1]) == 1


async def test_who_is_shredded_has_no_key_left(store):
    await register(store, ALICE)
    await connect(store, keyed(ALICE))
    async with store.open(ALICE) as own:
        await own.save_wrapped_key(b"w")
        await own.save_pending_key(pending(keyed(ALICE)))
    async with store.open(ALICE) as own:
        await own.shred_keys()
        assert await own.wrapped_key() is None
        await own.save_wrapped_key(b"a fresh one")
    assert await keys_of(store, ALICE) == (b"a fresh one", {}, None)


# ---- the operator's work on all of them


async def test_users_keys_are_read_page_by_page_and_exchanged_one_by_one(store):
    users = [UserId(f"u{number:02}") for number in range(5)]
    for user_id in users:
        await register(store, user_id)
    for user_id in users[:4]:
        async with store.open(user_id) as own:
            await own.save_wrapped_key(user_id.encode())
    first = await store.wrapped_keys(limit=3)
    assert first == [(user_id, user_id.encode()) for user_id in users[:3]]
    assert await store.wrapped_keys(after=users[2], limit=3) == [(users[3], b"u03")]
    assert await store.wrapped_keys(after=users[3], limit=3) == []
    assert await store.rewrap(users[0], b"u00", b"new") is True
    assert await store.rewrap(users[0], b"u00", b"newer") is False
    assert await store.rewrap(users[4], b"x", b"y") is False
    assert await store.rewrap(UserId("nobody"), b"x", b"y") is False
    assert (await keys_of(store, users[0]))[0] == b"new"


async def test_keys_are_due_in_the_order_of_their_time(store):
    for number, user_id in enumerate((ALICE, BOB)):
        await register(store, user_id)
        for mode, hours in ((Mode.TESTNET, 2 - number), (Mode.LIVE, 30)):
            owner = keyed(user_id, mode)
            at = START + timedelta(hours=hours)
            await connect(store, owner, sealed(owner, user_id + mode, check_at=at))
    both = [(BOB, keyed(BOB).id), (ALICE, keyed(ALICE).id)]
    at_two = after_start(hours=2)
    assert await store.keys_to_check(now=at_two, limit=9) == both
    assert await store.keys_to_check(now=at_two, limit=1) == both[:1]
    assert await store.keys_to_check(now=at_two - timedelta(microseconds=1), limit=9) == both[:1]
    async with store.open(BOB) as own:
        await own.drop_sealed_key(keyed(BOB).id)
    assert await store.keys_to_check(now=at_two, limit=9) == both[1:]


async def test_keys_nobody_confirmed_in_time_are_destroyed(store):
    for user_id, minutes in ((ALICE, 5), (BOB, 6)):
        await register(store, user_id)
        async with store.open(user_id) as own:
            expires = after_start(minutes=minutes)
            await own.save_pending_key(pending(keyed(user_id), expires_at=expires))
    await store.drop_late_keys(after_start(minutes=5))
    assert (await keys_of(store, ALICE))[2] is None
    assert (await keys_of(store, BOB))[2] is not None


# ---- one account per user, venue and mode


async def test_there_is_one_account_per_venue_and_mode_where_there_are_keys(sql_store):
    await register(sql_store, ALICE)
    await connect(sql_store, keyed(ALICE))
    second = replace(keyed(ALICE), id=AccountId("another"))
    with pytest.raises(BrokenInvariant):
        async with sql_store.open(ALICE) as own:
            await own.save_account(second)


async def test_the_keys_of_many_are_read_at_once_each_beside_its_users_own(store):
    for number, user_id in enumerate((ALICE, BOB)):
        await register(store, user_id)
        for mode in (Mode.TESTNET, Mode.LIVE)[number:]:
            owner = keyed(user_id, mode)
            await connect(store, owner, sealed(owner, user_id + mode))
            async with store.open(user_id) as own:
                if await own.wrapped_key() is None:
                    await own.save_wrapped_key(b"own key of " + user_id.encode())
    every = await store.keys_of([ALICE, BOB, UserId("nobody")])
    for user_id in (ALICE, BOB):
        wrapped, each_sealed, _ = await keys_of(store, user_id)
        theirs = {account_id: (wrapped, each) for account_id, each in each_sealed.items()}
        assert await store.keys_of([user_id]) == theirs
        assert {key: every[key] for key in theirs} == theirs
    assert len(every) == 3
    assert await store.keys_of([]) == {}
