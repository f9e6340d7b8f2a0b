"""/stats, /alerts, /users/overview, /admin/maintenance: what operators look at, and a switch."""

import resource
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field, StrictBool

from tradefleet.dispatcher import Dispatcher
from tradefleet.domain.errors import StoreError
from tradefleet.drawing import moment
from tradefleet.store import Store
from tradefleet.surfaces.api.bodies import Text
from tradefleet.surfaces.api.caller import Caller, Door
from tradefleet.surfaces.api.errors import RESPONSES, json_response
from tradefleet.surfaces.api.health import Health
from tradefleet.surfaces.api.matching import QuickRoute
from tradefleet.surfaces.api.seed_routes.asking import Asking
from tradefleet.surfaces.api.seed_routes.shapes import (
    Alerts,
    MaintenanceTold,
    Stats,
    UsersOverview,
)
from tradefleet.surfaces.api.visits import is_here

DAY = timedelta(days=1)
ALERTS_MAX = 100
LEVELS = {"degraded": "warning", "unhealthy": "critical"}


Figures = Callable[[], Mapping[str, float]]  # of this process, by the names operators know


class MaintenanceBody(BaseModel):
    """enabled: on or off; without it, the other way round than now."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"enabled": True, "reason": "Back at noon."}}
    )

    enabled: StrictBool | None = None
    reason: Text = Field(default="", description="What users are told.")


def operator_routes(
    dispatcher: Dispatcher, door: Door | None, health: Health, figures: Figures = dict
) -> APIRouter:
    """Return the routes; figures of the whole service are for admins and for its own machine."""
    routes, asking = APIRouter(tags=["Operator"], route_class=QuickRoute), Asking(dispatcher, door)
    known: dict[str, Any] = {
        "responses": RESPONSES,
        "openapi_extra": {"security": [{"bearer": []}]},
    }
    Admin = Annotated[Caller, Depends(asking.admin)]

    async def watcher(request: Request) -> None:
        if not is_here(request.scope):
            await asking.operator(request)

    watched: dict[str, Any] = {**known, "dependencies": [Depends(watcher)]}

    @routes.get("/stats", response_model=Stats, **watched)
    async def get_stats() -> Response:
        """Tell figures of the whole service; for admins, and for its own machine."""
        now = dispatcher.clock.now()
        found = await dispatcher.store.census(now - DAY)
        metrics = (await health())["metrics"]
        told = {
            "timestamp": moment(now),
            "user_stats": {
                "total_users": found.users,
                "active_users": found.active,
                "new_users_24h": found.registered,
                "subscription_distribution": found.by_tier,
            },
            "trading_stats": {
                "accounts": found.accounts,
                "bots": found.bots,
                "active_bots": found.running,
                "open_positions": found.positions,
                "orders_24h": found.orders,
                "trades_24h": found.trades,
            },
            "monitoring_stats": {
                "memory_mb": memory_mb(),
                **figures(),
                **{name: metric["value"] for name, metric in metrics.items()},
            },
        }
        return json_response(200, told)

    @routes.get("/alerts", response_model=Alerts, **watched)
    async def get_alerts() -> Response:
        """List what is not as it should be now; for admins, and for its own machine."""
        report = await health()
        unwell = alerts_of(report["metrics"], moment(dispatcher.clock.now()))
        alerts = [*{**unwell, **await open_alerts(dispatcher.store)}.values()]
        critical = sum(alert["level"] == "critical" for alert in alerts)
        told = {"alerts": alerts, "active_alerts": len(alerts), "critical_alerts": critical}
        return json_response(200, told)

    @routes.get("/users/overview", response_model=UsersOverview, **known)
    async def get_overview(request: Request) -> Response:
        """Count the users and what they have; for admins."""
        await asking.operator(request)
        found = await dispatcher.store.census(dispatcher.clock.now() - DAY)
        told = {
            "total_users": found.users,
            "active_users": found.active,
            "new_users_24h": found.registered,
            "subscription_distribution": found.by_tier,
            "connected_accounts": found.accounts,
            "bots": found.bots,
            "active_bots": found.running,
            "open_positions": found.positions,
        }
        return json_response(200, told)

    @routes.post("/admin/maintenance", response_model=MaintenanceTold, **known)
    async def set_maintenance(
        caller: Admin, given: Annotated[MaintenanceBody | None, Body()] = None
    ) -> Response:
        """Refuse new entries for everybody, or allow them again; for admins."""
        body = given or MaintenanceBody()
        state = {True: "on", False: "off", None: "toggle"}[body.enabled]
        words = {"state": state, "reason": body.reason}
        found = await asking.data(caller, "maintenance", words)
        told = {
            "success": True,
            "maintenance_mode": found["maintenance"],
            "reason": found["reason"],
            "timestamp": moment(dispatcher.clock.now()),
        }
        return json_response(200, told)

    return routes


def memory_mb() -> float:
    """Return the most memory this process ever had, in MiB."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


async def open_alerts(store: Store) -> dict[str, dict[str, Any]]:
    """Return the open alerts by metric, of all processes; none while the database is away."""
    try:
        found = await store.health.alerts(ALERTS_MAX, only_open=True)
    except StoreError:
        return {}
    return {
        alert.metric: {
            "level": alert.level.value,
            "metric": alert.metric,
            "value": alert.value,
            "message": alert.text,
            "timestamp": moment(alert.fired_at),
        }
        for alert in reversed(found)
    }


def alerts_of(metrics: Mapping[str, Any], at: str) -> dict[str, dict[str, Any]]:
    """Return what is not as it should be now, by metric."""
    return {
        name: {
            "level": LEVELS.get(metric["status"], "warning"),
            "metric": name,
            "value": metric["value"],
            "message": f"{name} is {metric['status']}: {metric['value']}",
            "timestamp": at,
        }
        for name, metric in metrics.items()
        if metric["status"] != "healthy"
    }
