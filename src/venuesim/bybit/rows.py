"""Orders and executions as Bybit writes them, in look-ups and in streams."""

from dataclasses import dataclass

from venuesim.bybit.errors import LATE
from venuesim.instruments import Instrument
from venuesim.orders import Kind, Lifetime, Order, Status, Trade
from venuesim.units import short, text, times

ORDER_IDS = 1_900_000_000_000_000_000
ORDER_STEP = 256  # between two orders' ids: the odd one after an id is its default orderLinkId
EXECUTION_IDS = 2_100_000_000_000_000_000
PUBLIC_IDS = 2_290_000_000_000_000_000
SEQUENCE = 1_253_000_000

Row = dict[str, object]

STATUSES = {
    Status.WAITING: "Untriggered",
    Status.OPEN: "New",
    Status.PARTIAL: "PartiallyFilled",
    Status.FILLED: "Filled",
}


def order_id(number: int) -> str:
    return str(ORDER_IDS + number * ORDER_STEP)


def number_of(order_id: str) -> int | None:
    """Return the books' number of an order; None when the venue gives no such id."""
    if not order_id.isdecimal():
        return None
    number, rest = divmod(int(order_id) - ORDER_IDS, ORDER_STEP)
    return None if rest else number


def link_id(order: Order) -> str:
    """Return the client's id; without one the venue gives the number after the order's."""
    return order.client_id or str(ORDER_IDS + order.id * ORDER_STEP + 1)


def number_of_link(link: str) -> int | None:
    return number_of(str(int(link) - 1)) if link.isdecimal() else None


def exec_id(trade_id: int) -> str:
    return str(EXECUTION_IDS + trade_id)


def symbol(instrument: Instrument) -> str:
    return f"{instrument.base}{instrument.quote}"


def capital(word: str) -> str:
    return word.capitalize()


def order_type(kind: Kind) -> str:
    return "Limit" if kind.has_limit else "Market"


def quantity_text(instrument: Instrument, amount: int) -> str:
    """Return a quantity with the pair's decimals, or with all it has when it is finer."""
    written = text(amount, instrument.quantity_decimals)
    whole = amount % 10 ** (8 - instrument.quantity_decimals) == 0
    return written if whole else short(amount)


def price_text(instrument: Instrument, price: int) -> str:
    return text(price, instrument.price_decimals) if price else "0"


def in_force(order: Order) -> str:
    if not order.kind.has_limit:
        return "IOC"
    if order.request.post_only:
        return "PostOnly"
    return {Lifetime.GTC: "GTC", Lifetime.IOC: "IOC", Lifetime.FOK: "FOK"}[order.request.lifetime]


@dataclass(frozen=True, slots=True)
class End:
    """How an order stands: orderStatus, cancelType, rejectReason."""

    status: str
    cancel: str = "UNKNOWN"
    reason: str = "EC_NoError"


def is_by_quote(order: Order) -> bool:
    return order.request.tags.get("unit") == "quoteCoin"


def quote_asked(order: Order) -> int:
    """Return the quote amount a market order was given, zero when it was given base."""
    return int(order.request.tags["quote"]) if is_by_quote(order) else 0


def end_of(order: Order) -> End:
    """Return the venue's words for an order's status; what it refused late is rejected."""
    refused = order.request.tags.get("refused")
    if refused is not None and not order.is_live and not order.filled:
        status, reason = LATE[refused]
        return End(status, reason=reason)
    if order.status is Status.FILLED and 0 < order.cost < quote_asked(order):
        return End("PartiallyFilledCanceled", reason="EC_CancelForNoFullFill")
    if order.status in STATUSES:
        return End(STATUSES[order.status])
    by_user = order.status is Status.CANCELED
    cancel = "CancelByUser" if by_user else "UNKNOWN"
    if order.kind.triggers and not order.triggered:
        return End("Deactivated", cancel, "EC_PerCancelRequest")
    if by_user:
        reason = "EC_PerCancelRequest"
    elif order.request.lifetime is Lifetime.IOC or not order.kind.has_limit:
        reason = "EC_CancelForNoFullFill" if order.filled else "EC_NoImmediateQtyToFill"
    else:
        reason = "EC_Others"
    return End("PartiallyFilledCanceled" if order.filled else "Cancelled", cancel, reason)


def left_worth(order: Order) -> int:
    """Return what is not executed of an order, in quote."""
    asked = quote_asked(order)
    if asked:
        return max(0, asked - order.cost)
    price = order.request.price or order.request.stop_price or order.average
    return times(order.left, price)


def fees_of(order: Order) -> dict[str, int]:
    fees: dict[str, int] = {}
    for trade in order.trades:
        fees[trade.fee_asset] = fees.get(trade.fee_asset, 0) + trade.fee
    return fees


def order_row(order: Order) -> Row:
    """Return what look-ups and stream say of a spot order alike."""
    instrument, request, end = order.instrument, order.request, end_of(order)
    tags, fees = request.tags, fees_of(order)
    asked = quote_asked(order)
    zero = text(0, instrument.price_decimals)
    left = order.left if order.is_live and not asked else 0
    return {
        "orderId": order_id(order.id),
        "orderLinkId": link_id(order),
        "blockTradeId": "",
        "symbol": symbol(instrument),
        "price": price_text(instrument, request.price),
        "qty": quantity_text(instrument, asked or order.quantity),
        "side": capital(order.side.value),
        "isLeverage": "0",
        "positionIdx": 0,
        "orderStatus": end.status,
        "cancelType": end.cancel,
        "rejectReason": end.reason,
        "avgPrice": short(order.average) if order.filled else "",
        "leavesQty": quantity_text(instrument, left),
        "leavesValue": text(left_worth(order)),
        "cumExecQty": quantity_text(instrument, order.filled),
        "cumExecValue": text(order.cost),
        "cumExecFee": short(sum(fees.values())),
        "timeInForce": in_force(order),
        "orderType": order_type(order.kind),
        "stopOrderType": tags.get("stop", ""),
        "orderIv": "",
        "marketUnit": tags.get("unit", ""),
        "triggerPrice": text(request.stop_price, instrument.price_decimals),
        "takeProfit": tags.get("takeProfit", zero),
        "stopLoss": tags.get("stopLoss", zero),
        "tpTriggerBy": "",
        "slTriggerBy": "",
        "tpLimitPrice": tags.get("tpLimitPrice", ""),
        "slLimitPrice": tags.get("slLimitPrice", ""),
        "triggerDirection": 0,
        "triggerBy": "",
        "ocoTriggerBy": "OcoTriggerByUnknown",
        "reduceOnly": False,
        "closeOnTrigger": False,
        "placeType": "",
        "smpType": "None",
        "smpGroup": 0,
        "smpOrderId": "",
        "slippageToleranceType": tags.get("slippageToleranceType", "UNKNOWN"),
        "slippageTolerance": tags.get("slippageTolerance", ""),
        "createdTime": str(order.created_ms),
        "updatedTime": str(order.updated_ms),
        "cumFeeDetail": {asset: short(fee) for asset, fee in fees.items()},
    }


def found_row(order: Order) -> Row:
    """Return an order as order/realtime says it."""
    return order_row(order) | {
        "lastPriceOnCreated": "",
        "basePrice": order.request.tags.get("last", ""),
    }


def history_row(order: Order) -> Row:
    """Return an order as order/history says it."""
    return found_row(order) | {"extraFees": "", "rpiTakerAccess": False, "rpiMatchedQty": "0"}


def stream_row(order: Order) -> Row:
    """Return an order as the topic order says it."""
    buys = order.side.sign > 0
    return order_row(order) | {
        "category": "spot",
        "lastPriceOnCreated": order.request.tags.get("last", ""),
        "closedPnl": "0",
        "feeCurrency": order.instrument.base if buys else order.instrument.quote,
        "rpiTakerAccess": False,
        "rpiMatchedQty": "0",
    }


def fee_rate(instrument: Instrument, *, maker: bool) -> str:
    return short((instrument.maker_fee if maker else instrument.taker_fee) * 100)


def left_after(order: Order, trade: Trade) -> int:
    """Return what was left of an order when it had traded so far."""
    filled = 0
    for one in order.trades:
        filled += one.quantity
        if one.id == trade.id:
            break
    return order.quantity - filled


def execution_row(order: Order, trade: Trade) -> Row:
    """Return what execution/list and stream say of a trade alike."""
    instrument, asked = order.instrument, quote_asked(order)
    return {
        "symbol": symbol(instrument),
        "orderId": order_id(order.id),
        "orderLinkId": link_id(order),
        "side": capital(trade.side.value),
        "orderPrice": price_text(instrument, order.request.price),
        "orderQty": quantity_text(instrument, 0 if asked else order.quantity),
        "leavesQty": quantity_text(instrument, left_after(order, trade)),
        "orderType": order_type(order.kind),
        "stopOrderType": order.request.tags.get("stop", ""),
        "execFee": short(trade.fee),
        "execId": exec_id(trade.id),
        "execPrice": price_text(instrument, trade.price),
        "execQty": quantity_text(instrument, trade.quantity),
        "execType": "Trade",
        "execValue": text(trade.cost),
        "execTime": str(trade.at_ms),
        "feeCurrency": trade.fee_asset,
        "isMaker": trade.maker,
        "feeRate": fee_rate(instrument, maker=trade.maker),
        "tradeIv": "",
        "markIv": "",
        "markPrice": "",
        "indexPrice": "",
        "underlyingPrice": "",
        "blockTradeId": "",
        "closedSize": "",
        "seq": SEQUENCE + trade.id,
        "extraFees": "",
    }


def execution_stream_row(order: Order, trade: Trade) -> Row:
    """Return a trade as the topic execution says it."""
    return execution_row(order, trade) | {
        "category": "spot",
        "isLeverage": "0",
        "marketUnit": order.request.tags.get("unit", ""),
        "execPnl": "0",
    }


def fast_row(order: Order, trade: Trade) -> Row:
    """Return a trade as the topic execution.fast says it; makers go without their own id."""
    return {
        "category": "spot",
        "symbol": symbol(order.instrument),
        "execId": exec_id(trade.id),
        "execPrice": price_text(order.instrument, trade.price),
        "execQty": quantity_text(order.instrument, trade.quantity),
        "orderId": order_id(order.id),
        "isMaker": trade.maker,
        "orderLinkId": "" if trade.maker else link_id(order),
        "side": capital(trade.side.value),
        "execTime": str(trade.at_ms),
        "seq": SEQUENCE + trade.id,
    }
