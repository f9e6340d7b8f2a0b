"""/pnl: realised profit by day, week, month or year, net of fees."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from tradefleet.command import TRADES_MAX, CommandSpec, Context, Reply, Route
from tradefleet.domain.errors import Refused
from tradefleet.domain.money import MONEY, ZERO, to_unit
from tradefleet.domain.performance import Performance
from tradefleet.domain.position import Trade
from tradefleet.drawing import DOLLARS, money, percent

MONTHS_MAX = 120
FORMATS = {"daily": "%Y-%m-%d", "weekly": "%G-W%V", "monthly": "%Y-%m", "yearly": "%Y"}


@dataclass(frozen=True, slots=True)
class Pnl:
    period: str = "monthly"
    months: int = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What the trades closed in a period came to: pnl is gross_pnl less fees.

    volume: all that was paid and received.
    """

    period: str
    trades: int
    winners: int
    losers: int
    win_rate: Decimal
    pnl: Decimal
    gross_pnl: Decimal
    fees: Decimal
    cumulative_pnl: Decimal
    volume: Decimal


@dataclass(frozen=True, slots=True)
class Results:
    """By period, those without a trade left out, the oldest first; overall is their sum."""

    period_type: str
    periods: tuple[Result, ...]
    overall: Result


async def pnl(request: Pnl, context: Context) -> Reply:
    kind = request.period.lower()
    if kind not in FORMATS:
        raise Refused(f"The period is one of: {', '.join(FORMATS)}.")
    if not 1 <= request.months <= MONTHS_MAX:
        raise Refused(f"Ask for 1 to {MONTHS_MAX} months.")
    since = first_of(context.clock.now(), request.months)
    found = await context.store.trades(since=since, limit=TRADES_MAX)
    trades = [trade for trade in found if trade.symbol.quote in DOLLARS]
    grouped: dict[str, list[Trade]] = {}
    for trade in trades:
        name = trade.closed_at.astimezone(UTC).strftime(FORMATS[kind])
        grouped.setdefault(name, []).append(trade)
    results: list[Result] = []
    for name, inside in grouped.items():
        before = results[-1].cumulative_pnl if results else ZERO
        results.append(result_of(name, inside, before))
    data = Results(kind, tuple(results), result_of("overall", trades, ZERO))
    if not results:
        return Reply(text="💰 No closed trades in that time.", data=data)
    return Reply(
        text=f"💰 Profit by period ({kind})",
        columns=("Period", "Trades", "Win rate", "PnL", "Fees", "In all"),
        rows=tuple(map(row, results)),
        data=data,
    )


def first_of(now: datetime, months: int) -> datetime:
    """Return the beginning of the month that is so many months back, this one counted."""
    number = now.year * 12 + now.month - months
    return datetime(number // 12, number % 12 + 1, 1, tzinfo=UTC)


def result_of(period: str, trades: Sequence[Trade], before: Decimal) -> Result:
    measured = Performance.of(trades)
    volume = sum((MONEY.multiply(t.quantity, t.entry_price + t.exit_price) for t in trades), ZERO)
    return Result(
        period=period,
        trades=measured.trades,
        winners=measured.winners,
        losers=measured.losers,
        win_rate=measured.win_rate,
        pnl=measured.pnl,
        gross_pnl=measured.gross_pnl,
        fees=measured.fees,
        cumulative_pnl=before + measured.pnl,
        volume=to_unit(volume),
    )


def row(result: Result) -> tuple[str, ...]:
    amounts = (result.pnl, result.fees, result.cumulative_pnl)
    shown = (money(amount, "USD") for amount in amounts)
    return (result.period, str(result.trades), percent(result.win_rate), *shown)


COMMAND = CommandSpec(
    name="pnl",
    summary="Profit by day, week, month or year",
    usage="/pnl [period] [months]",
    example="/pnl monthly 12",
    request=Pnl,
    handler=pnl,
    place=10,
    refreshes=True,
    route=Route("GET", "/trade/pnl"),
    data=Results,
)
