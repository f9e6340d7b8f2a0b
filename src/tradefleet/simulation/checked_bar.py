"""Build a bar whose numbers the caller has checked, without paying for a second check.

A recorded or generated series has hundreds of thousands of bars, each checked with the line it
stands on. Setting the slots directly makes such a bar about ten times as fast as calling `Bar`.
"""

from datetime import datetime
from decimal import Decimal

from tradefleet.domain.market import Bar

_new = object.__new__
_set_opened_at, _set_open, _set_high, _set_low, _set_close, _set_volume, _set_numbers = (
    Bar.__dict__[name].__set__
    for name in ("opened_at", "open", "high", "low", "close", "volume", "numbers")
)


def checked_bar(
    opened_at: datetime,
    open_: Decimal,
    high: Decimal,
    low: Decimal,
    close: Decimal,
    volume: Decimal,
    numbers: tuple[float, float, float, float, float],
) -> Bar:
    """Return the bar; numbers must be the same five values as floats, and possible ones."""
    bar = _new(Bar)
    _set_opened_at(bar, opened_at)
    _set_open(bar, open_)
    _set_high(bar, high)
    _set_low(bar, low)
    _set_close(bar, close)
    _set_volume(bar, volume)
    _set_numbers(bar, numbers)
    return bar
