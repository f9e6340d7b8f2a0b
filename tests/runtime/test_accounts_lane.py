"""An order is written down before it leaves, leaves once, and is looked up when in doubt."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.makers import BTC, ETH, MINUTE, START, bar
from tests.runtime.live_rig import ALICE, Answer, Ground, Link, Running, enter, leave, quiet
from tradefleet.domain.effects import MemoryChanged, OrderChanged, OrderPlaced
from tradefleet.domain.errors import OutcomeUnknown, VenueUnavailable
from tradefleet.domain.limits import Halt
from tradefleet.domain.market import Stream, Timeframe
from tradefleet.domain.order import CancelState, Order, OrderKind, OrderState, Purpose
from tradefleet.domain.values import changed
from tradefleet.runtime.accounts import Job
from tradefleet.store import Batch
from tradefleet.venue import VenueTiming


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
        running.user().gone = True  # or the context would wait for look-ups that are to come


async def entered(running: Running) -> Order:
    """Let the bot decide on an entry and send it; return it as it was sent."""
    await running.bar(0)
    await running.price(100)
    return running.ground.link().submitted[-1]


async def bought(running: Running) -> Order:
    """Let the bot buy, and return the order."""
    order = await entered(running)
    await running.ground.link().fill(order, 100)
    return order


# ------------------------------------------------------------------ before it leaves


async def test_an_order_is_stored_as_being_sent_before_its_first_byte_leaves(ground, running):
    link, stored = ground.link(), []

    def look(order: Order) -> None:
        kept = ground.store._rows[ALICE].orders[order.id]
        stored.append((kept, order))

    link.before_submit = look
    await entered(running)
    ((kept, sent),) = stored
    assert kept == sent
    assert sent.state is OrderState.SENDING
    assert sent.epoch == running.user().lease.epoch > 0
    assert sent.sent_at == ground.clock.now()
    assert sent.deadline == sent.sent_at + link.timing.deadline


async def test_the_intention_is_stored_before_it_is_armed_in_a_write_of_its_own(ground, running):
    order = await entered(running)
    with_order = [
        (number, type(record), record.order.state)
        for number, batch in enumerate(ground.store.batches)
        for record in batch.records
        if isinstance(record, OrderPlaced | OrderChanged) and record.order.id == order.id
    ]
    placed, armed, _ = with_order
    assert placed[1:] == (OrderPlaced, OrderState.CREATED)
    assert armed[1:] == (OrderChanged, OrderState.SENDING)
    assert placed[0] < armed[0]
    assert ground.store.batches[armed[0]].kill_version is not None


async def decided_and_priced(running: Running) -> None:
    """Let a price come before what was decided at the bar is being written."""
    await running.ground.clock.pass_until(START + MINUTE)
    await running.host.bar(Stream("paper", BTC, Timeframe(60)), bar(100))
    running.host.price("paper", BTC, Decimal(100), running.ground.clock.now())
    await quiet()


async def test_an_entry_whose_price_is_there_is_armed_in_the_write_that_places_it(ground, running):
    before = len(ground.store.batches)
    await decided_and_priced(running)
    (entry,) = ground.link().submitted
    batch = ground.store.batches[before]
    assert told_of(batch, entry) == [
        (OrderPlaced, OrderState.CREATED),
        (OrderChanged, OrderState.SENDING),
    ]
    assert batch.kill_version == running.user().lease.kill_version
    assert await ground.states() == ["open"]


async def test_an_entry_that_is_armed_leaves_before_what_is_urgent_and_came_later(
    ground, monkeypatch
):
    monkeypatch.setattr(Link, "rests_stops", True)
    await ground.ask("/addpair ETH/USDT 500 strategy=script timeframe=1m", "/start_trading")
    async with ground.host() as running:
        await bought(running)
        btc, eth = sorted(running.user().bots.values(), key=lambda bot: str(bot.engine.spec.symbol))
        (stop,) = btc.engine.working.values()
        await running.host.bar(Stream("paper", ETH, Timeframe(60)), bar(100))
        await quiet()
        written = asyncio.Event()

        async def wait(batches: object) -> None:
            await written.wait()

        ground.store.before_write = wait
        await running.price(100, ETH)  # its entry is armed, and being written
        (entry,) = eth.engine.working.values()
        running.host.put(btc, Job.CANCEL, stop.id)  # as after a look-up
        ground.store.before_write = None
        written.set()
        await quiet()
        sent = {order.id: order.state for order in ground.link().submitted}
        assert sent[entry.id] is OrderState.SENDING
        assert ground.link().cancelled == [stop.id]
        assert not (btc.fault or eth.fault)
        running.user().gone = True


async def test_a_kill_switch_refuses_placing_and_arming_in_one_write(ground, monkeypatch):
    monkeypatch.setattr("tradefleet.runtime.host.LEAVING_MAX", 1)
    async with ground.host() as running:
        await ground.switch(Halt.STOP)  # the host has not heard of it yet
        await decided_and_priced(running)
        assert ground.link().submitted == []
        assert await ground.states() == []
        assert running.host.dropped == {ALICE}
        assert running.host._rooms["paper"].goes_in()  # its place was given back


async def test_an_exit_is_armed_in_the_write_that_places_it(ground, running):
    await bought(running)
    await running.price(94)
    exit = ground.link().submitted[-1]
    (batch,) = [
        batch
        for batch in ground.store.batches
        if OrderState.SENDING in {state for _, state in told_of(batch, exit)}
    ]
    assert told_of(batch, exit) == [
        (OrderPlaced, OrderState.CREATED),
        (OrderChanged, OrderState.SENDING),
    ]
    assert batch.kill_version is None
    assert (exit.state, exit.epoch) == (OrderState.SENDING, running.user().lease.epoch)


async def test_a_stop_is_asked_back_in_the_write_of_the_decision_to_sell(ground, monkeypatch):
    monkeypatch.setattr(Link, "rests_stops", True)
    ground.theatre.say(1, leave())
    async with ground.host() as running:
        await bought(running)
        (stop,) = running.bot().engine.working.values()
        before = len(ground.store.batches)
        await running.bar(1)
        batch = ground.store.batches[before]
        assert ground.link().cancelled == [stop.id]
        assert MemoryChanged in {type(record) for record in batch.records}
        assert batch.records[-1].order.cancel is CancelState.CANCELING
        running.user().gone = True


async def test_an_exit_that_has_to_wait_for_its_account_is_armed_when_it_leaves(ground, running):
    """Or the time it is signed with would be gone when its turn comes."""
    await bought(running)
    lane = running.user().lanes[running.bot().engine.spec.account_id]
    lane.busy = True  # something else is under way
    await running.price(94)
    (exit,) = running.bot().engine.working.values()
    assert exit.state is OrderState.CREATED
    lane.busy = False
    running.host.put(running.bot(), Job.SEND, exit.id)
    await quiet()
    assert ground.link().submitted[-1].id == exit.id


async def test_entries_on_their_way_to_a_venue_leave_room_for_exits(ground, monkeypatch):
    monkeypatch.setattr("tradefleet.runtime.host.LEAVING_MAX", 1)
    async with ground.host() as running:
        room = running.host._rooms["paper"]
        assert room.goes_in()  # the only place is taken
        await running.bar(0)
        await running.price(100)
        assert ground.link().submitted == []
        assert await ground.states() == ["created"]
        room.leave()
        await quiet()
        (entry,) = ground.link().submitted
        assert room.goes_in()  # it was left when the entry was sent
        await ground.link().fill(entry, 100)
        await running.price(94)
        assert len(ground.link().submitted) == 2
        running.user().gone = True


async def test_an_exit_passes_an_entry_of_its_account_that_waits_for_room(ground, monkeypatch):
    monkeypatch.setattr("tradefleet.runtime.host.LEAVING_MAX", 1)
    await ground.ask("/addpair ETH/USDT 500 strategy=script timeframe=1m", "/start_trading")
    ground.theatre.say(1, enter(95, "0.1"))
    async with ground.host() as running:
        await bought(running)
        await ground.clock.pass_until(START + 2 * MINUTE)
        room = running.host._rooms["paper"]
        assert room.goes_in()
        await running.host.bar(Stream("paper", ETH, Timeframe(60)), bar(100, 1))
        await running.price(100, ETH)
        assert await ground.states() == ["done", "created"]
        await running.price(94)
        sold = ground.link().submitted[-1]
        assert (sold.symbol, sold.purpose) == (BTC, Purpose.EXIT)
        room.leave()
        await quiet()
        assert ground.link().submitted[-1].symbol == ETH
        assert room.goes_in()
        running.user().gone = True


async def test_an_entry_that_is_put_twice_while_it_waits_takes_one_place(ground, monkeypatch):
    monkeypatch.setattr("tradefleet.runtime.host.LEAVING_MAX", 1)
    async with ground.host() as running:
        room = running.host._rooms["paper"]
        assert room.goes_in()
        await running.bar(0)
        await running.price(100)
        (order,) = running.bot().engine.working
        running.host.put(running.bot(), Job.SEND, order)
        room.leave()
        await quiet()
        assert len(ground.link().submitted) == 1
        assert room.goes_in() and not room.goes_in()
        running.user().gone = True


def told_of(batch: Batch, order: Order) -> list[tuple[type, OrderState]]:
    """Return what a batch writes of an order."""
    return [
        (type(record), record.order.state)
        for record in batch.records
        if isinstance(record, OrderPlaced | OrderChanged) and record.order.id == order.id
    ]


async def test_nothing_leaves_while_the_store_has_not_answered(ground, running):
    written = asyncio.Event()

    async def wait(batches: object) -> None:
        await written.wait()

    ground.store.before_write = wait
    await running.bar(0)
    await running.price(100)
    assert ground.link().submitted == []
    ground.store.before_write = None
    written.set()
    await quiet()
    assert len(ground.link().submitted) == 1


async def test_a_stop_is_not_taken_back_before_it_is_written_down_and_sent(ground, monkeypatch):
    """A cancel needs no record of its own; it overtook the order whose record was on its way."""
    monkeypatch.setattr(Link, "rests_stops", True)
    written = asyncio.Event()

    async def wait(batches: Sequence[Batch]) -> None:
        records = [record for batch in batches for record in batch.records]
        placed = [each.order for each in records if isinstance(each, OrderPlaced)]
        if any(order.kind is OrderKind.RESTING_STOP for order in placed):
            await written.wait()

    ground.store.before_write = wait
    async with ground.host() as running:
        await bought(running)
        (stop,) = running.bot().engine.working.values()
        assert (stop.kind, stop.state) == (OrderKind.RESTING_STOP, OrderState.CREATED)
        await running.price(94)
        await ground.clock.pass_by(6)
        await running.price(94)
        assert ground.link().cancelled == []
        written.set()
        await quiet()
        assert not running.bot().fault
        assert ground.link().cancelled == [stop.id]
        sent = [order.kind for order in ground.link().submitted]
        assert sent == [OrderKind.MARKET, OrderKind.RESTING_STOP, OrderKind.STOP]
        running.user().gone = True


async def test_an_intent_that_is_put_on_the_lane_again_is_not_sent_again(ground, running):
    order = await entered(running)
    running.host.put(running.bot(), Job.SEND, order.id)
    await quiet()
    assert len(ground.link().submitted) == 1


async def test_the_orders_of_one_account_leave_one_after_the_other(ground, running):
    await ground.ask("/addpair ETH/USDT 1000 strategy=script timeframe=1m", "/start_trading")
    await running.poll()
    link = ground.link()
    link.gate = asyncio.Event()
    await running.bar(0)
    await running.host.bar(Stream("paper", ETH, Timeframe(60)), bar(100))
    await running.price(100)
    await running.price(100, ETH)
    assert len(link.submitted) == 1, "the second waits for the first one's answer"
    link.gate.set()
    await quiet()
    assert len(link.submitted) == 2


async def test_an_entry_that_waits_its_turn_through_a_kill_switch_is_not_sent(ground, running):
    """The switch is obeyed by then, so its version alone would let the entry pass."""
    await ground.ask("/addpair ETH/USDT 1000 strategy=script timeframe=1m", "/start_trading")
    await running.poll()
    link = ground.link()
    link.gate = asyncio.Event()
    await running.bar(0)
    await running.host.bar(Stream("paper", ETH, Timeframe(60)), bar(100))
    await running.price(100)
    await running.price(100, ETH)
    await ground.switch(Halt.STOP)
    await running.poll()
    link.gate.set()
    await quiet()
    assert len(link.submitted) == 1
    assert sorted(await ground.states()) == ["open", "void"]


async def test_an_order_that_is_taken_back_before_it_was_sent_is_never_sent(ground, running):
    await running.bar(0)
    (order,) = running.bot().engine.working.values()
    running.host.put(running.bot(), Job.CANCEL, order.id)
    await running.price(100)
    assert await ground.states() == ["void"]
    assert (ground.link().submitted, ground.link().cancelled) == ([], [])


async def test_an_order_nobody_knows_to_be_sent_is_asked_about_before_it_is_taken_back(
    ground, running
):
    """A fail-over of the database may have lost that it was sent."""
    order = await entered(running)
    lane, bot = next(iter(running.user().lanes.values())), running.bot()
    bot.engine.working[order.id] = changed(order, state=OrderState.CREATED, sent_at=None)
    lane.unsure.add(order.id)
    running.host.put(bot, Job.CANCEL, order.id)
    await quiet()
    assert ground.link().asked == [order.id]
    await ground.clock.pass_by(2)
    assert ground.link().cancelled == [order.id]


def held_up(ground: Ground, running: Running) -> tuple[asyncio.Event, list[str]]:
    """Let look-ups wait for the event; return it and what the account is asked, in its order."""
    link, gate, asked = ground.link(), asyncio.Event(), list[str]()
    link.before_submit = lambda order: asked.append(f"{order.side} {order.symbol}")
    answer = link.look_up

    async def look_up(order: Order) -> Any:
        asked.append(f"look up {order.symbol}")
        await gate.wait()
        return await answer(order)

    link.look_up = look_up
    return gate, asked


async def test_an_exit_does_not_wait_for_the_news_of_other_orders(ground, running):
    """They may be many, and each takes seconds where the venue is slow."""
    await ground.ask("/addpair ETH/USDT 1000 strategy=script timeframe=1m", "/start_trading")
    await running.poll()
    await running.bar(0)
    await running.host.bar(Stream("paper", ETH, Timeframe(60)), bar(100))
    await running.price(100)
    await running.price(100, ETH)
    bitcoin, ether = ground.link().submitted
    await ground.link().fill(bitcoin, 100)
    gate, asked = held_up(ground, running)
    await ground.link().fill(ether, 100, ether.quantity / 2)
    await ground.link().fill(ether, 100, ether.quantity / 4)
    await running.price(94)
    assert asked == ["look up ETH/USDT"]
    gate.set()
    await quiet()
    assert asked == ["look up ETH/USDT", "sell BTC/USDT", "look up ETH/USDT"]


async def test_a_stop_in_the_way_is_cancelled_before_other_orders_are_looked_up(
    ground, monkeypatch
):
    monkeypatch.setattr(Link, "rests_stops", True)
    await ground.ask("/addpair ETH/USDT 1000 strategy=script timeframe=1m", "/start_trading")
    async with ground.host() as running:
        await bought(running)
        await running.host.bar(Stream("paper", ETH, Timeframe(60)), bar(100))
        await running.price(100, ETH)
        *_, stop, ether = ground.link().submitted
        gate, asked = held_up(ground, running)
        for part in (2, 4):
            await ground.link().fill(ether, 100, ether.quantity / part)
        await ground.ask("/forceexit BTC/USDT")
        await running.poll()
        gate.set()
        await quiet()
        sale = asked.index("sell BTC/USDT")
        assert ground.link().cancelled == [stop.id]
        assert asked[:sale] == ["look up ETH/USDT", "look up BTC/USDT"]
        running.user().gone = True


async def test_an_order_that_rings_all_the_time_is_looked_up_once_more_only(ground, running):
    """A market order may be filled in hundreds of parts: each rings, and one look-up has all."""
    order = await entered(running)
    gate, asked = held_up(ground, running)
    for _ in range(50):
        ground.link().news(order.id)
        await quiet()
    gate.set()
    await quiet()
    assert asked == ["look up BTC/USDT"] * 2


# --------------------------------------------------------------------- the answers


async def test_an_accepted_order_is_open_under_the_venues_name(ground, running):
    await entered(running)
    (order,) = await ground.orders()
    assert (order.state, order.venue_order_id) == (OrderState.OPEN, "V1")


async def test_a_proven_reject_is_final_and_told(ground, running):
    ground.link().answers.append(Answer.REJECT)
    await entered(running)
    (order,) = await ground.orders()
    assert (order.state, order.note) == (OrderState.REJECTED, "no funds")
    assert "BTC/USDT: the venue refused an order: no funds" in await ground.told()
    await ground.clock.pass_by(600)
    assert ground.link().asked == []


@pytest.mark.parametrize("answer", [Answer.LOSE_ANSWER, Answer.LOSE_REQUEST])
async def test_without_a_proof_an_order_is_unknown_and_only_looked_up(ground, running, answer):
    ground.link().answers.append(answer)
    await entered(running)
    assert await ground.states() == ["unknown"]
    await ground.clock.pass_by(2.9)
    assert ground.link().asked == [], "the venue may not show it yet"
    await ground.clock.pass_by(0.2)
    assert len(ground.link().asked) == 1
    assert len(ground.link().submitted) == 1


async def test_an_entry_that_was_not_sent_is_asked_about_when_it_may_be_given_up(ground, running):
    ground.link().answers.append(Answer.UNAVAILABLE)
    await entered(running)
    await ground.clock.pass_by(19.9)
    assert await ground.states() == ["unknown"]
    assert ground.link().asked == []
    await ground.clock.pass_by(10)
    assert (await ground.states())[0] == "absent"
    assert len(ground.link().asked) <= 4
    assert len(ground.link().submitted) == 1


async def test_an_exit_that_provably_was_not_sent_is_tried_again_soon(ground, running):
    link = ground.link()
    await link.fill(await entered(running), 100)
    link.answers.extend([Answer.UNAVAILABLE, Answer.UNAVAILABLE])
    ground.theatre.say(1, leave())
    await running.bar(1)
    assert await ground.states() == ["done", "rejected"]
    await ground.clock.pass_by(6)
    await running.price(100)
    assert await ground.states() == ["done", "rejected", "rejected"]
    await ground.clock.pass_by(11)
    await running.price(100)
    assert await ground.states() == ["done", "rejected", "rejected", "open"]
    assert len(link.submitted) == 4
    assert link.orders.keys() == {link.submitted[0].id, link.submitted[-1].id}


async def test_an_unknown_order_that_is_found_is_adopted_with_its_fills(ground, running):
    link = ground.link()
    link.answers.append(Answer.LOSE_ANSWER)
    order = await entered(running)
    await link.fill(order, 100)
    await ground.clock.pass_by(4)
    assert await ground.states() == ["done"]
    assert running.bot().engine.position.quantity == order.quantity
    assert len(link.submitted) == 1


async def test_a_look_up_that_fails_is_no_evidence(ground, running):
    link = ground.link()
    link.answers.append(Answer.LOSE_REQUEST)
    link.look_ups.extend(VenueUnavailable("no route") for _ in range(20))
    await entered(running)
    await ground.clock.pass_by(35)
    (order,) = await ground.orders()
    assert (order.state, order.negatives) == (OrderState.UNKNOWN, 0)
    assert len(link.asked) > 4


async def test_a_venue_that_does_not_answer_is_asked_less_and_less_often(ground, running):
    link, begun = ground.link(), ground.clock.monotonic()
    link.answers.append(Answer.LOSE_REQUEST)
    asked_at: list[float] = []

    async def down(order: Order) -> None:
        asked_at.append(ground.clock.monotonic() - begun)
        raise VenueUnavailable("no route")

    link.look_up = down  # type: ignore[method-assign]
    await entered(running)
    await ground.clock.pass_by(600)
    pauses = [round(later - sooner) for sooner, later in itertools.pairwise(asked_at)]
    assert pauses[:7] == [1, 2, 4, 8, 16, 32, 60]
    assert set(pauses[7:]) == {60}


async def test_a_venue_that_said_when_it_opens_is_asked_then(ground, running):
    link, opens_at = ground.link(), ground.clock.now() + timedelta(seconds=100)
    link.answers.append(Answer.LOSE_REQUEST)
    asked_at: list[float] = []

    async def shut(order: Order) -> None:
        asked_at.append(round((opens_at - ground.clock.now()).total_seconds()))
        raise VenueUnavailable("banned", opens_at=opens_at)

    link.look_up = shut  # type: ignore[method-assign]
    await entered(running)
    await ground.clock.pass_by(110)
    assert 0 in asked_at


async def test_whatever_a_venue_answers_the_orders_it_was_silent_about_are_asked_for_at_once(
    ground, running
):
    link = ground.link()
    link.answers.append(Answer.LOSE_ANSWER)
    link.look_ups.extend(VenueUnavailable("no route") for _ in range(7))
    order = await entered(running)
    await ground.clock.pass_by(70)  # the next time would be at 124 s
    assert await ground.states() == ["unknown"]
    assert not link.look_ups
    running.bot().user.lanes[order.account_id].answered()
    await ground.clock.pass_by(1)
    assert await ground.states() == ["open"]


async def test_absence_takes_deadline_and_grace_and_three_clean_look_ups(ground, running):
    link = ground.link()
    link.answers.append(Answer.LOSE_REQUEST)
    await entered(running)
    await ground.clock.pass_by(19.9)
    assert await ground.states() == ["unknown"]
    assert len(link.asked) >= 3
    await ground.clock.pass_by(10)
    assert (await ground.states())[0] == "absent"


async def test_an_order_that_only_the_lists_show_is_not_given_up(ground, running):
    link = ground.link()
    link.answers.append(Answer.LOSE_ANSWER)
    order = await entered(running)
    link.unnamed.add(order.id)
    await ground.clock.pass_by(20)
    assert await ground.states() == ["unknown"]
    assert link.listings == [], "the lists are asked when it would be given up"
    await ground.clock.pass_by(15)
    assert link.listings == ["orders_since"]
    (found,) = await ground.orders()
    assert (found.state, found.venue_order_id) == (OrderState.OPEN, "V1")
    assert len(link.submitted) == 1


async def test_an_order_that_only_its_trades_show_is_not_given_up(ground, running):
    """Some venues forget orders that are done before they forget what was traded."""
    link = ground.link()
    link.answers.append(Answer.LOSE_ANSWER)
    order = await entered(running)
    link.unnamed.add(order.id)
    link.orders_since = nothing
    await link.fill(order, 100, at=ground.clock.now())
    await ground.clock.pass_by(60)
    assert await ground.states() == ["done"]
    assert running.bot().engine.position.quantity == order.quantity


async def nothing(*args: object, **named: object) -> list[object]:
    return []


async def test_lists_that_fail_prove_nothing_either(ground, running):
    link = ground.link()
    link.answers.append(Answer.LOSE_REQUEST)
    link.list_errors.extend(VenueUnavailable("no route") for _ in range(50))
    await entered(running)
    await ground.clock.pass_by(90)
    assert await ground.states() == ["unknown"]
    link.list_errors.clear()
    await ground.clock.pass_by(60)
    assert (await ground.states())[0] == "absent"
    assert link.listings[-2:] == ["orders_since", "trades_since"]


async def test_bells_do_not_make_absence_come_sooner(ground, running):
    """Not found three times within one second is not found once."""
    link = ground.link()
    link.answers.append(Answer.LOSE_REQUEST)
    order = await entered(running)
    await ground.clock.pass_by(5)
    (known,) = await ground.orders()
    for _ in range(5):
        link.news(order.id)
        await quiet()
    assert len(link.asked) > 5
    assert (await ground.orders())[0].negatives <= known.negatives + 1


async def test_an_absent_entry_is_decided_anew_under_another_id(ground, running):
    link = ground.link()
    link.answers.append(Answer.LOSE_REQUEST)
    first = await entered(running)
    await ground.clock.pass_by(30)
    await running.price(101)
    assert await ground.states() == ["absent", "open"]
    second = link.submitted[1]
    assert second.id != first.id
    assert (second.quantity, second.purpose) == (first.quantity, Purpose.ENTRY)
    assert [order.id for order in link.submitted] == [first.id, second.id]


async def test_an_entry_found_absent_too_late_lapses(ground, running):
    link = ground.link()
    link.answers.append(Answer.LOSE_REQUEST)
    link.look_ups.extend(VenueUnavailable("no route") for _ in range(6))
    await entered(running)
    await ground.clock.pass_by(120)
    await running.price(101)
    assert await ground.states() == ["absent", "void"]
    assert len(link.submitted) == 1


async def test_an_absent_exit_is_sent_anew_under_another_id(ground, running):
    link = ground.link()
    buy = await bought(running)
    ground.theatre.say(1, leave())
    link.answers.append(Answer.LOSE_REQUEST)
    await running.bar(1)
    first = link.submitted[1]
    await ground.clock.pass_by(30)
    second = link.submitted[2]
    assert await ground.states() == ["done", "absent", "open"]
    assert first.id != second.id
    assert first.quantity == second.quantity == buy.quantity
    await link.fill(second, 102)
    assert running.bot().engine.is_flat
    assert len(await ground.trades()) == 1


async def test_an_absent_stop_fires_again_at_the_next_price(ground, running):
    link = ground.link()
    await bought(running)
    link.answers.append(Answer.LOSE_REQUEST)
    await running.price(94)
    await ground.clock.pass_by(10)
    await running.price(93)
    assert len(link.submitted) == 2, "what is unknown may still be sold"
    await ground.clock.pass_by(20)
    assert len(link.submitted) == 2
    await running.price(92)
    assert len(link.submitted) == 3
    assert await ground.states() == ["done", "absent", "open"]


async def test_a_refused_stop_is_tried_again_after_a_while(ground, running):
    link = ground.link()
    await bought(running)
    link.answers.append(Answer.REJECT)
    await running.price(94)
    await running.price(93)
    assert len(link.submitted) == 2, "at once it would be refused again"
    await ground.clock.pass_by(6)
    await running.price(93)
    assert len(link.submitted) == 3


async def test_what_becomes_of_nothing_known_for_ten_minutes_is_quarantined():
    ground = Ground.new(VenueTiming(grace=timedelta(hours=1)))
    await ground.join()
    ground.theatre.say(0, enter(95, "0.1"))
    async with ground.host() as running:
        link = ground.link()
        link.answers.append(Answer.LOSE_REQUEST)
        order = await entered(running)
        await ground.clock.pass_by(595)
        assert await ground.states() == ["unknown"]
        await ground.clock.pass_by(20)
        assert await ground.states() == ["quarantined"]
        assert any("is unknown; we keep looking" in text for text in await ground.told())
        asked = len(link.asked)
        await ground.clock.pass_by(180)
        assert len(link.asked) - asked == 3, "once a minute, for ever"
        link.answers.append(Answer.ACCEPT)
        await link.submit(order)  # it turns up at last
        link.submitted.pop()
        await link.fill(order, 100)
        assert await ground.states() == ["done"]
        assert len(link.submitted) == 1


# ----------------------------------------------------------- fills and cancelling


async def test_fills_are_booked_once_however_often_the_bell_rings(ground, running):
    link = ground.link()
    order = await entered(running)
    half = order.quantity / 2
    await link.fill(order, 100, half)
    for _ in range(3):
        link.news(order.id)
        await quiet()
    assert running.bot().engine.position.quantity == half
    await link.fill(order, 101, half)
    link.news(order.id)
    await quiet()
    assert running.bot().engine.position.quantity == order.quantity
    async with ground.store.open(ALICE, reading=True) as store:
        fills = await store.fills([order.id])
        booked = [entry for entry in await store.entries() if entry.kind == "fill"]
    assert len(fills) == len(booked) == 2


async def test_a_bell_that_nobody_can_answer_is_heard_again(ground, running):
    link = ground.link()
    order = await entered(running)
    link.look_ups.append(VenueUnavailable("no route"))
    await link.fill(order, 100)
    assert running.bot().engine.is_flat
    await ground.clock.pass_by(3)
    assert not running.bot().engine.is_flat


async def test_fills_missing_from_a_closed_order_are_asked_for_until_they_come(ground, running):
    link = ground.link()
    order = await entered(running)
    link.fills_hidden = True
    await link.fill(order, 100)
    assert await ground.states() == ["closing"]
    assert running.bot().engine.is_flat
    await ground.clock.pass_by(10)
    assert await ground.states() == ["closing"], "the venue's total is not a fill"
    link.fills_hidden = False
    await ground.clock.pass_by(10)
    assert await ground.states() == ["done"]
    assert running.bot().engine.position.quantity == order.quantity


async def test_an_order_in_doubt_is_asked_about_less_and_less_often(ground, running):
    link = ground.link()
    order = await entered(running)
    link.fills_hidden = True
    await link.fill(order, 100)
    link.asked.clear()
    await ground.clock.pass_by(64)
    assert 8 <= len(link.asked) <= 11, "after 1, 2, 4, 8, 8 … seconds"
    link.fills_hidden = False
    await ground.clock.pass_by(10)
    assert await ground.states() == ["done"]


async def test_bells_do_not_make_an_order_be_asked_about_more_often_ever_after(ground, running):
    link = ground.link()
    order = await entered(running)
    link.fills_hidden = True
    await link.fill(order, 100)
    for _ in range(20):
        link.news(order.id)
        await quiet()
    link.asked.clear()
    await ground.clock.pass_by(64)
    assert len(link.asked) <= 11


async def test_a_cancel_that_the_venue_does_not_follow_is_asked_for_less_and_less_often(
    ground, running
):
    link = ground.link()
    order = await entered(running)
    await link.fill(order, 100, order.quantity / 2)
    link.cancel_errors += [VenueUnavailable("no route")] * 20
    await running.price(94)
    link.cancelled.clear()
    await ground.clock.pass_by(64)
    assert 8 <= len(link.cancelled) <= 11


@pytest.mark.parametrize(
    "error", [VenueUnavailable("no route"), OutcomeUnknown("timed out")], ids=["down", "unknown"]
)
async def test_a_cancel_that_was_lost_is_asked_for_again(ground, running, error):
    """A bot that sells buys no more: what is left of its entry is taken back."""
    link = ground.link()
    order = await entered(running)
    await link.fill(order, 100, order.quantity / 2)
    link.cancel_errors.append(error)
    await running.price(94)
    assert link.cancelled == [order.id]
    assert (await ground.orders())[0].cancel is CancelState.CANCELING
    await ground.clock.pass_by(4)
    assert link.cancelled == [order.id] * 2
    entry, stop = await ground.orders()
    assert entry.state is OrderState.DONE
    assert (stop.quantity, entry.filled) == (order.quantity / 2, order.quantity / 2)


async def test_news_of_an_order_nobody_knows_wakes_nobody(ground, running):
    ground.link().news("never heard of")
    await quiet()
    assert ground.link().asked == []
