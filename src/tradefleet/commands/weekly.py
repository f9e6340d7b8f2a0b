"""/weekly: realised profit week by week (UTC), net of fees."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from tradefleet.command import TRADES_MAX, CommandSpec, Context, Reply, Route
from tradefleet.domain.errors import Refused
from tradefleet.domain.performance import Performance, by_quote
from tradefleet.domain.periods import weeks
from tradefleet.drawing import money, percent

MOST = 52


@dataclass(frozen=True, slots=True)
class Weekly:
    weeks: int = 8


@dataclass(frozen=True, slots=True)
class WeekProfit:
    """What the trades closed in a week came to, in one quote; week: its first day."""

    week: date
    quote: str
    trades: int
    win_rate: Decimal
    pnl: Decimal
    fees: Decimal


@dataclass(frozen=True, slots=True)
class Weeks:
    weeks: tuple[WeekProfit, ...]


async def weekly(request: Weekly, context: Context) -> Reply:
    if not 1 <= request.weeks <= MOST:
        raise Refused(f"Ask for 1 to {MOST} weeks.")
    periods = weeks(context.clock.now(), request.weeks)
    trades = await context.store.trades(since=periods[-1].since, limit=TRADES_MAX)
    found = [
        measured(period.day, quote, Performance.of([t for t in own if period.holds(t.closed_at)]))
        for quote, own in by_quote(trades).items()
        for period in periods
    ]
    text = f"📅 Weekly Profit ({request.weeks} weeks)"
    if not found:
        text += "\nNo closed trades in this time."
    alone = len({each.quote for each in found}) == 1
    return Reply(
        text=text,
        columns=("Week", "Trades", "Win rate", "PnL", "Fees"),
        rows=tuple(row(each, alone=alone) for each in found),
        data=Weeks(tuple(found)),
    )


def measured(week: date, quote: str, result: Performance) -> WeekProfit:
    return WeekProfit(week, quote, result.trades, result.win_rate, result.pnl, result.fees)


def row(each: WeekProfit, *, alone: bool) -> tuple[str, ...]:
    return (
        str(each.week) if alone else f"{each.week} {each.quote}",
        str(each.trades),
        percent(each.win_rate),
        money(each.pnl, each.quote),
        money(each.fees, each.quote),
    )


COMMAND = CommandSpec(
    name="weekly",
    summary="Profit week by week",
    usage="/weekly [weeks]",
    example="/weekly 8",
    request=Weekly,
    handler=weekly,
    place=7,
    refreshes=True,
    route=Route("GET", "/performance/weekly"),
    data=Weeks,
)
