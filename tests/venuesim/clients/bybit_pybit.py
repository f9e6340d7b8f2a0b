"""Trades on a simulated Bybit with pybit; run by the clients' Python, which has no pytest.

Tells the name of each part that went well.
"""

import logging
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pybit._helpers as helpers
import pybit._http_manager as http_calls
import pybit._websocket_stream as websocket_stream
import pybit._websocket_trading as websocket_trading
import websocket
from pybit import unified_trading
from pybit.exceptions import FailedRequestError, InvalidRequestError
from talk import SETTINGS, tell
from talk import tick as tick_of

url = f"{SETTINGS['url']}/api.bybit.com"
ws_url, api_key, secret = SETTINGS["ws_url"], SETTINGS["api_key"], SETTINGS["secret"]
ANSWERED_S = 0.02  # longer than a venue on this machine needs for an answer
host = "stream.bybit.com"
unified_trading.PUBLIC_WSS = f"{ws_url}/{host}/v5/public/{{CHANNEL_TYPE}}"
unified_trading.PRIVATE_WSS = f"{ws_url}/{host}/v5/private"
websocket_trading.TRADE_WSS = f"{ws_url}/{host}/v5/trade"
logging.getLogger("pybit").setLevel(logging.ERROR)  # it warns of what is refused on purpose
PAIR = {"category": "spot", "symbol": "BTCUSDT"}
LIMIT = PAIR | {"side": "Buy", "orderType": "Limit", "qty": "0.01", "price": "64000"}
Message = dict[str, Any]


def slowly(send: Callable[..., None]) -> Callable[..., None]:
    """Return a send that comes back when the answer is here already, as it may on one machine."""

    def sent(*words: Any) -> None:
        send(*words)
        time.sleep(ANSWERED_S)

    return sent


def one_at_a_time(*methods: tuple[type, str]) -> None:
    """Let one thread at a time into these methods of pybit.

    It writes down what it asked for after it has asked. An answer that is read before that kills
    its reading thread, and the next subscribe() waits for ever to be connected again.
    """
    turn = threading.RLock()

    def taking_turns(method: Callable[..., Any]) -> Callable[..., Any]:
        def called(*words: Any, **more: Any) -> Any:
            with turn:
                return method(*words, **more)

        return called

    for owner, name in methods:
        setattr(owner, name, taking_turns(getattr(owner, name)))


websocket.WebSocketApp.send = slowly(websocket.WebSocketApp.send)
one_at_a_time(
    (websocket_stream._WebSocketManager, "_on_message"),
    (websocket_stream._V5WebSocketManager, "subscribe"),
    (websocket_trading._V5TradeWebSocketManager, "_send_order_operation"),
)
waits: list[float] = []


def wait(seconds: float) -> None:
    """Sleep for pybit, which on a busy machine asks to sleep until a moment that is over."""
    waits.append(seconds)
    time.sleep(max(seconds, 0))


http_calls.time = SimpleNamespace(time=time.time, sleep=wait)
# The venue's answer to exit() would be a broken connection to restart, and exit() would wait for
# ever for the new one to go.
STREAM = {"testnet": False, "restart_on_error": False}
SIGNED = STREAM | {"api_key": api_key, "api_secret": secret}


def tick(price: str) -> None:
    tick_of("BTC/USDT", price)


def session(key: str = api_key, password: str = secret, **options: Any) -> unified_trading.HTTP:
    """Return an HTTP session with the simulated venue."""
    http = unified_trading.HTTP(api_key=key, api_secret=password, logging_level=50, **options)
    http.endpoint = url
    return http


def refused(call: Callable[..., object], **words: Any) -> tuple[int, str]:
    """Return with which code and text a call is refused."""
    try:
        call(**words)
    except InvalidRequestError as error:
        return error.status_code, error.message
    raise AssertionError("it was not refused")


class Heard:
    """Messages of one topic, waited for."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.came = threading.Condition()

    def __call__(self, message: Message) -> None:
        with self.came:
            self.messages.append(message)
            self.came.notify_all()

    def until(self, wanted: Callable[[Message], bool]) -> Message:
        """Return the first message that is wanted."""
        with self.came:
            assert self.came.wait_for(lambda: any(map(wanted, self.messages)), 10), self.messages
            return next(filter(wanted, self.messages))


def rows(answer: Message) -> list[Message]:
    assert (answer["retCode"], answer["retExtInfo"]) == (0, {})
    return list(answer["result"]["list"])


def check_market(http: unified_trading.HTTP) -> None:
    server = http.get_server_time()
    assert abs(int(server["result"]["timeSecond"]) - time.time()) < 5
    (pair,) = rows(http.get_instruments_info(**PAIR))
    assert (pair["baseCoin"], pair["priceFilter"]["tickSize"]) == ("BTC", "0.01")
    assert rows(http.get_instruments_info(category="linear", limit=1000)) == []
    assert len(rows(http.get_tickers(category="spot"))) > 10
    (ticker,) = rows(http.get_tickers(**PAIR))
    assert float(ticker["bid1Price"]) <= float(ticker["lastPrice"]) <= float(ticker["ask1Price"])
    book = http.get_orderbook(**PAIR, limit=5)["result"]
    assert (len(book["b"]), len(book["a"]), book["s"]) == (5, 5, "BTCUSDT")
    tick("65000")
    assert rows(http.get_kline(**PAIR, interval=1))[0][4] == "65000"
    assert rows(http.get_public_trade_history(**PAIR, limit=1))[0]["price"] == "65000"
    assert rows(http.get_system_status()) == []


def check_account(http: unified_trading.HTTP) -> None:
    (wallet,) = rows(http.get_wallet_balance(accountType="UNIFIED"))
    held = {coin["coin"]: coin["walletBalance"] for coin in wallet["coin"]}
    assert held == {"BTC": "1", "USDT": "10000"}
    rights = http.get_api_key_information()["result"]
    assert (rights["readOnly"], rights["apiKey"], rights["uta"]) == (0, api_key, 1)
    assert http.get_account_info()["result"]["unifiedMarginStatus"] == 6
    (fees,) = rows(http.get_fee_rates(**PAIR))
    assert fees["takerFeeRate"] == "0.001"
    coins = http.get_coins_balance(accountType="UNIFIED", coin="BTC,USDT")["result"]["balance"]
    assert [coin["transferBalance"] for coin in coins] == ["1", "10000"]
    kinds = {row["type"] for row in rows(http.get_transaction_log(accountType="UNIFIED"))}
    assert kinds == {"TRANSFER_IN"}


def check_life(http: unified_trading.HTTP) -> None:
    """An order is placed, found, changed, cancelled; another is filled by the market."""
    first = http.place_order(**LIMIT, orderLinkId="first")["result"]
    assert first["orderLinkId"] == "first"
    (found,) = rows(http.get_open_orders(category="spot", orderLinkId="first"))
    assert (found["orderId"], found["orderStatus"]) == (first["orderId"], "New")
    http.amend_order(**PAIR, orderId=first["orderId"], price="63000", qty="0.02")
    (found,) = rows(http.get_open_orders(category="spot", orderId=first["orderId"]))
    assert (found["price"], found["qty"]) == ("63000.00", "0.02000")
    http.cancel_order(**PAIR, orderLinkId="first")
    (ended,) = rows(http.get_order_history(category="spot", orderId=first["orderId"]))
    assert (ended["orderStatus"], ended["cancelType"]) == ("Cancelled", "CancelByUser")
    second = http.place_order(**LIMIT, orderLinkId="second")["result"]["orderId"]
    tick("63999")
    (filled,) = rows(http.get_order_history(category="spot", orderLinkId="second"))
    assert (filled["orderStatus"], filled["avgPrice"]) == ("Filled", "64000")
    (trade,) = rows(http.get_executions(category="spot", orderId=second))
    assert (trade["execQty"], trade["execFee"], trade["feeCurrency"]) == (
        "0.01000",
        "0.00001",
        "BTC",
    )
    tick("65000")
    http.place_order(**PAIR, side="Sell", orderType="Market", qty="0.01")
    http.place_order(**PAIR, side="Buy", orderType="Market", qty="130")
    latest = rows(http.get_executions(category="spot", limit=2))
    assert [row["side"] for row in latest] == ["Buy", "Sell"]
    http.place_order(**LIMIT)
    stop = PAIR | {"side": "Sell", "orderType": "Market", "qty": "0.01"}
    http.place_order(**stop, orderFilter="tpslOrder", triggerPrice="60000")
    assert len(rows(http.get_open_orders(**PAIR))) == 2
    assert http.cancel_all_orders(**PAIR)["result"]["success"] == "1"
    http.cancel_all_orders(**PAIR, orderFilter="tpslOrder")
    assert rows(http.get_open_orders(**PAIR)) == []


def check_refusals(http: unified_trading.HTTP) -> None:
    http.place_order(**LIMIT, orderLinkId="taken")
    http.cancel_order(**PAIR, orderLinkId="taken")
    for words, code, text in (
        ({"orderLinkId": "taken"}, 170141, "Duplicate clientOrderId."),
        ({"qty": "1"}, 170131, "Insufficient balance."),
        ({"qty": "0.000001"}, 170137, "Order quantity has too many decimals."),
        ({"qty": "0.00001"}, 170140, "Order value exceeded lower limit."),
        ({"price": "64000.001"}, 170134, "Order price has too many decimals."),
        ({"symbol": "NOPEUSDT"}, 170121, "Invalid symbol."),
    ):
        assert refused(http.place_order, **(LIMIT | words)) == (code, text), words
    assert refused(http.cancel_order, **PAIR, orderId="1")[0] == 170213
    balance = {"accountType": "UNIFIED"}
    assert refused(session("x" * 18).get_wallet_balance, **balance) == (
        10003,
        "API key is invalid.",
    )
    code, text = refused(session(password="x" * 36).get_wallet_balance, **balance)
    assert (code, text.partition("[")[0]) == (10004, "error sign! origin_string")


def check_time(now: Callable[[], int]) -> None:
    """A clock that is wrong is refused, and pybit asks again with a wider window."""
    late = session(max_retries=1, retry_delay=0)
    helpers.generate_timestamp = lambda: now() - 60_000
    try:
        late.get_wallet_balance(accountType="UNIFIED")
    except FailedRequestError as error:
        assert "Retries exceeded" in error.message
    else:
        raise AssertionError("an old timestamp was taken")
    helpers.generate_timestamp = lambda: now() - 6000
    wider = session(max_retries=2, retry_delay=0)
    assert wider.get_wallet_balance(accountType="UNIFIED")["retCode"] == 0
    helpers.generate_timestamp = now


def check_limits() -> None:
    """What is too much in a second is asked again when the header says so."""
    http = session(return_response_headers=True)
    refusals = len(waits)
    left = []
    while len(waits) == refusals and len(left) < 100:
        left.append(http.get_fee_rates(**PAIR)[2]["X-Bapi-Limit-Status"])
    assert "0" in left and len(waits) == refusals + 1, left


def check_public_streams() -> None:
    stream = unified_trading.WebSocket("spot", **STREAM)
    ticker, trade, kline, best, book = (Heard() for _ in range(5))
    stream.ticker_stream("BTCUSDT", ticker)
    stream.trade_stream("BTCUSDT", trade)
    stream.kline_stream(1, "BTCUSDT", kline)
    stream.orderbook_stream(1, "BTCUSDT", best)
    stream.orderbook_stream(50, "BTCUSDT", book)
    book.until(lambda m: bool(m["data"]["b"]))
    for price in ("65100", "65100.5"):
        tick(price)
    ticker.until(lambda m: m["data"]["lastPrice"] == "65100.5")
    trade.until(lambda m: m["data"][0]["p"] == "65100.5")
    kline.until(lambda m: m["data"][0]["close"] == "65100.5")
    best.until(lambda m: float(m["data"]["a"][0][0]) >= 65100.5)
    whole = book.until(lambda m: max(float(row[0]) for row in m["data"]["b"]) > 65090)
    assert (len(whole["data"]["b"]), len(whole["data"]["a"])) == (50, 50)
    stream.unsubscribe("publicTrade.BTCUSDT")
    stream.exit()


def check_private_streams(http: unified_trading.HTTP) -> None:
    stream = unified_trading.WebSocket("private", **SIGNED)
    order, execution, fast, wallet = (Heard() for _ in range(4))
    stream.order_stream(order)
    stream.execution_stream(execution)
    stream.fast_execution_stream(fast)
    stream.wallet_stream(wallet)
    time.sleep(0.2)  # pybit does not say when a topic is on
    order_id = http.place_order(**LIMIT)["result"]["orderId"]
    order.until(lambda m: m["data"][0]["orderStatus"] == "New")
    wallet.until(lambda m: any(coin["locked"] == "640" for coin in m["data"][0]["coin"]))
    tick("63999")
    filled = order.until(lambda m: m["data"][0]["orderStatus"] == "Filled")["data"][0]
    assert (filled["orderId"], filled["cumFeeDetail"]) == (order_id, {"BTC": "0.00001"})
    told = execution.until(lambda m: m["data"][0]["orderId"] == order_id)["data"][0]
    fast.until(lambda m: m["data"][0]["execId"] == told["execId"])
    tick("65000")
    stream.exit()


def check_order_entry() -> None:
    entry = unified_trading.WebSocketTrading(**SIGNED)
    time.sleep(0.1)  # for the answer to the signature
    placed, ended, failed = Heard(), Heard(), Heard()
    entry.place_order(placed, **LIMIT)
    order_id = placed.until(lambda m: m["retCode"] == 0)["data"]["orderId"]
    entry.cancel_order(ended, **PAIR, orderId=order_id)
    ended.until(lambda m: m["data"]["orderId"] == order_id)
    entry.place_order(placed, failed, **(LIMIT | {"qty": "1"}))
    failed.until(lambda m: m["retCode"] == 170131)
    entry.exit()


def main() -> None:
    http = session()
    parts: dict[str, Callable[[], None]] = {
        "market": lambda: check_market(http),
        "account": lambda: check_account(http),
        "life of orders": lambda: check_life(http),
        "refusals": lambda: check_refusals(http),
        "time": lambda: check_time(helpers.generate_timestamp),
        "limits": check_limits,
        "public streams": check_public_streams,
        "private streams": lambda: check_private_streams(http),
        "order entry": check_order_entry,
    }
    for name, check in parts.items():
        check()
        tell(name, True)


main()
