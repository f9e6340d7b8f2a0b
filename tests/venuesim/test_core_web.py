"""A desk over real sockets: what came is handed on untouched, and who does not read is cut off."""

import asyncio
import json
from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.venuesim.rig import simulated, until
from tests.venuesim.tiny import Tiny
from venuesim import web
from venuesim.faults import Fault, FaultKind
from venuesim.running import Running, protocols


@pytest.fixture
async def sim() -> AsyncIterator[Running]:
    async with simulated("tiny", protocol=Tiny) as running:
        yield running


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def raw(sim: Running, request: bytes) -> bytes:
    """Return all that comes back on a connection of its own until it ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", sim.server.port)
    writer.write(request)
    try:
        return await reader.read()
    finally:
        writer.close()


async def test_path_and_query_reach_the_desk_as_they_were_written(sim):
    answer = await raw(
        sim,
        b"GET /a%2Fb/../c?x=%5B1%5D&y=a+b&x=2&empty= HTTP/1.1\r\nHost: x\r\n"
        b"X-Forwarded-For: 9.9.9.9\r\nAPI-Key: k\r\nConnection: close\r\n\r\n",
    )
    told = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert told["path"] == "/a%2Fb/../c"
    assert told["query"] == "x=%5B1%5D&y=a+b&x=2&empty="
    assert told["ip"] == "127.0.0.1"
    assert told["headers"]["api-key"] == "k"
    assert b"x-seen: 1" in answer


async def test_a_body_reaches_the_desk_byte_for_byte(sim, http):
    body = "symbol=BTCUSDT&note=ä%20b"
    async with http.post(f"{sim.url}/x", data=body.encode()) as answer:
        assert (await answer.json())["body"] == body


async def test_a_client_is_known_by_the_address_it_comes_from(sim):
    connector = aiohttp.TCPConnector(local_addr=("127.0.0.2", 0))
    async with aiohttp.ClientSession(connector=connector) as http, http.get(sim.url) as answer:
        assert (await answer.json())["ip"] == "127.0.0.2"


async def test_one_connection_serves_many_calls(sim, http):
    key = sim.client("alice")
    for number in range(20):
        async with http.post(
            f"{sim.url}/order", data=f"n{number}", headers={"API-Key": key.api_key}
        ) as answer:
            assert answer.status == (200 if number < 16 else 400)  # 1000 USDT buy sixteen
    assert sim.server.statuses == {200: 16, 400: 4}


async def test_a_stream_says_hello_echoes_and_tells_of_ticks(sim, http):
    async with http.ws_connect(f"{sim.ws_url}/ws?streams=a/b") as stream:
        assert await stream.receive_json() == {"e": "hello", "query": "streams=a/b"}
        await stream.send_str("ho")
        assert await stream.receive_json() == {"e": "echo", "text": "ho"}
        sim.tick("BTC/USDT", "65001.5")
        assert await stream.receive_json() == {"e": "trade", "p": "65001.50000000"}
        await stream.ping()
    await until(lambda: not sim.desk.sockets)
    assert not sim.server.streams


@pytest.mark.parametrize("size", [10, 125, 126, 65535, 65536, 200_000])
async def test_a_message_of_any_length_is_framed_right(sim, http, size):
    async with http.ws_connect(f"{sim.ws_url}/ws") as stream:
        await stream.receive()
        await stream.send_str("x" * size)
        assert len((await stream.receive_json())["text"]) == size


async def test_a_stream_where_the_venue_has_none_is_not_found(sim, http):
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await http.ws_connect(f"{sim.ws_url}/elsewhere")
    assert caught.value.status == 404


async def test_messages_are_compressed_only_where_that_was_allowed_and_asked_for(http):
    async with (
        simulated("tiny", protocol=Tiny, compress=True) as sim,
        http.ws_connect(f"{sim.ws_url}/ws", compress=15) as stream,
    ):
        assert stream.compress == 15
        await stream.receive()
        for number in range(3):
            said = f"{number}" * 500
            await stream.send_str(said)
            assert (await stream.receive_json())["text"] == said


async def test_nothing_is_compressed_by_default(sim, http):
    async with http.ws_connect(f"{sim.ws_url}/ws", compress=15) as stream:
        assert not stream.compress


async def test_a_client_that_does_not_read_is_cut_off_and_others_are_not(sim, http, monkeypatch):
    monkeypatch.setattr(web, "OUTGOING_LIMIT", 64 * 1024)
    async with http.ws_connect(f"{sim.ws_url}/ws") as other:
        reader, writer = await asyncio.open_connection("127.0.0.1", sim.server.port, limit=1024)
        writer.write(
            b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        await reader.readuntil(b"\r\n\r\n")
        flood = b"flood 20000"
        writer.write(bytes((0x81, 0x80 | len(flood), 0, 0, 0, 0)) + flood)
        await until(lambda: len(sim.server.streams) == 1)
        writer.close()
        assert [line["what"] for line in sim.journal.entries("stream")][-1] == "cut as too slow"
        await other.receive()
        await other.send_str("still here")
        assert (await other.receive_json())["text"] == "still here"


async def test_streams_are_beaten_again_and_again(http, monkeypatch):
    monkeypatch.setattr(web, "BEAT_S", 0.01)
    async with (
        simulated("tiny", protocol=Tiny) as sim,
        http.ws_connect(f"{sim.ws_url}/ws"),
    ):
        await until(lambda: any(socket.beats > 1 for socket in sim.desk.sockets))


async def test_while_connections_are_refused_none_is_taken_and_afterwards_all_is_well(sim, http):
    async with http.get(sim.url) as answer:
        assert answer.status == 200
    async with asyncio.TaskGroup() as tasks:
        refusing = tasks.create_task(sim.server.refuse(1))
        await asyncio.sleep(0.05)
        with pytest.raises(aiohttp.ClientConnectorError):
            await http.get(sim.url)
        await refusing
    async with http.get(sim.url) as answer:
        assert answer.status == 200


async def test_maintenance_of_one_account_is_felt_by_that_account_alone(sim, http):
    alice, bob = sim.client("alice"), sim.client("bob")
    sim.place.maintenance_of["alice"] = "closed"
    statuses = []
    for key in (alice, bob):
        async with http.post(
            f"{sim.url}/order", data=b"x", headers={"API-Key": key.api_key}
        ) as answer:
            statuses.append(answer.status)
    assert statuses == [503, 200]
    assert sim.place.maintenance == ""


async def test_a_stopped_server_leaves_no_connection_and_its_port_free(http):
    async with simulated("tiny", protocol=Tiny) as sim:
        stream = await http.ws_connect(f"{sim.ws_url}/ws")
        await stream.receive()
        port = sim.server.port
    async with asyncio.timeout(30):
        assert (await stream.receive()).type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", port)
    server.close()


def test_a_venue_that_is_not_there_is_named():
    with pytest.raises(ValueError, match="no venue 'mtgox'"):
        protocols("mtgox")


async def test_a_delayed_call_does_not_keep_the_server_from_stopping_and_is_not_done(http):
    async with simulated("tiny", protocol=Tiny, clock="manual") as sim:
        sim.faults.once(fault=Fault(kind=FaultKind.REQUEST_DELAYED, seconds=100))
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(failing(http, sim.url))
            await until(lambda: sim.faults.struck.total() == 1)
            await sim.server.stop()
            assert await waiting
        sim.place.clock.set(sim.place.clock.now_ms() + 200_000)
        await asyncio.sleep(0)
        assert sim.desk.handled == []


async def failing(http: aiohttp.ClientSession, url: str) -> bool:
    try:
        await http.get(url)
    except aiohttp.ClientError:
        return True
    return False
