"""python-binance against a simulated Binance: run in the clients' own environment."""

import asyncio

from binance import AsyncClient, BinanceSocketManager, Client, DepthCacheManager
from binance.ws.reconnecting_websocket import ReconnectingWebsocket
from talk import SETTINGS, refusal, tell, tick

for kind in (Client, AsyncClient):
    kind.API_URL = SETTINGS["url"] + "/api"
    kind.MARGIN_API_URL = SETTINGS["url"] + "/sapi"
    kind.WS_API_URL = SETTINGS["ws_url"] + "/ws-api/v3"
BinanceSocketManager.STREAM_URL = SETTINGS["ws_url"] + "/"
ReconnectingWebsocket.TIMEOUT = 0.3  # how long closing waits for a message nobody sends
KEYS = (SETTINGS["api_key"], SETTINGS["secret"])
PAIR = "BTCUSDT"


def market(client):
    tell("symbol", client.get_symbol_info(PAIR))
    tell("server time", client.get_server_time())
    tell("book", client.get_order_book(symbol=PAIR, limit=5))
    tell("klines", client.get_historical_klines(PAIR, "1m", "10 minutes ago UTC"))
    tell("trades", client.get_recent_trades(symbol=PAIR))
    tell("aggregates", client.get_aggregate_trades(symbol=PAIR))
    tell("day", client.get_ticker(symbol=PAIR))
    tell("all tickers", client.get_all_tickers())
    tell("book tickers", client.get_orderbook_tickers())
    tell("average", client.get_avg_price(symbol=PAIR))


def wallet(client):
    tell("account", client.get_account())
    tell("balance", client.get_asset_balance("USDT"))
    tell("rights", client.get_account_api_permissions())
    tell("coins", client.get_all_coins_info())
    tell("fees", client.get_trade_fee(symbol=PAIR))
    tell("status", client.get_system_status())
    tell("assets", client.get_user_asset())
    tell("deposits", client.get_deposit_history(coin="USDT", status=1))
    tell("withdrawals", client.get_withdraw_history())
    tell("dust", client.get_dust_log())
    tell("dividends", client.get_asset_dividend_history(limit=5))


def orders(client):
    placed = client.order_limit_buy(
        symbol=PAIR, quantity="0.001", price="60000.00", newClientOrderId="one_A.b-1"
    )
    tell("placed", placed)
    tell("open", client.get_open_orders(symbol=PAIR))
    tell("queried", client.get_order(symbol=PAIR, origClientOrderId="one_A.b-1"))
    tell(
        "duplicate",
        refusal(
            client.order_limit_buy,
            symbol=PAIR, quantity="0.001", price="60000.00", newClientOrderId="one_A.b-1",
        ),
    )  # fmt: skip
    tell("cancelled", client.cancel_order(symbol=PAIR, orderId=placed["orderId"]))
    tell("unknown", refusal(client.cancel_order, symbol=PAIR, orderId=placed["orderId"]))
    tell("bought", client.order_market_buy(symbol=PAIR, quoteOrderQty="100"))
    tell("sold", client.order_market_sell(symbol=PAIR, quantity="0.0005"))
    tell("not encoded before it was signed", refusal(
        client.order_market_buy, symbol=PAIR, quantity="0.001", newClientOrderId="a:b/c"
    ))  # fmt: skip
    tell("tested", client.create_test_order(
        symbol=PAIR, side="BUY", type="LIMIT", timeInForce="GTC", quantity="0.001", price="60000",
    ))  # fmt: skip
    oco = client.create_oco_order(
        symbol=PAIR, side="SELL", quantity="0.001",
        aboveType="LIMIT_MAKER", abovePrice="70000",
        belowType="STOP_LOSS_LIMIT", belowStopPrice="60000", belowPrice="59900",
        belowTimeInForce="GTC",
    )  # fmt: skip
    tell("oco", oco)
    tick("BTC/USDT", "60000")
    tell("oco orders", client.get_all_orders(symbol=PAIR)[-2:])
    tick("BTC/USDT", "65000")
    tell("my trades", client.get_my_trades(symbol=PAIR))


def refusals(client):
    tell("too poor", refusal(client.order_market_buy, symbol=PAIR, quantity="90"))
    tell("bad symbol", refusal(client.get_order_book, symbol="NOPE"))
    tell("bad step", refusal(client.order_market_buy, symbol=PAIR, quantity="0.000015"))
    tell("too small", refusal(client.order_limit_buy, symbol=PAIR, quantity="0.00001", price="100"))
    tell("wrong secret", refusal(Client(KEYS[0], "x" * 64).get_account))
    tell("wrong key", refusal(Client("x" * 64, KEYS[1]).get_account))
    late = Client(*KEYS)
    late.timestamp_offset = -60_000
    tell("late", refusal(late.get_account))
    late.timestamp_offset = 5_000
    tell("early", refusal(late.get_account))


async def until(socket, wanted):
    """Return the first message that is wanted; what is so may be told before what changes."""
    while not wanted(said := await socket.recv()):
        pass
    return said


async def streams():
    client = await AsyncClient.create(*KEYS)
    sockets = BinanceSocketManager(client)
    trades, klines = sockets.trade_socket(PAIR), sockets.kline_socket(PAIR, "1m")
    several = sockets.multiplex_socket(["btcusdt@bookTicker", "ethusdt@miniTicker"])
    async with trades, klines, several, sockets.user_socket() as user:
        async with DepthCacheManager(client, symbol=PAIR, limit=100) as depth:
            tick("BTC/USDT", "65010")
            tell("streamed trade", await trades.recv())
            tell("streamed kline", await until(klines, lambda said: said["k"]["c"] > "65001"))
            tell("streamed several", await until(several, lambda said: "book" in said["stream"]))
            book = await depth.recv()
            tell("streamed book", [book.get_bids()[:3], book.get_asks()[:3]])
        placed = await client.create_order(
            symbol=PAIR, side="BUY", type="LIMIT", timeInForce="GTC", quantity="0.001",
            price="64000",
        )  # fmt: skip
        heard = [await user.recv(), await user.recv()]
        tick("BTC/USDT", "63999")
        while heard[-1].get("X") != "FILLED":
            heard.append(await user.recv())
        heard.append(await user.recv())
        tell("streamed order", [placed["orderId"], heard])
        tell("api order", await client.ws_create_order(
            symbol=PAIR, side="BUY", type="LIMIT", timeInForce="GTC", quantity="0.001",
            price="50000",
        ))  # fmt: skip
        heard = await user.recv()
        tell("api order heard", heard)
        tell("api cancel", await client.ws_cancel_order(symbol=PAIR, orderId=heard["i"]))
    await client.close_connection()


if __name__ == "__main__":
    client = Client(*KEYS)
    tick("BTC/USDT", "65000")
    for part in (market, wallet, orders, refusals):
        part(client)
    asyncio.run(streams())
