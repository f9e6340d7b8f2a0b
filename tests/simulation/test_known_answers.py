"""Known answers on recorded bars: what an independent implementation of the rules comes to."""

from decimal import Decimal

import pytest

from tests.bars import recorded
from tests.played import built, played
from tradefleet.domain.money import show


@pytest.mark.parametrize(
    ("file", "symbol", "strategy", "signals", "trades", "equity"),
    [
        ("ETH_BTC-5m", "ETH/BTC", "apex", 1054, 116, "9.77417893"),
        ("TRX_BTC-5m", "TRX/BTC", "apex", 833, 82, "9.75109915"),
        ("XRP_ETH-1m", "XRP/ETH", "apex", 218, 42, "9.96088066"),
        ("ETH_BTC-5m", "ETH/BTC", "ema_cross", 320, 159, "9.50993998"),
    ],
)
def test_what_a_strategy_comes_to(file, symbol, strategy, signals, trades, equity):
    bars = recorded(file)
    test = played(
        built(strategy), bars, balance=10, symbol=symbol, timeframe=file.rpartition("-")[2]
    )

    assert (test.signals, len(test.trades)) == (signals, trades)
    assert show(test.equity(bars)[-1][1]) == equity
    won = sum(trade.pnl for trade in test.trades)
    if test.engine.position is None:
        assert test.engine.cash == Decimal(10) + won
