"""Kraken's trading calls: place, amend, edit and cancel, alone, in batches or by a timer."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from venuesim.keys import Key
from venuesim.kraken import entry
from venuesim.kraken.arguments import needed, number, userref, whole, word, words, yes
from venuesim.kraken.entry import Wish
from venuesim.kraken.errors import Error, Refused, bad, of_books
from venuesim.kraken.floor import Floor
from venuesim.kraken.ids import number_of, order_id, trade_id
from venuesim.kraken.limits import AMEND_COST, EDIT_COST, by_age
from venuesim.kraken.names import Pair
from venuesim.kraken.numbers import moment
from venuesim.orders import Kind, Order, Reason, Refusal

BATCH_LEAST, BATCH_MOST = 2, 15
CANCELS_MOST = 50
TIMEOUT_MAX_S = 86_400
AMENDMENTS = 2**60  # where the numbers of amendments begin, far above those of trades
AT_ONCE = {
    Kind.STOP_MARKET: Kind.MARKET,
    Kind.PROFIT_MARKET: Kind.MARKET,
    Kind.STOP_LIMIT: Kind.LIMIT,
    Kind.PROFIT_LIMIT: Kind.LIMIT,
}

Values = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Placed:
    """An answer that tells of orders, and the orders it tells of."""

    result: object
    orders: tuple[Order, ...] = ()


# ------------------------------------------------------------------- place


def add_order(floor: Floor, key: Key, values: Values) -> object:
    count(floor, key, word(values, "pair"), 1)
    wish = entry.read(floor, values)
    if yes(values, "validate"):
        test(floor, key.account, wish)
        return {"descr": {"order": wish.words}}
    order = place(floor, key.account, wish)
    return Placed({"descr": {"order": wish.words}, "txid": [order_id(order.id)]}, (order,))


def add_batch(floor: Floor, key: Key, values: Values) -> object:
    """Place several orders of one pair: all are read first, then each stands for itself."""
    asked = values.get("orders")
    if not isinstance(asked, list) or not BATCH_LEAST <= len(asked) <= BATCH_MOST:
        raise bad("orders")
    name = needed(values, "pair")
    count(floor, key, name, len(asked) / 2)
    deadline = entry.deadline(floor, values)
    wishes = []
    for one in asked:
        if not isinstance(one, dict):
            raise bad("orders")
        wishes.append(replace(entry.read(floor, one, name=name), deadline_ms=deadline))
    validate, rows, orders = yes(values, "validate"), [], []
    for wish in wishes:
        row: dict[str, object] = {"descr": {"order": wish.words}}
        try:
            if validate:
                test(floor, key.account, wish)
            else:
                order = place(floor, key.account, wish)
                orders.append(order)
                row["txid"] = order_id(order.id)
        except Refused as refused:
            row = {"error": refused.error}
        rows.append(row)
    return Placed({"orders": rows}, tuple(orders))


def test(floor: Floor, account: str, wish: Wish) -> None:
    """Check an order as place does; Refused when it would not be taken."""
    _check_mode(floor, wish)
    _check_open_orders(floor, account, wish.pair)
    try:
        floor.exchange.test(account, wish.request)
    except Refusal as refusal:
        if refusal.reason is not Reason.WOULD_TRIGGER:
            raise of_books(refusal) from refusal


def place(floor: Floor, account: str, wish: Wish) -> Order:
    """Give an order to the books; a trigger that is already reached triggers at once."""
    _check_mode(floor, wish)
    _check_open_orders(floor, account, wish.pair)
    if wish.deadline_ms is not None and floor.now_ms >= wish.deadline_ms:
        raise Refused(Error.DEADLINE)
    request = wish.request
    try:
        return floor.exchange.place(account, request)
    except Refusal as refusal:
        if refusal.reason is not Reason.WOULD_TRIGGER:
            raise of_books(refusal) from refusal
    touched = replace(request, kind=AT_ONCE[request.kind], tags={**request.tags, "touched": "1"})
    try:
        return floor.exchange.place(account, touched)
    except Refusal as refusal:
        raise of_books(refusal) from refusal


def _check_mode(floor: Floor, wish: Wish) -> None:
    mode, request = floor.status, wish.request
    if mode == "cancel_only":
        raise Refused(Error.CANCEL_ONLY)
    if mode == "limit_only" and request.kind is not Kind.LIMIT:
        raise Refused(Error.LIMIT_ONLY)
    if mode == "post_only" and not request.post_only:
        raise Refused(Error.POST_ONLY_MODE)


def _check_open_orders(floor: Floor, account: str, pair: Pair) -> None:
    live = floor.exchange.open_account(account).live.values()
    of_pair = sum(order.symbol == pair.symbol for order in live)
    if of_pair >= floor.limits.tier(account).open_orders:
        raise Refused(Error.TOO_MANY_ORDERS)


def count(floor: Floor, key: Key, name: str, cost: float) -> None:
    """Count an order by its pair, whatever becomes of it."""
    if floor.place.limits and name:
        symbol = floor.names.find(name).symbol
        floor.limits.count_order(key.account, symbol, cost, floor.now_ms)


# ------------------------------------------------------------ amend and edit


def amend_order(floor: Floor, key: Key, values: Values) -> object:
    _, amendment = amend(floor, key, values, word(values, "txid"))
    return {"amend_id": amendment}


def amend(floor: Floor, key: Key, values: Values, name: str) -> tuple[Order, str]:
    """Change an order named so or by its client; return it and the id of the amendment."""
    order = _one(floor, key.account, name, word(values, "cl_ord_id"))
    _count_change(floor, key, order, AMEND_COST)
    entry.deadline(floor, values)
    change(
        floor,
        order,
        values,
        volume="order_qty",
        limit="limit_price",
        trigger="trigger_price",
        post_only=yes(values, "post_only"),
    )
    tags = order.request.tags
    tags["amended"] = str(int(tags.get("amended", "0")) + 1)
    return order, trade_id(AMENDMENTS + order.id * 1000 + int(tags["amended"]))


def change(
    floor: Floor,
    order: Order,
    values: Values,
    *,
    volume: str,
    limit: str,
    trigger: str,
    post_only: bool,
) -> None:
    """Change what is given of a live order in place."""
    if floor.status == "cancel_only":
        raise Refused(Error.CANCEL_ONLY)
    pair = floor.names.by_symbol(order.symbol)
    price, stop = entry.price(values, limit, pair), entry.price(values, trigger, pair)
    quantity = number(values, volume)
    if not (price or stop or quantity):
        raise Refused(Error.INVALID_ARGUMENTS)
    if price and not order.kind.has_limit:
        raise bad(limit)
    if stop and not order.kind.triggers:
        raise bad(trigger)
    if quantity and quantity <= order.filled:
        floor.exchange.cancel(order.account, order)
        return
    before = order.request
    if post_only:
        order.request = replace(before, post_only=True)
    try:
        floor.exchange.amend(order.account, order, quantity=quantity, price=price, stop_price=stop)
    except Refusal as refusal:
        order.request = before
        raise of_books(refusal) from refusal


def edit_order(floor: Floor, key: Key, values: Values) -> object:
    """Cancel an order and place it anew with what is given changed; its id is a new one."""
    old = _one(floor, key.account, needed(values, "txid"), "")
    _count_change(floor, key, old, EDIT_COST)
    pair = floor.names.find(needed(values, "pair"))
    if pair.symbol != old.symbol or old.filled:
        raise Refused(Error.INVALID_ORDER)
    triggers = old.kind.triggers
    first, second = entry.price(values, "price", pair), entry.price(values, "price2", pair)
    request = replace(
        old.request,
        client_id="",
        quantity=number(values, "volume") or old.quantity,
        quote_quantity=0,
        stop_price=(first or old.request.stop_price) if triggers else 0,
        price=((second if triggers else first) or old.request.price),
        tags=dict(old.request.tags),
    )
    wish = Wish(pair, request, entry.deadline(floor, values))
    _check_mode(floor, wish)
    result = {
        "status": "ok",
        "originaltxid": order_id(old.id),
        "volume": word(values, "volume"),
        "price": word(values, "price"),
        "descr": {"order": wish.words},
    }
    if yes(values, "validate"):
        return result
    floor.exchange.cancel(key.account, old)
    new = place(floor, key.account, wish)
    return Placed({**result, "txid": order_id(new.id), "orders_cancelled": 1}, (new,))


def _count_change(floor: Floor, key: Key, order: Order, costs: tuple[tuple[int, int], ...]) -> None:
    if floor.place.limits:
        cost = 1 + by_age(costs, floor.now_ms - order.updated_ms)
        floor.limits.count_order(key.account, order.symbol, cost, floor.now_ms)


# ------------------------------------------------------------------ cancel


def cancel_order(floor: Floor, key: Key, values: Values) -> object:
    """Cancel by Kraken's id, the client's, or all that share a user reference."""
    name, client = word(values, "txid"), word(values, "cl_ord_id")
    if not name and not client:
        raise bad("txid")
    found = meant(floor, key.account, name, client)
    if not found:
        raise Refused(Error.UNKNOWN_ORDER)
    return {"count": cancel(floor, key, found)}


def cancel_batch(floor: Floor, key: Key, values: Values) -> object:
    names, clients = words(values, "orders"), words(values, "cl_ord_ids")
    if not 0 < len(names) + len(clients) <= CANCELS_MOST:
        raise bad("orders")
    found: dict[int, Order] = {}
    for name in names:
        found |= {order.id: order for order in meant(floor, key.account, name, "")}
    for client in clients:
        found |= {order.id: order for order in meant(floor, key.account, "", client)}
    return {"count": cancel(floor, key, list(found.values()))}


def cancel_all(floor: Floor, key: Key, values: Values) -> object:
    live = list(floor.exchange.open_account(key.account).live.values())
    return {"count": cancel(floor, key, live)}


def cancel_all_after(floor: Floor, key: Key, values: Values) -> object:
    needed(values, "timeout")
    timeout = whole(values, "timeout")
    if not 0 <= timeout <= TIMEOUT_MAX_S:
        raise bad("timeout")
    now_ns = floor.place.clock.now_ns()
    floor.exchange.open_account(key.account)
    if timeout:
        floor.alarms[key.account] = floor.now_ms + timeout * 1000
    else:
        floor.alarms.pop(key.account, None)
    trigger = moment(now_ns + timeout * 1_000_000_000, 0) if timeout else "0"
    return {"currentTime": moment(now_ns, 0), "triggerTime": trigger}


def cancel(floor: Floor, key: Key, orders: list[Order]) -> int:
    cancelled = 0
    for order in orders:
        if not order.is_live:
            continue
        age_ms = floor.now_ms - order.created_ms
        floor.exchange.cancel(key.account, order)
        floor.limits.count_cancel(key.account, order.symbol, age_ms, floor.now_ms)
        cancelled += 1
    return cancelled


def meant(floor: Floor, account: str, name: str, client: str) -> list[Order]:
    """Return the live orders a client means: by id, by his own id, or by his reference."""
    live = floor.exchange.open_account(account).live
    if client:
        return [order for order in live.values() if order.client_id == client]
    told = number_of("O", name)
    if told is not None:
        return [live[told]] if told in live else []
    found = [order for order in live.values() if order.client_id == name]
    if found or not name.lstrip("-").isdigit():
        return found
    reference = userref({"userref": name})
    return [o for o in live.values() if o.request.tags.get("userref") == str(reference)]


def _one(floor: Floor, account: str, name: str, client: str) -> Order:
    if not name and not client:
        raise bad("txid")
    found = meant(floor, account, name, "" if name else client)
    if len(found) != 1:
        raise Refused(Error.UNKNOWN_ORDER)
    return found[0]
