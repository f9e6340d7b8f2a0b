"""/performance: what each pair's closed trades came to, the best first, net of fees."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from tradefleet.command import TRADES_MAX, CommandSpec, Context, Reply, Route
from tradefleet.domain.market import Symbol
from tradefleet.domain.performance import Performance as Measured
from tradefleet.domain.position import Trade
from tradefleet.drawing import count, money, percent


@dataclass(frozen=True, slots=True)
class Performance:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class PairPerformance:
    """What the trades of one pair came to, in its quote."""

    symbol: str
    quote: str
    trades: int
    win_rate: Decimal
    pnl: Decimal
    expectancy: Decimal
    fees: Decimal


@dataclass(frozen=True, slots=True)
class PairPerformances:
    pairs: tuple[PairPerformance, ...]


async def performance(request: Performance, context: Context) -> Reply:
    trades = await context.store.trades(limit=TRADES_MAX)
    if not trades:
        return Reply(text="🏁 Performance\nNo closed trades yet.", data=PairPerformances(()))
    own: dict[Symbol, list[Trade]] = {}
    for trade in trades:
        own.setdefault(trade.symbol, []).append(trade)
    found = [measured(symbol, of_pair) for symbol, of_pair in own.items()]
    found.sort(key=lambda each: (each.quote, -each.pnl, each.symbol))
    return Reply(
        text=f"🏁 Performance ({count(len(found), 'pair')}, {count(len(trades), 'trade')})",
        columns=("Pair", "Trades", "Win rate", "PnL", "Per trade"),
        rows=tuple(map(row, found)),
        data=PairPerformances(tuple(found)),
    )


def measured(symbol: Symbol, trades: Sequence[Trade]) -> PairPerformance:
    result = Measured.of(trades)
    return PairPerformance(
        symbol=str(symbol),
        quote=symbol.quote,
        trades=result.trades,
        win_rate=result.win_rate,
        pnl=result.pnl,
        expectancy=result.expectancy,
        fees=result.fees,
    )


def row(each: PairPerformance) -> tuple[str, ...]:
    return (
        each.symbol,
        str(each.trades),
        percent(each.win_rate),
        money(each.pnl, each.quote),
        money(each.expectancy, each.quote),
    )


COMMAND = CommandSpec(
    name="performance",
    summary="Profit pair by pair",
    usage="/performance",
    example="/performance",
    request=Performance,
    handler=performance,
    place=7,
    refreshes=True,
    route=Route("GET", "/performance/pairs"),
    data=PairPerformances,
)
