"""/history: the trades of the last days, closed and open ones, and what they came to."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from tradefleet.command import TRADES_MAX, CommandSpec, Context, Reply, Route
from tradefleet.domain.errors import Refused
from tradefleet.domain.market import Symbol
from tradefleet.domain.money import MONEY, ZERO
from tradefleet.domain.performance import Performance
from tradefleet.domain.position import Position, Trade
from tradefleet.drawing import DOLLARS, money, percent, price, quantity

DAYS_MAX, LIMIT_MAX = 3650, 1000
HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class History:
    """symbol: without it, all that is quoted in dollars."""

    days: int = 30
    limit: int = 100
    symbol: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeLine:
    """A trade; number counts the user's trades, the closed ones first. pnl is net of fees."""

    number: int
    symbol: str
    base: str
    quote: str
    quantity: Decimal
    entry_price: Decimal
    exit_price: Decimal
    gross_pnl: Decimal
    fees: Decimal
    pnl: Decimal
    pnl_percentage: Decimal
    is_winner: bool
    is_closed: bool
    hours: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Trades:
    """The latest trades, and the sums of all that were asked for, listed or not."""

    trades: tuple[TradeLine, ...]
    closed: int
    open: int
    pnl: Decimal
    gross_pnl: Decimal
    fees: Decimal
    winners: int
    losers: int
    win_rate: Decimal


async def history(request: History, context: Context) -> Reply:
    if not 1 <= request.days <= DAYS_MAX:
        raise Refused(f"Ask for 1 to {DAYS_MAX} days.")
    if not 1 <= request.limit <= LIMIT_MAX:
        raise Refused(f"Ask for 1 to {LIMIT_MAX} trades.")
    symbol = Symbol.parse(request.symbol) if request.symbol else None
    now = context.clock.now()
    since = now - timedelta(days=request.days)
    every = await context.store.trades(limit=TRADES_MAX)
    chosen = [
        (number, trade)
        for number, trade in enumerate(every, 1)
        if trade.closed_at >= since and is_meant(trade.symbol, symbol)
    ]
    memories = await context.store.memories()
    held = sorted(
        (m.position for m in memories.values() if m.position is not None),
        key=lambda position: position.opened_at,
    )
    meant = [each for each in held if is_meant(each.symbol, symbol)]
    opened = [opened_line(len(every) + n, each, now) for n, each in enumerate(meant, 1)]
    closed = [closed_line(number, trade) for number, trade in chosen]
    measured = Performance.of([trade for _, trade in chosen])
    data = Trades(
        trades=tuple(reversed((closed + opened)[-request.limit :])),
        closed=len(closed),
        open=len(opened),
        pnl=measured.pnl,
        gross_pnl=measured.gross_pnl,
        fees=measured.fees,
        winners=measured.winners,
        losers=measured.losers,
        win_rate=measured.win_rate,
    )
    return reply_of(data, request.days)


def is_meant(symbol: Symbol, wanted: Symbol | None) -> bool:
    return symbol == wanted if wanted is not None else symbol.quote in DOLLARS


def closed_line(number: int, trade: Trade) -> TradeLine:
    return TradeLine(
        number=number,
        symbol=str(trade.symbol),
        base=trade.symbol.base,
        quote=trade.symbol.quote,
        quantity=trade.quantity,
        entry_price=trade.entry_price,
        exit_price=trade.exit_price,
        gross_pnl=trade.gross_pnl,
        fees=trade.fees,
        pnl=trade.pnl,
        pnl_percentage=trade.pnl_percentage,
        is_winner=trade.is_winner,
        is_closed=True,
        hours=hours(trade.opened_at, trade.closed_at),
    )


def opened_line(number: int, position: Position, now: datetime) -> TradeLine:
    """Return a trade that is not over: what it brought so far is what was sold of it."""
    gross = position.realized + position.base_fees_quote if position.sold_quantity else ZERO
    return TradeLine(
        number=number,
        symbol=str(position.symbol),
        base=position.symbol.base,
        quote=position.symbol.quote,
        quantity=position.quantity,
        entry_price=position.entry_price,
        exit_price=position.exit_price if position.sold_quantity else ZERO,
        gross_pnl=gross,
        fees=position.fees_quote,
        pnl=ZERO,
        pnl_percentage=ZERO,
        is_winner=False,
        is_closed=False,
        hours=hours(position.opened_at, now),
    )


def hours(since: datetime, until: datetime) -> Decimal:
    return MONEY.divide(Decimal((until - since) // timedelta(seconds=36)), Decimal(100))


def reply_of(data: Trades, days: int) -> Reply:
    if not data.trades:
        return Reply(text=f"📒 No trades within {days} days.", data=data)
    text = f"📒 {data.closed} closed, {data.open} open; net {money(data.pnl, 'USD')}"
    columns = ("#", "Pair", "Quantity", "Entry", "Exit", "PnL", "%")
    return Reply(text=text, columns=columns, rows=rows_of(data.trades[:50]), data=data)


def rows_of(lines: Sequence[TradeLine]) -> tuple[tuple[str, ...], ...]:
    return tuple(
        (
            str(line.number),
            line.symbol,
            quantity(line.quantity),
            price(line.entry_price, line.quote),
            price(line.exit_price, line.quote) if line.is_closed else "-",
            money(line.pnl, line.quote) if line.is_closed else "-",
            percent(line.pnl_percentage / 100) if line.is_closed else "-",
        )
        for line in lines
    )


COMMAND = CommandSpec(
    name="history",
    summary="Trades of the last days and their result",
    usage="/history [days] [limit] [symbol]",
    example="/history 30",
    request=History,
    handler=history,
    place=9,
    refreshes=True,
    route=Route("GET", "/trade/history"),
    data=Trades,
)
