"""The EMA cross strategy in backtesting.py: vectorised indicators, an event loop over bars."""

import os
import time
import warnings
from typing import Any

os.environ["TQDM_DISABLE"] = "1"  # before the import: no progress bar

import backtesting
import numpy as np
import pandas as pd
from backtesting import Strategy
from backtesting.lib import FractionalBacktest

from benchmarks.ema_cross import ATR, BALANCE, FAST, FEE, SIZE, SLOW, STOP_ATR, WARMUP
from tradefleet.domain.market import Bar

NAME = "backtesting.py"
VERSION = backtesting.__version__
UNIT = 1e-8  # the smallest amount traded, as in our own run


def ema(values: Any, span: int) -> Any:
    """An EMA seeded with the first value."""
    return pd.Series(values).ewm(span=span, adjust=False).mean().to_numpy()


def atr(high: Any, low: Any, close: Any, length: int) -> Any:
    """A simple mean of true ranges."""
    before = np.roll(close, 1)
    before[0] = close[0]
    ranges = np.maximum(high, before) - np.minimum(low, before)
    return pd.Series(ranges).rolling(length).mean().to_numpy()


class EmaCross(Strategy):
    """Long on a cross up, out on a cross down or at a fixed stop."""

    def init(self) -> None:
        data = self.data
        self.fast = self.I(ema, data.Close, FAST)
        self.slow = self.I(ema, data.Close, SLOW)
        self.atr = self.I(atr, data.High, data.Low, data.Close, ATR)

    def next(self) -> None:
        if len(self.data) < WARMUP:
            return
        above, was_above = self.fast[-1] > self.slow[-1], self.fast[-2] > self.slow[-2]
        if self.position:
            if not above and was_above:
                self.position.close()
        elif above and not was_above:
            self.buy(size=SIZE, sl=self.data.Close[-1] - STOP_ATR * self.atr[-1])


def run(bars: list[Bar]) -> dict[str, Any]:
    """Return the seconds it took over the bars, and the trades it found."""
    frame = pd.DataFrame(
        [bar.numbers for bar in bars],
        columns=["Open", "High", "Low", "Close", "Volume"],
        index=pd.DatetimeIndex([bar.opened_at for bar in bars]).tz_localize(None),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        started = time.perf_counter()
        test = FractionalBacktest(
            frame, EmaCross, cash=BALANCE, commission=FEE, fractional_unit=UNIT
        )
        stats = test.run()
        seconds = time.perf_counter() - started
    return {"seconds": seconds, "trades": int(stats["# Trades"])}
