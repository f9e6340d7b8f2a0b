"""Other people's clients of Binance cannot tell that they speak to a simulated venue."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import ccxt.pro
import pytest

from tests.venuesim.rig import simulated, until
from tests.venuesim.talking import told_by
from tests.venuesim.test_binance_words import ACCOUNT, CANCELLED, FULL, LIST, QUERIED, SYMBOL, check
from venuesim.running import Running
from venuesim.units import text

ROOT = Path(__file__).parents[2]
CLIENTS = ROOT / ".venv-clients" / "bin" / "python"
CONNECTOR = ROOT / ".venv-connector" / "bin" / "python"  # both call their package binance
NO_CLIENTS = "other people's clients are not installed: say `make test`, which installs them"
MONEY = {"USDT": "10000", "BTC": "1"}
PATIENCE_S = 30


@pytest.fixture
async def sim() -> AsyncIterator[Running]:
    async with simulated("binance") as running:
        yield running


# ------------------------------------------------- clients in their own environment


# Code, text and HTTP status of what python-binance is refused.
REFUSALS = {
    "duplicate": [-2010, "Duplicate order sent.", 400],
    "unknown": [-2011, "Unknown order sent.", 400],
    "too poor": [-2010, "Account has insufficient balance for requested action.", 400],
    "bad symbol": [-1121, "Invalid symbol.", 400],
    "bad step": [-1013, "Filter failure: LOT_SIZE", 400],
    "too small": [-1013, "Filter failure: PERCENT_PRICE_BY_SIDE", 400],
    "wrong secret": [-1022, "Signature for this request is not valid.", 400],
    "wrong key": [-2015, "Invalid API-key, IP, or permissions for action.", 401],
    "late": [-1021, "Timestamp for this request is outside of the recvWindow.", 400],
    "early": [-1021, "Timestamp for this request was 1000ms ahead of the server's time.", 400],
    # This client signs before it encodes, which the venue refuses since January 2026.
    "not encoded before it was signed": [-1022, "Signature for this request is not valid.", 400],
}
needs_clients = pytest.mark.skipif(not (CLIENTS.exists() and CONNECTOR.exists()), reason=NO_CLIENTS)


@needs_clients
async def test_python_binance_trades_looks_up_and_listens(sim):
    told = await told_by(CLIENTS, "binance_python_binance.py", sim, MONEY, may_complain=True)
    check(told["symbol"], SYMBOL)
    check(told["account"], ACCOUNT)
    assert told["balance"] == {
        "asset": "USDT", "free": "10000.00000000", "locked": "0.00000000",
    }  # fmt: skip
    assert told["klines"][-1][4] == "65000.00000000"
    assert told["rights"]["enableSpotAndMarginTrading"] is True
    assert {coin["coin"] for coin in told["coins"]} >= {"BTC", "USDT"}
    (deposit,) = told["deposits"]
    assert (deposit["coin"], deposit["amount"], deposit["status"]) == ("USDT", "10000", 1)
    assert told["withdrawals"] == told["dividends"]["rows"] == []
    assert told["dust"] == {"total": 0, "userAssetDribblets": []}
    # an order's life
    check(told["placed"], FULL)
    check(told["queried"], QUERIED)
    assert told["open"] == [told["queried"]]
    check(told["cancelled"], CANCELLED)
    assert told["cancelled"]["status"] == "CANCELED"
    assert (told["bought"]["status"], told["sold"]["status"]) == ("FILLED", "FILLED")
    check(told["oco"], f"{LIST} orderReports:l")
    assert [one["status"] for one in told["oco orders"]] == ["FILLED", "EXPIRED"]
    fills = [*told["bought"]["fills"], *told["sold"]["fills"]]
    assert [trade["id"] for trade in told["my trades"]][:2] == [fill["tradeId"] for fill in fills]
    # streams
    assert told["streamed trade"]["p"] == "65010.00000000"
    assert told["streamed kline"]["k"]["c"] == "65010.00000000"
    assert told["streamed several"]["stream"] == "btcusdt@bookTicker"
    bids, asks = told["streamed book"]
    assert bids[0][0] < 65010 < asks[0][0]
    number, heard = told["streamed order"]
    reports = [event for event in heard if event["e"] == "executionReport"]
    assert [(one["i"], one["X"]) for one in reports] == [(number, "NEW"), (number, "FILLED")]
    assert heard[-1]["e"] == "outboundAccountPosition"
    assert told["api order heard"]["i"] == told["api order"]["orderId"]
    assert told["api cancel"]["status"] == "CANCELED"
    assert {name: told[name] for name in REFUSALS} == REFUSALS


@needs_clients
async def test_binance_connector_trades_looks_up_and_listens(sim):
    told = await told_by(CONNECTOR, "binance_connector.py", sim, MONEY, may_complain=True)
    assert [symbol["symbol"] for symbol in told["exchange"]] == ["BTCUSDT", "ETHUSDT"]
    assert len(told["depth"]["data"]["bids"]) == 10
    assert [one["symbol"] for one in told["tickers"]] == ["BTCUSDT", "ETHUSDT"]
    assert {one["asset"] for one in told["account"]["balances"]} == {"BTC", "USDT"}
    assert told["fees"][0]["takerCommission"] == "0.001"
    # an order's life
    usage = told["placed"]["limit_usage"]
    assert usage.keys() == {
        "x-mbx-used-weight", "x-mbx-used-weight-1m", "x-mbx-order-count-10s",
        "x-mbx-order-count-1d",
    }  # fmt: skip
    check(told["placed"]["data"], FULL)
    check(told["queried"], QUERIED)
    assert told["open"] == [told["queried"]]
    assert told["counts"][0]["count"] == 1
    assert told["replaced"]["cancelResponse"]["origClientOrderId"] == "mine"
    (gone,) = told["cancelled all"]
    assert gone["orderId"] == told["replaced"]["newOrderResponse"]["orderId"]
    assert told["bought"]["status"] == "FILLED"
    check(told["oco"], f"{LIST} orderReports:l")
    assert [one["orderListId"] for one in told["open ocos"]] == [told["oco"]["orderListId"]]
    assert told["oco cancelled"]["listOrderStatus"] == "ALL_DONE"
    assert told["oco queried"]["listStatusType"] == "ALL_DONE"
    assert (told["stopped"]["status"], told["stopped"]["workingTime"]) == ("NEW", -1)
    assert [one["orderId"] for one in told["my trades"]] == [told["bought"]["orderId"]]
    assert [one["status"] for one in told["all orders"]] == [
        "CANCELED", "CANCELED", "FILLED", "CANCELED", "CANCELED", "CANCELED",
    ]  # fmt: skip
    # streams
    assert told["subscribed"] == {"result": None, "id": 7}
    assert told["subscriptions"]["result"][:2] == ["btcusdt@trade", "btcusdt@kline_1m"]
    assert told["streamed"].keys() == {"kline", "trade"}
    assert [event["X"] for event in told["streamed report"]] == ["NEW", "FILLED"]
    assert told["streamed position"]["B"][0]["a"] == "BTC"
    # the WebSocket API
    assert (told["api ping"]["status"], told["api ping"]["result"]) == (200, {})
    check(told["api account"]["result"], ACCOUNT)
    check(told["api placed"]["result"], FULL)
    check(told["api cancelled"]["result"], CANCELLED)
    assert len(told["api klines"]["result"][0]) == 12
    assert {name: told[name] for name in CONNECTOR_REFUSALS} == CONNECTOR_REFUSALS


CONNECTOR_REFUSALS = {
    "too poor": [-2010, "Account has insufficient balance for requested action.", 400],
    "wrong secret": [-1022, "Signature for this request is not valid.", 400],
    "short key": [-2014, "API-key format invalid.", 401],
    "late": [
        -1102, "'recvWindow' contains unexpected value. Cannot be greater than 60000.", 400,
    ],
    "span": [-1127, "More than 24 hours between startTime and endTime.", 400],
    "unknown": [-2013, "Order does not exist.", 400],
    "nameless": [
        -1102,
        "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!",
        400,
    ],
}  # fmt: skip


# ------------------------------------------------------------------------ ccxt


def pointed_at(exchange: Any, sim: Running) -> Any:
    """Let a ccxt exchange speak to a simulated venue; streams keep their host in the path."""
    addresses = exchange.urls["api"]
    for name, address in addresses.items():
        if isinstance(address, str):
            addresses[name] = f"{sim.url}/{address.split('/', 3)[3]}"

    def streams(parts: dict[str, Any]) -> dict[str, Any]:
        return {
            name: streams(part)
            if isinstance(part, dict)
            else f"{sim.ws_url}/ws/{part.partition('://')[2]}"
            for name, part in parts.items()
        }

    addresses["ws"] = streams(addresses["ws"])
    return exchange


@pytest.fixture
async def exchange(sim: Running) -> AsyncIterator[Any]:
    key = sim.client("alice", MONEY)
    made = pointed_at(
        ccxt.pro.binance(
            {
                "apiKey": key.api_key,
                "secret": key.secret,
                "enableRateLimit": False,
                "options": {"fetchMargins": True},
            }
        ),
        sim,
    )
    sim.tick("BTC/USDT", "65000")
    try:
        await made.load_markets()
        yield made
    finally:
        await made.close()


async def test_ccxt_reads_markets_currencies_balances_and_fees(sim, exchange):
    market = exchange.market("BTC/USDT")
    assert market["precision"]["price"] == 0.01 and market["precision"]["amount"] == 0.00001
    assert market["limits"]["cost"]["min"] == 5
    assert exchange.currencies["BTC"]["deposit"] is True
    balance = await exchange.fetch_balance()
    assert (balance["USDT"]["free"], balance["BTC"]["total"]) == (10000, 1)
    fee = await exchange.fetch_trading_fee("BTC/USDT")
    assert (fee["maker"], fee["taker"]) == (0.001, 0.001)
    assert (await exchange.fetch_status())["status"] == "ok"
    deposits = await exchange.fetch_deposits()
    assert {(one["currency"], one["amount"]) for one in deposits} == {("USDT", 10000), ("BTC", 1)}


async def test_ccxt_reads_the_market(sim, exchange):
    sim.tick("BTC/USDT", "65100", "0.3")
    ticker = await exchange.fetch_ticker("BTC/USDT")
    assert (ticker["last"], ticker["open"], ticker["baseVolume"]) == (65100, 65000, 0.4)
    assert ticker["bid"] < 65100 < ticker["ask"]
    tickers = await exchange.fetch_tickers(["BTC/USDT", "ETH/USDT"])
    assert tickers.keys() == {"BTC/USDT", "ETH/USDT"}
    assert (await exchange.fetch_ohlcv("BTC/USDT", "1h"))[-1][1:5] == [65000, 65100, 65000, 65100]
    book = await exchange.fetch_order_book("BTC/USDT", 5)
    assert len(book["bids"]) == 5 and book["nonce"] == 2
    trades = await exchange.fetch_trades("BTC/USDT")
    assert [trade["price"] for trade in trades] == [65000, 65100]
    assert abs(await exchange.fetch_time() - sim.place.clock.now_ms()) < 1000


async def test_ccxt_follows_an_orders_whole_life(sim, exchange):
    placed = await exchange.create_order(
        "BTC/USDT", "limit", "buy", 0.01, 64000, {"clientOrderId": "mine"}
    )
    assert (placed["status"], placed["clientOrderId"]) == ("open", "mine")
    by_name = await exchange.fetch_order(None, "BTC/USDT", {"clientOrderId": "mine"})
    assert by_name["id"] == placed["id"]
    assert [order["id"] for order in await exchange.fetch_open_orders("BTC/USDT")] == [placed["id"]]
    sim.tick("BTC/USDT", "63999")
    done = await exchange.fetch_order(placed["id"], "BTC/USDT")
    assert (done["status"], done["filled"], done["average"]) == ("closed", 0.01, 64000)
    (trade,) = await exchange.fetch_my_trades("BTC/USDT")
    assert (trade["order"], trade["takerOrMaker"]) == (placed["id"], "maker")
    assert trade["fee"] == {"currency": "BTC", "cost": 0.00001}
    second = await exchange.create_order("BTC/USDT", "limit", "sell", 0.01, 70000)
    cancelled = await exchange.cancel_order(second["id"], "BTC/USDT")
    assert cancelled["status"] == "canceled"
    orders = await exchange.fetch_orders("BTC/USDT")
    assert [order["status"] for order in orders] == ["closed", "canceled"]
    balance = await exchange.fetch_balance()
    assert balance["USDT"] == {"free": 9360, "used": 0, "total": 9360}


@pytest.mark.parametrize(
    ("kind", "side", "price", "params", "status"),
    [
        ("market", "buy", None, {}, "closed"),
        ("market", "buy", None, {"quoteOrderQty": "650"}, "closed"),
        ("limit", "buy", 66000, {"timeInForce": "IOC"}, "closed"),
        ("limit", "buy", 60000, {"timeInForce": "FOK"}, "expired"),
        ("limit", "buy", 60000, {"postOnly": True}, "open"),
        ("market", "sell", None, {"stopLossPrice": 60000}, "open"),
        ("limit", "sell", 59000, {"stopLossPrice": 60000}, "open"),
        ("market", "sell", None, {"takeProfitPrice": 70000}, "open"),
    ],
)
async def test_ccxt_places_every_type_of_order(sim, exchange, kind, side, price, params, status):
    placed = await exchange.create_order("BTC/USDT", kind, side, 0.01, price, params)
    order = await exchange.fetch_order(placed["id"], "BTC/USDT")
    assert order["status"] == status


async def test_ccxt_changes_an_order(sim, exchange):
    placed = await exchange.create_order("BTC/USDT", "limit", "buy", 0.01, 60000)
    changed = await exchange.edit_order(placed["id"], "BTC/USDT", "limit", "buy", 0.02, 61000)
    (order,) = await exchange.fetch_open_orders("BTC/USDT")
    assert (order["id"], order["amount"], order["price"]) == (changed["id"], 0.02, 61000)


async def test_ccxt_names_refusals_by_its_own_errors(sim, exchange):
    with pytest.raises(ccxt.InsufficientFunds):
        await exchange.create_order("BTC/USDT", "market", "buy", 9)
    with pytest.raises(ccxt.OrderNotFound):
        await exchange.fetch_order("99", "BTC/USDT")
    with pytest.raises(ccxt.OrderNotFound):
        await exchange.cancel_order("99", "BTC/USDT")
    with pytest.raises(ccxt.OrderImmediatelyFillable):
        await exchange.create_order("BTC/USDT", "limit", "buy", 0.01, 66000, {"postOnly": True})
    with pytest.raises(ccxt.BadRequest, match="NOTIONAL"):
        await exchange.create_order("BTC/USDT", "limit", "buy", 0.00001, 60000)
    exchange.secret = "x" * 64
    with pytest.raises(ccxt.AuthenticationError):
        await exchange.fetch_balance()
    sim.place.maintenance = "system_maintenance"
    with pytest.raises(ccxt.OnMaintenance):
        await exchange.fetch_balance()


async def test_ccxt_watches_the_market(sim, exchange):
    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as tasks:
        watching = [
            tasks.create_task(watch)
            for watch in (
                exchange.watch_ticker("BTC/USDT"),
                exchange.watch_trades("BTC/USDT"),
                exchange.watch_ohlcv("BTC/USDT", "1m"),
                exchange.watch_order_book("BTC/USDT"),
                exchange.watch_bids_asks(["BTC/USDT"]),
            )
        ]
        while not all(task.done() for task in watching):
            sim.tick("BTC/USDT", "65020")
            await asyncio.sleep(0.05)
    ticker, trades, bars, book, best = (task.result() for task in watching)
    assert (ticker["last"], trades[-1]["price"], bars[-1][4]) == (65020, 65020, 65020)
    assert book["bids"][0][0] < 65020 < book["asks"][0][0]
    assert best["BTC/USDT"]["bid"] < 65020


async def test_ccxt_watches_its_own_orders_trades_and_balance(sim, exchange):
    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as tasks:
        orders = tasks.create_task(exchange.watch_orders("BTC/USDT"))
        trades = tasks.create_task(exchange.watch_my_trades("BTC/USDT"))
        balance = tasks.create_task(exchange.watch_balance())
        await until(lambda: sim.server.sent["other"] > 0)  # the subscription's answer
        placed = await exchange.create_order("BTC/USDT", "limit", "buy", 0.01, 64000)
        (order,) = await orders
        assert (order["id"], order["status"]) == (placed["id"], "open")
        await balance
        sim.tick("BTC/USDT", "63999")
        (trade,) = await trades
    assert (trade["order"], trade["price"], trade["fee"]["currency"]) == (
        placed["id"],
        64000,
        "BTC",
    )
    book = sim.exchange.accounts["alice"]
    known = exchange.balance["spot"]
    async with asyncio.timeout(PATIENCE_S):
        while known["BTC"]["free"] != float(text(book.free["BTC"])):
            await exchange.watch_balance()
    assert known["USDT"] == {"free": 9360, "used": 0, "total": 9360}


async def test_ccxt_trades_by_socket(sim, exchange):
    async with asyncio.timeout(PATIENCE_S):
        placed = await exchange.create_order_ws("BTC/USDT", "limit", "buy", 0.01, 64000)
        assert placed["status"] == "open"
        looked = await exchange.fetch_order_ws(placed["id"], "BTC/USDT")
        assert looked["id"] == placed["id"]
        cancelled = await exchange.cancel_order_ws(placed["id"], "BTC/USDT")
        assert cancelled["status"] == "canceled"
        trades = await exchange.fetch_my_trades_ws("BTC/USDT")
        assert trades == []
