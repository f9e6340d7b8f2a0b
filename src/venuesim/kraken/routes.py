"""Every REST call Kraken answers here: what it is about, what it costs and which right it needs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from venuesim.keys import Key
from venuesim.kraken import account, public, trading
from venuesim.kraken.floor import Floor

Values: TypeAlias = Mapping[str, object]
PublicHandler: TypeAlias = Callable[[Floor, Values], object]
PrivateHandler: TypeAlias = Callable[[Floor, Key, Values], object]


@dataclass(frozen=True, slots=True)
class PublicRoute:
    """A call for everybody. by_pair: counted for each pair. always: answered in maintenance."""

    handler: PublicHandler
    action: str = "market"
    by_pair: bool = False
    always: bool = False


@dataclass(frozen=True, slots=True)
class PrivateRoute:
    """A signed call; it needs one of the rights. cost: on the counter of calls of its key."""

    handler: PrivateHandler
    action: str
    rights: tuple[str, ...]
    cost: int = 1


OPEN = ("query-open-trades",)
CLOSED = ("query-closed-trades",)
FUNDS = ("query-funds",)
MODIFY = ("modify-trades",)
CANCEL = ("modify-trades", "close-trades")

PUBLIC = {
    "Time": PublicRoute(public.time, "time", always=True),
    "SystemStatus": PublicRoute(public.system_status, "time", always=True),
    "Assets": PublicRoute(public.assets),
    "AssetPairs": PublicRoute(public.asset_pairs),
    "Ticker": PublicRoute(public.ticker),
    "OHLC": PublicRoute(public.ohlc, by_pair=True),
    "Depth": PublicRoute(public.depth),
    "Trades": PublicRoute(public.trades, by_pair=True),
    "Spread": PublicRoute(public.spread),
}
PRIVATE = {
    "Balance": PrivateRoute(account.balance, "balance", FUNDS),
    "BalanceEx": PrivateRoute(account.extended_balance, "balance", FUNDS),
    "TradeBalance": PrivateRoute(account.trade_balance, "balance", OPEN),
    "TradeVolume": PrivateRoute(account.trade_volume, "balance", FUNDS),
    "OpenOrders": PrivateRoute(account.open_orders, "orders", OPEN),
    "ClosedOrders": PrivateRoute(account.closed_orders, "orders", CLOSED),
    "QueryOrders": PrivateRoute(account.query_orders, "order", OPEN + CLOSED),
    "TradesHistory": PrivateRoute(account.trades_history, "trades", CLOSED, cost=2),
    "QueryTrades": PrivateRoute(account.query_trades, "trades", CLOSED),
    "Ledgers": PrivateRoute(account.ledgers, "balance", ("query-ledger",), cost=2),
    "QueryLedgers": PrivateRoute(account.query_ledgers, "balance", ("query-ledger",), cost=2),
    "GetApiKeyInfo": PrivateRoute(account.key_details, "key", ()),
    "GetWebSocketsToken": PrivateRoute(account.stream_token, "stream", ("create-ws-token",)),
    # Orders are counted by their pair, not among the calls.
    "AddOrder": PrivateRoute(trading.add_order, "create", MODIFY, cost=0),
    "AddOrderBatch": PrivateRoute(trading.add_batch, "create", MODIFY, cost=0),
    "AmendOrder": PrivateRoute(trading.amend_order, "other", MODIFY, cost=0),
    "EditOrder": PrivateRoute(trading.edit_order, "create", MODIFY, cost=0),
    "CancelOrder": PrivateRoute(trading.cancel_order, "cancel", CANCEL, cost=0),
    "CancelOrderBatch": PrivateRoute(trading.cancel_batch, "cancel", CANCEL, cost=0),
    "CancelAll": PrivateRoute(trading.cancel_all, "cancel", CANCEL),
    "CancelAllOrdersAfter": PrivateRoute(trading.cancel_all_after, "cancel", CANCEL),
}
