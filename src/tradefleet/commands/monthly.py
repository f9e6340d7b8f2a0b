"""/monthly: realised profit month by month (UTC), net of fees."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from tradefleet.command import TRADES_MAX, CommandSpec, Context, Reply, Route
from tradefleet.domain.errors import Refused
from tradefleet.domain.performance import Performance, by_quote
from tradefleet.domain.periods import months
from tradefleet.drawing import money, percent

MOST = 36


@dataclass(frozen=True, slots=True)
class Monthly:
    months: int = 6


@dataclass(frozen=True, slots=True)
class MonthProfit:
    """What the trades closed in a month came to, in one quote; month: its first day."""

    month: date
    quote: str
    trades: int
    win_rate: Decimal
    pnl: Decimal
    fees: Decimal


@dataclass(frozen=True, slots=True)
class Months:
    months: tuple[MonthProfit, ...]


async def monthly(request: Monthly, context: Context) -> Reply:
    if not 1 <= request.months <= MOST:
        raise Refused(f"Ask for 1 to {MOST} months.")
    periods = months(context.clock.now(), request.months)
    trades = await context.store.trades(since=periods[-1].since, limit=TRADES_MAX)
    found = [
        measured(period.day, quote, Performance.of([t for t in own if period.holds(t.closed_at)]))
        for quote, own in by_quote(trades).items()
        for period in periods
    ]
    text = f"📅 Monthly Profit ({request.months} months)"
    if not found:
        text += "\nNo closed trades in this time."
    alone = len({each.quote for each in found}) == 1
    return Reply(
        text=text,
        columns=("Month", "Trades", "Win rate", "PnL", "Fees"),
        rows=tuple(row(each, alone=alone) for each in found),
        data=Months(tuple(found)),
    )


def measured(month: date, quote: str, result: Performance) -> MonthProfit:
    return MonthProfit(month, quote, result.trades, result.win_rate, result.pnl, result.fees)


def row(each: MonthProfit, *, alone: bool) -> tuple[str, ...]:
    return (
        f"{each.month:%Y-%m}" if alone else f"{each.month:%Y-%m} {each.quote}",
        str(each.trades),
        percent(each.win_rate),
        money(each.pnl, each.quote),
        money(each.fees, each.quote),
    )


COMMAND = CommandSpec(
    name="monthly",
    summary="Profit month by month",
    usage="/monthly [months]",
    example="/monthly 6",
    request=Monthly,
    handler=monthly,
    place=7,
    refreshes=True,
    route=Route("GET", "/performance/monthly"),
    data=Months,
)
