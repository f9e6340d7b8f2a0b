"""GET /metrics for Prometheus, and what counts the requests that are told there.

Figures of the whole service are for whoever brings METRICS_TOKEN; where none is set, for who asks
from this machine or a private network, and through no proxy.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from hmac import compare_digest
from ipaddress import ip_address, ip_network

from fastapi import APIRouter, Request, Response
from prometheus_client.exposition import choose_encoder
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tradefleet.clock import Clock
from tradefleet.domain.credentials import Secret
from tradefleet.domain.errors import NotAllowed, NotSignedIn
from tradefleet.domain.tally import RequestTally
from tradefleet.surfaces.api.exposition import Families
from tradefleet.surfaces.api.matching import QuickRoute
from tradefleet.surfaces.api.visits import UNCOUNTED, address_of, header, was_passed_on

ELSEWHERE = "other"  # the route of a request that none takes
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
BROKE = 500
NEAR = tuple(
    ip_network(each)
    for each in (
        "127.0.0.0/8",
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "::1/128",
        "fc00::/7",
    )
)
NO_TOKEN = "Bring METRICS_TOKEN as a bearer token."
NOT_FROM_THERE = (
    "Figures are for this machine and private networks; set METRICS_TOKEN to ask from elsewhere."
)

Gather = Callable[[], Awaitable[Families]]


class Measured:
    """Counts each request by its route, and the seconds until its answer began."""

    def __init__(self, app: ASGIApp, *, tally: RequestTally, clock: Clock) -> None:
        self.app = app
        self._tally = tally
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, answered = self._clock.monotonic(), False

        async def sending(message: Message) -> None:
            nonlocal answered
            if not answered and message["type"] == "http.response.start":
                answered = True
                self._count(scope, message["status"], began)
            await send(message)

        try:
            await self.app(scope, receive, sending)
        finally:
            if not answered:
                self._count(scope, BROKE, began)

    def _count(self, scope: Scope, status: int, began: float) -> None:
        method: str = scope["method"]
        path = getattr(scope.get("route"), "path", ELSEWHERE)
        known = method if method in METHODS else ELSEWHERE
        took = self._clock.monotonic() - began
        self._tally.add(known, path, status, took, of_monitor=path in UNCOUNTED)


@dataclass(frozen=True, slots=True)
class Gate:
    """Who may see the figures."""

    token: Secret | None = field(default=None, repr=False)

    def check(self, request: Request) -> None:
        """Raise NotSignedIn or NotAllowed for whoever may not."""
        if self.token is None:
            if not is_near(request.scope):
                raise NotAllowed(NOT_FROM_THERE)
            return
        kind, _, said = header(request.scope, b"authorization").partition(" ")
        right = compare_digest(said.strip().encode(), self.token.reveal().encode())
        if kind.lower() != "bearer" or not right:
            raise NotSignedIn(NO_TOKEN)


def is_near(scope: Scope) -> bool:
    """Say whether a request comes from this machine or a private network, through no proxy."""
    if was_passed_on(scope):
        return False
    try:
        address = ip_address(address_of(scope))
    except ValueError:
        return False
    return any(address in network for network in NEAR)


def metrics_routes(gather: Gather, gate: Gate) -> APIRouter:
    """Return the route; it is asked again and again, and counted by no limit."""
    routes = APIRouter(route_class=QuickRoute)

    @routes.get("/metrics", include_in_schema=False)
    async def get_metrics(request: Request) -> Response:
        gate.check(request)
        encode, kind = choose_encoder(header(request.scope, b"accept"))
        return Response(encode(await gather()), headers={"Content-Type": kind})

    return routes
