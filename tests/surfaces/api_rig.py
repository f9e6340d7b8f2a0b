"""The API over a service of the tests: no socket, and a door that believes what it is told."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import Any
from unittest.mock import patch

from fastapi import APIRouter, FastAPI
from httpx2 import ASGITransport, AsyncClient, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from tradefleet.dispatcher import Dispatcher
from tradefleet.domain.errors import NotSignedIn
from tradefleet.domain.ids import UserId
from tradefleet.surfaces.api import app as app_module
from tradefleet.surfaces.api.app import build_app
from tradefleet.surfaces.api.caller import Caller, Door, Right
from tradefleet.surfaces.api.routes import NoDoor, command_routes

RIGHTS = {
    "read": frozenset({Right.READ}),
    "trade": frozenset({Right.READ, Right.TRADE}),
    "admin": frozenset(Right),
}


class OpenDoor:
    """Believes "Bearer <user> <role>", and nobody else."""

    async def caller(self, authorization: str, address: str) -> Caller:
        words = authorization.split()
        if len(words) != 3 or words[0] != "Bearer" or words[2] not in RIGHTS:
            raise NotSignedIn("Sign in first.")
        return Caller(user_id=UserId(words[1]), rights=RIGHTS[words[2]], session="of the test")


async def health() -> dict[str, Any]:
    return {"overall_status": "healthy"}


def app_over(dispatcher: Dispatcher, **parts: Any) -> FastAPI:
    """Return the app; routes of the same commands are made once for all tests, for they take long.

    Whose dispatcher and whose door they ask goes with each request.
    """
    given: dict[str, Any] = {"door": OpenDoor(), **parts}
    theirs = dispatcher, given["door"] or NoDoor()
    with asked_of(theirs), patch.object(app_module, "command_routes", routes_once):
        app = build_app(health=health, is_ready=lambda: True, dispatcher=dispatcher, **given)
    app.add_middleware(Ours, theirs=theirs)
    return app


ASKED: ContextVar[tuple[Dispatcher, Door]] = ContextVar("ASKED")
MADE: dict[tuple[int, ...], tuple[object, APIRouter]] = {}  # by the commands, which are kept


@contextmanager
def asked_of(theirs: tuple[Dispatcher, Door]) -> Iterator[None]:
    before = ASKED.set(theirs)
    try:
        yield
    finally:
        ASKED.reset(before)


class Asked:
    """Stands for the dispatcher or the door of whichever app is asked."""

    def __init__(self, which: int) -> None:
        self._which = which

    def __getattr__(self, name: str) -> Any:
        return getattr(ASKED.get()[self._which], name)


class Ours:
    """Lets each request know whose it is."""

    def __init__(self, app: ASGIApp, theirs: tuple[Dispatcher, Door]) -> None:
        self.app, self.theirs = app, theirs

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with asked_of(self.theirs):
            await self.app(scope, receive, send)


def routes_once(dispatcher: Any, door: Any) -> APIRouter:
    commands = tuple(dispatcher.catalog.commands.values())
    key = tuple(map(id, commands))
    if key not in MADE:
        asked: list[Any] = [Asked(0), Asked(1)]
        MADE[key] = commands, command_routes(*asked)
    return MADE[key][1]


def signed(user: str, role: str = "trade") -> Mapping[str, str]:
    return {"Authorization": f"Bearer {user} {role}"}


@asynccontextmanager
async def talking(app: FastAPI) -> AsyncIterator[AsyncClient]:
    transport = ASGITransport(app=app, raise_app_exceptions=False)
    async with AsyncClient(transport=transport, base_url="http://service") as client:
        yield client


def failure(response: Response) -> tuple[int, str]:
    """Return status and code of what was not done; it has the one shape and no more."""
    told = response.json()
    assert set(told) == {"success", "error", "code"}
    assert told["success"] is False
    assert told["error"].strip()
    return response.status_code, told["code"]
