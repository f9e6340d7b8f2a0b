"""What the operator does to users, in every store: bans, switches of their own, word to all."""

from dataclasses import replace

from tests.makers import START
from tests.store_rig import ALICE, BOB
from tradefleet.domain.effects import Topic
from tradefleet.domain.limits import Halt, RiskLimits, Scope, Switch
from tradefleet.domain.user import User
from tradefleet.store import find_somebody


async def registered(store):
    for id, telegram_id in ((ALICE, 101), (BOB, None)):
        async with store.open(id) as own:
            user = User(id=id, username=id, created_at=START, telegram_id=telegram_id)
            await own.save_user(user)


async def test_a_ban_and_a_switch_of_the_operator_are_kept(store):
    await registered(store)
    stop = Switch(
        scope=Scope.USER,
        scope_id=ALICE,
        halt=Halt.STOP,
        reason="enough",
        changed_at=START,
        by_operator=True,
    )
    async with store.open(ALICE) as own:
        banned = replace(await own.user(), banned_at=START, banned_because="enough")
        await own.save_user(banned)
        await own.set_switch(stop)
    async with store.open(ALICE, reading=True) as own:
        assert await own.user() == banned
        assert list(await own.switches()) == [stop]
    assert (await store.load_user(ALICE)).switches == [stop]
    async with store.open(BOB, reading=True) as own:
        assert (await own.user()).banned_at is None


async def test_rulings_say_together_what_users_may_do_each_under_their_kill_version(store):
    await registered(store)
    reduced = RiskLimits(open_positions_max=2)
    stop = Switch(scope=Scope.USER, scope_id=BOB, halt=Halt.STOP, reason="lunch", changed_at=START)
    everybody = Switch(
        scope=Scope.PLATFORM, scope_id="*", halt=Halt.RUN, reason="on", changed_at=START
    )
    async with store.open(ALICE) as own:
        await own.save_limits(reduced)
    async with store.open(BOB) as own:
        await own.set_switch(stop)
    await store.set_platform_switch(everybody)
    bob, alice = await store.rulings([BOB, ALICE])
    assert (bob.user.id, bob.limits, list(bob.switches)) == (BOB, None, [everybody, stop])
    assert (alice.user.id, alice.limits, list(alice.switches)) == (ALICE, reduced, [everybody])
    assert (alice.lease.kill_version, bob.lease.kill_version) == (1, 2)
    assert await store.rulings([]) == []


async def test_word_to_everybody_waits_in_each_outbox_once(store):
    await registered(store)
    assert await store.notify_everybody(Topic.SYSTEM, "🛠 it's 5 % faster", START) == 2
    notices = await store.due_notices(now=START, limit=10)
    assert sorted((n.notice.user_id, n.telegram_id) for n in notices) == [(ALICE, 101), (BOB, None)]
    assert {(n.notice.topic, n.notice.text, n.notice.at, n.tries) for n in notices} == {
        (Topic.SYSTEM, "🛠 it's 5 % faster", START, 0)
    }
    await store.notice_sent([notice.id for notice in notices], now=START)
    assert await store.due_notices(now=START, limit=10) == []


async def test_somebody_is_found_by_whatever_they_are_called(store):
    await registered(store)
    for name in (ALICE, f"@{ALICE}", "101"):
        assert (await find_somebody(store, name)).id == ALICE
    for name in ("", "nobody", "999", "9" * 40, "²", "a\x00b"[:1]):
        assert await find_somebody(store, name) is None
