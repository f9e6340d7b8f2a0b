"""OCOs: two orders of which the first to trade ends the other."""

from dataclasses import replace

from venuesim.binance import reports
from venuesim.binance.cancelling import end_list
from venuesim.binance.denials import Denied, missing, neither, rejected, unknown_order, unneeded
from venuesim.binance.filters import check, check_counts, oco_prices_fit
from venuesim.binance.floor import Ask, OrderList, Reply
from venuesim.binance.placing import NEEDS, Wish, check_rate, tags_of
from venuesim.binance.words import KINDS, LIFETIMES, RESPONSES, SIDES
from venuesim.orders import Kind, Lifetime, NewOrder, Side


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
        tags=tags_of(sent, "LIMIT_MAKER", icebergs[0], "limit"),
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
        tags=tags_of(sent, stop_word, icebergs[1], "stop"),
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
        tags=tags_of(sent, kind_word, iceberg, where),
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
    check_rate(ask, 2)
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
    return Reply(body=end_list(ask, found, cancel_id))


def find_list(ask: Ask, number: int | None, client_id: str) -> OrderList | None:
    """Return the account's list that goes by either name; by client id the latest."""
    if number is not None:
        known = ask.floor.lists.get(number)
        return known if known is not None and known.account == ask.account.name else None
    lists = reversed(ask.floor.lists_of[ask.account.name])
    return next((known for known in lists if known.client_id == client_id), None)
