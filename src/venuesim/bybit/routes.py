"""Which path is served by what, how often in a second, and with which right."""

from dataclasses import dataclass

from venuesim.bybit import account, market, reading, trading
from venuesim.bybit.ask import Handler

PUBLIC, ANY = "", "any"  # instead of a right


@dataclass(frozen=True, slots=True)
class Route:
    """needs: PUBLIC, ANY (every key), read or trade."""

    serve: Handler
    action: str
    needs: str = PUBLIC
    each_second: int = 0


ROUTES = {
    ("GET", "/v5/market/time"): Route(market.server_time, "time"),
    ("GET", "/v5/market/instruments-info"): Route(market.instruments, "market"),
    ("GET", "/v5/market/tickers"): Route(market.tickers, "market"),
    ("GET", "/v5/market/kline"): Route(market.kline, "market"),
    ("GET", "/v5/market/orderbook"): Route(market.orderbook, "market"),
    ("GET", "/v5/market/recent-trade"): Route(market.recent_trades, "market"),
    ("GET", "/v5/announcements/index"): Route(market.announcements, "other"),
    ("GET", "/v5/system/status"): Route(market.system_status, "other"),
    ("POST", "/v5/order/create"): Route(trading.create, "create", "trade", 20),
    ("POST", "/v5/order/amend"): Route(trading.amend, "other", "trade", 10),
    ("POST", "/v5/order/cancel"): Route(trading.cancel, "cancel", "trade", 20),
    ("POST", "/v5/order/cancel-all"): Route(trading.cancel_all, "cancel", "trade", 20),
    ("GET", "/v5/order/realtime"): Route(reading.realtime, "orders", "read", 50),
    ("GET", "/v5/order/history"): Route(reading.history, "orders", "read", 50),
    ("GET", "/v5/execution/list"): Route(reading.executions, "trades", "read", 50),
    ("GET", "/v5/account/wallet-balance"): Route(account.wallet_balance, "balance", "read", 50),
    ("GET", "/v5/account/info"): Route(account.account_type, "other", "read", 50),
    ("GET", "/v5/account/fee-rate"): Route(account.fee_rates, "other", "read", 5),
    ("GET", "/v5/account/withdrawal"): Route(account.withdrawable, "balance", "read", 50),
    ("GET", "/v5/account/instruments-info"): Route(market.instruments, "market", "read", 10),
    ("GET", "/v5/account/user-setting-config"): Route(account.settings, "other", "read", 50),
    ("GET", "/v5/account/transaction-log"): Route(account.transaction_log, "other", "read", 25),
    ("GET", "/v5/asset/transfer/query-account-coins-balance"): Route(
        account.coin_balances, "balance", "read", 5
    ),
    ("GET", "/v5/asset/transfer/query-account-coin-balance"): Route(
        account.coin_balance, "balance", "read", 450
    ),
    ("GET", "/v5/asset/coin/query-info"): Route(account.coins, "other", "read", 5),
    ("GET", "/v5/user/query-api"): Route(account.key_rights, "key", ANY, 10),
}

ONE_ORDER = ("orderId=", "orderLinkId=")


def path_of(path: str) -> str:
    """Return a path from its /v5 on; what stands before may name the original host."""
    start = path.find("/v5/")
    return path[start:] if start > 0 else path


def action_of(method: str, path: str, query: str) -> str:
    """Name what a request is about; a look-up of one order is no list of orders."""
    route = ROUTES.get((method, path_of(path)))
    if route is None:
        return "other"
    if route.action == "orders" and any(name in query for name in ONE_ORDER):
        return "order"
    return route.action
