"""The API over a service of the tests: no socket, and a door that believes what it is told."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient, Response

from tradefleet.dispatcher import Dispatcher
from tradefleet.domain.errors import NotSignedIn
from tradefleet.domain.ids import UserId
from tradefleet.surfaces.api.app import build_app
from tradefleet.surfaces.api.caller import Caller, Right

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
    given: dict[str, Any] = {"door": OpenDoor(), **parts}
    return build_app(health=health, is_ready=lambda: True, dispatcher=dispatcher, **given)


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
