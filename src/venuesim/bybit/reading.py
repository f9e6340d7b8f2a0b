"""Look-ups of orders and executions, page by page."""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar
from urllib.parse import quote, unquote

from venuesim.bybit.ask import DAY_MS, Ask, Said
from venuesim.bybit.errors import Refused
from venuesim.bybit.rows import (
    Row,
    end_of,
    exec_id,
    execution_row,
    found_row,
    history_row,
    order_id,
)
from venuesim.bybit.trading import DERIVATIVES, fits, named
from venuesim.orders import Order, Trade

CLOSED_KEPT = 500  # closed orders that order/realtime still shows
SHORT_LIVED = ("Cancelled", "Rejected", "Deactivated")  # in order/history for a day
Thing = TypeVar("Thing")


def category(ask: Ask) -> str:
    word = ask.needed("category")
    if word != "spot" and word not in DERIVATIVES:
        raise Refused(10001, text="Illegal category")
    return word


def paged(
    ask: Ask, found: Iterable[Thing], mark: Callable[[Thing], str], default: int, most: int
) -> tuple[Sequence[Thing], str]:
    """Return a page and its cursor: the marks of its first and last thing."""
    things, limit = list(found), ask.limit(default, most)
    after = unquote(ask.text("cursor")).rpartition(",")[2]
    if after:
        marks = [mark(thing) for thing in things]
        things = things[marks.index(after) + 1 :] if after in marks else []
    page = things[:limit]
    if not page:
        return page, ""
    return page, quote(f"{mark(page[0])},{mark(page[-1])}", safe="")


def order_mark(order: Order) -> str:
    return f"{order_id(order.id)}:{order.created_ms}"


def trade_mark(trade: Trade) -> str:
    return f"{exec_id(trade.id)}:{trade.at_ms}"


def listed(ask: Ask, word: str, rows: Sequence[Row], cursor: str) -> Said:
    return Said(result={"nextPageCursor": cursor, "category": word, "list": rows})


def seen(ask: Ask, order: Order) -> bool:
    """Say whether look-ups know an order already."""
    return order.created_ms + ask.memory.place.lag_ms <= ask.memory.now_ms


def by_name(ask: Ask) -> bool:
    return bool(ask.text("orderId") or ask.text("orderLinkId"))


def about_pair(ask: Ask, order: Order) -> bool:
    """Say whether an order is of the pair, coin and filter that are asked for."""
    wanted, coin, filter = ask.text("symbol"), ask.text("baseCoin"), ask.text("orderFilter")
    if filter and not fits(order, filter):
        return False
    if wanted:
        return ask.instrument(170121).name == order.symbol
    return coin in ("", order.instrument.base)


def newest(orders: Iterable[Order]) -> list[Order]:
    return sorted(orders, key=lambda order: (order.created_ms, order.id), reverse=True)


def realtime(ask: Ask) -> Said:
    """Show open orders, or of the closed ones the last 500 since the venue was restarted."""
    word = category(ask)
    if word != "spot":
        return listed(ask, word, [], "")
    known = recent_closed(ask)
    if by_name(ask):
        order = named(ask)
        found = [] if order is None or not (order.is_live or order.id in known) else [order]
    elif ask.text("openOnly", "0") == "1":
        found = [order for order in known.values() if about_pair(ask, order)]
    else:
        found = [order for order in ask.account.live.values() if about_pair(ask, order)]
    page, cursor = paged(ask, newest(o for o in found if seen(ask, o)), order_mark, 20, 50)
    return listed(ask, word, [found_row(order) for order in page], cursor)


def recent_closed(ask: Ask) -> dict[int, Order]:
    recent: dict[int, Order] = {}
    for order in reversed(ask.account.orders.values()):
        if not order.is_live:
            recent[order.id] = order
        if len(recent) == CLOSED_KEPT:
            break
    since = ask.memory.forgotten_ms
    return {number: order for number, order in recent.items() if order.updated_ms > since}


def history(ask: Ask) -> Said:
    """Show closed orders: filled ones for two years, the others for a day."""
    word = category(ask)
    if word != "spot":
        return listed(ask, word, [], "")
    start, end = ask.window()
    if by_name(ask):
        order = named(ask)
        found = [] if order is None else [order]
    else:
        found = [
            order
            for order in ask.account.orders.values()
            if start <= order.created_ms <= end and about_pair(ask, order)
        ]
    status = ask.text("orderStatus")
    closed = [o for o in found if kept(ask, o) and status in ("", end_of(o).status)]
    page, cursor = paged(ask, newest(closed), order_mark, 20, 50)
    return listed(ask, word, [history_row(order) for order in page], cursor)


def kept(ask: Ask, order: Order) -> bool:
    """Say whether order/history shows an order: closed, written by now, not forgotten yet."""
    if order.is_live or not seen(ask, order):
        return False
    if order.updated_ms + ask.memory.place.lag_ms > ask.memory.now_ms:
        return False
    recent = order.updated_ms > ask.memory.now_ms - DAY_MS
    return recent or end_of(order).status not in SHORT_LIVED


def executions(ask: Ask) -> Said:
    """Show trades, the latest first; of one order, or of a window of at most seven days."""
    word = category(ask)
    if word != "spot":
        return listed(ask, word, [], "")
    orders = ask.account.orders
    if by_name(ask):
        order = named(ask)
        found = [] if order is None else list(order.trades)
    else:
        start, end = ask.window()
        found = [
            trade
            for trade in ask.account.trades
            if start <= trade.at_ms <= end and about_pair(ask, orders[trade.order_id])
        ]
    if ask.text("execType") not in ("", "Trade"):
        found = []
    hidden = ask.memory.now_ms - ask.memory.place.lag_ms
    latest = [trade for trade in reversed(found) if trade.at_ms <= hidden]
    page, cursor = paged(ask, latest, trade_mark, 50, 100)
    rows = [execution_row(orders[trade.order_id], trade) for trade in page]
    return listed(ask, word, rows, cursor)
