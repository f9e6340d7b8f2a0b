"""Who owns a user trades for them, alone; and what commands ask of whoever does."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from tests.makers import BTC, ETH, bar
from tests.runtime.live_rig import (
    ALICE,
    BOB,
    CAROL,
    STREAM,
    Ground,
    Running,
    enter,
    quiet,
)
from tradefleet.domain.bot import BotStatus
from tradefleet.domain.errors import LeaseLost, Refused, StoreUnavailable, VenueUnavailable
from tradefleet.domain.ids import UserId
from tradefleet.domain.limits import Halt, Scope
from tradefleet.domain.market import Stream, Timeframe
from tradefleet.domain.order import Order, OrderState, Purpose
from tradefleet.runtime import ownership
from tradefleet.store import KillSwitched

TTL = 15.0
ETHER = Stream("paper", ETH, Timeframe(60))


@pytest.fixture
async def ground() -> Ground:
    ground = Ground.new()
    await ground.join()
    ground.theatre.say(0, enter(95, "0.1"))
    return ground


@pytest.fixture
async def running(ground: Ground) -> AsyncIterator[Running]:
    async with ground.host() as running:
        yield running


async def bought(running: Running) -> Order:
    await running.bar(0)
    await running.price(100)
    order = running.ground.link().submitted[-1]
    await running.ground.link().fill(order, 100)
    return order


async def take_over(ground: Ground) -> None:
    """Let another owner have all users, as after a pause that was longer than the lease."""
    await ground.store.release_leases("host-1")
    await ground.store.take_leases("usurper", now=ground.clock.now(), ttl=1e6, limit=10)


# ------------------------------------------------------------------------- leases


async def test_a_host_whose_user_was_taken_writes_nothing_and_sends_nothing_more(ground, running):
    await running.bar(0)
    await take_over(ground)
    await running.price(100)
    assert [type(error) for error in ground.store.refusals] == [LeaseLost]
    assert ground.link().submitted == []
    assert running.host.users == {} and running.host.bots == {}
    assert await ground.states() == ["created"]
    kept = len(ground.store.batches)
    await running.bar(1)
    await running.price(90)
    await running.poll()
    assert len(ground.store.batches) == kept


async def test_an_exit_is_fenced_like_an_entry(ground, running):
    await bought(running)
    await take_over(ground)
    await running.price(90)
    assert len(ground.link().submitted) == 1
    assert running.host.users == {}


async def test_a_cancel_is_not_sent_for_a_user_who_was_taken(ground, running):
    await running.bar(0)
    await running.price(100)
    order = ground.link().submitted[0]
    await ground.link().fill(order, 100, order.quantity / 2)
    await take_over(ground)
    await running.price(90)
    assert ground.link().cancelled == []


async def test_orders_behind_the_one_that_was_refused_are_not_sent_either(ground, running):
    await ground.ask("/addpair ETH/USDT 1000 strategy=script timeframe=1m", "/start_trading")
    await running.poll()
    link = ground.link()
    link.gate = asyncio.Event()
    await running.bar(0)
    await running.price(100)
    await running.host.bar(ETHER, bar(100))
    await running.price(100, ETH)
    assert len(link.submitted) == 1
    await take_over(ground)
    link.gate.set()
    await quiet()
    assert len(link.submitted) == 1


async def test_a_lease_found_lost_at_its_renewal_drops_the_user(ground, running):
    await bought(running)
    await take_over(ground)
    await running.ownership._renew()
    assert running.host.users == {}
    await running.price(90)
    assert len(ground.link().submitted) == 1


async def test_an_unexpired_lease_is_left_to_its_owner(ground):
    first = ground.host("first", lease_seconds=TTL)
    second = ground.host("second", lease_seconds=TTL)
    async with first, second:
        assert second.host.users == {}
        await ground.clock.pass_by(14.9)
        await second.poll()
        assert second.host.users == {}
        await ground.clock.pass_by(0.2)
        await second.poll()
        assert set(second.host.users) == {ALICE}
        await first.ownership._renew()
        assert first.host.users == {}


async def test_a_host_that_lives_keeps_its_users_for_ever(ground):
    first = ground.host("first", lease_seconds=TTL)
    second = ground.host("second", lease_seconds=TTL)
    async with first, second, asyncio.TaskGroup() as tasks:
        jobs = [tasks.create_task(each.ownership.run()) for each in (first, second)]
        epoch = first.user().lease.epoch
        await ground.clock.pass_by(120)
        assert set(first.host.users) == {ALICE}
        assert second.host.users == {}
        assert first.user().lease.epoch == epoch
        for job in jobs:
            job.cancel()


async def test_a_host_that_slept_too_long_takes_its_free_users_again(ground):
    async with ground.host(lease_seconds=TTL) as running:
        await bought(running)
        old = running.user()
        await ground.clock.pass_by(60)
        await running.ownership._renew()
        await running.ownership.take_users()
        assert running.user() is not old
        assert running.user().lease.epoch == old.lease.epoch + 1
        await running.price(90)
        assert await ground.states() == ["done", "open"]


async def test_a_host_that_takes_its_own_user_again_runs_them_once(ground):
    """Its lease ran out before its renewal was due: its clock is not that of who wrote it."""
    async with ground.host(lease_seconds=TTL) as running:
        await bought(running)
        old = running.user()
        await ground.clock.pass_by(60)
        await running.ownership.take_users()
        new = running.user()
        assert (old.gone, new.gone, new.lease.epoch) == (True, False, old.lease.epoch + 1)
        assert [bot.user for bot in running.host.bots.values()] == [new]
        running.host.drop(old)  # a write of the old one is refused only now
        assert running.user() is new
        assert [bot.user for bot in running.host.bots.values()] == [new]
        await running.price(90)  # and its stop is still watched
        assert await ground.states() == ["done", "open"]


async def test_while_many_users_are_taken_the_first_of_them_keep_their_leases(ground, monkeypatch):
    monkeypatch.setattr(ownership, "TAKEN_AT_ONCE", 2)
    users = [ALICE, BOB, CAROL, *(UserId(f"user {number}") for number in range(4))]
    await ground.join(*users[1:])
    link = ground.venue.link

    async def slowly(*given: object) -> object:
        await ground.clock.pass_by(TTL / 4)
        return await link(*given)

    ground.venue.link = slowly
    async with ground.host(lease_seconds=TTL) as running:
        assert set(running.host.users) == set(users)
        held = await ground.store.renew_leases("host-1", now=ground.clock.now(), ttl=TTL)
        assert {lease.user_id: lease.epoch for lease in held} == dict.fromkeys(users, 1)


async def test_a_user_who_cannot_be_loaded_keeps_none_of_the_others_waiting(ground):
    await ground.join(BOB)
    load_user, load_users = ground.store.load_user, ground.store.load_users

    async def alone(user_id: UserId) -> object:
        if user_id == ALICE:
            raise ValueError("a row nobody can read")
        return await load_user(user_id)

    async def together(user_ids: Sequence[UserId]) -> object:
        if ALICE in user_ids:
            raise ValueError("a row nobody can read")
        return await load_users(user_ids)

    ground.store.load_user, ground.store.load_users = alone, together
    async with ground.host() as running:
        assert set(running.host.users) == {BOB}
        ground.store.load_user, ground.store.load_users = load_user, load_users
        await running.ownership._renew()
        assert set(running.host.users) == {ALICE, BOB}


async def test_a_user_is_not_taken_again_before_what_was_sent_has_come_back(ground):
    """Or the same host would look an order up that it is still sending, and find nothing."""
    async with ground.host(lease_seconds=TTL) as running:
        link = ground.link()
        link.gate = asyncio.Event()
        await running.bar(0)
        await running.price(100)
        await ground.clock.pass_by(60)
        await running.ownership._renew()
        await running.ownership.take_users()
        assert running.host.users == {}
        assert link.asked == []
        link.gate.set()
        await quiet()
        await running.ownership._renew()
        await quiet()
        assert await ground.states() == ["open"]
        assert len(link.submitted) == 1


async def test_a_host_takes_no_more_users_than_it_may(ground):
    await ground.join(BOB, CAROL)
    running = ground.host()
    running.ownership.users_max = 2
    async with running:
        assert len(running.host.users) == 2
        await running.poll()
        assert len(running.host.users) == 2
        async with ground.host("host-2") as other:
            assert len(other.host.users) == 1


async def test_users_without_anything_to_run_are_not_taken(ground, running):
    await ground.ask("/start", user=BOB)
    await running.poll()
    assert set(running.host.users) == {ALICE}


async def test_a_user_who_is_lost_while_they_are_taken_leaves_no_bot_behind(ground):
    async with ground.host() as running:
        running.host.drop(running.host.users[ALICE])
        rules = ground.market.rules

        async def slowly(symbol: object) -> object:
            running.host.drop(running.host.users[ALICE])
            return await rules(symbol)

        ground.market.rules = slowly
        await running.ownership._renew()
        assert running.host.bots == {}


# ------------------------------------------------------------------- kill switches


async def test_an_entry_decided_before_a_kill_is_not_sent_after_it(ground, running):
    await running.bar(0)
    await ground.ask("/pause")
    await running.price(100)
    assert [type(error) for error in ground.store.refusals] == [KillSwitched]
    assert ground.link().submitted == []
    await running.poll()
    assert set(running.host.users) == {ALICE}
    await running.price(100)
    (order,) = await ground.orders()
    assert (order.state, order.note) == (OrderState.VOID, "trading was switched off")
    assert ground.link().submitted == []


async def test_a_pause_voids_a_held_entry_that_the_host_hears_of_in_time(ground, running):
    await running.bar(0)
    await ground.ask("/pause")
    await running.poll()
    await running.price(100)
    assert await ground.states() == ["void"]
    assert ground.store.refusals == []


async def test_no_entry_leaves_between_a_renewed_lease_and_the_switches_it_counts(ground, running):
    """The version of a kill switch is worth nothing without the switch."""
    await running.bar(0)
    await ground.switch(Halt.STOP)
    load = ground.store.load_user

    async def slowly(user_id: object) -> object:
        await running.price(100)  # while the switches are on their way
        return await load(user_id)

    ground.store.load_user = slowly
    await running.ownership._renew()
    assert ground.link().submitted == []


async def test_exits_go_out_through_a_kill_switch(ground, running):
    await bought(running)
    await ground.switch(Halt.STOP)
    await running.price(94)
    assert await ground.states() == ["done", "open"]
    await ground.link().fill(ground.link().submitted[1], 94)
    await running.poll()
    assert running.bot().engine.is_flat


async def test_a_pause_denies_entries_until_it_is_lifted(ground, running):
    ground.theatre.say(1, enter(95, "0.1"))
    await ground.ask("/pause")
    await running.poll()
    await running.bar(0)
    assert await ground.orders() == []
    await ground.ask("/resume")
    await running.poll()
    await running.bar(1)
    await running.price(100)
    assert await ground.states() == ["open"]


async def test_what_was_paused_and_resumed_in_between_is_sent_all_the_same(ground, running):
    await running.bar(0)
    await ground.ask("/pause", "/resume")
    await running.price(100)
    assert ground.link().submitted == []
    await running.poll()
    await running.price(100)
    assert await ground.states() == ["open"]


async def test_the_platforms_switch_reaches_every_host_with_its_next_renewal(ground, running):
    await running.bar(0)
    await ground.switch(Halt.STOP, scope=Scope.PLATFORM)
    await running.ownership._renew()
    await running.price(100)
    assert await ground.states() == ["void"]


@pytest.mark.parametrize("scope", [Scope.USER, Scope.PLATFORM])
async def test_flatten_closes_what_is_open(ground, running, scope):
    await bought(running)
    await ground.switch(Halt.FLATTEN, scope=scope)
    await running.ownership._renew()
    await running.poll()
    entry, out = await ground.orders()
    assert (out.purpose, out.reason, out.state) == (Purpose.EXIT, "kill_switch", OrderState.OPEN)
    assert out.quantity == entry.filled


async def test_flatten_closes_what_is_open_even_if_it_finds_its_user_being_reloaded(
    ground, running
):
    """The very switch may be what a pending entry was refused for."""
    await bought(running)
    await ground.ask("/addpair ETH/USDT 1000 strategy=script timeframe=1m", "/start_trading")
    await running.poll()
    await running.host.bar(ETHER, bar(100))
    await ground.switch(Halt.FLATTEN)
    await running.price(100, ETH)
    assert ALICE not in running.host.users, "the refused entry has its user taken again"
    await running.poll()
    reasons = [order.reason for order in await ground.orders() if order.purpose is Purpose.EXIT]
    assert reasons == ["kill_switch"]


# ------------------------------------------------------------- what commands ask for


async def test_a_pair_added_and_started_runs_without_a_restart(ground, running):
    await ground.join(BOB)
    await running.poll()
    assert running.bot(BOB).engine.running
    await running.bar(0)
    await running.price(100)
    assert await ground.states(BOB) == ["open"]


async def test_a_pair_that_is_added_but_not_started_enters_nothing(ground, running):
    await ground.ask("/start", "/addpair BTC/USDT 100 strategy=script timeframe=1m", user=BOB)
    await running.poll()
    await running.bar(0)
    assert await ground.orders(BOB) == []
    assert ground.link(BOB).funded[-1] == {"USDT": 100}


async def test_a_second_pair_of_a_running_user_is_funded_and_followed(ground, running):
    await ground.ask("/addpair ETH/USDT 500 strategy=script timeframe=1m", "/start_trading")
    await running.poll()
    assert ground.link().funded[-1] == {"USDT": 1500}
    assert {stream.symbol for stream in running.feed.streams()} == {BTC, ETH}


async def test_a_stopped_pair_enters_nothing_and_keeps_its_stop(ground, running):
    await bought(running)
    await ground.ask("/stop_trading")
    await running.poll()
    assert not running.bot().engine.running
    await running.price(94)
    await ground.link().fill(ground.link().submitted[1], 94)
    ground.theatre.say(2, enter())
    await running.bar(2)
    assert len(await ground.orders()) == 2
    await ground.ask("/start_trading")
    await running.poll()
    ground.theatre.say(3, enter())
    await running.bar(3)
    assert len(await ground.orders()) == 3


async def test_a_stop_voids_the_entry_that_is_held(ground, running):
    await running.bar(0)
    await ground.ask("/stop_trading")
    await running.poll()
    assert await ground.states() == ["void"]


async def test_a_removed_pair_is_forgotten_by_host_board_and_feed(ground, running):
    await ground.ask("/stop_trading")
    await running.poll()
    await ground.ask("/removepair BTC/USDT")
    await running.poll()
    assert running.host.bots == {} and running.user().bots == {}
    assert running.feed.streams() == [] and running.host.board.groups == {}
    assert running.user().guard.equity == 0


async def test_forceexit_sells_at_the_market_now(ground, running):
    order = await bought(running)
    await ground.ask("/forceexit BTC/USDT")
    await running.poll()
    _, out = await ground.orders()
    assert (out.reason, out.quantity, out.state) == ("force_exit", order.quantity, OrderState.OPEN)


async def test_resume_ends_an_open_breaker_and_says_so(ground, running):
    guard = running.user().guard
    guard._pause("drawdown", "a test")
    running.host.record(running.user(), [])
    await ground.ask("/resume enough waited")
    await running.poll()
    assert guard.memory.paused_reason == ""
    assert "Trading is resumed: enough waited." in await ground.told()
    async with ground.store.open(ALICE, reading=True) as store:
        assert (await store.guard()).paused_reason == ""


async def test_a_command_that_was_rolled_back_has_told_nobody(ground, running):
    await bought(running)

    async def fail(self: object, action: str, detail: object) -> None:
        raise Refused("something went wrong at the very end")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tradefleet.stores.memory.user_store.MemoryUserStore.audit", fail)
        with pytest.raises(Refused):
            await ground.ask("/forceexit all")
        with pytest.raises(Refused):
            await ground.ask("/stop_trading")
        with pytest.raises(Refused):
            await ground.ask("/pause")
    await running.poll()
    assert await ground.states() == ["done"]
    assert running.bot().engine.running
    assert running.user().guard.halt_for("", "") is Halt.RUN


async def test_messages_are_followed_once_in_their_order(ground, running):
    await ground.ask("/stop_trading", "/start_trading", "/stop_trading")
    await running.poll()
    assert not running.bot().engine.running
    assert await ground.waiting() == []


async def test_messages_of_another_hosts_users_are_left_to_it(ground, running):
    await ground.join(BOB)
    async with ground.host("host-2") as other:
        await ground.ask("/stop_trading", user=BOB)
        await running.poll()
        assert BOB in other.host.users
        assert await ground.waiting() == ["bot_changed"]
        await other.poll()
        assert not other.bot(BOB).engine.running


# --------------------------------------------------------- messages that go wrong


@pytest.mark.parametrize(
    ("subject", "payload"),
    [("dance", {}), ("force_exit", {}), ("bot_changed", {"bot": "x"}), ("resume", {})],
)
async def test_a_message_nobody_understands_is_dropped_and_stops_nobody(
    ground, running, subject, payload
):
    await ground.join(BOB)
    await running.poll()
    await ground.ask_host(subject, **payload)
    await ground.ask("/stop_trading", user=BOB)
    await running.poll()
    assert not running.bot(BOB).engine.running
    await running.ownership._renew()
    await running.poll()
    assert await ground.waiting() == []
    assert set(running.host.users) == {ALICE, BOB}


async def test_a_message_for_a_bot_there_is_not_is_dropped(ground, running):
    await ground.ask_host("force_exit", bot_id="no such bot")
    await ground.ask_host("bot_changed", bot_id="no such bot")
    await running.poll()
    assert await ground.waiting() == []


async def test_a_message_waits_while_its_user_is_being_taken_again(ground, running):
    await bought(running)
    running.host.drop(running.user())
    await ground.ask("/forceexit all")
    link = ground.link()
    link.gate = asyncio.Event()
    await running.poll()
    assert [order.reason for order in await ground.orders()][1:] == ["force_exit"]
    link.gate.set()
    await quiet()


async def test_a_message_survives_a_write_that_was_refused(ground, running):
    await bought(running)
    await ground.ask("/forceexit all")
    messages = ground.store.host_messages

    async def then_taken(owner: str, limit: int) -> object:
        found = await messages(owner, limit)
        await take_over(ground)
        return found

    ground.store.host_messages = then_taken
    await running.poll()
    assert running.host.users == {}
    assert await ground.waiting() == ["force_exit"], "it is for whoever owns the user now"


async def test_a_message_is_dropped_only_once_it_is_written_down_what_it_led_to(ground):
    async with ground.doomed_host() as running:
        await bought(running)
        await ground.ask("/forceexit all")

        async def never(batches: object) -> None:
            await asyncio.Event().wait()

        ground.store.before_write = never
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(running.ownership.read_messages())
            await quiet()
            task.cancel()
    assert await ground.waiting() == ["force_exit"]
    ground.store.before_write = None
    async with ground.host() as running:
        await running.poll()
        assert [order.reason for order in await ground.orders()][1:] == ["force_exit"]


async def test_a_store_that_cannot_be_used_stops_the_host(ground):
    async with ground.doomed_host() as running:

        async def fail(owner: str, limit: int) -> object:
            raise StoreUnavailable("no connection")

        ground.store.host_messages = fail
        with pytest.raises(StoreUnavailable):
            await running.poll()


async def test_a_fault_while_a_message_is_followed_has_only_its_user_taken_again(ground, running):
    await ground.join(BOB)
    await running.poll()
    ground.market.refused[ETH] = VenueUnavailable("no route")
    await ground.ask("/addpair ETH/USDT 500 strategy=script timeframe=1m", "/start_trading")
    bob = running.user(BOB)
    await running.poll()
    assert running.user(BOB) is bob
    ground.market.refused.clear()
    await running.ownership._renew()
    await running.poll()
    assert len(running.user().bots) == 2
    assert all(bot.engine.running for bot in running.user().bots.values())
    assert await ground.waiting() == []


async def test_a_user_whose_limits_cannot_be_read_keeps_nobody_elses_pause_waiting(ground, running):
    await ground.join(BOB)
    await running.poll()
    read = ground.store.rulings

    async def rulings(user_ids):
        if BOB in user_ids:
            raise ValueError("no number")
        return await read(user_ids)

    ground.store.rulings = rulings
    bob = running.user(BOB)
    await ground.ask("/pause")
    for user_id in (ALICE, BOB):
        async with ground.store.open(user_id) as own:
            await own.ask_host("switches_changed", {})
    await running.ownership.read_messages()
    (bot,) = running.user(ALICE).bots.values()
    spec = bot.engine.spec
    assert running.user(ALICE).guard.halt_for(spec.id, spec.account_id) is Halt.STOP
    assert bob.gone
    assert BOB in running.host.dropped


# ---------------------------------------------------------------- starting it again


async def test_a_bot_set_aside_starts_again_with_a_fresh_strategy(ground, running):
    """Also when others who were set aside with it do not."""
    await ground.join(BOB)
    await running.poll()
    broken = running.bot().group.strategy
    ground.theatre.say(0, ZeroDivisionError("a bug"))
    await running.bar(0)
    assert (await ground.bot()).status is BotStatus.SET_ASIDE
    assert (await ground.bot(BOB)).status is BotStatus.SET_ASIDE
    await ground.ask("/start_trading")
    await running.poll()
    await running.poll()
    assert running.bot().fault == ""
    assert running.bot().group.strategy is not broken
    ground.theatre.say(1, enter(95, "0.1"))
    await running.bar(1)
    await running.price(100)
    assert await ground.states() == ["open"]
    assert await ground.states(BOB) == []
    assert running.feed.streams() == [STREAM]


async def test_after_a_refusal_a_user_is_back_with_the_next_poll(ground):
    async with ground.host(lease_seconds=TTL) as running, asyncio.TaskGroup() as tasks:
        job = tasks.create_task(running.ownership.run())
        await running.host.settle()
        running.host.drop(running.user())
        await ground.clock.pass_by(1.1)
        assert set(running.host.users) == {ALICE}
        job.cancel()


async def test_a_user_who_cannot_be_taken_is_not_tried_at_every_poll(ground):
    async with ground.host(lease_seconds=TTL) as running, asyncio.TaskGroup() as tasks:
        tries = []
        link = ground.venue.link

        async def refuse(account: object, news: object) -> object:
            tries.append(account)
            raise VenueUnavailable("no route")

        ground.venue.link = refuse
        running.host.drop(running.user())
        job = tasks.create_task(running.ownership.run())
        await ground.clock.pass_by(20)
        assert 3 <= len(tries) <= 6
        ground.venue.link = link
        await ground.clock.pass_by(6)
        assert set(running.host.users) == {ALICE}
        job.cancel()
