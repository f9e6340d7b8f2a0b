"""/api/trade answers as its document shows: shapes key by key, texts word for word."""

import asyncio
import json
import re
from decimal import Decimal

import pytest

from tests.key_rig import KeyDoor, key_door, keyed
from tests.makers import after_start, fill, order
from tests.runtime.live_rig import ALICE, Ground
from tests.runtime.test_by_hand import fill_all, serve
from tests.surfaces.api_rig import OpenDoor, app_over, failure, signed, talking
from tradefleet.domain.bot import MANUAL, BotSpec
from tradefleet.domain.effects import FillBooked, OrderPlaced
from tradefleet.domain.ids import AccountId, BotId
from tradefleet.domain.ledger import LedgerEntry
from tradefleet.domain.market import Symbol, Timeframe
from tradefleet.domain.order import OrderState
from tradefleet.domain.user import Mode
from tradefleet.engine.key_guard import KeyRules
from tradefleet.surfaces.api.seed_routes import trade as routes
from tradefleet.surfaces.api.seed_routes.trade import trade_routes

BTC_USDC = Symbol("BTC", "USDC")
MONEY = re.compile(r"-?\d+\.\d{8}")
TRADE = {
    "id": 1,
    "symbol": "BTCUSDC",
    "side": "BUY",
    "quantity": "0.00030000",
    "price": "98500.00000000",
    "total_cost": "29.55000000",
    "fee": "0.02955000",
    "binance_order_id": "V1",
    "timestamp": "2026-01-01T00:00:00Z",
}


def service(ground: Ground):
    return app_over(ground.door, more=[trade_routes(ground.door, OpenDoor())])


def shape(value):
    """Return what kinds of values stand where: money and texts apart."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    if isinstance(value, str):
        return "money" if MONEY.fullmatch(value) else "text"
    return type(value).__name__


async def served(ground: Ground, running, client, method, path, price="98500", **given):
    """Send a request while a host works: prices come, and orders are filled."""
    sending = asyncio.ensure_future(
        client.request(
            method, path, headers={**signed("alice"), **given.pop("headers", {})}, **given
        )
    )
    for _ in range(60):
        await asyncio.sleep(0)
    for _ in range(30):
        if sending.done():
            break
        for symbol in (BTC_USDC,):
            running.feed.last[symbol] = Decimal(price)
            running.feed.prices[symbol] = ground.clock.now()
        await serve(running, price)
        await fill_all(running, price)
        await ground.clock.pass_by(0.2)
        for _ in range(20):
            await asyncio.sleep(0)
    return await sending


@pytest.mark.parametrize("slash", ["", "/"])
async def test_a_buy_by_amount_is_answered_with_the_trade(slash):
    ground = Ground.new()
    await ground.ask("/start")
    async with ground.host() as running, talking(service(ground)) as client:
        response = await served(
            ground, running, client, "POST", f"/api/trade/buy-btc{slash}", json={"amount": 30.0}
        )
    assert response.status_code == 200
    assert response.json() == {
        "success": True,
        "message": "Buy order executed",
        "environment": "paper",
        "trade": TRADE,
    }


async def test_a_repeated_request_with_one_key_trades_once():
    ground = Ground.new()
    await ground.ask("/start")
    key = {"Idempotency-Key": "k1"}
    async with ground.host() as running, talking(service(ground)) as client:
        answers = [
            await served(
                ground,
                running,
                client,
                "POST",
                "/api/trade/buy-btc/",
                json={"quantity": 0.0003},
                headers=key,
            )
            for _ in range(2)
        ]
        other = await client.post(
            "/api/trade/buy-btc/", json={"quantity": 0.0004}, headers={**signed("alice"), **key}
        )
    assert answers[0].json() == answers[1].json()
    assert len(ground.link().submitted) == 1
    assert failure(other) == (409, "conflict")


async def test_history_and_pnl_have_their_documents_shapes():
    ground = Ground.new()
    await ground.ask("/start")
    async with ground.host() as running, talking(service(ground)) as client:
        for price, path in (("98500", "buy-btc"), ("99000", "sell-btc"), ("98500", "buy-btc")):
            body = {"amount": 30} if path == "buy-btc" else None
            response = await served(
                ground, running, client, "POST", f"/api/trade/{path}/", price=price, json=body
            )
            assert response.status_code == 200, response.text
            await ground.clock.pass_by(60)
        told = (await client.get("/api/trade/history/?days=30", headers=signed("alice"))).json()
        pnl = (await client.get("/api/trade/pnl/", headers=signed("alice"))).json()
        few = await client.get("/api/trade/history?limit=1", headers=signed("alice"))
    example = {
        "trades": [
            {
                "id": "int",
                "symbol": "text",
                "side": "text",
                "quantity": "money",
                "entry_price": "money",
                "exit_price": "money",
                "pnl": "money",
                "pnl_percentage": "text",
                "is_winner": "bool",
                "is_closed": "bool",
                "duration_hours": "float",
                "gross_pnl": "money",
                "fees": "money",
            }
        ],
        "summary": {
            "total_trades": "int",
            "closed_trades": "int",
            "open_trades": "int",
            "total_pnl": "money",
            "winners": "int",
            "losers": "int",
            "win_rate": "text",
            "gross_pnl": "money",
            "fees": "money",
        },
    }
    assert shape(told) == example
    newest, closed = told["trades"]
    assert (newest["is_closed"], newest["exit_price"], newest["pnl"]) == (
        False,
        "0.00000000",
        "0.00000000",
    )
    assert closed["entry_price"] == "98500.00000000"
    assert closed["exit_price"] == "99000.00000000"
    assert closed["gross_pnl"] == "0.15000000"
    assert closed["fees"] == "0.05925000"
    assert closed["pnl"] == "0.09075000"
    assert closed["is_winner"]
    assert told["summary"]["win_rate"] == "100.0%"
    assert len(few.json()["trades"]) == 1
    assert few.json()["summary"] == told["summary"]
    (period,) = pnl["periods"]
    assert period == {
        "period": "2026-01",
        "pnl": "0.09075000",
        "cumulative_pnl": "0.09075000",
        "trades": 1,
        "winners": 1,
        "losers": 0,
        "win_rate": "100.0%",
        "volume": "59.25000000",
        "gross_pnl": "0.15000000",
        "fees": "0.05925000",
    }
    assert pnl["period_type"] == "monthly"
    assert pnl["overall"] == {
        "total_pnl": "0.09075000",
        "total_trades": 1,
        "winners": 1,
        "losers": 0,
        "win_rate": "100.0%",
        "gross_pnl": "0.15000000",
        "fees": "0.05925000",
    }


async def test_status_and_balance_of_a_new_user():
    ground = Ground.new()
    await ground.ask("/start")
    async with talking(service(ground)) as client:
        status = await client.get("/api/trade/status/", headers=signed("alice", "read"))
        balance = await client.get("/api/trade/balance/?asset=USDC", headers=signed("alice"))
        empty = await client.get("/api/trade/pnl/?period=daily", headers=signed("alice"))
    assert status.json() == {
        "trading_enabled": True,
        "environment": "paper",
        "has_credentials": False,
        "can_trade": True,
        "user": "alice",
        "timestamp": "2026-01-01T00:00:00Z",
    }
    assert balance.json() == {
        "success": True,
        "environment": "paper",
        "data": {"asset": "USDC", "free": "10000.00000000", "locked": "0.00000000"},
    }
    assert empty.json()["overall"]["total_pnl"] == "0.00000000"
    assert empty.json()["periods"] == []


@pytest.mark.parametrize(
    "body",
    [
        {"amount": 0},
        {"amount": -5},
        {"amount": "NaN"},
        {"amount": 30, "quantity": 0.0003},
        {"quantity": 0},
        {"amount": 20000},
        {"unknown": 1},
        {"quantity": 0.000001},
    ],
)
async def test_what_makes_no_sense_is_a_400_and_orders_nothing(body):
    ground = Ground.new()
    await ground.ask("/start")
    async with ground.host() as running, talking(service(ground)) as client:
        response = await served(ground, running, client, "POST", "/api/trade/buy-btc", json=body)
    assert response.status_code == 400, response.text
    assert await ground.orders() == []


async def test_a_bare_nan_is_a_400():
    ground = Ground.new()
    await ground.ask("/start")
    async with talking(service(ground)) as client:
        headers = {**signed("alice"), "Content-Type": "application/json"}
        response = await client.post(
            "/api/trade/buy-btc", content='{"amount": NaN}', headers=headers
        )
    assert response.status_code == 400
    assert await ground.waiting() == []


async def test_nothing_to_sell_is_said_in_the_documents_words():
    ground = Ground.new()
    await ground.ask("/start")
    async with talking(service(ground)) as client:
        response = await client.post("/api/trade/sell-btc/", headers=signed("alice"))
    assert response.status_code == 400
    assert response.json() == {
        "success": False,
        "error": "No BTC available for trading",
        "code": "refused",
    }


async def test_who_may_only_read_may_not_trade_and_a_stranger_nothing():
    ground = Ground.new()
    await ground.ask("/start")
    async with talking(service(ground)) as client:
        response = await client.post("/api/trade/buy-btc", headers=signed("alice", "read"))
        assert failure(response) == (403, "forbidden")
        assert failure(await client.get("/api/trade/status")) == (401, "unauthorized")


async def test_without_a_host_the_answer_is_that_it_is_on_its_way(monkeypatch):
    monkeypatch.setattr(routes, "WAIT_SECONDS", 0.0)
    ground = Ground.new()
    await ground.ask("/start")
    async with talking(service(ground)) as client:
        response = await client.post("/api/trade/buy-btc", headers=signed("alice"))
    assert response.status_code == 202
    assert response.json()["message"].startswith("Your order is on its way")
    assert json.loads(response.text)["request"].endswith("2026-01-01T00:00:00+00:00")
    assert await ground.waiting() == ["trade_asked"]
    assert ALICE == "alice"


async def live_account(door: KeyDoor) -> None:
    async with door.store.open(ALICE) as store:
        await store.save_account(keyed(ALICE, Mode.LIVE))


@pytest.mark.parametrize("path", ["buy-btc", "sell-btc"])
async def test_trading_that_is_disabled_is_a_403_in_the_documents_words(path):
    door = await key_door(rules=KeyRules())
    await live_account(door)
    app = app_over(door.dispatcher, more=[trade_routes(door.dispatcher, OpenDoor())])
    async with talking(app) as client:
        response = await client.post(f"/api/trade/{path}/", headers=signed("alice"))
        status = (await client.get("/api/trade/status/", headers=signed("alice"))).json()
    assert response.status_code == 403
    assert response.json() == {
        "success": False,
        "error": "Trading is disabled. Set TRADING_ENABLED=True to enable.",
        "code": "forbidden",
    }
    assert (status["environment"], status["trading_enabled"]) == ("production", False)
    assert (status["has_credentials"], status["can_trade"]) == (True, False)


async def test_an_exchange_without_keys_is_refused_in_the_documents_words():
    door = await key_door()
    app = app_over(door.dispatcher, more=[trade_routes(door.dispatcher, OpenDoor())])
    async with talking(app) as client:
        response = await client.post(
            "/api/trade/buy-btc/", headers=signed("alice"), json={"exchange": "bybit"}
        )
    assert response.status_code == 400
    assert response.json()["error"] == "Bybit API credentials not configured for production mode"


async def test_the_money_of_pairs_is_not_free():
    door = await key_door()
    await door.ask("/connect bybit key-of-alice-0123456789 secret-of-alice testnet=true")
    await door.ask("/addpair BTC/USDT 900 bybit")
    app = app_over(door.dispatcher, more=[trade_routes(door.dispatcher, OpenDoor())])
    async with talking(app) as client:
        balance = await client.get("/api/trade/balance/?asset=USDT", headers=signed("alice"))
        body = {"amount": 200, "quote": "USDT"}
        response = await client.post("/api/trade/buy-btc", headers=signed("alice"), json=body)
    assert balance.json() == {
        "success": True,
        "environment": "testnet",
        "data": {"asset": "USDT", "free": "100.00000000", "locked": "900.00000000"},
    }
    assert response.status_code == 400
    assert response.json()["error"] == (
        "Insufficient balance: 100 USDT is available for trading, you asked for 200."
    )


async def test_the_first_trade_with_real_money_is_celebrated_once():
    door = await key_door()
    await live_account(door)
    account = AccountId(f"{ALICE}:bybit:live")
    spec = BotSpec(
        id=BotId("desk"),
        user_id=ALICE,
        account_id=account,
        venue="bybit",
        symbol=BTC_USDC,
        timeframe=Timeframe(60),
        strategy=MANUAL,
        allocation=Decimal(100),
    )
    async with door.store.open(ALICE) as store:
        await store.add_bot(spec)
        await store.ask_host("nothing", {})
    for number in (1, 2):
        at = after_start(minutes=number)
        placed = order(
            Decimal("0.0003"),
            f"o{number}",
            bot="desk",
            user_id=ALICE,
            account_id=account,
            symbol=BTC_USDC,
            seq=number,
            decided_at=at,
            reason="manual",
            state=OrderState.DONE,
            filled=Decimal("0.0003"),
        )
        traded = fill("0.0003", 98500, id=f"f{number}", order_id=placed.id, symbol=BTC_USDC)
        entry = LedgerEntry.of_fill(traded, user_id=ALICE, account_id=account, bot_id=spec.id)
        await door.record(OrderPlaced(placed), FillBooked(traded, entry))
    told = []
    for number in (1, 2, 1):
        request = f"desk@{after_start(minutes=number).isoformat()}"
        told.append((await door.dispatcher.run(ALICE, "ordered", [request])).data)
    assert [(each.first, each.environment, each.number) for each in told] == [
        (True, "production", 1),
        (False, "production", 2),
        (True, "production", 1),
    ]
