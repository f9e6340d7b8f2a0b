"""/orders: your orders, the newest first, page by page."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from tradefleet.command import CommandSpec, Context, Reply, Route
from tradefleet.domain.errors import Refused
from tradefleet.domain.market import Symbol
from tradefleet.domain.order import FINAL_STATES, Order, OrderState
from tradefleet.domain.paging import PAGE_MAX, Cursor, page_of
from tradefleet.drawing import moment, price, quantity

COLUMNS = ("Decided", "Pair", "Side", "Kind", "Quantity", "Price", "Filled", "State", "Order")
# Words for several states at once.
GROUPS = {
    "working": frozenset(OrderState) - FINAL_STATES,
    "final": FINAL_STATES,
}


@dataclass(frozen=True, slots=True)
class Orders:
    symbol: Symbol | None = None
    state: str = ""
    since: datetime | None = None
    limit: int = 20
    cursor: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderLine:
    """One order; price is the trigger of a stop or a target, note what the exchange said."""

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


@dataclass(frozen=True, slots=True)
class OrderPage:
    """Orders, the newest first; next is the cursor of the page after, "" on the last."""

    orders: tuple[OrderLine, ...]
    next: str = ""


async def orders(request: Orders, context: Context) -> Reply:
    page = page_of(request.limit, request.cursor, request.since, request.symbol)
    states = read_states(request.state)
    found = await context.store.order_page(page, states=states)
    if not found:
        return Reply(text="🧾 No such orders.", data=OrderPage(()))
    next = str(Cursor(found[-1].decided_at, found[-1].id)) if len(found) == page.limit else ""
    return Reply(
        text="🧾 Your orders, the newest first",
        columns=COLUMNS,
        rows=tuple(map(row, found)),
        older=f"cursor={next}" if next else "",
        data=OrderPage(tuple(map(line, found)), next),
    )


def read_states(word: str) -> frozenset[OrderState] | None:
    """Return the states a word means; None: all."""
    word = word.lower()
    if word in GROUPS or not word:
        return GROUPS.get(word)
    try:
        return frozenset({OrderState(word)})
    except ValueError:
        choices = ", ".join([*GROUPS, *OrderState])
        raise Refused(f"There is no state {word[:20]!r}; choose one of: {choices}.") from None


def row(order: Order) -> tuple[str, ...]:
    return (
        moment(order.decided_at),
        str(order.symbol),
        order.side,
        order.kind,
        quantity(order.quantity),
        "-" if order.price is None else price(order.price, order.symbol.quote),
        quantity(order.filled),
        order.state,
        order.id,
    )


def line(order: Order) -> OrderLine:
    return OrderLine(
        id=order.id,
        bot_id=order.bot_id,
        account_id=order.account_id,
        symbol=str(order.symbol),
        side=order.side.value,
        kind=order.kind.value,
        purpose=order.purpose.value,
        quantity=order.quantity,
        price=order.price,
        filled=order.filled,
        state=order.state.value,
        is_final=order.is_final,
        reason=order.reason,
        note=order.note,
        decided_at=order.decided_at,
        sent_at=order.sent_at,
        venue_order_id=order.venue_order_id,
    )


COMMAND = CommandSpec(
    name="orders",
    summary="Your orders",
    usage="/orders [symbol]",
    options="state=working|final|<state> since=2026-01-31 limit=20 cursor=<next>",
    example="/orders BTC/USDT",
    request=Orders,
    handler=orders,
    place=10,
    refreshes=True,
    limit_max=PAGE_MAX,
    route=Route("GET", "/orders"),
    data=OrderPage,
)
