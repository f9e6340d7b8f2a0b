"""Stops that rest at the venue: placed, moved, taken back before anything else is sold."""

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.bot_rig import APEX, PLAIN, Rig, enter, leave
from tests.makers import bar
from tradefleet.domain.order import (
    Acknowledged,
    CancelSent,
    NotFound,
    Order,
    OrderKind,
    OrderState,
    OutcomeLost,
    ProvenAbsent,
)
from tradefleet.engine.bot_engine import VENUE_FIRES

D = Decimal


@pytest.fixture
def rig() -> Rig:
    """A bot that holds 6 bought at 100, its stop at 98 resting at the venue."""
    made = Rig(rests_stops=True)
    made.buys()
    made.accept()
    return made


def resting(rig: Rig) -> list[Order]:
    kind = OrderKind.RESTING_STOP
    return [o for o in rig.orders.values() if o.kind is kind and o.is_working]


def taken_back(rig: Rig, order: Order | None = None) -> None:
    """The venue takes the resting stop back, as it was asked to."""
    canceled = order or resting(rig)[0]
    assert canceled.id in rig.canceled
    rig.step(CancelSent(canceled.id))
    rig.end(order=canceled)


def test_a_position_gets_a_stop_at_the_venue_as_soon_as_its_entry_is_filled():
    rig = Rig(rests_stops=True)
    rig.buys()
    (stop,) = resting(rig)
    assert (stop.quantity, stop.price, stop.reason) == (D(6), D(98), "stop")
    assert rig.sent[-1] == stop.id
    assert (rig.levels.stop, rig.levels.target) == (D(98), D(102)), "the host watches all the same"


def test_a_bot_at_a_venue_that_holds_no_stops_places_none():
    rig = Rig()
    rig.buys()
    assert resting(rig) == []


def test_a_partial_entry_is_guarded_by_the_host_until_it_is_final():
    rig = Rig(rests_stops=True)
    rig.closes(100, enter(98))
    rig.due(100)
    rig.accept()
    rig.fill(100, 2)
    assert resting(rig) == [] and rig.levels.stop == D(98)
    rig.end(2)
    (stop,) = resting(rig)
    assert stop.quantity == D(2)


def test_an_entry_that_is_refused_leaves_nothing_to_guard():
    rig = Rig(rests_stops=True)
    rig.closes(100, enter(98))
    rig.due(100)
    rig.refuse()
    assert resting(rig) == [] and rig.position is None


def test_the_venue_fires_the_stop_and_the_position_is_closed_for_the_stops_reason(rig):
    (stop,) = resting(rig)
    rig.fill(D("97.9"), order=stop)
    assert rig.position is None
    assert (rig.trades[-1].exit_reason, rig.canceled) == ("stop", [])


def test_a_stop_that_is_reached_is_left_to_the_venue_for_a_moment(rig):
    assert rig.falls(98) == []
    assert rig.falls("97.5") == [] and rig.canceled == []
    rig.now += VENUE_FIRES
    rig.falls("97.5")
    assert rig.canceled == [resting(rig)[0].id]
    taken_back(rig)
    sale = rig.newest
    assert (sale.kind, sale.quantity, sale.reason) == (OrderKind.STOP, D(6), "stop")


def test_a_stop_that_fires_while_it_is_taken_back_sells_nothing_twice(rig):
    (stop,) = resting(rig)
    rig.told()
    rig.step(CancelSent(stop.id))
    rig.fill(D("97.9"), 6, order=stop)
    assert rig.position is None
    assert rig.newest is stop or rig.newest.id == stop.id


def test_a_stop_that_sold_a_part_leaves_only_the_rest_to_be_sold(rig):
    (stop,) = resting(rig)
    rig.told()
    rig.step(CancelSent(stop.id))
    rig.fill(D("97.9"), 2, order=stop)
    rig.end(2, order=stop)
    assert (rig.newest.kind, rig.newest.quantity) == (OrderKind.MARKET, D(4))


def test_a_target_is_sold_once_the_stop_is_out_of_the_way_and_the_rest_is_guarded_again(rig):
    rig.rises(102)
    assert rig.canceled == [resting(rig)[0].id]
    assert rig.rises(102) == [], "it is asked for once"
    taken_back(rig)
    sale = rig.newest
    assert (sale.kind, sale.quantity, sale.price) == (OrderKind.TARGET, D(3), D(102))
    rig.accept(sale)
    rig.fill(102, order=sale)
    (stop,) = resting(rig)
    assert (stop.quantity, stop.price, stop.reason) == (D(3), D(100), "breakeven")


def test_no_stop_comes_back_while_what_a_target_sells_is_under_way(rig):
    rig.rises(102)
    taken_back(rig)
    rig.accept(rig.newest)
    rig.closes(101)
    assert resting(rig) == []


def test_an_exit_signal_takes_the_stop_back_and_sells_everything(rig):
    rig.closes(101, leave("ema_cross"))
    assert rig.canceled == [resting(rig)[0].id]
    taken_back(rig)
    assert (rig.newest.kind, rig.newest.reason) == (OrderKind.MARKET, "ema_cross")
    rig.accept()
    rig.fill(101)
    assert rig.trades[-1].exit_reason == "ema_cross"


def test_a_wish_to_leave_outlives_a_crash(rig):
    rig.told("force_exit")
    (stop,) = resting(rig)
    rig.step(CancelSent(stop.id))
    rig.restart()
    rig.end(order=stop)
    assert resting(rig) == [], "it rests no more: the position is to be sold at any price"
    rig.falls(101)
    assert (rig.newest.quantity, rig.newest.reason) == (D(6), "force_exit")


def test_a_stop_that_was_taken_back_for_a_target_rests_again_after_a_crash(rig):
    rig.rises(102)
    (stop,) = resting(rig)
    rig.step(CancelSent(stop.id))
    rig.restart()
    rig.end(order=stop)
    assert [order.price for order in resting(rig)] == [D(98)]


def test_a_trailed_stop_moves_at_the_venue_too(rig):
    rig.rises(102)
    taken_back(rig)
    rig.accept()
    rig.fill(102)
    rig.accept(resting(rig)[0])
    rig.closes(104, high=104, low=103, trail=2)
    assert rig.levels.stop == D(102)
    old = resting(rig)[0]
    assert old.price == D(100) and old.id in rig.canceled
    taken_back(rig, old)
    (stop,) = resting(rig)
    assert (stop.price, stop.reason) == (D(102), "trail")


def test_a_stop_the_venue_refuses_is_held_by_the_host_and_not_tried_there_again():
    rig = Rig(rests_stops=True)
    rig.buys()
    rig.refuse()
    assert resting(rig) == [] and rig.levels.stop == D(98)
    rig.closes(101)
    assert resting(rig) == [], "the venue would refuse it again"
    rig.falls("97.5")
    assert (rig.newest.kind, rig.newest.quantity) == (OrderKind.STOP, D(6))


def test_a_stop_somebody_cancelled_at_the_venue_rests_again(rig):
    (stop,) = resting(rig)
    rig.end(order=stop)
    (again,) = resting(rig)
    assert again.id != stop.id and again.price == D(98)


def test_a_stop_of_unknown_fate_is_taken_back_before_anything_is_sold():
    rig = Rig(rests_stops=True)
    rig.buys()
    rig.lose()
    (stop,) = resting(rig)
    rig.told()
    assert rig.canceled == [stop.id]
    rig.step(NotFound(stop.id, rig.soon))
    assert rig.newest.id == stop.id, "nothing is sold while it may be there"
    rig.step(ProvenAbsent(stop.id))
    assert (rig.newest.kind, rig.newest.quantity) == (OrderKind.MARKET, D(6))


def test_an_absent_stop_that_turns_up_beside_a_new_one_is_taken_back_with_it():
    rig = Rig(rests_stops=True)
    rig.buys()
    rig.lose()
    (lost,) = resting(rig)
    rig.step(ProvenAbsent(lost.id))
    (new,) = resting(rig)
    rig.accept(new)
    rig.step(Acknowledged(lost.id, "v-late"))
    assert len(resting(rig)) == 2
    rig.told()
    assert set(rig.canceled) == {lost.id, new.id}
    taken_back(rig, new)
    assert rig.newest.id == new.id, "the other one still holds the coins"
    taken_back(rig, rig.orders[lost.id])
    assert (rig.newest.kind, rig.newest.quantity) == (OrderKind.MARKET, D(6))


def test_no_stop_rests_where_the_venue_would_fire_it_at_once_or_finds_it_too_small():
    rig = Rig(rests_stops=True)
    rig.closes(100, enter(98, "0.0006"), high=100, low=100)
    rig.due(100)
    rig.accept()
    rig.fill("97.9")  # below its stop
    assert resting(rig) == []
    rig = Rig(rests_stops=True)
    rig.closes(100, enter(98), high=100, low=100)
    rig.due(100)
    rig.accept()
    rig.fill(100, "0.05")  # 5 at 100, and 4.90 at the stop
    rig.end("0.05")
    assert resting(rig) == [] and rig.levels.stop == D(98)


def test_a_bar_lets_a_stop_rest_that_could_not_before():
    rig = Rig(PLAIN, rests_stops=True)
    rig.closes(100, enter(98), high=100, low=100)
    rig.due(100)
    rig.accept()
    rig.fill("97.9")  # below its stop: the host holds it
    quiet = bar(100, rig.minute, high=100, low=100)
    assert rig.engine.concerns(quiet, None)
    rig.closes(100, high=100, low=100)
    assert [order.price for order in resting(rig)] == [D(98)]
    assert not rig.engine.concerns(quiet, None), "nothing is to be done for one that rests"


def test_a_refused_stop_rests_once_it_stands_elsewhere():
    rig = Rig(rests_stops=True)
    rig.buys()
    rig.refuse()
    rig.rises(102)
    rig.accept()
    rig.fill(102)
    assert [order.price for order in resting(rig)] == [D(100)]


STEPS = st.lists(
    st.sampled_from(
        ["bar", "cross", "rise", "fall", "wait", "told", "ack", "fill", "part", "gone", "lose",
         "absent", "refuse", "crash", "target"]
    ),
    max_size=40,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_whatever_happens_never_more_is_offered_than_is_held(steps):
    """The rig compares all books after each step; here: the coins that live orders hold."""
    rig = Rig(rests_stops=True)
    rig.buys()
    price = D(100)
    for step in steps:
        live = [o for o in rig.orders.values() if o.is_working]
        created = [o for o in live if o.state is OrderState.CREATED and o.id in rig.sent]
        at_venue = [o for o in live if o.state is OrderState.OPEN]
        match step:
            case "bar":
                rig.closes(price, trail=1)
            case "cross":
                rig.closes(price, leave())
            case "rise" | "target":
                price = max(price, D(102)) if step == "target" else price + 1
                if rig.position:
                    rig.rises(price)
            case "fall":
                price -= 1
                if rig.position:
                    rig.falls(price)
            case "wait":
                rig.now += timedelta(seconds=30)
            case "told":
                rig.told()
            case "ack" if created:
                rig.accept(created[0])
            case "refuse" if created:
                rig.refuse(created[0])
            case "lose" if created:
                rig.lose(created[0])
            case "absent":
                for lost in [o for o in live if o.state is OrderState.UNKNOWN][:1]:
                    rig.disprove(lost)
            case "fill" if at_venue:
                rig.fill(price, order=at_venue[0])
            case "part" if at_venue and at_venue[0].open_quantity > 1:
                rig.fill(price, 1, order=at_venue[0])
            case "gone" if at_venue:
                if at_venue[0].id in rig.canceled:
                    rig.step(CancelSent(at_venue[0].id))
                rig.end(order=at_venue[0])
            case "crash":
                rig.restart()
        held = rig.position.quantity if rig.position else D(0)
        offered = sum((o.open_quantity for o in rig.orders.values() if o.is_working), D(0))
        assert offered <= held
        if rig.position is None:
            assert not [o for o in rig.orders.values() if o.is_working and o.side == "sell"]


def test_a_lost_answer_to_the_stop_is_no_reason_to_place_another():
    rig = Rig(APEX, rests_stops=True)
    rig.buys()
    stop = rig.newest
    rig.arm(stop)
    rig.step(OutcomeLost(stop.id, "timeout"))
    rig.closes(101)
    assert [order.id for order in resting(rig)] == [stop.id]


def test_a_plan_without_targets_keeps_its_stop_at_the_venue():
    rig = Rig(PLAIN, rests_stops=True)
    rig.buys()
    rig.accept()
    rig.closes(120)
    assert [order.price for order in resting(rig)] == [D(98)] and rig.canceled == []


# ---- stops that turn up late, in the wrong number, or of the wrong size


def with_an_absent_stop() -> tuple[Rig, Order]:
    """A bot whose first stop was given up; the second one rests."""
    rig = Rig(rests_stops=True)
    rig.buys()
    rig.lose()
    (lost,) = resting(rig)
    rig.step(ProvenAbsent(lost.id))
    rig.accept()
    return rig, lost


def test_an_absent_stop_that_turns_up_after_the_position_is_gone_is_taken_back():
    """It would sell coins that are nobody's here: the user's own, or another bot's."""
    rig, lost = with_an_absent_stop()
    rig.fill("97.9", order=resting(rig)[0])
    assert rig.position is None
    rig.step(Acknowledged(lost.id, "v-late"))
    assert rig.canceled == [lost.id]
    rig.step(CancelSent(lost.id))
    rig.end(order=lost)
    assert resting(rig) == []
    rig.buys()
    assert [order.price for order in resting(rig)] == [D(98)]


def test_an_absent_stop_that_turns_up_beside_another_is_taken_back_at_once():
    """Both would fire together, and sell twice what is held."""
    rig, lost = with_an_absent_stop()
    (new,) = resting(rig)
    rig.step(Acknowledged(lost.id, "v-late"))
    assert rig.canceled == [lost.id]
    rig.step(CancelSent(lost.id))
    rig.end(order=lost)
    assert [order.id for order in resting(rig)] == [new.id]
    assert rig.newest.id == new.id, "nothing else is to be done"
    rig.told()
    assert rig.canceled == [lost.id, new.id]


def test_an_absent_stop_that_turns_up_while_its_position_is_sold_is_taken_back():
    rig, lost = with_an_absent_stop()
    (new,) = resting(rig)
    rig.told()
    taken_back(rig, new)
    rig.accept()
    rig.step(Acknowledged(lost.id, "v-late"))
    assert rig.canceled == [new.id, lost.id]


def test_an_absent_stop_that_turns_up_alone_goes_on_resting():
    rig = Rig(rests_stops=True)
    rig.buys()
    rig.lose()
    (lost,) = resting(rig)
    rig.falls(98)  # so that none is placed in its stead
    rig.engine.last_price = D(97)
    rig.step(ProvenAbsent(lost.id))
    assert resting(rig) == []
    rig.step(Acknowledged(lost.id, "v-late"))
    assert ([order.id for order in resting(rig)], rig.canceled) == ([lost.id], [])


def test_what_rests_beside_the_stop_that_sold_everything_is_taken_back():
    rig, lost = with_an_absent_stop()
    (new,) = resting(rig)
    rig.step(Acknowledged(lost.id, "v-late"))
    rig.canceled.clear()  # as if the host had stopped before it was asked back
    rig.restart()
    rig.fill("97.9", order=new)
    assert (rig.position, rig.canceled) == (None, [lost.id])


def test_a_stop_grows_with_its_position():
    """An entry that was given up turns up after all, and buys a second time."""
    rig = Rig(rests_stops=True)
    rig.closes(100, enter(98))
    rig.due(100)
    rig.lose()
    first = rig.newest
    rig.disprove(first)
    rig.due(100)
    rig.accept()
    rig.fill(100)
    rig.accept()
    (small,) = resting(rig)
    rig.step(Acknowledged(first.id, "v-late"))
    rig.fill(100, order=first)
    assert (rig.held.quantity, rig.canceled) == (D(12), [small.id])
    taken_back(rig, small)
    assert [order.quantity for order in resting(rig)] == [D(12)]


def test_a_stop_rests_again_after_a_target_too_small_to_be_sold():
    rig = Rig(rests_stops=True)
    rig.closes(100, enter(98, "0.0008"), high=100, low=100)
    rig.due(100)
    rig.accept()
    rig.fill(100)
    rig.accept()
    assert rig.held.quantity * 100 < 10, "half of it is less than the venue sells"
    rig.rises(102)
    taken_back(rig)
    assert (rig.held.targets_done, rig.held.stop) == (1, D(100))
    assert [order.price for order in resting(rig)] == [D(100)]


def test_a_bar_lets_a_stop_rest_though_an_absent_order_is_watched():
    rig = Rig(PLAIN, rests_stops=True)
    rig.buys()
    rig.lose()
    rig.engine.last_price = D(97)
    rig.disprove()
    assert resting(rig) == [], "the price was below it"
    assert rig.engine.concerns(bar(100, rig.minute, high=100, low=100), None)


def test_a_bar_that_ends_a_position_lets_no_stop_rest_before_the_sale():
    rig = Rig(PLAIN, rests_stops=True)
    rig.closes(100, enter(98), high=100, low=100)
    rig.due(100)
    rig.accept()
    rig.fill("97.9")  # below its stop: none rests
    rig.closes(101, leave("ema_cross"))
    assert resting(rig) == []
    assert (rig.newest.kind, rig.newest.reason) == (OrderKind.MARKET, "ema_cross")


def test_a_refused_stop_is_tried_again_after_a_while():
    """The venue may have refused it for being asked too much, and for nothing of the stop's."""
    rig = Rig(PLAIN, rests_stops=True)
    rig.buys()
    rig.refuse()
    rig.closes(101)
    assert resting(rig) == []
    rig.minute += 60
    rig.closes(101)
    assert [order.price for order in resting(rig)] == [D(98)]


def test_a_stop_that_is_cancelled_there_again_and_again_is_left_to_the_host():
    """Or we would place another with every look, as fast as the venue answers."""
    rig = Rig(PLAIN, rests_stops=True)
    rig.buys()
    rig.accept()
    rig.end(order=resting(rig)[0])
    rig.accept()
    rig.end(order=resting(rig)[0])
    assert resting(rig) == [] and rig.levels.stop == D(98)
    rig.falls("97.5")
    assert (rig.newest.kind, rig.newest.quantity) == (OrderKind.STOP, D(6))


def test_a_stop_that_we_take_back_again_and_again_is_welcome():
    rig = Rig(rests_stops=True)
    rig.closes(100, enter(98, "0.0008"), high=100, low=100)
    rig.due(100)
    rig.accept()
    rig.fill(100)
    for _ in range(3):
        rig.accept()
        rig.rises(101)  # not quite at the target
        taken_back(rig)
    assert [order.price for order in resting(rig)] == [D(98)]
