"""Cancels: of one order, of all, of a whole list, and of one to place another instead."""

from venuesim.binance import reports
from venuesim.binance.denials import Denied, neither, not_valid, unknown_order
from venuesim.binance.floor import Ask, OrderList, Reply
from venuesim.binance.parameters import Parameters
from venuesim.binance.placing import read_wish, send
from venuesim.binance.words import symbol_of
from venuesim.orders import Order, Status

Json = dict[str, object]


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
        return end_list(ask, orders, cancel_id)
    ask.floor.cancel_ids[order.id] = cancel_id
    ask.floor.place.exchange.cancel(ask.account.name, order)
    del ask.floor.cancel_ids[order.id]
    return reports.canceled(order, cancel_id)


def end_list(ask: Ask, orders: OrderList, cancel_id: str) -> Json:
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
    wish = read_wish(ask)
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
        placed = send(ask, wish)
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
