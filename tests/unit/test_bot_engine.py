"""One bot from signal to trade: what it enters, when it does not, and how it leaves."""

import decimal
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.bot_rig import APEX, KEY, PLAIN, Rig, enter, leave, only
from tests.makers import BOT, MINUTE, RULES, START, USER, bar
from tradefleet.domain.bot import BotStatus
from tradefleet.domain.effects import (
    Decided,
    FillBooked,
    MemoryChanged,
    Notify,
    OrderChanged,
    OrderPlaced,
    Protect,
    SendOrder,
    Topic,
    TradeClosed,
)
from tradefleet.domain.events import BarClosed, EntryDue
from tradefleet.domain.ids import client_order_id
from tradefleet.domain.limits import RiskLimits
from tradefleet.domain.market import Side, TradingRules
from tradefleet.domain.order import Acknowledged, OrderKind, OrderState, Purpose
from tradefleet.domain.signal import TradePlan
from tradefleet.engine.bot_engine import BotEngine

D = Decimal


# ---- deciding to enter


def test_a_signal_becomes_an_order_that_is_held_and_then_sent():
    rig = Rig()

    decided = rig.closes(100, enter(stop=98))
    [placed] = only(decided, OrderPlaced)
    made = placed.order
    assert (made.side, made.purpose, made.kind) == (Side.BUY, Purpose.ENTRY, OrderKind.MARKET)
    assert (made.quantity, made.reserved, made.reason) == (6, D("600.6"), "a test; of entries")
    assert (made.lapse_price, made.hold_until) == (98, START + MINUTE)
    assert made.id == client_order_id(KEY, USER, made.account_id, BOT, 1)
    assert only(decided, Decided) == [
        Decided(BOT, USER, START + MINUTE, "entered", "", "a test; of entries")
    ]
    assert rig.sent == []

    assert rig.due(100) == [SendOrder(made.id)]


def test_a_live_entry_waits_as_long_as_its_strategy_says():
    rig = Rig(delay=6)
    rig.closes(100, enter())

    assert rig.newest.hold_until == START + MINUTE + timedelta(seconds=6)
    assert rig.newest.lapses_at == START + 2 * MINUTE


def test_a_bar_without_a_signal_decides_nothing():
    rig = Rig()

    assert rig.closes(100) == []
    assert rig.closes(100, leave()) == []


def test_a_short_signal_only_closes():
    """On spot a signal to sell is no entry: a bot that is flat ignores it."""
    rig = Rig()
    assert rig.closes(100, leave("opposite_signal")) == []

    rig.buys()
    rig.closes(101, leave("opposite_signal"))
    assert (rig.newest.side, rig.newest.reason) == (Side.SELL, "opposite_signal")


def test_there_is_no_pyramiding():
    rig = Rig()
    rig.buys()

    assert only(rig.closes(101, enter(99)), OrderPlaced) == []


def test_one_entry_at_a_time():
    rig = Rig()
    rig.closes(100, enter())

    assert rig.closes(100, enter()) == []


def test_a_signal_without_a_size_says_why():
    rig = Rig()

    assert rig.closes(100, enter(stop=101)) == [
        Decided(BOT, USER, START + MINUTE, "denied", "stop",
                "the stop 101 is not between zero and the close 100"),
    ]  # fmt: skip


def test_a_bar_is_decided_upon_once():
    rig = Rig()
    rig.closes(100, enter())
    rig.due(97)  # void
    again = BarClosed(bar(100), START + MINUTE, enter(), None)

    assert rig.step(again) == []
    assert rig.closes(100, enter()) != []  # the next one is a new decision


def test_the_whole_balance_cannot_pay_its_own_fee():
    rig = Rig()

    [denied] = rig.closes(100, enter(fraction=1))
    assert (denied.outcome, denied.guard) == ("denied", "free_funds")


# ---- an entry that lapses


def void(effects) -> str:
    [changed], [decided] = only(effects, OrderChanged), only(effects, Decided)
    assert only(effects, SendOrder) == []
    assert changed.order.state is OrderState.VOID
    assert (decided.outcome, decided.guard) == ("void", "entry")
    assert decided.reason == changed.order.note
    return decided.reason


def due_after(rig: Rig, **late: float) -> str:
    at = START + MINUTE + timedelta(**late)
    return rig.step(EntryDue(rig.newest.id, D(100), at))


def test_one_missing_bar_is_allowed():
    rig = Rig()
    rig.closes(100, enter())

    assert due_after(rig, minutes=1) == [SendOrder(rig.newest.id)]


def test_a_price_more_than_one_timeframe_late_comes_too_late():
    rig = Rig()
    rig.closes(100, enter())

    effects = due_after(rig, minutes=1, microseconds=1)
    assert void(effects) == "the next price came at 00:02:00, after 00:02:00"


@pytest.mark.parametrize("price", ["98", "97.99"])
def test_a_price_at_or_below_the_stop_voids_an_entry(price):
    rig = Rig()
    rig.closes(100, enter(98))

    assert void(rig.due(price)) == f"the price {price} is at or below the stop 98"


def test_a_price_just_above_the_stop_does_not():
    rig = Rig()
    rig.closes(100, enter(98))

    assert rig.due("98.01") == [SendOrder(rig.newest.id)]


def test_what_costs_more_than_is_free_with_its_fee_is_void():
    """99 at 100 cost 9,909.9 with the fee; at 101 they cost 10,008.999."""
    rig = Rig()
    rig.closes(100, enter(fraction="0.99"))

    assert void(rig.due(101)) == "99.00 at 101 costs more than the free 10000"


def test_the_last_unit_may_be_spent():
    """1000 at 10 is all of 10,010 with the fee."""
    rig = Rig(allocation=D(10_010))
    rig.closes(10, enter(9, "0.9990009991"))
    assert rig.newest.quantity == 1000

    assert rig.due(10) == [SendOrder(rig.newest.id)]


def test_a_stopped_bot_sends_nothing():
    rig = Rig()
    rig.closes(100, enter())
    assert void(rig.stop()) == "the bot was stopped"
    assert rig.due(100) == []

    assert rig.closes(100, enter()) == []
    rig.start()
    assert rig.closes(100, enter()) != []


def test_an_entry_taken_from_the_store_by_a_stopped_bot_is_void():
    rig = Rig()
    rig.closes(100, enter())
    rig.spec = replace(rig.spec, status=BotStatus.STOPPED)
    rig.restart()

    assert void(rig.due(100)) == "the bot was stopped"


def test_who_asks_for_an_exit_wants_no_entry_either():
    rig = Rig()
    rig.closes(100, enter())

    assert void(rig.told("force_exit")) == "force_exit"


def test_news_of_an_order_nobody_knows_is_no_news():
    rig = Rig()
    rig.closes(100, enter())

    assert rig.step(EntryDue("ghost", D(100), START + MINUTE)) == []
    assert rig.step(replace(rig.traded(), order_id="ghost")) == []
    assert rig.step(Acknowledged("ghost", "v1")) == []


# ---- what a position is


def test_a_fill_opens_a_position_with_stop_and_targets():
    """SPEC 4.1: entry 100, stop 98 → targets at 102, 104 and 106."""
    rig = Rig()
    rig.closes(100, enter(98))
    rig.due(100)
    rig.accept()

    effects = rig.fill(100)
    assert rig.levels == Protect(D(98), D(102))
    assert [level for level, _ in rig.held.targets] == [102, 104, 106]
    assert [part for _, part in rig.held.targets] == [3, D("1.5"), D("1.5")]
    assert rig.engine.cash == 10_000 - 600 - D("0.6")
    assert [type(effect) for effect in effects] == [
        OrderChanged, FillBooked, MemoryChanged, Protect, Notify,
    ]  # fmt: skip
    assert rig.notes[-1].text == "🟢 BTC/USDT: bought 6 at 100, stop 98"
    assert (rig.notes[-1].topic, rig.notes[-1].priority) == (Topic.FILL, 1)


def test_targets_stand_on_the_price_that_was_paid_not_on_the_close():
    rig = Rig()
    rig.closes(100, enter(98))
    rig.due(101)
    rig.accept()
    rig.fill(101)

    assert [level for level, _ in rig.held.targets] == [104, 107, 110]


def test_an_entry_in_parts_stands_on_its_mean_price():
    rig = Rig()
    rig.closes(100, enter(98))
    rig.due(100)
    rig.accept()
    rig.fill(100, 3)
    assert (rig.levels, rig.held.targets[0]) == (Protect(D(98), D(102)), (D(102), D("1.5")))

    rig.fill(102)
    assert rig.held.entry_price == 101
    assert [level for level, _ in rig.held.targets] == [104, 107, 110]
    assert rig.held.quantity == 6


def test_what_an_entry_buys_after_the_first_target_moves_no_level():
    """The rest comes late, when half of the first part was sold: it leaves with the last target."""
    rig = Rig()
    rig.closes(100, enter(98))
    rig.due(100)
    rig.accept()
    entry = rig.newest
    rig.fill(100, 2)
    rig.rises(102)
    rig.sells(102)

    rig.fill(103, order=entry)
    assert (rig.levels, rig.held.quantity) == (Protect(D(100), D(104)), 5)
    rig.rises(106)
    orders = [*rig.orders.values()][-2:]
    assert [(o.reason, o.quantity) for o in orders] == [
        ("target_2", D("0.5")),
        ("target_3", D("4.5")),
    ]


def test_an_entry_cut_short_keeps_what_it_bought():
    rig = Rig()
    rig.closes(100, enter(98))
    rig.due(100)
    rig.accept()
    rig.fill(100, 2)
    rig.end()

    assert (rig.newest.state, rig.held.quantity) == (OrderState.DONE, 2)
    assert rig.levels == Protect(D(98), D(102))
    assert only(rig.closes(100, enter(99)), OrderPlaced) == []


@pytest.mark.parametrize("price", ["0.09", "9876.54", "0.00001233"])
@pytest.mark.parametrize("balance", ["0.01", "10", "1000000"])
def test_an_entry_price_is_the_price_paid_however_small_the_cost(price, balance):
    """Costs are rounded to 8 decimals; what they are rounded by must not move any level."""
    rig = Rig(rules=TradingRules(), allocation=D(balance))
    rig.buys(price, D(price) * D("0.98"))
    stop = rig.held.stop

    assert rig.held.entry_price == D(price)
    assert rig.held.targets[2][0] == 4 * D(price) - 3 * stop
    rig.falls(stop)
    rig.sells(stop)
    assert (rig.trades[0].entry_price, rig.trades[0].exit_price) == (D(price), stop)


# ---- leaving at a target


def test_the_first_target_sells_half_and_moves_the_stop_to_the_entry():
    rig = Rig()
    rig.buys()

    rig.rises(102)
    sold = rig.newest
    assert (sold.quantity, sold.kind, sold.price) == (3, OrderKind.TARGET, 102)
    assert (sold.reason, rig.sent[-1]) == ("target_1", sold.id)
    assert rig.levels == Protect(D(98), D(104))  # until it is sold, the stop guards the rest

    rig.sells(102)
    assert rig.levels == Protect(D(100), D(104))
    assert (rig.held.stop_kind, rig.held.targets_done, rig.held.quantity) == ("breakeven", 1, 3)
    assert rig.notes[-1].text == "🔴 BTC/USDT: sold 3 at 102 (target_1)"
    assert rig.notes[-1].topic is Topic.FILL


def test_a_position_may_leave_by_all_three_targets():
    """3 at 102, 1.5 at 104, 1.5 at 106: 621 for 600, with fees of 0.6 and 0.621."""
    rig = Rig()
    rig.buys()
    for price in (102, 104, 106):
        rig.rises(price)
        rig.sells(price)

    [trade] = rig.trades
    assert (trade.gross_pnl, trade.fees, trade.pnl) == (21, D("1.221"), D("19.779"))
    assert (trade.exit_price, trade.exit_reason, trade.side) == (D("103.5"), "target_3", "long")
    assert (trade.quantity, trade.entry_price, trade.id) == (6, 100, f"{BOT}-4")
    assert rig.position is None
    assert rig.engine.is_flat
    assert rig.levels == Protect(None, None)
    assert rig.engine.cash == 10_000 + trade.pnl


def test_a_jump_over_several_targets_sells_all_their_parts():
    rig = Rig()
    rig.buys()

    placed = only(rig.rises(105), OrderPlaced)
    assert [(p.order.reason, p.order.quantity) for p in placed] == [
        ("target_1", 3),
        ("target_2", D("1.5")),
    ]
    assert rig.levels == Protect(D(98), D(106))


def test_a_price_below_the_target_is_no_hit():
    rig = Rig()
    rig.buys()

    assert rig.rises("101.99") == []


def test_a_flat_bot_has_no_levels():
    rig = Rig()

    assert rig.rises(1_000) == rig.falls(1) == rig.told() == []


def test_a_part_below_the_least_notional_leaves_with_the_third():
    """1.2 % of 1000 is 0.12 at 100: parts of 0.06, 0.03 and 0.03; the least order is worth 5."""
    rig = Rig(allocation=D(1000))
    rig.buys(fraction="0.012")

    rig.rises(102)  # 0.06 is worth 6.12, the 0.06 left as much
    assert rig.newest.quantity == D("0.06")
    rig.sells(102)

    assert only(rig.rises(104), OrderPlaced) == []  # 0.03 is worth 3.12
    assert (rig.held.targets_done, rig.levels) == (2, Protect(D(100), D(106)))

    rig.rises(106)
    assert (rig.newest.quantity, rig.newest.reason) == (D("0.06"), "target_3")


def test_where_too_little_would_remain_everything_is_sold():
    """0.9 % of 1000 is 0.09: after half of it the rest would be worth 4.59."""
    rig = Rig(allocation=D(1000))
    rig.buys(fraction="0.009")
    rig.rises(102)  # the part of 0.045 is worth 4.59: too small, it waits

    assert rig.levels == Protect(D(100), D(104))
    rig.rises(106)
    assert (rig.newest.quantity, rig.newest.reason) == (D("0.09"), "target_3")


def test_a_target_reached_while_all_is_on_sale_changes_nothing():
    rig = Rig()
    rig.buys()
    rig.told()  # all is on sale

    assert rig.rises(102) == []
    assert (rig.held.targets_done, rig.held.stop) == (0, 98)


# ---- leaving at the stop


def test_a_stop_sells_everything_at_once():
    """6 bought at 100 leave at 98: 588 for 600, with fees of 0.6 and 0.588."""
    rig = Rig()
    rig.buys()
    assert rig.falls("98.01") == []

    rig.falls(98)
    assert (rig.newest.quantity, rig.newest.kind, rig.newest.price) == (6, OrderKind.STOP, 98)
    assert rig.levels == Protect(None, None)
    assert rig.falls(97) == []  # on sale already

    effects = rig.sells(98)
    [closed] = only(effects, TradeClosed)
    [booked] = only(effects, FillBooked)
    assert len(booked.entry.postings) == 6  # coins, quote and fee, each from a place to a place
    assert (closed.trade.pnl, closed.trade.exit_reason) == (D("-13.188"), "stop")
    assert rig.notes[-1].topic is Topic.STOP
    assert rig.engine.memory().last_exit_reason == "stop"


def test_a_gap_through_the_stop_is_sold_for_what_it_brings():
    rig = Rig()
    rig.buys()
    rig.falls(95)
    rig.sells(95)

    assert rig.trades[0].gross_pnl == -30


def test_after_the_first_target_the_rest_may_break_even():
    """Half wins 2 at 102, half leaves at 100; the fees are lost: 0.6, 0.306 and 0.3."""
    rig = Rig()
    rig.buys()
    rig.rises(102)
    rig.sells(102)
    rig.falls(100)
    rig.sells(100)

    [trade] = rig.trades
    assert (trade.pnl, trade.exit_reason) == (6 - D("1.206"), "breakeven")
    assert trade.exit_price == 101


def test_the_stop_trails_on_bar_close_after_the_first_target():
    rig = Rig()
    rig.buys()
    rig.rises(102)
    rig.sells(102)

    rig.closes(103, trail=2, high=104)
    assert (rig.levels, rig.held.stop_kind) == (Protect(D(102), D(104)), "trail")
    rig.closes(103, trail=3, high=104)
    assert rig.levels.stop == 102
    rig.falls(102)
    rig.sells(102)
    assert rig.trades[0].exit_reason == "trail"


def test_before_the_first_target_a_bar_moves_no_stop():
    rig = Rig()
    rig.buys()

    rig.closes(101, trail=1, high="101.9")
    assert rig.levels == Protect(D(98), D(102))
    assert rig.held.highest == D("101.9")


def test_a_stop_while_a_target_is_on_sale_sells_the_rest():
    rig = Rig()
    rig.buys()
    rig.rises(102)
    target = rig.newest
    rig.accept(target)

    rig.falls(98)
    assert rig.newest.quantity == 3
    rig.fill(102, order=target)
    rig.sells(98)
    [trade] = rig.trades
    assert (trade.exit_price, trade.exit_reason) == (100, "stop")


# ---- leaving because somebody says so


def test_a_strategys_exit_sells_everything_at_the_market():
    rig = Rig(PLAIN)
    rig.buys()

    effects = rig.closes(101, leave("ema_cross"))
    assert [type(e) for e in effects] == [OrderPlaced, MemoryChanged, SendOrder, Protect]
    assert (rig.newest.kind, rig.newest.price, rig.newest.quantity) == (OrderKind.MARKET, None, 6)
    assert rig.closes(99, leave("ema_cross")) == []  # on sale already
    rig.sells(101)
    assert rig.trades[0].exit_reason == "ema_cross"


def test_an_exit_asked_for_sells_what_no_other_order_sells():
    rig = Rig()
    rig.buys()
    rig.rises(102)

    rig.told("force_exit")
    assert (rig.newest.quantity, rig.newest.reason) == (3, "force_exit")
    assert rig.told("kill_switch") == []


def test_a_stopped_bot_goes_on_protecting():
    rig = Rig()
    rig.buys()
    assert rig.stop() == []

    rig.rises(102)
    rig.sells(102)
    rig.closes(103, trail=1, high=104)
    rig.falls(103)
    rig.sells(103)
    assert rig.trades[0].exit_reason == "trail"


def test_re_entry_at_the_close_of_the_bar_that_stopped_out_is_allowed():
    rig = Rig()
    rig.buys()
    rig.falls(98)
    rig.sells(98)

    rig.closes(99, enter(97))
    assert (rig.newest.purpose, rig.newest.seq) == (Purpose.ENTRY, 3)


# ---- fees in other coins


def test_fees_in_base_leave_only_dust_and_dust_is_nobodys():
    """Of 6 bought 0.006006 goes as fee: 5.993994 on steps of 0.00001 leave 0.000004."""
    rig = Rig()
    rig.closes(100, enter(98))
    rig.due(100)
    rig.accept()
    rig.fill(100, fee="0.006006", fee_asset="BTC", fee_quote="0.6006")
    assert (rig.held.quantity, rig.held.entry_price) == (D("5.993994"), 100)

    rig.falls(98)
    assert rig.newest.quantity == D("5.99399")
    rig.sells(98)

    assert rig.position is None
    assert rig.ledger.of("free", "BTC") == D("0.000004")
    assert rig.engine.cash == 10_000 + rig.trades[0].pnl
    assert rig.closes(99, enter(97)) != []


def test_a_fee_taken_from_other_coins_is_no_debt_of_the_next_position():
    rig = Rig()
    rig.buys()
    rig.falls(98)
    rig.accept()
    rig.fill(98, fee="0.006", fee_asset="BTC", fee_quote="0.588")

    assert rig.position is None
    assert rig.ledger.of("free", "BTC") == D("-0.006")
    assert rig.trades[0].pnl == -12 - D("0.6") - D("0.588")


def test_a_fee_in_a_third_coin_costs_no_quote():
    rig = Rig()
    rig.closes(100, enter(98))
    rig.due(100)
    rig.accept()
    rig.fill(100, fee="0.001", fee_asset="BNB", fee_quote="0.45")

    assert rig.engine.cash == 9_400
    assert rig.held.fees_quote == D("0.45")


# ---- what it does not depend on


def test_the_global_decimal_context_changes_nothing():
    def story(rig: Rig) -> list:
        rig.buys("100.01", "97.33", "0.0777")
        rig.rises(103)
        rig.sells("103.07")
        rig.closes(103, trail="1.111", high="103.99")
        rig.falls("101.1")
        rig.sells("101.1")
        return rig.trades

    plain = story(Rig())
    with decimal.localcontext(prec=3, rounding=decimal.ROUND_UP):
        assert story(Rig()) == plain


def test_without_a_journal_only_orders_and_trades_are_told():
    """A backtest keeps no journal; its bot does the same and says less."""
    rig, quiet = Rig(), Rig()
    quiet.engine.journaled = False
    quiet.agree = lambda: None
    story = [
        lambda r: r.closes(100, enter(fraction="0.00001")),  # denied
        lambda r: r.closes(100, enter()),
        lambda r: r.due(97),  # void
        lambda r: r.buys(),
        lambda r: r.rises(102),
        lambda r: r.sells(102),
        lambda r: r.falls(100),
        lambda r: r.refuse(),
        lambda r: r.closes(101, trail=1, high=103),
    ]
    for chapter in story:
        chapter(rig)
        quiet.kept = None
        chapter(quiet)
        quiet.orders = dict(rig.orders)

    assert quiet.engine.memory() == rig.engine.memory()
    assert quiet.sent == rig.sent
    assert quiet.decided == []


def test_the_last_price_is_kept_for_showing():
    rig = Rig()
    assert rig.engine.mark(D(101)) is None  # nothing is held

    rig.buys()
    marked = rig.engine.mark(D(101))
    assert marked == MemoryChanged(rig.engine.memory())
    assert marked.memory.equity == 9_399 + D("0.4") + 606
    assert rig.engine.mark(D(101)) is None


# ---- bars that concern nobody


@pytest.mark.parametrize("plan", [APEX, PLAIN, TradePlan(trails=True)], ids=str)
@pytest.mark.parametrize("targets_done", [0, 1])
def test_a_bar_that_does_not_concern_a_bot_would_change_nothing(plan, targets_done):
    for signal in (None, leave(), enter(), enter(exit_reason="opposite_signal")):
        for high in (99, 105):
            rig = Rig(plan)
            if plan.targets or not targets_done:
                rig.buys()
            if rig.position and targets_done:
                rig.rises(102)
                rig.sells(102)
            closed = bar(99, 5, high=high, low=98)
            concerns, before = rig.engine.concerns(closed, signal), rig.engine.memory()
            effects = rig.engine.step(BarClosed(closed, closed.opened_at + MINUTE, signal, D(1)))
            if not concerns:
                assert effects == []
                assert rig.engine.memory().position == before.position
                assert rig.engine.memory().cash == before.cash


@pytest.mark.parametrize("plan", [APEX, PLAIN, TradePlan(trails=True)], ids=str)
@pytest.mark.parametrize("limits", [None, RiskLimits(drawdown_share_max=D("0.15"))])
@pytest.mark.parametrize("targets_done", [0, 1])
def test_what_a_backtest_overlooks_is_as_if_it_had_been_a_step(plan, limits, targets_done):
    for signal in (None, leave(), enter(), enter(exit_reason="opposite_signal")):
        for bought in (False, True):
            for high in (99, 105):
                rig, other = Rig(plan, user_limits=limits), Rig(plan, user_limits=limits)
                for each in (rig, other) if bought else ():
                    each.buys()
                    if plan.targets and targets_done:
                        each.rises(102)
                        each.sells(102)
                closed = bar(99, 5, high=high, low=98)
                concerned, levels = rig.engine.concerns(closed, signal), rig.engine.levels
                overlooked = rig.engine.overlooks(closed, signal, lambda: D(1))
                assert overlooked or concerned
                if overlooked:
                    event = BarClosed(closed, closed.opened_at + MINUTE, signal, D(1))
                    told = other.engine.step(event)
                    assert all(isinstance(effect, MemoryChanged | Protect) for effect in told)
                    assert concerned or not told
                    assert rig.engine.position == other.engine.position
                    assert concerned or rig.engine.levels == levels


def test_a_backtest_notes_new_highs_and_trails_without_a_step():
    rig = Rig()
    rig.buys()
    higher = bar(99, 5, high=105, low=98)

    assert rig.engine.overlooks(higher, None, lambda: D(1))
    assert (rig.held.highest, rig.held.stop, rig.engine.last_price) == (105, 98, 99)
    assert not rig.engine.overlooks(higher, leave(), lambda: D(1))
    rig.rises(102)
    rig.sells(102)
    assert rig.engine.overlooks(higher, None, lambda: D(1))
    assert rig.held.stop == 104


def test_a_bot_whose_stop_rests_at_the_venue_overlooks_no_bar_of_its_position():
    rig = Rig()
    rig.buys()
    rig.engine.rests_stops = True

    assert not rig.engine.overlooks(bar(99, 5, high=105, low=98), None, lambda: D(1))


def test_orders_go_by_their_number_where_no_venue_hears_of_them():
    rig = Rig()
    rig.engine.order_key = b""
    rig.closes(100, enter())

    assert rig.newest.id == f"{1:032x}"


@pytest.mark.parametrize(
    ("plan", "targets_done", "high", "concerned"),
    [
        (APEX, 0, 100, False),
        (APEX, 0, 101, True),  # a new high, from which the stop will trail
        (APEX, 1, 100, True),
        (PLAIN, 0, 101, False),
        (TradePlan(targets=APEX.targets), 1, 101, False),
    ],
    ids=str,
)
def test_who_trails_is_woken_for_new_highs_and_once_a_target_is_reached(
    plan, targets_done, high, concerned
):
    rig = Rig(plan)
    rig.buys()
    if targets_done:
        rig.rises(102)
        rig.sells(102)

    closed = bar(99, 5, high=high, low=98)
    assert rig.engine.concerns(closed, None) is concerned
    assert rig.engine.concerns(closed, leave())


def test_who_is_flat_is_woken_for_entries_only():
    engine = Rig().engine

    assert engine.concerns(bar(100), enter())
    assert not engine.concerns(bar(100), leave())
    assert not engine.concerns(bar(100), None)


@pytest.mark.parametrize("whose", ["limits", "user_limits"])
def test_whose_losses_are_limited_is_woken_for_every_bar_of_a_position(whose):
    rig = Rig(PLAIN, **{whose: RiskLimits(drawdown_share_max=D("0.15"))})
    assert not rig.engine.concerns(bar(100), None)

    rig.buys()
    assert rig.engine.concerns(bar(99, 5, high=99, low=99), None)


def test_an_engine_is_made_from_a_specification_alone():
    rig = Rig(status=BotStatus.STOPPED)

    engine = BotEngine.start(
        spec=rig.spec,
        memory=None,
        working={},
        fills_seen={},
        rules=RULES,
        plan=PLAIN,
        guard=rig.guard,
        order_key=KEY,
    )
    assert (engine.cash, engine.running, engine.seq) == (10_000, False, 0)
    assert (engine.rules, engine.entry_delay) == (RULES, timedelta(0))
