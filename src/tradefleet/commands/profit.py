"""/profit: realised profit by period, net of fees, and what open positions would add."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from tradefleet.command import TRADES_MAX, CommandSpec, Context, Reply, Route
from tradefleet.domain.money import ZERO
from tradefleet.domain.performance import Performance, by_quote
from tradefleet.drawing import money, percent


@dataclass(frozen=True, slots=True)
class Profit:
    pass


@dataclass(frozen=True, slots=True)
class PeriodProfit:
    """What the trades closed in a period came to, in one quote."""

    period: str
    quote: str
    trades: int
    win_rate: Decimal
    pnl: Decimal
    fees: Decimal


@dataclass(frozen=True, slots=True)
class Profits:
    """open: what open positions stand at, by quote, net of the fees so far."""

    periods: tuple[PeriodProfit, ...]
    open: dict[str, Decimal]


async def profit(request: Profit, context: Context) -> Reply:
    trades = await context.store.trades(limit=TRADES_MAX)
    standing: dict[str, Decimal] = {}
    memories = await context.store.memories()
    for bot in await context.store.bots():
        if held := memories[bot.id].position:
            last = memories[bot.id].last_price
            quote = bot.symbol.quote
            result = held.result(held.entry_price if last is None else last)
            standing[quote] = standing.get(quote, ZERO) + result
    periods = [
        measured(period, quote, Performance.of([t for t in found if t.closed_at >= since]))
        for quote, found in by_quote(trades).items()
        for period, since in starts(context.clock.now())
    ]
    lines = ["💰 Profit" if periods else "💰 Profit\nNo closed trades yet."]
    lines += [f"Open positions: {money(gain, quote)}" for quote, gain in standing.items()]
    return Reply(
        text="\n".join(lines),
        columns=("Period", "Trades", "Win rate", "PnL", "Fees"),
        rows=tuple(row(each, alone=len({p.quote for p in periods}) == 1) for each in periods),
        data=Profits(tuple(periods), standing),
    )


def starts(now: datetime) -> list[tuple[str, datetime]]:
    """Return the periods shown and when each began (UTC)."""
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return [
        ("Today", today),
        ("7 days", today - timedelta(days=6)),
        ("30 days", today - timedelta(days=29)),
        ("All", datetime.min.replace(tzinfo=now.tzinfo)),
    ]


def measured(period: str, quote: str, result: Performance) -> PeriodProfit:
    return PeriodProfit(period, quote, result.trades, result.win_rate, result.pnl, result.fees)


def row(each: PeriodProfit, *, alone: bool) -> tuple[str, ...]:
    return (
        each.period if alone else f"{each.period} {each.quote}",
        str(each.trades),
        percent(each.win_rate),
        money(each.pnl, each.quote),
        money(each.fees, each.quote),
    )


COMMAND = CommandSpec(
    name="profit",
    summary="Profit by period",
    usage="/profit",
    example="/profit",
    request=Profit,
    handler=profit,
    place=6,
    refreshes=True,
    route=Route("GET", "/performance/profit"),
    data=Profits,
)
