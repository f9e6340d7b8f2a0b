"""What an account asks about itself: balances, orders, trades, lists and fees."""

from venuesim.binance import reports
from venuesim.binance.cancelling import named_order
from venuesim.binance.denials import Denied, bad_combination, neither
from venuesim.binance.filters import symbol_filters
from venuesim.binance.floor import Ask, Reply
from venuesim.binance.limits import order_limits
from venuesim.binance.lists import find_list
from venuesim.binance.parameters import Parameters
from venuesim.binance.placing import discount
from venuesim.binance.words import DAY_MS, symbol_of
from venuesim.exchange import MILLION
from venuesim.orders import Order, Trade
from venuesim.units import UNITS, text

DAY_ONLY = "More than 24 hours between startTime and endTime."


def user_number(account: str) -> int:
    """Return a number that stands for an account, as the venue has one for every user."""
    return sum(byte << 8 * place for place, byte in enumerate(account.encode()[:4])) + 10**8


def assets(ask: Ask) -> list[str]:
    """Return every asset the venue knows, and any else the account has."""
    known: dict[str, None] = {}
    for instrument in ask.floor.symbols.values():
        known[instrument.base] = known[instrument.quote] = None
    known.update(dict.fromkeys(ask.account.free))
    return list(known)


def account(ask: Ask) -> Reply:
    book, sent = ask.account, ask.sent
    only_some = sent.flag("omitZeroBalances")
    instrument = next(iter(ask.floor.symbols.values()))
    maker, taker = instrument.maker_fee, instrument.taker_fee
    last = max((order.updated_ms for order in book.orders.values()), default=0)
    return Reply(
        body={
            "makerCommission": maker // 100,
            "takerCommission": taker // 100,
            "buyerCommission": 0,
            "sellerCommission": 0,
            "commissionRates": {
                "maker": text(maker * UNITS // MILLION),
                "taker": text(taker * UNITS // MILLION),
                "buyer": text(0),
                "seller": text(0),
            },
            "canTrade": True,
            "canWithdraw": True,
            "canDeposit": True,
            "brokered": False,
            "requireSelfTradePrevention": False,
            "preventSor": False,
            "updateTime": last,
            "accountType": "SPOT",
            "balances": [
                {
                    "asset": asset,
                    "free": text(book.free.get(asset, 0)),
                    "locked": text(book.locked.get(asset, 0)),
                }
                for asset in assets(ask)
                if not only_some or book.free.get(asset) or book.locked.get(asset)
            ],
            "permissions": ["SPOT"],
            "uid": user_number(book.name),
        }
    )


def commission(ask: Ask) -> Reply:
    instrument = ask.floor.instrument(ask.sent.symbol())
    nothing = {side: text(0) for side in ("maker", "taker", "buyer", "seller")}
    return Reply(
        body={
            "symbol": symbol_of(instrument),
            "standardCommission": nothing
            | {
                "maker": text(instrument.maker_fee * UNITS // MILLION),
                "taker": text(instrument.taker_fee * UNITS // MILLION),
            },
            "specialCommission": nothing,
            "taxCommission": nothing,
            "discount": discount(ask),
        }
    )


def order_counts(ask: Ask) -> Reply:
    return Reply(body=order_limits(ask.floor.counts.of(ask.account.name, ask.now_ms)))


def my_filters(ask: Ask) -> Reply:
    instrument = ask.floor.instrument(ask.sent.symbol())
    return Reply(
        body={
            "exchangeFilters": [],
            "symbolFilters": symbol_filters(instrument),
            "assetFilters": [],
        }
    )


# --------------------------------------------------------------------- orders


def order(ask: Ask) -> Reply:
    sent = ask.sent
    symbol = sent.symbol()
    ask.floor.instrument(symbol)
    order_id, client_id = sent.long("orderId"), sent.client_id("origClientOrderId")
    if order_id is None and not client_id:
        raise neither("origClientOrderId", "orderId")
    found = named_order(ask, symbol, order_id, client_id)
    if found is None or not ask.floor.sees_order(found):
        raise Denied(-2013, "Order does not exist.")
    if order_id is not None and client_id and found.client_id != client_id:
        raise Denied(-2039, "Client order ID is not correct for this order ID.")
    return Reply(body=reports.queried(found))


def open_orders(ask: Ask) -> Reply:
    name = ask.floor.instrument(ask.sent.symbol()).name if ask.sent.has("symbol") else ""
    return Reply(
        body=[
            reports.queried(one)
            for one in ask.account.live.values()
            if (not name or one.symbol == name) and ask.floor.sees_order(one)
        ]
    )


def _span(sent: Parameters) -> tuple[int | None, int | None]:
    """Return start and end; Denied when they are more than a day apart."""
    start, end = sent.moment("startTime"), sent.moment("endTime")
    if start is not None and end is not None and end - start > DAY_MS:
        raise Denied(-1127, DAY_ONLY)
    return start, end


def all_orders(ask: Ask) -> Reply:
    sent = ask.sent
    name = ask.floor.instrument(sent.symbol()).name
    limit, from_id = sent.limit(), sent.long("orderId")
    start, end = _span(sent)

    def wanted(one: Order) -> bool:
        return (
            one.symbol == name
            and ask.floor.sees_order(one)
            and (from_id is None or one.id >= from_id)
            and (start is None or one.created_ms >= start)
            and (end is None or one.created_ms <= end)
        )

    found = [one for one in ask.account.orders.values() if wanted(one)]
    forward = from_id is not None or start is not None
    return Reply(
        body=[reports.queried(one) for one in (found[:limit] if forward else found[-limit:])]
    )


def my_trades(ask: Ask) -> Reply:
    sent = ask.sent
    name = ask.floor.instrument(sent.symbol()).name
    limit, order_id, from_id = sent.limit(), sent.long("orderId"), sent.long("fromId")
    start, end = _span(sent)
    if (order_id is not None or from_id is not None) and (start is not None or end is not None):
        raise bad_combination()

    def wanted(trade: Trade) -> bool:
        return (
            trade.symbol == name
            and ask.floor.sees_trade(trade)
            and (order_id is None or trade.order_id == order_id)
            and (from_id is None or trade.id >= from_id)
            and (start is None or trade.at_ms >= start)
            and (end is None or trade.at_ms <= end)
        )

    found = [trade for trade in ask.account.trades if wanted(trade)]
    forward = from_id is not None or start is not None
    orders = ask.account.orders
    return Reply(
        body=[
            reports.traded(trade, orders[trade.order_id])
            for trade in (found[:limit] if forward else found[-limit:])
        ]
    )


def trades_weight(sent: Parameters) -> int:
    return 5 if sent.has("orderId") else 20


def open_orders_weight(sent: Parameters) -> int:
    return 6 if sent.has("symbol") else 80


# ---------------------------------------------------------------------- lists


def order_list(ask: Ask) -> Reply:
    number, client_id = ask.sent.long("orderListId"), ask.sent.client_id("origClientOrderId")
    if number is None and not client_id:
        raise neither("origClientOrderId", "orderListId")
    found = find_list(ask, number, client_id)
    if found is None or not ask.floor.sees_order(found.orders[0]):
        raise Denied(-2013, "Order list does not exist.")
    return Reply(body=reports.listed(found))


def open_order_lists(ask: Ask) -> Reply:
    return Reply(
        body=[
            reports.listed(known)
            for known in ask.floor.lists_of[ask.account.name]
            if not known.done and ask.floor.sees_order(known.orders[0])
        ]
    )


def all_order_lists(ask: Ask) -> Reply:
    sent = ask.sent
    limit, from_id = sent.limit(), sent.long("fromId")
    start, end = _span(sent)
    if from_id is not None and (start is not None or end is not None):
        raise bad_combination()
    found = [
        known
        for known in ask.floor.lists_of[ask.account.name]
        if ask.floor.sees_order(known.orders[0])
        and (from_id is None or known.id >= from_id)
        and (start is None or known.placed_ms >= start)
        and (end is None or known.placed_ms <= end)
    ]
    forward = from_id is not None or start is not None
    chosen = found[:limit] if forward else found[-limit:][::-1]
    return Reply(body=[reports.listed(known) for known in chosen])


def nothing_prevented(ask: Ask) -> Reply:
    """Return the matches of an account with itself, or its allocations: never any here."""
    ask.floor.instrument(ask.sent.symbol())
    return Reply(body=[])
