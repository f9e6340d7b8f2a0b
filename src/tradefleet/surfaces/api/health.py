"""GET /health, /livez and /readyz: how the process is, for monitors and orchestrators."""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from tradefleet.domain.errors import StoreUnavailable

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
Health = Callable[[], Awaitable[dict[str, Any]]]


def health_routes(health: Health, is_ready: Callable[[], bool]) -> APIRouter:
    """Return the routes; they need no login and never fail."""
    routes = APIRouter()

    @routes.head("/health", include_in_schema=False)  # as monitors ask that want no body
    @routes.get("/health")
    async def get_health() -> JSONResponse:
        report = await health()
        return JSONResponse(report, 503 if report["overall_status"] == "unhealthy" else 200)

    @routes.head("/livez", include_in_schema=False)
    @routes.get("/livez")
    async def get_livez() -> dict[str, str]:
        return {"status": "alive"}

    @routes.head("/readyz", include_in_schema=False)
    @routes.get("/readyz")
    async def get_readyz() -> JSONResponse:
        ready = is_ready()
        return JSONResponse({"status": "ready" if ready else "recovering"}, 200 if ready else 503)

    return routes


def routes_of_nobody(why: str) -> APIRouter:
    """Return a place for every other address while the database is away: all is 503, not 404.

    A program that was told that its order is not there would believe it.
    """
    routes = APIRouter()

    @routes.api_route("/{address:path}", methods=METHODS, include_in_schema=False)
    async def refuse(request: Request) -> JSONResponse:
        raise StoreUnavailable(why)

    return routes
