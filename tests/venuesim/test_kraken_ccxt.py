"""ccxt and ccxt.pro trade on the simulated Kraken over real sockets and notice nothing."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import ccxt.async_support as errors
import ccxt.pro
import pytest

from tests.venuesim.rig import simulated, until
from venuesim.keys import Key
from venuesim.running import Running
from venuesim.units import units

MONEY = {"USD": "100000", "BTC": "1"}
WAIT_S = 30
PAIR = "BTC/USD"


@pytest.fixture
async def sim() -> AsyncIterator[Running]:
    async with simulated("kraken") as running:
        running.place.limits = False
        running.tick(PAIR, "65000")
        yield running


def client_of(sim: Running, key: Key | None = None, **options: Any) -> Any:
    """Return a ccxt client whose every address leads to the simulated venue."""
    keys = {} if key is None else {"apiKey": key.api_key, "secret": key.secret}
    client = ccxt.pro.kraken({"enableRateLimit": False} | keys | options)
    client.urls["api"] = led(client.urls["api"], sim)
    return client


def led(addresses: Any, sim: Running) -> Any:
    """Return addresses that keep the original host as their path's first part."""
    if isinstance(addresses, dict):
        return {name: led(address, sim) for name, address in addresses.items()}
    scheme, _, rest = addresses.partition("://")
    return f"{sim.ws_url if scheme == 'wss' else sim.url}/{rest}"


@pytest.fixture
async def alice(sim: Running) -> AsyncIterator[Any]:
    client = client_of(sim, sim.client("alice", MONEY))
    await client.load_markets()
    yield client
    await client.close()


async def soon(awaited: Any) -> Any:
    return await asyncio.wait_for(awaited, WAIT_S)


# ------------------------------------------------------------------------ REST


async def test_ccxt_reads_the_markets_without_a_key(sim: Running):
    client = client_of(sim)
    try:
        markets = await client.load_markets()
        assert set(sim.exchange.instruments) == set(markets)
        pair = markets[PAIR]
        assert (pair["id"], pair["wsId"], pair["active"]) == ("XXBTZUSD", "XBT/USD", True)
        assert pair["precision"] == {"amount": 1e-8, "price": 0.1}
        assert (pair["limits"]["amount"]["min"], pair["limits"]["cost"]["min"]) == (5e-5, 0.5)
        assert (pair["taker"], pair["maker"]) == (0.004, 0.0025)
        assert client.currencies["USD"]["precision"] == 0.0001
        sim.tick(PAIR, "65001.3")
        ticker = await client.fetch_ticker(PAIR)
        assert ticker["bid"] < ticker["last"] == 65001.3 < ticker["ask"]
        assert set(await client.fetch_tickers()) == set(markets)
        book = await client.fetch_order_book(PAIR, 20)
        assert (len(book["bids"]), len(book["asks"])) == (20, 20)
        since = sim.place.clock.now_ms() - 3_600_000
        assert (await client.fetch_ohlcv(PAIR, "1m", since))[-1][4] == 65001.3
        assert (await client.fetch_trades(PAIR))[-1]["price"] == 65001.3
        assert (await client.fetch_status())["status"] == "ok"
        assert abs(await client.fetch_time() - sim.place.clock.now_ms()) < 5000
    finally:
        await client.close()


async def test_ccxt_follows_a_limit_order_from_its_placing_to_its_fills(sim: Running, alice: Any):
    name = "da8e4ad59b78481c93e589746b0cf91f"
    order = await alice.create_order(PAIR, "limit", "buy", 0.1, 64000, {"clientOrderId": name})
    assert order["id"]
    (waiting,) = await alice.fetch_open_orders(PAIR, None, None, {"clientOrderId": name})
    assert (waiting["id"], waiting["clientOrderId"]) == (order["id"], name)
    assert (waiting["status"], waiting["remaining"], waiting["price"]) == ("open", 0.1, 64000)
    balance = await alice.fetch_balance()
    assert balance["USD"] == {"free": 93574.4, "used": 6425.6, "total": 100000}
    sim.tick(PAIR, "63999")
    done = await alice.fetch_order(order["id"], PAIR)
    assert (done["status"], done["average"], done["filled"]) == ("closed", 64000, 0.1)
    assert done["fee"] == {"currency": "USD", "cost": "16.00000", "rate": None}
    assert [one["id"] for one in await alice.fetch_closed_orders(PAIR)] == [order["id"]]
    (trade,) = await alice.fetch_my_trades(PAIR)
    assert (trade["order"], trade["takerOrMaker"], trade["cost"]) == (order["id"], "maker", 6400)
    assert trade["fee"] == {"cost": 16.0, "currency": "USD"}
    entries = await alice.fetch_ledger()
    assert {(entry["currency"], entry["direction"]) for entry in entries} == {
        ("USD", "in"), ("BTC", "in"), ("USD", "out"),
    }  # fmt: skip
    held = (await alice.fetch_balance())["total"]
    assert held == {"BTC": 1.1, "USD": 93584}
    assert sim.exchange.accounts["alice"].free["USD"] == units("93584")


async def test_ccxt_trades_at_the_market_in_base_and_in_quote(sim: Running, alice: Any):
    await alice.create_order(PAIR, "market", "sell", 0.01)
    await alice.create_order(PAIR, "market", "buy", 0.01)
    spent = await alice.create_market_buy_order_with_cost(PAIR, 650)
    found = await alice.fetch_order(spent["id"], PAIR)
    assert found["status"] == "closed"
    assert 649 < found["cost"] <= 650
    sides = [trade["side"] for trade in await alice.fetch_my_trades(PAIR)]
    assert sorted(sides) == ["buy", "buy", "sell"]


async def test_ccxt_cancels_edits_and_places_stops(sim: Running, alice: Any):
    order = await alice.create_order(PAIR, "limit", "buy", 0.1, 60000)
    await alice.edit_order(order["id"], PAIR, "limit", "buy", 0.2, 61000)
    (edited,) = await alice.fetch_open_orders(PAIR)
    assert (edited["id"], edited["amount"], edited["price"]) == (order["id"], 0.2, 61000)
    await alice.cancel_order(order["id"], PAIR)
    with pytest.raises(errors.OrderNotFound, match="Unknown order"):
        await alice.cancel_order(order["id"], PAIR)
    stop = await alice.create_order(PAIR, "market", "sell", 0.1, None, {"stopLossPrice": 60000})
    limit = await alice.create_order(PAIR, "limit", "sell", 0.1, 70500, {"takeProfitPrice": 70000})
    orders = {one["id"]: one for one in await alice.fetch_open_orders(PAIR)}
    assert orders[stop["id"]]["stopLossPrice"] == 60000
    assert orders[limit["id"]]["takeProfitPrice"] == 70000
    sim.tick(PAIR, "59990")
    assert (await alice.fetch_order(stop["id"], PAIR))["status"] == "closed"
    await alice.cancel_all_orders()
    assert await alice.fetch_open_orders(PAIR) == []
    made = await alice.create_orders(
        [
            {"symbol": PAIR, "type": "limit", "side": "buy", "amount": 0.01, "price": price}
            for price in (50000, 51000)
        ]
    )
    await alice.cancel_orders([one["id"] for one in made])
    assert await alice.fetch_open_orders(PAIR) == []


async def test_ccxt_signs_the_deadline_and_a_late_order_is_not_taken(sim: Running, alice: Any):
    params = {"deadline": "2020-01-01T00:00:00Z"}
    with pytest.raises(errors.ExchangeError, match="EService:Deadline elapsed"):
        await alice.create_order(PAIR, "limit", "buy", 0.1, 60000, params)
    assert await alice.fetch_open_orders(PAIR) == []


async def test_ccxt_knows_the_venues_refusals_by_their_kind(sim: Running, alice: Any):
    params = {"clientOrderId": "mine"}
    await alice.create_order(PAIR, "limit", "buy", 0.1, 60000, params)
    with pytest.raises(errors.ExchangeError, match="cl_ord_id not unique"):
        await alice.create_order(PAIR, "limit", "buy", 0.1, 60000, params)
    with pytest.raises(errors.InsufficientFunds, match="Insufficient funds"):
        await alice.create_order(PAIR, "limit", "buy", 10, 60000)
    with pytest.raises(errors.InvalidOrder, match="Order minimum not met"):
        await alice.create_order(PAIR, "limit", "buy", 0.00001, 60000)
    keys = {
        "reader": sim.client("bob", permissions={"read"}),
        "stranger": Key(api_key="x", secret="AAAA", account="", permissions=set()),
        "foreign": sim.client("dave", ips=("203.0.113.7",)),
        "wrong": sim.client("carol"),
    }
    clients = {name: client_of(sim, key) for name, key in keys.items()}
    clients["wrong"].secret = "A" * 88
    try:
        clients["reader"].set_markets_from_exchange(alice)
        with pytest.raises(errors.PermissionDenied):
            await clients["reader"].create_order(PAIR, "limit", "buy", 0.1, 60000)
        for name, kind, text in (
            ("stranger", errors.AuthenticationError, "EAPI:Invalid key"),
            ("wrong", errors.ExchangeError, "EAPI:Invalid signature"),
            ("foreign", errors.PermissionDenied, "EGeneral:Permission denied"),
        ):
            with pytest.raises(kind, match=text):
                await clients[name].privatePostBalance()
        alice.incrementing_nonce = lambda: 5
        with pytest.raises(errors.InvalidNonce, match="EAPI:Invalid nonce"):
            await alice.privatePostBalance()
    finally:
        for client in clients.values():
            await client.close()


async def test_ccxt_is_told_of_limits_and_of_modes(sim: Running, alice: Any):
    sim.place.maintenance = "cancel_only"
    with pytest.raises(errors.OnMaintenance, match="cancel_only"):
        await alice.create_order(PAIR, "limit", "buy", 0.1, 60000)
    assert (await alice.fetch_status())["status"] == "maintenance"
    sim.place.maintenance = "maintenance"
    with pytest.raises(errors.ExchangeNotAvailable, match="EService:Unavailable"):
        await alice.fetch_balance()
    sim.place.maintenance = ""
    sim.place.limits = True
    with pytest.raises(errors.DDoSProtection, match="EAPI:Rate limit exceeded"):
        for _ in range(30):
            await alice.privatePostBalance()


# --------------------------------------------------------------------- streams


async def test_ccxt_pro_hears_the_market(sim: Running):
    client = client_of(sim)
    try:
        await client.load_markets()
        first = await soon(client.watch_ticker(PAIR))
        assert first["last"] == 65000
        book = await soon(client.watch_order_book(PAIR, 25))
        assert (len(book["bids"]), len(book["asks"])) == (25, 25)
        candles = await soon(client.watch_ohlcv(PAIR, "5m"))
        assert candles[-1][4] == 65000
        best = await soon(client.watch_bids_asks(["ETH/USD"]))
        assert best["ETH/USD"]["bid"] < 3200 < best["ETH/USD"]["ask"]
        tasks = [
            asyncio.ensure_future(one)
            for one in (
                client.watch_trades(PAIR),
                client.watch_ohlcv(PAIR, "5m"),
                client.watch_ticker(PAIR),
                client.watch_order_book(PAIR, 25),
            )
        ]
        await until(lambda: ("trade", PAIR, "") in feeds(sim).topics)
        sim.tick(PAIR, "65001.5", "0.25")
        trades, candles, ticker, moved = await soon(asyncio.gather(*tasks))
        assert (trades[-1]["price"], trades[-1]["amount"]) == (65001.5, 0.25)
        assert candles[-1][4] == 65001.5
        assert ticker["last"] == 65001.5
        whole = (await client.publicGetDepth({"pair": "XBTUSD", "count": 25}))["result"]
        for side in ("bids", "asks"):
            prices = [float(row[0]) for row in whole["XXBTZUSD"][side]]
            assert [level[0] for level in moved[side]] == prices
    finally:
        await client.close()


def feeds(sim: Running) -> Any:
    desk: Any = sim.desk
    return desk.feeds


async def test_ccxt_pro_hears_of_its_orders_trades_and_money(sim: Running, alice: Any):
    balance = await soon(alice.watch_balance())
    assert balance["total"] == {"BTC": 1, "USD": 100000}
    waiting = [
        asyncio.ensure_future(one)
        for one in (alice.watch_orders(), alice.watch_my_trades(), alice.watch_balance())
    ]
    await until(lambda: ("executions", "alice") in feeds(sim).private)
    order = await alice.create_order(PAIR, "limit", "buy", 0.1, 64000)
    orders = await soon(waiting[0])
    assert (orders[-1]["id"], orders[-1]["symbol"]) == (order["id"], PAIR)
    sim.tick(PAIR, "63999")
    trades, balance = await soon(asyncio.gather(*waiting[1:]))
    (trade,) = trades
    assert (trade["order"], trade["price"], trade["amount"]) == (order["id"], 64000, 0.1)
    assert trade["fee"] == {"cost": 16.0, "currency": "USD"}
    assert balance["USD"]["total"] == 93584
    await until(lambda: alice.balance["spot"]["total"] == {"BTC": 1.1, "USD": 93584})
    await until(lambda: any(one["status"] == "closed" for one in alice.orders))


async def test_ccxt_pro_enters_amends_and_cancels_orders_over_the_stream(sim: Running, alice: Any):
    order = await soon(
        alice.create_order_ws(PAIR, "limit", "buy", 0.1, 60000, {"clientOrderId": "mine"})
    )
    (waiting,) = await alice.fetch_open_orders(PAIR)
    assert (waiting["id"], waiting["clientOrderId"]) == (order["id"], "mine")
    edited = await soon(alice.edit_order_ws(order["id"], PAIR, "limit", "buy", 0.2, 61000))
    assert edited["id"] == order["id"]
    cancelled = await soon(alice.cancel_order_ws(order["id"]))
    assert cancelled["result"]["order_id"] == order["id"]
    with pytest.raises(errors.OrderNotFound, match="EOrder:Unknown order"):
        await soon(alice.cancel_order_ws(order["id"]))
    with pytest.raises(errors.ExchangeError, match="EOrder:Order minimum not met"):
        await soon(alice.create_order_ws(PAIR, "limit", "buy", 0.00001, 60000))
    await soon(alice.create_order_ws(PAIR, "limit", "buy", 0.1, 60000))
    everything = await soon(alice.cancel_all_orders_ws())
    assert everything["result"] == {"count": 1}


async def test_ccxt_pro_is_not_let_in_with_a_wrong_secret_or_without_the_right(sim: Running):
    wrong = client_of(sim, sim.client("bob"))
    wrong.secret = "A" * 88
    unheard = client_of(sim, sim.client("carol", permissions={"query-funds"}))
    try:
        with pytest.raises(errors.ExchangeError, match="EAPI:Invalid signature"):
            await soon(wrong.watch_orders())
        with pytest.raises(errors.PermissionDenied, match="EGeneral:Permission denied"):
            await soon(unheard.watch_orders())
    finally:
        await wrong.close()
        await unheard.close()
