"""/api/trade: buy and sell BTC at the market, what is free for it, and what it came to."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Query, Response
from pydantic import BaseModel, ConfigDict, Field, StrictStr

from tradefleet.dispatcher import Dispatcher
from tradefleet.domain.errors import Refused
from tradefleet.drawing import moment
from tradefleet.surfaces.api.bodies import Amount, Text
from tradefleet.surfaces.api.caller import Caller, Door
from tradefleet.surfaces.api.errors import RESPONSES, json_response
from tradefleet.surfaces.api.matching import QuickRoute
from tradefleet.surfaces.api.routes import Key
from tradefleet.surfaces.api.seed_routes.asking import Asking, eight, rate
from tradefleet.surfaces.api.seed_routes.shapes import (
    FundsTold,
    History,
    ProfitTold,
    TradeOnItsWay,
    TradeTold,
    TradingStatus,
)

PREFIX = "/api/trade"
COIN = "BTC"
WAIT_SECONDS = 10.0  # for the exchange; after that the answer is that it is on its way
STEP_SECONDS = 0.1  # between two looks
FIRST_TRADE = "🎉 Historic first production trade executed!"
TRADED = {"buy": "Buy order executed", "sell": "Sell order executed"}
ON_ITS_WAY = "Your order is on its way; GET /api/v1/trade/ordered tells what becomes of it."
EXCHANGE = "Which of several accounts: binance, or binance:live."
Quote = Annotated[StrictStr, Field(pattern=r"^[A-Za-z0-9]{2,15}$")]


class TradeBody(BaseModel):
    """An amount in the quote, or a quantity of BTC; without either: all that is available."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"amount": 30.0}})

    amount: Amount | None = None
    quantity: Amount | None = None
    quote: Quote = "USDC"
    exchange: Text = Field(default="", description=EXCHANGE)


def trade_routes(dispatcher: Dispatcher, door: Door | None) -> APIRouter:
    """Return the routes; they ask the dispatcher for whoever the door lets in."""
    routes, asking = (
        APIRouter(prefix=PREFIX, tags=["Trade"], route_class=QuickRoute),
        Asking(dispatcher, door),
    )
    known: dict[str, Any] = {
        "responses": RESPONSES,
        "openapi_extra": {"security": [{"bearer": []}]},
    }
    late: dict[int | str, Any] = {
        202: {"model": TradeOnItsWay, "description": "Ordered; the exchange has yet to answer"},
    }
    trading = {**known, "responses": {**RESPONSES, **late}}
    Reader = Annotated[Caller, Depends(asking.reader)]
    Trader = Annotated[Caller, Depends(asking.trader)]
    Leaver = Annotated[Caller, Depends(asking.leaver)]

    @routes.get("/status", response_model=TradingStatus, **known)
    async def get_status(caller: Reader) -> Response:
        """Say whether you can trade now, and with what."""
        state = await asking.data(caller, "trade_status", {})
        return json_response(200, {**state, "timestamp": moment(dispatcher.clock.now())})

    @routes.get("/balance", response_model=FundsTold, **known)
    async def get_balance(
        caller: Reader,
        asset: Annotated[str, Query(pattern=r"^[A-Za-z0-9]{2,15}$")] = "USDC",
        exchange: Annotated[str, Query(max_length=200, description=EXCHANGE)] = "",
    ) -> Response:
        """Say what of an asset is free for orders by hand."""
        found = await asking.data(caller, "funds", {"asset": asset, "exchange": exchange})
        data = {
            "asset": found["asset"],
            "free": eight(found["free"]),
            "locked": eight(found["locked"]),
        }
        told = {"success": True, "environment": found["environment"], "data": data}
        return json_response(200, told)

    @routes.post("/buy-btc", response_model=TradeTold, **trading)
    async def buy(
        caller: Trader, key: Key = None, given: Annotated[TradeBody | None, Body()] = None
    ) -> Response:
        """Buy BTC at the market, for an amount or in a quantity; without either for all."""
        return await trade(asking, caller, "buy", given or TradeBody(), key or "")

    @routes.post("/sell-btc", response_model=TradeTold, **trading)
    async def sell(
        caller: Leaver, key: Key = None, given: Annotated[TradeBody | None, Body()] = None
    ) -> Response:
        """Sell BTC that was bought by hand at the market; without a quantity all of it."""
        return await trade(asking, caller, "sell", given or TradeBody(), key or "")

    @routes.get("/history", response_model=History, **known)
    async def get_history(
        caller: Reader,
        days: Annotated[int, Query(ge=1, le=3650)] = 30,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        symbol: Annotated[str, Query(max_length=40)] = "",
    ) -> Response:
        """List your trades, the newest first, with their results net of fees."""
        given = {"days": days, "limit": limit, "symbol": symbol}
        return json_response(200, history(await asking.data(caller, "history", given)))

    @routes.get("/pnl", response_model=ProfitTold, **known)
    async def get_pnl(
        caller: Reader,
        period: Annotated[str, Query(max_length=20)] = "monthly",
        months: Annotated[int, Query(ge=1, le=120)] = 12,
    ) -> Response:
        """Tell realised profit by day, week, month or year, net of fees."""
        found = await asking.data(caller, "pnl", {"period": period, "months": months})
        overall = result(found["overall"])
        told = {
            "period_type": found["period_type"],
            "periods": [period_of(each) for each in found["periods"]],
            "overall": {
                "total_pnl": overall.pop("pnl"),
                "total_trades": overall.pop("trades"),
                **overall,
            },
        }
        return json_response(200, told)

    return routes


async def trade(
    asking: Asking, caller: Caller, command: str, given: TradeBody, key: str
) -> Response:
    """Order, and wait a while for what it comes to."""
    pair = f"{COIN}/{given.quote.upper()}"
    words = {
        "symbol": pair,
        "amount": given.amount,
        "quantity": given.quantity,
        "exchange": given.exchange,
    }
    asked = await asking.data(caller, command, words, key)
    clock = asking.dispatcher.clock
    until = clock.monotonic() + WAIT_SECONDS
    while True:
        found = await asking.data(caller, "ordered", {"request": asked["request"]})
        if found["status"] in ("done", "refused") or clock.monotonic() >= until:
            break
        await clock.sleep(STEP_SECONDS)
    if found["status"] == "refused":
        raise Refused(found["reason"])
    if found["status"] != "done":
        told = {
            "success": True,
            "message": ON_ITS_WAY,
            "environment": found["environment"],
            "request": found["request"],
        }
        return json_response(202, told)
    told = {
        "success": True,
        "message": FIRST_TRADE if found["first"] else TRADED[command],
        "environment": found["environment"],
        "trade": traded(found),
    }
    return json_response(200, told)


def traded(found: dict[str, Any]) -> dict[str, object]:
    return {
        "id": found["number"],
        "symbol": found["symbol"].replace("/", ""),
        "side": found["side"].upper(),
        "quantity": eight(found["quantity"]),
        "price": eight(found["price"]),
        "total_cost": eight(found["cost"]),
        "fee": eight(found["fee"]),
        "binance_order_id": found["venue_order_id"],
        "timestamp": second(found["at"]),
    }


def second(time: str) -> str:
    """Write a time to the second, in UTC."""
    return f"{time[:19]}Z"


def history(found: dict[str, Any]) -> dict[str, object]:
    trades = [
        {
            "id": each["number"],
            "symbol": f"{each['base']}{each['quote']}",
            "side": "BUY",
            "quantity": eight(each["quantity"]),
            "entry_price": eight(each["entry_price"]),
            "exit_price": eight(each["exit_price"]),
            "pnl": eight(each["pnl"]),
            "pnl_percentage": f"{float(each['pnl_percentage']):.2f}",
            "gross_pnl": eight(each["gross_pnl"]),
            "fees": eight(each["fees"]),
            "is_winner": each["is_winner"],
            "is_closed": each["is_closed"],
            "duration_hours": float(each["hours"]),
        }
        for each in found["trades"]
    ]
    summary = {
        "total_trades": found["closed"] + found["open"],
        "closed_trades": found["closed"],
        "open_trades": found["open"],
        "total_pnl": eight(found["pnl"]),
        "gross_pnl": eight(found["gross_pnl"]),
        "fees": eight(found["fees"]),
        "winners": found["winners"],
        "losers": found["losers"],
        "win_rate": rate(found["win_rate"]),
    }
    return {"trades": trades, "summary": summary}


def result(each: dict[str, Any]) -> dict[str, object]:
    return {
        "pnl": eight(each["pnl"]),
        "trades": each["trades"],
        "winners": each["winners"],
        "losers": each["losers"],
        "win_rate": rate(each["win_rate"]),
        "gross_pnl": eight(each["gross_pnl"]),
        "fees": eight(each["fees"]),
    }


def period_of(each: dict[str, Any]) -> dict[str, object]:
    return {
        "period": each["period"],
        "cumulative_pnl": eight(each["cumulative_pnl"]),
        "volume": eight(each["volume"]),
        **result(each),
    }
