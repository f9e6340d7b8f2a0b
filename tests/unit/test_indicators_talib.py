"""Indicators against TA-Lib, where both mean the same."""

import numpy
import pytest
import talib

from tests.bars import RECORDED, generated, recorded
from tests.unit.test_indicators import RsiValues, numbers_of, values
from tradefleet.indicators.adx import new_adx
from tradefleet.indicators.atr import new_atr
from tradefleet.indicators.averages import Ema, Window
from tradefleet.indicators.trend import new_trend

SETTLED = 600  # bars after which it no longer shows how an average was seeded


@pytest.fixture(params=["generated", *RECORDED])
def bars(request):
    kept = generated(11, 3000) if request.param == "generated" else recorded(request.param)
    return numbers_of(kept)


def columns(bars):
    return numpy.array(bars).T


def closes_of(bars):
    return [bar[3] for bar in bars]


def check(ours, theirs, start=0, **tolerance):
    ours, theirs = numpy.array(ours)[start:], theirs[start:]
    numpy.testing.assert_allclose(ours, theirs, **tolerance)
    assert not numpy.isnan(ours[-1])


def test_ema(bars):
    for period in (9, 21, 50):
        ema = Ema(period)
        ours = [ema.update(close) for close in closes_of(bars)]
        check(ours, talib.EMA(columns(bars)[3], period), SETTLED, rtol=1e-9)


def test_trend(bars):
    take = new_trend((9, 21, 50), (12, 26, 9))
    close = columns(bars)[3]
    *emas, histogram = zip(*map(take, closes_of(bars)), strict=True)
    for ours, period in zip(emas, (9, 21, 50), strict=True):
        check(ours, talib.EMA(close, period), SETTLED, rtol=1e-9)
    check(histogram, talib.MACD(close, 12, 26, 9)[2], SETTLED, rtol=0, atol=1e-11 * close.max())


def test_atr_of_simple_means(bars):
    _, high, low, close, _ = columns(bars)
    ranges = talib.TRANGE(high, low, close)[1:]
    check(values(new_atr(14, "simple"), bars)[1:], talib.SMA(ranges, 14), rtol=1e-8)


def test_atr_of_wilder(bars):
    _, high, low, close, _ = columns(bars)
    check(values(new_atr(14, "wilder"), bars), talib.ATR(high, low, close, 14), rtol=1e-9)


def test_rsi_of_simple_means(bars):
    changes = numpy.diff(columns(bars)[3])
    gain, loss = (talib.SMA(numpy.maximum(sign * changes, 0), 14) for sign in (1, -1))
    ours = numpy.array(values(RsiValues(14, "simple"), bars)[1:])
    moved = gain + loss > 1e-12  # TA-Lib's running sums drift
    gain, loss = gain[moved], loss[moved]
    check(ours[moved], 100 * gain / (gain + loss), rtol=0, atol=1e-3)


def test_rsi_of_wilder(bars):
    theirs = talib.RSI(columns(bars)[3], 14)
    check(values(RsiValues(14, "wilder"), bars), theirs, rtol=0, atol=1e-6)


def test_adx_of_wilder(bars):
    _, high, low, close, _ = columns(bars)
    theirs = talib.ADX(high, low, close, 14)
    check(values(new_adx(14, "wilder"), bars), theirs, SETTLED, rtol=0, atol=1e-5)


def test_directional_movement(bars):
    """Its simple means over 14 bars are TA-Lib's, where DX follows from them as we define it."""
    _, high, low, _, _ = columns(bars)
    plus, minus = talib.PLUS_DM(high, low, 1)[1:], talib.MINUS_DM(high, low, 1)[1:]
    p, m = (numpy.convolve(x, numpy.ones(14), "valid") for x in (plus, minus))
    moved = p + m
    dx = numpy.where(moved > 0, 100 * abs(p - m) / numpy.where(moved > 0, moved, 1), 0)
    theirs = numpy.convolve(dx, numpy.ones(14) / 14, "valid")
    check(values(new_adx(14, "simple"), bars)[27:], theirs, rtol=0, atol=1e-5)


def test_lowest(bars):
    _, _, low, _, _ = columns(bars)
    lows, found = Window(10), []
    for bar in bars:
        lows.update(bar[2])
        found.append(lows.lowest())
    check(found, talib.MIN(low, 10), rtol=0)
