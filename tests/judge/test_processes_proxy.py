"""The proxy of L2: each of its troubles, with the service's own client on one side."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import aiohttp
import pytest
from aiohttp import web

from judge.processes.proxy import RATES, Door, Plan, Proxy, Struck, Trouble
from tests.venuesim.rig import until
from tradefleet.domain.errors import OutcomeUnknown
from tradefleet.venues._ccxt.calls import Unserved
from tradefleet.venues._ccxt.wire import Transport, Wire

T = Trouble
ORDER = "/api/v3/order"
ANSWER = {"orderId": 1, "status": "FILLED"}


@dataclass
class Upstream:
    """A venue that answers everything, and knows what has arrived."""

    port: int = 0
    arrived: list[str] = field(default_factory=list)
    broken: Counter[str] = field(default_factory=Counter)

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.headers.get("Upgrade") == "websocket":
            return await self.stream(request)
        try:
            await request.read()
        except ConnectionError:
            self.broken["request"] += 1
            raise
        self.arrived.append(f"{request.method} {request.path}")
        return web.json_response(ANSWER)

    async def stream(self, request: web.BaseRequest) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        number = 0
        with suppress(ConnectionError):
            while not socket.closed:
                number += 1
                await socket.send_str(f"message {number}")
                await asyncio.sleep(0.02)
        return socket


@dataclass
class Way:
    """A client, the proxy, and a venue behind it."""

    venue: Upstream
    proxy: Proxy
    door: Door
    client: Transport
    told: list[tuple[str, str, str]]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.door.port}"

    async def order(self, seconds: float = 20.0) -> str:
        """Send an order; return what the client knows of it then."""
        headers = {"X-MBX-APIKEY": "key-of-alice"}
        wire = Wire("POST", f"{self.url}{ORDER}", headers, b"symbol=BTCUSDT&side=BUY")
        try:
            answer = await self.client.send(wire, seconds)
        except OutcomeUnknown:
            return "unknown"
        except Unserved:
            return "not sent"
        assert answer.status == 200
        return "answered"


@asynccontextmanager
async def way(**plan: object) -> AsyncIterator[Way]:
    venue, told = Upstream(), list[tuple[str, str, str]]()
    server = web.Server(venue.answer)
    runner = web.ServerRunner(server, shutdown_timeout=0.2)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    venue.port = runner.addresses[0][1]

    def tell(door: Door, struck: Struck, action: str, key: str) -> None:
        told.append((str(struck.kind), action, key))

    given = {"seed": 1, "rates": {}, **plan}
    try:
        async with Proxy(Plan(**given), tell) as proxy:  # type: ignore[arg-type]
            door = await proxy.open("host-1", "binance", venue.port)
            client = Transport("Binance")
            try:
                yield Way(venue, proxy, door, client, told)
            finally:
                await client.close()
    finally:
        await runner.cleanup()


# what strikes, what the client knows then, and how often the order has arrived
TROUBLES = [
    (Struck(T.REQUEST_LOST, 0.05), "unknown", 0),
    (Struck(T.REQUEST_DELAYED, 0.2), "answered", 1),
    (Struck(T.REQUEST_DUPLICATED), "answered", 2),
    (Struck(T.REQUEST_CUT, at=140), "unknown", 0),
    (Struck(T.RESET_BEFORE), "unknown", 0),
    (Struck(T.RESET_AFTER), "unknown", 1),
    (Struck(T.ANSWER_LOST), "unknown", 1),
    (Struck(T.ANSWER_DELAYED, 0.2), "answered", 1),
    (Struck(T.ANSWER_CUT, at=0), "unknown", 1),
    (Struck(T.ANSWER_CUT, at=30), "unknown", 1),
    (Struck(T.BODY_CUT, at=5), "unknown", 1),
    (Struck(T.HALF_CLOSED), "unknown", 1),
    (Struck(T.SLOW, 0.2), "answered", 1),
]


@pytest.mark.parametrize(("struck", "knows", "arrived"), TROUBLES, ids=lambda each: str(each))
async def test_an_order_meets_every_trouble_of_the_network(struck, knows, arrived):
    async with way() as it:
        it.proxy.plan.once.append(("create", struck))
        assert await it.order() == knows
        await asyncio.sleep(0.05)
        assert it.venue.arrived == [f"POST {ORDER}"] * arrived
        assert it.told == [(str(struck.kind), "create", "key-of-alice")]
        assert it.proxy.struck == {struck.kind: 1}
        assert await it.order() == "answered", "it strikes once"


async def test_a_door_that_refuses_lets_nobody_in_and_opens_again():
    async with way() as it:
        it.proxy.plan.once.append(("connect", Struck(T.REFUSED, 1.0)))
        assert await it.order() == "unknown"  # it was let in before the door was shut
        assert await it.order() == "not sent"
        while (said := await it.order()) == "not sent":  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        assert said == "answered"
        assert len(it.venue.arrived) == 1


async def test_without_trouble_one_connection_carries_request_after_request():
    async with way() as it:
        for _ in range(5):
            assert await it.order() == "answered"
        assert len(it.venue.arrived) == 5 == it.proxy.carried
        assert len(it.door.inside) == 1


async def test_what_was_read_of_a_client_that_died_arrives_all_the_same():
    async with way() as it:
        it.proxy.plan.once.append(("create", Struck(T.REQUEST_DELAYED, 60)))
        assert await it.order(seconds=0.1) == "unknown"
        await it.client.close()
        it.proxy.close(it.door)
        await asyncio.sleep(0.05)
        assert it.venue.arrived == []
        assert it.proxy.under_way == 1
        it.proxy.calm()
        await until(lambda: it.venue.arrived == [f"POST {ORDER}"])
        await until(lambda: it.proxy.under_way == 0)


async def test_what_a_venue_breaks_off_is_broken_off_at_the_same_byte():
    """The venue's own faults go through the proxy as they are."""

    async def broken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf of i")
        await writer.drain()
        writer.close()

    venue = await asyncio.start_server(broken, "127.0.0.1", 0)
    async with venue, way() as it:
        door = await it.proxy.open("host-1", "kraken", venue.sockets[0].getsockname()[1])
        reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
        writer.write(b"GET /0/public/Time HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await reader.read()).endswith(b"\r\n\r\nhalf of i")
        writer.close()
        await writer.wait_closed()


async def heard(url: str, seconds: float = 30.0, enough: int = 1000) -> list[str]:
    """Listen to a stream until it ends, or so much was heard, or for a while."""
    found: list[str] = []
    async with aiohttp.ClientSession() as session, session.ws_connect(url) as socket:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds) as limit:
                async for message in socket:
                    found.append(str(message.data))
                    if len(found) == enough:  # gone without a word: nobody there would answer
                        limit.reschedule(asyncio.get_running_loop().time())
    return found[:enough]


async def test_a_stream_is_carried_whole():
    async with way() as it:
        assert await heard(it.url, enough=10) == [f"message {number}" for number in range(1, 11)]


async def test_a_stream_is_cut_in_the_midst():
    async with way() as it:
        it.proxy.plan.once.append(("stream", Struck(T.STREAM_CUT, 0.15)))
        found = await heard(it.url)
        assert 0 < len(found) < 30
        assert it.told == [("stream cut", "stream", "")]


async def test_a_stream_that_stalls_goes_on_later_with_everything():
    async with way() as it:
        it.proxy.plan.once.append(("stream", Struck(T.STREAM_STALLED, 0.4)))
        assert len(await heard(it.url, 0.2)) <= 2
    async with way() as it:
        it.proxy.plan.once.append(("stream", Struck(T.STREAM_STALLED, 0.2)))
        assert await heard(it.url, enough=20) == [f"message {number}" for number in range(1, 21)]


def drawn(seed: int, action: str, venue: str = "bybit") -> list[Struck | None]:
    plan = Plan(seed, RATES)
    return [plan.draw(venue, action) for _ in range(4000)]


def test_the_same_seed_draws_the_same_troubles_and_all_there_are():
    assert drawn(7, "create") == drawn(7, "create") != drawn(8, "create")
    kinds = {each.kind for each in drawn(7, "create") if each} | {
        each.kind for action in ("stream", "connect") for each in drawn(7, action) if each
    }
    assert kinds == set(Trouble)
    assert max(each.seconds for each in drawn(7, "create") if each) == 120.0


def test_a_venue_that_would_fill_it_twice_is_sent_no_create_twice():
    kinds = {each.kind for each in drawn(7, "create", "binance") if each}
    assert T.REQUEST_DUPLICATED not in kinds
    assert T.REQUEST_DUPLICATED in {each.kind for each in drawn(7, "cancel", "binance") if each}


def test_nothing_is_drawn_once_the_plan_is_off():
    plan = Plan(7, RATES, is_on=False)
    assert not any(plan.draw("bybit", "create") for _ in range(1000))
