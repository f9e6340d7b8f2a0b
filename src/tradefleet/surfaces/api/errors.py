"""Every refusal and failure as an answer of one shape; nothing broken inside is ever told."""

import itertools
import logging
import secrets
from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any, Literal
from urllib.parse import unquote

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars

from tradefleet.domain.errors import Refused, StoreError, TooMany, VenueError
from tradefleet.drawing import as_json

logger = logging.getLogger(__name__)

BODY_MAX = 65_536  # bytes of one request
REQUEST_ID = b"x-request-id"
RUN = secrets.token_hex(3)  # names this process in the numbers of requests
NUMBERS = itertools.count(1)
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
STATUSES = {
    "refused": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "second_factor": 403,
    "not_found": 404,
    "conflict": 409,
    "too_many": 429,
}
CODES = {404: "not_found", 405: "method_not_allowed", 413: "too_large"}
TEXTS = {
    404: "There is nothing at this address; /docs lists all there is.",
    405: "This address knows no such method; /docs lists what it knows.",
}
NO_DATABASE = "The service cannot reach its database now; try again in a minute."
NO_VENUE = "The exchange cannot be reached now; nothing was changed. Try again in a minute."
BROKEN = "Something broke here, and whoever runs this service will see it. Ask again what became."
TOO_LARGE = f"A request has at most {BODY_MAX} bytes."
# For browsers that are led to an answer: what is ours is neither kept, nor guessed at, nor shown
# within another's page, nor told of where they go next. Pages that need more say so themselves.
FOR_BROWSERS = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; base-uri 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)


class Failure(BaseModel):
    """What every request that was not done is answered with; code is for programs."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "success": False,
                "error": "You have no such pair. Your pairs: BTC/USDT.",
                "code": "not_found",
            }
        }
    )

    success: Literal[False]
    error: str
    code: str


MEANINGS = {
    400: "Refused: the text says why",
    401: "Nobody is signed in",
    403: "Whoever is signed in may not do this",
    404: "There is no such thing, or it is not yours",
    409: "It contradicts what was asked before",
    413: "The request is too large",
    429: "Too much in too short a time; Retry-After says when to go on",
    503: "Database or exchange cannot be reached now",
}
# By name, for app.py describes it once: with the model here FastAPI would build it anew for every
# status of every route, which took most of the time in which the app is built.
A_FAILURE = {"application/json": {"schema": {"$ref": f"#/components/schemas/{Failure.__name__}"}}}
RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"description": meaning, "content": A_FAILURE} for status, meaning in MEANINGS.items()
}


def json_response(
    status: int, content: object, headers: Mapping[str, str] | None = None
) -> Response:
    return Response(
        as_json(content),
        status,
        media_type="application/json",
        headers=dict(headers or {}),
    )


def failed(status: int, code: str, text: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return the one shape of everything that was not done."""
    return json_response(status, {"success": False, "error": text, "code": code}, headers)


def refused(refusal: Refused) -> Response:
    """Return what a refusal is answered with."""
    headers = {}
    if isinstance(refusal, TooMany):
        headers["Retry-After"] = str(max(ceil(refusal.seconds), 1))
    if refusal.code == "unauthorized":
        headers["WWW-Authenticate"] = "Bearer"
    return failed(STATUSES.get(refusal.code, 400), refusal.code, str(refusal), headers)


def complaint(error: RequestValidationError) -> str:
    """Say what is wrong with a request, and never what was sent."""
    first = error.errors()[0]
    where = [str(part)[:40] for part in first["loc"]]
    if first["type"] == "json_invalid" or where == ["body"]:
        return "The body must be a JSON object."
    if len(where) > 2 and first["type"] != "extra_forbidden":
        return f"{where[1]} is of no kind that this field takes."  # none of several kinds
    if first["type"] == "extra_forbidden":
        return f"There is no field {where[-1]!r} here."
    return f"{where[-1]}: {first['msg']}."


def methods_at(request: Request) -> str:
    """Return the methods that an address knows."""
    routes: Sequence[BaseRoute] = request.app.routes

    def knows(method: str) -> bool:
        asked = {**request.scope, "method": method}
        return any(route.matches(asked)[0] is Match.FULL for route in routes)

    return ", ".join(filter(knows, METHODS))


def add_error_answers(app: FastAPI) -> None:
    """Let an app answer whatever is raised in its routes in one shape."""

    @app.exception_handler(Refused)
    async def on_refused(request: Request, error: Refused) -> Response:
        return refused(error)

    @app.exception_handler(RequestValidationError)
    async def on_invalid(request: Request, error: RequestValidationError) -> Response:
        return failed(400, "invalid", complaint(error))

    @app.exception_handler(HTTPException)
    async def on_http(request: Request, error: HTTPException) -> Response:
        status = error.status_code
        text = TEXTS.get(status, str(error.detail))
        headers = {"Allow": methods_at(request)} if status == 405 else error.headers
        return failed(status, CODES.get(status, "refused"), text, headers)

    @app.exception_handler(StoreError)
    async def on_no_store(request: Request, error: StoreError) -> Response:
        logger.warning("a request was not served: %s", error)
        return failed(503, "unavailable", NO_DATABASE, {"Retry-After": "60"})

    @app.exception_handler(VenueError)
    async def on_no_venue(request: Request, error: VenueError) -> Response:
        logger.warning("a venue did not answer a request: %s", error)
        return failed(503, "unavailable", NO_VENUE, {"Retry-After": "60"})


class Edge:
    """The outermost layer: one form of each path, bodies of bounded size, no error unanswered.

    Every answer tells browsers what they must not do with it, and by which number the log knows
    its request.

    A path may end with a slash or not, and name a pair as BTC-USDT or BTC%2FUSDT.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        number = f"{RUN}-{next(NUMBERS)}"
        bind_contextvars(request=number)  # of this task: each request is served by its own
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False
        left = BODY_MAX

        async def sending(message: Message) -> None:
            nonlocal started
            started = True
            if message["type"] == "http.response.start":
                told = [*message.get("headers", ())]
                names = {name for name, _ in told}
                told += (each for each in FOR_BROWSERS if each[0] not in names)
                told.append((REQUEST_ID, number.encode()))
                message = {**message, "headers": told}
            await send(message)

        async def receiving() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                raise HTTPException(413, TOO_LARGE)
            return message

        try:
            await self.app(one_form(scope), receiving, sending)
        except Exception:
            logger.exception("%s %s broke", scope["method"], scope["path"])
            if not started:
                await failed(500, "internal", BROKEN)(scope, receive, sending)


def one_form(scope: Scope) -> Scope:
    """Return the request with its path as routes know it."""
    path: str = scope["path"]
    raw: bytes = scope.get("raw_path") or b""
    if b"%2f" in raw.lower():
        path = unquoted(raw)
    path = path.rstrip("/") or "/"
    return scope if path == scope["path"] else {**scope, "path": path}


def unquoted(raw: bytes) -> str:
    """Return a path in which a quoted slash, that of a pair, is written as a hyphen."""
    text = raw.partition(b"?")[0].decode("ascii", "replace")
    return unquote(text.replace("%2F", "-").replace("%2f", "-"))
