"""How a position is left: targets in parts, the stop at entry, the trail that only tightens."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bot_rig import APEX, PLAIN
from tests.makers import RULES, Number, fill
from tradefleet.domain.market import TradingRules
from tradefleet.domain.money import money_context
from tradefleet.domain.position import Position
from tradefleet.domain.signal import TradePlan
from tradefleet.domain.values import changed
from tradefleet.engine.exits import after_bar, at_breakeven, part_to_sell, protected

D = Decimal


@pytest.fixture(autouse=True)
def _money():
    with money_context():
        yield


def held(
    quantity: Number = 6,
    price: Number = 100,
    stop: Number = 98,
    plan: TradePlan = APEX,
    rules: TradingRules = RULES,
) -> Position:
    opened = Position.opened_by(fill(quantity, price))
    return protected(opened, Decimal(stop), plan, rules)


def levels_of(position: Position) -> list[Decimal]:
    return [level for level, _ in position.targets]


def parts_of(position: Position) -> list[Decimal]:
    return [part for _, part in position.targets]


# ---- stop and targets


def test_targets_stand_one_two_and_three_risks_above_the_entry():
    """SPEC 4.1: entry 100, stop 98 → 102, 104, 106."""
    position = held()

    assert levels_of(position) == [102, 104, 106]
    assert (position.stop, position.stop_kind, position.highest) == (98, "stop", 100)


def test_half_is_sold_first_then_a_quarter_then_the_rest():
    assert parts_of(held(6)) == [3, Decimal("1.5"), Decimal("1.5")]


def test_parts_are_rounded_down_and_the_last_takes_what_is_over():
    rules = TradingRules(quantity_step=Decimal(1))

    assert parts_of(held(7, rules=rules)) == [3, 1, 3]


def test_parts_never_add_up_to_more_than_there_is():
    greedy = TradePlan(targets=((Decimal(1), Decimal("0.8")),) * 3)

    assert parts_of(held(10, plan=greedy)) == [8, 2, 0]


def test_targets_stand_on_ticks_half_to_even():
    # 100.01 and a stop of 97.995: R is 2.015, so 102.025 and 104.04 and 106.055.
    position = held(price="100.01", stop="97.995")

    assert levels_of(position) == [Decimal("102.02"), Decimal("104.04"), Decimal("106.06")]


@pytest.mark.parametrize("price", [98, "97.5"])
def test_bought_at_or_below_the_stop_there_is_no_target(price):
    position = held(price=price)

    assert (position.targets, position.stop) == ((), 98)


def test_a_plan_without_targets_only_has_a_stop():
    assert held(plan=PLAIN).targets == ()


# ---- the stop moves up


def test_the_stop_goes_to_the_entry():
    position = at_breakeven(held(), D(102), APEX, RULES)

    assert (position.stop, position.stop_kind) == (100, "breakeven")


def test_an_offset_puts_it_above_the_entry():
    plan = TradePlan(breakeven_offset=Decimal("0.002"))

    assert at_breakeven(held(), D(102), plan, RULES).stop == D("100.2")


def test_an_offset_never_puts_it_above_the_target_that_was_reached():
    """Else the rest would have to be sold above the market."""
    plan = TradePlan(breakeven_offset=Decimal("0.05"))

    assert at_breakeven(held(), D(102), plan, RULES).stop == 102


def test_a_stop_above_the_entry_stays_where_it_is():
    trailed = changed(held(), stop=Decimal(101), stop_kind="trail")

    assert at_breakeven(trailed, D(102), APEX, RULES) is trailed

    at_entry = changed(held(), stop=Decimal(100), stop_kind="trail")
    assert at_breakeven(at_entry, D(102), APEX, RULES) is at_entry


def closes(position, high, trail, plan=APEX):
    distance = None if trail is None else Decimal(trail)
    return after_bar(position, Decimal(high), distance, plan, RULES)


def test_the_stop_trails_the_highest_high_once_a_target_is_reached():
    position = changed(held(), targets_done=1, stop=Decimal(100), stop_kind="breakeven")

    position = closes(position, 103, "1.5")
    assert (position.stop, position.stop_kind, position.highest) == (101.5, "trail", 103)

    lower = closes(position, 102, "1.5")  # a lower high: nothing changes
    assert lower is position

    wider = closes(position, 103, "2.5")  # a wider distance never loosens it
    assert wider is position

    assert closes(position, 103, "1").stop == 102


def test_the_trail_never_goes_behind_the_entry():
    position = changed(held(), targets_done=1, stop=Decimal(100), stop_kind="breakeven")

    kept = closes(position, 102, "2.5")
    assert (kept.stop, kept.stop_kind, kept.highest) == (100, "breakeven", 102)


def test_before_the_first_target_only_the_high_is_noted():
    position = closes(held(), 101, "0.5")

    assert (position.stop, position.highest) == (98, 101)


def test_an_unknown_distance_leaves_the_stop():
    position = changed(held(), targets_done=1)

    assert closes(position, 105, None).stop == 98


def test_a_plan_that_never_trails_does_not_care_for_highs():
    position = changed(held(plan=PLAIN), targets_done=1)

    assert closes(position, 150, "1", PLAIN) is position


@given(st.lists(st.tuples(st.integers(90, 130), st.integers(1, 10)), max_size=20))
def test_the_stop_only_tightens(bars):
    position = changed(held(), targets_done=1, stop=Decimal(100), stop_kind="breakeven")
    for high, distance in bars:
        before, position = position, closes(position, high, distance)
        assert position.stop >= before.stop >= position.entry_price
        assert position.highest == max(before.highest, high)


# ---- what to sell at a target


def part(position, share, price, unsold=None, rules=RULES):
    left = position.quantity if unsold is None else Decimal(unsold)
    return part_to_sell(position, Decimal(share), Decimal(price), left, rules)


def test_a_part_is_sold_as_planned():
    assert part(held(), 3, 102) == 3


def test_no_more_is_sold_than_is_left():
    assert part(held(), 3, 102, unsold=2) == 2
    assert part(held(), 3, 102, unsold=0) == 0


def test_a_part_too_small_for_the_venue_waits():
    """The venue's least is 5: 0.04 at 102 is worth 4.08."""
    assert part(held("0.08"), "0.04", 102) == 0
    assert part(held("0.1"), "0.05", 102) == Decimal("0.05")


def test_what_would_be_too_small_to_sell_later_is_sold_now():
    assert part(held("0.08"), "0.06", 102) == Decimal("0.08")


def test_the_last_target_takes_everything_however_small():
    last = changed(held("0.04"), targets=((Decimal(106), Decimal("0.01")),))

    assert part(last, "0.01", 106) == Decimal("0.04")
    assert part(last, "0.01", 106, unsold=0) == 0


@given(
    st.integers(1, 10**7).map(lambda n: Decimal(n).scaleb(-5)),
    st.integers(0, 50).map(Decimal),
    st.integers(0, 5).map(lambda n: Decimal(1).scaleb(-n)),
)
def test_all_parts_together_sell_all_and_no_part_is_too_small(quantity, least, step):
    """Whatever the sizes: three targets reached one after the other leave nothing behind."""
    rules = TradingRules(quantity_step=step, notional_min=least, price_tick=Decimal("0.01"))
    position = held(quantity, rules=rules)
    left = quantity
    while position.targets:
        (level, planned), *others = position.targets
        sold = part_to_sell(position, planned, level, left, rules)
        assert 0 <= sold <= left
        # Only what is the whole rest may be less than the venue takes.
        assert sold == 0 or rules.allows(sold, level) or sold == left
        left -= sold
        assert left == 0 or left * level >= least or sold == 0
        position = changed(position, targets=tuple(others))
    assert left == 0
