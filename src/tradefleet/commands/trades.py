"""/trades: the latest closed trades, the newest first; /why <number> explains one."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from tradefleet.command import CommandSpec, Context, Reply, Route
from tradefleet.domain.errors import Refused
from tradefleet.domain.market import Symbol
from tradefleet.domain.paging import Cursor, Page, page_of
from tradefleet.domain.position import Trade
from tradefleet.drawing import money, percent, price, quantity

TRADES_SHOWN_MAX = 50
NONE_HERE = "📒 No such trades."
SOME = "📒 Your trades, the newest first"
COLUMNS = ("#", "Pair", "Closed", "Quantity", "Entry", "Exit", "PnL", "%", "Reason")


@dataclass(frozen=True, slots=True)
class Trades:
    limit: int = 10
    symbol: Symbol | None = None
    since: datetime | None = None
    cursor: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedTrade:
    """A closed trade; pnl is net of fees, pnl_percentage of what was paid."""

    id: str
    symbol: str
    side: str
    opened_at: datetime
    closed_at: datetime
    quantity: Decimal
    entry_price: Decimal
    exit_price: Decimal
    gross_pnl: Decimal
    fees: Decimal
    pnl: Decimal
    pnl_percentage: Decimal
    exit_reason: str


@dataclass(frozen=True, slots=True)
class TradeList:
    """Trades, the newest first; next is the cursor of the page after, "" on the last."""

    trades: tuple[ClosedTrade, ...]
    next: str = ""


async def trades(request: Trades, context: Context) -> Reply:
    if not 1 <= request.limit <= TRADES_SHOWN_MAX:
        raise Refused(f"Ask for 1 to {TRADES_SHOWN_MAX} trades.")
    page = page_of(request.limit, request.cursor, request.since, request.symbol)
    found = await context.store.trade_page(page)
    if not found:
        text = "📒 No closed trades yet." if page == Page(limit=page.limit) else NONE_HERE
        return Reply(text=text, data=TradeList(()))
    full = len(found) == page.limit
    next = str(Cursor(found[-1].closed_at, found[-1].id)) if full else ""
    header = "📒 Your latest trades, the newest first (/why 1 explains it)"
    return Reply(
        text=header if page == Page(limit=page.limit) else SOME,
        older=f"cursor={next}" if next else "",
        columns=COLUMNS,
        rows=tuple(row(number, trade) for number, trade in enumerate(found, 1)),
        data=TradeList(tuple(map(closed, found)), next),
    )


def row(number: int, trade: Trade) -> tuple[str, ...]:
    quote = trade.symbol.quote
    return (
        str(number),
        str(trade.symbol),
        f"{trade.closed_at:%Y-%m-%d %H:%M}",
        quantity(trade.quantity),
        price(trade.entry_price, quote),
        price(trade.exit_price, quote),
        money(trade.pnl, quote),
        percent(trade.pnl_percentage / 100),
        trade.exit_reason,
    )


def closed(trade: Trade) -> ClosedTrade:
    return ClosedTrade(
        id=trade.id,
        symbol=str(trade.symbol),
        side=trade.side,
        opened_at=trade.opened_at,
        closed_at=trade.closed_at,
        quantity=trade.quantity,
        entry_price=trade.entry_price,
        exit_price=trade.exit_price,
        gross_pnl=trade.gross_pnl,
        fees=trade.fees,
        pnl=trade.pnl,
        pnl_percentage=trade.pnl_percentage,
        exit_reason=trade.exit_reason,
    )


COMMAND = CommandSpec(
    name="trades",
    summary="Your latest closed trades",
    usage="/trades [number] [symbol]",
    options="since=2026-01-31 cursor=<next>",
    example="/trades 10",
    request=Trades,
    handler=trades,
    place=8,
    refreshes=True,
    limit_max=TRADES_SHOWN_MAX,
    route=Route("GET", "/trades"),
    data=TradeList,
)
