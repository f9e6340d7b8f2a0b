"""GET /metrics: what is told is what happened, to whom it may be told, with few labels."""

import pytest
from fastapi import APIRouter
from httpx2 import ASGITransport, AsyncClient
from prometheus_client.parser import text_string_to_metric_families

from tests.doors import Door
from tests.makers import START, bar
from tests.runtime.live_rig import (
    BOB,
    STREAM,
    Answer,
    Ground,
    enter,
)
from tests.surfaces.api_rig import app_over, failure
from tradefleet.alert import Level
from tradefleet.domain.credentials import Secret
from tradefleet.domain.errors import StoreUnavailable
from tradefleet.domain.health import HealthReport, Metric, Status
from tradefleet.domain.tally import RequestTally
from tradefleet.figures import Backlog
from tradefleet.runtime.gauges import Gauges
from tradefleet.surfaces.api.exposition import TOLD, Around, families
from tradefleet.surfaces.api.metrics import Gate, metrics_routes
from tradefleet.webhook import Outcome

BACKLOG = Backlog(
    notices=3,
    oldest_notice=START,
    host_messages=1,
    webhooks_failing=2,
    webhooks_disabled=1,
    leases=2,
)
REPORT = HealthReport(
    measured_at=START,
    metrics={
        "disk_usage": Metric(81.5, Status.DEGRADED, "%"),
        "database_ms": Metric(None, Status.UNHEALTHY, "ms"),
    },
)
AROUND = Around(
    report=REPORT,
    alerts={("disk", Level.WARNING): 1},
    deliveries={("slack", Outcome.DELIVERED): 4},
    backlog=BACKLOG,
)


class Used:
    """What the process used, as a test says it."""

    def __init__(self):
        self.seconds = 0.0

    def __call__(self):
        return self.seconds


def gauges_of(node, clock, **parts):
    return Gauges(
        node=node, clock=clock, cpu_seconds=Used(), memory_bytes=lambda: 1_000_000, **parts
    )


async def scraped(gauges, around=AROUND, **headers):
    """Return what a scrape from this machine is answered with."""

    async def gather():
        return families(gauges, around)

    app = app_over(Door().dispatcher, more=[metrics_routes(gather, Gate())])
    async with asked_from("127.0.0.1", app) as client:
        answer = await client.get("/metrics", headers=headers)
    assert answer.status_code == 200
    return answer.text


def samples(text):
    """Return every sample by its name and its labels' values, in the order of their names."""
    return {
        (sample.name, *dict(sorted(sample.labels.items())).values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def asked_from(address, app):
    transport = ASGITransport(app=app, raise_app_exceptions=False, client=(address, 1234))
    return AsyncClient(transport=transport, base_url="http://service")


@pytest.fixture
async def ground():
    ground = Ground.new()
    ground.market.bars[STREAM] = [bar(100, minute) for minute in range(-5, 0)]
    await ground.join()
    await ground.join(BOB)
    ground.theatre.say(0, enter(95, "0.1"))
    return ground


async def test_orders_are_told_by_venue_and_by_what_became_of_them(ground):
    async with ground.host() as running:
        gauges = gauges_of(running.node, ground.clock)
        ground.link(BOB).answers.append(Answer.REJECT)
        await running.bar(0)
        await running.price(100)
        found = samples(await scraped(gauges))
        venue = next(iter(running.node.host.venues))
        assert found["tradefleet_orders_total", "accepted", venue] == 1
        assert found["tradefleet_orders_total", "rejected", venue] == 1
        assert found["tradefleet_order_answer_seconds_count", venue] == 2
        assert found["tradefleet_working_orders", "open"] == 1
        await ground.link().fill(ground.link().submitted[0], 100)
        found = samples(await scraped(gauges))
        assert found["tradefleet_fills_total",] == 1
        assert found["active_users_count",] == 2
        assert found["active_bots_count",] == 2
        assert found["memory_per_bot",] == 500_000
        assert found["tradefleet_journal_write_seconds_count",] > 0
        assert found["tradefleet_unprotected_positions",] == 0


async def test_an_order_of_which_nobody_knows_what_became_is_told(ground):
    async with ground.host() as running:
        ground.link().answers.append(Answer.LOSE_REQUEST)
        await running.bar(0)
        await running.price(100)
        found = samples(await scraped(gauges_of(running.node, ground.clock)))
        venue = next(iter(running.node.host.venues))
        assert found["tradefleet_orders_total", "unknown", venue] == 1
        assert found["tradefleet_unknown_orders",] == 1


async def test_what_health_measures_and_what_waits_is_told(ground):
    async with ground.host() as running:
        found = samples(await scraped(gauges_of(running.node, ground.clock)))
        bare = samples(await scraped(gauges_of(running.node, ground.clock), Around()))
    assert found["tradefleet_health", "disk_usage"] == 81.5
    assert ("tradefleet_health", "database_ms") not in found
    assert found["tradefleet_health_status", "database_ms"] == 2
    assert found["tradefleet_alerts_open", "warning", "disk"] == 1
    assert found["tradefleet_alert_deliveries", "delivered", "slack"] == 4
    assert found["tradefleet_outbox_waiting",] == 3
    assert found["tradefleet_webhooks", "failing"] == 2
    silent = ("tradefleet_health", "tradefleet_alert", "tradefleet_outbox", "tradefleet_leases")
    assert not [name for name, *_ in bare if name.startswith(silent)]


async def test_the_names_the_operators_know_are_all_there(ground):
    async with ground.host() as running:
        found = samples(await scraped(gauges_of(running.node, ground.clock)))
    names = {name for name, *_ in found}
    assert set(TOLD) <= names
    assert {"process_resident_memory_bytes", "process_cpu_seconds_total"} <= names


async def test_what_is_told_per_minute_is_measured_over_the_last_minute(ground):
    requests = RequestTally()
    async with ground.host() as running:
        gauges = gauges_of(running.node, ground.clock, requests=requests)
        gauges._samples.append(gauges._sample())
        for _ in range(10):
            requests.add("GET", "/stats", 200, 0.5)
        running.node.host.tally.trades += 30
        gauges.cpu_seconds.seconds += 15
        await ground.clock.pass_by(60)
        told = gauges.told()
        assert told["api_calls_per_minute"] == pytest.approx(10)
        assert told["average_response_time"] == 0.5
        assert told["trades_per_second"] == 0.5
        assert told["cpu_per_bot"] == 12.5
        assert told["error_rate"] == 0
        requests.add("GET", "/stats", 503, 0.5)
        gauges._samples.append(gauges._sample())
        await ground.clock.pass_by(120)
        told = gauges.told()
        assert told["api_calls_per_minute"] == told["trades_per_second"] == 0
        assert told["error_rate"] == pytest.approx(100 / 11)


async def test_the_database_is_asked_once_in_a_few_seconds_and_may_be_silent(ground):
    async with ground.host() as running:
        gauges = gauges_of(running.node, ground.clock)
        assert (await gauges.backlog()).leases == 2
        figures, asked = ground.store.figures, []

        class Away:
            async def backlog(self, now):
                asked.append(now)
                raise StoreUnavailable("it is away")

        ground.store.figures = Away()
        assert (await gauges.backlog()).leases == 2
        await ground.clock.pass_by(6)
        assert await gauges.backlog() is None
        assert await gauges.backlog() is None
        assert len(asked) == 1
        ground.store.figures = figures
        await ground.clock.pass_by(6)
        assert (await gauges.backlog()).leases == 2


async def test_no_label_names_a_user_a_bot_or_an_order(ground):
    async with ground.host() as running:
        await running.bar(0)
        await running.price(100)
        text = await scraped(gauges_of(running.node, ground.clock, commands=ground.door.tally))
        order = ground.link().submitted[0]
    for name in (order.user_id, order.account_id, order.bot_id, order.id, order.venue_order_id):
        assert not name or f'"{name}' not in text
    assert 'tradefleet_commands_total{command="addpair",outcome="done"} 2.0' in text


# ---- who may ask


def guarded(token=None):
    async def gather():
        return families_of_nothing()

    return app_over(Door().dispatcher, more=[metrics_routes(gather, Gate(token))])


def families_of_nothing():
    class Nothing:
        def collect(self):
            return []

    return Nothing()


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "10.1.2.3", "172.18.0.4", "192.168.1.9"])
async def test_without_a_token_figures_are_for_near_addresses(address):
    async with asked_from(address, guarded()) as client:
        assert (await client.get("/metrics")).status_code == 200
        away = {"X-Forwarded-For": "203.0.113.9"}
        assert failure(await client.get("/metrics", headers=away)) == (403, "forbidden")


@pytest.mark.parametrize("address", ["203.0.113.9", "2001:db8::1", "", "nowhere"])
async def test_without_a_token_nobody_else_is_told(address):
    async with asked_from(address, guarded()) as client:
        answer = await client.get("/metrics")
    assert failure(answer) == (403, "forbidden")


async def test_with_a_token_it_alone_counts():
    async with asked_from("203.0.113.9", guarded(Secret("a long enough token"))) as client:

        async def status(said):
            return (await client.get("/metrics", headers={"Authorization": said})).status_code

        assert await status("Bearer a long enough token") == 200
        assert await status("Bearer a long enough tokem") == 401
        assert await status("Basic a long enough token") == 401
        assert (await client.get("/metrics")).status_code == 401


# ---- what counts requests


async def test_requests_are_counted_by_the_route_that_took_them():
    door, tally = Door(), RequestTally()
    routes = APIRouter()

    @routes.get("/broken")
    async def broken():
        raise ValueError("inside")

    app = app_over(door.dispatcher, more=[routes], tally=tally, clock=door.still)
    async with asked_from("127.0.0.1", app) as client:
        await client.get("/api/v1/bots/BTC-USDT")
        await client.get("/api/v1/bots/ETH-USDT")
        await client.get("/no/such/thing")
        await client.get("/broken")
        await client.get("/livez")
        await client.request("BREW", "/livez")
    routes = {key: dict(of.answers) for key, of in tally.routes.items()}
    assert routes["GET", "/api/v1/bots/{symbol}"] == {4: 2}
    assert routes["GET", "other"] == {4: 1}
    assert routes["GET", "/broken"] == {5: 1}
    assert routes["GET", "/livez"] == {2: 1}
    assert [key for key in routes if key[0] == "other"]
    assert (tally.took.count, tally.failures) == (4, 1)  # /livez is for monitors
