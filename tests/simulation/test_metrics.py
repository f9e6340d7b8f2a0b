"""Metrics: the figures of others on the same curve, and None where nothing can be said."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from math import sin

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradefleet.domain.errors import BrokenInvariant
from tradefleet.domain.ids import AccountId, BotId, UserId
from tradefleet.domain.market import Bar, Symbol
from tradefleet.domain.money import ZERO
from tradefleet.domain.position import Trade
from tradefleet.simulation.drawdown import deepest_drawdown
from tradefleet.simulation.metrics import Metrics, measure
from tradefleet.simulation.yearly import day_ends

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def curve(*values: str | float, step: timedelta = HOUR) -> list[tuple[datetime, Decimal]]:
    """The equity at the end of each bar, the first of which opens at START."""
    return [(START + step * (n + 1), Decimal(str(value))) for n, value in enumerate(values)]


def bars_of(equity: list[tuple[datetime, Decimal]], step: timedelta = HOUR) -> list[Bar]:
    """Bars whose price is the equity, as if all of it were always in the market."""
    return [Bar(at - step, *[max(value, Decimal(1))] * 4, Decimal(1)) for at, value in equity]


def trade(pnl: str, opened: int = 0, closed: int = 1, fees: str = "0.5") -> Trade:
    """A trade of 100 that was open from one bar to another."""
    return Trade(
        id=f"{opened}-{closed}",
        user_id=UserId("first_user"),
        account_id=AccountId("paper"),
        bot_id=BotId("bot"),
        symbol=Symbol("BTC", "USDT"),
        opened_at=START + HOUR * opened,
        closed_at=START + HOUR * closed,
        quantity=Decimal(1),
        entry_price=Decimal(100),
        exit_price=Decimal(100),
        gross_pnl=Decimal(pnl) + Decimal(fees),
        fees=Decimal(fees),
        exit_reason="stop",
    )


def measured(*values: str | float, trades: tuple[Trade, ...] = (), step: timedelta = HOUR):
    equity = curve(*values, step=step)
    return measure(trades, equity, bars_of(equity, step))


# ---- the figures of others


def test_the_figures_are_those_of_backtesting_py():
    values = [round(1000 + 30 * sin(i / 9) + 20 * sin(i / 31) + i * 0.3, 2) for i in range(200)]
    trades = (trade("5", 3, 10), trade("-3", 30, 40), trade("1", 50, 50))
    found = measured(*values, trades=trades)
    # backtesting.py 0.6.6, compute_stats(trades, equity, bars).
    expected = {
        "exposure_pct": 10.0,
        "final_equity": 1058.82,
        "return_pct": 5.882,
        "market_change_pct": 5.882,
        "annual_return_pct": 158.47177309287463,
        "volatility_pct": 243.32537569210407,
        "cagr_pct": 1139.9989882021684,
        "sharpe": 0.6512751604394915,
        "sortino": 3.2901965328715437,
        "calmar": 24.455795176996936,
        "max_drawdown_pct": 6.479927229760774,
        "trades": 3,
        "win_rate_pct": 66.66666666666666,
        "best_trade_pct": 5.0,
        "worst_trade_pct": -3.0,
        "profit_factor": 2.0,
    }
    assert {name: float(getattr(found, name)) for name in expected} == pytest.approx(expected)


def test_the_quality_number_is_that_of_backtesting_py():
    trades = (trade("5"), trade("-3"), trade("2"))
    found = measured(1, 2, trades=trades)
    assert float(found.sqn or 0) == pytest.approx(0.5714285714285714)


# ---- computed by hand


def test_trades_are_counted_and_averaged():
    profits = ["10", "-4", "-1", "0", "-2", "-1", "-1", "8"]
    found = measured(1000, 1004, trades=tuple(map(trade, profits)))
    assert (found.trades, found.wins, found.losses) == (8, 2, 5)
    assert found.win_rate_pct == 25
    assert found.profit_factor == 2
    assert found.expectancy == Decimal("1.125")
    assert (found.average_win, found.average_loss) == (9, Decimal("-1.8"))
    assert found.average_trade_pct == Decimal("1.125")
    assert (found.best_trade_pct, found.worst_trade_pct) == (10, -4)
    assert found.longest_losing_streak == 3
    assert found.total_fees == 4
    assert found.average_duration == HOUR
    assert found.profit == 4


def test_the_deepest_drawdown_is_the_largest_share_of_its_peak():
    fall = deepest_drawdown(curve(100, 80, 100, 1000, 850, 900, 1000, 1001, 999))
    assert fall is not None
    assert (fall.share, fall.amount) == (Decimal("0.2"), 20)
    hours = [(at - START) // HOUR for at in (fall.peak_at, fall.trough_at)]
    assert hours == [1, 2]
    assert fall.recovered_at == START + 3 * HOUR


def test_a_drawdown_may_last_to_the_end_and_go_below_zero():
    fall = deepest_drawdown(curve(100, 90, 100, 50, 60))
    assert fall is not None
    assert fall.share == Decimal("0.5")
    assert fall.recovered_at is None
    below = deepest_drawdown(curve(-1, -2))
    assert below is not None
    assert below.share == 1


def test_an_equity_that_never_falls_has_no_drawdown():
    assert deepest_drawdown(curve(1, 1, 2)) is None
    found = measured(1, 1, 2)
    assert (found.max_drawdown, found.max_drawdown_pct) == (0, 0)
    assert found.drawdown_started_at is None
    assert found.calmar is None


def test_a_bar_that_closes_at_midnight_belongs_to_the_day_it_ends():
    equity = curve(*range(1, 50))
    assert day_ends(equity) == [24, 48, 49]
    assert day_ends(equity[:24]) == [24]
    assert day_ends([equity[0], equity[48]]) == [1, 49]


def test_exposure_counts_a_bar_once_however_many_positions_it_saw():
    trades = (trade("1", 1, 3), trade("1", 2, 2), trade("1", 3, 4), trade("1", 8, 8))
    assert measured(*[1] * 10, trades=trades).exposure_pct == 50
    equity = curve(*[1] * 10)
    still = measure((), equity, bars_of(equity), open_since=START + 6 * HOUR)
    assert still.exposure_pct == 40


# ---- where nothing can be said

UNSAID_WITHOUT_TRADES = (
    "win_rate_pct", "profit_factor", "expectancy", "average_win", "average_loss",
    "average_trade_pct", "best_trade_pct", "worst_trade_pct", "average_duration", "sqn",
)  # fmt: skip
UNSAID_WITHOUT_DAYS = (
    "annual_return_pct", "cagr_pct", "volatility_pct", "sharpe", "sortino", "calmar",
)  # fmt: skip


def unsaid(found: Metrics, names: tuple[str, ...]) -> list[str]:
    return [name for name in names if getattr(found, name) is None]


def test_one_bar_and_no_trade_have_no_averages_and_no_ratios():
    found = measured(1000)
    everything = UNSAID_WITHOUT_TRADES + UNSAID_WITHOUT_DAYS
    assert unsaid(found, everything) == list(everything)
    assert (found.trades, found.longest_losing_streak, found.total_fees) == (0, 0, 0)
    assert (found.return_pct, found.exposure_pct) == (0, 0)


def test_without_a_loss_there_is_no_profit_factor_and_without_a_win_it_is_zero():
    assert measured(1, 2, trades=(trade("1"), trade("2"))).profit_factor is None
    lost = measured(1, 2, trades=(trade("-1"),))
    assert (lost.profit_factor, lost.sqn) == (0, None)


def test_equal_trades_have_no_quality_number():
    assert measured(1, 2, trades=(trade("1"), trade("1"))).sqn is None


def test_a_flat_equity_has_no_ratio():
    found = measured(*[1000] * 100)
    assert (found.annual_return_pct, found.cagr_pct, found.volatility_pct) == (0, 0, 0)
    assert unsaid(found, UNSAID_WITHOUT_DAYS) == ["sharpe", "sortino", "calmar"]


def test_the_same_gain_every_day_has_no_ratio():
    days = timedelta(days=1)
    found = measured(*[Decimal("1.01") ** n for n in range(9)], step=days)
    assert unsaid(found, UNSAID_WITHOUT_DAYS) == ["sharpe", "sortino", "calmar"]


def test_two_days_have_a_return_but_no_deviation():
    found = measured(100, 90, step=timedelta(days=1))
    assert unsaid(found, UNSAID_WITHOUT_DAYS) == ["volatility_pct", "sharpe"]
    assert found.sortino is not None
    assert found.sortino < 0


def test_a_gain_that_no_year_could_hold_is_not_said():
    found = measured(1, 10, 60, step=timedelta(days=1))
    assert unsaid(found, UNSAID_WITHOUT_DAYS[:4]) == list(UNSAID_WITHOUT_DAYS[:4])


def test_an_equity_that_was_lost_has_no_ratio():
    for last in (0, -5):
        found = measured(100, 50, last, step=timedelta(days=1))
        assert unsaid(found, UNSAID_WITHOUT_DAYS) == list(UNSAID_WITHOUT_DAYS)
        assert found.return_pct == last - 100


def test_a_run_without_bars_or_money_is_our_own_bug():
    bars = bars_of(curve(1))
    for equity, those in [([], bars), (curve(1), []), (curve(0), bars)]:
        with pytest.raises(BrokenInvariant):
            measure((), equity, those)


# ---- for JSON


def test_json_has_strings_of_eight_decimals_whole_seconds_and_null():
    found = measured(1000, 990, 1001, trades=(trade("2", 0, 1), trade("-1", 1, 2))).as_json()
    assert json.loads(json.dumps(found)) == found
    assert found["max_drawdown"] == "10.00000000"
    assert found["max_drawdown_pct"] == "1.00000000"
    assert found["drawdown_started_at"] == "2026-01-01T01:00:00Z"
    assert found["average_duration"] == 3600
    assert found["trades"] == 2
    assert found["sharpe"] is None


amounts = st.decimals("0.01", "1e9", places=8)


@settings(deadline=None, max_examples=60)
@given(st.lists(amounts, min_size=1, max_size=60), st.sampled_from([1, 12, 24, 24 * 400]))
def test_no_curve_gives_anything_but_numbers_and_none(values, hours):
    step = HOUR * hours
    trades = tuple(trade(str(after - before)) for before, after in pairwise(values))
    equity = curve(*values, step=step)
    for value in measure(trades, equity, bars_of(equity, step)).as_json().values():
        assert value is None or isinstance(value, int) or value == value.strip()
        assert "NaN" not in str(value)
        assert "Inf" not in str(value)
    assert measure((), equity, bars_of(equity, step)).max_drawdown >= ZERO
