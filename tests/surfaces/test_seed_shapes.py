"""What operators and programs ask of a service answers in the documented shapes, key by key.

/api/trade has its own in test_seed_trade.py.
"""

from dataclasses import replace
from typing import Any

import pytest

from tests.doors import ALICE, Door, Still
from tests.surfaces.api_rig import OpenDoor, app_over, failure, signed, talking
from tests.surfaces.test_seed_trade import shape
from tradefleet import alerts
from tradefleet.domain.health import Metric
from tradefleet.domain.user import Role
from tradefleet.operations.health.checks import Check, HealthWatch, Measured
from tradefleet.operations.health.machine import Machine
from tradefleet.plugins import find_plugins
from tradefleet.surfaces.api.app import build_app
from tradefleet.surfaces.api.health import Health
from tradefleet.surfaces.api.seed_routes import seed_routes

METRIC = {"value": "float", "status": "text"}
COUNT = {"value": "int", "status": "text"}
SHAPES: dict[tuple[str, str], dict[str, Any]] = {
    ("GET", "/health"): {
        "overall_status": "text",
        "maintenance_mode": "bool",
        "timestamp": "text",
        "metrics": {
            "cpu_usage": METRIC,
            "memory_usage": METRIC,
            "active_users": COUNT,
            "stale_symbols": COUNT,
        },
        "active_alerts": "int",
        "critical_alerts": "int",
    },
    ("GET", "/stats"): {
        "timestamp": "text",
        "user_stats": {
            "total_users": "int",
            "active_users": "int",
            "new_users_24h": "int",
            "subscription_distribution": {"free": "int"},
        },
        "trading_stats": {
            "accounts": "int",
            "bots": "int",
            "active_bots": "int",
            "open_positions": "int",
            "orders_24h": "int",
            "trades_24h": "int",
        },
        "monitoring_stats": {
            "memory_mb": "float",
            "cpu_usage": "float",
            "memory_usage": "float",
            "active_users": "int",
            "stale_symbols": "int",
        },
    },
    ("GET", "/alerts"): {
        "alerts": [
            {
                "level": "text",
                "metric": "text",
                "value": "int",
                "message": "text",
                "timestamp": "text",
            }
        ],
        "active_alerts": "int",
        "critical_alerts": "int",
    },
    ("GET", "/users/overview"): {
        "total_users": "int",
        "active_users": "int",
        "new_users_24h": "int",
        "subscription_distribution": {"free": "int"},
        "connected_accounts": "int",
        "bots": "int",
        "active_bots": "int",
        "open_positions": "int",
    },
    ("POST", "/admin/maintenance"): {
        "success": "bool",
        "maintenance_mode": "bool",
        "reason": "text",
        "timestamp": "text",
    },
    ("POST", "/api/bot/start"): {"success": "bool", "started": ["text"]},
    ("POST", "/api/bot/stop"): {"success": "bool", "stopped": ["text"]},
}


def health_of(clock: Still) -> Health:
    """Return what tells what is measured of the machine, beside two figures of a node's."""
    machine = Machine(clock=clock)

    async def stale() -> Measured:
        return {"stale_symbols": Metric(2)}

    watch = HealthWatch(
        checks=[
            Check(metrics=("cpu_usage",), measure=machine.processor),
            Check(metrics=("memory_usage",), measure=machine.memory),
            Check(metrics=("stale_symbols",), measure=stale),
        ],
        rules=find_plugins(alerts, "ALERT"),
        clock=clock,
        every=30,
        at_once=lambda: {"active_users": Metric(1)},
    )

    async def health() -> dict[str, Any]:
        return (await watch.report()).as_json()

    return health


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize(("verb", "path"), SHAPES, ids=lambda word: word)
async def test_it_answers_in_its_documents_shape(verb, path, slash):
    door = Door()
    await door.ask("/start")
    await door.ask("/addpair BTC/USDT 1000")
    if path == "/api/bot/stop":
        await door.ask("/start_trading")
    async with door.store.open(ALICE) as own:
        await own.save_user(replace(await own.user(), role=Role.ADMIN))
    health = health_of(door.still)
    routes = seed_routes(door.dispatcher, OpenDoor(), health)
    app = build_app(health=health, is_ready=lambda: True, more=routes)
    async with talking(app) as client:
        answer = await client.request(verb, path + slash, headers=signed("alice", "admin"))
    assert answer.status_code == 200, answer.text
    assert shape(answer.json()) == SHAPES[verb, path]


@pytest.mark.parametrize("slash", ["", "/"])
async def test_what_failed_has_the_documents_shape_and_a_code(slash):
    door = Door()
    app = app_over(
        door.dispatcher, more=seed_routes(door.dispatcher, OpenDoor(), health_of(door.still))
    )
    async with talking(app) as client:
        for path in ("/api/trade/balance", "/users/overview"):
            assert failure(await client.get(path + slash)) == (401, "unauthorized")
