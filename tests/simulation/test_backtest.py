"""Bars played through the live engine: what fills where, in which order, and what it comes to."""

from decimal import Decimal

import pytest

from tests.bars import generated
from tests.bot_rig import APEX, PLAIN, enter, leave
from tests.makers import START, Number, after_start, bar
from tests.played import FREE_OF_CHARGE, Scripted, built, minutes, played
from tradefleet.domain.ledger import EXTERNAL, FREE, LedgerEntry, place_of
from tradefleet.domain.market import Bar, Side, TradingRules
from tradefleet.domain.money import money_context
from tradefleet.domain.signal import Signal, TradePlan
from tradefleet.simulation.backtest import Backtest
from tradefleet.simulation.bar_path import Phase
from tradefleet.simulation.paper_book import Costs
from tradefleet.simulation.results import ledger_agrees

D = Decimal


def ohlc(minute: int, open: Number, high: Number, low: Number, close: Number, volume=1000) -> Bar:
    return bar(close, minute, open=open, high=high, low=low, volume=volume)


DECIDED = ohlc(0, 100, 100, 100, 100)  # the bar at whose close a test buys
AT_98 = {0: enter(stop=98)}  # 6 % of 10,000 at 100: 6, with its stop at 98


def run(*bars: Bar, signals=AT_98, plan: TradePlan = APEX, trail=None, **options) -> Backtest:
    given = {"balance": 10_000, "rules": FREE_OF_CHARGE, **options}
    return played(Scripted(signals, plan, trail), [DECIDED, *bars], **given)


def sales(test: Backtest) -> list[tuple[int, Decimal, Decimal, str]]:
    """Return of each sale its minute, quantity, price and reason."""
    return [
        (
            int((f.filled_at - START).total_seconds() // 60),
            f.quantity,
            f.price,
            test.engine.placed[f.order_id].reason,
        )
        for f in test.fills
        if f.side is Side.SELL
    ]


QUIET = (100, 101, 99, 100)


# ---- the open of the next bar


def test_what_is_decided_at_a_close_is_bought_at_the_next_open():
    test = run(ohlc(1, "100.5", 101, 99, 100))

    [bought] = test.fills
    assert (bought.side, bought.price) == (Side.BUY, D("100.5"))
    assert bought.filled_at == after_start(minutes=1)
    assert [level for level, _ in test.engine.position.targets] == [103, D("105.5"), 108]


def test_an_exit_decided_at_a_close_is_sold_at_the_next_open():
    test = run(ohlc(1, *QUIET), ohlc(2, "99.5", 101, 99, 100), signals={**AT_98, 1: leave()})

    assert sales(test) == [(2, 6, D("99.5"), "ema_cross")]


def test_a_market_exit_comes_before_a_stop_at_the_same_open():
    test = run(ohlc(1, *QUIET), ohlc(2, 95, 96, 94, 95), signals={**AT_98, 1: leave()})

    assert sales(test) == [(2, 6, 95, "ema_cross")]


def test_an_exit_never_lapses_however_late_the_next_bar():
    test = run(ohlc(1, *QUIET), ohlc(900, 110, 111, 109, 110), signals={**AT_98, 1: leave()})

    assert sales(test) == [(900, 6, 110, "ema_cross")]


@pytest.mark.parametrize(("minute", "bought"), [(1, 1), (2, 1), (3, 0)])
def test_an_entry_outlives_one_missing_bar(minute, bought):
    assert len(run(ohlc(minute, *QUIET)).fills) == bought


@pytest.mark.parametrize(("opened", "bought"), [(98, 0), ("97.99", 0), ("98.01", 1)])
def test_an_entry_lapses_at_or_below_its_stop(opened, bought):
    test = run(ohlc(1, opened, opened, opened, opened))

    assert len(test.fills) == bought


def test_a_lapsed_entry_leaves_the_bot_free_to_enter_at_that_bars_close():
    test = run(ohlc(1, 98, 101, 98, 100), ohlc(2, *QUIET), signals={**AT_98, 1: enter(97)})

    assert [fill.filled_at for fill in test.fills] == [after_start(minutes=2)]


def test_what_costs_more_than_is_free_is_void():
    """99 at 100 could be paid, with the fee, up to 100.9."""
    with_fee = {"signals": {0: enter(98, "0.99")}, "rules": TradingRules()}

    assert run(ohlc(1, "100.9", 101, 100, 100), **with_fee).fills != []
    assert run(ohlc(1, "100.92", 101, 100, 100), **with_fee).fills == []


def test_orders_that_wait_at_the_end_of_the_data_lapse():
    test = run(signals={0: enter()})
    assert (test.fills, test.trades, test.engine.cash) == ([], [], 10_000)

    test = run(ohlc(1, *QUIET), signals={**AT_98, 1: leave()})
    assert (test.trades, test.engine.position.quantity) == ([], 6)


# ---- gaps


def test_a_gap_through_the_stop_is_sold_at_the_open():
    test = run(ohlc(1, *QUIET), ohlc(2, 95, 105, 94, 100))

    assert sales(test) == [(2, 6, 95, "stop")]
    assert test.trades[0].pnl == -30


def test_a_gap_over_targets_sells_their_parts_at_the_open():
    test = run(ohlc(1, *QUIET), ohlc(2, 105, "105.5", 104, 105))

    assert sales(test) == [(2, 3, 105, "target_1"), (2, D("1.5"), 105, "target_2")]
    assert test.engine.position.stop == 100


def test_a_gap_over_all_targets_sells_everything_at_the_open():
    test = run(ohlc(1, *QUIET), ohlc(2, 107, 108, 90, 100))

    assert [price for _, _, price, _ in sales(test)] == [107, 107, 107]
    assert test.trades[0].exit_reason == "target_3"


def test_a_stop_moved_by_a_target_at_the_open_holds_in_that_bar():
    """Rule 19: half is sold at the open of 103, the rest breaks even when the bar falls to 99."""
    test = run(ohlc(1, *QUIET), ohlc(2, 103, 104, 99, 100))

    assert sales(test) == [(2, 3, 103, "target_1"), (2, 3, 100, "breakeven")]


# ---- inside a bar


def test_low_comes_before_high():
    """Rule 20: a bar that reaches stop and targets is stopped out."""
    test = run(ohlc(1, *QUIET), ohlc(2, 100, 110, 98, 100))

    assert sales(test) == [(2, 6, 98, "stop")]


def test_touching_is_enough():
    assert sales(run(ohlc(1, *QUIET), ohlc(2, 100, 101, 98, 100))) == [(2, 6, 98, "stop")]
    assert sales(run(ohlc(1, *QUIET), ohlc(2, 100, 102, 99, 100))) == [(2, 3, 102, "target_1")]
    assert sales(run(ohlc(1, *QUIET), ohlc(2, 100, "101.99", "98.01", 100))) == []


def test_a_rise_sells_at_each_target_it_passes():
    test = run(ohlc(1, *QUIET), ohlc(2, 100, 106, 99, 106))

    assert sales(test) == [
        (2, 3, 102, "target_1"),
        (2, D("1.5"), 104, "target_2"),
        (2, D("1.5"), 106, "target_3"),
    ]
    assert test.trades[0].pnl == 21
    assert test.trades[0].exit_price == D("103.5")


def test_a_stop_moved_by_a_target_in_a_bar_acts_from_the_next_bar_on():
    test = run(ohlc(1, *QUIET), ohlc(2, 100, 102, 99, 99), ohlc(3, 101, 101, 100, 101))

    assert sales(test) == [(2, 3, 102, "target_1"), (3, 3, 100, "breakeven")]


def test_a_position_is_guarded_in_the_bar_it_was_bought_in():
    assert sales(run(ohlc(1, 100, 101, 97, 100))) == [(1, 6, 98, "stop")]
    assert sales(run(ohlc(1, 100, 103, 99, 100))) == [(1, 3, 102, "target_1")]


def test_re_entry_at_the_close_of_the_bar_that_stopped_out_is_allowed():
    test = run(ohlc(1, 100, 101, 97, 98), ohlc(2, *QUIET), signals={**AT_98, 1: enter(95)})

    assert [f.side for f in test.fills] == [Side.BUY, Side.SELL, Side.BUY]


def test_an_entry_signal_during_a_position_is_ignored():
    test = run(ohlc(1, *QUIET), ohlc(2, *QUIET), signals={**AT_98, 1: enter(99)})

    assert (len(test.fills), test.signals) == (1, 2)


# ---- at the close


def test_the_stop_trails_from_the_highest_high_the_entry_bars_included():
    """High 105 in the entry bar; after target 1 the stop stands 2 below it, from the next bar."""
    test = run(
        ohlc(1, 100, "103.5", 99, 103),
        ohlc(2, 103, "103.2", "102", 103),
        ohlc(3, 103, "103.2", "101.5", 102),
        trail=2,
    )

    assert sales(test) == [(1, 3, 102, "target_1"), (3, 3, D("101.5"), "trail")]


def test_a_bar_that_opens_below_a_trailed_stop_sells_at_the_open():
    test = run(ohlc(1, 100, "103.5", 99, 103), ohlc(2, 101, 102, 100, 101), trail=1)

    assert sales(test)[1:] == [(2, 3, 101, "trail")]


def test_the_distance_of_the_trail_is_asked_for_when_it_is_needed():
    class Asked(Scripted):
        asked = 0

        def trail_distance(self):
            type(self).asked += 1
            return super().trail_distance()

    played(
        Asked(AT_98, APEX, 2),
        [DECIDED, ohlc(1, *QUIET), ohlc(2, 100, 102, 99, 101), ohlc(3, 101, 102, 101, 101)],
        balance=10_000,
    )
    assert Asked.asked == 2


def test_a_strategy_with_neither_targets_nor_trail_leaves_by_signal_or_stop():
    test = run(
        ohlc(1, *QUIET),
        ohlc(2, 150, 300, 120, 200),
        ohlc(3, 200, 201, 199, 200),
        signals={**AT_98, 2: leave()},
        plan=PLAIN,
    )

    assert sales(test) == [(3, 6, 200, "ema_cross")]


# ---- costs


def test_fees_are_paid_on_both_sides_in_quote():
    """600 and 588 at 0.1 %."""
    test = run(ohlc(1, *QUIET), ohlc(2, 100, 101, 98, 100), rules=TradingRules())

    [trade] = test.trades
    assert (trade.gross_pnl, trade.fees, trade.pnl) == (-12, D("1.188"), D("-13.188"))
    assert test.engine.cash == D("9986.812")


def test_slippage_moves_every_fill_against_the_bot():
    costs = Costs(slippage=D("0.01"))
    test = run(ohlc(1, 100, 100, 100, 100), ohlc(2, 90, 91, 89, 90), costs=costs)

    assert [f.price for f in test.fills] == [101, D("89.1")]
    assert test.trades[0].entry_price == 101


def test_slippage_may_make_an_entry_too_dear():
    """99 at 100 and the fee can be paid, at 101 they cannot: the venue closes the order."""
    test = run(
        ohlc(1, *QUIET),
        ohlc(2, *QUIET),
        signals={0: enter(98, "0.99"), 1: enter(98, "0.5")},
        rules=TradingRules(),
        costs=Costs(slippage=D("0.01")),
    )

    assert [f.quantity for f in test.fills] == [50]


# ---- a share of the volume


def half_volume(*bars: Bar, **options) -> Backtest:
    return run(*bars, costs=Costs(volume_share=D("0.5")), **options)


def test_an_order_takes_no_more_than_its_share_of_each_bars_volume():
    test = half_volume(
        ohlc(1, *QUIET, volume=4), ohlc(2, 101, 101, 100, 101, volume=6), ohlc(3, *QUIET)
    )

    assert [(f.quantity, f.price) for f in test.fills] == [(2, 100), (3, 101), (1, 100)]
    assert test.engine.position.quantity == 6


def test_a_bar_without_volume_fills_nothing():
    test = half_volume(ohlc(1, *QUIET, volume=0), ohlc(2, 101, 101, 100, 101))

    assert [(f.quantity, f.price) for f in test.fills] == [(6, 101)]


def test_a_stop_sells_in_parts_too():
    test = half_volume(
        ohlc(1, *QUIET), ohlc(2, 97, 98, 96, 97, volume=8), ohlc(3, 95, 96, 94, 95, volume=8)
    )

    assert sales(test) == [(2, 4, 97, "stop"), (3, 2, 95, "stop")]
    assert len(test.trades) == 1


def test_a_bot_that_is_stopped_out_buys_no_more():
    test = half_volume(
        ohlc(1, *QUIET, volume=4), ohlc(2, 97, 98, 96, 97), ohlc(3, *QUIET), ohlc(4, *QUIET)
    )

    assert [(f.side, f.quantity) for f in test.fills] == [(Side.BUY, 2), (Side.SELL, 2)]
    assert test.book.waiting == {}


def test_what_it_had_still_to_buy_is_taken_back_once_when_targets_are_jumped_over():
    test = half_volume(ohlc(1, *QUIET, volume=4), ohlc(2, 105, 105, 105, 105))

    assert [(f.side, f.quantity) for f in test.fills] == [
        (Side.BUY, 2),
        (Side.SELL, 1),
        (Side.SELL, D("0.5")),
    ]
    assert test.engine.working == {}


def test_what_is_bought_late_at_or_below_its_stop_is_sold_at_that_open_too():
    """No bar ever traded at the stop of 98 again: it must not bring 98."""
    test = half_volume(ohlc(1, *QUIET, volume=0), ohlc(2, 95, 96, 94, 95), ohlc(3, 95, 96, 94, 95))

    assert [(f.side, f.price) for f in test.fills] == [(Side.BUY, 95), (Side.SELL, 95)]
    assert sales(test) == [(2, 6, 95, "stop")]


# ---- what it comes to


def test_an_open_position_is_no_trade_but_counts_in_equity():
    test = run(ohlc(1, *QUIET), ohlc(2, 100, 101, 99, "100.5"))

    assert test.trades == []
    assert test.equity([DECIDED, ohlc(1, *QUIET), ohlc(2, 100, 101, 99, "100.5")])[-1] == (
        after_start(minutes=3),
        10_003,
    )


def naive_equity(test: Backtest, bars, balance) -> list:
    curve = []
    for now in bars:
        with money_context():
            done = [f for f in test.fills if f.filled_at <= now.opened_at]
            cash = balance - sum(f.cost * f.side.sign + f.fee for f in done)
            base = sum(f.quantity * f.side.sign for f in done)
            curve.append((now.opened_at + minutes(1), cash + base * now.close))
    return curve


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("costs", [Costs(), Costs(D("0.001"), D("0.0001"))], ids=["plain", "dear"])
def test_equity_is_cash_and_holdings_at_every_close(seed, costs):
    bars = generated(seed, 600)
    test = played(built("ema_cross", warmup="30"), bars, costs=costs)

    assert len(test.fills) > 5
    assert test.equity(bars) == naive_equity(test, bars, 10)


def test_a_run_without_bars_has_no_equity():
    assert played(Scripted({}), []).equity([]) == []


def deposit(test: Backtest) -> list[LedgerEntry]:
    bot = test.engine.spec
    return [
        LedgerEntry.of_transfer(
            id=kind,
            user_id=bot.user_id,
            account_id=bot.account_id,
            kind=kind,
            at=START,
            asset="BTC",
            amount=bot.allocation,
            source=source,
            target=target,
        )
        for kind, source, target in (
            ("deposit", EXTERNAL, FREE),
            ("allocation", FREE, place_of(bot.id)),
        )
    ]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("share", [None, D("0.0001")], ids=["whole", "in parts"])
def test_ledger_bot_and_venue_agree_to_the_last_unit(seed, share):
    test = played(
        built("apex", warmup="40", filters_min="3"),
        generated(seed, 600),
        costs=Costs(slippage=D("0.0007"), volume_share=share),
    )
    position = test.engine.position

    assert len(test.fills) > 10
    assert ledger_agrees(
        deposit(test) + test.entries,
        bot_id=test.engine.spec.id,
        symbol=test.engine.spec.symbol,
        quote=test.engine.cash,
        base=position.quantity if position else D(0),
        venue=test.book.balances,
    )
    with money_context():
        if position is None:
            assert test.engine.cash == 10 + sum(trade.pnl for trade in test.trades)


def test_an_order_off_the_venues_step_is_refused_and_the_bot_goes_on():
    """An engine sized for finer steps than the venue takes: nothing is bought, nothing breaks."""
    test = played(Scripted(AT_98), [DECIDED], balance=10_000)
    test.engine.rules = TradingRules(quantity_step=D(7))
    test.run([ohlc(1, *QUIET), ohlc(2, *QUIET)])

    assert (test.fills, test.engine.working) == ([], {})


class Robbed(Scripted):
    """Its account loses the coins it bought, behind its back, for one bar."""

    book = None

    def on_bar(self, bar: Bar) -> Signal | None:
        if self.book is not None:
            self.book.balances["ETH"] = D(6) if self.count == 2 else D(0)
        return super().on_bar(bar)


@pytest.mark.parametrize(
    ("third", "reason"), [((100, 103, 99, 101), "target_1"), ((100, 101, 97, 99), "stop")]
)
def test_a_sale_that_is_refused_is_made_later(third, reason):
    strategy = Robbed(AT_98)
    test = played(strategy, [DECIDED, ohlc(1, *QUIET)], balance=10_000, rules=FREE_OF_CHARGE)
    strategy.book = test.book
    test.book.balances["ETH"] = D(0)
    test.run([ohlc(2, *third)])
    assert sales(test) == []
    assert test.engine.retry_at is not None

    test.run([ohlc(3, *third)])
    assert [why for _, _, _, why in sales(test)] == [reason]


def test_signals_are_counted_whatever_the_position():
    said: dict[int, Signal] = {0: enter(98), 1: enter(98), 2: leave(), 3: leave()}

    test = run(*(ohlc(n, *QUIET) for n in range(1, 5)), signals=said)
    assert test.signals == 4
    assert not test.engine.journaled  # nobody reads what a backtest would write down


def test_the_phases_of_a_bar_are_numbered_in_their_order():
    assert [*Phase] == [Phase.OPEN, Phase.LOW, Phase.HIGH, Phase.CLOSE] == [0, 1, 2, 3]
