"""What the chart of a report draws: candles, equity and trades, thinned to what a page can hold."""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import TypeAlias

from tradefleet.domain.market import Bar
from tradefleet.domain.position import Trade

CANDLES_MAX = 20_000
MARKS_MAX = 5_000
DIGITS_MAX = 8
STEPS_LOOKED_AT = 100

Equity: TypeAlias = Sequence[tuple[datetime, Decimal]]


def bars_per_candle(bars: Sequence[Bar]) -> int:
    """Return how many bars are drawn as one candle."""
    return -(-len(bars) // CANDLES_MAX)


def bar_length(bars: Sequence[Bar]) -> timedelta:
    """Return the timeframe, as far as the bars tell: the shortest step between them."""
    opened = [bar.opened_at for bar in bars[: STEPS_LOOKED_AT + 1]]
    return min((b - a for a, b in pairwise(opened)), default=timedelta(minutes=1))


def chart_data(bars: Sequence[Bar], trades: Sequence[Trade], equity: Equity) -> dict[str, object]:
    """Return the chart's data, ready for JSON; times are seconds since 1970."""
    size = bars_per_candle(bars)
    groups = [bars[place : place + size] for place in range(0, len(bars), size)]
    opened = [group[0].opened_at for group in groups]
    worth, drawdown = _equity_by_candle(equity, opened)
    first_close, start = bars[0].numbers[3], float(equity[0][1])
    closes = [group[-1].numbers[3] for group in groups]
    return {
        "seconds": int(bar_length(bars).total_seconds()) * size,
        "digits": _digits(bars),
        "worthDigits": 2 if start >= 100 else 6,
        "candles": {
            "time": [int(at.timestamp()) for at in opened],
            "open": [group[0].numbers[0] for group in groups],
            "high": [max(bar.numbers[1] for bar in group) for group in groups],
            "low": [min(bar.numbers[2] for bar in group) for group in groups],
            "close": closes,
            "volume": [_short(sum(bar.numbers[4] for bar in group)) for group in groups],
            "equity": worth,
            "market": [_short(start * close / first_close) for close in closes],
            "drawdown": drawdown,
        },
        "trades": [_mark(trade, opened) for trade in trades[:MARKS_MAX]],
    }


def place_of(at: datetime, opened: Sequence[datetime]) -> int:
    """Return the number of the candle that a moment falls into."""
    return max(0, bisect_right(opened, at) - 1)


def _equity_by_candle(
    equity: Equity, opened: Sequence[datetime]
) -> tuple[list[float | None], list[float | None]]:
    """Return each candle's last equity and deepest drawdown, in percent below zero."""
    worth: list[float | None] = [None] * len(opened)
    drawdown: list[float | None] = [None] * len(opened)
    place, peak = 0, float(equity[0][1])
    for at, exact in equity:
        value = float(exact)
        while place + 1 < len(opened) and opened[place + 1] < at:
            place += 1
        peak = max(peak, value)
        fall = (value / peak - 1) * 100 if peak > 0 else -100.0
        worth[place] = _short(value)
        drawdown[place] = round(min(drawdown[place] or 0.0, fall), 4)
    return worth, drawdown


def _mark(trade: Trade, opened: Sequence[datetime]) -> dict[str, object]:
    return {
        "from": place_of(trade.opened_at, opened),
        "to": place_of(trade.closed_at, opened),
        "entry": _short(float(trade.entry_price)),
        "exit": _short(float(trade.exit_price)),
        "won": trade.is_winner,
        "label": f"{trade.pnl_percentage:+.2f} %",
    }


def _digits(bars: Sequence[Bar]) -> int:
    """Return with how many decimals the latest prices are written."""
    latest = [price for bar in bars[-STEPS_LOOKED_AT:] for price in (bar.high, bar.low, bar.close)]
    return min(max(-int(price.normalize().as_tuple().exponent) for price in latest), DIGITS_MAX)


def _short(value: float) -> float:
    return float(f"{value:.10g}")
