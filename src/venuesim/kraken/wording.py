"""Orders, trades and ledger entries as Kraken's answers have them."""

from venuesim.exchange import Exchange
from venuesim.kraken.ids import POSITION, order_id, trade_id
from venuesim.kraken.ledger import Entry
from venuesim.kraken.names import Names, Pair
from venuesim.kraken.numbers import amount, seconds
from venuesim.orders import Kind, NewOrder, Order, Status, Trade
from venuesim.units import text, times

ORDER_TYPES = {
    "market": Kind.MARKET,
    "limit": Kind.LIMIT,
    "stop-loss": Kind.STOP_MARKET,
    "take-profit": Kind.PROFIT_MARKET,
    "stop-loss-limit": Kind.STOP_LIMIT,
    "take-profit-limit": Kind.PROFIT_LIMIT,
}
TYPE_OF_KIND = {kind: name for name, kind in ORDER_TYPES.items()}
STATUSES = {
    Status.WAITING: "open",
    Status.OPEN: "open",
    Status.PARTIAL: "open",
    Status.FILLED: "closed",
    Status.CANCELED: "canceled",
    Status.EXPIRED: "expired",
}
REASONS = {Status.CANCELED: "User requested", Status.EXPIRED: "Order expired"}
DOLLARS = ("USD", "USDT", "USDC")


def order_type(request: NewOrder) -> str:
    """Return the type an order came with, even if it was triggered at once."""
    return request.tags.get("ordertype") or TYPE_OF_KIND[request.kind]


def is_triggered_type(request: NewOrder) -> bool:
    return ORDER_TYPES[order_type(request)].triggers


def prices(request: NewOrder, pair: Pair) -> tuple[str, str]:
    """Return price and price2: of triggered types the trigger comes first."""
    limit = text(request.price, pair.price_decimals) if request.price else "0"
    if not is_triggered_type(request):
        return limit, "0"
    return text(request.stop_price, pair.price_decimals), limit


def sentence(request: NewOrder, volume: int, pair: Pair) -> str:
    """Return an order in words: buy 1.25000000 XBTUSD @ limit 27500.0."""
    kind, (price, price2) = order_type(request), prices(request, pair)
    how = kind.removesuffix("-limit").replace("-", " ") if kind != "limit" else "limit"
    words = [request.side.value, text(volume), pair.altname, "@", how]
    if price != "0":
        words.append(price)
    if price2 != "0":
        words += ["->", "limit", price2]
    return " ".join(words)


def reason(order: Order) -> str | None:
    """Return why an order is over: None for one that was filled."""
    return order.request.tags.get("refused") or REASONS.get(order.status)


def remarks(order: Order) -> str:
    """Return what happened to an order on its way, as Kraken notes it."""
    found = []
    if order.triggered or "touched" in order.request.tags:
        stops = order_type(order.request).startswith("stop")
        found.append("stopped" if stops else "touched")
    if order.filled and not order.is_live and order.left:
        found.append("partial")
    if "amended" in order.request.tags:
        found.append("amended")
    return ",".join(found)


def fee_in_quote(trade: Trade, pair: Pair) -> int:
    """Return a trade's fee as Kraken tells it, in quote whatever it was paid in."""
    if trade.fee_asset == pair.quote.code:
        return trade.fee
    return times(trade.fee, trade.price, pair.instrument.amount_decimals)


def fee_of(order: Order, pair: Pair) -> int:
    return sum(fee_in_quote(trade, pair) for trade in order.trades)


def in_dollars(exchange: Exchange, asset: str, units: int) -> int:
    """Return what an amount is worth in dollars by the last prices, 0 when nobody knows."""
    if asset in DOLLARS:
        return units
    for quote in DOLLARS:
        if price := exchange.prices.get(f"{asset}/{quote}"):
            return times(units, price)
    if price := exchange.prices.get(f"{asset}/BTC"):
        return in_dollars(exchange, "BTC", times(units, price))
    return 0


def order_row(order: Order, names: Names, *, trades: bool) -> dict[str, object]:
    pair, request = names.by_symbol(order.symbol), order.request
    costs, (price, price2) = pair.cost_decimals, prices(request, pair)
    triggered = order.triggered or "touched" in request.tags
    row: dict[str, object] = {"refid": None, "userref": userref(request)}
    if order.client_id:
        row["cl_ord_id"] = order.client_id
    row["status"] = STATUSES[order.status]
    if not order.is_live:
        row["reason"] = reason(order)
    row["opentm"] = seconds(order.created_ms)
    if not order.is_live:
        row["closetm"] = seconds(order.updated_ms)
    row |= {
        "starttm": 0,
        "expiretm": 0,
        "descr": {
            "pair": pair.altname,
            "aclass": "forex",
            "type": request.side.value,
            "ordertype": order_type(request),
            "price": price,
            "price2": price2,
            "leverage": "none",
            "order": sentence(request, order.quantity, pair),
            "close": "",
        },
        "vol": text(order.quantity),
        "vol_exec": text(order.filled),
        "cost": text(order.cost, costs),
        "fee": text(fee_of(order, pair), costs),
        "price": text(order.average, costs),
        "stopprice": text(request.stop_price if triggered else 0, costs),
        "limitprice": text(request.price if triggered else 0, costs),
        "misc": remarks(order),
        "oflags": request.tags.get("oflags", "fciq"),
    }
    if is_triggered_type(request):
        row["trigger"] = request.tags.get("trigger", "last")
    if trades and order.trades:
        row["trades"] = [trade_id(trade.id) for trade in order.trades]
    return row


def userref(request: NewOrder) -> int | None:
    given = request.tags.get("userref")
    return int(given) if given else None


def trade_row(trade: Trade, names: Names, entries: list[str] | None = None) -> dict[str, object]:
    pair = names.by_symbol(trade.symbol)
    costs = pair.cost_decimals
    row: dict[str, object] = {
        "ordertxid": order_id(trade.order_id),
        "postxid": POSITION,
        "pair": pair.key,
        "aclass": "forex",
        "time": seconds(trade.at_ms),
        "type": trade.side.value,
        "ordertype": TYPE_OF_KIND[trade.kind],
        "tradeordertype": "limit" if trade.kind.has_limit else "market",
        "price": text(trade.price, costs),
        "cost": text(trade.cost, costs),
        "fee": text(fee_in_quote(trade, pair), costs),
        "vol": text(trade.quantity),
        "margin": text(0, costs),
        "leverage": "0",
        "misc": "",
        "trade_id": trade.id,
        "maker": trade.maker,
    }
    if entries is not None:
        row["ledgers"] = entries
    return row


def entry_row(entry: Entry, names: Names) -> dict[str, object]:
    asset = names.asset_of(entry.asset)
    return {
        "refid": entry.refid,
        "time": seconds(entry.at_ms),
        "type": entry.what,
        "subtype": "",
        "aclass": "currency",
        "asset": asset.key,
        "amount": amount(entry.amount, asset.decimals),
        "fee": amount(entry.fee, asset.decimals),
        "balance": amount(entry.balance, asset.decimals),
    }
