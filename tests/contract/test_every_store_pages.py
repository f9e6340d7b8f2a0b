"""Pages of orders and trades, and answers to requests with a key: alike in every store."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.makers import after_start, trade
from tests.store_rig import ALICE, BOB, bot, order_of, register, take, write
from tradefleet.domain.effects import OrderPlaced, TradeClosed
from tradefleet.domain.ids import OrderId
from tradefleet.domain.market import Symbol
from tradefleet.domain.order import OrderState
from tradefleet.domain.paging import Cursor, Page
from tradefleet.store import Answer

FIRST, SECOND = bot(ALICE, 1), bot(ALICE, 2, symbol=Symbol("ETH", "USDT"))
NUMBER = 7


async def orders_of_two(store):
    """Alice has orders at seven moments, two at each of them; Bob has one."""
    await register(store, ALICE, FIRST, SECOND)
    await register(store, BOB, bot(BOB))
    leases = await take(store)
    for number in range(NUMBER):
        for owner in (FIRST, SECOND):
            state = OrderState.DONE if number % 2 else OrderState.CREATED
            made = order_of(
                owner,
                f"{owner.id} #{number}",
                seq=number,
                decided_at=after_start(minutes=number),
                state=state,
            )
            await write(store, leases[ALICE], OrderPlaced(made))
    await write(store, leases[BOB], OrderPlaced(order_of(bot(BOB), "bob's", seq=1)))


async def walk(read, limit, **wanted):
    """Return the ids of all pages, and how many there were."""
    found, before, pages = [], None, 0
    while True:
        page = await read(Page(limit=limit, before=before, **wanted))
        pages += 1
        found += page
        if len(page) < limit:
            return found, pages
        last = page[-1]
        at = last.decided_at if hasattr(last, "decided_at") else last.closed_at
        before = Cursor.parse(str(Cursor(at, last.id)))


@pytest.mark.parametrize("limit", [1, 3, 4, 100])
async def test_pages_of_orders_make_the_whole_list_the_newest_first(store, limit):
    await orders_of_two(store)
    async with store.open(ALICE, reading=True) as own:
        found, _ = await walk(own.order_page, limit)
        whole = await own.orders(limit=1000)
    assert [order.id for order in found] == [order.id for order in reversed(whole)]
    assert len(found) == 2 * NUMBER


async def test_a_page_has_only_what_is_wanted_of_it(store):
    await orders_of_two(store)
    async with store.open(ALICE, reading=True) as own:
        since = after_start(minutes=4)
        late = await own.order_page(Page(limit=100, since=since))
        ours = await own.order_page(Page(limit=100, symbol=SECOND.symbol))
        done = await own.order_page(Page(limit=100), states={OrderState.DONE})
        none = await own.order_page(Page(limit=100, symbol=Symbol("XRP", "USDT")))
    assert {order.decided_at for order in late} == {after_start(minutes=n) for n in (4, 5, 6)}
    assert {order.bot_id for order in ours} == {SECOND.id}
    assert {order.state for order in done} == {OrderState.DONE}
    assert none == []


async def test_an_order_is_found_by_its_id_only_by_its_user(store):
    await orders_of_two(store)
    id = OrderId(f"{FIRST.id} #3")
    async with store.open(ALICE, reading=True) as own:
        found = await own.order(id)
        assert found is not None
        assert (found.id, found.seq) == (id, 3)
        assert await own.order(OrderId("bob's")) is None
    async with store.open(BOB, reading=True) as own:
        assert await own.order(id) is None
        assert [order.id for order in await own.order_page(Page(limit=100))] == ["bob's"]


@pytest.mark.parametrize("limit", [1, 2, 5])
async def test_pages_of_trades_make_the_whole_list_the_newest_first(store, limit):
    await register(store, ALICE, FIRST)
    lease = (await take(store))[ALICE]
    for number in range(5):
        closed = replace(
            trade(number, id=f"t{number}", at=after_start(minutes=number // 2)),
            user_id=ALICE,
            account_id=FIRST.account_id,
            bot_id=FIRST.id,
            symbol=FIRST.symbol,
        )
        await write(store, lease, TradeClosed(closed))
    async with store.open(ALICE, reading=True) as own:
        found, _ = await walk(own.trade_page, limit)
        whole = await own.trades()
    assert [each.id for each in found] == [each.id for each in reversed(whole)]
    assert len(found) == 5


# ---- answers to requests with a key


def answer(key="key", fingerprint="print", reply='{"text": "ü"}', hours=0):
    return Answer(
        key=key, fingerprint=fingerprint, reply=reply, answered_at=after_start(hours=hours)
    )


async def test_an_answer_is_kept_for_its_user_alone(store):
    await register(store, ALICE)
    await register(store, BOB)
    async with store.open(ALICE) as own:
        assert await own.answer("key") is None
        await own.save_answer(answer())
        assert await own.answer("key") == answer()
    async with store.open(BOB) as own:
        assert await own.answer("key") is None
        await own.save_answer(answer(reply="bob's"))
    async with store.open(ALICE, reading=True) as own:
        assert await own.answer("key") == answer()
        assert await own.answer("Key") is None


async def test_an_answer_goes_with_what_it_belongs_to(store):
    await register(store, ALICE)
    with pytest.raises(ZeroDivisionError):
        async with store.open(ALICE) as own:
            await own.save_answer(answer())
            raise ZeroDivisionError
    async with store.open(ALICE, reading=True) as own:
        assert await own.answer("key") is None


async def test_old_answers_are_dropped_and_young_ones_kept(store):
    await register(store, ALICE)
    await register(store, BOB)
    for user_id in (ALICE, BOB):
        async with store.open(user_id) as own:
            await own.save_answer(answer("old", hours=1))
            await own.save_answer(answer("young", hours=2))
    assert await store.drop_answers(after_start(hours=2)) == 2
    assert await store.drop_answers(after_start(hours=2) - timedelta(seconds=1)) == 0
    async with store.open(BOB, reading=True) as own:
        assert await own.answer("old") is None
        assert await own.answer("young") == answer("young", hours=2)


async def test_of_many_at_once_one_is_first_and_the_others_see_its_answer(store):
    await register(store, ALICE)

    async def ask(number):
        async with store.open(ALICE) as own:
            known = await own.answer("key")
            if known is None:
                await own.save_answer(answer(reply=str(number)))
            return known

    seen = await asyncio.gather(*map(ask, range(8)))
    assert seen.count(None) == 1
    assert {each.reply for each in seen if each} == {str(seen.index(None))}
