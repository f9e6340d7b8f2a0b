"""Routes that say soon that an address is not theirs: there are hundreds, and each is asked.

And what is read most can be read in a quick way: most of what FastAPI does for a request is to find
out which parameters it has.
"""

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.routing import Match
from starlette.types import Scope

Quick: TypeAlias = Callable[[Request], Awaitable[Response | None]]
QUICK = "quick"  # among an endpoint's attributes: serves it, or leaves it to FastAPI by None


class QuickRoute(APIRoute):
    """A route that compares how a path begins before it takes it apart."""

    def __init__(self, path: str, *words: Any, **named: Any) -> None:
        super().__init__(path, *words, **named)
        self.beginning, brace, _ = path.partition("{")
        self.is_plain = not brace

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] == "http":
            path: str = scope["path"]
            if path != self.path if self.is_plain else not path.startswith(self.beginning):
                return Match.NONE, {}
        return super().matches(scope)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        usual = super().get_route_handler()
        quick: Quick | None = getattr(self.endpoint, QUICK, None)
        if quick is None:
            return usual

        async def handle(request: Request) -> Response:
            return await quick(request) or await usual(request)

        return handle


def read_query(request: Request, model: type[BaseModel]) -> Mapping[str, Any] | None:
    """Return what a query gives of a model's fields; None when it is for FastAPI to complain."""
    pairs = parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True)
    if len(dict(pairs)) != len(pairs):
        return None
    try:
        return model.model_validate(dict(pairs)).model_dump(exclude_none=True)
    except ValidationError:
        return None


def add_routes(app: FastAPI, routes: APIRouter) -> None:
    """Let an app serve a router's routes as its own: an included router is asked twice for each."""
    app.router.routes.extend(routes.routes)
