"""What a backtest came to, in the usual figures; what has no value is None, never NaN.

Sources: freqtrade (freqtrade/data/metrics.py) for expectancy, market change and streaks,
backtesting.py (backtesting/_stats.py) for exposure, SQN and all that is annualised; see yearly.py.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import groupby
from operator import attrgetter

from tradefleet.domain.errors import ensure
from tradefleet.domain.market import Bar
from tradefleet.domain.money import ONE, ZERO, money_context, show
from tradefleet.domain.position import Trade
from tradefleet.simulation.drawdown import deepest_drawdown
from tradefleet.simulation.yearly import yearly

HUNDRED = Decimal(100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """Money is in quote; _pct is in percent; None: it cannot be said.

    profit: change of the equity, open position included; expectancy: mean profit of a trade;
    profit_factor: won / lost; exposure: share of the bars during which a position was held;
    market_change: from the first close to the last; average, best and worst trade: share of
    what was paid; sqn: Van Tharp's system quality number, sqrt(n) * mean / deviation.
    """

    started_at: datetime
    ended_at: datetime
    bars: int
    start_equity: Decimal
    final_equity: Decimal
    profit: Decimal
    return_pct: Decimal
    market_change_pct: Decimal
    exposure_pct: Decimal
    annual_return_pct: Decimal | None
    cagr_pct: Decimal | None
    volatility_pct: Decimal | None
    sharpe: Decimal | None
    sortino: Decimal | None
    calmar: Decimal | None
    max_drawdown: Decimal
    max_drawdown_pct: Decimal
    drawdown_started_at: datetime | None
    drawdown_trough_at: datetime | None
    drawdown_recovered_at: datetime | None
    trades: int
    wins: int
    losses: int
    win_rate_pct: Decimal | None
    profit_factor: Decimal | None
    expectancy: Decimal | None
    average_win: Decimal | None
    average_loss: Decimal | None
    average_trade_pct: Decimal | None
    best_trade_pct: Decimal | None
    worst_trade_pct: Decimal | None
    average_duration: timedelta | None
    longest_losing_streak: int
    total_fees: Decimal
    sqn: Decimal | None

    def as_json(self) -> dict[str, str | int | None]:
        """Return the figures for JSON: numbers as strings of 8 decimals, durations in seconds."""
        return {field.name: _plain(getattr(self, field.name)) for field in fields(self)}


def measure(
    trades: Sequence[Trade],
    equity: Sequence[tuple[datetime, Decimal]],
    bars: Sequence[Bar],
    *,
    open_since: datetime | None = None,
) -> Metrics:
    """Return the figures of a run: closed trades, equity after each bar, the bars themselves.

    open_since: when a position that is still open at the end was opened.
    """
    ensure(bool(equity) and bool(bars), "a run without bars cannot be measured")
    (started_at, first), (ended_at, last) = equity[0], equity[-1]
    ensure(first > ZERO, "a run that starts with nothing cannot be measured")
    with money_context():
        fall = deepest_drawdown(equity)
        year = yearly(equity, fall.share if fall else ZERO)
        profits = [trade.pnl for trade in trades]
        won = [profit for profit in profits if profit > 0]
        lost = [profit for profit in profits if profit < 0]
        shares = [trade.pnl_percentage for trade in trades]
        held = [(trade.opened_at, trade.closed_at) for trade in trades]
        if open_since is not None:
            held.append((open_since, bars[-1].opened_at))
        return Metrics(
            started_at=started_at,
            ended_at=ended_at,
            bars=len(bars),
            start_equity=first,
            final_equity=last,
            profit=last - first,
            return_pct=(last / first - ONE) * HUNDRED,
            market_change_pct=(bars[-1].close / bars[0].close - ONE) * HUNDRED,
            exposure_pct=_bars_held(held, bars) * HUNDRED / len(bars),
            annual_return_pct=_percent(year.growth),
            cagr_pct=_percent(year.cagr),
            volatility_pct=_percent(year.volatility),
            sharpe=year.sharpe,
            sortino=year.sortino,
            calmar=year.calmar,
            max_drawdown=fall.amount if fall else ZERO,
            max_drawdown_pct=fall.share * HUNDRED if fall else ZERO,
            drawdown_started_at=fall.peak_at if fall else None,
            drawdown_trough_at=fall.trough_at if fall else None,
            drawdown_recovered_at=fall.recovered_at if fall else None,
            trades=len(trades),
            wins=len(won),
            losses=len(lost),
            win_rate_pct=HUNDRED * len(won) / len(trades) if trades else None,
            profit_factor=sum(won, ZERO) / -sum(lost, ZERO) if lost else None,
            expectancy=_mean(profits),
            average_win=_mean(won),
            average_loss=_mean(lost),
            average_trade_pct=_mean(shares),
            best_trade_pct=max(shares, default=None),
            worst_trade_pct=min(shares, default=None),
            average_duration=_mean_length(trades),
            longest_losing_streak=_longest_streak(profit < 0 for profit in profits),
            total_fees=sum((trade.fees for trade in trades), ZERO),
            sqn=_quality(profits),
        )


def _bars_held(held: Iterable[tuple[datetime, datetime]], bars: Sequence[Bar]) -> int:
    """Return how many bars some position touched; entry and exit bars count in full."""
    count = end = 0
    opened_at = attrgetter("opened_at")
    for start, stop in sorted(held):
        first = max(bisect_left(bars, start, key=opened_at), end)
        end = max(bisect_right(bars, stop, key=opened_at), end)
        count += max(0, end - first)
    return count


def _quality(profits: Sequence[Decimal]) -> Decimal | None:
    if len(profits) < 2:
        return None
    count = Decimal(len(profits))
    mean = sum(profits, ZERO) / count
    variance = sum(((profit - mean) ** 2 for profit in profits), ZERO) / (count - 1)
    return count.sqrt() * mean / variance.sqrt() if variance else None


def _longest_streak(outcomes: Iterable[bool]) -> int:
    return max((sum(1 for _ in run) for lost, run in groupby(outcomes) if lost), default=0)


def _mean(values: Sequence[Decimal]) -> Decimal | None:
    return sum(values, ZERO) / len(values) if values else None


def _mean_length(trades: Sequence[Trade]) -> timedelta | None:
    if not trades:
        return None
    return sum((t.closed_at - t.opened_at for t in trades), timedelta(0)) / len(trades)


def _percent(share: Decimal | None) -> Decimal | None:
    return None if share is None else share * HUNDRED


def _plain(value: Decimal | datetime | timedelta | int | None) -> str | int | None:
    match value:
        case Decimal():
            return show(value)
        case datetime():
            return f"{value:%Y-%m-%dT%H:%M:%SZ}"
        case timedelta():
            return int(value.total_seconds())
        case _:
            return value
