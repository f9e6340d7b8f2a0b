"""Whatever bytes come back over a connection: whole answers are read, all else proves nothing."""

import asyncio
import zlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.properties.effort import tries
from tradefleet.domain.errors import OutcomeUnknown
from tradefleet.venues._ccxt import connections
from tradefleet.venues._ccxt.wire import Answer, Transport, Wire

SECONDS = 5.0
BODY = b'{"symbol":"BTCUSDT","orderId":28,"orderListId":-1,"transactTime":1507725176595}'


@dataclass(slots=True)
class Line:
    """A server that answers a request with the bytes it is given, in these pieces, and hangs up."""

    pieces: list[bytes] = field(default_factory=list)
    heard: int = 0
    port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r", 1)[0])
            await reader.readexactly(length)
            self.heard += 1
            for piece in self.pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@dataclass(slots=True, kw_only=True)
class Talk:
    """The line our transport talks over, each time a new one: what hung up is not met again."""

    runner: asyncio.Runner
    line: Line

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text("a talk")

    def run(self, doing: Callable[[], Awaitable[Any]]) -> Any:
        async def done() -> Any:
            return await doing()

        return self.runner.run(done())

    async def sent(self, wire: Wire) -> Answer | OutcomeUnknown:
        transport = Transport("Binance")
        try:
            return await transport.send(wire, SECONDS)
        except OutcomeUnknown as error:
            return error
        finally:
            await transport.close()

    def ask(self, *pieces: bytes) -> Answer | OutcomeUnknown:
        """Send an order and return its answer, or the one error that may come instead."""
        self.line.pieces, self.line.heard = [piece for piece in pieces if piece], 0
        wire = Wire("POST", f"http://127.0.0.1:{self.line.port}/order", {}, b"quantity=1")
        answer = self.run(lambda: self.sent(wire))
        assert self.line.heard == 1, "an order was sent more or less than once"
        assert isinstance(answer, Answer | OutcomeUnknown)
        return answer


@pytest.fixture(scope="module")
def talk() -> Iterator[Talk]:
    with asyncio.Runner() as runner:
        line = Line()
        server = runner.run(asyncio.start_server(line.serve, "127.0.0.1", 0))
        line.port = server.sockets[0].getsockname()[1]
        yield Talk(runner=runner, line=line)
        server.close()


def chunked(body: bytes, size: int) -> bytes:
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def written(status: int, body: bytes, *, packs: bool, chunk: int, interim: bool) -> bytes:
    """Return an answer as a server writes it: its length told, or in chunks; packed or plain."""
    told = zlib.compress(body) if packs else body
    lines = [f"HTTP/1.1 {status} Status", "Content-Type: application/json"]
    lines += ["Content-Encoding: deflate"] * packs
    lines.append("Transfer-Encoding: chunked" if chunk else f"Content-Length: {len(told)}")
    before = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" if interim else b""
    whole = chunked(told, chunk) if chunk else told
    return before + "\r\n".join(lines).encode() + b"\r\n\r\n" + whole


def split(raw: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({cut % (len(raw) + 1) for cut in cuts})
    return [raw[a:b] for a, b in zip([0, *places], [*places, len(raw)], strict=True)]


answers = st.fixed_dictionaries(
    {
        "status": st.sampled_from([200, 201, 400, 403, 418, 429, 500, 503, 520]),
        "body": st.one_of(st.just(BODY), st.binary(max_size=200)),
        "packs": st.booleans(),
        "chunk": st.sampled_from([0, 0, 1, 7, 64]),
        "interim": st.booleans(),
    }
)
cuts = st.lists(st.integers(0, 2000), max_size=6)


@tries(100)
@given(answers, cuts)
def test_a_whole_answer_is_read_however_it_comes_in(talk, told, cuts):
    reads(talk, told, cuts)


def reads(talk: Talk, told: dict[str, Any], cuts: list[int]) -> None:
    answer = talk.ask(*split(written(**told), cuts))
    assert isinstance(answer, Answer), answer
    assert (answer.status, answer.body) == (told["status"], told["body"])


@tries(100)
@given(answers, st.integers(0, 5000))
def test_the_beginning_of_an_answer_is_none(talk, told, length):
    raw = written(**told)
    answer = talk.ask(raw[: length % len(raw)])
    assert isinstance(answer, OutcomeUnknown), answer


@tries(150)
@given(answers, st.integers(0, 5000), st.binary(min_size=1, max_size=6), st.integers(0, 6), cuts)
@example(
    {"status": 200, "body": BODY, "packs": False, "chunk": 0, "interim": False}, 9, b"1", 3, []
)
def test_a_damaged_answer_is_read_whole_or_not_at_all(talk, told, at, more, less, cuts):
    """Something stands in another's place: what comes out has the length that was told."""
    raw = written(**told)
    place = at % len(raw)
    damaged = raw[:place] + more + raw[place + less :]
    answer = talk.ask(*split(damaged, cuts))
    if isinstance(answer, Answer):
        assert 200 <= answer.status <= 999
        length = answer.headers.get("content-length", "")
        if length.isdigit() and "content-encoding" not in answer.headers:
            assert len(answer.body) == int(length)


@tries(100)
@given(st.binary(max_size=300), cuts)
@example(b"HTTP/1.1 200 OK\r\n\r\n" + BODY, [])
@example(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n", [])
@example(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n" + BODY, [])
@example(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 9\r\n\r\n123456789", [])
@example(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 300 + b"Content-Length: 0\r\n\r\n", [])
def test_what_is_no_http_or_does_not_say_its_end_is_no_answer(talk, raw, cuts):
    answer = talk.ask(*split(raw, cuts))
    assert isinstance(answer, OutcomeUnknown) or b"HTTP/1." in raw


def test_a_second_answer_to_one_request_is_never_the_next_ones(talk):
    first = written(200, BODY, packs=False, chunk=0, interim=False)
    second = written(200, b'{"orderId":99}', packs=False, chunk=0, interim=False)
    for _ in range(5):
        answer = talk.ask(first + second)
        assert isinstance(answer, OutcomeUnknown) or answer.body == BODY


def test_these_tests_see_a_body_that_is_believed_before_its_end(talk, monkeypatch):
    monkeypatch.setattr(connections, "unpacked", lambda body, encoding: body)
    told = {"status": 200, "body": BODY, "packs": True, "chunk": 0, "interim": False}
    with pytest.raises(AssertionError):
        reads(talk, told, [])
