"""Every request the venue knows: its weight, who may ask it, and with which parameters."""

from collections.abc import Callable
from dataclasses import dataclass

from venuesim.binance import (
    account,
    cancelling,
    filters,
    listening,
    lists,
    market,
    placing,
    wallet,
)
from venuesim.binance.floor import Handler
from venuesim.binance.parameters import Parameters

Weight = int | Callable[[Parameters], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One request.

    right: of the key, "" for public ones. signs: False where naming a key is enough. takes: the
    parameters it knows, without those of signing. free: costs nothing when it succeeds.
    orders: how many it may place. lenient: passes over parameters it does not know.
    """

    handler: Handler
    weight: Weight
    takes: tuple[str, ...] = ()
    about: str = "other"
    right: str = ""
    signs: bool = True
    free: bool = False
    orders: int = 0
    lenient: bool = False

    def weight_of(self, sent: Parameters) -> int:
        return self.weight if isinstance(self.weight, int) else self.weight(sent)


def _market(handler: Handler, weight: Weight, *takes: str) -> Route:
    return Route(handler=handler, weight=weight, takes=takes, about="market")


def _asked(about: str, handler: Handler, weight: Weight, *takes: str) -> Route:
    return Route(handler=handler, weight=weight, takes=takes, about=about, right="read")


def _trade(about: str, handler: Handler, orders: int, *takes: str) -> Route:
    return Route(
        handler=handler, weight=1, takes=takes, about=about, right="trade", free=True, orders=orders
    )


def _wallet(handler: Handler, weight: int, about: str = "other", right: str = "read") -> Route:
    return Route(handler=handler, weight=weight, about=about, right=right, lenient=True)


def _open(handler: Handler) -> Route:
    return Route(handler=handler, weight=1, lenient=True)


def _listen(handler: Handler, *takes: str) -> Route:
    return Route(handler=handler, weight=2, takes=takes, about="stream", right="read", signs=False)


KLINES = ("symbol", "interval", "startTime", "endTime", "timeZone", "limit")
TICKER = ("symbol", "symbols", "symbolStatus")
ORDER = (
    "symbol", "side", "type", "timeInForce", "quantity", "quoteOrderQty", "price",
    "newClientOrderId", "strategyId", "strategyType", "stopPrice", "trailingDelta", "icebergQty",
    "newOrderRespType", "selfTradePreventionMode", "pegPriceType", "pegOffsetValue",
    "pegOffsetType",
)  # fmt: skip
OLD_OCO = (
    "symbol", "listClientOrderId", "side", "quantity", "limitClientOrderId", "price",
    "limitStrategyId", "limitStrategyType", "limitIcebergQty", "trailingDelta",
    "stopClientOrderId", "stopPrice", "stopStrategyId", "stopStrategyType", "stopLimitPrice",
    "stopIcebergQty", "stopLimitTimeInForce", "newOrderRespType", "selfTradePreventionMode",
)  # fmt: skip
LEG = (
    "Type", "ClientOrderId", "IcebergQty", "Price", "StopPrice", "TrailingDelta", "TimeInForce",
    "StrategyId", "StrategyType", "PegPriceType", "PegOffsetType", "PegOffsetValue",
)  # fmt: skip
OCO = (
    "symbol", "listClientOrderId", "side", "quantity", "newOrderRespType",
    "selfTradePreventionMode", *(f"above{part}" for part in LEG), *(f"below{part}" for part in LEG),
)  # fmt: skip
REPLACE = (
    "cancelReplaceMode", "cancelNewClientOrderId", "cancelOrigClientOrderId", "cancelOrderId",
    "cancelRestrictions", "orderRateLimitExceededMode", *ORDER,
)  # fmt: skip
SPAN = ("startTime", "endTime", "limit")

ROUTES: dict[tuple[str, str], Route] = {
    ("GET", "/api/v3/ping"): Route(handler=market.ping, weight=1, about="time"),
    ("GET", "/api/v3/time"): Route(handler=market.server_time, weight=1, about="time"),
    ("GET", "/api/v3/exchangeInfo"): _market(
        filters.exchange_rules, 20, "symbol", "symbols", "permissions", "showPermissionSets",
        "symbolStatus",
    ),
    ("GET", "/api/v3/depth"): _market(
        market.depth, market.depth_weight, "symbol", "limit", "symbolStatus"
    ),
    ("GET", "/api/v3/trades"): _market(market.recent_trades, 25, "symbol", "limit"),
    ("GET", "/api/v3/historicalTrades"): _market(
        market.historical_trades, 25, "symbol", "limit", "fromId"
    ),
    ("GET", "/api/v3/aggTrades"): _market(
        market.aggregate_trades, 4, "symbol", "fromId", *SPAN
    ),
    ("GET", "/api/v3/klines"): _market(market.klines, 2, *KLINES),
    ("GET", "/api/v3/uiKlines"): _market(market.klines, 2, *KLINES),
    ("GET", "/api/v3/avgPrice"): _market(market.average_price, 2, "symbol"),
    ("GET", "/api/v3/ticker/24hr"): _market(
        market.day_ticker, market.day_ticker_weight, *TICKER, "type"
    ),
    ("GET", "/api/v3/ticker/tradingDay"): _market(
        market.trading_day_ticker, market.window_weight, *TICKER, "timeZone", "type"
    ),
    ("GET", "/api/v3/ticker/price"): _market(market.price_ticker, market.ticker_weight, *TICKER),
    ("GET", "/api/v3/ticker/bookTicker"): _market(
        market.book_ticker, market.ticker_weight, *TICKER
    ),
    ("GET", "/api/v3/ticker"): _market(
        market.rolling_ticker, market.window_weight, *TICKER, "windowSize", "type"
    ),
    # trading
    ("POST", "/api/v3/order"): _trade("create", placing.new_order, 1, *ORDER),
    ("POST", "/api/v3/order/test"): Route(
        handler=placing.check_order, weight=1, takes=(*ORDER, "computeCommissionRates"),
        right="trade",
    ),
    ("DELETE", "/api/v3/order"): _trade(
        "cancel", cancelling.cancel_order, 0, "symbol", "orderId", "origClientOrderId",
        "newClientOrderId", "cancelRestrictions",
    ),
    ("DELETE", "/api/v3/openOrders"): _trade("cancel", cancelling.cancel_all, 0, "symbol"),
    ("POST", "/api/v3/order/cancelReplace"): _trade(
        "create", cancelling.cancel_replace, 1, *REPLACE
    ),
    ("POST", "/api/v3/order/oco"): _trade("create", lists.new_oco_by_old_names, 2, *OLD_OCO),
    ("POST", "/api/v3/orderList/oco"): _trade("create", lists.new_oco, 2, *OCO),
    ("DELETE", "/api/v3/orderList"): _trade(
        "cancel", lists.cancel_list, 0, "symbol", "orderListId", "listClientOrderId",
        "newClientOrderId",
    ),
    # account
    ("GET", "/api/v3/account"): _asked("balance", account.account, 20, "omitZeroBalances"),
    ("GET", "/api/v3/order"): _asked(
        "order", account.order, 4, "symbol", "orderId", "origClientOrderId"
    ),
    ("GET", "/api/v3/openOrders"): _asked(
        "orders", account.open_orders, account.open_orders_weight, "symbol"
    ),
    ("GET", "/api/v3/allOrders"): _asked(
        "orders", account.all_orders, 20, "symbol", "orderId", *SPAN
    ),
    ("GET", "/api/v3/myTrades"): _asked(
        "trades", account.my_trades, account.trades_weight, "symbol", "orderId", "fromId", *SPAN
    ),
    ("GET", "/api/v3/orderList"): _asked(
        "order", account.order_list, 4, "orderListId", "origClientOrderId"
    ),
    ("GET", "/api/v3/openOrderList"): _asked("orders", account.open_order_lists, 6),
    ("GET", "/api/v3/allOrderList"): _asked(
        "orders", account.all_order_lists, 20, "fromId", *SPAN
    ),
    ("GET", "/api/v3/rateLimit/order"): _asked("other", account.order_counts, 40),
    ("GET", "/api/v3/account/commission"): _asked("other", account.commission, 20, "symbol"),
    ("GET", "/api/v3/myFilters"): _asked("other", account.my_filters, 40, "symbol"),
    ("GET", "/api/v3/myPreventedMatches"): _asked(
        "other", account.nothing_prevented, 20, "symbol", "preventedMatchId", "orderId",
        "fromPreventedMatchId", "limit",
    ),
    ("GET", "/api/v3/myAllocations"): _asked(
        "other", account.nothing_prevented, 20, "symbol", *SPAN, "fromAllocationId", "orderId"
    ),
    ("POST", "/api/v3/userDataStream"): _listen(listening.begin),
    ("PUT", "/api/v3/userDataStream"): _listen(listening.keep, "listenKey"),
    ("DELETE", "/api/v3/userDataStream"): _listen(listening.end, "listenKey"),
    # wallet
    ("GET", "/sapi/v1/system/status"): _open(wallet.system_status),
    ("GET", "/sapi/v1/account/apiRestrictions"): _wallet(wallet.key_rights, 1, "key"),
    ("GET", "/sapi/v1/account/status"): _wallet(wallet.account_status, 1),
    ("GET", "/sapi/v1/account/apiTradingStatus"): _wallet(wallet.trading_status, 1),
    ("GET", "/sapi/v1/capital/config/getall"): _wallet(wallet.coins, 10),
    ("GET", "/sapi/v1/capital/deposit/hisrec"): _wallet(wallet.deposits, 1),
    ("GET", "/sapi/v1/capital/withdraw/history"): _wallet(wallet.withdrawals, 1),
    ("GET", "/sapi/v1/asset/dribblet"): _wallet(wallet.dust, 1),
    ("GET", "/sapi/v1/asset/assetDividend"): _wallet(wallet.dividends, 10),
    ("POST", "/sapi/v1/capital/withdraw/apply"): _wallet(
        wallet.withdraw, 600, right="withdraw"
    ),
    ("GET", "/sapi/v1/asset/tradeFee"): _wallet(wallet.trade_fees, 1),
    ("POST", "/sapi/v3/asset/getUserAsset"): _wallet(wallet.own_assets, 5, "balance"),
    # asked for at start by clients that trade more than spot
    ("GET", "/sapi/v1/margin/allPairs"): _open(wallet.no_pairs),
    ("GET", "/sapi/v1/margin/allAssets"): _open(wallet.no_pairs),
    ("GET", "/sapi/v1/margin/isolated/allPairs"): _open(wallet.no_pairs),
    ("GET", "/fapi/v1/exchangeInfo"): _open(wallet.no_futures),
    ("GET", "/dapi/v1/exchangeInfo"): _open(wallet.no_futures),
}  # fmt: skip

ROOTS = {path.split("/")[1] for _, path in ROUTES}


def place_of(path: str) -> str:
    """Return a path from where the API begins; a host some client wrote before it is cut off."""
    parts = path.rstrip("/").split("/")
    for number, part in enumerate(parts):
        if part in ROOTS:
            return "/" + "/".join(parts[number:])
    return path
