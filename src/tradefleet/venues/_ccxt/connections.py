"""HTTP/1.1 as orders need it: quick, one request at a time, and no byte sent unnoticed.

A general client does three times the work for a request and retries some of them by itself.
What is left out is refused, never guessed: an answer whose end is not told proves nothing.
"""

import asyncio
import ssl
import zlib
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

import httptools

CONNECT_SECONDS = 5.0
IDLE_SECONDS = 20.0  # a connection that was idle longer is not used: the venue may close it
BODY_MAX = 64 * 1024 * 1024  # bytes, unpacked
HEADERS_MAX = 200
UNPACK_ANY = 47  # zlib's word for: gzip or zlib, whatever the header says


class Broken(Exception):
    """A connection ended, or said something that is no answer; the text says which."""


class HungUp(Broken):
    """A connection ended without a word."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP response, read to its end; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Connection(asyncio.Protocol):
    """One connection to a host: it is asked, and answers, before it is asked again."""

    __slots__ = (
        "_asked",
        "_body",
        "_headers",
        "_parser",
        "_size",
        "_transport",
        "idle_since",
        "is_alive",
        "was_used",
    )

    def __init__(self) -> None:
        self.is_alive = False
        self.was_used = False
        self.idle_since = 0.0
        self._transport: asyncio.Transport | None = None
        self._asked: asyncio.Future[Answer] | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._size = 0

    async def ask(self, request: bytes) -> Answer:
        """Write a request and return its answer; Broken when there is none."""
        transport = self._transport
        if transport is None or not self.is_alive:
            raise HungUp("it hung up without an answer")
        asked: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._asked = asked
        self._parser = httptools.HttpResponseParser(self)
        self._headers, self._body, self._size = {}, [], 0
        transport.write(request)
        try:
            return await asked
        except BaseException:
            self.abort()
            raise
        finally:
            self._asked = None

    def abort(self) -> None:
        self.is_alive = False
        if self._transport is not None:
            self._transport.abort()

    # ------------------------------------------------------ told by the loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # or uvloop's, which is no kind of it
        self.is_alive = True

    def connection_lost(self, error: Exception | None) -> None:
        self.is_alive = False
        if self._headers or self._body:
            self._fail(Broken("its answer was cut off"))
        else:
            self._fail(HungUp("it hung up without an answer"))

    def data_received(self, data: bytes) -> None:
        if self._asked is None or self._parser is None:
            self.abort()  # nobody asked: whoever talks now is not to be trusted with an order
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade, ValueError):
            self._fail(Broken("its answer is no HTTP"))
            self.abort()

    def _fail(self, why: Broken) -> None:
        if self._asked is not None and not self._asked.done():
            self._asked.set_exception(why)

    # ---------------------------------------------------- told by the parser

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(self._headers) >= HEADERS_MAX:
            raise ValueError("too many headers")
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > BODY_MAX:
            raise ValueError("too large")
        self._body.append(piece)

    def on_message_complete(self) -> None:
        asked, parser = self._asked, self._parser
        if asked is None or parser is None or asked.done():
            self.abort()
            return
        status = parser.get_status_code()
        if status < 200:  # an interim word, the answer comes after it
            self._headers, self._body, self._size = {}, [], 0
            return
        self.is_alive = self.is_alive and parser.should_keep_alive()
        try:
            body = unpacked(b"".join(self._body), self._headers.get("content-encoding", ""))
        except zlib.error:
            self._fail(Broken("its answer was cut off"))
            return
        asked.set_result(Answer(status, self._headers, body))


def unpacked(body: bytes, encoding: str) -> bytes:
    """Return a body as it was before it was packed; zlib.error unless all of it is there."""
    if encoding.strip().lower() not in ("gzip", "x-gzip", "deflate"):
        return body
    unpacking = zlib.decompressobj(UNPACK_ANY)
    whole = unpacking.decompress(body, BODY_MAX)
    if not unpacking.eof:
        raise zlib.error("cut off, or too large")
    return whole


@dataclass(slots=True, eq=False)
class Host:
    """All connections to one host; at most so many are open, whoever comes after them waits."""

    name: str
    port: int
    context: ssl.SSLContext | None
    most: int
    _idle: deque[Connection] = field(default_factory=deque)
    _room: asyncio.Semaphore = field(init=False)
    _all: set[Connection] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._room = asyncio.Semaphore(self.most)

    async def take(self, *, fresh: bool = False) -> Connection:
        """Return a connection that nobody uses, a new one if it is to be fresh; give it back."""
        await self._room.acquire()
        try:
            now = asyncio.get_running_loop().time()
            while self._idle and not fresh:
                connection = self._idle.pop()
                if connection.is_alive and now - connection.idle_since <= IDLE_SECONDS:
                    return connection
                self._forget(connection)
            return await self._connect()
        except BaseException:
            self._room.release()
            raise

    async def _connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(CONNECT_SECONDS):
            _, connection = await loop.create_connection(
                Connection,
                self.name,
                self.port,
                ssl=self.context,
                server_hostname=self.name if self.context is not None else None,
            )
        self._all.add(connection)
        return connection

    def give_back(self, connection: Connection) -> None:
        self._room.release()
        if connection.is_alive:
            connection.was_used = True
            connection.idle_since = asyncio.get_running_loop().time()
            self._idle.append(connection)
        else:
            self._forget(connection)

    def _forget(self, connection: Connection) -> None:
        self._all.discard(connection)
        connection.abort()

    def close(self) -> None:
        for connection in list(self._all):
            self._forget(connection)
        self._idle.clear()
