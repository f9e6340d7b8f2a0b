"""What holds for live events and webhooks in every store."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import orjson
import pytest

from tests.makers import START, after_start, fill
from tests.store_rig import ALICE, BOB, booked, bot, full_memory, order_of, register, take, write
from tradefleet.domain.bot import BotMemory
from tradefleet.domain.effects import MemoryChanged, Notify, OrderChanged, OrderPlaced, Topic
from tradefleet.domain.errors import BrokenInvariant, Refused
from tradefleet.domain.live import LiveKind
from tradefleet.domain.market import Symbol
from tradefleet.domain.order import OrderState
from tradefleet.identity import SESSION_LIFETIME, Session
from tradefleet.live import Head
from tradefleet.webhook import DELIVERIES_KEPT, Delivery, Outcome, Webhook

SOON = after_start(minutes=10)


async def listen(store, user_id=ALICE):
    async with store.open(user_id) as own:
        return await own.live.listen()


async def events(store, user_id=ALICE, after=0, limit=1000):
    async with store.open(user_id, reading=True) as own:
        return await own.live.after(after, limit)


async def head(store, user_id=ALICE):
    async with store.open(user_id, reading=True) as own:
        return await own.live.head()


def kinds(found):
    return [event.kind for event in found]


def notice(text="hello", user_id=ALICE):
    return Notify(user_id, Topic.SYSTEM, text, START)


def webhook(id="w1", user_id=ALICE, **changes):
    given = {
        "id": id,
        "user_id": user_id,
        "url": "https://example.com/hook",
        "kinds": (LiveKind.ORDER, LiveKind.FILL),
        "sealed": b"\x00\xff",
        "created_at": START,
        "done": 0,
        "next_at": START,
        **changes,
    }
    return Webhook(**given)


def delivery(number, **changes):
    given = {
        "webhook_id": "w1",
        "number": number,
        "kind": "order",
        "at": SOON,
        "tries": 1,
        "status": 200,
        "error": "",
        "outcome": Outcome.DELIVERED,
        **changes,
    }
    return Delivery(**given)


# ---- what is recorded


async def test_nothing_is_recorded_of_a_user_to_whom_nobody_listens(store):
    owner = bot(ALICE)
    await register(store, ALICE, owner)
    lease = (await take(store))[ALICE]
    await write(store, lease, OrderPlaced(order_of(owner)), notice())
    assert await head(store) is None
    assert await events(store) == []
    assert await store.live.listeners() == []


async def test_what_the_journal_writes_is_told_in_its_order_and_to_the_last_digit(store):
    owner = bot(ALICE)
    await register(store, ALICE, owner)
    lease = (await take(store))[ALICE]
    start = await listen(store)
    order, memory = order_of(owner), full_memory(owner)
    await write(store, lease, OrderPlaced(order), MemoryChanged(memory))
    traded = booked(fill(order_id="o1"), owner)
    done = replace(order, state=OrderState.DONE, filled=order.quantity)
    await write(store, lease, traded, OrderChanged(done), notice())
    found = await events(store, after=start.last)
    assert kinds(found) == ["order", "position", "fill", "order", "notice"]
    assert [event.number for event in found] == list(range(start.last + 1, start.last + 6))
    first, held, bought, last, said = (orjson.loads(event.json()) for event in found)
    assert first["data"]["state"] == "created"
    assert Decimal(first["data"]["quantity"]) == order.quantity
    assert Decimal(held["data"]["quantity"]) == memory.position.quantity
    assert held["data"]["targets"][0][0] == "102"
    assert bought["data"]["order_id"] == "o1"
    assert last["data"]["is_final"] is True
    assert said["data"]["text"] == "hello"
    assert first["at"].endswith("Z")
    assert await head(store) == Head(found[-1].number, start.since)


async def test_a_position_is_told_when_it_changes_and_not_when_the_market_does(store):
    owner = bot(ALICE)
    await register(store, ALICE, owner)
    lease = (await take(store))[ALICE]
    start = await listen(store)
    memory = full_memory(owner)
    await write(store, lease, MemoryChanged(memory))
    await write(store, lease, MemoryChanged(replace(memory, last_price=Decimal(7))))
    await write(store, lease, MemoryChanged(BotMemory(bot_id=owner.id, user_id=ALICE, cash=1)))
    await write(store, lease, MemoryChanged(BotMemory(bot_id=owner.id, user_id=ALICE, cash=2)))
    told = [orjson.loads(event.data) for event in await events(store, after=start.last)]
    assert [each["is_open"] for each in told] == [True, False]
    assert told[1]["symbol"] == "BTC/USDT"


async def test_a_batch_that_is_refused_is_not_told(store):
    owner = bot(ALICE)
    await register(store, ALICE, owner)
    lease = (await take(store))[ALICE]
    start = await listen(store)
    stale = replace(lease, epoch=lease.epoch + 1)
    with pytest.raises(Exception, match="no longer ours"):
        await write(store, stale, notice("never"))
    with pytest.raises(Exception, match=r"orders|no order"):
        await write(store, lease, OrderChanged(order_of(owner, "unknown")), notice("never"))
    assert await events(store, after=start.last) == []
    await write(store, lease, notice("yes"))
    assert kinds(await events(store, after=start.last)) == ["notice"]


async def test_what_commands_change_is_told_and_what_they_take_back_is_not(store):
    await register(store, ALICE)
    start = await listen(store)
    owner = bot(ALICE)
    async with store.open(ALICE) as own:
        await own.add_bot(owner)
        await own.save_bot(replace(owner, note="x"))
        await own.remove_bot(owner.id)
        await own.notify(notice())
    with pytest.raises(Refused):
        async with store.open(ALICE) as own:
            await own.notify(notice("never"))
            raise Refused("no")
    found = await events(store, after=start.last)
    assert kinds(found) == ["bot", "bot", "bot", "notice"]
    assert [orjson.loads(event.data)["is_removed"] for event in found[:3]] == [False, False, True]


async def test_a_session_that_is_ended_is_told(store):
    await register(store, ALICE)
    await listen(store)
    session = Session(
        id="s1",
        user_id=ALICE,
        how="link",
        address="",
        created_at=START,
        seen_at=START,
        expires_at=START + SESSION_LIFETIME,
    )
    async with store.open(ALICE) as own:
        await own.identity.save_session(session)
    async with store.open(ALICE) as own:
        await own.identity.save_session(replace(session, revoked_at=SOON))
    (event,) = await events(store)
    assert (event.kind, orjson.loads(event.data)["id"]) == ("sign_in", "s1")


async def test_each_user_has_a_sequence_of_their_own(store):
    bots = {user_id: bot(user_id) for user_id in (ALICE, BOB)}
    for user_id, owner in bots.items():
        await register(store, user_id, owner)
    leases = await take(store)
    for user_id in bots:
        await listen(store, user_id)
    for number in range(3):
        for user_id in bots:
            await write(store, leases[user_id], notice(f"{user_id} {number}", user_id))
    for user_id in bots:
        found = await events(store, user_id)
        assert [event.number for event in found] == [2, 3, 4]
        assert all(user_id in event.data for event in found)
    assert set(await store.live.heads([ALICE, BOB, "nobody"])) == {ALICE, BOB}
    assert await store.live.listeners() == [ALICE, BOB]


async def test_numbers_have_no_gap_whoever_writes_at_once(store):
    owner = bot(ALICE)
    await register(store, ALICE, owner)
    lease = (await take(store))[ALICE]
    start = await listen(store)

    async def command(number):
        async with store.open(ALICE) as own:
            await own.notify(notice(f"c{number}"))

    async def journal(number):
        await write(store, lease, notice(f"j{number}"), notice(f"k{number}"))

    await asyncio.gather(*(work(n) for n in range(10) for work in (command, journal)))
    found = await events(store)
    assert [event.number for event in found] == list(range(start.last + 1, start.last + 31))


# ---- who comes back


async def test_to_listen_again_goes_on_where_it_was(store):
    await register(store, ALICE)
    first = await listen(store)
    async with store.open(ALICE) as own:
        await own.notify(notice())
    again = await listen(store)
    assert again == Head(first.last + 1, first.since)
    assert again.knows(first.last) and again.knows(again.last)
    assert not again.knows(first.last - 1) and not again.knows(again.last + 1)


async def test_what_is_old_is_forgotten_and_said_to_be(store, clock):
    await register(store, ALICE)
    await listen(store)
    for minutes in (1, 2, 3):
        clock.move_to(after_start(minutes=minutes))
        async with store.open(ALICE) as own:
            await own.notify(notice())
    async with store.open(ALICE) as own:
        await own.live.listen()
        await own.live.forget(after_start(minutes=2), 100)
    assert await head(store) == Head(4, 2)
    assert [event.number for event in await events(store)] == [3, 4]
    async with store.open(ALICE) as own:
        await own.live.forget(after_start(minutes=2), 1)
    assert await head(store) == Head(4, 3)


async def test_when_nobody_listened_for_long_recording_ends_and_begins_with_a_break(store, clock):
    await register(store, ALICE)
    before = await listen(store)
    clock.move_to(after_start(days=2))
    async with store.open(ALICE) as own:
        await own.live.forget(after_start(days=1), 100)
    assert await head(store) is None
    async with store.open(ALICE) as own:
        await own.notify(notice("unheard"))
    again = await listen(store)
    assert not again.knows(before.last)
    assert await events(store) == []


async def test_who_still_listens_or_has_a_webhook_is_not_forgotten(store, clock):
    for user_id in (ALICE, BOB):
        await register(store, user_id)
        await listen(store, user_id)
    async with store.open(BOB) as own:
        await own.webhooks.save(webhook(user_id=BOB))
    clock.move_to(after_start(days=2))
    await store.live.touch([ALICE])
    for user_id in (ALICE, BOB):
        async with store.open(user_id) as own:
            await own.live.forget(after_start(days=1), 100)
        assert await head(store, user_id) is not None


async def test_whoever_watches_is_told_of_whom_there_is_news(store):
    owner = bot(ALICE)
    await register(store, ALICE, owner)
    await register(store, BOB)
    lease = (await take(store))[ALICE]
    told = []
    with store.live.watch(told.append):
        await write(store, lease, notice())
        async with store.open(BOB) as own:
            await own.notify(notice(user_id=BOB))
        assert told == []
        await listen(store)
        await write(store, lease, notice())
        async with store.open(ALICE) as own:
            await own.notify(notice())
        assert told == [ALICE, ALICE]
    await write(store, lease, notice())
    assert told == [ALICE, ALICE]


async def test_what_all_bots_are_worth_is_said_for_each_user(store):
    owner, other = bot(ALICE), bot(ALICE, 2, symbol=Symbol("ETH", "USDT"))
    await register(store, ALICE, owner, other)
    await register(store, BOB)
    lease = (await take(store))[ALICE]
    memory = full_memory(owner)
    await write(store, lease, MemoryChanged(memory))
    found = await store.live.equities([ALICE, BOB])
    assert found[ALICE].positions == 1
    assert found[ALICE].equity == {"USDT": memory.equity + other.allocation}
    assert found[BOB].equity == {}


# ---- webhooks


async def test_a_webhook_comes_back_to_the_letter_and_to_nobody_else(store):
    for user_id in (ALICE, BOB):
        await register(store, user_id)
    full = webhook(tries=3, failures=7, next_at=None, disabled_because="gone")
    async with store.open(ALICE) as own:
        await own.webhooks.save(full)
        await own.webhooks.save(webhook("w2", created_at=SOON))
    async with store.open(ALICE, reading=True) as own:
        assert await own.webhooks.all() == [full, webhook("w2", created_at=SOON)]
    async with store.open(BOB) as own:
        assert await own.webhooks.all() == []
        await own.webhooks.remove("w1")
        assert await own.webhooks.deliveries("w1", 10) == []
    with pytest.raises(BrokenInvariant):
        async with store.open(BOB) as own:
            await own.webhooks.save(full)
    async with store.open(ALICE) as own:
        await own.webhooks.note(delivery(1))
        await own.webhooks.remove("w1")
        assert [each.id for each in await own.webhooks.all()] == ["w2"]
        assert await own.webhooks.deliveries("w1", 10) == []


async def test_a_webhook_is_due_when_something_happened_and_its_time_has_come(store):
    await register(store, ALICE)
    start = await listen(store)
    async with store.open(ALICE) as own:
        await own.webhooks.save(webhook(done=start.last))
        await own.webhooks.save(webhook("later", done=0, next_at=SOON))
        await own.webhooks.save(webhook("off", done=0, next_at=None))
    assert await store.webhooks.due(START, 10) == []
    async with store.open(ALICE) as own:
        await own.notify(notice())
    assert [each.id for each in await store.webhooks.due(START, 10)] == ["w1"]
    assert [each.id for each in await store.webhooks.due(SOON, 10)] == ["w1", "later"]
    assert len(await store.webhooks.due(SOON + timedelta(days=1), 1)) == 1


async def test_deliveries_are_kept_the_latest_first_and_not_for_ever(store):
    await register(store, ALICE)
    async with store.open(ALICE) as own:
        await own.webhooks.save(webhook())
        for number in range(1, DELIVERIES_KEPT + 6):
            await own.webhooks.note(delivery(number))
        failed = delivery(
            DELIVERIES_KEPT + 5,
            tries=2,
            status=None,
            error="no answer",
            outcome=Outcome.RETRYING,
        )
        await own.webhooks.note(failed)
    async with store.open(ALICE, reading=True) as own:
        found = await own.webhooks.deliveries("w1", 1000)
    assert found[0] == failed
    assert [each.number for each in found] == list(range(DELIVERIES_KEPT + 5, 5, -1))
