"""Start-up, crash recovery and takeover: a new host goes on from what the store says."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.makers import BTC, ETH, bar
from tests.runtime.live_rig import (
    ALICE,
    BOB,
    CAROL,
    STREAM,
    Answer,
    Ground,
    Link,
    Running,
    enter,
    leave,
)
from tradefleet.domain.bot import BotStatus
from tradefleet.domain.errors import Refused, StoreUnavailable, VenueUnavailable
from tradefleet.domain.ids import AccountId
from tradefleet.domain.order import CancelState, Order, OrderState
from tradefleet.runtime.accounts import AccountLane
from tradefleet.vault import CannotOpen


@pytest.fixture
async def ground() -> AsyncIterator[Ground]:
    ground = Ground.new()
    await ground.join()
    ground.theatre.say(0, enter(95, "0.1"))
    yield ground
    sent = [order.id for link in ground.venue.links.values() for order in link.submitted]
    assert len(sent) == len(set(sent)), "an intent was sent twice"


async def entered(running: Running) -> Order:
    await running.bar(0)
    await running.price(100)
    return running.ground.link().submitted[-1]


async def bought(running: Running) -> Order:
    order = await entered(running)
    await running.ground.link().fill(order, 100)
    return order


def die_before(ground: Ground, state: object) -> None:
    """Let the store fail when an order is to be stored in a state, or being cancelled."""

    async def fail(batches: object) -> None:
        for batch in batches:
            for record in batch.records:
                order = getattr(record, "order", None)
                if isinstance(order, Order) and state in (order.state, order.cancel):
                    raise StoreUnavailable("the disk is full")

    ground.store.before_write = fail


@pytest.fixture
def apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write down what is decided and that it leaves apart, as while its account is busy."""
    monkeypatch.setattr(AccountLane, "errand", lambda *given: None)


# ---------------------------------------------------- an order at each point of its life


async def test_a_held_entry_is_sent_by_the_next_host_at_the_next_price(ground):
    async with ground.doomed_host() as running:
        await running.bar(0)
    assert await ground.states() == ["created"]
    async with ground.host() as running:
        assert ground.link().submitted == []
        await running.price(100)
        assert await ground.states() == ["open"]


async def test_a_held_entry_lapses_when_its_time_is_over(ground):
    async with ground.doomed_host() as running:
        await running.bar(0)
    await ground.clock.pass_by(61)
    async with ground.host() as running:
        await running.price(100)
        (order,) = await ground.orders()
        assert order.state is OrderState.VOID
        assert ground.link().submitted == []


@pytest.mark.usefixtures("apart")
async def test_an_exit_that_was_stored_but_never_armed_is_sent_at_once(ground):
    with pytest.raises(StoreUnavailable):
        async with ground.doomed_host() as running:
            await bought(running)
            die_before(ground, OrderState.SENDING)
            await running.price(94)
    assert await ground.states() == ["done", "created"]
    assert len(ground.link().submitted) == 1
    await ground.store.release_leases("doomed")
    ground.store.before_write = None
    async with ground.host() as running:
        assert await ground.states() == ["done", "open"]
        assert len(ground.link().submitted) == 2


@pytest.mark.parametrize("stored", [False, True])
async def test_an_exit_that_was_to_leave_at_once_leaves_once_whoever_dies(ground, stored):
    """Decision and departure are one write: without it the stop fires anew, after it never."""
    with pytest.raises(StoreUnavailable):
        async with ground.doomed_host() as running:
            await bought(running)
            die_before(ground, OrderState.OPEN if stored else OrderState.SENDING)
            await running.price(94)
    assert await ground.states() == (["done", "sending"] if stored else ["done"])
    assert len(ground.link().submitted) == (2 if stored else 1)
    await ground.store.release_leases("doomed")
    ground.store.before_write = None
    async with ground.host() as running:
        await running.price(94)
        assert await ground.states() == ["done", "open"]
        assert len(ground.link().submitted) == 2


async def test_an_order_that_may_have_been_sent_is_found_and_never_sent_again(ground):
    with pytest.raises(StoreUnavailable):
        async with ground.doomed_host() as running:
            die_before(ground, OrderState.OPEN)
            await entered(running)
    assert await ground.states() == ["sending"]
    assert len(ground.link().orders) == 1
    await ground.store.release_leases("doomed")
    ground.store.before_write = None
    async with ground.host() as running:
        assert await ground.states() == ["open"]
        (order,) = await ground.orders()
        assert order.venue_order_id == "V1"
        await ground.link().fill(order, 100)
        assert running.bot().engine.position.quantity == order.quantity


async def test_an_order_that_was_armed_but_never_left_is_absent_and_decided_anew(ground):
    async with ground.doomed_host() as running:
        ground.link().gate = asyncio.Event()  # never set: the process ends in the middle of it
        await entered(running)
    ground.link().gate = None
    assert await ground.states() == ["sending"]
    async with ground.host() as running:
        assert await ground.states() == ["unknown"]
        await ground.clock.pass_by(30)
        await running.price(100)
        first, second = await ground.orders()
        assert (first.state, second.state) == (OrderState.ABSENT, OrderState.OPEN)
        assert list(ground.link().orders) == [second.id]


async def test_an_unknown_order_is_looked_up_by_the_next_host(ground):
    async with ground.doomed_host() as running:
        ground.link().answers.append(Answer.LOSE_ANSWER)
        await entered(running)
        assert await ground.states() == ["unknown"]
    async with ground.host():
        assert await ground.states() == ["open"]


async def test_what_was_filled_while_nobody_ran_is_booked_and_guarded(ground):
    async with ground.doomed_host() as running:
        order = await entered(running)
    ground.link().news = lambda order_id: None
    await ground.link().fill(order, 100)
    async with ground.host() as running:
        assert running.bot().engine.position.stop == 95
        await running.price(94)
        assert len(ground.link().submitted) == 2


async def test_an_absent_order_that_turned_up_is_adopted(ground):
    link = None
    async with ground.doomed_host() as running:
        link = ground.link()
        link.answers.append(Answer.LOSE_REQUEST)
        order = await entered(running)
        await ground.clock.pass_by(40)
        assert (await ground.states())[0] == "absent"
    link.answers.append(Answer.ACCEPT)
    await link.submit(order)
    link.submitted.pop()
    link.news = lambda order_id: None
    await link.fill(order, 100)
    async with ground.host() as running:
        assert (await ground.states())[0] == "done"
        assert running.bot().engine.position.quantity == order.quantity


@pytest.mark.usefixtures("apart")
@pytest.mark.parametrize("lost", ["the wish to cancel", "the cancel itself"])
async def test_an_entry_is_taken_back_by_the_next_host_when_its_bot_sells(ground, lost):
    link = None
    with pytest.raises(StoreUnavailable):
        async with ground.doomed_host() as running:
            link = ground.link()
            order = await entered(running)
            await link.fill(order, 100, order.quantity / 2)
            if lost == "the wish to cancel":
                die_before(ground, CancelState.CANCELING)
            else:
                link.cancel_errors.append(VenueUnavailable("no route"))
            await running.price(94)
            if lost == "the cancel itself":
                raise StoreUnavailable("the end")
    await ground.store.release_leases("doomed")
    ground.store.before_write = None
    cancelled = len(link.cancelled)
    async with ground.host():
        entry, stop = await ground.orders()
        assert link.cancelled[cancelled:] == [entry.id]
        assert (entry.state, entry.cancel) == (OrderState.DONE, CancelState.CANCELING)
        assert (stop.state, stop.quantity) == (OrderState.OPEN, entry.filled)


async def test_an_exit_that_waits_is_not_made_twice_by_the_next_host(ground):
    ground.theatre.say(1, leave())
    async with ground.doomed_host() as running:
        await bought(running)
        await running.bar(1)
        assert await ground.states() == ["done", "open"]
    async with ground.host() as running:
        await running.price(90)
        await ground.ask("/forceexit all")
        await running.poll()
        assert await ground.states() == ["done", "open"]


# ------------------------------------------------------------ stops at the venue


@pytest.fixture
def rests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Link, "rests_stops", True)


@pytest.mark.usefixtures("rests", "apart")
async def test_a_stop_that_was_to_make_way_is_taken_back_by_the_next_host(ground):
    """Its bot wants to sell, and the host died before it had asked the stop back."""
    link = None
    with pytest.raises(StoreUnavailable):
        async with ground.doomed_host() as running:
            link = ground.link()
            await bought(running)
            assert await ground.states() == ["done", "open"]
            die_before(ground, CancelState.CANCELING)
            await ground.ask("/forceexit all")
            await running.poll()
    await ground.store.release_leases("doomed")
    ground.store.before_write = None
    async with ground.host() as running:
        _, stop = await ground.orders()
        assert (link.cancelled, stop.state) == ([stop.id], OrderState.DONE)
        await running.price(101)
        *_, sale = await ground.orders()
        assert (sale.state, sale.quantity) == (OrderState.OPEN, stop.quantity)


@pytest.mark.usefixtures("rests")
async def test_a_stop_that_turns_up_without_a_position_is_taken_back_whoever_dies(ground):
    """The venue had it all the time: it would sell what is the user's own."""
    link = None
    async with ground.doomed_host() as running:
        link = ground.link()
        link.answers += [Answer.ACCEPT, Answer.LOSE_REQUEST]
        await bought(running)
        await ground.clock.pass_by(40)
        _, late, stop = await ground.orders()
        assert (late.state, stop.state) == (OrderState.ABSENT, OrderState.OPEN)
        await link.fill(stop, 95)
        assert running.bot().engine.is_flat
    await link.submit(late)
    link.submitted.pop()
    link.look_ups.append(VenueUnavailable("no route"))
    with pytest.raises(StoreUnavailable):
        async with ground.doomed_host():
            die_before(ground, CancelState.CANCELING)
            await ground.clock.pass_by(3)
    await ground.store.release_leases("doomed")
    assert (await ground.states(), link.cancelled) == (["done", "open", "done"], [])
    ground.store.before_write = None
    async with ground.host():
        assert (await ground.states(), link.cancelled) == (["done"] * 3, [late.id])


# ------------------------------------------------------------------- what a bot is


async def test_counts_of_the_guard_go_on_with_the_next_host(ground):
    async with ground.doomed_host() as running:
        await bought(running)
        before = running.user().guard.memory
        assert before.entries_today == 1
    async with ground.host() as running:
        assert running.user().guard.memory == before


async def test_a_new_host_takes_its_users_under_a_higher_epoch(ground):
    async with ground.doomed_host() as running:
        epoch = running.user().lease.epoch
    async with ground.host() as running:
        assert running.user().lease.epoch == epoch + 1


async def test_a_bot_that_was_set_aside_is_guarded_by_the_next_host_too(ground):
    async with ground.doomed_host() as running:
        await bought(running)
        running.host.set_aside(running.bot(), "a test")
        await running.host.settle()
    assert (await ground.bot()).status is BotStatus.SET_ASIDE
    async with ground.host() as running:
        assert running.feed.streams() == [STREAM], "without prices its stop is worth nothing"
        ground.theatre.say(2, enter())
        await running.bar(2)
        await running.price(94)
        assert await ground.states() == ["done", "open"]
        await ground.link().fill(ground.link().submitted[1], 94)
        assert running.bot().engine.is_flat
        ground.theatre.say(3, enter())
        await running.bar(3)
        assert len(await ground.orders()) == 2, "and it enters no more"


async def test_targets_of_a_bot_that_is_set_aside_are_kept(ground):
    async with ground.doomed_host() as running:
        await bought(running)
        running.host.set_aside(running.bot(), "a test")
        await running.host.settle()
        held = running.bot().engine.position
    async with ground.host() as running:
        assert running.bot().engine.position == held


async def test_a_bot_whose_strategy_is_gone_is_set_aside_and_guarded(ground):
    await ground.join(BOB)
    async with ground.doomed_host() as running:
        await bought(running)
    strategies = {"another": ground.theatre.spec()}
    async with ground.host(strategies=strategies) as running:
        bot = await ground.bot()
        assert bot.status is BotStatus.SET_ASIDE
        assert "There is no strategy 'script'." in bot.note
        assert any("was set aside" in text for text in await ground.told())
        await running.price(94)
        assert await ground.states() == ["done", "open"]


async def test_a_bot_whose_symbol_is_not_traded_any_more_is_set_aside_alone(ground):
    await ground.ask("/addpair ETH/USDT 500 strategy=script timeframe=1m", "/start_trading")
    ground.market.refused[ETH] = Refused("ETH/USDT was delisted.")
    async with ground.host() as running:
        status = {str(b.engine.spec.symbol): b.fault for b in running.user().bots.values()}
        assert status["BTC/USDT"] == ""
        assert "ETH/USDT was delisted." in status["ETH/USDT"]
        await running.bar(0)
        await running.price(100)
        assert await ground.states() == ["open"]


async def test_a_strategy_that_cannot_be_built_sets_its_bot_aside_alone(ground):
    await ground.join(BOB, words="name=b")
    ground.theatre.broken["b"] = ZeroDivisionError("a bug")
    async with ground.host() as running:
        assert "ZeroDivisionError" in running.bot(BOB).fault
        assert running.bot(ALICE).fault == ""
        assert (await ground.bot(BOB)).status is BotStatus.SET_ASIDE


async def test_an_account_at_a_venue_this_host_does_not_know_is_left_alone(ground):
    host = ground.host()
    host.host.venues = {}
    async with host as running:
        assert running.user().bots == {}
        await running.ownership._renew()
        assert running.user().bots == {}


# ------------------------------------------------------------------- whose fault it is


@pytest.mark.parametrize(
    "error", [VenueUnavailable("no route"), ZeroDivisionError("a bug")], ids=["down", "bug"]
)
async def test_a_user_whose_account_cannot_be_opened_is_tried_again_and_stops_nobody(ground, error):
    await ground.join(BOB, CAROL)
    ground.venue.errors[AccountId("bob:paper")] = error
    async with ground.host() as running:
        assert set(running.host.users) == {ALICE, CAROL}
        await running.bar(0)
        await running.price(100)
        assert await ground.states(CAROL) == ["open"]
        ground.venue.errors.clear()
        await running.ownership._renew()
        assert set(running.host.users) == {ALICE, BOB, CAROL}


async def test_an_account_whose_key_cannot_be_opened_is_left_closed_and_its_user_told(ground):
    ground.venue.errors[AccountId("alice:paper")] = CannotOpen("Connect account X again.")
    await ground.join(BOB)
    async with ground.host() as running:
        assert set(running.host.users) == {ALICE, BOB}
        assert {bot.user.id for bot in running.host.bots.values()} == {BOB}
    assert any(
        "cannot be opened" in text and "Connect account X again." in text
        for text in await ground.told(ALICE)
    )


async def test_bots_of_a_venue_that_is_silent_at_start_run_once_it_answers(ground):
    await ground.ask("/addpair ETH/USDT 500 strategy=script timeframe=1m", "/start_trading")
    ground.market.refused[ETH] = VenueUnavailable("no route")
    async with ground.host() as running:
        assert {bot.engine.spec.symbol for bot in running.host.bots.values()} == {BTC}
        await running.ownership._renew()
        assert len(running.host.bots) == 1
        ground.market.refused.clear()
        await running.ownership._renew()
        assert len(running.host.bots) == 2
        assert {s.symbol for s in running.feed.streams()} == {BTC, ETH}
        assert all(user.is_complete for user in running.host.users.values())


async def test_deposits_reach_the_account_with_every_host(ground):
    async with ground.doomed_host():
        assert ground.link().funded[-1] == {"USDT": 1000}
    await ground.ask("/addpair ETH/USDT 500 strategy=script timeframe=1m")
    async with ground.host():
        assert ground.link().funded[-1] == {"USDT": 1500}


async def test_a_group_is_warmed_with_as_many_bars_as_its_strategy_needs(ground):
    ground.market.bars[STREAM] = [bar(100, minute) for minute in range(-5, 0)]
    async with ground.host() as running:
        assert ground.market.histories == [(STREAM, ground.clock.now(), 3)]
        await ground.join(BOB)
        await running.poll()
        assert len(ground.market.histories) == 1, "one run serves all its followers"
        await ground.join(CAROL, words="name=c")
        await running.poll()
        assert len(ground.market.histories) == 2
