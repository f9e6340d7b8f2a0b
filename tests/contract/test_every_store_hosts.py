"""What holds for every store's hosts and jobs: leases, messages, notices, notes, secrets."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.makers import ETH, START, after_start
from tests.store_rig import (
    ALICE,
    BOB,
    LATE,
    TTL,
    bot,
    flat,
    full_memory,
    order_of,
    register,
    take,
    user,
    write,
)
from tradefleet.domain.bot import BotSpec, BotStatus
from tradefleet.domain.effects import MemoryChanged, Notify, OrderChanged, OrderPlaced, Topic
from tradefleet.domain.errors import BrokenInvariant, LeaseLost
from tradefleet.domain.ids import UserId
from tradefleet.domain.ledger import EXTERNAL, LedgerEntry, place_of
from tradefleet.domain.limits import Halt, RiskLimits, Scope, Switch
from tradefleet.domain.order import OrderState
from tradefleet.store import ABSENT_WATCHED, Lease, SignalNote

END = START + timedelta(seconds=TTL)
IDLE = bot(ALICE, status=BotStatus.STOPPED)
IDLE_TOO = bot(ALICE, 2, symbol=ETH, status=BotStatus.STOPPED)

# ---- leases


async def test_a_free_user_is_taken_under_the_next_epoch(store):
    await register(store, ALICE, bot(ALICE))
    expected = Lease(user_id=ALICE, owner="host", epoch=1, expires_at=END, kill_version=0)
    assert await take(store) == {ALICE: expected}


async def test_a_lease_belongs_to_one_owner_until_it_runs_out(store):
    await register(store, ALICE, bot(ALICE))
    await take(store)
    assert await take(store, "other", now=END - timedelta(microseconds=1)) == {}
    assert (await take(store, "other", now=END))[ALICE].epoch == 2
    assert await store.renew_leases("host", now=END, ttl=TTL) == []


async def test_everybody_who_holds_a_lease_is_named(store):
    await register(store, ALICE, bot(ALICE))
    assert await store.lease_owners() == []
    await take(store)
    assert await store.lease_owners() == ["host"]
    await store.release_leases("host")
    assert await store.lease_owners() == []


async def test_a_takeover_shuts_the_old_owner_out(store):
    await register(store, ALICE, bot(ALICE))
    old = (await take(store))[ALICE]
    new = (await take(store, "other", now=LATE))[ALICE]
    await write(store, new, OrderPlaced(order_of(bot(ALICE))))
    with pytest.raises(LeaseLost):
        await write(store, old, OrderPlaced(order_of(bot(ALICE), "late")))


async def test_renewing_prolongs_what_is_held(store):
    for user_id in (ALICE, BOB):
        await register(store, user_id, bot(user_id))
    first = await take(store)
    held = await store.renew_leases("host", now=after_start(seconds=10), ttl=TTL)
    later = after_start(seconds=10 + TTL)
    assert held == [replace(first[each], expires_at=later) for each in (ALICE, BOB)]
    assert await store.renew_leases("nobody", now=START, ttl=TTL) == []


async def test_a_released_lease_can_be_taken_at_once(store):
    await register(store, ALICE, bot(ALICE))
    await take(store)
    await store.release_leases("host")
    assert await store.renew_leases("host", now=START, ttl=TTL) == []
    assert (await take(store, "other"))[ALICE].epoch == 2


async def test_owners_are_known_even_when_their_leases_ran_out(store):
    for user_id in (ALICE, BOB):
        await register(store, user_id, bot(user_id))
    assert await store.lease_owners() == []
    for host in ("second", "first"):
        await store.take_leases(host, now=START, ttl=TTL, limit=1)
    assert await store.lease_owners() == ["first", "second"]
    await store.release_leases("first")
    assert await store.lease_owners() == ["second"]


async def test_only_as_many_are_taken_as_asked_for(store):
    users = [UserId(f"user {number}") for number in range(5)]
    for user_id in users:
        await register(store, user_id, bot(user_id))
    taken = []
    for count in (2, 2, 1):
        leases = await store.take_leases("host", now=START, ttl=TTL, limit=2)
        assert len(leases) == count
        taken += [lease.user_id for lease in leases]
    assert sorted(taken) == users


async def test_of_hosts_taking_at_once_each_gets_other_users(store):
    users = [UserId(f"user {number:02}") for number in range(12)]
    for user_id in users:
        await register(store, user_id, bot(user_id))
    hosts = [f"host {number}" for number in range(6)]
    taken = await asyncio.gather(
        *(store.take_leases(host, now=START, ttl=TTL, limit=12) for host in hosts)
    )
    leases = [lease for leases in taken for lease in leases]
    assert sorted(lease.user_id for lease in leases) == users
    assert {lease.epoch for lease in leases} == {1}


async def test_who_has_nothing_to_run_is_left_alone(store):
    await register(store, ALICE, IDLE)
    await register(store, BOB, bot(BOB))
    async with store.open(BOB) as own:
        await own.remove_bot(bot(BOB).id)
    assert await take(store) == {}


async def test_a_position_a_working_order_or_a_message_is_something_to_run(store):
    await register(store, ALICE, IDLE)
    async with store.open(ALICE) as own:
        await own.ask_host("start", {})
    lease = (await take(store, now=START))[ALICE]
    (message,) = await store.host_messages("host", 10)
    await store.drop_messages([message.id])
    await write(store, lease, OrderPlaced(order_of(IDLE)))
    lease = (await take(store, now=END))[ALICE]
    done = order_of(IDLE, state=OrderState.DONE)
    await write(store, lease, OrderChanged(done), MemoryChanged(full_memory(IDLE)))
    lease = (await take(store, now=END + timedelta(seconds=TTL)))[ALICE]
    await write(store, lease, MemoryChanged(flat(full_memory(IDLE))))
    assert await take(store, now=LATE) == {}


async def test_nobody_can_load_a_user_who_is_not_there(store):
    with pytest.raises(BrokenInvariant):
        await store.load_user(ALICE)


async def test_a_new_user_is_loaded_with_nothing(store):
    await register(store, ALICE)
    load = await store.load_user(ALICE)
    assert load.user == user(ALICE)
    empty = (load.bots, load.memories, load.working_orders, load.fill_ids, load.switches)
    assert not any(empty)
    assert load.guard is load.limits is None


async def test_a_switch_raises_the_kill_version_even_without_a_lease(store):
    await register(store, ALICE, bot(ALICE))
    async with store.open(ALICE) as own:
        await own.set_switch(
            Switch(
                scope=Scope.USER,
                scope_id=ALICE,
                halt=Halt.FLATTEN,
                reason="",
                changed_at=START,
            )
        )
    assert (await take(store))[ALICE].kill_version == 1


# ---- messages to hosts


async def test_a_host_sees_the_messages_of_the_users_it_holds_oldest_first(store, clock):
    await register(store, ALICE, bot(ALICE))
    await register(store, BOB, bot(BOB))
    for minute, user_id in enumerate((ALICE, BOB, ALICE)):
        clock.move_to(after_start(minutes=minute))
        async with store.open(user_id) as own:
            await own.ask_host(f"subject {minute}", {"minute": minute})
    assert await store.host_messages("host", 10) == []
    assert len(await store.take_leases("host", now=START, ttl=TTL, limit=1)) == 1
    assert len(await store.take_leases("other", now=START, ttl=TTL, limit=1)) == 1
    seen = {}
    for host in ("host", "other"):
        for message in await store.host_messages(host, 10):
            assert message.payload == {"minute": int(message.subject[-1])}
            assert message.created_at == after_start(minutes=message.payload["minute"])
            seen.setdefault(host, []).append((message.user_id, message.subject))
    assert sorted(seen.values()) == [
        [(ALICE, "subject 0"), (ALICE, "subject 2")],
        [(BOB, "subject 1")],
    ]


async def test_dropped_messages_are_gone(store):
    await register(store, ALICE, bot(ALICE))
    async with store.open(ALICE) as own:
        for subject in "abc":
            await own.ask_host(subject, {})
    await take(store)
    first, second = await store.host_messages("host", 2)
    await store.drop_messages([first.id, second.id])
    await store.drop_messages([])
    assert [message.subject for message in await store.host_messages("host", 2)] == ["c"]


# ---- notices


async def post(store, *notices):
    async with store.open(ALICE) as own:
        for notice in notices:
            await own.notify(notice)


def notice(text, priority=5, minute=0):
    return Notify(ALICE, Topic.FILL, text, after_start(minutes=minute), priority)


async def due(store, now=LATE, limit=10):
    return [n.notice.text for n in await store.due_notices(now=now, limit=limit)]


async def test_notices_go_out_by_priority_then_age(store):
    await register(store, ALICE, telegram_id=42)
    await post(store, notice("late", minute=3), notice("early", minute=1), notice("same", minute=1))
    await post(store, notice("urgent", priority=1, minute=2), notice("digest", priority=9))
    assert await due(store) == ["urgent", "early", "same", "late", "digest"]
    assert await due(store, limit=2) == ["urgent", "early"]
    assert await due(store, now=after_start(minutes=1)) == ["early", "same", "digest"]
    (first, *_) = await store.due_notices(now=LATE, limit=1)
    assert (first.telegram_id, first.tries) == (42, 0)
    assert first.notice == notice("urgent", priority=1, minute=2)


async def test_a_notice_that_was_sent_is_not_due_again(store):
    await register(store, ALICE)
    await post(store, notice("a"), notice("b"))
    (first, second) = await store.due_notices(now=LATE, limit=10)
    assert first.telegram_id is None
    await store.notice_sent([first.id], now=LATE)
    assert await due(store) == ["b"]
    await store.notice_sent([second.id], now=LATE)
    assert await due(store) == []


async def test_a_notice_that_failed_is_tried_again_later_or_given_up(store):
    await register(store, ALICE)
    await post(store, notice("a"), notice("b", minute=1))
    (first, _) = await store.due_notices(now=LATE, limit=10)
    again = LATE + timedelta(minutes=1)
    await store.notice_failed(first.id, retry_at=again, error="flood")
    assert await due(store) == ["b"]
    (retried, _) = await store.due_notices(now=again, limit=10)
    assert (retried.id, retried.tries, retried.notice) == (first.id, 1, first.notice)
    await store.notice_failed(first.id, retry_at=None, error="blocked")
    assert await due(store, now=LATE + timedelta(days=9)) == ["b"]


# ---- what strategies said


def note(number, group="g"):
    return SignalNote(group=group, at=after_start(minutes=number), kind="no", text=f"text {number}")


async def notes_of(store, group="g", **which):
    async with store.open(ALICE) as own:
        return list(await own.signal_notes(group, **which))


async def test_the_latest_notes_of_each_group_are_kept(store):
    await register(store, ALICE)
    assert await notes_of(store) == []
    await store.note_signals([], keep=3)
    await store.note_signals([note(0), note(1), note(0, "h")], keep=3)
    await store.note_signals([note(n) for n in range(2, 6)], keep=3)
    assert await notes_of(store) == [note(3), note(4), note(5)]
    assert await notes_of(store, limit=2) == [note(4), note(5)]
    assert await notes_of(store, "h") == [note(0, "h")]


# ---- the service's own


async def test_a_secret_is_made_once_and_stays(store):
    first, again, other = [await store.secret(name) for name in ("a", "a", "b")]
    assert first == again != other
    assert len(first) == 32


async def test_of_secrets_made_at_once_all_get_the_same(store):
    assert len(set(await asyncio.gather(*(store.secret("a") for _ in range(20))))) == 1


async def test_a_ping_takes_some_time(store):
    assert await store.ping() >= 0


def paid_in(owner: BotSpec, number: int) -> LedgerEntry:
    """The same id for every user: ids of entries are a user's own."""
    return LedgerEntry.of_transfer(
        id=f"allocation:{number}",
        user_id=owner.user_id,
        account_id=owner.account_id,
        kind="allocation",
        at=after_start(seconds=number),
        asset="USDT",
        amount=Decimal(number),
        source=EXTERNAL,
        target=place_of(owner.id),
    )


async def test_many_users_are_loaded_together_as_each_would_be_alone(store):
    mine, theirs, carol = bot(ALICE), bot(BOB), UserId("carol_id")
    await register(store, ALICE, mine, IDLE_TOO)
    await register(store, BOB, theirs)
    await register(store, carol)
    leases = await take(store)
    for owner in (mine, theirs):
        names = [f"{owner.id}-{number}" for number in range(ABSENT_WATCHED + 2)]
        placed = [order_of(owner, name, seq=number) for number, name in enumerate(names)]
        lost = [replace(each, state=OrderState.ABSENT) for each in placed]
        await write(store, leases[owner.user_id], *map(OrderPlaced, placed))
        await write(store, leases[owner.user_id], *map(OrderChanged, lost))
        working = OrderPlaced(order_of(owner, f"{owner.id}-working"))
        await write(store, leases[owner.user_id], working, MemoryChanged(full_memory(owner)))
        async with store.open(owner.user_id) as own:
            for number in (2, 1):
                await own.book(paid_in(owner, number))
    async with store.open(BOB) as own:
        await own.save_limits(RiskLimits(losses_in_row_max=2))
        await own.set_switch(
            Switch(scope=Scope.USER, scope_id=BOB, halt=Halt.STOP, reason="", changed_at=START)
        )
    wanted = [BOB, carol, ALICE]
    loads = await store.load_users(wanted)
    assert [load.user.id for load in loads] == wanted
    alone = [await store.load_user(user_id) for user_id in wanted]
    assert [replace(load, entries=None) for load in loads] == alone
    assert [len(load.working_orders) for load in loads] == [
        ABSENT_WATCHED + 1,
        0,
        ABSENT_WATCHED + 1,
    ]
    assert [load.entries for load in loads] == [
        {theirs.account_id: [paid_in(theirs, 1), paid_in(theirs, 2)]},
        {},
        {mine.account_id: [paid_in(mine, 1), paid_in(mine, 2)]},
    ]
    assert await store.load_users([]) == []


async def test_with_somebody_who_is_not_there_nobody_is_loaded(store):
    await register(store, ALICE)
    with pytest.raises(BrokenInvariant):
        await store.load_users([ALICE, BOB])
