"""What operators look at over HTTP, maintenance, and /api/bot."""

from dataclasses import replace
from datetime import timedelta

from tests.doors import ALICE, BOB, Door
from tests.surfaces.api_rig import OpenDoor, app_over, failure, signed, talking
from tradefleet.alert import Alert, Level
from tradefleet.domain.user import Role
from tradefleet.surfaces.api.seed_routes import seed_routes

HEALTH = {
    "overall_status": "degraded",
    "metrics": {
        "memory_usage": {"value": 3.5, "status": "healthy"},
        "database_ms": {"value": 1.5, "status": "healthy"},
        "stale_symbols": {"value": 2, "status": "degraded"},
        "journal_queue": {"value": 9000, "status": "unhealthy"},
    },
}


async def health():
    return HEALTH


async def service():
    """A service with alice, who runs it, and bob."""
    door = Door()
    await door.ask("/start")
    await door.ask("/start", BOB)
    async with door.store.open(ALICE) as store:
        await store.save_user(replace(await store.user(), role=Role.ADMIN))
    routes = seed_routes(door.dispatcher, OpenDoor(), health)
    return door, app_over(door.dispatcher, more=routes)


async def test_figures_and_alerts_are_there_for_the_machine_itself_and_for_admins():
    _, app = await service()
    away = {"X-Forwarded-For": "203.0.113.9"}
    async with talking(app) as client:
        stats = (await client.get("/stats")).json()
        alerts = (await client.get("/alerts/")).json()
        assert failure(await client.get("/stats", headers=away)) == (401, "unauthorized")
        refused = await client.get("/alerts", headers={**away, **signed("bob", "admin")})
        assert failure(refused) == (403, "forbidden")
        allowed = await client.get("/stats", headers={**away, **signed("alice", "admin")})
    assert allowed.status_code == 200
    assert stats["monitoring_stats"]["memory_mb"] > 1
    assert stats["monitoring_stats"]["memory_usage"] == 3.5
    assert stats["monitoring_stats"]["journal_queue"] == 9000
    assert stats["user_stats"]["total_users"] == 2
    assert stats["user_stats"]["subscription_distribution"] == {"free": 2}
    assert stats["trading_stats"]["bots"] == 0
    assert (alerts["active_alerts"], alerts["critical_alerts"]) == (2, 1)
    assert alerts["alerts"][1] == {
        "level": "critical",
        "metric": "journal_queue",
        "value": 9000,
        "message": "journal_queue is unhealthy: 9000",
        "timestamp": "2026-01-01T00:00:00Z",
    }


async def test_an_alert_that_is_open_says_more_than_its_metric_and_whose_it_is():
    door, app = await service()
    at = door.still.now() - timedelta(minutes=5)
    for id, metric in ((1, "journal_queue"), (2, "backup_age_h")):
        await door.store.health.keep_alert(
            Alert(
                id=id,
                rule="queue",
                metric=metric,
                level=Level.WARNING,
                value=1000.0,
                text="A queue is long: 1000",
                cure="",
                fired_at=at,
                changed_at=at,
            )
        )
    async with talking(app) as client:
        told = (await client.get("/alerts")).json()
    assert [(each["metric"], each["level"]) for each in told["alerts"]] == [
        ("stale_symbols", "warning"),
        ("journal_queue", "warning"),
        ("backup_age_h", "warning"),
    ]
    assert told["alerts"][1]["message"] == "A queue is long: 1000"
    assert told["alerts"][1]["timestamp"] == "2025-12-31T23:55:00Z"
    assert (told["active_alerts"], told["critical_alerts"]) == (3, 0)


async def test_the_overview_of_users_is_for_admins_alone():
    _, app = await service()
    async with talking(app) as client:
        assert failure(await client.get("/users/overview")) == (401, "unauthorized")
        told = await client.get("/users/overview", headers=signed("bob"))
        assert failure(told) == (403, "forbidden")
        told = await client.get("/users/overview", headers=signed("bob", "admin"))
        assert failure(told) == (403, "forbidden")
        told = await client.get("/users/overview/", headers=signed("alice", "admin"))
    assert told.json()["total_users"] == 2


async def test_maintenance_is_toggled_and_refuses_what_is_new():
    door, app = await service()
    async with talking(app) as client:
        refused = await client.post("/admin/maintenance", headers=signed("bob", "admin"))
        assert failure(refused) == (404, "not_found")  # for users there is no such command
        on = await client.post("/admin/maintenance", headers=signed("alice", "admin"))
        assert on.json() == {
            "success": True,
            "maintenance_mode": True,
            "reason": "The service is being maintained.",
            "timestamp": "2026-01-01T00:00:00Z",
        }
        await door.talk(
            """
> /addpair BTC/USDT 1000
🛠️ The service is being maintained. No new pairs now; exits go on.
> /buy BTC/USDT 30
🛠️ The service is being maintained. Nothing new is bought now; selling goes on.
> /sell BTC/USDT
No BTC available for trading
""",
            BOB,
        )
        body = {"enabled": False}
        off = await client.post("/admin/maintenance/", headers=signed("alice", "admin"), json=body)
    assert off.json()["maintenance_mode"] is False
    assert "Trading Pair Added" in await door.say("/addpair BTC/USDT 1000", BOB)


async def test_maintenance_in_chat():
    door, _ = await service()
    await door.talk(
        """
> /maintenance
✅ Maintenance is off: entries and new pairs are allowed.
> /maintenance on Back at noon.
🛠️ Maintenance is on: Back at noon.
Nothing new is opened; exits go on.
> /maintenance on
🛠️ Maintenance is on: Back at noon.
Nothing new is opened; exits go on.
> /maintenance perhaps
Say /maintenance on, /maintenance off, or /maintenance alone.
> /maintenance toggle
✅ Maintenance is off: entries and new pairs are allowed.
"""
    )
    assert "I do not know that command" in await door.say("/maintenance on", BOB)


async def test_pairs_are_started_and_stopped():
    door, app = await service()
    await door.ask("/addpair BTC/USDT 1000", BOB)
    async with talking(app) as client:
        started = await client.post("/api/bot/start/", headers=signed("bob"))
        stopped = await client.post(
            "/api/bot/stop", headers=signed("bob"), json={"symbol": "BTC/USDT"}
        )
        assert failure(await client.post("/api/bot/start", headers=signed("bob", "read"))) == (
            403,
            "forbidden",
        )
        none = await client.post("/api/bot/start", headers=signed("alice"))
        assert failure(none) == (404, "not_found")
    assert started.json() == {"success": True, "started": ["BTC/USDT"]}
    assert stopped.json() == {"success": True, "stopped": ["BTC/USDT"]}


async def test_a_conversation_about_orders_by_hand():
    door = Door()
    await door.ask("/start")
    await door.talk(
        """
> /funds
💵 On paper: $10000.00 is free to trade, $0.00 in pairs
> /trade_status
🔌 Paper: you can trade
> /ordered
There is no such order by hand; /buy and /sell make one.
> /sell BTC/USDC
No BTC available for trading
> /buy BTC/USDC 30 paper quantity=1
Give an amount or a quantity, not both.
> /buy BTC/USDC 0
The amount must be above zero, not 0.
> /buy BTC/USDC 10001
Insufficient balance: 10000 USDC is available for trading, you asked for 10001.
> /buy XYZ/USDC 30
XYZ/USDC is not traded on paper.
> /buy BTC/USDC 30
🧾 Ordered on paper: buy BTC for $30.00 at the market
No stop guards it; /sell BTC/USDC sells it again.
I will tell you when it is done; /ordered shows it.
> /buy BTC/USDC 30
Your last order by hand is still under way; wait for its end, then ask again.
> /ordered
⏳ BTC/USDC: your order waits for its turn.
> /listpairs
You have no trading pairs yet. Add one: /addpair BTC/USDT 1000
> /history
📒 No trades within 30 days.
> /pnl hourly
The period is one of: daily, weekly, monthly, yearly.
> /pnl
💰 No closed trades in that time.
"""
    )
    assert [subject for subject, _ in await door.messages()] == ["trade_asked"]
