"""What becomes of orders: unknown ones block, absent ones are made anew, none is sold twice."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.bot_rig import APEX, PLAIN, Rig, enter, leave, only
from tests.makers import MINUTE
from tradefleet.domain.effects import (
    CancelOrder,
    Decided,
    FillBooked,
    MemoryChanged,
    OrderChanged,
    OrderPlaced,
    Protect,
    SendOrder,
    Topic,
)
from tradefleet.domain.errors import BrokenInvariant
from tradefleet.domain.events import EntryDue, StopHit
from tradefleet.domain.ledger import OWN
from tradefleet.domain.limits import RiskLimits
from tradefleet.domain.market import Side
from tradefleet.domain.order import (
    Acknowledged,
    Armed,
    CancelLost,
    CancelSent,
    CancelState,
    ClosedByVenue,
    NotFound,
    Order,
    OrderKind,
    OrderState,
    ProvenAbsent,
    Purpose,
    Quarantined,
    Rejected,
)

D = Decimal
S = OrderState


@pytest.fixture
def rig() -> Rig:
    """A bot that holds 6 bought at 100, with its stop at 98 and a target at 102."""
    made = Rig()
    made.buys()
    return made


@pytest.fixture
def entering() -> Rig:
    """A bot whose entry of 6 at 100 was just sent and is under way."""
    made = Rig(user_limits=RiskLimits(open_positions_max=1))
    made.closes(100, enter(98))
    made.due(100)
    return made


def entries(rig: Rig) -> list[Order]:
    return [order for order in rig.orders.values() if order.purpose is Purpose.ENTRY]


def test_a_held_entry_the_venue_may_have_is_voided_only_when_it_is_known_to_be_nowhere():
    rig = Rig()
    rig.closes(100, enter(98))
    rig.engine.unsure = {rig.newest.id}  # the database lost its last commits

    assert rig.told() == []  # a void order is asked about no more
    rig.engine.unsure = frozenset()
    changed, *_ = rig.due(100)
    assert (changed.order.state, changed.order.note) == (S.VOID, "force_exit")


# ---- an entry of which nothing is known


def test_nothing_is_entered_while_an_entry_is_unknown(entering):
    entering.lose()

    for _ in range(3):
        assert entering.closes(100, enter(98)) == []
    assert len(entries(entering)) == 1


def test_look_ups_that_find_nothing_change_nothing(entering):
    entering.lose()
    [changed] = entering.step(NotFound(entering.newest.id, entering.soon))

    assert (changed.order.state, changed.order.negatives) == (S.UNKNOWN, 1)


def test_an_unknown_entry_that_is_found_is_adopted(entering):
    entering.lose()
    entering.step(Acknowledged(entering.newest.id, "v1"))
    entering.fill(101)

    assert entering.held.entry_price == 101


def test_a_fill_may_be_the_first_thing_heard_of_an_entry(entering):
    entering.lose()
    entering.fill(100)

    assert entering.held.quantity == 6


def test_an_absent_entry_is_made_anew_under_another_name_and_lapses_when_the_first_would(entering):
    first = entering.newest
    entering.lose()

    effects = entering.disprove()
    assert [type(e) for e in effects[:3]] == [OrderChanged, OrderPlaced, MemoryChanged]
    again = entering.newest
    assert again.id != first.id
    assert (again.state, again.seq) == (S.CREATED, first.seq + 1)
    for name in ("quantity", "lapses_at", "lapse_price", "hold_until", "reserved", "reason"):
        assert getattr(again, name) == getattr(first, name)

    assert entering.due(100) == [SendOrder(again.id)]
    entering.accept()
    entering.fill(100)
    assert entering.held.quantity == 6


def test_an_entry_made_anew_too_late_is_void(entering):
    entering.lose()
    entering.disprove()
    late = entering.newest.lapses_at + timedelta(microseconds=1)

    effects = entering.step(EntryDue(entering.newest.id, D(100), late))
    assert (only(effects, SendOrder), entering.newest.state) == ([], S.VOID)


def test_a_request_that_is_lost_twice_makes_three_orders(entering):
    for _ in range(2):
        entering.lose()
        entering.disprove()
        entering.due(100)

    assert [order.state for order in entries(entering)] == [S.ABSENT, S.ABSENT, S.CREATED]
    assert len(set(entering.sent)) == len(entering.sent) == 3


def test_a_proof_of_absence_told_twice_makes_one_new_order(entering):
    first = entering.newest
    entering.lose()
    entering.disprove(first)

    assert entering.disprove(first) == []
    assert len(entries(entering)) == 2


def test_when_an_absent_entry_turns_up_its_stand_in_is_not_sent(entering):
    """Else one signal would be bought twice."""
    first = entering.newest
    entering.lose()
    entering.disprove()
    stand_in = entering.newest
    entering.step(Acknowledged(first.id, "v1"))

    effects = entering.due(100, stand_in)
    assert only(effects, SendOrder) == []
    [void] = only(effects, Decided)
    assert void.reason == "the order it stands for has turned up after all"

    entering.fill(100, order=first)
    assert entering.held.quantity == 6


def test_when_an_absent_entry_has_filled_its_stand_in_is_not_sent(entering):
    first = entering.newest
    entering.lose()
    entering.disprove()
    stand_in = entering.newest
    entering.fill(100, order=first)

    assert only(entering.due(100, stand_in), SendOrder) == []
    assert entering.orders[first.id].note.startswith("found at the venue when absent")


def test_when_both_entries_fill_the_bot_owns_both(entering):
    """The venue's word counts: what it bought must be guarded and sold."""
    first = entering.newest
    entering.lose()
    entering.disprove()
    entering.due(100)
    entering.accept()
    entering.fill(100)
    entering.fill(101, order=first)

    assert entering.held.quantity == 12
    assert entering.levels.stop == 98
    entering.falls(98)
    assert entering.newest.quantity == 12


def test_a_quarantined_entry_goes_on_blocking_and_its_user_is_told(entering):
    entering.lose()
    entering.step(Quarantined(entering.newest.id))

    assert (entering.notes[-1].topic, entering.notes[-1].priority) == (Topic.FAULT, 1)
    assert entering.closes(100, enter(98)) == []


def test_a_refused_entry_is_over(entering):
    entering.refuse()

    assert entering.notes[-1].text == "BTC/USDT: the venue refused an order: market closed"
    assert entering.notes[-1].priority == 5
    assert entering.engine.working == {}
    assert only(entering.closes(100, enter(98)), OrderPlaced) != []


def test_an_entry_the_venue_closed_untouched_is_over(entering):
    entering.accept()
    entering.end(0)

    assert entering.engine.working == {}
    assert only(entering.closes(100, enter(98)), OrderPlaced) != []


# ---- an exit of which nothing is known


def test_what_may_be_sold_already_is_not_sold_again(rig):
    rig.falls(98)
    rig.lose()

    assert rig.levels == Protect(None, None)
    assert rig.falls(97) == []
    assert rig.told() == []
    assert rig.closes(97, leave()) == []


def test_an_absent_stop_is_armed_again_at_once(rig):
    rig.falls(98)
    rig.lose()

    rig.disprove()
    assert rig.levels == Protect(D(98), D(102))
    assert rig.falls("97.5") != []
    assert rig.newest.quantity == 6
    rig.sells("97.5")
    assert rig.trades[0].exit_reason == "stop"


def test_an_absent_target_is_armed_again_at_once(rig):
    rig.rises(102)
    rig.lose()
    assert rig.levels == Protect(D(98), D(104))

    rig.disprove()
    assert rig.held.targets[0] == (D(102), D(3))
    rig.rises(102)
    assert (rig.newest.reason, rig.newest.quantity) == ("target_1", 3)


def test_an_absent_market_exit_is_made_anew_at_once(rig):
    rig.closes(101, leave("ema_cross"))
    first = rig.newest
    rig.lose()

    effects = rig.disprove()
    again = rig.newest
    assert again.id != first.id
    assert (again.quantity, again.kind, again.reason) == (6, OrderKind.MARKET, "ema_cross")
    assert only(effects, SendOrder) == [SendOrder(again.id)]
    rig.sells(101)
    assert rig.trades[0].exit_reason == "ema_cross"


def test_an_exit_made_anew_sells_no_more_than_is_left(rig):
    """The first was lost, and its stand-in too; then the first turns up after all."""
    rig.told()
    first = rig.newest
    rig.lose(first)
    rig.disprove(first)
    second = rig.newest
    rig.lose(second)
    rig.step(Acknowledged(first.id, "v1"))

    effects = rig.disprove(second)
    assert only(effects, OrderPlaced) == []  # all is on sale with the first
    rig.fill(100, order=first)
    assert rig.position is None


def test_a_position_may_be_left_by_a_stand_in_before_the_first_turns_up(rig):
    rig.told()
    first = rig.newest
    rig.lose(first)
    rig.disprove(first)
    rig.sells(100)
    assert rig.position is None

    effects = rig.step(Acknowledged(first.id, "v1"))
    assert rig.levels == Protect(None, None)
    assert only(effects, OrderPlaced) == []
    assert rig.closes(100, enter(98)) == []  # nothing new while it may still sell
    rig.end(0, order=first)
    assert only(rig.closes(100, enter(98)), OrderPlaced) != []


def test_an_absent_target_that_turns_up_is_not_sold_twice(rig):
    rig.rises(102)
    first = rig.newest
    rig.lose(first)
    rig.disprove(first)
    assert rig.levels.target == 102

    rig.step(Acknowledged(first.id, "v1"))
    assert rig.levels == Protect(D(98), D(104))
    assert rig.rises(102) == []
    rig.fill(102, order=first)
    assert (rig.held.quantity, rig.levels) == (3, Protect(D(100), D(104)))


def test_an_absent_target_that_filled_is_not_sold_twice(rig):
    rig.rises(102)
    first = rig.newest
    rig.lose(first)
    rig.disprove(first)

    rig.fill(102, order=first)
    assert [level for level, _ in rig.held.targets] == [104, 106]
    assert (rig.held.quantity, rig.levels) == (3, Protect(D(100), D(104)))


def test_an_absent_target_that_turns_up_and_ends_short_waits_with_its_rest(rig):
    rig.rises(102)
    first = rig.newest
    rig.lose(first)
    rig.disprove(first)
    rig.step(Acknowledged(first.id, "v1"))
    rig.fill(102, 1, order=first)
    rig.end(order=first)

    assert rig.held.targets == ((D(102), D(2)), (D(104), D("1.5")), (D(106), D("1.5")))


def test_a_late_refusal_of_an_absent_exit_changes_no_level(rig):
    rig.rises(102)
    first = rig.newest
    rig.lose(first)
    rig.disprove(first)
    levels = rig.held.targets

    rig.step(Rejected(first.id, "too late"))
    assert rig.held.targets == levels
    assert rig.engine.retry_at is None


def sold_twice(rig: Rig) -> Order:
    """Return an exit that was given up, turns up late, and sells what its stand-in sold before."""
    rig.told()
    first = rig.newest
    rig.lose(first)
    rig.disprove(first)
    rig.sells(100)
    return first


def test_what_is_sold_beyond_what_is_held_is_the_users_own_and_the_bot_goes_on(rig):
    first = sold_twice(rig)
    cash, trades = rig.engine.cash, list(rig.trades)

    (booked,) = only(rig.fill(90, order=first, fee=D("0.54")), FillBooked)

    assert (rig.position, rig.engine.cash, rig.trades) == (None, cash, trades)
    assert booked.fill.quantity == 6, "the evidence is kept as the venue tells it"
    assert (rig.ledger.of(OWN, "BTC"), rig.ledger.of(OWN, "USDT")) == (-6, D("539.46"))
    assert rig.orders[first.id].state is OrderState.DONE
    assert rig.notes[-1].text == (
        "⚠️ BTC/USDT: 6 BTC more was sold than your bot held. It is booked as your own, with what "
        "it brought; buy BTC back if you want it."
    )
    assert rig.fill(90, 6, order=first, id=booked.fill.id) == [], "once"
    rig.buys(80, 78)
    assert rig.held.quantity > 6


def test_of_a_sale_beyond_what_is_held_the_bot_gets_its_part_to_the_last_unit(rig):
    rig.told()
    first = rig.newest
    rig.lose(first)
    rig.disprove(first)
    rig.accept()
    rig.fill(100, 2)
    before = rig.engine.cash

    rig.fill(D("91.7"), 6, order=first, fee=D("0.10000001"))

    (trade,) = rig.trades
    assert (rig.position, trade.exit_reason) == (None, "force_exit")
    assert rig.engine.cash - before == D("366.73333333")  # 4 / 6 of 550.2 less 4 / 6 of the fee
    assert rig.ledger.of(OWN, "BTC") == -2
    assert rig.engine.cash - before + rig.ledger.of(OWN, "USDT") == D("550.2") - D("0.10000001")
    assert rig.levels == Protect(None, None)


def test_a_sale_of_what_is_not_known_to_be_bought_yet_waits_for_that(entering):
    """The entry's second fill is not booked yet; a stray exit has sold it already."""
    rig, entry = entering, entering.newest
    rig.accept()
    rig.fill(100, 3)
    first = sold_twice(rig)
    stray = rig.traded(100, 3, order=first, id="stray")
    assert rig.step(stray) == []
    rig.end(3, order=first)
    assert rig.orders[first.id].state is S.CLOSING, "so it is looked up again"

    rig.fill(100, 3, order=entry)
    rig.step(stray)

    assert (rig.position, rig.orders[first.id].state) == (None, S.DONE)
    assert rig.ledger.of(OWN, "BTC") == 0


def test_more_filled_than_ordered_is_our_own_bug_and_changes_nothing(entering):
    entering.accept()
    before = entering.engine.memory()

    too_much = entering.traded(100, 7)
    for _ in range(2):
        with pytest.raises(BrokenInvariant):
            entering.engine.step(too_much)
    assert (entering.engine.memory(), entering.engine.fills_seen) == (before, {})


# ---- an exit that was refused, or cut short


def test_a_refused_stop_is_tried_again_after_a_wait_that_doubles(rig):
    waits = []
    for _ in range(6):
        rig.falls(98)
        order = rig.newest
        rig.refuse()
        assert rig.levels.stop == 98
        sent = rig.orders[order.id].sent_at
        early = rig.engine.retry_at - timedelta(microseconds=1)
        assert rig.step(StopHit(D(97), early)) == []
        waits.append((rig.engine.retry_at - sent).seconds)
        rig.now = rig.engine.retry_at

    assert waits == [5, 10, 20, 40, 60, 60]
    rig.falls(97)
    rig.sells(97)
    assert rig.trades[0].exit_reason == "stop"


def test_a_refused_target_waits_as_well(rig):
    rig.rises(102)
    rig.refuse()

    assert rig.held.targets[0] == (D(102), D(3))
    assert rig.rises(102) == []
    rig.now = rig.engine.retry_at
    assert only(rig.rises(102), OrderPlaced) != []


def test_a_stop_does_not_wait_because_a_target_was_refused(rig):
    for _ in range(4):
        rig.rises(102)
        rig.refuse()
        rig.now = rig.engine.retry_at
    rig.rises(102)
    rig.refuse()

    assert rig.falls(98) != []
    assert rig.newest.quantity == 6


def test_after_a_sale_the_wait_is_short_again(rig):
    for _ in range(3):
        rig.rises(102)
        rig.refuse()
        rig.now = rig.engine.retry_at
    rig.rises(102)
    rig.sells(102)
    assert rig.engine.retry_at is None

    rig.falls(100)
    rig.refuse()
    refused = rig.newest
    assert rig.engine.retry_at - refused.sent_at == timedelta(seconds=5)


def test_targets_that_are_refused_wait_nearest_first(rig):
    """A jump over two targets, both refused, the nearer one first."""
    rig.rises(104)
    first, second = [*rig.orders.values()][-2:]
    rig.refuse(first)
    rig.refuse(second)

    assert [level for level, _ in rig.held.targets] == [102, 104, 106]


@pytest.mark.parametrize("reason", ["ema_cross", "opposite_signal", "force_exit"])
def test_a_refused_market_exit_is_made_again_at_the_next_price(reason):
    """An exit never lapses: neither a strategy's nor a user's."""
    rig = Rig(PLAIN)
    rig.buys()
    rig.told(reason)
    rig.refuse()

    assert rig.levels.stop > 150  # any price will hit it
    assert rig.falls(103) == []  # but not at once
    rig.now = rig.engine.retry_at
    rig.falls(103)
    assert (rig.newest.quantity, rig.newest.reason) == (6, reason)
    rig.sells(103)
    assert rig.trades[0].exit_reason == reason


def test_a_refused_market_exit_survives_a_restart_and_bars():
    rig = Rig(APEX)
    rig.buys()
    rig.told("force_exit")
    rig.refuse()
    rig.restart()
    rig.closes(101, trail=1, high=103)

    rig.falls(102)
    assert (rig.newest.quantity, rig.newest.reason) == (6, "force_exit")


def test_a_market_exit_cut_short_sells_its_rest_at_the_next_price(rig):
    rig.told()
    rig.accept()
    rig.fill(100, 2)
    rig.end()

    rig.now = rig.engine.retry_at
    rig.falls(101)
    assert (rig.newest.quantity, rig.newest.reason) == (4, "force_exit")


@pytest.mark.parametrize("last", ["fill", "end"])
def test_a_target_cut_short_waits_with_its_rest_whatever_is_told_last(rig, last):
    rig.rises(102)
    target = rig.newest
    rig.accept()
    if last == "end":
        rig.fill(102, 2)
        rig.end(2)
    else:
        rig.end(2)
        rig.fill(102, 2)

    assert rig.orders[target.id].state is S.DONE
    assert rig.held.targets == ((D(102), D(1)), (D(104), D("1.5")), (D(106), D("1.5")))
    assert rig.engine.retry_at == rig.orders[target.id].sent_at + timedelta(seconds=5)
    assert rig.levels == Protect(D(100), D(102))


@pytest.mark.parametrize("last", ["fill", "end"])
def test_an_entry_cut_short_binds_nothing_more_whatever_is_told_last(entering, last):
    entering.accept()
    if last == "end":
        entering.fill(100, 2)
        entering.end(2)
    else:
        entering.end(2)
        entering.fill(100, 2)

    slot = entering.guard._slots["b1"]
    assert (slot.exposure, slot.pending) == (200, 0)


def test_what_a_venue_still_owes_is_waited_for(rig):
    rig.falls(98)
    rig.accept()
    rig.end(6)

    assert rig.newest.state is S.CLOSING
    assert rig.levels == Protect(None, None)
    rig.fill(98)
    assert rig.position is None


# ---- what is still being bought when the bot sells


@pytest.mark.parametrize("exits", ["falls", "rises", "told"])
def test_who_sells_takes_back_what_is_still_being_bought(entering, exits):
    entering.accept()
    entry = entering.newest
    entering.fill(100, 2)
    price = {"falls": (98,), "rises": (102,), "told": ()}[exits]

    effects = getattr(entering, exits)(*price)
    assert only(effects, CancelOrder) == [CancelOrder(entry.id)]
    assert entering.newest.quantity == (1 if exits == "rises" else 2)


def test_a_cancel_that_is_under_way_is_not_asked_for_again(entering):
    entering.accept()
    entry = entering.newest
    entering.fill(100, 2)
    entering.rises(102)
    [sent] = entering.step(CancelSent(entry.id))
    assert sent.order.cancel is CancelState.CANCELING

    assert only(entering.rises(104), CancelOrder) == []
    assert only(entering.step(CancelLost(entry.id)), SendOrder) == []


def test_what_crosses_the_cancel_is_sold_too(entering):
    entering.accept()
    entry = entering.newest
    entering.fill(100, 2)
    entering.falls(98)
    entering.step(CancelSent(entry.id))
    entering.fill(98, 1, order=entry)
    entering.end(3, order=entry)

    assert entering.levels.stop == 98
    entering.falls("97.9")
    assert entering.newest.quantity == 1
    assert entering.orders[entry.id].state is S.DONE


def test_an_absent_entry_is_not_canceled(entering):
    entering.lose()
    entering.disprove()
    entering.due(100)
    entering.accept()
    entering.fill(100)

    assert only(entering.falls(98), CancelOrder) == []


def test_an_absent_entrys_stand_in_is_void_once_the_bot_sells(entering):
    first = entering.newest
    entering.lose()
    entering.disprove()
    stand_in = entering.newest
    entering.fill(100, 2, order=first)
    entering.falls(98)

    assert entering.orders[stand_in.id].state is S.VOID
    assert entering.canceled == [first.id]


# ---- repetitions


def test_a_fill_told_twice_is_booked_once(entering):
    entering.accept()
    told = entering.traded(100, 2)
    entering.step(told)

    assert entering.step(told) == []
    assert entering.held.quantity == 2


def test_fills_of_a_finished_order_change_nothing(entering):
    entering.accept()
    told = entering.traded(100)
    entering.step(told)

    assert entering.step(told) == []
    assert entering.step(replace(told, id="t9")) == []
    assert entering.step(ClosedByVenue(told.order_id, told.quantity)) == []
    assert entering.held.quantity == 6


def test_answers_told_twice_change_nothing(entering):
    entering.accept()

    assert entering.step(Acknowledged(entering.newest.id, f"v-{entering.newest.seq}")) == []
    assert entering.step(ProvenAbsent(entering.newest.id)) == []
    assert entering.due(100) == []  # it is under way already


def test_an_order_is_armed_once(entering):
    entering.arm()

    with pytest.raises(BrokenInvariant):
        entering.step(Armed(entering.newest.id, 2, entering.soon, entering.soon))


def test_ids_are_never_used_twice_over_many_trades():
    """The rig refuses any id it has seen; here it sees some dozens, over restarts too."""
    rig = Rig()
    for number in range(12):
        if number % 3 == 0:
            rig.restart()
        rig.closes(100, enter(98))
        rig.due(100)
        if number % 2:
            rig.lose()
            rig.disprove()
            rig.due(100)
        rig.accept()
        rig.fill(100)
        rig.rises(104)
        for order in [*rig.orders.values()][-2:]:
            rig.accept(order)
            rig.fill(104, order=order)
        rig.told()
        rig.sells(103)

    assert len(rig.trades) == 12
    assert [order.seq for order in rig.orders.values()] == list(range(1, len(rig.orders) + 1))
    assert all(order.side is Side.BUY for order in entries(rig))
    assert rig.minute * MINUTE > timedelta(0)
