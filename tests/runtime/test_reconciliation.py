"""What happens in an account without us, or behind our back, is found, and done no harm with."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.makers import ETH
from tests.runtime.live_rig import ALICE, BOB, KEY, Answer, Ground, Running, enter, leave
from tests.runtime.real_rig import (
    HERE,
    RealLink,
    agrees,
    books,
    entries,
    halt_of,
    policy,
    real_ground,
    watched,
)
from tradefleet.domain.credentials import KeyFault, KeyRefused
from tradefleet.domain.errors import VenueRejected, VenueUnavailable
from tradefleet.domain.ids import OrderId, client_order_id
from tradefleet.domain.ledger import FREE, OWN
from tradefleet.domain.limits import Halt
from tradefleet.domain.market import Side
from tradefleet.domain.order import Order, OrderState, Purpose
from tradefleet.domain.user import AccountKey, ExternalChanges
from tradefleet.runtime.reconciliation import AT_ONCE, BACK_OFF, FILLS_EVERY
from tradefleet.store import SealedKey

SETTLED = 240  # seconds in which every difference is seen, seen again and booked


@pytest.fixture
async def ground() -> Ground:
    ground = await real_ground()
    ground.theatre.say(0, enter(95, "0.1"))
    return ground


@pytest.fixture
async def running(ground: Ground) -> AsyncIterator[Running]:
    async with watched(ground) as running:
        yield running


def link_of(ground: Ground) -> RealLink:
    link = ground.link()
    assert isinstance(link, RealLink)
    return link


async def entered(running: Running) -> Order:
    await running.bar(0)
    await running.price(100)
    return running.ground.link().submitted[-1]


async def bought(running: Running) -> Order:
    order = await entered(running)
    await running.ground.link().fill(order, 100)
    return order


# ------------------------------------------------------------------------ B: fills


async def test_a_fill_that_no_bell_rang_for_is_booked_by_the_poll(ground, running):
    link_of(ground).silent = True
    order = await bought(running)
    assert running.bot().engine.is_flat
    await ground.clock.pass_by(FILLS_EVERY * 2)
    assert running.bot().engine.position.quantity == order.quantity
    assert await ground.states() == ["done"]
    await agrees(ground)


async def test_fills_are_booked_once_however_often_and_in_whatever_order_they_are_listed(
    ground, running
):
    link = link_of(ground)
    link.silent = link.twice = True
    order = await entered(running)
    for _ in range(4):
        await link.fill(order, 100, order.quantity / 4)
        await ground.clock.pass_by(7)
    await ground.clock.pass_by(SETTLED)
    assert running.bot().engine.position.quantity == order.quantity
    assert len(await entries(ground, "fill")) == 4
    await agrees(ground)


async def test_what_is_listed_of_an_order_that_is_done_changes_nothing(ground, running):
    await bought(running)
    asked = len(ground.link().asked)
    before = await entries(ground)
    await ground.clock.pass_by(SETTLED)
    assert await entries(ground) == before
    assert len(ground.link().asked) == asked


async def test_a_fill_while_no_host_runs_is_booked_by_the_next_one(ground):
    async with watched(ground) as running:
        order = await entered(running)
    link_of(ground).silent = True
    await ground.link().fill(order, 100, order.quantity / 2)
    await ground.clock.pass_by(60)
    async with watched(ground, "host-2") as running:
        await ground.clock.pass_by(FILLS_EVERY)
        assert running.bot().engine.position.quantity == order.quantity / 2
        await agrees(ground)


async def test_a_fill_the_crash_left_booked_is_not_booked_again(ground):
    async with watched(ground) as running:
        await bought(running)
        position = running.bot().engine.position
    await ground.clock.pass_by(60)
    async with watched(ground, "host-2") as running:
        await ground.clock.pass_by(SETTLED)
        assert running.bot().engine.position == position
        assert len(await entries(ground, "fill")) == 1
        await agrees(ground)


async def test_a_nameless_trade_of_an_order_we_do_not_know_of_yet_is_ours(ground, running):
    """Some venues list trades without the names of their orders."""
    link = link_of(ground)
    link.anonymous = link.silent = True
    link.answers.append(Answer.LOSE_ANSWER)
    link.look_ups.extend(VenueUnavailable("no route") for _ in range(3))
    await bought(running)
    assert await ground.states() == ["unknown"]
    await ground.clock.pass_by(SETTLED)
    assert await ground.states() == ["done"]
    assert await entries(ground, "external_trade") == []
    await agrees(ground)


async def test_a_bell_for_an_order_nobody_knows_hastens_the_poll(ground, running):
    await ground.clock.pass_by(60)
    calls = len(ground.link().listings)
    link_of(ground).trade(Side.BUY, 1)
    ground.link().news("never heard of")
    await ground.clock.pass_by(2)
    assert ground.link().listings[calls:] == ["trades_since", "orders_since"]
    assert len(await entries(ground, "external_trade")) == 1


# ------------------------------------------------------------------ C: open orders


async def test_an_order_that_is_missing_in_the_list_is_asked_for_by_its_name(ground, running):
    order = await entered(running)
    link = link_of(ground)
    await ground.clock.pass_by(10)
    asked = len(link.asked)
    link.open_orders = nothing
    await ground.clock.pass_by(FILLS_EVERY * 2)
    assert set(link.asked[asked:]) == {order.id}
    assert await ground.states() == ["open"], "missing in a list is never cancelled"


async def nothing(*given: Any, **named: Any) -> list[Any]:
    return []


async def test_an_order_that_turns_up_after_it_was_given_up_is_adopted(ground, running):
    link = link_of(ground)
    link.answers.append(Answer.LOSE_REQUEST)
    order = await entered(running)
    await ground.clock.pass_by(40)
    assert (await ground.states())[0] == "absent"
    link.submitted.clear()
    await link.submit(order)  # the request was on its way all the time
    await ground.clock.pass_by(FILLS_EVERY * 2)
    assert (await ground.states())[0] == "open"
    await link.fill(order, 100)
    assert running.bot().engine.position.quantity == order.quantity


async def test_an_order_the_list_shows_while_it_is_unknown_is_adopted_at_once(ground, running):
    link = link_of(ground)
    link.answers.append(Answer.LOSE_ANSWER)
    link.look_ups.extend(VenueUnavailable("no route") for _ in range(4))
    await entered(running)
    await ground.clock.pass_by(FILLS_EVERY * 2)
    assert await ground.states() == ["open"]


# -------------------------------------------------------------------- D: balances


async def test_how_far_numbers_had_to_leap_is_kept_for_whoever_opens_the_account_next(
    ground, running
):
    known = AccountKey(masked="a…b", connected_at=ground.clock.now(), checked_at=ground.clock.now())
    async with ground.store.open(ALICE) as store:
        (account,) = await store.accounts()
        await store.save_account(replace(account, key=known))
    running.host.users[ALICE].accounts[HERE] = replace(account, key=known)
    link_of(ground).numbers_ahead = 10_000_000
    await ground.clock.pass_by(SETTLED)
    async with ground.store.open(ALICE) as store:
        (kept,) = await store.accounts()
    assert kept == replace(account, key=replace(known, numbers_ahead=10_000_000))
    assert ALICE in running.host.users  # nobody was taken again for it


async def test_books_that_agree_are_left_alone(ground, running):
    await bought(running)
    before = len(ground.store.batches)
    await ground.clock.pass_by(600)
    assert len(ground.store.batches) == before
    assert link_of(ground).balance_calls > 3
    await agrees(ground)


async def test_a_deposit_is_nobodys_to_trade(ground, running):
    link_of(ground).change("USDT", 500)
    link_of(ground).change("BNB", 3)
    await ground.clock.pass_by(SETTLED)
    found = await books(ground)
    assert (found.of(OWN, "USDT"), found.of(OWN, "BNB"), found.of(FREE, "USDT")) == (500, 3, 0)
    assert await ground.told() == []
    assert await halt_of(ground) is Halt.RUN
    assert running.bot().engine.cash == 1000
    await agrees(ground)
    assert len(await entries(ground, "external")) == 1


async def test_a_deposit_that_is_adopted_is_unallocated(ground, running):
    await policy(ground, ExternalChanges.ADOPT, running)
    link_of(ground).change("USDT", 500)
    await ground.clock.pass_by(SETTLED)
    assert (await books(ground)).of(FREE, "USDT") == 500
    (text,) = await ground.told()
    assert text == (
        "💰 paper (paper): money that was moved: 500 USDT. It counts as your unallocated balance."
    )


async def test_a_deposit_may_have_to_be_asked_about(ground, running):
    await policy(ground, ExternalChanges.ASK, running)
    link_of(ground).change("USDT", 500)
    await ground.clock.pass_by(SETTLED)
    assert (await books(ground)).of(OWN, "USDT") == 500
    assert await halt_of(ground) is Halt.STOP
    (text,) = await ground.told()
    assert text == (
        "⚠️ paper (paper): money that was moved: 500 USDT. No new entries there until you say"
        " /resume. It is kept apart from what your pairs own. Is that as you want it?"
    )
    await running.poll()
    await running.bar(0)
    assert ground.link().submitted == []


async def test_a_trade_made_by_hand_is_booked_once_apart_from_what_bots_own(ground, running):
    await bought(running)
    position = running.bot().engine.position
    link_of(ground).change("USDT", 500)
    await ground.clock.pass_by(SETTLED)
    link_of(ground).twice = True
    link_of(ground).trade(Side.BUY, 2)
    await ground.clock.pass_by(SETTLED)
    found = await books(ground)
    assert (found.of(OWN, "BTC"), found.of(OWN, "USDT")) == (2, Decimal("299.9"))
    (watch,) = running.node.reconciliation.watches.values()
    assert watch.check.books.balances.account_totals() == found.account_totals()
    assert running.bot().engine.position == position
    assert len(await entries(ground, "external_trade")) == 1
    assert await halt_of(ground) is Halt.RUN
    await agrees(ground)


@pytest.mark.parametrize(
    ("changes", "place", "halt"),
    [(ExternalChanges.ADOPT, FREE, Halt.RUN), (ExternalChanges.ASK, OWN, Halt.STOP)],
)
async def test_a_trade_made_by_hand_is_treated_by_the_accounts_policy(
    ground, running, changes, place, halt
):
    await policy(ground, changes, running)
    link_of(ground).change("USDT", 500)
    await ground.clock.pass_by(SETTLED)
    link_of(ground).trade(Side.BUY, 2)
    await ground.clock.pass_by(SETTLED)
    assert (await books(ground)).of(place, "BTC") == 2
    assert await halt_of(ground) is halt
    assert any("trades that are not ours: bought 2 BTC at 100" in t for t in await ground.told())


async def test_what_is_taken_out_of_the_users_own_harms_nobody(ground, running):
    link_of(ground).change("USDT", 500)
    await ground.clock.pass_by(SETTLED)
    link_of(ground).change("USDT", -400)
    await ground.clock.pass_by(SETTLED)
    assert (await books(ground)).of(OWN, "USDT") == 100
    assert await ground.told() == []
    await agrees(ground)


async def test_who_takes_out_what_bots_hold_is_told_and_nothing_more_is_bought(ground, running):
    order = await bought(running)
    link_of(ground).change("BTC", -order.quantity / 2)
    await ground.clock.pass_by(SETTLED)
    assert await halt_of(ground) is Halt.STOP
    (text,) = [text for text in await ground.told() if text.startswith("⚠️")]
    half = f"{(order.quantity / 2).normalize():f}"
    assert f"{half} BTC that your pairs count on is not there any more" in text
    assert not running.bot().fault
    assert running.bot().engine.position.quantity == order.quantity
    await agrees(ground)
    await ground.clock.pass_by(600)
    assert len([text for text in await ground.told() if text.startswith("⚠️")]) == 1
    await ground.ask("/resume")
    await running.poll()


async def test_a_trade_by_hand_of_what_bots_hold_stops_entries(ground, running):
    order = await bought(running)
    link_of(ground).trade(Side.SELL, order.quantity)
    await ground.clock.pass_by(SETTLED)
    assert await halt_of(ground) is Halt.STOP
    await agrees(ground)


async def test_a_trade_that_the_venue_does_not_list_stops_entries(ground, running):
    link_of(ground).change("USDT", 500)
    await ground.clock.pass_by(SETTLED)
    link_of(ground).trade(Side.BUY, 1, is_listed=False)
    await ground.clock.pass_by(SETTLED)
    assert len(await entries(ground, "unexplained")) == 1
    assert await halt_of(ground) is Halt.STOP
    (text,) = await ground.told()
    assert "something of BTC/USDT was traded, and the venue lists no trade of it" in text
    await agrees(ground)


async def test_a_trade_that_is_listed_much_too_late_is_not_booked_twice(ground, running):
    link = link_of(ground)
    link.change("USDT", 500)
    await ground.clock.pass_by(SETTLED)
    late = link.trade(Side.BUY, 1, is_listed=False)
    await ground.clock.pass_by(100)
    link.foreign.append(late)
    await ground.clock.pass_by(SETTLED)
    assert await entries(ground, "external_trade") == []
    assert (await books(ground)).of(OWN, "BTC") == 1
    await agrees(ground)


async def test_a_trade_of_something_no_bot_trades_is_money_that_was_moved(ground, running):
    link_of(ground).change("USDT", 500)
    await ground.clock.pass_by(SETTLED)
    link_of(ground).trade(Side.BUY, 1, symbol=ETH)
    await ground.clock.pass_by(SETTLED)
    assert await halt_of(ground) is Halt.RUN
    assert (await books(ground)).of(OWN, "ETH") == 1
    await agrees(ground)


async def test_a_difference_that_goes_away_is_not_believed(ground, running):
    for amount in range(100, 140):
        link_of(ground).change("USDT", -amount)
        await ground.clock.pass_by(19)
        link_of(ground).change("USDT", amount)
        await ground.clock.pass_by(3)
    assert link_of(ground).balance_calls > 12
    assert await entries(ground, "external") == []
    assert await halt_of(ground) is Halt.RUN


async def test_nothing_is_compared_while_something_is_under_way(ground, running):
    link = link_of(ground)
    link.answers.append(Answer.LOSE_ANSWER)
    link.look_ups.extend(VenueUnavailable("no route") for _ in range(200))
    link.silent = True
    order = await bought(running)
    link.trades_since = link.open_orders = nothing
    calls = link.balance_calls
    await ground.clock.pass_by(300)
    assert link.balance_calls == calls
    assert await entries(ground, "external") == []
    link.look_ups.clear()
    await ground.clock.pass_by(SETTLED)
    assert running.bot().engine.position.quantity == order.quantity
    await agrees(ground)


async def test_the_first_comparison_opens_the_books(ground):
    rows = ground.store._rows[ALICE].entries
    (deposit,) = [id for id, entry in rows.items() if entry.kind == "deposit"]
    del rows[deposit]
    async with watched(ground):
        link_of(ground).holdings = {"USDT": Decimal(3000), "BTC": Decimal(2)}
        link_of(ground).trade(Side.BUY, 1)  # counts as there
        await ground.clock.pass_by(SETTLED)
        found = await books(ground)
        assert (found.of(FREE, "USDT"), found.of(FREE, "BTC")) == (Decimal("1899.9"), 3)
        assert [entry.kind for entry in await entries(ground)] == ["allocation", "opening"]
        assert await ground.told() == []
        link_of(ground).trade(Side.SELL, 1)
        await ground.clock.pass_by(SETTLED)
        assert (await books(ground)).of(OWN, "BTC") == -1
        await agrees(ground)


# --------------------------------------------------------------------- E: orphans


def name_of(running: Running, seq: int) -> str:
    spec = running.bot().engine.spec
    return client_order_id(KEY, spec.user_id, spec.account_id, spec.id, seq)


async def test_orders_of_others_are_never_touched(ground, running):
    link = link_of(ground)
    for number, name in enumerate(["", "web_1", "f" * 12 + "5fff8" + "f" * 15]):
        link.strangers.append(link.stranger(name, f"S{number}"))
    await ground.clock.pass_by(900)
    assert (link.asked, link.cancelled, link.submitted) == ([], [], [])
    assert await ground.told() == []
    assert await halt_of(ground) is Halt.RUN


async def test_an_order_whose_sending_the_database_lost_is_adopted(ground):
    """A fail-over of the database may lose its last commits: what was sent was sent."""
    async with watched(ground) as running:
        order = await bought(running)
    rows = ground.store._rows[ALICE]
    created = replace(
        order, state=OrderState.CREATED, sent_at=None, deadline=None, epoch=0, venue_order_id=""
    )
    rows.orders[order.id] = rows.working[order.id] = created
    memory = rows.memories[order.bot_id]
    rows.memories[order.bot_id] = replace(memory, position=None, cash=Decimal(1000))
    rows.fills.clear()
    for id in [id for id, entry in rows.entries.items() if entry.kind == "fill"]:
        del rows.entries[id]
    async with watched(ground, "host-2") as running:
        await ground.clock.pass_by(20)
        assert running.bot().engine.position.quantity == order.quantity
        assert len(ground.link().submitted) == 1
        await agrees(ground)


async def test_an_entry_waits_until_the_venue_has_said_that_it_was_not_sent_after_all(ground):
    """It would lapse meanwhile, and the next one would be bought beside it."""
    async with watched(ground) as running:
        order = await bought(running)
    rows = ground.store._rows[ALICE]
    created = replace(
        order, state=OrderState.CREATED, sent_at=None, deadline=None, epoch=0, venue_order_id=""
    )
    rows.orders[order.id] = rows.working[order.id] = created
    memory = rows.memories[order.bot_id]
    rows.memories[order.bot_id] = replace(memory, position=None, cash=Decimal(1000))
    rows.fills.clear()
    for id in [id for id, entry in rows.entries.items() if entry.kind == "fill"]:
        del rows.entries[id]
    link_of(ground).look_ups.append(VenueUnavailable("no answer"))
    async with watched(ground, "host-2") as running:
        await running.price(1)
        assert await ground.states() == ["created"]
        await ground.clock.pass_by(20)
        assert running.bot().engine.position.quantity == order.quantity
        await agrees(ground)


async def test_an_exit_waits_until_the_venue_has_said_that_it_was_not_sent_after_all(ground):
    async with watched(ground) as running:
        order = await bought(running)
    rows = ground.store._rows[ALICE]
    exit_ = replace(
        order,
        id=OrderId("e"),
        seq=order.seq + 1,
        side=Side.SELL,
        purpose=Purpose.EXIT,
        state=OrderState.CREATED,
        sent_at=None,
        deadline=None,
        venue_order_id="",
    )
    rows.orders[exit_.id] = rows.working[exit_.id] = exit_
    link = link_of(ground)
    link.look_ups += [VenueUnavailable("no answer"), VenueUnavailable("no answer")]
    async with watched(ground, "host-2"):
        assert len(link.submitted) == 1
        await ground.clock.pass_by(30)
        assert [each.id for each in link.submitted] == [order.id, exit_.id]


async def test_an_order_with_our_name_and_no_intent_is_reported_and_its_name_not_used_again(
    ground, running
):
    link = link_of(ground)
    link.change("USDT", 500)
    await ground.clock.pass_by(SETTLED)
    lost = name_of(running, 3)
    link.trade(Side.BUY, 1, client_id=lost)
    await ground.clock.pass_by(SETTLED)
    (text,) = await ground.told()
    assert f"order {lost} is ours, and our books do not have all of it" in text
    assert await halt_of(ground) is Halt.STOP
    assert running.bot().engine.seq == 3
    assert (await books(ground)).of(OWN, "BTC") == 1
    await agrees(ground)
    assert ground.store._rows[ALICE].memories[running.bot().id].seq == 3
    await ground.clock.pass_by(900)
    assert len(await ground.told()) == 1


async def test_a_resting_order_with_our_name_and_no_intent_is_reported_and_left_alone(
    ground, running
):
    link = link_of(ground)
    link.strangers.append(link.stranger(name_of(running, 1), "S1"))
    await ground.clock.pass_by(SETTLED)
    assert await halt_of(ground) is Halt.STOP
    assert link.cancelled == []
    assert len(await ground.told()) == 1


@pytest.mark.parametrize("state", [OrderState.REJECTED, OrderState.VOID])
async def test_an_order_we_held_to_be_over_is_taken_back_when_the_venue_has_it(
    ground, running, state
):
    link = link_of(ground)
    link.answers.append(Answer.REJECT)
    order = await entered(running)
    rows = ground.store._rows[ALICE]
    rows.orders[order.id] = replace(rows.orders[order.id], state=state)
    assert not running.bot().engine.working
    await link.submit(order)  # the proof was none
    link.silent = True
    await link.fill(order, 100)
    await ground.clock.pass_by(SETTLED + 60)
    assert running.bot().engine.position.quantity == order.quantity
    assert await ground.states() == ["done"]
    await agrees(ground)


async def test_a_refused_order_that_the_venue_lists_as_refused_stays_refused(ground, running):
    link = link_of(ground)
    link.answers.append(Answer.REJECT)
    order = await entered(running)
    there = link.stranger(order.id, "S1")
    link.strangers.append(replace(there, is_open=False))
    await ground.clock.pass_by(900)
    assert await ground.states() == ["rejected"]
    assert link.asked == []


async def test_an_order_that_did_more_than_we_booked_when_it_was_done_is_reported(ground, running):
    link = link_of(ground)
    order = await bought(running)
    trade = link.trade(Side.BUY, 1)
    link.foreign[-1] = replace(trade, client_id=order.id)
    await ground.clock.pass_by(SETTLED)
    assert await halt_of(ground) is Halt.STOP
    assert (await books(ground)).of(OWN, "BTC") == 1
    await agrees(ground)


async def test_an_order_that_ended_while_the_list_was_on_its_way_is_nothing_strange(
    ground, running
):
    link = link_of(ground)
    order = await bought(running)
    link.strangers.append(link.stranger(order.id, link.orders[order.id].number))
    await ground.clock.pass_by(SETTLED)
    assert await halt_of(ground) is Halt.RUN
    await agrees(ground)


# --------------------------------------------------------------------- the rounds


async def test_a_venue_that_fails_is_asked_again_later_and_later(ground, running):
    link = link_of(ground)
    link.list_errors.extend(VenueUnavailable("maintenance") for _ in range(6))
    await ground.clock.pass_by(10)
    assert running.node.reconciliation.in_trouble == 0
    await ground.clock.pass_by(BACK_OFF.wait(1) + BACK_OFF.wait(2) + BACK_OFF.wait(3))
    assert running.node.reconciliation.in_trouble == 1
    assert len(link.listings) <= 5
    await ground.clock.pass_by(400)
    assert running.node.reconciliation.in_trouble == 0
    assert link.list_errors.__len__() == 0


async def test_a_user_is_told_once_when_a_venue_does_not_answer_and_once_when_it_does(
    ground, running
):
    link = link_of(ground)
    link.list_errors.extend(VenueUnavailable("maintenance") for _ in range(8))
    await ground.clock.pass_by(1500)
    assert [text for text in await ground.told() if "answer" in text] == [
        "⚠️ paper (paper) does not answer for your account; we keep asking. Stops that rest there "
        "hold, and whatever else is to be sold is sold once it answers.",
        "✅ paper (paper) answers again for your account.",
    ]


async def test_a_key_that_a_venue_refuses_is_checked_at_once_and_when_it_works_again(
    ground, running
):
    link = link_of(ground)
    async with ground.store.open(ALICE) as store:
        await store.save_sealed_key(
            SealedKey(
                account_id=HERE,
                sealed=b"sealed",
                fingerprint=b"f" * 32,
                sealed_at=ground.clock.now(),
                check_at=ground.clock.now() + timedelta(days=1),
            )
        )
    link.list_errors.extend(KeyRefused(KeyFault.INVALID, "unknown") for _ in range(3))
    await ground.clock.pass_by(12)
    assert await checked_at(ground) <= ground.clock.now()
    async with ground.store.open(ALICE) as store:
        (key,) = (await store.sealed_keys()).values()
        await store.save_sealed_key(replace(key, check_at=ground.clock.now() + timedelta(days=1)))
    await ground.clock.pass_by(9)
    assert await checked_at(ground) > ground.clock.now(), "once is enough"
    await ground.clock.pass_by(300)
    assert await checked_at(ground) <= ground.clock.now()
    assert await ground.told() == []


async def checked_at(ground: Ground) -> datetime:
    async with ground.store.open(ALICE, reading=True) as store:
        (key,) = (await store.sealed_keys()).values()
    return key.check_at


@pytest.mark.parametrize("fault", [VenueRejected("invalid key"), ZeroDivisionError("a bug")])
async def test_what_fails_in_one_account_concerns_no_other(fault):
    ground = await real_ground(ALICE, BOB)
    async with watched(ground) as running:
        link_of(ground).list_errors.extend([fault] * 100)
        ground.link(BOB).change("USDT", 5)
        await ground.clock.pass_by(SETTLED)
        assert (await books(ground, BOB)).of(OWN, "USDT") == 5
        assert not running.bot().fault
        assert await ground.told() == []


async def test_a_user_whose_lease_is_gone_is_looked_at_no_more(ground, running):
    await ground.clock.pass_by(30)
    link_of(ground).change("USDT", 500)
    await ground.clock.pass_by(100)
    running.host.drop(running.user())
    calls = len(ground.link().listings)
    await ground.clock.pass_by(900)
    assert len(ground.link().listings) == calls
    assert running.node.reconciliation.watches == {}


async def test_a_host_that_lost_the_lease_books_nothing(ground, running):
    user = running.user()
    user.lease = replace(user.lease, epoch=user.lease.epoch - 1)
    link_of(ground).change("USDT", 500)
    await ground.clock.pass_by(SETTLED)
    assert await entries(ground, "external") == []
    assert user.gone


async def test_a_user_taken_anew_is_looked_at_anew(ground, running):
    await ground.clock.pass_by(60)
    running.host.drop(running.user())
    await running.poll()
    link_of(ground).change("USDT", 500)
    await ground.clock.pass_by(SETTLED)
    assert (await books(ground)).of(OWN, "USDT") == 500


async def test_an_account_nobody_trades_in_is_not_asked_about(ground, running):
    await ground.clock.pass_by(30)
    running.host.remove(running.bot())
    calls = len(ground.link().listings)
    await ground.clock.pass_by(900)
    assert len(ground.link().listings) == calls


async def test_accounts_take_turns_and_few_are_looked_at_at_once():
    users = [f"user {number}" for number in range(AT_ONCE + 20)]
    ground = await real_ground(*users)
    async with watched(ground) as running:
        links = [ground.link(user) for user in users]
        at_once, most = 0, 0
        asked = []

        async def slow(*given: Any, **named: Any) -> list[Any]:
            nonlocal at_once, most
            at_once += 1
            most = max(most, at_once)
            asked.append(ground.clock.now())
            await ground.clock.sleep(3)
            at_once -= 1
            return []

        for link in links:
            link.orders_since = slow
        await ground.clock.pass_by(40)
        assert len(asked) == len(users)
        assert len(set(asked)) > 5, "they are spread over time"
        assert most <= AT_ONCE
        assert len(running.node.reconciliation.watches) == len(users)


async def test_paper_accounts_are_not_looked_at(ground):
    ground = Ground.new()
    await ground.join()
    async with watched(ground) as running:
        await ground.clock.pass_by(600)
        assert running.node.reconciliation.watches == {}
        assert ground.link().listings == []


async def test_a_bot_sells_what_it_bought_while_others_trade_around_it(ground, running):
    ground.theatre.say(30, leave())
    order = await bought(running)
    link_of(ground).change("BTC", 5)
    link_of(ground).change("USDT", 1000)
    await ground.clock.pass_by(SETTLED)
    link_of(ground).trade(Side.SELL, 3)
    await running.bar(30)
    exit = ground.link().submitted[-1]
    assert (exit.side, exit.quantity) == (Side.SELL, order.quantity)
    await ground.link().fill(exit, 110)
    await ground.clock.pass_by(SETTLED)
    assert running.bot().engine.is_flat
    assert (await books(ground)).of(OWN, "BTC") == 2
    await agrees(ground)
