"""What a series of trades came to."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradefleet.domain.ids import AccountId, BotId, UserId
from tradefleet.domain.market import Symbol
from tradefleet.domain.performance import Performance, by_quote
from tradefleet.domain.position import Trade

AT = datetime(2026, 1, 1, tzinfo=UTC)


def trade(pnl: str | Decimal, symbol: str = "BTC/USDT") -> Trade:
    return Trade(
        id="t",
        user_id=UserId("u"),
        account_id=AccountId("a"),
        bot_id=BotId("b"),
        symbol=Symbol.parse(symbol),
        opened_at=AT,
        closed_at=AT,
        quantity=Decimal(1),
        entry_price=Decimal(100),
        exit_price=Decimal(100),
        gross_pnl=Decimal(pnl) + 1,
        fees=Decimal(1),
        exit_reason="stop",
    )


def measured(*results: str, balance: str = "0") -> Performance:
    return Performance.of([trade(result) for result in results], Decimal(balance))


def test_no_trades_come_to_nothing():
    nothing = measured()
    assert nothing == Performance()
    assert (nothing.win_rate, nothing.profit_factor, nothing.expectancy) == (0, None, 0)
    assert (nothing.pnl, nothing.losers, nothing.best, nothing.worst) == (0, 0, None, None)


def test_the_figures_of_winners_and_losers():
    result = measured("10", "-4", "6", "-2")
    assert (result.trades, result.winners, result.losers) == (4, 2, 2)
    assert (result.won, result.lost, result.pnl) == (16, -6, 10)
    assert (result.gross_pnl, result.fees) == (14, 4)
    assert (result.win_rate, result.expectancy) == (Decimal("0.5"), Decimal("2.5"))
    assert result.profit_factor == pytest.approx(Decimal(16) / 6)
    assert (result.best.pnl, result.worst.pnl) == (10, -4)


def test_zero_is_no_winner_and_nothing_lost_has_no_factor():
    result = measured("0", "5")
    assert (result.winners, result.losers, result.profit_factor) == (1, 1, None)


@pytest.mark.parametrize(
    ("results", "drawdown", "share"),
    [
        (["10", "20"], "0", "0"),
        (["-10"], "10", "0.1"),
        (["100", "-55", "10", "-10"], "55", "0.05"),
        (["100", "-55", "100", "-69"], "69", "0.06"),
        (["-50", "-50", "200", "-110"], "110", "0.1"),
    ],
)
def test_the_drawdown_is_the_deepest_fall_from_a_peak(results, drawdown, share):
    result = measured(*results, balance="1000" if len(results) > 1 else "100")
    assert result.drawdown == Decimal(drawdown)
    assert round(result.drawdown_share, 2) == Decimal(share)


def test_without_a_balance_a_drawdown_has_no_share():
    assert (measured("-10").drawdown, measured("-10").drawdown_share) == (10, 0)


@given(st.lists(st.decimals(-1000, 1000, places=8), max_size=20))
def test_the_figures_never_contradict_each_other(results):
    result = Performance.of([trade(each) for each in results], Decimal(100_000))
    assert result.pnl == result.gross_pnl - result.fees == sum(results)
    assert result.winners + result.losers == result.trades
    assert 0 <= result.win_rate <= 1
    assert result.lost <= 0 <= result.won
    assert 0 <= result.drawdown_share <= 1
    assert result.drawdown >= -min([0, *results])


def test_trades_are_told_apart_by_quote():
    trades = [trade("1"), trade("2", "ETH/BTC"), trade("3", "ETH/USDT")]
    assert by_quote(trades) == {"USDT": [trades[0], trades[2]], "BTC": [trades[1]]}
