"""python-kraken-sdk against a simulated Kraken: run in the clients' own environment."""

import asyncio

import kraken.exceptions as errors
import kraken.spot.websocket.connectors as connectors
from kraken.spot import Market, SpotOrderBookClient, SpotWSClient, Trade, User
from kraken.spot.websocket import SpotWSClientBase
from talk import SETTINGS, tell, tick

URL, KEYS = SETTINGS["url"], {"key": SETTINGS["api_key"], "secret": SETTINGS["secret"]}
WS_URL = SETTINGS["ws_url"] + "/ws.kraken.com"
AUTH_WS_URL = SETTINGS["ws_url"] + "/ws-auth.kraken.com"
PATIENCE_S = 30
REFUSALS = tuple(found for name, found in vars(errors).items() if name.endswith("Error"))
# It would wait for a second or more before it connects.
connectors.ConnectSpotWebsocketBase._ConnectSpotWebsocketBase__get_reconnect_wait = (
    lambda connection, attempts: 0
)


def refusal(call, **values):
    """Return the name of the client's own error."""
    try:
        call(**values)
    except REFUSALS as error:
        return type(error).__name__
    return None


def market():
    with Market(url=URL) as client:
        tell("assets", client.get_assets(assets="XBT"))
        tell("pairs", client.get_asset_pairs(pair=["XBTUSD", "ETHUSD"]))
        tell("ticker", client.get_ticker(pair="XBTUSD"))
        tell("bars", client.get_ohlc(pair="XBTUSD", interval=5))
        tell("book", client.get_order_book(pair="XBTUSD", count=5))
        tell("market trades", client.get_recent_trades(pair="XBTUSD"))
        tell("spreads", client.get_recent_spreads(pair="XBTUSD"))
        tell("status", client.get_system_status())
        tell("unknown pair", refusal(client.get_ticker, pair="XBTGOLD"))


def orders():
    user, trade = User(**KEYS, url=URL), Trade(**KEYS, url=URL)
    tell("balances", user.get_balances())
    tell("balance", user.get_balance("USD"))
    tell("worth", user.get_trade_balance())
    limit = {"ordertype": "limit", "side": "buy", "pair": "XBTUSD", "volume": "0.1"}
    tell("checked", trade.create_order(**limit, price=60000, validate=True))
    placed = trade.create_order(**limit, price=60000, userref=7, oflags="post")
    (txid,) = placed["txid"]
    tell("placed", placed)
    tell("open", user.get_open_orders(userref=7)["open"][txid])
    tell("amended", trade.amend_order(txid=txid, limit_price=60100.0))
    tick("BTC/USD", "60000")
    tell("filled", user.get_orders_info(txid=txid, trades=True)[txid])
    tell("trades", user.get_trades_history())
    tell("ledger", user.get_ledgers_info(asset="ZUSD"))
    tell("volume", user.get_trade_volume(pair="XBTUSD"))
    stop = trade.create_order(
        ordertype="stop-loss-limit", side="sell", pair="XBTUSD", volume="0.05", price="50000",
        price2="49900", trigger="last",
    )  # fmt: skip
    tell("stop", user.get_open_orders()["open"][stop["txid"][0]])
    tell("cancelled", trade.cancel_order(txid=stop["txid"][0]))
    batch = trade.create_order_batch(
        pair="BTC/USD",
        orders=[
            {"ordertype": "limit", "type": "buy", "volume": "0.01", "price": price}
            for price in ("40000", "41000")
        ],
    )
    tell("batch", batch)
    tell("alarm", trade.cancel_all_orders_after_x(timeout=60)["triggerTime"] != "0")
    txids = [row["txid"] for row in batch["orders"]]
    tell("cancelled batch", trade.cancel_order_batch(orders=txids))
    tell("cancelled all", trade.cancel_all_orders())
    tell("unknown order", refusal(trade.cancel_order, txid=txid))
    tell("too dear", refusal(trade.create_order, **(limit | {"volume": "100"}), price=60000))
    tell("too small", refusal(trade.create_order, **(limit | {"volume": "0.00001"}), price=60000))
    tell("late", refusal(
        trade.create_order, **limit, price=60000, deadline="2020-01-01T00:00:00Z"
    ))  # fmt: skip
    wrong = {"key": KEYS["key"], "secret": "A" * 88}
    tell("wrong secret", refusal(User(**wrong, url=URL).get_balances))
    wrong = {"key": "A" * 56, "secret": KEYS["secret"]}
    tell("wrong key", refusal(User(**wrong, url=URL).get_balances))
    nonce = str(int(user.get_nonce()) + 10)
    user.get_nonce = lambda: nonce
    user.get_balances()
    tell("same nonce", refusal(user.get_balances))


class Heard:
    """Messages of a client, waited for."""

    def __init__(self):
        self.messages = []
        self.came = asyncio.Event()

    async def take(self, message):
        self.messages.append(message)
        self.came.set()

    async def until(self, wanted):
        """Return the first message that is wanted."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                for message in self.messages:
                    if wanted(message):
                        return message
                self.came.clear()
                await self.came.wait()

    async def first(self, **fields):
        return await self.until(lambda message: fields.items() <= message.items())

    async def execution(self, kind):
        def wanted(message):
            of_mine = (message.get("channel"), message.get("type")) == ("executions", "update")
            return of_mine and message["data"][0]["exec_type"] == kind

        return (await self.until(wanted))["data"][0]


async def subscribe(client, heard):
    for channel in ("ticker", "trade", "ohlc"):
        await client.subscribe({"channel": channel, "symbol": ["BTC/USD"]})
    for channel in ("executions", "balances"):
        await client.subscribe({"channel": channel})
    tell("stream status", (await heard.first(channel="status"))["data"][0]["system"])
    tell("pong", (await heard.first(method="pong"))["method"])
    for channel in ("ticker", "ohlc", "executions", "balances"):
        await heard.first(channel=channel, type="snapshot")


async def trade_on_stream(client, heard):
    order = {
        "limit_price": 60000,
        "order_type": "limit",
        "order_userref": 9,
        "order_qty": 0.01,
        "side": "buy",
        "symbol": "BTC/USD",
    }
    await client.send_message(message={"method": "add_order", "params": order})
    tell("stream added", (await heard.first(method="add_order"))["result"])
    tick("BTC/USD", "59000")
    tell("stream trade of mine", await heard.execution("trade"))
    tell("stream filled", await heard.execution("filled"))
    tell("stream balance", (await heard.first(channel="balances", type="update"))["data"])
    await client.send_message(message={"method": "cancel_all", "params": {}})
    tell("stream cancelled", (await heard.first(method="cancel_all"))["result"])


async def streams():
    heard, levels = Heard(), Heard()

    async def take(pair, message):
        await levels.take(message)

    client = SpotWSClient(
        **KEYS, callback=heard.take, rest_url=URL, ws_url=WS_URL, auth_ws_url=AUTH_WS_URL
    )
    SpotWSClientBase.WS_URL = WS_URL
    book = SpotOrderBookClient(depth=10, callback=take)
    book._SpotOrderBookClient__market = Market(url=URL)
    await asyncio.gather(client.start(), book.start())
    await subscribe(client, heard)
    await book.add_book(pairs=["BTC/USD"])
    await levels.first(type="snapshot")
    tick("BTC/USD", "60500.3")
    for channel in ("ticker", "trade", "ohlc"):
        tell(f"stream {channel}", (await heard.first(channel=channel, type="update"))["data"])
    await trade_on_stream(client, heard)
    await levels.until(lambda _: len(levels.messages) == 3)
    kept = book.get("BTC/USD")
    tell("book valid", kept["valid"])
    tell("book sides", [len(kept["bid"]), len(kept["ask"])])
    tell("subscriptions", len(client.active_public_subscriptions))
    tell("private subscriptions", len(client.active_private_subscriptions))
    await asyncio.gather(client.close(), book.close())


market()
orders()
asyncio.run(streams())
