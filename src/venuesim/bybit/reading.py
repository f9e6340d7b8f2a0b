"""Look-ups of orders and executions, page by page."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
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
    things, limit = iter(found), ask.limit(default, most)
    after = unquote(ask.text("cursor")).rpartition(",")[2]
    if after:
        any(mark(thing) == after for thing in things)  # what follows it is left in things
    page = list(islice(things, limit))
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


def realtime(ask: Ask) -> Said:
    """Show open orders, or of the closed ones the last 500 since the venue was restarted."""
    word = category(ask)
    if word != "spot":
        return listed(ask, word, [], "")
    if by_name(ask):
        order = named(ask)
        found = (one for one in [order] if one and (one.is_live or one in recent_closed(ask)))
    elif ask.text("openOnly", "0") == "1":
        found = (order for order in recent_closed(ask) if about_pair(ask, order))
    else:
        found = (o for o in reversed(ask.account.live.values()) if about_pair(ask, o))
    page, cursor = paged(ask, (o for o in found if seen(ask, o)), order_mark, 20, 50)
    return listed(ask, word, [found_row(order) for order in page], cursor)


def recent_closed(ask: Ask) -> Iterator[Order]:
    """Return closed orders, the newest first."""
    since = ask.memory.forgotten_ms
    closed = (order for order in reversed(ask.account.orders.values()) if not order.is_live)
    return (order for order in islice(closed, CLOSED_KEPT) if order.updated_ms > since)


def history(ask: Ask) -> Said:
    """Show closed orders: filled ones for two years, the others for a day."""
    word = category(ask)
    if word != "spot":
        return listed(ask, word, [], "")
    start, end = ask.window()
    if by_name(ask):
        order = named(ask)
        found = (one for one in [order] if one is not None)
    else:
        found = (
            order
            for order in reversed(ask.account.orders.values())
            if start <= order.created_ms <= end and about_pair(ask, order)
        )
    status = ask.text("orderStatus")
    closed = (o for o in found if kept(ask, o) and status in ("", end_of(o).status))
    page, cursor = paged(ask, closed, order_mark, 20, 50)
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
    found: Iterator[Trade]
    if by_name(ask):
        order = named(ask)
        found = reversed(order.trades if order is not None else [])
    else:
        start, end = ask.window()
        found = (
            trade
            for trade in reversed(ask.account.trades)
            if start <= trade.at_ms <= end
            and trade.order_id in orders  # the books forget very old ones
            and about_pair(ask, orders[trade.order_id])
        )
    hidden = ask.memory.now_ms - ask.memory.place.lag_ms
    wanted = ask.text("execType") in ("", "Trade")
    latest = (trade for trade in found if wanted and trade.at_ms <= hidden)
    page, cursor = paged(ask, latest, trade_mark, 50, 100)
    rows = [execution_row(orders[trade.order_id], trade) for trade in page]
    return listed(ask, word, rows, cursor)
