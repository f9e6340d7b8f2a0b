"""What a client can ask on a private stream: place, amend and cancel, as over REST."""

from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

from venuesim.keys import Key
from venuesim.kraken import entry, trading
from venuesim.kraken.arguments import Values as Read
from venuesim.kraken.arguments import word, words, yes
from venuesim.kraken.errors import Error, Refused, bad
from venuesim.kraken.floor import Floor
from venuesim.kraken.ids import order_id
from venuesim.kraken.wording import ORDER_TYPES

Values: TypeAlias = Mapping[str, object]
Handler: TypeAlias = Callable[[Floor, Key, Values], Iterable[object]]

# What add_order takes, and what the same is called in a REST call.
SAME = {
    "order_type": "ordertype",
    "side": "type",
    "symbol": "pair",
    "order_userref": "userref",
    "cl_ord_id": "cl_ord_id",
    "deadline": "deadline",
    "time_in_force": "timeinforce",
    "effective_time": "starttm",
    "expire_time": "expiretm",
    "display_qty": "displayvol",
}
OTHERS = {
    "token", "order_qty", "cash_order_qty", "limit_price", "limit_price_type", "triggers",
    "post_only", "fee_preference", "validate", "margin", "reduce_only", "stp_type", "no_mpp",
    "conditional", "sender_sub_id",
}  # fmt: skip
FEES = {"": [], "quote": ["fciq"], "base": ["fcib"]}


def as_form(params: Values) -> Read:
    """Return an order of a stream in the words of a REST call."""
    for name in params:
        if name not in SAME and name not in OTHERS:
            raise Refused(f"Unsupported field: '{name}' for the given msg type: add order")
    if params.get("conditional"):
        raise bad("conditional")
    if yes(params, "margin"):
        raise bad("margin")
    values: Read = {SAME[name]: value for name, value in params.items() if name in SAME}
    if word(params, "fee_preference") not in FEES:
        raise bad("fee_preference")
    flags = [*FEES[word(params, "fee_preference")], *["post"] * yes(params, "post_only")]
    values["volume"] = word(params, "order_qty")
    if word(params, "cash_order_qty"):
        values["volume"] = word(params, "cash_order_qty")
        flags.append("viqc")
    values["oflags"] = ",".join(flags)
    return values | _prices(params)


def _prices(params: Values) -> Read:
    kind = ORDER_TYPES.get(word(params, "order_type"))
    if word(params, "limit_price_type", "static") != "static":
        raise bad("limit_price_type")
    limit = word(params, "limit_price")
    if kind is None or not kind.triggers:
        return {"price": limit}
    triggers = params.get("triggers")
    if not isinstance(triggers, dict):
        raise bad("triggers")
    if word(triggers, "price_type", "static") != "static":
        raise bad("triggers.price_type")
    found: Read = {
        "price": word(triggers, "price"),
        "trigger": word(triggers, "reference", "last"),
    }
    return found | {"price2": limit} if kind.has_limit else found


def add_order(floor: Floor, key: Key, params: Values) -> Iterable[object]:
    _needs(floor, key, "modify-trades")
    values = as_form(params)
    trading.count(floor, key, word(values, "pair"), 1)
    wish = entry.read(floor, values, least_ms=entry.DEADLINE_LEAST_ON_STREAM_MS)
    found: dict[str, object] = {"order_id": ""}
    if yes(params, "validate"):
        trading.test(floor, key.account, wish)
    else:
        order = trading.place(floor, key.account, wish)
        found["order_id"] = order_id(order.id)
    if wish.request.client_id:
        found["cl_ord_id"] = wish.request.client_id
    if "userref" in wish.request.tags:
        found["order_userref"] = int(wish.request.tags["userref"])
    yield found


def amend_order(floor: Floor, key: Key, params: Values) -> Iterable[object]:
    _needs(floor, key, "modify-trades")
    order, amendment = trading.amend(floor, key, params, word(params, "order_id"))
    found = {"amend_id": amendment}
    if word(params, "order_id"):
        found["order_id"] = order_id(order.id)
    if word(params, "cl_ord_id"):
        found["cl_ord_id"] = order.client_id
    yield found


def cancel_order(floor: Floor, key: Key, params: Values) -> Iterable[object]:
    """Cancel one by one; each has an answer of its own."""
    _needs(floor, key, "modify-trades", "close-trades")
    asked = [("order_id", name) for name in words(params, "order_id")]
    asked += [("cl_ord_id", name) for name in words(params, "cl_ord_id")]
    asked += [("order_userref", name) for name in words(params, "order_userref")]
    if not 0 < len(asked) <= trading.CANCELS_MOST:
        raise Refused(Error.INVALID_ARGUMENTS)
    for kind, name in asked:
        client = name if kind == "cl_ord_id" else ""
        found = trading.meant(floor, key.account, "" if client else name, client)
        if not found:
            yield Refused(Error.UNKNOWN_ORDER)
        for order in found:
            trading.cancel(floor, key, [order])
            row = {"order_id": order_id(order.id)}
            yield row | ({"cl_ord_id": order.client_id} if order.client_id else {})


def cancel_all(floor: Floor, key: Key, params: Values) -> Iterable[object]:
    _needs(floor, key, "modify-trades", "close-trades")
    yield trading.cancel_all(floor, key, params)


def cancel_all_after(floor: Floor, key: Key, params: Values) -> Iterable[object]:
    _needs(floor, key, "modify-trades", "close-trades")
    yield trading.cancel_all_after(floor, key, params)


def _needs(floor: Floor, key: Key, *rights: str) -> None:
    if not floor.access.may(key, *rights):
        raise Refused(Error.NO_PERMISSION)


METHODS: dict[str, Handler] = {
    "add_order": add_order,
    "amend_order": amend_order,
    "cancel_order": cancel_order,
    "cancel_all": cancel_all,
    "cancel_all_orders_after": cancel_all_after,
}
