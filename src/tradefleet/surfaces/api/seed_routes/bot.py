"""/api/bot/start and /api/bot/stop: let all of a user's pairs trade, or one."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Response
from pydantic import BaseModel, ConfigDict

from tradefleet.dispatcher import Dispatcher
from tradefleet.surfaces.api.bodies import Pair
from tradefleet.surfaces.api.caller import Caller, Door
from tradefleet.surfaces.api.errors import RESPONSES, json_response
from tradefleet.surfaces.api.matching import QuickRoute
from tradefleet.surfaces.api.routes import Key
from tradefleet.surfaces.api.seed_routes.asking import Asking
from tradefleet.surfaces.api.seed_routes.shapes import Started, Stopped

WORDS = {"start": ("start_trading", "started"), "stop": ("stop_trading", "stopped")}


class BotBody(BaseModel):
    """symbol: one pair; without it, all."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"symbol": "BTC/USDT"}})

    symbol: Pair | None = None


def bot_routes(dispatcher: Dispatcher, door: Door | None) -> APIRouter:
    """Return the routes."""
    routes, asking = (
        APIRouter(prefix="/api/bot", tags=["Bot"], route_class=QuickRoute),
        Asking(dispatcher, door),
    )
    known: dict[str, Any] = {
        "responses": RESPONSES,
        "openapi_extra": {"security": [{"bearer": []}]},
    }
    Trader = Annotated[Caller, Depends(asking.trader)]
    Leaver = Annotated[Caller, Depends(asking.leaver)]

    async def turn(caller: Caller, word: str, given: BotBody | None, key: str | None) -> Response:
        command, changed = WORDS[word]
        symbol = None if given is None else given.symbol
        found = await asking.data(caller, command, {"symbol": symbol}, key or "")
        return json_response(200, {"success": True, changed: found[changed]})

    @routes.post("/start", response_model=Started, **known)
    async def start(
        caller: Trader, key: Key = None, given: Annotated[BotBody | None, Body()] = None
    ) -> Response:
        """Let all your pairs trade, or one."""
        return await turn(caller, "start", given, key)

    @routes.post("/stop", response_model=Stopped, **known)
    async def stop(
        caller: Leaver, key: Key = None, given: Annotated[BotBody | None, Body()] = None
    ) -> Response:
        """Let all your pairs enter no more, or one; open positions stay protected."""
        return await turn(caller, "stop", given, key)

    return routes
