"""Other people's clients trade on the simulated Bybit over real sockets: pybit and ccxt."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import ccxt.async_support as errors
import ccxt.pro
import pytest

from tests.venuesim.rig import simulated
from tests.venuesim.talking import told_by
from venuesim.keys import Key
from venuesim.running import Running

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-clients" / "bin" / "python"
MONEY = {"USDT": "10000", "BTC": "1"}
WAIT_S = 30


@pytest.fixture
async def sim() -> AsyncIterator[Running]:
    async with simulated("bybit", spread=20) as running:
        yield running


# ------------------------------------------------------------------ pybit

CHECKED = [
    "market",
    "account",
    "life of orders",
    "refusals",
    "time",
    "limits",
    "public streams",
    "private streams",
    "order entry",
]


@pytest.mark.skipif(not PYTHON.exists(), reason="no .venv-clients here: `make test` makes it")
async def test_pybit_trades_and_listens_and_notices_nothing(sim):
    told = await told_by(PYTHON, "bybit_pybit.py", sim, MONEY)
    assert list(told) == CHECKED


# ------------------------------------------------------------------ ccxt


def client_of(sim: Running, key: Key | None = None, **options: Any) -> Any:
    """Return a ccxt client whose every address leads to the simulated venue."""
    keys = {} if key is None else {"apiKey": key.api_key, "secret": key.secret}
    client = ccxt.pro.bybit(
        {"enableRateLimit": False, "options": {"defaultType": "spot"}} | keys | options
    )
    client.urls["api"] = led(client.urls["api"], sim)
    return client


def led(addresses: Any, sim: Running) -> Any:
    """Return addresses that keep the original host as their path's first part."""
    if isinstance(addresses, dict):
        return {name: led(address, sim) for name, address in addresses.items()}
    scheme, _, rest = addresses.partition("://")
    return f"{sim.ws_url if scheme == 'wss' else sim.url}/{rest.replace('{hostname}', 'bybit.com')}"


@pytest.fixture
async def alice(sim: Running) -> AsyncIterator[Any]:
    client = client_of(sim, sim.client("alice", MONEY))
    await client.load_markets()
    yield client
    await client.close()


async def soon(awaited: Any) -> Any:
    return await asyncio.wait_for(awaited, WAIT_S)


async def test_ccxt_reads_the_markets_without_a_key(sim):
    client = client_of(sim)
    try:
        markets = await client.load_markets()
        assert {market["type"] for market in markets.values()} == {"spot"}
        pair = markets["BTC/USDT"]
        assert pair["precision"] == {"amount": 0.00001, "price": 0.01}
        assert (pair["limits"]["cost"]["min"], pair["active"]) == (5, True)
        sim.tick("BTC/USDT", "65001")
        ticker = await client.fetch_ticker("BTC/USDT")
        assert ticker["bid"] < ticker["last"] == 65001 < ticker["ask"]
        book = await client.fetch_order_book("BTC/USDT", 20)
        assert (len(book["bids"]), len(book["asks"])) == (20, 20)
        assert (await client.fetch_ohlcv("BTC/USDT", "1m"))[-1][4] == 65001
        assert (await client.fetch_trades("BTC/USDT"))[-1]["price"] == 65001
        assert abs(await client.fetch_time() - sim.place.clock.now_ms()) < 5000
    finally:
        await client.close()


async def test_ccxt_follows_a_limit_order_from_its_placing_to_its_fills(sim, alice):
    order = await alice.create_order(
        "BTC/USDT", "limit", "buy", 0.01, 64000, {"clientOrderId": "mine"}
    )
    assert order["id"] and order["clientOrderId"] == "mine"
    (waiting,) = await alice.fetch_open_orders("BTC/USDT")
    assert (waiting["id"], waiting["status"], waiting["remaining"]) == (order["id"], "open", 0.01)
    balance = await alice.fetch_balance()
    assert balance["USDT"] == {"free": 9360, "used": 640, "total": 10000, "debt": 0}
    sim.tick("BTC/USDT", "63999")
    (done,) = await alice.fetch_closed_orders("BTC/USDT")
    assert (done["status"], done["average"], done["cost"]) == ("closed", 64000, 640)
    assert done["fee"] == {"currency": "BTC", "cost": 0.00001}
    (trade,) = await alice.fetch_my_trades("BTC/USDT")
    assert (trade["order"], trade["takerOrMaker"]) == (order["id"], "maker")
    assert trade["fee"] == {"cost": 0.00001, "currency": "BTC", "rate": 0.001}
    held = (await alice.fetch_balance())["total"]
    assert held == {"BTC": 1.00999, "USDT": 9360}


async def test_ccxt_sells_and_buys_at_the_market(sim, alice):
    await alice.create_order("BTC/USDT", "market", "sell", 0.01)
    await alice.create_order("BTC/USDT", "market", "buy", 0.01)
    cost = await alice.create_market_buy_order_with_cost("BTC/USDT", 100)
    spent = await alice.fetch_order(cost["id"], "BTC/USDT", {"acknowledged": True})
    assert (spent["status"], spent["filled"]) == ("closed", 0.00153)
    sides = [trade["side"] for trade in await alice.fetch_my_trades("BTC/USDT")]
    assert sorted(sides) == ["buy", "buy", "sell"]


async def test_ccxt_cancels_edits_and_places_stops(sim, alice):
    order = await alice.create_order("BTC/USDT", "limit", "buy", 0.01, 60000)
    edited = await alice.edit_order(order["id"], "BTC/USDT", "limit", "buy", 0.02, 61000)
    assert edited["id"] == order["id"]
    await alice.cancel_order(order["id"], "BTC/USDT")
    with pytest.raises(errors.OrderNotFound, match="170213"):
        await alice.cancel_order(order["id"], "BTC/USDT")
    stop = await alice.create_order(
        "BTC/USDT", "market", "sell", 0.01, None, {"stopLossPrice": 60000}
    )
    (waiting,) = await alice.fetch_open_orders("BTC/USDT")
    assert (waiting["id"], waiting["triggerPrice"]) == (stop["id"], 60000)
    sim.tick("BTC/USDT", "60000")
    assert await alice.fetch_open_orders("BTC/USDT") == []
    (sold,) = await alice.fetch_my_trades("BTC/USDT")
    assert sold["order"] == stop["id"]
    maker = await alice.create_order("BTC/USDT", "limit", "buy", 0.01, 62000, {"postOnly": True})
    found = await alice.fetch_order(maker["id"], "BTC/USDT", {"acknowledged": True})
    assert (found["status"], found["filled"]) == ("rejected", 0)


async def test_ccxt_knows_the_venues_refusals_by_their_kind(sim, alice):
    params = {"clientOrderId": "mine"}
    await alice.create_order("BTC/USDT", "limit", "buy", 0.01, 60000, params)
    with pytest.raises(errors.InvalidOrder, match="Duplicate clientOrderId"):
        await alice.create_order("BTC/USDT", "limit", "buy", 0.01, 60000, params)
    with pytest.raises(errors.InsufficientFunds, match="170131"):
        await alice.create_order("BTC/USDT", "limit", "buy", 1, 60000)
    with pytest.raises(errors.InvalidOrder, match="170140"):
        await alice.create_order("BTC/USDT", "limit", "buy", 0.00005, 60000)
    reader = client_of(sim, sim.client("bob", permissions={"read"}))
    stranger = client_of(sim, Key(api_key="x", secret="y", account="", permissions=set()))
    wrong = client_of(sim, sim.client("carol"), secret="x" * 36)
    foreign = client_of(sim, sim.client("dave", ips=("10.0.0.1",)))
    try:
        reader.set_markets(alice.markets)
        with pytest.raises(errors.PermissionDenied, match="10005"):
            await reader.create_order("BTC/USDT", "limit", "buy", 0.01, 60000)
        for client, kind, code in (
            (stranger, errors.AuthenticationError, "10003"),
            (wrong, errors.AuthenticationError, "10004"),
            (foreign, errors.PermissionDenied, "10010"),
        ):
            with pytest.raises(kind, match=code):
                await client.privateGetV5AccountWalletBalance({"accountType": "UNIFIED"})
        alice.nonce = lambda: alice.milliseconds() - 60_000
        with pytest.raises(errors.InvalidNonce, match="10002"):
            await alice.privateGetV5AccountWalletBalance({"accountType": "UNIFIED"})
    finally:
        for client in (reader, stranger, wrong, foreign):
            await client.close()


async def test_ccxt_is_told_of_the_limit_and_of_the_ban(sim, alice):
    with pytest.raises(errors.RateLimitExceeded, match="10006"):
        for _ in range(7):
            await alice.privateGetV5AccountFeeRate({"category": "spot", "symbol": "BTCUSDT"})
    assert alice.last_response_headers["X-Bapi-Limit-Status"] == "0"
    sim.desk.limits.banned["127.0.0.1"] = sim.place.clock.now_ms() + 60_000
    with pytest.raises(errors.RateLimitExceeded, match="403"):
        await alice.publicGetV5MarketTime()


async def test_ccxt_pro_hears_the_market(sim):
    client = client_of(sim)
    try:
        await client.load_markets()
        first = await soon(client.watch_ticker("BTC/USDT"))
        assert first["last"] == 65000
        book = await soon(client.watch_order_book("BTC/USDT", 50))
        assert (len(book["bids"]), len(book["asks"])) == (50, 50)
        best = await soon(client.watch_bids_asks(["ETH/USDT"]))
        assert best["ETH/USDT"]["bid"] < 3200 < best["ETH/USDT"]["ask"]
        tasks = [
            asyncio.ensure_future(one)
            for one in (
                client.watch_trades("BTC/USDT"),
                client.watch_ohlcv("BTC/USDT", "1m"),
                client.watch_ticker("BTC/USDT"),
                client.watch_order_book("BTC/USDT", 50),
            )
        ]
        topics = {"publicTrade.BTCUSDT", "kline.1.BTCUSDT"}
        async with asyncio.timeout(WAIT_S):
            while not topics <= sim.desk.feeds.listeners.keys():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        sim.tick("BTC/USDT", "65001.5", "0.25")
        trades, candles, ticker, moved = await soon(asyncio.gather(*tasks))
        assert (trades[-1]["price"], trades[-1]["amount"]) == (65001.5, 0.25)
        assert (candles[-1][4], candles[-1][5]) == (65001.5, 0.25)
        assert ticker["last"] == 65001.5
        asked = {"category": "spot", "symbol": "BTCUSDT", "limit": 50}
        whole = (await client.publicGetV5MarketOrderbook(asked))["result"]
        for ours, theirs in (("bids", "b"), ("asks", "a")):
            levels = [[float(price), float(size)] for price, size in whole[theirs]]
            assert [list(level) for level in moved[ours]] == levels
    finally:
        await client.close()


async def test_ccxt_pro_hears_of_its_orders_trades_and_money(sim, alice):
    tasks = [
        asyncio.ensure_future(one)
        for one in (alice.watch_orders(), alice.watch_my_trades(), alice.watch_balance())
    ]
    async with asyncio.timeout(WAIT_S):
        while len(subscribed(sim)) < 3:  # noqa: ASYNC110 - the server sets no event
            await asyncio.sleep(0.01)
    order = await alice.create_order("BTC/USDT", "limit", "buy", 0.01, 64000)
    sim.tick("BTC/USDT", "63999")
    orders, trades, balance = await soon(asyncio.gather(*tasks))
    assert orders[-1]["id"] == trades[-1]["order"] == order["id"]
    while orders[-1]["status"] != "closed":
        orders = await soon(alice.watch_orders())
    while balance["USDT"]["total"] != 9360:
        balance = await soon(alice.watch_balance())
    assert balance["BTC"]["total"] == 1.00999


def subscribed(sim: Running) -> set[str]:
    return {topic for one in sim.desk.notices.sockets["alice"] for topic in one.topics}


async def test_ccxt_pro_enters_orders_over_the_stream(sim, alice):
    order = await soon(alice.create_order_ws("BTC/USDT", "limit", "buy", 0.01, 64000))
    assert order["id"]
    edited = await soon(alice.edit_order_ws(order["id"], "BTC/USDT", "limit", "buy", 0.02, 63000))
    assert edited["id"] == order["id"]
    gone = await soon(alice.cancel_order_ws(order["id"], "BTC/USDT"))
    assert gone["id"] == order["id"]
    with pytest.raises(errors.InsufficientFunds, match="170131"):
        await soon(alice.create_order_ws("BTC/USDT", "limit", "buy", 1, 64000))


async def test_ccxt_pro_is_not_let_in_with_a_wrong_secret(sim):
    client = client_of(sim, sim.client("alice"), secret="x" * 36)
    client.options |= {"enableUnifiedMargin": False, "enableUnifiedAccount": True}
    try:
        client.set_markets([])
        with pytest.raises(errors.ExchangeError, match="Invalid sign"):
            await soon(client.watch_orders())
    finally:
        await client.close()
