"""What Kraken's streams say: tickers, trades, bars, books, instruments, executions, balances."""

from collections.abc import Sequence

from venuesim.candles import Candle
from venuesim.exchange import Ticked
from venuesim.kraken.floor import Floor
from venuesim.kraken.ids import order_id, trade_id
from venuesim.kraken.ledger import Entry
from venuesim.kraken.market import Book, Level, changes, checksum, mark_ns
from venuesim.kraken.names import Pair
from venuesim.kraken.numbers import cut, literal, moment, ratio
from venuesim.kraken.public import average
from venuesim.kraken.wording import (
    fee_in_quote,
    fee_of,
    in_dollars,
    is_triggered_type,
    order_type,
    reason,
    userref,
)
from venuesim.orders import Order, Status, Trade

VERSION = "2.0.10"
NANO = 1_000_000

Row = dict[str, object]

STATUSES = {
    Status.WAITING: "pending_new",
    Status.OPEN: "new",
    Status.PARTIAL: "partially_filled",
    Status.FILLED: "filled",
    Status.CANCELED: "canceled",
    Status.EXPIRED: "expired",
}


def status(mode: str, connection: int) -> Row:
    data = {
        "version": VERSION,
        "system": mode,
        "api_version": "v2",
        "connection_id": connection,
    }
    return {"channel": "status", "type": "update", "data": [data]}


# ------------------------------------------------------------------ market


def ticker(floor: Floor, pair: Pair) -> Row | None:
    """Return a pair's ticker, None while it has no price."""
    last = floor.market.last_price(pair.symbol)
    if last is None:
        return None
    day, book = floor.market.last_day(pair.symbol), floor.market.book(pair.symbol, 1)
    change = last - day.open
    return {
        "symbol": pair.symbol,
        "bid": literal(book.bids[0].price),
        "bid_qty": literal(book.bids[0].quantity),
        "ask": literal(book.asks[0].price),
        "ask_qty": literal(book.asks[0].quantity),
        "last": literal(last),
        "volume": literal(day.volume),
        "vwap": literal(cut(day.average, pair.price_decimals)),
        "low": literal(day.low),
        "high": literal(day.high),
        "change": literal(change),
        "change_pct": ratio(change, day.open, 2),
        "timestamp": moment(floor.place.clock.now_ns()),
    }


def trade(tick: Ticked) -> Row:
    return {
        "symbol": tick.symbol,
        "side": "buy" if tick.buyer_took else "sell",
        "price": literal(tick.price),
        "qty": literal(tick.quantity),
        "ord_type": "market",
        "trade_id": tick.number,
        "timestamp": moment(mark_ns(tick)),
    }


def bar(pair: Pair, minutes: int, candle: Candle) -> Row:
    opened_ns = candle.opened_ms * NANO
    return {
        "symbol": pair.symbol,
        "open": literal(candle.open),
        "high": literal(candle.high),
        "low": literal(candle.low),
        "close": literal(candle.close),
        "trades": candle.trades,
        "volume": literal(candle.volume),
        "vwap": literal(cut(average(candle) or candle.close, pair.price_decimals)),
        "interval_begin": moment(opened_ns, 9),
        "interval": minutes,
        "timestamp": moment(opened_ns + minutes * 60_000 * NANO),
    }


def book(floor: Floor, pair: Pair, now: Book, before: Book | None = None) -> Row | None:
    """Return a book whole, or what changed since before; None when nothing did."""
    bids = changes(before.bids, now.bids) if before else now.bids
    asks = changes(before.asks, now.asks) if before else now.asks
    if before and not bids and not asks:
        return None
    return {
        "symbol": pair.symbol,
        "bids": _levels(bids, pair),
        "asks": _levels(asks, pair),
        "checksum": checksum(now, pair),
        "timestamp": moment(floor.place.clock.now_ns()),
    }


def _levels(levels: Sequence[Level], pair: Pair) -> list[Row]:
    """Return levels in full precision, as the checksum is made of them."""
    return [
        {
            "price": literal(level.price, pair.price_decimals),
            "qty": literal(level.quantity, pair.lot_decimals),
        }
        for level in levels
    ]


def instruments(floor: Floor) -> Row:
    return {
        "assets": [
            {
                "id": asset.code,
                "status": "enabled",
                "precision": asset.decimals,
                "precision_display": asset.display_decimals,
                "borrowable": False,
                "collateral_value": 0.0,
            }
            for asset in floor.names.assets()
        ],
        "pairs": [
            {
                "symbol": pair.symbol,
                "base": pair.base.code,
                "quote": pair.quote.code,
                "status": floor.status,
                "qty_precision": pair.lot_decimals,
                "qty_increment": literal(pair.instrument.step),
                "price_precision": pair.price_decimals,
                "cost_precision": pair.cost_decimals,
                "marginable": False,
                "has_index": True,
                "cost_min": literal(pair.instrument.notional_min),
                "tick_size": literal(pair.instrument.tick),
                "price_increment": literal(pair.instrument.tick),
                "qty_min": literal(pair.instrument.quantity_min),
            }
            for pair in floor.names.pairs()
        ],
    }


# -------------------------------------------------------------- executions


def _named(order: Order) -> Row:
    row: Row = {"order_id": order_id(order.id)}
    if order.client_id:
        row["cl_ord_id"] = order.client_id
    row["order_userref"] = userref(order.request) or 0
    return row


def whole_order(floor: Floor, order: Order, what: str) -> Row:
    """Return all there is to say of an order; what: the kind of event."""
    request, pair = order.request, floor.names.by_symbol(order.symbol)
    row = _named(order) | {
        "symbol": order.symbol,
        "order_qty": literal(order.quantity),
        "cum_qty": literal(order.filled),
        "cum_cost": literal(order.cost),
        "avg_price": literal(order.average),
        "time_in_force": request.tags.get("timeinforce", "GTC"),
        "exec_type": what,
        "side": request.side.value,
        "order_type": order_type(request),
    }
    if request.kind.has_limit:
        row["limit_price_type"] = "static"
        row["limit_price"] = literal(request.price)
    if is_triggered_type(request):
        row["triggers"] = _triggers(floor, order)
    if request.post_only:
        row["post_only"] = True
    return row | {
        "stop_price": literal(request.stop_price),
        "order_status": "pending_new" if what == "pending_new" else STATUSES[order.status],
        "fee_usd_equiv": literal(in_dollars(floor.exchange, pair.quote.code, fee_of(order, pair))),
        "fee_ccy_pref": request.tags.get("oflags", "fciq")[:4],
        "timestamp": moment(order.updated_ms * NANO),
    }


def _triggers(floor: Floor, order: Order) -> Row:
    row: Row = {
        "reference": order.request.tags.get("trigger", "last"),
        "price": literal(order.request.stop_price),
        "price_type": "static",
        "status": "untriggered" if order.status is Status.WAITING else "triggered",
    }
    if order.triggered:
        row["last_price"] = literal(floor.exchange.price(order.symbol))
        row["timestamp"] = moment(order.updated_ms * NANO)
    return row


def brief_order(floor: Floor, order: Order, what: str) -> Row:
    """Return that an order is now live, or is over."""
    pair = floor.names.by_symbol(order.symbol)
    row: Row = {
        "timestamp": moment(order.updated_ms * NANO),
        "order_status": "new" if what == "new" else STATUSES[order.status],
        "exec_type": what,
        **_named(order),
    }
    if what == "new":
        return row
    row |= {
        "cum_qty": literal(order.filled),
        "cum_cost": literal(order.cost),
        "fee_usd_equiv": literal(in_dollars(floor.exchange, pair.quote.code, fee_of(order, pair))),
        "avg_price": literal(order.average),
    }
    if why := reason(order):
        row["cancel_reason"] = row["reason"] = why
    return row


def execution(floor: Floor, order: Order, found: Trade) -> Row:
    """Return one trade of an order; that the order is filled is told after it."""
    pair = floor.names.by_symbol(order.symbol)
    until = [one for one in order.trades if one.id <= found.id]
    quantity, cost = sum(one.quantity for one in until), sum(one.cost for one in until)
    weighted = sum(one.quantity * one.price for one in until)
    fee = fee_in_quote(found, pair)
    return _named(order) | {
        "exec_id": trade_id(found.id),
        "exec_type": "trade",
        "trade_id": found.id,
        "symbol": order.symbol,
        "side": found.side.value,
        "last_qty": literal(found.quantity),
        "last_price": literal(found.price),
        "liquidity_ind": "m" if found.maker else "t",
        "cost": literal(found.cost),
        "order_type": order_type(order.request),
        "timestamp": moment(found.at_ms * NANO),
        "order_status": "partially_filled",
        "cum_qty": literal(quantity),
        "cum_cost": literal(cost),
        "avg_price": literal((2 * weighted + quantity) // (2 * quantity)),
        "fee_usd_equiv": literal(in_dollars(floor.exchange, pair.quote.code, fee)),
        "fees": [{"asset": pair.quote.code, "qty": literal(fee)}],
    }


# ---------------------------------------------------------------- balances


def holdings(floor: Floor, account: str) -> list[Row]:
    held = sorted(floor.exchange.open_account(account).free)
    return [_holding(asset, floor.exchange.worth(account, asset)) for asset in held]


def _holding(asset: str, total: int) -> Row:
    wallet = {"type": "spot", "id": "main", "balance": literal(total)}
    return {
        "asset": asset,
        "asset_class": "currency",
        "balance": literal(total),
        "wallets": [wallet],
    }


def movement(entry: Entry) -> Row:
    return {
        "ledger_id": entry.id,
        "ref_id": entry.refid,
        "timestamp": moment(entry.at_ms * NANO),
        "type": entry.what,
        "asset": entry.asset,
        "asset_class": "currency",
        "category": entry.what,
        "wallet_type": "spot",
        "wallet_id": "main",
        "amount": literal(entry.amount),
        "fee": literal(entry.fee),
        "balance": literal(entry.balance),
    }
