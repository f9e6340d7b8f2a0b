"""Orders by hand through the whole service: asked in chat, traded once, told, across any crash."""

from contextlib import suppress
from decimal import Decimal

import pytest

from tests.makers import after_start
from tests.runtime.live_rig import ALICE, BTC, Answer, Ground, Killed, Running, quiet
from tradefleet.by_hand import Outcome
from tradefleet.domain.errors import Conflict, Refused
from tradefleet.domain.ledger import FREE, Balances
from tradefleet.domain.limits import MAINTENANCE, Halt, Scope, Switch
from tradefleet.domain.order import Order


async def outcome(ground: Ground, user=ALICE) -> Outcome:
    return (await ground.door.run(user, "ordered")).data


async def quote(running: Running, price="100") -> None:
    """Let the feed hear a price now, as if it came over the stream."""
    running.feed.last[BTC] = Decimal(price)
    running.feed.prices[BTC] = running.ground.clock.now()


async def serve(running: Running, price="100") -> list[Order]:
    """Let the host take up what was asked for; return what reached the venue."""
    await quote(running, price)
    await running.poll()
    running.host.flush()
    await quiet()
    return running.ground.link().submitted


async def fill_all(running: Running, price="100") -> None:
    link = running.ground.link()
    for known in list(link.orders.values()):
        if known.is_open:
            await link.fill(known.order, price, at=running.ground.clock.now())
    await quiet()


async def buying(ground: Ground, *words: str) -> None:
    await ground.ask("/start", *(words or ("/buy BTC/USDT 30",)))


async def test_a_buy_is_ordered_filled_and_shown():
    ground = Ground.new()
    await buying(ground)
    assert (await outcome(ground)).status == "waiting"
    async with ground.host() as running:
        (order,) = await serve(running)
        assert order.quantity * 100 < 30
        assert (await outcome(ground)).status == "working"
        await fill_all(running)
        found = await outcome(ground)
    assert (found.status, found.side, found.number) == ("done", "buy", 1)
    assert found.quantity == order.quantity == Decimal("0.29910")
    assert (found.price, found.cost) == (100, Decimal("29.91"))
    assert not found.first  # no real money
    assert any("bought 0.2991 at 100" in text for text in await ground.told())


async def test_without_an_amount_all_that_is_free_is_spent_and_never_more():
    ground = Ground.new()
    await buying(ground, "/buy BTC/USDT")
    async with ground.host() as running:
        (order,) = await serve(running)
        await fill_all(running)
    async with ground.store.open(ALICE, reading=True) as store:
        books = Balances()
        for entry in await store.entries():
            books.book(entry)
        assert await store.bots() == []  # no pair
    assert 0 <= books.of(FREE, "USDT") < 30
    assert order.quantity > 99


async def test_a_pair_and_orders_by_hand_of_one_symbol_stand_side_by_side():
    ground = Ground.new()
    await ground.join()
    await ground.ask("/buy BTC/USDT 30")
    async with ground.host() as running:
        await serve(running)
        await fill_all(running)
        assert len(running.host.bots) == 2
    await ground.store.release_leases("host-1")
    await ground.ask("/sell BTC/USDT")
    async with ground.host("host-2") as running:
        submitted = await serve(running, "110")
        await fill_all(running, "110")
    assert [order.side for order in submitted] == ["buy", "sell"]
    (trade,) = await ground.trades()
    assert trade.quantity == submitted[1].quantity == submitted[0].quantity
    assert trade.pnl == trade.gross_pnl - trade.fees > 0


async def test_without_a_price_an_order_waits_and_lapses():
    ground = Ground.new()
    await buying(ground)
    async with ground.host() as running:
        await running.poll()
        assert await ground.waiting() == ["trade_asked"]
        with pytest.raises(Conflict):
            await ground.ask("/buy BTC/USDT 30")
        await ground.clock.pass_by(31)
        await running.poll()
        assert await ground.waiting() == []
    found = await outcome(ground)
    assert found.status == "refused"
    assert found.reason == "No price of BTC/USDT came in time; try again."
    assert not ground.link().submitted


async def test_a_request_that_no_host_takes_up_in_time_is_never_ordered():
    ground = Ground.new()
    await buying(ground)
    await ground.clock.pass_by(3600)
    assert (await outcome(ground)).status == "refused"
    async with ground.host() as running:
        assert await serve(running) == []
    assert (await outcome(ground)).reason == "No price of BTC/USDT came in time; try again."


@pytest.mark.parametrize("write", range(1, 6))
@pytest.mark.parametrize("kept", [True, False], ids=["after", "before"])
async def test_killed_at_any_write_one_order_reaches_the_venue_at_most_once(write, kept):
    ground = Ground.new()
    await buying(ground)
    seen = 0

    async def dying(batches):
        nonlocal seen
        seen += 1
        if seen == write:
            if kept:
                ground.store.before_write = None
                await ground.store.write(batches)
            raise Killed

    ground.store.before_write = dying
    with suppress(BaseExceptionGroup, Killed):
        async with ground.doomed_host() as running:
            await serve(running)
            await fill_all(running)
    ground.store.before_write = None
    await ground.store.release_leases("doomed")
    async with ground.host("host-2") as running:
        for _ in range(8):
            await serve(running)
            running.host.price("paper", BTC, Decimal(100), ground.clock.now())
            running.host.flush()
            await quiet()
            await fill_all(running)
            await ground.clock.pass_by(4)
    assert len(ground.link().submitted) <= 1
    orders = await ground.orders()
    assert len(orders) == 1
    found = await outcome(ground)
    assert found.status in ("done", "refused")
    assert found.quantity == (orders[0].filled if found.status == "done" else 0)


async def test_an_unknown_outcome_is_looked_up_and_never_sent_again():
    ground = Ground.new()
    await buying(ground)
    async with ground.host() as running:
        await quote(running)
        await running.poll()
        ground.link().answers.append(Answer.LOSE_ANSWER)
        running.host.flush()
        await quiet()
        await ground.clock.pass_by(20)
        await fill_all(running)
        await ground.clock.pass_by(20)
    assert len(ground.link().submitted) == 1
    assert (await outcome(ground)).status in ("done", "working")


async def test_kill_switch_and_maintenance_refuse_buys_and_let_sales_go_on():
    ground = Ground.new()
    await buying(ground)
    async with ground.host() as running:
        await serve(running)
        await fill_all(running)
        switch = Switch(
            scope=Scope.PLATFORM,
            scope_id=MAINTENANCE,
            halt=Halt.STOP,
            reason="We move house.",
            changed_at=ground.clock.now(),
        )
        await ground.clock.pass_by(1)
        await ground.ask("/buy BTC/USDT 30")
        await ground.store.set_platform_switch(switch)
        with pytest.raises(Refused, match="We move house"):
            await ground.ask("/buy BTC/USDT 30")
        await running.ownership._renew()
        assert len(await serve(running)) == 1  # it was asked for before, and is refused by now
        assert (await outcome(ground)).status == "refused"
        assert "Maintenance: We move house." in (await outcome(ground)).reason
        await ground.clock.pass_by(1)
        await ground.ask("/sell BTC/USDT")
        assert len(await serve(running)) == 2


async def test_the_same_key_orders_once():
    ground = Ground.new()
    await ground.ask("/start")
    words = {"symbol": "BTC/USDT", "amount": "30"}
    first = await ground.door.run(ALICE, "buy", words, key="k1")
    again = await ground.door.run(ALICE, "buy", words, key="k1")
    assert again.data["request"] == first.data.request
    async with ground.host() as running:
        await serve(running)
        await fill_all(running)
        await ground.door.run(ALICE, "buy", words, key="k1")
        assert len(await serve(running)) == 1
    assert ground.clock.now() >= after_start()
