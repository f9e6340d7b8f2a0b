"""The HTTP interface, built from its parts: health for monitors, every command for programs."""

from collections.abc import Callable, Sequence
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.middleware import Middleware

from tradefleet import __version__
from tradefleet.clock import Clock
from tradefleet.dispatcher import Dispatcher
from tradefleet.domain.tally import RequestTally
from tradefleet.quota import Quotas
from tradefleet.surfaces.api.caller import Door
from tradefleet.surfaces.api.errors import Edge, Failure, add_error_answers
from tradefleet.surfaces.api.health import Health, health_routes
from tradefleet.surfaces.api.matching import add_routes
from tradefleet.surfaces.api.metrics import Measured
from tradefleet.surfaces.api.reference import reference_routes
from tradefleet.surfaces.api.routes import SECURITY, NoDoor, command_routes
from tradefleet.surfaces.api.visits import Counted, FromProxies, Network

ABOUT = """
Every command of the chat is here twice: as `POST /api/v1/commands/{name}`, and as a resource where
it is one. Answers are `{"success": true, "text": …, "data": …}`, or, when nothing was done,
`{"success": false, "error": …, "code": …}`. A pair in a path is written `BTC-USDT`. Money is a
string of decimals. Give writes an `Idempotency-Key`, and repeating them is safe.
"""


def build_app(
    *,
    health: Health,
    is_ready: Callable[[], bool],
    dispatcher: Dispatcher | None = None,
    door: Door | None = None,
    more: Sequence[APIRouter] = (),
    quotas: Quotas | None = None,
    proxies: Sequence[Network] = (),
    tally: RequestTally | None = None,
    clock: Clock | None = None,
) -> FastAPI:
    """Return the app; without a dispatcher it tells of its health and no more.

    quotas: how often anybody may ask, None: as often as they like. proxies: whose word on where a
    request comes from counts. tally: where requests are counted, by the time of a clock.
    """
    layers = [Middleware(Edge)]
    if proxies:
        layers.insert(0, Middleware(FromProxies, proxies=proxies))
    if tally is not None and clock is not None:
        layers.append(Middleware(Measured, tally=tally, clock=clock))
    if quotas is not None:
        layers.append(Middleware(Counted, quotas=quotas, door=door or NoDoor()))
    app = FastAPI(
        title="Tradefleet",
        version=__version__,
        description=ABOUT.strip(),
        redirect_slashes=False,
        docs_url=None,  # reference.py tells it without asking anybody else's server
        redoc_url=None,
        middleware=layers,
    )
    add_error_answers(app)
    add_routes(app, health_routes(health, is_ready))
    for routes in more:
        add_routes(app, routes)
    if dispatcher is not None:
        add_routes(app, command_routes(dispatcher, door))

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = describe(app)
        return app.openapi_schema

    vars(app)["openapi"] = described
    add_routes(app, reference_routes(described))
    return app


def describe(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document: a request that is not valid is a 400 here, not a 422."""
    schema = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    for path in schema["paths"].values():
        for operation in path.values():
            operation["responses"].pop("422", None)
    parts = schema.setdefault("components", {})
    parts["securitySchemes"] = SECURITY
    models = parts.setdefault("schemas", {})
    models[Failure.__name__] = Failure.model_json_schema()
    for name in ("HTTPValidationError", "ValidationError"):
        models.pop(name, None)
    parts["schemas"] = dict(sorted(models.items()))
    return schema
