"""Rotation of the master key: beside a running service, broken off anywhere, and finished later."""

import asyncio
from dataclasses import replace

import pytest

from tests.key_rig import keyed, pair, vault_under
from tests.makers import START
from tests.store_rig import register
from tradefleet.domain.ids import UserId
from tradefleet.engine.key_guard import KeyRules
from tradefleet.keyring import PAGE, Keyring, keep_key, open_key
from tradefleet.operations import key_rotation
from tradefleet.operations.key_rotation import inspect, rotate
from tradefleet.vault import CannotOpen

USERS = [UserId(f"user{number:02}") for number in range(12)]
OLD, BOTH, NEW = vault_under(0), vault_under(1, 0), vault_under(1)


async def connect(store, user_id, vault):
    account = keyed(user_id)
    credentials = pair(f"key of {user_id}")
    async with store.open(user_id) as own:
        await keep_key(own, vault, account, credentials, rules=KeyRules(), now=START)


async def filled(store, users=USERS):
    for user_id in users:
        await register(store, user_id)
        await connect(store, user_id, OLD)


async def all_open_under(store, vault, users=USERS):
    keyring = Keyring(store, vault)
    for user_id in users:
        found = await keyring.credentials_of(keyed(user_id))
        assert found == pair(f"key of {user_id}")


async def test_every_users_key_is_wrapped_anew_and_a_second_run_does_nothing(store):
    await filled(store)
    keyring = Keyring(store, BOTH)
    done = await rotate(keyring)
    assert (done.rewrapped, done.current, done.faults) == (12, 0, [])
    await all_open_under(store, NEW)
    with pytest.raises(CannotOpen):
        await all_open_under(store, OLD)
    before = await store.wrapped_keys(limit=99)
    again = await rotate(keyring)
    assert (again.rewrapped, again.current, again.faults) == (0, 12, [])
    assert await store.wrapped_keys(limit=99) == before
    assert "Nothing needs the other keys any more" in "\n".join(again.lines())


class Crash(BaseException):
    """The process is killed."""


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_rotation_that_is_killed_anywhere_is_finished_by_the_next(store, when, monkeypatch):
    await filled(store)
    rewrap, left = store.rewrap, 0

    async def killed(user_id, old, new):
        nonlocal left
        left -= 1
        if left < 0 and when == "before":
            raise Crash
        done = await rewrap(user_id, old, new)
        if left < 0:
            raise Crash
        return done

    monkeypatch.setattr(store, "rewrap", killed)
    kept = 0
    for step in range(4):
        left = step
        with pytest.raises(Crash):
            await rotate(Keyring(store, BOTH))
        await all_open_under(store, BOTH)  # whatever was done, all can be opened
        kept += step + (when == "after")
    monkeypatch.setattr(store, "rewrap", rewrap)
    done = await rotate(Keyring(store, BOTH))
    assert (done.rewrapped, done.current) == (12 - kept, kept)
    await all_open_under(store, NEW)


async def test_keys_are_connected_and_opened_while_the_master_key_is_rotated(store, monkeypatch):
    monkeypatch.setattr("tradefleet.keyring.PAGE", 3)
    await filled(store)
    new_users = [UserId(f"user{number:02}x") for number in range(12)]
    opened = 0

    async def keep_busy():
        nonlocal opened
        for user_id, other in zip(USERS, new_users, strict=True):
            await register(store, other)
            await connect(store, other, BOTH)
            await all_open_under(store, BOTH, [user_id, other])
            opened += 2

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(keep_busy())
        rotations = [tasks.create_task(rotate(Keyring(store, BOTH))) for _ in range(2)]
    assert opened == 24
    assert sum(rotation.result().rewrapped for rotation in rotations) == 12
    await all_open_under(store, NEW, [*USERS, *new_users])


async def test_a_user_who_is_erased_meanwhile_stays_erased(store, monkeypatch):
    await filled(store, USERS[:2])
    rewrap = store.rewrap

    async def erased(user_id, old, new):
        async with store.open(user_id) as own:
            await own.shred_keys()
        return await rewrap(user_id, old, new)

    monkeypatch.setattr(store, "rewrap", erased)
    assert (await rotate(Keyring(store, BOTH))).rewrapped == 0
    assert await store.wrapped_keys(limit=9) == []


async def test_keys_under_an_unknown_master_key_are_named_and_the_others_are_rotated(store):
    await filled(store, USERS[:3])
    stranger = UserId("stranger")
    await register(store, stranger)
    await connect(store, stranger, vault_under(2))
    done = await rotate(Keyring(store, BOTH))
    assert (done.rewrapped, len(done.faults)) == (3, 1)
    text = "\n".join(done.lines())
    assert "❌ The key of user stranger was wrapped under another ENCRYPTION_KEY" in text
    assert "Nothing needs" not in text


async def test_the_vault_says_what_it_can_open(store):
    await filled(store, USERS[:3])
    await register(store, UserId("without"))
    found = await inspect(Keyring(store, BOTH))
    assert list(found.lines()) == [
        "Users' keys: 3. Accounts' credentials: 3.",
        "Under an older master key: 3; run `tradefleet vault rotate`.",
        "✅ All of them can be opened.",
    ]
    await rotate(Keyring(store, BOTH))
    assert (await inspect(Keyring(store, NEW))).outdated == 0
    lost = await inspect(Keyring(store, vault_under(2)))
    assert (lost.users, len(lost.faults)) == (3, 3)
    assert "All of them" not in "\n".join(lost.lines())


async def test_the_vault_names_what_was_tampered_with(store):
    await filled(store, USERS[:2])
    async with store.open(USERS[0], reading=True) as own:
        (stolen,) = (await own.sealed_keys()).values()
    async with store.open(USERS[1]) as own:
        (mine,) = (await own.sealed_keys()).values()
        await own.save_sealed_key(replace(mine, sealed=stolen.sealed))
    found = await inspect(Keyring(store, OLD))
    (fault,) = found.faults
    assert fault == (
        "The credentials of account user01:bybit:testnet cannot be opened: connect it again."
    )


async def test_an_account_without_a_key_cannot_be_opened(store):
    await register(store, USERS[0])
    async with store.open(USERS[0], reading=True) as own:
        with pytest.raises(CannotOpen, match="There is no key of account"):
            await open_key(own, OLD, keyed(USERS[0]))


def test_pages_are_limited():
    assert PAGE == 500
    assert key_rotation.Rotation().lines()
