"""Orders, trades and lists as the venue writes them, in replies and in events."""

from venuesim.binance.floor import Floor, OrderList
from venuesim.binance.words import SIDE_WORDS, STATUSES, symbol_of
from venuesim.orders import Lifetime, Order, Side, Status, Trade
from venuesim.units import text

Json = dict[str, object]
STP = "EXPIRE_MAKER"
ZERO = text(0)


def symbol(order: Order) -> str:
    return symbol_of(order.instrument)


def list_id(order: Order) -> int:
    return int(order.request.tags.get("list", "-1"))


def type_word(order: Order) -> str:
    """Return the kind as it was asked for; its owner's by hand are the two simplest."""
    plain = "LIMIT" if order.kind.has_limit else "MARKET"
    return order.request.tags.get("type", plain)


def lifetime_word(order: Order) -> str:
    return order.request.lifetime.value.upper()


def working_ms(order: Order) -> int:
    """Return since when an order is on the book, -1 while it waits for its trigger."""
    if not order.kind.triggers:
        return order.created_ms
    return int(order.request.tags.get("working", "-1"))


def expiry_reason(order: Order) -> str:
    """Return why an order expired; the venue says it of no other."""
    if list_id(order) >= 0 and not order.triggered and not order.filled:
        return "OCO_TRIGGER"
    if not order.kind.has_limit:
        return "INSUFFICIENT_LIQUIDITY"
    if order.request.lifetime is Lifetime.FOK:
        return "UNFILLED_FOK_ORDER_EXPIRED"
    if order.request.lifetime is Lifetime.IOC:
        return "UNFILLED_IOC_QUANTITY_EXPIRED"
    return "EXCHANGE_CANCELED"


def _amounts(order: Order) -> Json:
    return {
        "price": text(order.request.price),
        "origQty": text(order.quantity),
        "executedQty": text(order.filled),
        "origQuoteOrderQty": text(order.request.quote_quantity),
        "cummulativeQuoteQty": text(order.cost),
        "status": STATUSES[order.status],
        "timeInForce": lifetime_word(order),
        "type": type_word(order),
        "side": SIDE_WORDS[order.side],
    }


def _conditional(order: Order) -> Json:
    """Return the fields that only some orders have."""
    tags, fields = order.request.tags, Json()
    if order.kind.triggers:
        fields["stopPrice"] = text(order.request.stop_price)
    if "iceberg" in tags:
        fields["icebergQty"] = text(int(tags["iceberg"]))
    for name in ("strategyId", "strategyType"):
        if name in tags:
            fields[name] = int(tags[name])
    return fields


def _expiry(order: Order) -> Json:
    return {"expiryReason": expiry_reason(order)} if order.status is Status.EXPIRED else {}


# -------------------------------------------------------------------- replies


def placed(order: Order, response: str) -> Json:
    """Return the reply to a new order: ACK, RESULT or FULL."""
    report: Json = {
        "symbol": symbol(order),
        "orderId": order.id,
        "orderListId": list_id(order),
        "clientOrderId": order.client_id,
        "transactTime": order.updated_ms,
    }
    if response == "ACK":
        return report
    report |= _amounts(order) | _conditional(order)
    report |= {"workingTime": working_ms(order)}
    if response == "FULL":
        report["fills"] = [_fill(trade) for trade in order.trades]
    report["selfTradePreventionMode"] = order.request.tags.get("stp", STP)
    return report | _expiry(order)


def _fill(trade: Trade) -> Json:
    return {
        "price": text(trade.price),
        "qty": text(trade.quantity),
        "commission": text(trade.fee),
        "commissionAsset": trade.fee_asset,
        "tradeId": trade.id,
    }


def canceled(order: Order, cancel_id: str) -> Json:
    return (
        {
            "symbol": symbol(order),
            "origClientOrderId": order.client_id,
            "orderId": order.id,
            "orderListId": list_id(order),
            "clientOrderId": cancel_id,
            "transactTime": order.updated_ms,
        }
        | _amounts(order)
        | _conditional(order)
        | {"selfTradePreventionMode": order.request.tags.get("stp", STP)}
    )


def queried(order: Order) -> Json:
    """Return an order as look-ups show it."""
    amounts = _amounts(order)
    quote_quantity = amounts.pop("origQuoteOrderQty")
    working = working_ms(order)
    return (
        {
            "symbol": symbol(order),
            "orderId": order.id,
            "orderListId": list_id(order),
            "clientOrderId": order.client_id,
        }
        | amounts
        | {
            "stopPrice": text(order.request.stop_price),
            "icebergQty": text(int(order.request.tags.get("iceberg", "0"))),
            "time": order.created_ms,
            "updateTime": order.updated_ms,
            "isWorking": working >= 0,
            "workingTime": working,
            "origQuoteOrderQty": quote_quantity,
        }
        | _conditional(order)
        | {"selfTradePreventionMode": order.request.tags.get("stp", STP)}
        | _expiry(order)
    )


def traded(trade: Trade, order: Order) -> Json:
    """Return an account's trade as look-ups show it."""
    return {
        "symbol": symbol(order),
        "id": trade.id,
        "orderId": trade.order_id,
        "orderListId": list_id(order),
        "price": text(trade.price),
        "qty": text(trade.quantity),
        "quoteQty": text(trade.cost),
        "commission": text(trade.fee),
        "commissionAsset": trade.fee_asset,
        "time": trade.at_ms,
        "isBuyer": trade.side is Side.BUY,
        "isMaker": trade.maker,
        "isBestMatch": True,
    }


def listed(orders: OrderList) -> Json:
    return {
        "orderListId": orders.id,
        "contingencyType": "OCO",
        "listStatusType": "ALL_DONE" if orders.done else "EXEC_STARTED",
        "listOrderStatus": "ALL_DONE" if orders.done else "EXECUTING",
        "listClientOrderId": orders.client_id,
        "transactionTime": orders.placed_ms,
        "symbol": orders.symbol,
        "orders": [
            {"symbol": orders.symbol, "orderId": order.id, "clientOrderId": order.client_id}
            for order in orders.orders
        ],
    }


# --------------------------------------------------------------------- events


def execution_report(floor: Floor, order: Order, trade: Trade | None, what: str) -> Json:
    """Return the event of a change of an order; what is said as the books say it."""
    floor.executions += 1
    canceling = floor.cancel_ids.get(order.id) if what == "canceled" else None
    working = working_ms(order)
    event: Json = {
        "e": "executionReport",
        "E": floor.now_ms,
        "s": symbol(order),
        "c": canceling or order.client_id,
        "S": SIDE_WORDS[order.side],
        "o": type_word(order),
        "f": lifetime_word(order),
        "q": text(order.quantity),
        "p": text(order.request.price),
        "P": text(order.request.stop_price),
        "F": text(int(order.request.tags.get("iceberg", "0"))),
        "g": list_id(order),
        "C": order.client_id if canceling else "",
        "x": EXECUTIONS[what],
        "X": STATUSES[order.status],
        "r": "NONE",
        "i": order.id,
        "l": text(trade.quantity) if trade else ZERO,
        "z": text(order.filled),
        "L": text(trade.price) if trade else ZERO,
        "n": text(trade.fee) if trade else "0",
        "N": trade.fee_asset if trade else None,
        "T": order.updated_ms,
        "t": trade.id if trade else -1,
        "I": floor.executions,
        "w": order.is_live and working >= 0,
        "m": trade.maker if trade else False,
        "M": trade is not None,
        "O": order.created_ms,
        "Z": text(order.cost),
        "Y": text(trade.cost) if trade else ZERO,
        "Q": text(order.request.quote_quantity),
    }
    if working >= 0:
        event["W"] = working
    event["V"] = order.request.tags.get("stp", STP)
    for letter, name in (("j", "strategyId"), ("J", "strategyType")):
        if name in order.request.tags:
            event[letter] = int(order.request.tags[name])
    if order.status is Status.EXPIRED:
        event["eR"] = expiry_reason(order)
    return event


EXECUTIONS = {
    "new": "NEW",
    "trade": "TRADE",
    "triggered": "NEW",  # once more, now that it is on the book
    "canceled": "CANCELED",
    "expired": "EXPIRED",
    "amended": "REPLACED",
    "rejected": "REJECTED",
}


def list_status(floor: Floor, orders: OrderList) -> Json:
    return {
        "e": "listStatus",
        "E": floor.now_ms,
        "s": orders.symbol,
        "g": orders.id,
        "c": "OCO",
        "l": "ALL_DONE" if orders.done else "EXEC_STARTED",
        "L": "ALL_DONE" if orders.done else "EXECUTING",
        "r": "NONE",
        "C": orders.client_id,
        "T": floor.now_ms,
        "O": [{"s": orders.symbol, "i": order.id, "c": order.client_id} for order in orders.orders],
    }
