"""What holds for everything users sign in with, in every store."""

import asyncio
from datetime import timedelta

import pytest

from tests.makers import START, after_start
from tests.store_rig import ALICE, BOB, register
from tradefleet.domain.errors import BrokenInvariant, Refused
from tradefleet.identity import (
    REUSE_GRACE,
    SESSION_LIFETIME,
    Failures,
    Link,
    LinkUse,
    Password,
    PersonalToken,
    RenewalFault,
    Right,
    SecondFactor,
    Session,
)

SOON = after_start(minutes=10)


def session(user_id=ALICE, id="s1", **changes):
    given = {
        "id": id,
        "user_id": user_id,
        "how": "password",
        "address": "192.0.2.1",
        "created_at": START,
        "seen_at": START,
        "expires_at": START + SESSION_LIFETIME,
        **changes,
    }
    return Session(**given)


def token(user_id=ALICE, id="t1", **changes):
    given = {
        "id": id,
        "user_id": user_id,
        "name": "my script",
        "hash": f"hash of {id}",
        "rights": (Right.READ, Right.TRADE),
        "created_at": START,
        "expires_at": SOON,
        **changes,
    }
    return PersonalToken(**given)


def link(user_id=ALICE, hash="l1", use=LinkUse.SIGN_IN, **changes):
    return Link(**{"hash": hash, "user_id": user_id, "use": use, "expires_at": SOON, **changes})


async def signed_in(store, user_id=ALICE, id="s1", hash="r1"):
    async with store.open(user_id) as own:
        await own.identity.save_session(session(user_id, id))
        await own.identity.save_renewal(id, hash, START)


# ---- a user's own


async def test_what_a_user_signs_in_with_comes_back_to_the_letter(store):
    await register(store, ALICE)
    full = session(strong_until=SOON, revoked_at=SOON, revoked_because="you ended it")
    factor = SecondFactor(sealed=b"\x00\xff", made_at=START, confirmed_at=SOON)
    password = Password(hash="$argon2id$x", changed_at=START)
    async with store.open(ALICE) as own:
        assert await own.identity.password() is None
        assert await own.identity.second_factor() is None
        await own.identity.save_password(password)
        await own.identity.save_session(full)
        await own.identity.save_session(session(id="s2"))
        await own.identity.save_token(token())
        await own.identity.save_second_factor(factor)
    async with store.open(ALICE, reading=True) as own:
        assert await own.identity.password() == password
        assert await own.identity.sessions() == [full, session(id="s2")]
        assert await own.identity.tokens() == [token()]
        assert await own.identity.second_factor() == factor
    assert await store.identity.session("s1") == full
    assert await store.identity.token("hash of t1") == token()
    async with store.open(ALICE) as own:
        await own.identity.drop_second_factor()
        await own.identity.save_token(token(revoked_at=SOON))
        assert await own.identity.second_factor() is None
        assert await own.identity.tokens() == [token(revoked_at=SOON)]


async def test_a_user_sees_nothing_of_what_another_signs_in_with(store):
    for user_id in (ALICE, BOB):
        await register(store, user_id)
    await signed_in(store, ALICE)
    async with store.open(ALICE) as own:
        await own.identity.save_token(token())
        await own.identity.save_password(Password(hash="x", changed_at=START))
    async with store.open(BOB, reading=True) as own:
        assert await own.identity.sessions() == []
        assert await own.identity.tokens() == []
        assert await own.identity.password() is None
    with pytest.raises(BrokenInvariant):
        async with store.open(BOB) as own:
            await own.identity.save_session(session(ALICE))
    with pytest.raises(BrokenInvariant):
        async with store.open(BOB) as own:
            await own.identity.save_token(token(ALICE))


async def test_what_is_rolled_back_signs_nobody_in(store):
    await register(store, ALICE)
    with pytest.raises(Refused):
        async with store.open(ALICE) as own:
            await own.identity.save_session(session())
            await own.identity.save_token(token())
            await own.identity.save_link(link())
            assert await own.identity.spend("once", SOON)
            raise Refused("no")
    assert await store.identity.session("s1") is None
    assert await store.identity.token("hash of t1") is None
    assert await store.identity.link("l1", LinkUse.SIGN_IN, START) is None
    async with store.open(ALICE) as own:
        assert await own.identity.spend("once", SOON)


# ---- renewals


async def test_a_session_is_renewed_by_its_latest_renewal_and_lives_longer(store):
    await register(store, ALICE)
    await signed_in(store)
    later = after_start(days=1)
    renewed = await store.identity.renew("r1", "r2", later)
    assert renewed == session(seen_at=later, expires_at=later + SESSION_LIFETIME)
    assert await store.identity.session("s1") == renewed
    assert isinstance(await store.identity.renew("r2", "r3", later), Session)


async def test_of_two_renewals_at_once_exactly_one_wins(store):
    await register(store, ALICE)
    await signed_in(store)
    done = await asyncio.gather(
        *(store.identity.renew("r1", f"new{number}", START) for number in range(16))
    )
    assert sum(isinstance(each, Session) for each in done) == 1
    assert done.count(RenewalFault.USED) == 15
    assert (await store.identity.session("s1")).is_open(START)


async def test_a_renewal_used_again_later_ends_its_session_and_all_that_came_of_it(store):
    await register(store, ALICE)
    await signed_in(store)
    await signed_in(store, id="other", hash="o1")
    await store.identity.renew("r1", "r2", START)
    late = START + REUSE_GRACE + timedelta(microseconds=1)
    assert await store.identity.renew("r1", "r3", late) is RenewalFault.STOLEN
    ended = await store.identity.session("s1")
    assert ended.revoked_at == late
    assert "twice" in ended.revoked_because
    assert await store.identity.renew("r2", "r4", late) is RenewalFault.ENDED
    assert isinstance(await store.identity.renew("o1", "o2", late), Session)


async def test_what_renews_nothing_is_told_apart(store):
    await register(store, ALICE)
    await signed_in(store)
    assert await store.identity.renew("never", "r2", START) is RenewalFault.UNKNOWN
    assert await store.identity.renew("r1", "r2", START + SESSION_LIFETIME) is RenewalFault.ENDED
    async with store.open(ALICE) as own:
        await own.identity.save_session(session(revoked_at=START))
    assert await store.identity.renew("r1", "r3", START) is RenewalFault.ENDED


# ---- links, and what is of one use


async def test_a_link_opens_once_for_its_use_and_in_time(store):
    await register(store, ALICE)
    async with store.open(ALICE) as own:
        await own.identity.save_link(link())
    identity = store.identity
    assert await identity.link("l1", LinkUse.SIGN_IN, START) == link()
    assert await identity.open_link("l1", LinkUse.PASSWORD, START) is None
    assert await identity.open_link("l1", LinkUse.SIGN_IN, SOON) is None
    opened = await asyncio.gather(
        *(identity.open_link("l1", LinkUse.SIGN_IN, START) for _ in range(8))
    )
    assert [each for each in opened if each] == [link()]
    assert await identity.link("l1", LinkUse.SIGN_IN, START) is None


async def test_a_new_link_for_a_use_closes_the_one_before(store):
    for user_id in (ALICE, BOB):
        await register(store, user_id)
    async with store.open(BOB) as own:
        await own.identity.save_link(link(BOB, "of bob"))
    async with store.open(ALICE) as own:
        await own.identity.save_link(link())
        await own.identity.save_link(link(hash="l2"))
        await own.identity.save_link(link(hash="l3", use=LinkUse.PASSWORD))
    found = [await store.identity.link(h, LinkUse.SIGN_IN, START) for h in ("l1", "l2", "of bob")]
    assert found == [None, link(hash="l2"), link(BOB, "of bob")]
    assert await store.identity.link("l3", LinkUse.PASSWORD, START)


async def test_what_is_of_one_use_is_spent_once_however_many_try(store):
    tries = [store.identity.spend("a", SOON) for _ in range(16)]
    assert sum(await asyncio.gather(*tries)) == 1
    await register(store, ALICE)
    async with store.open(ALICE) as own:
        assert await own.identity.spend("b", SOON)
        assert not await own.identity.spend("b", SOON)


# ---- failures


async def test_failures_are_counted_by_name_until_they_are_forgotten(store):
    assert await store.identity.failures("alice") == Failures()
    await asyncio.gather(*(store.identity.note_failure("alice", START) for _ in range(8)))
    assert await store.identity.note_failure("alice", SOON) == Failures(count=9, last_at=SOON)
    assert await store.identity.failures("alice") == Failures(count=9, last_at=SOON)
    assert await store.identity.failures("bob") == Failures()
    await store.identity.forget_failures("alice")
    assert await store.identity.failures("alice") == Failures()


async def test_what_is_of_no_use_any_more_is_forgotten(store):
    await register(store, ALICE)
    await signed_in(store)
    async with store.open(ALICE) as own:
        await own.identity.save_link(link())
        await own.identity.save_token(token())
    await store.identity.spend("a", SOON)
    await store.identity.note_failure("alice", START)
    assert await store.identity.forget_old(START) == 0
    assert await store.identity.forget_old(SOON) == 2
    assert await store.identity.spend("a", after_start(days=90))
    assert await store.identity.session("s1")
    assert await store.identity.forget_old(START + 2 * SESSION_LIFETIME) == 3
    assert await store.identity.session("s1") is None
    async with store.open(ALICE, reading=True) as own:
        assert await own.identity.tokens() == [token()]
