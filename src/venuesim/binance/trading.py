"""Placing and cancelling: single orders, OCOs and cancel-and-replace."""

from dataclasses import dataclass, replace

from venuesim.binance import reports
from venuesim.binance.denials import (
    Denied,
    missing,
    neither,
    not_valid,
    refused,
    rejected,
    unknown_order,
    unneeded,
)
from venuesim.binance.filters import check, check_counts, oco_prices_fit
from venuesim.binance.floor import Ask, OrderList, Reply
from venuesim.binance.parameters import Parameters
from venuesim.binance.words import KINDS, LIFETIMES, RESPONSES, SIDES, STP_MODES, symbol_of
from venuesim.exchange import MILLION
from venuesim.orders import Kind, Lifetime, NewOrder, Order, Refusal, Side, Status
from venuesim.units import UNITS, text

Json = dict[str, object]
STRATEGY_TYPE_MIN = 1_000_000
# What each type of order must have; "quantity" may be quoteOrderQty for MARKET.
NEEDS = {
    "LIMIT": ("timeInForce", "quantity", "price"),
    "MARKET": ("quantity",),
    "STOP_LOSS": ("quantity", "stopPrice"),
    "STOP_LOSS_LIMIT": ("timeInForce", "quantity", "price", "stopPrice"),
    "TAKE_PROFIT": ("quantity", "stopPrice"),
    "TAKE_PROFIT_LIMIT": ("timeInForce", "quantity", "price", "stopPrice"),
    "LIMIT_MAKER": ("quantity", "price"),
}
TAKES_ICEBERG = ("LIMIT", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT", "LIMIT_MAKER")
BY_TYPE = ("timeInForce", "quoteOrderQty", "price", "stopPrice", "icebergQty", "trailingDelta")


@dataclass(frozen=True, slots=True)
class Wish:
    """An order as a client asked for it, and how it wants to hear of it."""

    request: NewOrder
    response: str
    iceberg: int = 0


# -------------------------------------------------------------- single orders


def _wish(ask: Ask) -> Wish:
    """Read a new order; Denied for whatever is wrong with its parameters."""
    sent = ask.sent
    instrument = ask.floor.instrument(sent.symbol())
    side = sent.choice("side", SIDES, Denied(-1117, "Invalid side."))
    kind_word = sent.text("type")
    if kind_word not in KINDS:
        raise Denied(-1116, "Invalid orderType.")
    _check_shape(sent, kind_word)
    lifetime = Lifetime.GTC
    if sent.has("timeInForce"):
        lifetime = sent.choice("timeInForce", LIFETIMES, Denied(-1115, "Invalid timeInForce."))
    quantity, quote_quantity = sent.amount("quantity"), sent.amount("quoteOrderQty")
    price, stop_price = sent.amount("price"), sent.amount("stopPrice")
    iceberg = sent.amount("icebergQty")
    _check_amounts(sent)
    if iceberg and lifetime is not Lifetime.GTC:
        raise Denied(-1013, "Unsupported order combination")
    if iceberg > quantity:
        raise Denied(-1013, "IcebergQty exceeds QTY.")
    tags = _tags(sent, kind_word, iceberg)
    request = NewOrder(
        symbol=instrument.name,
        side=side,
        kind=KINDS[kind_word],
        quantity=quantity,
        quote_quantity=quote_quantity,
        price=price,
        stop_price=stop_price,
        lifetime=lifetime,
        client_id=sent.client_id("newClientOrderId") or ask.floor.drawn_word(),
        post_only=kind_word == "LIMIT_MAKER",
        tags=tags,
    )
    fuller = kind_word in ("MARKET", "LIMIT")
    response = sent.one_of("newOrderRespType", RESPONSES) or ("FULL" if fuller else "ACK")
    return Wish(request, response, iceberg)


def _check_shape(sent: Parameters, kind_word: str) -> None:
    """Hold an order to the parameters its type must and may have."""
    if sent.has("trailingDelta"):
        raise Denied(-1013, "Trailing stop orders are not supported for this symbol.")
    if sent.has("pegPriceType"):
        raise Denied(-1013, "Pegged orders are not supported for this symbol.")
    needs = NEEDS[kind_word]
    for name in BY_TYPE:
        may = name in needs or (name == "icebergQty" and kind_word in TAKES_ICEBERG)
        if kind_word == "MARKET" and name == "quoteOrderQty":
            may = not sent.has("quantity")
        if sent.has(name) and not may:
            raise unneeded(name)
    for name in needs:
        if name == "stopPrice" and not sent.has(name):
            raise neither("stopPrice", "trailingDelta")
        if name == "quantity" and kind_word == "MARKET":
            if not sent.has("quantity") and not sent.has("quoteOrderQty"):
                raise neither("quantity", "quoteOrderQty")
        elif not sent.has(name):
            raise missing(name)


def _check_amounts(sent: Parameters) -> None:
    for name, word in (
        ("quantity", "quantity"),
        ("quoteOrderQty", "quoteOrderQty"),
        ("price", "price"),
        ("stopPrice", "stopPrice"),
    ):
        if sent.has(name) and not sent.amount(name):
            raise Denied(-1013, f"Invalid {word}.")


def _tags(sent: Parameters, kind_word: str, iceberg: int, prefix: str = "") -> dict[str, str]:
    """Return what the venue says again of an order."""
    tags = {"type": kind_word}
    strategy = f"{prefix}StrategyId" if prefix else "strategyId"
    strategy_type = f"{prefix}StrategyType" if prefix else "strategyType"
    if (number := sent.long(strategy)) is not None:
        tags["strategyId"] = str(number)
    if (number := sent.long(strategy_type)) is not None:
        if number < STRATEGY_TYPE_MIN:
            raise Denied(-1134, "`strategyType` was less than 1000000.")
        tags["strategyType"] = str(number)
    if mode := sent.one_of("selfTradePreventionMode", STP_MODES):
        tags["stp"] = mode
    if iceberg:
        tags["iceberg"] = str(iceberg)
    return tags


def _place(ask: Ask, wish: Wish) -> Order:
    """Send an order on to the matching engine."""
    floor = ask.floor
    _check_rate(ask, 1)
    check(floor, ask.account, wish.request, iceberg=wish.iceberg)
    floor.counts.add(ask.account.name, 1, ask.now_ms)
    try:
        return floor.place.exchange.place(ask.account.name, wish.request)
    except Refusal as refusal:  # cancel-and-replace says it inside its own answer
        floor.counts.add(ask.account.name, -1, ask.now_ms)
        raise refused(refusal) from None


def _check_rate(ask: Ask, orders: int) -> None:
    if ask.floor.place.limits:
        ask.floor.counts.check(ask.account.name, orders, ask.now_ms)


def new_order(ask: Ask) -> Reply:
    wish = _wish(ask)
    order = _place(ask, wish)
    return Reply(body=reports.placed(order, wish.response), order=order, client_id=order.client_id)


def check_order(ask: Ask) -> Reply:
    """Check an order and forget it."""
    compute = ask.sent.flag("computeCommissionRates")
    wish = _wish(ask)
    check(ask.floor, ask.account, wish.request, iceberg=wish.iceberg)
    ask.floor.place.exchange.test(ask.account.name, wish.request)
    if not compute:
        return Reply(body={})
    instrument = ask.floor.place.exchange.instruments[wish.request.symbol]
    rates = {
        "maker": text(instrument.maker_fee * UNITS // MILLION),
        "taker": text(instrument.taker_fee * UNITS // MILLION),
    }
    nothing = {"maker": text(0), "taker": text(0)}
    return Reply(
        body={
            "standardCommissionForOrder": rates,
            "specialCommissionForOrder": nothing,
            "taxCommissionForOrder": nothing,
            "discount": discount(ask),
        }
    )


def discount(ask: Ask) -> Json:
    """Say what paying fees in another asset saves; here it saves nothing."""
    pays = ask.account.fee_from == "third" and bool(ask.account.fee_asset)
    return {
        "enabledForAccount": pays,
        "enabledForSymbol": True,
        "discountAsset": ask.account.fee_asset or "BNB",
        "discount": text(UNITS),
    }


# -------------------------------------------------------------------- cancels


def named_order(ask: Ask, symbol: str, order_id: int | None, client_id: str) -> Order | None:
    """Return the account's order on a symbol that goes by either name."""
    order = ask.floor.place.exchange.find(ask.account.name, order_id=order_id, client_id=client_id)
    return order if order is not None and symbol_of(order.instrument) == symbol else None


def _live_order(ask: Ask, symbol: str, order_id: int | None, client_id: str) -> Order:
    order = named_order(ask, symbol, order_id, client_id)
    if order is None or not order.is_live:
        raise unknown_order()
    if order_id is not None and client_id and order.client_id != client_id:
        raise unknown_order()
    return order


def _check_restrictions(sent: Parameters, order: Order) -> None:
    only = sent.optional("cancelRestrictions")
    if only is None:
        return
    if only not in ("ONLY_NEW", "ONLY_PARTIALLY_FILLED"):
        raise Denied(-1145, "Invalid cancelRestrictions")
    if (only == "ONLY_NEW") == (order.status is Status.PARTIAL):
        raise Denied(-2011, "Order was not canceled due to cancel restrictions.")


def _cancel(ask: Ask, order: Order, cancel_id: str) -> Json:
    """Cancel an order, or the whole list it stands in."""
    orders = ask.floor.lists.get(reports.list_id(order))
    if orders is not None:
        return _cancel_list(ask, orders, cancel_id)
    ask.floor.cancel_ids[order.id] = cancel_id
    ask.floor.place.exchange.cancel(ask.account.name, order)
    del ask.floor.cancel_ids[order.id]
    return reports.canceled(order, cancel_id)


def _cancel_list(ask: Ask, orders: OrderList, cancel_id: str) -> Json:
    floor, live = ask.floor, [order for order in orders.orders if order.is_live]
    floor.cancel_ids.update((order.id, cancel_id) for order in live)
    floor.place.exchange.cancel(ask.account.name, live[0])
    for order in live:
        del floor.cancel_ids[order.id]
    ended = [order for order in orders.orders if order.status is Status.CANCELED]
    return reports.listed(orders) | {
        "transactionTime": floor.now_ms,
        "orderReports": [reports.canceled(order, cancel_id) for order in ended],
    }


def cancel_order(ask: Ask) -> Reply:
    sent = ask.sent
    symbol = sent.symbol()
    ask.floor.instrument(symbol)
    order_id, client_id = sent.long("orderId"), sent.client_id("origClientOrderId")
    if order_id is None and not client_id:
        raise neither("origClientOrderId", "orderId")
    cancel_id = sent.client_id("newClientOrderId") or ask.floor.drawn_word()
    order = _live_order(ask, symbol, order_id, client_id)
    _check_restrictions(sent, order)
    return Reply(body=_cancel(ask, order, cancel_id), client_id=order.client_id)


def cancel_all(ask: Ask) -> Reply:
    symbol = ask.sent.symbol()
    name = ask.floor.instrument(symbol).name
    done: list[Json] = []
    for order in list(ask.account.live.values()):
        if order.symbol == name and order.is_live:
            done.append(_cancel(ask, order, ask.floor.drawn_word()))
    if not done:
        raise unknown_order()
    return Reply(body=done)


def cancel_replace(ask: Ask) -> Reply:
    """Cancel an order and place another; each may fail alone."""
    sent = ask.sent
    mode = sent.text("cancelReplaceMode")
    if mode not in ("STOP_ON_FAILURE", "ALLOW_FAILURE"):
        raise not_valid("cancelReplaceMode")
    symbol = sent.symbol()
    order_id, client_id = sent.long("cancelOrderId"), sent.client_id("cancelOrigClientOrderId")
    if order_id is None and not client_id:
        raise neither("cancelOrigClientOrderId", "cancelOrderId")
    cancel_id = sent.client_id("cancelNewClientOrderId") or ask.floor.drawn_word()
    wish = _wish(ask)
    canceled: Json
    try:
        order = _live_order(ask, symbol, order_id, client_id)
        _check_restrictions(sent, order)
        canceled = _cancel(ask, order, cancel_id)
    except Denied as denied:
        if mode == "STOP_ON_FAILURE":
            raise _failed(-2022, denied.body, None, cancel_failed=True) from None
        canceled, canceled_well = denied.body, False
    else:
        canceled_well = True
    try:
        placed = _place(ask, wish)
    except Denied as denied:
        code = -2021 if canceled_well else -2022
        raise _failed(code, canceled, denied.body, cancel_failed=not canceled_well) from None
    report = reports.placed(placed, wish.response)
    if not canceled_well:
        raise _failed(-2021, canceled, report, cancel_failed=True, placed=True)
    return Reply(
        body={
            "cancelResult": "SUCCESS",
            "newOrderResult": "SUCCESS",
            "cancelResponse": canceled,
            "newOrderResponse": report,
        },
        order=placed,
        client_id=placed.client_id,
    )


def _failed(
    code: int, canceled: Json, new: Json | None, *, cancel_failed: bool, placed: bool = False
) -> Denied:
    result = "SUCCESS" if placed else "NOT_ATTEMPTED" if new is None else "FAILURE"
    partly = code == -2021
    return Denied(
        code,
        "Order cancel-replace partially failed." if partly else "Order cancel-replace failed.",
        409 if partly else 400,
        extra={
            "data": {
                "cancelResult": "FAILURE" if cancel_failed else "SUCCESS",
                "newOrderResult": result,
                "cancelResponse": canceled,
                "newOrderResponse": new,
            }
        },
    )


# ----------------------------------------------------------------------- OCOs


def _old_legs(ask: Ask) -> tuple[Wish, Wish]:
    """Read POST order/oco: a LIMIT_MAKER and a stop, by their own names of parameters."""
    sent, symbol = ask.sent, ask.floor.instrument(ask.sent.symbol()).name
    side = sent.choice("side", SIDES, Denied(-1117, "Invalid side."))
    for name in ("quantity", "price", "stopPrice"):
        if not sent.has(name):
            raise missing(name)
    stop_word, lifetime = "STOP_LOSS", Lifetime.GTC
    if sent.has("stopLimitPrice"):
        stop_word = "STOP_LOSS_LIMIT"
        lifetime = sent.choice(
            "stopLimitTimeInForce", LIFETIMES, Denied(-1115, "Invalid timeInForce.")
        )
    elif sent.has("stopLimitTimeInForce"):
        raise unneeded("stopLimitTimeInForce")
    icebergs = sent.amount("limitIcebergQty"), sent.amount("stopIcebergQty")
    response = sent.one_of("newOrderRespType", RESPONSES) or "RESULT"
    limit = NewOrder(
        symbol=symbol,
        side=side,
        kind=Kind.LIMIT,
        quantity=sent.amount("quantity"),
        price=sent.amount("price"),
        post_only=True,
        client_id=sent.client_id("limitClientOrderId"),
        tags=_tags(sent, "LIMIT_MAKER", icebergs[0], "limit"),
    )
    stop = NewOrder(
        symbol=symbol,
        side=side,
        kind=KINDS[stop_word],
        quantity=sent.amount("quantity"),
        price=sent.amount("stopLimitPrice"),
        stop_price=sent.amount("stopPrice"),
        lifetime=lifetime,
        client_id=sent.client_id("stopClientOrderId"),
        tags=_tags(sent, stop_word, icebergs[1], "stop"),
    )
    return Wish(limit, response, icebergs[0]), Wish(stop, response, icebergs[1])


def _leg(ask: Ask, where: str) -> Wish:
    """Read one leg of POST orderList/oco: the above or the below one."""
    sent = ask.sent
    kind_word = sent.text(f"{where}Type")
    if kind_word not in KINDS:
        raise Denied(-1116, "Invalid orderType.")
    if kind_word in ("LIMIT", "MARKET"):
        raise Denied(-1158, "Order type not supported in OCO.")
    if sent.has(f"{where}TrailingDelta"):
        raise Denied(-1013, "Trailing stop orders are not supported for this symbol.")
    needs = set(NEEDS[kind_word]) - {"quantity"}
    for name, own in (
        ("timeInForce", f"{where}TimeInForce"),
        ("price", f"{where}Price"),
        ("stopPrice", f"{where}StopPrice"),
    ):
        if name in needs and not sent.has(own):
            raise missing(own)
        if name not in needs and sent.has(own):
            raise unneeded(own)
    lifetime = Lifetime.GTC
    if sent.has(f"{where}TimeInForce"):
        lifetime = sent.choice(
            f"{where}TimeInForce", LIFETIMES, Denied(-1115, "Invalid timeInForce.")
        )
    iceberg = sent.amount(f"{where}IcebergQty")
    request = NewOrder(
        symbol=ask.floor.instrument(sent.symbol()).name,
        side=sent.choice("side", SIDES, Denied(-1117, "Invalid side.")),
        kind=KINDS[kind_word],
        quantity=sent.amount("quantity"),
        price=sent.amount(f"{where}Price"),
        stop_price=sent.amount(f"{where}StopPrice"),
        lifetime=lifetime,
        post_only=kind_word == "LIMIT_MAKER",
        client_id=sent.client_id(f"{where}ClientOrderId"),
        tags=_tags(sent, kind_word, iceberg, where),
    )
    return Wish(request, sent.one_of("newOrderRespType", RESPONSES) or "RESULT", iceberg)


def _legs(ask: Ask) -> tuple[Wish, Wish]:
    """Read POST orderList/oco; return the taking leg and the stopping one."""
    for name in ("symbol", "side", "quantity"):
        if not ask.sent.has(name):
            raise missing(name)
    above, below = _leg(ask, "above"), _leg(ask, "below")
    stops = [wish.request.tags["type"].startswith("STOP_LOSS") for wish in (above, below)]
    if not any(wish.request.kind.triggers for wish in (above, below)):
        raise Denied(-1168, "At least one OCO order must be contingent.")
    if stops == [True, True] or stops == [False, False]:
        raise Denied(-1158, "Order type not supported in OCO.")
    sells = above.request.side is Side.SELL
    if stops[0] == sells:  # a sell stops below the market, a buy above
        raise (
            Denied(-1197, "A stop loss order in a sell OCO must be below.")
            if sells
            else Denied(-1196, "A stop loss order in a buy OCO must be above.")
        )
    return (above, below) if stops[1] else (below, above)


def new_oco_by_old_names(ask: Ask) -> Reply:
    return _place_oco(ask, *_old_legs(ask))


def new_oco(ask: Ask) -> Reply:
    return _place_oco(ask, *_legs(ask))


def _place_oco(ask: Ask, limit: Wish, stop: Wish) -> Reply:
    floor, book, exchange = ask.floor, ask.account, ask.floor.place.exchange
    list_client_id = ask.sent.client_id("listClientOrderId") or floor.drawn_word()
    legs = [_named(ask, wish) for wish in (stop, limit)]
    namesake = find_list(ask, None, list_client_id)
    if legs[0].request.client_id == legs[1].request.client_id or (namesake and not namesake.done):
        raise rejected("Duplicate order sent.")
    _check_rate(ask, 2)
    for wish in legs:
        check(floor, book, wish.request, iceberg=wish.iceberg)
    check_counts(book, [wish.request for wish in legs])
    symbol = legs[0].request.symbol
    if not oco_prices_fit(limit.request, stop.request, exchange.price(symbol)):
        raise rejected("The relationship of the prices for the orders is not correct.")
    orders = exchange.place_oco(book.name, [wish.request for wish in legs])
    floor.counts.add(book.name, 2, ask.now_ms)
    made = floor.lists[reports.list_id(orders[0])]
    made.client_id = list_client_id
    floor.tell_list(made)
    return Reply(
        body=reports.listed(made)
        | {"orderReports": [reports.placed(order, limit.response) for order in orders]},
        order=orders[0],
        client_id=orders[0].client_id,
    )


def _named(ask: Ask, wish: Wish) -> Wish:
    """Give a leg an id of the venue's if the client gave it none."""
    if wish.request.client_id:
        return wish
    return replace(wish, request=replace(wish.request, client_id=ask.floor.drawn_word()))


def cancel_list(ask: Ask) -> Reply:
    sent = ask.sent
    symbol = sent.symbol()
    number, client_id = sent.long("orderListId"), sent.client_id("listClientOrderId")
    if number is None and not client_id:
        raise neither("orderListId", "listClientOrderId")
    cancel_id = sent.client_id("newClientOrderId") or ask.floor.drawn_word()
    found = find_list(ask, number, client_id)
    if found is None or found.done or found.symbol != symbol:
        raise unknown_order()
    return Reply(body=_cancel_list(ask, found, cancel_id))


def find_list(ask: Ask, number: int | None, client_id: str) -> OrderList | None:
    """Return the account's list that goes by either name; by client id the latest."""
    if number is not None:
        known = ask.floor.lists.get(number)
        return known if known is not None and known.account == ask.account.name else None
    lists = reversed(ask.floor.lists_of[ask.account.name])
    return next((known for known in lists if known.client_id == client_id), None)
