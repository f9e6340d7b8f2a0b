"""/daily: realised profit day by day (UTC), net of fees."""

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from tradefleet.command import TRADES_MAX, CommandSpec, Context, Reply, Route
from tradefleet.domain.errors import Refused
from tradefleet.domain.performance import Performance, by_quote
from tradefleet.drawing import money

DAYS_MAX = 90


@dataclass(frozen=True, slots=True)
class Daily:
    days: int = 7


@dataclass(frozen=True, slots=True)
class DayProfit:
    """What the trades closed on a day came to, in one quote."""

    day: date
    quote: str
    trades: int
    pnl: Decimal
    fees: Decimal


@dataclass(frozen=True, slots=True)
class Days:
    days: tuple[DayProfit, ...]


async def daily(request: Daily, context: Context) -> Reply:
    if not 1 <= request.days <= DAYS_MAX:
        raise Refused(f"Ask for 1 to {DAYS_MAX} days.")
    midnight = context.clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
    since = midnight - timedelta(days=request.days - 1)
    trades = await context.store.trades(since=since, limit=TRADES_MAX)
    days = [(since + timedelta(days=n)).date() for n in reversed(range(request.days))]
    found = [
        measured(day, quote, Performance.of([t for t in of_quote if t.closed_at.date() == day]))
        for quote, of_quote in by_quote(trades).items()
        for day in days
    ]
    text = f"📅 Daily Profit ({request.days} days)"
    if not found:
        text += "\nNo closed trades in this time."
    alone = len({each.quote for each in found}) == 1
    rows = tuple(row(each, alone=alone) for each in found)
    return Reply(
        text=text, columns=("Day", "Trades", "PnL", "Fees"), rows=rows, data=Days(tuple(found))
    )


def measured(day: date, quote: str, result: Performance) -> DayProfit:
    return DayProfit(day, quote, result.trades, result.pnl, result.fees)


def row(each: DayProfit, *, alone: bool) -> tuple[str, ...]:
    return (
        str(each.day) if alone else f"{each.day} {each.quote}",
        str(each.trades),
        money(each.pnl, each.quote),
        money(each.fees, each.quote),
    )


COMMAND = CommandSpec(
    name="daily",
    summary="Profit day by day",
    usage="/daily [days]",
    example="/daily 7",
    request=Daily,
    handler=daily,
    place=7,
    refreshes=True,
    route=Route("GET", "/performance/daily"),
    data=Days,
)
