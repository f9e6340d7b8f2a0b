"""Shapes of one or two bars. direction is 1 for the bullish shape, -1 for its mirror."""

from tradefleet.indicators import Numbers
from tradefleet.indicators.tolerance import PRICE


def engulfs(last: Numbers, bar: Numbers, direction: int) -> bool:
    """Say whether a bar's body covers the opposite body before it and is strictly larger."""
    open_, _, _, close, _ = bar
    margin = PRICE * close
    body = direction * (close - open_)
    body_before = direction * (last[0] - last[3])
    return (
        body_before > margin
        and body > margin
        and direction * (open_ - last[3]) <= margin
        and direction * (last[0] - close) <= margin
        and body - body_before > margin
    )


def is_hammer(bar: Numbers, direction: int, wick_body: float, wick_range: float) -> bool:
    """Say whether the wick against the direction is the larger part of the bar.

    It must exceed wick_body times the body and wick_range times the range; the colour does
    not matter and the body may be nothing.
    """
    open_, high, low, close, _ = bar
    if direction > 0:
        wick = (open_ if open_ < close else close) - low
    else:
        wick = high - (open_ if open_ > close else close)
    margin = PRICE * close
    return (
        wick - wick_range * (high - low) > margin
        and wick - wick_body * abs(close - open_) > margin
        and high - low > margin
    )
