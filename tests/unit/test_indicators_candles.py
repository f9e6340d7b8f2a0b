"""Candles: each shape, its mirror, and the bars that only look like it."""

import pytest

from tradefleet.indicators.candles import engulfs, is_hammer


def mirrored(bar):
    open_, high, low, close, volume = bar
    return (20.0 - open_, 20.0 - low, 20.0 - high, 20.0 - close, volume)


def candle(open_, close, low=None, high=None):
    low = min(open_, close) if low is None else low
    return (open_, max(open_, close) if high is None else high, low, close, 1.0)


RED = candle(10.0, 9.0)


@pytest.mark.parametrize(
    ("last", "bar", "holds"),
    [
        (RED, candle(8.9, 10.1), True),
        (RED, candle(9.0, 10.1), True),  # touching one end is enough
        (RED, candle(8.9, 10.0), True),
        (RED, candle(9.0, 10.0), False),  # not strictly larger
        (RED, candle(9.0 - 1e-12, 10.0 + 1e-12), False),  # larger only in the last places
        (RED, candle(9.1, 10.5), False),  # opened inside
        (RED, candle(8.5, 9.9), False),  # closed inside
        (RED, candle(10.1, 8.9), False),  # same colour
        (RED, candle(9.5, 9.5), False),  # no body
        (candle(9.0, 10.0), candle(8.9, 10.1), False),  # nothing to engulf
        (candle(9.5, 9.5), candle(8.9, 10.1), False),
    ],
)
def test_engulfing(last, bar, holds):
    assert engulfs(last, bar, 1) is holds
    assert engulfs(mirrored(last), mirrored(bar), -1) is holds
    assert not engulfs(mirrored(last), mirrored(bar), 1)


@pytest.mark.parametrize(
    ("bar", "holds"),
    [
        (candle(10.0, 10.1, low=9.5, high=10.2), True),
        (candle(10.1, 10.0, low=9.5, high=10.2), True),  # any colour
        (candle(10.0, 10.0, low=9.5), True),  # no body
        (candle(10.0, 10.0), False),  # no range
        (candle(10.0, 10.25, low=9.5), False),  # wick is just twice the body
        (candle(10.0, 10.1, low=9.7, high=10.2), False),  # wick is just 0.6 of the range
        (candle(10.0, 10.1, low=9.9, high=10.9), False),
    ],
)
def test_hammer(bar, holds):
    assert is_hammer(bar, 1, 2.0, 0.6) is holds
    assert is_hammer(mirrored(bar), -1, 2.0, 0.6) is holds
