"""/fills: what was bought and sold, by orders, the newest first, page by page."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from tradefleet.command import CommandSpec, Context, Reply, Route
from tradefleet.domain.market import Symbol
from tradefleet.domain.order import Fill
from tradefleet.domain.paging import PAGE_MAX, Cursor, page_of
from tradefleet.drawing import moment, money, price, quantity

COLUMNS = ("Filled", "Pair", "Side", "Quantity", "Price", "Fee", "Order")


@dataclass(frozen=True, slots=True)
class Fills:
    symbol: Symbol | None = None
    since: datetime | None = None
    limit: int = 20
    cursor: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FillLine:
    """One fill of one order; fee_quote is the fee as counted in the pair's quote."""

    id: str
    order_id: str
    symbol: str
    side: str
    quantity: Decimal
    price: Decimal
    cost: Decimal
    fee: Decimal
    fee_asset: str
    fee_quote: Decimal
    filled_at: datetime


@dataclass(frozen=True, slots=True)
class FillPage:
    """Fills of at most `limit` orders, the newest order first; next is "" on the last page.

    A page of orders that were not filled is empty and has a next one all the same.
    """

    fills: tuple[FillLine, ...]
    next: str = ""


async def fills(request: Fills, context: Context) -> Reply:
    page = page_of(request.limit, request.cursor, request.since, request.symbol)
    orders = await context.store.order_page(page)
    place = {order.id: number for number, order in enumerate(orders)}
    found = list(await context.store.fills(list(place)))
    found.sort(key=lambda fill: fill.filled_at, reverse=True)
    found.sort(key=lambda fill: place[fill.order_id])
    full = len(orders) == page.limit
    next = str(Cursor(orders[-1].decided_at, orders[-1].id)) if full else ""
    older = f"cursor={next}" if next else ""
    if not found:
        return Reply(text="🧾 Nothing was filled here.", older=older, data=FillPage((), next))
    return Reply(
        text="🧾 Your fills, the newest first",
        older=older,
        columns=COLUMNS,
        rows=tuple(map(row, found)),
        data=FillPage(tuple(map(line, found)), next),
    )


def row(fill: Fill) -> tuple[str, ...]:
    quote = fill.symbol.quote
    return (
        moment(fill.filled_at),
        str(fill.symbol),
        fill.side,
        quantity(fill.quantity),
        price(fill.price, quote),
        money(fill.fee_quote, quote),
        fill.order_id,
    )


def line(fill: Fill) -> FillLine:
    return FillLine(
        id=fill.id,
        order_id=fill.order_id,
        symbol=str(fill.symbol),
        side=fill.side.value,
        quantity=fill.quantity,
        price=fill.price,
        cost=fill.cost,
        fee=fill.fee,
        fee_asset=fill.fee_asset,
        fee_quote=fill.fee_quote,
        filled_at=fill.filled_at,
    )


COMMAND = CommandSpec(
    name="fills",
    summary="What was bought and sold",
    usage="/fills [symbol]",
    options="since=2026-01-31 limit=20 (orders on a page) cursor=<next>",
    example="/fills BTC/USDT",
    request=Fills,
    handler=fills,
    place=12,
    refreshes=True,
    limit_max=PAGE_MAX,
    route=Route("GET", "/fills"),
    data=FillPage,
)
