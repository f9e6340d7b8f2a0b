"""Signing in over HTTP: password, link, Telegram; renewing and ending sessions."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Depends, Request
from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr

from tradefleet.domain.credentials import Secret
from tradefleet.operations.sign_in.sessions import SHOWN_MAX, Known, SignedIn, SignIn
from tradefleet.operations.sign_in.telegram import FIELDS_MAX, LENGTH_MAX
from tradefleet.surfaces.api.door import shown_in
from tradefleet.surfaces.api.errors import RESPONSES, json_response
from tradefleet.surfaces.api.matching import QuickRoute

PREFIX = "/api/v1/auth"
TAG = "Signing in"

Hidden = Annotated[
    StrictStr,
    Field(
        min_length=1,
        max_length=SHOWN_MAX,
        json_schema_extra={"writeOnly": True, "format": "password"},
    ),
]
Name = Annotated[StrictStr, Field(min_length=1, max_length=SHOWN_MAX)]
Digits = Annotated[StrictStr, Field(max_length=16, description="The second factor's six digits.")]


class Asked(BaseModel):
    """A body: nothing unknown passes, and nothing of it is ever shown."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class ByPassword(Asked):
    user: Name
    password: Hidden
    digits: Digits | None = None


class ByLink(Asked):
    code: Hidden


class ByMiniApp(Asked):
    init_data: Annotated[StrictStr, Field(min_length=1, max_length=LENGTH_MAX)]


class ByRenewal(Asked):
    refresh_token: Hidden


class ByDigits(Asked):
    digits: Digits


Widget = Annotated[
    dict[str, Annotated[StrictStr, Field(max_length=2048)] | StrictInt],
    Field(max_length=FIELDS_MAX),
]


class Tokens(BaseModel):
    """What somebody has who signed in; expires_in: seconds of the access token."""

    success: Literal[True]
    access_token: str
    refresh_token: str
    token_type: Literal["Bearer"]
    expires_in: int
    session: str


class Done(BaseModel):
    success: Literal[True]
    text: str


def address_of(request: Request) -> str:
    return request.client.host if request.client else ""


def tokens(signed: SignedIn) -> Any:
    answer = json_response(
        200,
        {
            "success": True,
            "access_token": signed.access.reveal(),
            "refresh_token": signed.renewal.reveal(),
            "token_type": "Bearer",
            "expires_in": signed.seconds,
            "session": signed.session.id,
        },
    )
    answer.headers["Cache-Control"] = "no-store"
    return answer


def done(text: str) -> Any:
    return json_response(200, {"success": True, "text": text})


def auth_routes(sign_in: SignIn) -> APIRouter:
    """Return the routes by which people sign in."""
    routes = APIRouter(prefix=PREFIX, tags=[TAG], responses=RESPONSES, route_class=QuickRoute)
    add_ways_in(routes, sign_in)
    add_sessions(routes, sign_in)
    return routes


def add_ways_in(routes: APIRouter, sign_in: SignIn) -> None:
    @routes.post("/password", response_model=Tokens, operation_id="sign_in_by_password")
    async def by_password(given: ByPassword, request: Request) -> Any:
        """Sign in by user id or name and password; five tries a minute."""
        password = Secret(given.password)
        address = address_of(request)
        return tokens(await sign_in.by_password(given.user, password, address, given.digits or ""))

    @routes.post("/link", response_model=Tokens, operation_id="sign_in_by_link")
    async def by_link(given: ByLink, request: Request) -> Any:
        """Sign in by the code of a one-time link of the bot's (/web)."""
        return tokens(await sign_in.by_link(given.code, address_of(request)))

    @routes.post("/telegram", response_model=Tokens, operation_id="sign_in_by_telegram")
    async def by_widget(given: Annotated[Widget, Body()], request: Request) -> Any:
        """Sign in with all that the Telegram Login widget gave."""
        return tokens(await sign_in.by_widget(given, address_of(request)))

    @routes.post("/telegram/mini-app", response_model=Tokens, operation_id="sign_in_by_mini_app")
    async def by_mini_app(given: ByMiniApp, request: Request) -> Any:
        """Sign in with the initData of a Telegram Mini App, unchanged."""
        return tokens(await sign_in.by_mini_app(given.init_data, address_of(request)))

    @routes.post("/refresh", response_model=Tokens, operation_id="renew_session")
    async def renew(given: ByRenewal) -> Any:
        """Renew a session; each refresh token works once, and its reuse ends the session."""
        return tokens(await sign_in.renew(given.refresh_token))


def add_sessions(routes: APIRouter, sign_in: SignIn) -> None:
    async def who(request: Request) -> Known:
        return await sign_in.known(shown_in(request.headers.get("authorization", "")))

    signed_in: Any = {"security": [{"bearer": []}]}

    @routes.post(
        "/strong", response_model=Done, operation_id="give_second_factor", openapi_extra=signed_in
    )
    async def strong(given: ByDigits, known: Annotated[Known, Depends(who)]) -> Any:
        """Give the second factor: for five minutes, this session may change live trading."""
        await sign_in.strengthen(known, given.digits)
        return done("Your second factor counts for five minutes.")

    @routes.post(
        "/sign-out", response_model=Done, operation_id="end_session", openapi_extra=signed_in
    )
    async def sign_out(known: Annotated[Known, Depends(who)]) -> Any:
        """End the session this request is signed in with."""
        await sign_in.end(known)
        return done("You are signed out.")
