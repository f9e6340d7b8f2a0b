"""HTTP/1.1 as orders need it: quick, one request at a time, and no byte sent unnoticed.

A general client does three times the work for a request and retries some of them by itself.
What is left out is refused, never guessed: an answer whose end is not told proves nothing.
"""

import asyncio
import ssl
import zlib
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple, cast

import httptools

CONNECT_SECONDS = 5.0
IDLE_SECONDS = 20.0  # a connection that was idle longer is not used: the venue may close it
BODY_MAX = 64 * 1024 * 1024  # bytes, unpacked
HEADERS_MAX = 200
FORGOTTEN_PART = 64  # a minute: after three quarters of an hour half as many are opened ahead
OPENED_AT_ONCE = 10  # connections, ahead of those who will need them
UNPACK_ANY = 47  # zlib's word for: gzip or zlib, whatever the header says


class Broken(Exception):
    """A connection ended, or said something that is no answer; the text says which."""


class HungUp(Broken):
    """A connection ended without a word."""


class Answer(NamedTuple):
    """One HTTP response, read to its end; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Exchange:
    """A request, and the answer somebody waits for: None bids them open a connection for it.

    begun: a byte of it may have left; reused: on a connection that had served others before.
    """

    __slots__ = ("answered", "begun", "connection", "request", "reused")

    def __init__(self, request: bytes) -> None:
        self.request = request
        self.answered: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()
        self.begun = False
        self.reused = False
        self.connection: Connection | None = None

    def fail(self, why: Exception) -> None:
        if not self.answered.done():
            self.answered.set_exception(why)

    def too_late(self) -> None:
        self.fail(TimeoutError())


class Connection(asyncio.Protocol):
    """One connection to a host: it is asked, and answers, before it is asked again."""

    __slots__ = (
        "_body",
        "_exchange",
        "_headers",
        "_host",
        "_parser",
        "_size",
        "_transport",
        "idle_since",
        "is_alive",
        "was_used",
    )

    def __init__(self, host: "Host") -> None:
        self.is_alive = False
        self.was_used = False
        self.idle_since = 0.0
        self._host = host
        self._transport: asyncio.Transport | None = None
        self._exchange: Exchange | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._size = 0

    def carry(self, exchange: Exchange) -> None:
        """Write a request; whoever waits for its answer is told it, or why there is none."""
        exchange.begun, exchange.reused, exchange.connection = True, self.was_used, self
        self._exchange = exchange
        if self._transport is None or not self.is_alive:
            self._fail(HungUp("it hung up without an answer"))
            return
        self._transport.write(exchange.request)

    def forget(self, exchange: Exchange) -> None:
        """Nobody waits for an answer any more: hang up, unless it is here already."""
        if self._exchange is exchange:
            self._exchange = None
            self.abort()

    def abort(self) -> None:
        self.is_alive = False
        if self._transport is not None:
            self._transport.abort()

    # ------------------------------------------------------ told by the loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # or uvloop's, which is no kind of it
        self.is_alive = True
        self._host.opened(self)

    def connection_lost(self, error: Exception | None) -> None:
        self.is_alive = False
        if self._headers or self._body:
            self._fail(Broken("its answer was cut off"))
        else:
            self._fail(HungUp("it hung up without an answer"))
        self._host.lost(self)

    def data_received(self, data: bytes) -> None:
        if self._exchange is None:
            self.abort()  # whoever talks unasked is not to be trusted with an order
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade, ValueError):
            self._fail(Broken("its answer is no HTTP"))
            self.abort()
        if self._exchange is None and self.is_alive:
            self.was_used = True
            self._host.ready(self)

    def _fail(self, why: Broken) -> None:
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.fail(why)

    # ---------------------------------------------------- told by the parser

    def on_message_begin(self) -> None:
        if self._exchange is None:
            raise ValueError("two answers to one request")
        self._headers, self._body, self._size = {}, [], 0

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
        exchange = self._exchange
        if exchange is None or exchange.answered.done():
            self.abort()
            return
        status = self._parser.get_status_code()
        if status < 200:  # an interim word, the answer comes after it
            return
        if not self._parser.should_keep_alive():
            self.abort()
        headers, pieces = self._headers, self._body
        self._headers, self._body, self._exchange = {}, [], None
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if "content-encoding" in headers:
            try:
                body = unpacked(body, headers["content-encoding"])
            except zlib.error:
                exchange.fail(Broken("its answer was cut off"))
                return
        exchange.answered.set_result(Answer(status, headers, body))


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
    """All connections to one host; at most so many are open, whoever comes after them waits.

    A connection carries the next request that waits as soon as an answer is read, before
    anybody looks at it. needed: how many orders were under way or waiting at once lately.
    """

    name: str
    port: int
    context: ssl.SSLContext | None
    most: int
    needed: int = 0
    _idle: dict[Connection, None] = field(default_factory=dict)  # the last used at the end
    _waiting: deque[Exchange] = field(default_factory=deque)
    _all: set[Connection] = field(default_factory=set)
    _opening: int = 0

    async def ask(self, exchange: Exchange, due: float, *, fresh: bool = False) -> Answer:
        """Let a request leave and return its answer: Broken when there is none, or TimeoutError.

        due: by the loop's clock; fresh: on a connection that is opened for it.
        """
        connection = None if fresh else self._free()
        if connection is not None:
            connection.carry(exchange)
        elif fresh or self._has_room:
            self._opening += 1
            await self._open_for(exchange, due)
        else:
            self._waiting.append(exchange)
        while True:
            answer = await self._answer(exchange, due)
            if answer is not None:
                return answer
            exchange.answered = asyncio.get_running_loop().create_future()
            await self._open_for(exchange, due)

    async def _answer(self, exchange: Exchange, due: float) -> Answer | None:
        timer = asyncio.get_running_loop().call_at(due, exchange.too_late)
        answered = exchange.answered
        try:
            return await answered
        except BaseException:
            if exchange.connection is not None:
                exchange.connection.forget(exchange)
            elif answered.done() and not answered.cancelled() and not answered.exception():
                self._opening -= 1  # it was bidden to open one, and went away
                self._invite()
            raise
        finally:
            timer.cancel()

    @property
    def _has_room(self) -> bool:
        return len(self._all) + self._opening < self.most

    def _free(self) -> Connection | None:
        """Return the connection that was used last, if it is not too long ago."""
        now = asyncio.get_running_loop().time()
        while self._idle:
            connection, _ = self._idle.popitem()
            if connection.is_alive and now - connection.idle_since <= IDLE_SECONDS:
                return connection
            connection.abort()
        return None

    async def _open_for(self, exchange: Exchange, due: float) -> None:
        """Open a connection, which was counted already, and let it carry a request."""
        connection = await self._open(due)
        connection.carry(exchange)

    async def _open(self, due: float) -> Connection:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout_at(min(due, loop.time() + CONNECT_SECONDS)):
                _, connection = await loop.create_connection(
                    lambda: Connection(self),
                    self.name,
                    self.port,
                    ssl=self.context,
                    server_hostname=self.name if self.context is not None else None,
                )
        finally:
            self._opening -= 1
            self._invite()
        return connection

    @property
    def under_way(self) -> int:
        """How many requests are on their way, or wait for a connection."""
        return len(self._all) + self._opening - len(self._idle) + len(self._waiting)

    async def open_ahead(self) -> None:
        """Open as many connections as were needed at once lately; some less each time."""
        now = asyncio.get_running_loop().time()
        for connection in list(self._idle):
            if now - connection.idle_since > IDLE_SECONDS / 2:
                del self._idle[connection]
                connection.abort()
        missing = min(self.needed, self.most) - len(self._all) - self._opening
        for start in range(0, missing, OPENED_AT_ONCE):
            async with asyncio.TaskGroup() as tasks:
                for _ in range(min(OPENED_AT_ONCE, missing - start)):
                    self._opening += 1
                    tasks.create_task(self._open_free(now + CONNECT_SECONDS))
        self.needed -= self.needed // FORGOTTEN_PART

    async def _open_free(self, due: float) -> None:
        with suppress(OSError, TimeoutError):  # whoever needs it then will say so
            self.ready(await self._open(due))

    # -------------------------------------------------- told by connections

    def opened(self, connection: Connection) -> None:
        self._all.add(connection)

    def ready(self, connection: Connection) -> None:
        """Let a connection carry the next request that waits, or be idle."""
        while self._waiting:
            exchange = self._waiting.popleft()
            if not exchange.answered.done():
                connection.carry(exchange)
                return
        connection.idle_since = asyncio.get_running_loop().time()
        self._idle[connection] = None

    def lost(self, connection: Connection) -> None:
        self._all.discard(connection)
        self._idle.pop(connection, None)
        self._invite()

    def _invite(self) -> None:
        """Bid those who wait open connections, as far as there is room."""
        while self._waiting and self._has_room:
            exchange = self._waiting.popleft()
            if not exchange.answered.done():
                self._opening += 1
                exchange.answered.set_result(None)

    def close(self) -> None:
        for connection in list(self._all):
            connection.abort()
        self._idle.clear()
