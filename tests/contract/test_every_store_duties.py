"""What holds for every store's duties: one process does each, and it alone tells how far."""

import asyncio
from datetime import timedelta

import pytest

from tests.makers import START
from tests.store_rig import ALICE, BOB, LATE, TTL, register
from tradefleet.domain.effects import Notify, Topic
from tradefleet.domain.notices import DEFAULTS, Loudness
from tradefleet.duty import Duty

END = START + timedelta(seconds=TTL)


async def take(store, owner, *, now=START, name="poll"):
    return await store.duties.take(name, owner, now=now, ttl=TTL)


async def test_a_duty_is_one_owners_until_it_runs_out(store):
    first = await take(store, "a")
    assert first == Duty(name="poll", owner="a", epoch=1, expires_at=END)
    assert await take(store, "b", now=END - timedelta(microseconds=1)) is None
    assert await take(store, "b", now=END) == Duty(
        name="poll", owner="b", epoch=2, expires_at=END + timedelta(seconds=TTL)
    )


async def test_who_holds_a_duty_prolongs_it_under_the_same_epoch(store):
    await take(store, "a")
    prolonged = await take(store, "a", now=END - timedelta(seconds=1))
    assert prolonged is not None
    assert (prolonged.epoch, prolonged.expires_at) == (1, END + timedelta(seconds=TTL - 1))


async def test_of_many_who_take_a_duty_at_once_one_gets_it(store):
    taken = await asyncio.gather(*(take(store, f"host {number}") for number in range(8)))
    assert len([duty for duty in taken if duty]) == 1


async def test_how_far_it_came_is_handed_on(store):
    mine = await take(store, "a")
    assert await store.duties.advance(mine, 42)
    theirs = await take(store, "b", now=END)
    assert theirs.place == 42
    assert not await store.duties.advance(mine, 43)
    assert (await take(store, "b", now=END)).place == 42


async def test_a_duty_that_was_let_go_of_is_free_at_once(store):
    mine = await take(store, "a")
    await take(store, "a", name="outbox")
    assert [(duty.name, duty.owner) for duty in await store.duties.held()] == [
        ("outbox", "a"),
        ("poll", "a"),
    ]
    await store.duties.release(mine)
    assert [duty.name for duty in await store.duties.held()] == ["outbox"]
    assert (await take(store, "c")).epoch == 2


async def test_who_lost_a_duty_can_neither_write_nor_let_go(store):
    before = await take(store, "a")
    theirs = await take(store, "b", now=END)
    await store.duties.release(before)
    assert await store.duties.held() == [theirs]
    assert not await store.duties.advance(before, 7)
    unknown = Duty(name="never taken", owner="c", epoch=1, expires_at=END)
    await store.duties.release(unknown)
    assert not await store.duties.advance(unknown, 1)


async def test_the_same_owner_who_comes_back_gets_a_new_epoch(store):
    before = await take(store, "a")
    await store.duties.release(before)
    assert (await take(store, "a")).epoch == 2
    assert not await store.duties.advance(before, 7)


# ---- how loud


async def loudness_of(store):
    due = await store.due_notices(now=LATE, limit=100)
    return {(notice.notice.user_id, notice.notice.topic): notice.loudness for notice in due}


@pytest.fixture
async def told(store):
    """A store in which two users are to be told something of each topic."""
    for user_id in (ALICE, BOB):
        await register(store, user_id)
        async with store.open(user_id) as own:
            for topic in Topic:
                await own.notify(Notify(user_id, topic, "hello", START))
    return store


async def test_without_a_choice_each_topic_is_as_loud_as_by_default(told):
    assert await loudness_of(told) == {(u, t): DEFAULTS[t] for u in (ALICE, BOB) for t in Topic}
    async with told.open(ALICE, reading=True) as own:
        assert await own.loudness() == {}


async def test_a_choice_holds_for_one_user_and_topic(told):
    async with told.open(ALICE) as own:
        await own.save_loudness(Topic.FILL, Loudness.SILENT)
        await own.save_loudness(Topic.GUARD, Loudness.SILENT)
        await own.save_loudness(Topic.GUARD, Loudness.OFF)
        assert await own.loudness() == {Topic.FILL: Loudness.SILENT, Topic.GUARD: Loudness.OFF}
    changed = {(ALICE, Topic.FILL): Loudness.SILENT, (ALICE, Topic.GUARD): Loudness.OFF}
    assert await loudness_of(told) == {
        (u, t): changed.get((u, t), DEFAULTS[t]) for u in (ALICE, BOB) for t in Topic
    }


async def test_notices_put_off_wait_without_a_try_being_counted(told):
    due = await told.due_notices(now=LATE, limit=100)
    until = LATE + timedelta(hours=1)
    await told.put_off_notices([each.id for each in due[:3]], until=until, error="blocked")
    await told.put_off_notices([each.id for each in due[3:5]], until=None, error="off")
    assert await told.due_notices(now=LATE, limit=100) == due[5:]
    later = await told.due_notices(now=until, limit=100)
    assert sorted(each.id for each in later) == sorted(each.id for each in (*due[:3], *due[5:]))
    assert {each.tries for each in later} == {0}
