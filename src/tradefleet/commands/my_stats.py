"""/mystats: what your closed trades came to, net of fees, one column per quote currency."""

from dataclasses import dataclass
from decimal import Decimal

from tradefleet.command import TRADES_MAX, CommandSpec, Context, Reply, Route
from tradefleet.domain.money import ZERO
from tradefleet.domain.performance import Performance, by_quote
from tradefleet.domain.position import Trade
from tradefleet.drawing import count, money, percent


@dataclass(frozen=True, slots=True)
class MyStats:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteStats:
    """Figures of the trades in one quote; profit_factor is None when nothing was lost."""

    quote: str
    trades: int
    winners: int
    losers: int
    win_rate: Decimal
    profit_factor: Decimal | None
    pnl: Decimal
    gross_pnl: Decimal
    fees: Decimal
    expectancy: Decimal
    best: Decimal
    worst: Decimal
    max_drawdown: Decimal
    max_drawdown_share: Decimal


@dataclass(frozen=True, slots=True)
class Stats:
    quotes: tuple[QuoteStats, ...]


async def my_stats(request: MyStats, context: Context) -> Reply:
    trades = await context.store.trades(limit=TRADES_MAX)
    if not trades:
        return Reply(text="📈 Your Statistics\nNo closed trades yet.", data=Stats(()))
    balances: dict[str, Decimal] = {}
    for bot in await context.store.bots():
        balances[bot.symbol.quote] = balances.get(bot.symbol.quote, ZERO) + bot.allocation
    for universe in await context.store.universes():
        balances[universe.asset] = balances.get(universe.asset, ZERO) + universe.allocation
    measured = {
        quote: Performance.of(found, balances.get(quote, ZERO))
        for quote, found in by_quote(trades).items()
    }
    cells = [figures(quote, result) for quote, result in measured.items()]
    rows = tuple((name, *(column[name] for column in cells)) for name in cells[0])
    return Reply(
        text=f"📈 Your Statistics ({count(len(trades), 'trade')})",
        columns=("Net of fees", *measured),
        rows=rows,
        data=Stats(tuple(stats(quote, result) for quote, result in measured.items())),
    )


def figures(quote: str, result: Performance) -> dict[str, str]:
    """Return every figure as it is shown, by its name."""
    factor = result.profit_factor
    return {
        "Trades": str(result.trades),
        "Wins": str(result.winners),
        "Losses": str(result.losers),
        "Win rate": percent(result.win_rate),
        "Profit factor": "-" if factor is None else f"{factor:.2f}",
        "PnL": money(result.pnl, quote),
        "Fees paid": money(result.fees, quote),
        "Per trade": money(result.expectancy, quote),
        "Best trade": named(result.best, quote),
        "Worst trade": named(result.worst, quote),
        "Max drawdown": f"{money(result.drawdown, quote)} ({percent(result.drawdown_share)})",
    }


def named(trade: Trade | None, quote: str) -> str:
    return f"{money(trade.pnl, quote)} {trade.symbol}" if trade else "-"


def stats(quote: str, result: Performance) -> QuoteStats:
    return QuoteStats(
        quote=quote,
        trades=result.trades,
        winners=result.winners,
        losers=result.losers,
        win_rate=result.win_rate,
        profit_factor=result.profit_factor,
        pnl=result.pnl,
        gross_pnl=result.gross_pnl,
        fees=result.fees,
        expectancy=result.expectancy,
        best=result.best.pnl if result.best else ZERO,
        worst=result.worst.pnl if result.worst else ZERO,
        max_drawdown=result.drawdown,
        max_drawdown_share=result.drawdown_share,
    )


COMMAND = CommandSpec(
    name="mystats",
    summary="View your trading statistics",
    usage="/mystats",
    example="/mystats",
    request=MyStats,
    handler=my_stats,
    place=3,
    refreshes=True,
    route=Route("GET", "/performance"),
    data=Stats,
)
