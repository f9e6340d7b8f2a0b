"""/order: one order with everything that was bought or sold by it."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from tradefleet.command import CommandSpec, Context, Reply, Route
from tradefleet.domain.errors import NotThere
from tradefleet.domain.ids import OrderId
from tradefleet.domain.order import Fill
from tradefleet.drawing import moment, money, price, quantity

COLUMNS = ("Filled", "Quantity", "Price", "Cost", "Fee")


@dataclass(frozen=True, slots=True)
class OneOrder:
    order: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One fill of the order."""

    id: str
    quantity: Decimal
    price: Decimal
    cost: Decimal
    fee: Decimal
    fee_asset: str
    filled_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderTold:
    """An order and its fills, the oldest first; price is the trigger of a stop or a target."""

    id: str
    bot_id: str
    account_id: str
    symbol: str
    side: str
    kind: str
    purpose: str
    quantity: Decimal
    price: Decimal | None
    filled: Decimal
    state: str
    is_final: bool
    reason: str
    note: str
    decided_at: datetime
    sent_at: datetime | None
    venue_order_id: str
    fills: tuple[Part, ...]


async def order(request: OneOrder, context: Context) -> Reply:
    found = await context.store.order(OrderId(request.order))
    if found is None:
        raise NotThere("You have no such order; /orders lists them.")
    fills = await context.store.fills([found.id])
    quote = found.symbol.quote
    what = f"{found.side} {quantity(found.quantity)} {found.symbol.base}, {found.kind}"
    lines = [
        f"🧾 Order {found.id}",
        f"{found.symbol}: {what} ({found.reason})",
        f"State: {found.state}, {quantity(found.filled)} filled",
        *([f"Trigger: {price(found.price, quote)}"] if found.price is not None else []),
        *([f"Note: {found.note}"] if found.note else []),
    ]
    data = OrderTold(
        id=found.id,
        bot_id=found.bot_id,
        account_id=found.account_id,
        symbol=str(found.symbol),
        side=found.side.value,
        kind=found.kind.value,
        purpose=found.purpose.value,
        quantity=found.quantity,
        price=found.price,
        filled=found.filled,
        state=found.state.value,
        is_final=found.is_final,
        reason=found.reason,
        note=found.note,
        decided_at=found.decided_at,
        sent_at=found.sent_at,
        venue_order_id=found.venue_order_id,
        fills=tuple(map(part, fills)),
    )
    rows = tuple(row(fill, quote) for fill in fills)
    return Reply(text="\n".join(lines), columns=COLUMNS if rows else (), rows=rows, data=data)


def part(fill: Fill) -> Part:
    return Part(
        id=fill.id,
        quantity=fill.quantity,
        price=fill.price,
        cost=fill.cost,
        fee=fill.fee,
        fee_asset=fill.fee_asset,
        filled_at=fill.filled_at,
    )


def row(fill: Fill, quote: str) -> tuple[str, ...]:
    return (
        moment(fill.filled_at),
        quantity(fill.quantity),
        price(fill.price, quote),
        money(fill.cost, quote),
        money(fill.fee, fill.fee_asset),
    )


COMMAND = CommandSpec(
    name="order",
    summary="One order and its fills",
    usage="/order <order>",
    example="/order tf1-0a1b2c",
    request=OneOrder,
    handler=order,
    place=11,
    route=Route("GET", "/orders/{order}"),
    data=OrderTold,
)
