"""How often one may ask over HTTP: by tier, by hour, by address; and where a request comes from."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_network

import pytest
from httpx2 import ASGITransport, AsyncClient

from tests.doors import ALICE, BOB, Door
from tests.surfaces.api_rig import OpenDoor, app_over, failure, signed
from tradefleet.counters.memory import MemoryCounters
from tradefleet.domain.errors import StoreUnavailable
from tradefleet.domain.limits import TIERS, RequestLimits
from tradefleet.quota import Quotas, network_of
from tradefleet.surfaces.api.seed_routes import seed_routes

PROXY, HOME = "10.0.0.1", "203.0.113.7"
READ = "/api/v1/bots"
ANY = "/nowhere"  # counted like every page, and quicker than those that are there


class House:
    """A service that counts, and those who ask it from some address."""

    def __init__(self, **limits: int) -> None:
        self.door = Door()
        self.quotas = Quotas(
            counters=MemoryCounters(self.door.still), limits=RequestLimits(**limits)
        )
        self.dispatcher = replace(self.door.dispatcher, quotas=self.quotas)
        self.known = OpenDoor()

    def app(self, **parts):
        routes = seed_routes(self.dispatcher, self.known, health)
        given = {"door": self.known, "quotas": self.quotas, "more": routes, **parts}
        return app_over(self.dispatcher, **given)

    @asynccontextmanager
    async def asking(self, address: str = HOME, **parts) -> AsyncIterator[AsyncClient]:
        transport = ASGITransport(
            app=self.app(**parts), raise_app_exceptions=False, client=(address, 1234)
        )
        async with AsyncClient(transport=transport, base_url="http://service") as client:
            yield client

    def later(self, **span: float) -> None:
        self.door.still.time += timedelta(**span)


async def health():
    return {"overall_status": "healthy", "metrics": {}}


class DoorOf(OpenDoor):
    """Knows everybody in one tier, with limits of their own."""

    def __init__(self, tier: str, **overrides: int) -> None:
        self.tier, self.overrides = tier, overrides

    async def caller(self, authorization, address):
        found = await super().caller(authorization, address)
        return replace(found, tier=self.tier, overrides=self.overrides)


@pytest.fixture
async def house() -> House:
    house = House()
    for user in (ALICE, BOB):
        await house.door.ask("/start", user)
    return house


async def test_the_tier_says_how_many_calls_a_minute_and_the_answers_tell(house):
    async with house.asking() as client:
        client.headers.update(signed(ALICE))
        for left in range(9, -1, -1):
            answer = await client.get(READ)
            assert answer.status_code == 200
            assert answer.headers["ratelimit-policy"] == '"minute";q=10;w=60, "hour";q=1000;w=3600'
            hour = 990 + left
            assert answer.headers["ratelimit"] == f'"minute";r={left};t=60, "hour";r={hour};t=3600'
        house.later(seconds=20)
        refused = await client.get(READ)
        assert failure(refused) == (429, "too_many")
        assert refused.headers["retry-after"] == "40"
        assert refused.headers["ratelimit"].startswith('"minute";r=0;t=40')
        assert refused.json()["error"] == (
            "Your tier free allows 10 API calls a minute. The tier premium has 30. "
            "Try again in 40 s."
        )
        assert (await client.get(READ, headers=signed(BOB))).status_code == 200
        house.later(seconds=40)
        assert (await client.get(READ)).status_code == 200


async def test_of_64_calls_at_once_for_the_last_one_left_one_is_served(house):
    async with house.asking() as client:
        client.headers.update(signed(ALICE))
        for _ in range(9):
            await client.get(READ)
        answers = await asyncio.gather(*(client.get(READ) for _ in range(64)))
    assert sorted(answer.status_code for answer in answers) == [200] + [429] * 63


@pytest.mark.parametrize(
    ("known", "most"),
    [
        (DoorOf("premium"), 30),
        (DoorOf("free", api_calls_per_minute=12), 12),
        (DoorOf("enterprise"), 100),
        (DoorOf("of yore"), 10),
    ],
)
async def test_another_tier_or_the_operators_word_gives_more(house, known, most):
    house.known = known
    async with house.asking() as client:
        codes = [(await client.get(READ, headers=signed(ALICE))).status_code for _ in range(101)]
    assert codes == [200] * most + [429] * (101 - most)


async def test_a_ceiling_over_all_tiers_is_obeyed():
    house = House(calls_per_minute_max=3)
    house.known = DoorOf("enterprise")
    await house.door.ask("/start")
    async with house.asking() as client:
        codes = [(await client.get(READ, headers=signed(ALICE))).status_code for _ in range(4)]
    assert codes == [200] * 3 + [429]


async def test_an_hour_has_a_limit_too():
    house = House(signed_in_per_hour=20)
    house.known = DoorOf("enterprise")
    await house.door.ask("/start")
    async with house.asking() as client:
        for minute in range(4):
            for _ in range(5):
                assert (await client.get(READ, headers=signed(ALICE))).status_code == 200, minute
            house.later(minutes=1)
        refused = await client.get(READ, headers=signed(ALICE))
        assert refused.json()["error"] == "You may ask 20 times an hour. Try again in 56 min."
        assert refused.headers["retry-after"] == str(56 * 60)


async def test_what_only_takes_risk_away_is_refused_by_no_limit(house):
    await house.door.ask("/addpair BTC/USDT 1000")
    async with house.asking() as client:
        client.headers.update(signed(ALICE))
        while (await client.get(READ)).status_code == 200:
            pass
        exits = [
            ("/api/v1/bots/BTC-USDT/stop", {}),
            ("/api/v1/commands/stop_trading", {}),
            ("/api/v1/commands/forceexit", {"symbol": "BTC/USDT"}),
            ("/api/v1/commands/pause", {}),
            ("/api/v1/commands/sell", {"symbol": "BTC/USDT"}),
            ("/api/bot/stop", {}),
            ("/api/trade/sell-btc", {}),
        ]
        for path, body in exits * 30:
            answer = await client.post(path, json=body)
            assert answer.status_code != 429, path
        entries = ["/api/v1/commands/buy", "/api/bot/start", "/api/trade/buy-btc"]
        for path in entries:
            assert (await client.post(path, json={})).status_code == 429, path


async def test_every_command_that_takes_risk_away_says_so(house):
    commands = house.dispatcher.catalog.commands
    named = {name for name, command in commands.items() if command.is_exit}
    assert named >= {"stop_trading", "forceexit", "sell", "pause", "killswitch"}
    assert named.isdisjoint({"buy", "start_trading", "addpair", "resume"})


async def test_whoever_is_not_signed_in_is_counted_by_address():
    house = House(anonymous_per_hour=5)
    await house.door.ask("/start")
    async with house.asking() as client:
        for _ in range(5):
            answer = await client.get("/docs")
            assert answer.status_code == 200
        assert answer.headers["ratelimit"] == '"address";r=0;t=3600'
        for path in ("/docs", READ, "/openapi.json", "/nowhere", "/api/trade/status"):
            refused = await client.get(path)
            assert failure(refused) == (429, "too_many")
            assert refused.headers["retry-after"] == "3600"
            assert "5 times an hour from one address. Try again in 60 min." in refused.text
        assert (await client.get(READ, headers=signed(ALICE))).status_code == 200, "not anonymous"
        for path in ("/health", "/livez", "/readyz"):
            assert (await client.get(path)).status_code == 200, "monitors are not counted"
            assert (await client.head(path)).status_code == 200, "nor such as want no body"
        house.later(hours=1)
        assert (await client.get("/docs")).status_code == 200
    async with house.asking("203.0.113.8") as client:
        assert (await client.get("/docs")).status_code == 200, "another address"


async def test_a_token_that_is_none_does_not_make_one_less_anonymous():
    house = House(anonymous_per_hour=5)
    junk = {"Authorization": "Bearer junk"}
    async with house.asking() as client:
        codes = [(await client.get(READ, headers=junk)).status_code for _ in range(7)]
        assert codes == [401] * 5 + [429] * 2
        assert (await client.get("/docs", headers=junk)).status_code == 429


async def test_a_database_that_is_away_counts_nothing_and_says_so(house):
    class Broken(OpenDoor):
        async def caller(self, authorization, address):
            raise StoreUnavailable("gone")

    house.known = Broken()
    async with house.asking() as client:
        for _ in range(200):
            answer = await client.get(READ, headers=signed(ALICE))
        assert failure(answer) == (503, "unavailable")
        assert "ratelimit" not in answer.headers


async def test_monitors_of_our_own_machine_are_not_counted(house):
    async with house.asking("127.0.0.1") as client:
        for _ in range(150):
            assert (await client.get("/stats")).status_code == 200
        assert (await client.get("/docs")).headers["ratelimit"].startswith('"address";r=99;')
        passed_on = {"X-Forwarded-For": HOME}
        codes = [(await client.get("/stats", headers=passed_on)).status_code for _ in range(101)]
        assert codes == [401] * 99 + [429] * 2


async def test_no_route_for_who_is_signed_in_forgets_the_limits(house):
    app = house.app()
    exits = {
        f"/api/v1{place}"
        for command in house.dispatcher.catalog.commands.values()
        if command.is_exit
        for place in (f"/commands/{command.name}", *(route.path for route in command.routes))
    } | {"/api/bot/stop", "/api/trade/sell-btc"}
    walked = 0
    async with house.asking() as client:
        client.headers.update(signed(ALICE, "admin"))
        while (await client.get(READ)).status_code == 200:
            pass
        for path, verbs in app.openapi()["paths"].items():
            for verb, operation in verbs.items():
                if operation.get("security") and path not in exits:
                    place = path.replace("{symbol}", "BTC-USDT").replace("{", "").replace("}", "")
                    given = {"json": {}} if verb in ("post", "put", "patch") else {}
                    answer = await client.request(verb.upper(), place, **given)
                    assert answer.status_code in (400, 429), (verb, path, answer.text)
                    if answer.status_code == 400:
                        assert answer.json()["code"] == "invalid", "it was not even read"
                    walked += answer.status_code == 429
    assert walked > 50


# ---- starting bots


async def test_bots_are_started_five_times_a_minute_in_chat_and_api_together(house):
    await house.door.ask("/addpair BTC/USDT 1000")
    async with house.asking() as client:
        client.headers.update(signed(ALICE))
        for _ in range(2):
            assert (await client.post("/api/bot/start")).status_code == 200
        for _ in range(3):
            await house.dispatcher.run(ALICE, "start_trading")
        refused = await client.post("/api/v1/bots/BTC-USDT/start")
        assert failure(refused) == (429, "too_many")
        assert refused.json()["error"] == "You may start bots 5 times a minute. Try again in 60 s."
        assert (await client.post("/api/bot/stop")).status_code == 200
        house.later(minutes=1)
        assert (await client.post("/api/bot/start")).status_code == 200


# ---- where a request comes from


@pytest.mark.parametrize(
    ("peer", "told", "counted"),
    [
        (HOME, "198.51.100.1", HOME),  # not our proxy: what it says of others counts for nothing
        (PROXY, "198.51.100.1", "198.51.100.1"),
        (PROXY, "1.1.1.1, 198.51.100.1", "198.51.100.1"),  # the first was written by the visitor
        (PROXY, "198.51.100.1, 10.0.0.2", "198.51.100.1"),
        (PROXY, "10.9.9.9, 10.0.0.2", "10.9.9.9"),
        (PROXY, "198.51.100.1:4711", "198.51.100.1"),
        (PROXY, "[2001:db8::1]:4711", "2001:db8::"),
        (PROXY, "2001:db8::1", "2001:db8::"),
        (PROXY, "::ffff:198.51.100.1", "198.51.100.1"),
        (PROXY, "198.51.100.1, nonsense", PROXY),
        (PROXY, "", PROXY),
        (PROXY, ", ,", PROXY),
        (PROXY, ",".join(["10.0.0.2"] * 5000), "10.0.0.2"),
        ("::ffff:10.0.0.1", "198.51.100.1", "198.51.100.1"),
    ],
)
async def test_an_address_is_taken_from_a_header_of_our_own_proxies_alone(peer, told, counted):
    house = House()
    proxies = [ip_network("10.0.0.0/8")]
    async with house.asking(peer, proxies=proxies) as client:
        await client.get(ANY, headers={"X-Forwarded-For": told})
    assert await counted_addresses(house) == {counted}


async def test_without_a_proxy_of_ours_no_header_hides_a_flood():
    house = House(anonymous_per_hour=5)
    async with house.asking() as client:
        codes = [
            (await client.get(ANY, headers={"X-Forwarded-For": f"198.51.100.{n}"})).status_code
            for n in range(10)
        ]
    assert codes == [404] * 5 + [429] * 5


async def test_several_headers_are_read_as_one():
    house = House()
    async with house.asking(PROXY, proxies=[ip_network("10.0.0.0/8")]) as client:
        told = [("X-Forwarded-For", "1.1.1.1"), ("X-Forwarded-For", "198.51.100.1, 10.0.0.3")]
        await client.get(ANY, headers=told)
    assert await counted_addresses(house) == {"198.51.100.1"}


async def counted_addresses(house: House) -> set[str]:
    return {key.removeprefix("a:") for key in house.quotas.counters._windows}


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2::9", "2001:db8:1:2::"),
        ("fe80::1%eth0", "fe80::"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("not:an:address", "not:an:address"),
        ("", ""),
    ],
)
def test_of_an_ipv6_address_the_network_counts(address, network):
    assert network_of(address) == network


def test_the_shipped_limits_are_those_of_the_specification():
    assert [tier.api_calls_per_minute for tier in TIERS.values()] == [10, 30, 100]
    limits = RequestLimits()
    assert (limits.signed_in_per_hour, limits.anonymous_per_hour) == (1000, 100)
    assert (limits.sign_ins_per_minute, limits.bot_starts_per_minute) == (5, 5)
    assert (limits.telegram_per_minute, limits.telegram_burst) == (10, 20)
