"""Our own HTTP: whole answers are read whole, and what has no certain end is no answer."""

import asyncio
import gzip
import ssl
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.venues.rig import Teller, http, teller
from tests.venuesim.rig import until
from tradefleet.domain.errors import OutcomeUnknown, VenueUnavailable
from tradefleet.venues._ccxt import connections
from tradefleet.venues._ccxt.connections import Answer
from tradefleet.venues._ccxt.wire import Transport, Wire

BODY = b'{"serverTime":1}'


@asynccontextmanager
async def transport() -> AsyncIterator[Transport]:
    made = Transport("Binance")
    try:
        yield made
    finally:
        await made.close()


async def asked(told: Teller, wire: Wire | None = None, seconds: float = 5) -> Answer:
    async with transport() as made:
        return await made.send(wire or Wire("GET", f"{told.url}/x"), seconds)


def head(*lines: str, status: str = "200 OK") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode()


CHUNKS = b'6\r\n{"serv\r\n5;x=y\r\nerTim\r\n5\r\ne":1}\r\n0\r\nTrailer: 1\r\n\r\n'
WHOLE = {
    "length": head(f"Content-Length: {len(BODY)}") + BODY,
    "chunks": head("Transfer-Encoding: chunked") + CHUNKS,
    "an interim word": head(status="100 Continue") + head(f"Content-Length: {len(BODY)}") + BODY,
    "early hints": head("Link: </x>", status="103 Early Hints")
    + head(f"Content-Length: {len(BODY)}")
    + BODY,
    "odd case": head(f"CONTENT-LENGTH:{len(BODY)}") + BODY,
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\nContent-Length: 16\r\n\r\n" + BODY,
}


@pytest.mark.parametrize("case", WHOLE)
async def test_a_whole_answer_is_read_whole(case):
    async with teller(WHOLE[case]) as told:
        answer = await asked(told)
    assert (answer.status, answer.body) == (200, BODY)


async def test_an_answer_is_read_whole_however_it_is_cut_into_pieces():
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for byte in WHOLE["chunks"]:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    answer = await asked(Teller(port=server.sockets[0].getsockname()[1]))
    server.close()
    assert answer.body == BODY


@pytest.mark.parametrize(
    ("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)]
)
async def test_a_packed_body_is_unpacked(encoding, pack):
    async with teller(http(pack(BODY), Content_Encoding=encoding)) as told:
        assert (await asked(told)).body == BODY


NO_ANSWER = {
    "no end": head("Content-Type: application/json") + BODY,
    "cut in a chunk": head("Transfer-Encoding: chunked") + CHUNKS[:20],
    "last chunk missing": head("Transfer-Encoding: chunked") + CHUNKS[:32],
    "cut gzip": http(gzip.compress(BODY * 50)[:-9], Content_Encoding="gzip"),
    "broken gzip": http(b"not packed at all", Content_Encoding="gzip"),
    "two lengths": head("Content-Length: 5", "Content-Length: 16") + BODY,
    "length and chunks": head("Content-Length: 5", "Transfer-Encoding: chunked") + CHUNKS,
    "no number": head("Content-Length: many") + BODY,
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "switching": head("Upgrade: websocket", "Connection: Upgrade", status="101 Switching"),
    "too many headers": head(*(f"X-{n}: 1" for n in range(300)), "Content-Length: 16") + BODY,
}


@pytest.mark.parametrize("case", NO_ANSWER)
async def test_what_has_no_certain_end_is_no_answer(case):
    async with teller(NO_ANSWER[case]) as told:
        with pytest.raises(OutcomeUnknown):
            await asked(told)
        assert len(told.heard) == 1


async def test_a_body_that_is_too_large_is_no_answer(monkeypatch):
    monkeypatch.setattr(connections, "BODY_MAX", 1000)
    bomb = gzip.compress(b"0" * 100_000)
    async with teller(http(b"0" * 1001), http(bomb, Content_Encoding="gzip")) as told:
        for _ in range(2):
            with pytest.raises(OutcomeUnknown):
                await asked(told)


async def test_a_request_is_written_as_it_is_meant():
    wire = Wire("POST", "", {"X-MBX-APIKEY": "key", "Content-Type": "application/x"}, b"a=1&b=2")
    async with teller(http(BODY)) as told:
        await asked(told, Wire(wire.method, f"{told.url}/api/v3/order", wire.headers, wire.body))
        assert told.heard == [
            b"POST /api/v3/order HTTP/1.1\r\n"
            + f"Host: 127.0.0.1:{told.port}\r\n".encode()
            + b"X-MBX-APIKEY: key\r\nContent-Type: application/x\r\n"
            + b"Content-Length: 7\r\n\r\na=1&b=2"
        ]


@pytest.mark.parametrize(
    "wire",
    [
        Wire("GET", "{url}/x y"),
        Wire("GET", "{url}/x\r\nX: 1"),
        Wire("GET", "{url}/\u00e9"),
        Wire("GET", "{url}/x", {"X": "1\r\nY: 2"}),
        Wire("GET", "{url}/x", {"X\n": "1"}),
        Wire("GET", "ftp://127.0.0.1/x"),
        Wire("GET", "nowhere"),
    ],
)
async def test_what_would_be_another_request_is_not_sent(wire):
    async with teller(http(BODY)) as told:
        sent = Wire(wire.method, wire.url.format(url=told.url), wire.headers)
        if " " in wire.url:  # a space in the path would end it
            return
        with pytest.raises(VenueUnavailable, match="nothing was sent"):
            await asked(told, sent)
        assert told.heard == []


# ---- connections are used again, but never one that may be dead


class Counting:
    """A server that keeps connections open, and counts them."""

    def __init__(self, *, says: bytes = http(BODY), talks: bool = False) -> None:
        self.says = says
        self.talks = talks
        self.opened = 0
        self.writers: list[asyncio.StreamWriter] = []
        self.dies = False  # hang up on the next request
        self.gate = asyncio.Event()
        self.gate.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opened += 1
        self.writers.append(writer)
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                await self.gate.wait()
                if self.dies:
                    self.dies = False
                    return
                writer.write(self.says)
                if self.talks:
                    await asyncio.sleep(0.01)
                    writer.write(self.says)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def counting(**options: object) -> AsyncIterator[tuple[Counting, Transport, str]]:
    served = Counting(**options)  # type: ignore[arg-type]
    server = await asyncio.start_server(served.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        async with transport() as made:
            yield served, made, f"http://127.0.0.1:{port}/x"
    finally:
        server.close()
        for writer in served.writers:
            writer.close()
        served.gate.set()
        await asyncio.sleep(0)


async def test_a_connection_is_used_again():
    async with counting() as (served, made, url):
        for _ in range(5):
            assert (await made.send(Wire("GET", url), 5)).body == BODY
        assert served.opened == 1


@pytest.mark.parametrize("line", ["Connection: close", "Connection: Close"])
async def test_a_connection_that_will_be_closed_is_not_used_again(line):
    name, _, value = line.partition(": ")
    async with counting(says=http(BODY, **{name: value})) as (served, made, url):
        for _ in range(2):
            assert (await made.send(Wire("GET", url), 5)).body == BODY
        assert served.opened == 2


async def test_a_connection_that_was_closed_meanwhile_is_not_used():
    async with counting() as (served, made, url):
        await made.send(Wire("GET", url), 5)
        served.writers[0].close()
        await asyncio.sleep(0.01)
        assert (await made.send(Wire("POST", url), 5)).body == BODY
        assert served.opened == 2


async def test_a_question_is_asked_again_when_its_connection_was_dead_already():
    async with counting() as (served, made, url):
        for method, answered in (("GET", True), ("POST", False), ("DELETE", False)):
            await made.send(Wire("GET", url), 5)
            served.dies = True
            if answered:
                assert (await made.send(Wire(method, url), 5)).body == BODY
            else:
                with pytest.raises(OutcomeUnknown, match="hung up"):
                    await made.send(Wire(method, url), 5)


async def test_a_question_that_a_new_connection_does_not_answer_is_asked_once():
    async with teller(None, None) as told:
        with pytest.raises(OutcomeUnknown, match="hung up"):
            await asked(told)
        assert len(told.heard) == 1


async def test_a_connection_that_was_idle_for_long_is_not_used(monkeypatch):
    monkeypatch.setattr(connections, "IDLE_SECONDS", 0.01)
    async with counting() as (served, made, url):
        await made.send(Wire("GET", url), 5)
        await asyncio.sleep(0.03)
        await made.send(Wire("GET", url), 5)
        assert served.opened == 2


async def test_a_server_that_talks_unasked_is_hung_up_on():
    async with counting(talks=True) as (served, made, url):
        await made.send(Wire("GET", url), 5)
        await asyncio.sleep(0.05)
        served.talks = False
        assert (await made.send(Wire("GET", url), 5)).body == BODY
        assert served.opened == 2


async def test_a_request_that_is_given_up_takes_its_connection_with_it():
    async with counting() as (served, made, url):
        served.gate.clear()
        with pytest.raises(OutcomeUnknown, match="no answer in time"):
            await made.send(Wire("POST", url), 0.02)
        waiting = asyncio.ensure_future(made.send(Wire("POST", url), 5))
        await until(lambda: served.opened == 2)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        served.gate.set()
        assert (await made.send(Wire("GET", url), 5)).body == BODY
        assert served.opened == 3


async def test_no_more_connections_are_opened_than_agreed(monkeypatch):
    monkeypatch.setattr("tradefleet.venues._ccxt.wire.CONNECTIONS_MAX", 3)
    async with counting() as (served, made, url):
        served.gate.clear()
        async with asyncio.TaskGroup() as tasks:
            asking = [tasks.create_task(made.send(Wire("GET", url), 5)) for _ in range(10)]
            await until(lambda: served.opened == 3)
            await asyncio.sleep(0.02)
            assert served.opened == 3
            served.gate.set()
        assert [task.result().body for task in asking] == [BODY] * 10
        assert served.opened == 3


async def test_who_waits_for_a_connection_in_vain_has_sent_nothing(monkeypatch):
    monkeypatch.setattr("tradefleet.venues._ccxt.wire.CONNECTIONS_MAX", 1)
    async with counting() as (served, made, url):
        served.gate.clear()
        first = asyncio.ensure_future(made.send(Wire("POST", url), 5))
        await until(lambda: served.opened == 1)
        with pytest.raises(VenueUnavailable, match="nothing was sent"):
            await made.send(Wire("POST", url), 0.02)
        served.gate.set()
        assert (await first).body == BODY


# ---- TLS


def certificate(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's and a client's context over a certificate of this machine."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "certificate.pem").write_bytes(made.public_bytes(Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    client = ssl.create_default_context(cafile=str(folder / "certificate.pem"))
    return server, client


async def test_secure_connections_are_used_again_and_only_if_they_are_trusted(
    tmp_path, monkeypatch
):
    server_context, client_context = certificate(tmp_path)
    served = Counting()
    server = await asyncio.start_server(served.serve, "127.0.0.1", 0, ssl=server_context)
    port = server.sockets[0].getsockname()[1]
    url = f"https://localhost:{port}/x"
    async with transport() as made:
        with pytest.raises(VenueUnavailable, match="no secure connection; nothing was sent"):
            await made.send(Wire("POST", url), 5)
    monkeypatch.setattr("tradefleet.venues._ccxt.wire.trusted", lambda: client_context)
    async with transport() as made:
        for _ in range(3):
            assert (await made.send(Wire("GET", url), 5)).body == BODY
        with pytest.raises(VenueUnavailable, match="no secure connection; nothing was sent"):
            await made.send(Wire("POST", f"https://127.0.0.1:{port}/x"), 5)  # another name
    assert served.opened == 1
    server.close()
    for writer in served.writers:
        writer.close()
    await asyncio.sleep(0.01)


# ---- connections are there when orders need them


async def test_as_many_connections_are_opened_ahead_as_orders_needed_at_once_lately():
    async with counting() as (served, made, url):
        served.gate.clear()
        async with asyncio.TaskGroup() as tasks:
            for _ in range(5):
                tasks.create_task(made.send(Wire("POST", url), 5))
            await until(lambda: served.opened == 5)
            served.gate.set()
        for writer in served.writers:
            writer.close()
        await asyncio.sleep(0.01)
        await made.open_ahead()
        await until(lambda: served.opened == 10)
        served.gate.clear()
        async with asyncio.TaskGroup() as tasks:
            for _ in range(5):
                tasks.create_task(made.send(Wire("POST", url), 5))
            await asyncio.sleep(0.01)
            served.gate.set()
        assert served.opened == 10


async def test_what_cannot_be_opened_ahead_is_left_to_who_needs_it():
    async with counting() as (served, made, url):
        await made.send(Wire("POST", url), 5)
        served.writers[0].close()
        await asyncio.sleep(0.01)
        for host in made._hosts.values():
            host.port = 9
        await made.open_ahead()
        for host in made._hosts.values():
            host.port = int(url.split(":")[2].split("/")[0])
        assert (await made.send(Wire("POST", url), 5)).body == BODY


async def test_a_second_answer_to_one_request_is_given_to_nobody():
    async with counting(says=http(BODY) + http(b"another")) as (served, made, url):
        async with asyncio.TaskGroup() as tasks:
            asking = [tasks.create_task(made.send(Wire("GET", url), 5)) for _ in range(3)]
        assert {task.result().body for task in asking} == {BODY}
        assert served.opened == 3


async def test_who_was_bidden_to_open_a_connection_and_went_away_lets_the_next_one(monkeypatch):
    monkeypatch.setattr("tradefleet.venues._ccxt.wire.CONNECTIONS_MAX", 1)
    invite = connections.Host._invite
    waiting: list[asyncio.Future[Answer]] = []

    def invited(host: connections.Host) -> None:
        bidden = len(host._waiting)
        invite(host)
        if len(host._waiting) < bidden and len(waiting) == 2:
            waiting.pop(0).cancel()  # it was told just now

    async with counting() as (served, made, url):
        served.gate.clear()
        first = asyncio.ensure_future(made.send(Wire("POST", url), 5))
        await until(lambda: served.opened == 1)
        second, third = (asyncio.ensure_future(made.send(Wire("POST", url), 5)) for _ in range(2))
        waiting += [second, third]
        await asyncio.sleep(0.01)
        monkeypatch.setattr(connections.Host, "_invite", invited)
        first.cancel()
        served.gate.set()
        assert (await third).body == BODY
        assert first.cancelled()
        assert second.cancelled()
        assert served.opened == 2
