"""The EMA cross strategy in NautilusTrader: its compiled engine, venue, cash account and orders."""

import time
from decimal import Decimal
from typing import Any

import nautilus_trader
import pandas as pd
from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.config import LoggingConfig, RiskEngineConfig, StrategyConfig
from nautilus_trader.indicators import AverageTrueRange, ExponentialMovingAverage
from nautilus_trader.model.currencies import BTC, USDT
from nautilus_trader.model.data import Bar as NautilusBar
from nautilus_trader.model.data import BarType
from nautilus_trader.model.enums import AccountType, OmsType, OrderSide
from nautilus_trader.model.identifiers import InstrumentId, Symbol, Venue
from nautilus_trader.model.instruments import CurrencyPair
from nautilus_trader.model.objects import Money, Price, Quantity
from nautilus_trader.persistence.wranglers import BarDataWrangler
from nautilus_trader.trading.strategy import Strategy

from benchmarks.ema_cross import ATR, BALANCE, FAST, FEE, SIZE, SLOW, STOP_ATR, WARMUP
from tradefleet.domain.market import Bar

NAME = "nautilus_trader"
VERSION = nautilus_trader.__version__
VENUE = Venue("SIM")
PAIR = CurrencyPair(
    instrument_id=InstrumentId(Symbol("BTCUSDT"), VENUE),
    raw_symbol=Symbol("BTCUSDT"),
    base_currency=BTC,
    quote_currency=USDT,
    price_precision=2,
    size_precision=8,
    price_increment=Price.from_str("0.01"),
    size_increment=Quantity.from_str("0.00000001"),
    maker_fee=Decimal(str(FEE)),
    taker_fee=Decimal(str(FEE)),
    ts_event=0,
    ts_init=0,
)
BARS = BarType.from_str(f"{PAIR.id}-1-MINUTE-LAST-EXTERNAL")


class EmaCrossConfig(StrategyConfig, frozen=True):
    """Nothing to set: the figures are those of every engine."""


class EmaCross(Strategy):
    """Long on a cross up, out on a cross down or at a fixed stop."""

    def __init__(self) -> None:
        super().__init__(EmaCrossConfig())
        self.fast = ExponentialMovingAverage(FAST)
        self.slow = ExponentialMovingAverage(SLOW)
        self.atr = AverageTrueRange(ATR)
        self.bars, self.was_above = 0, False

    def on_start(self) -> None:
        for indicator in (self.fast, self.slow, self.atr):
            self.register_indicator_for_bars(BARS, indicator)
        self.subscribe_bars(BARS)

    def on_bar(self, bar: NautilusBar) -> None:
        above, was_above = self.fast.value > self.slow.value, self.was_above
        self.was_above = above
        self.bars += 1
        if self.bars < WARMUP or above == was_above:
            return
        flat = self.portfolio.is_flat(PAIR.id)
        if above and flat:
            self.enter(bar.close.as_double())
        elif not above and not flat:
            self.cancel_all_orders(PAIR.id)
            self.close_all_positions(PAIR.id)

    def enter(self, close: float) -> None:
        """Buy a share of the balance and guard it with a stop."""
        balance = self.portfolio.account(VENUE).balance_free(USDT).as_double()
        quantity = PAIR.make_qty(balance * SIZE / close)
        make = self.order_factory
        self.submit_order(make.market(PAIR.id, OrderSide.BUY, quantity))
        stop = PAIR.make_price(close - STOP_ATR * self.atr.value)
        self.submit_order(make.stop_market(PAIR.id, OrderSide.SELL, quantity, trigger_price=stop))


def run(bars: list[Bar]) -> dict[str, Any]:
    """Return the seconds it took over the bars, and the trades it found."""
    frame = pd.DataFrame(
        [bar.numbers for bar in bars],
        columns=["open", "high", "low", "close", "volume"],
        index=pd.DatetimeIndex([bar.opened_at for bar in bars], name="timestamp"),
    )
    # Quiet, and without the checks of a live risk engine: its best case.
    config = BacktestEngineConfig(
        logging=LoggingConfig(bypass_logging=True),
        risk_engine=RiskEngineConfig(bypass=True),
        run_analysis=False,
    )
    engine = BacktestEngine(config=config)
    engine.add_venue(
        venue=VENUE,
        oms_type=OmsType.NETTING,
        account_type=AccountType.CASH,
        starting_balances=[Money(BALANCE, USDT), Money(0, BTC)],
    )
    engine.add_instrument(PAIR)
    engine.add_data(BarDataWrangler(BARS, PAIR).process(frame))
    engine.add_strategy(EmaCross())
    started = time.perf_counter()
    engine.run()
    seconds = time.perf_counter() - started
    closed = len(engine.cache.position_snapshots()) + engine.cache.positions_closed_count()
    engine.dispose()
    return {"seconds": seconds, "trades": closed}
