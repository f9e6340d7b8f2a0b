"""binance-connector against a simulated Binance: run in the clients' own environment."""

import json
import queue
import time

from binance.spot import Spot
from binance.websocket.spot.websocket_api import SpotWebsocketAPIClient
from binance.websocket.spot.websocket_stream import SpotWebsocketStreamClient
from talk import SETTINGS, refusal, tell, tick

PAIR = "BTCUSDT"
PATIENCE = 30


def client_of(api_key, secret):
    return Spot(api_key, secret, base_url=SETTINGS["url"], show_limit_usage=True)


def market(client):
    tell("time", client.time())
    tell("exchange", client.exchange_info(symbols=["BTCUSDT", "ETHUSDT"])["data"]["symbols"])
    tell("depth", client.depth(PAIR, limit=10))
    tell("klines", client.klines(PAIR, "5m", limit=2)["data"])
    tell("tickers", client.ticker_24hr(symbols=["BTCUSDT", "ETHUSDT"])["data"])
    tell("prices", client.ticker_price()["data"])
    tell("book", client.book_ticker(PAIR)["data"])
    tell("rolling", client.rolling_window_ticker(PAIR, windowSize="1h")["data"])
    tell("trading day", client.trading_day_ticker(PAIR)["data"])
    tell("average", client.avg_price(PAIR)["data"])
    tell("trades", client.trades(PAIR)["data"])


def wallet(client):
    tell("account", client.account(omitZeroBalances="true")["data"])
    tell("rights", client.api_key_permissions()["data"])
    tell("fees", client.trade_fee(symbol=PAIR)["data"])
    tell("coins", client.coin_info()["data"])
    tell("status", client.system_status()["data"])
    tell("account status", client.account_status()["data"])
    tell("assets", client.user_asset()["data"])
    tell("commission", client.query_commission_rates(PAIR)["data"])
    tell("deposits", client.deposit_history()["data"])


def orders(client):
    limit = {"timeInForce": "GTC", "quantity": 0.002, "price": 60000}
    tell("placed", client.new_order(PAIR, "BUY", "LIMIT", newClientOrderId="mine", **limit))
    tell("queried", client.get_order(PAIR, origClientOrderId="mine")["data"])
    tell("open", client.get_open_orders()["data"])
    tell("counts", client.get_order_rate_limit()["data"])
    replaced = client.cancel_and_replace(
        PAIR, "BUY", "LIMIT", "STOP_ON_FAILURE", cancelOrigClientOrderId="mine", **limit
    )["data"]
    tell("replaced", replaced)
    tell("cancelled all", client.cancel_open_orders(PAIR)["data"])
    tell("bought", client.new_order(PAIR, "BUY", "MARKET", quantity="0.002")["data"])
    tell("oco", client.new_oco_order(
        PAIR, "SELL", 0.001, aboveType="LIMIT_MAKER", belowType="STOP_LOSS",
        abovePrice=70000, belowStopPrice=60000,
    )["data"])  # fmt: skip
    tell("open ocos", client.get_oco_open_orders()["data"])
    number = client.get_oco_orders()["data"][0]["orderListId"]
    tell("oco cancelled", client.cancel_oco_order(PAIR, orderListId=number)["data"])
    tell("oco queried", client.get_oco_order(orderListId=number)["data"])
    tell("stopped", client.new_order(
        PAIR, "SELL", "STOP_LOSS_LIMIT", timeInForce="GTC", quantity="0.001", price="59000",
        stopPrice="60000", newOrderRespType="RESULT",
    )["data"])  # fmt: skip
    client.cancel_open_orders(PAIR)
    tell("my trades", client.my_trades(PAIR)["data"])
    tell("all orders", client.get_orders(PAIR)["data"])


def refusals(client):
    tell("too poor", refusal(client.new_order, PAIR, "BUY", "MARKET", quantity="90"))
    tell("wrong secret", refusal(client_of(SETTINGS["api_key"], "x" * 64).account))
    tell("short key", refusal(client_of("short", "x" * 64).account))
    tell("late", refusal(client.account, recvWindow=60001))
    now = int(time.time() * 1000)
    span = {"startTime": now - 90_000_000, "endTime": now}
    tell("span", refusal(client.my_trades, PAIR, **span))
    tell("unknown", refusal(client.get_order, PAIR, orderId=99))
    tell("nameless", refusal(client.get_order, PAIR))


def streams(client):
    heard = queue.Queue()
    streams = SpotWebsocketStreamClient(
        stream_url=SETTINGS["ws_url"], on_message=lambda _, text: heard.put(json.loads(text))
    )

    def until(kind):
        while True:
            event = heard.get(timeout=PATIENCE)
            if event.get("e") == kind or kind in event:
                return event

    streams.trade(symbol=PAIR, id=7)
    tell("subscribed", until("result"))
    streams.kline(symbol=PAIR, interval="1m", id=8)
    streams.user_data(client.new_listen_key()["data"]["listenKey"], id=9)
    streams.list_subscribe(id=10)
    until("result"), until("result")
    tell("subscriptions", until("result"))
    tick("BTC/USDT", "65020")
    events = {}
    while len(events) < 2:
        event = heard.get(timeout=PATIENCE)
        if event.get("p") or event["k"]["c"] > "65010":
            events[event["e"]] = event
    tell("streamed", events)
    client.new_order(PAIR, "BUY", "MARKET", quantity="0.001")
    tell("streamed report", [until("executionReport"), until("executionReport")])
    tell("streamed position", until("outboundAccountPosition"))
    streams.stop()


def api(_):
    heard = queue.Queue()
    client = SpotWebsocketAPIClient(
        stream_url=SETTINGS["ws_url"] + "/ws-api/v3",
        api_key=SETTINGS["api_key"],
        api_secret=SETTINGS["secret"],
        on_message=lambda _, text: heard.put(json.loads(text)),
    )
    client.ping_connectivity()
    tell("api ping", heard.get(timeout=PATIENCE))
    client.account()
    tell("api account", heard.get(timeout=PATIENCE))
    client.new_order(symbol=PAIR, side="BUY", type="LIMIT", timeInForce="GTC", quantity=0.001,
                     price=50000.5, newClientOrderId="by-socket")  # fmt: skip
    tell("api placed", heard.get(timeout=PATIENCE))
    client.cancel_order(PAIR, origClientOrderId="by-socket")
    tell("api cancelled", heard.get(timeout=PATIENCE))
    client.klines(PAIR, "1m", limit=1)
    tell("api klines", heard.get(timeout=PATIENCE))
    client.stop()


if __name__ == "__main__":
    client = client_of(SETTINGS["api_key"], SETTINGS["secret"])
    tick("BTC/USDT", "65000")
    tick("ETH/USDT", "3200")
    for part in (market, wallet, orders, refusals, streams, api):
        part(client)
