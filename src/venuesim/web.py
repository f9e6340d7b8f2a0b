"""Carries a desk over HTTP and WebSocket, with the faults of the network in between.

The network does not understand what it carries: paths, queries and bodies go to the desk as they
came. What one client does not read is not kept for it: it is cut off.
"""

import asyncio
import socket
import ssl
import struct
import zlib
from collections import Counter
from functools import lru_cache
from re import compile as pattern

from aiohttp import WSMsgType, web

from venuesim.clock import real_sleep
from venuesim.faults import MESSAGE, Delivery, Fault, FaultKind, FaultPlan, deliver
from venuesim.journal import Journal, masked
from venuesim.keys import Key
from venuesim.wire import Answer, Call, Desk, Socket

OUTGOING_LIMIT = 1024 * 1024  # bytes that wait for one slow reader of a stream
INCOMING_LIMIT = 1024 * 1024  # bytes of one message or body
SOCKETS_LIMIT = 20_000
BACKLOG = 4096
BEAT_S = 1.0
STOP_S = 0.05  # for what is being answered; aiohttp takes 0 for as long as it likes
PING_BEATS = 20  # a ping on every stream each so many beats
KEY_HEADERS = ("x-mbx-apikey", "x-bapi-api-key", "api-key")
NO_BODY = (204, 304)
COMPRESS_FROM = 128  # bytes; shorter messages gain nothing
ASKED = pattern(r'"(?:method|op|event)":\s?"([^"]*)"')
CLASS = pattern(r'"(?:e|topic|channel)":\s?"([^"]*)"')
# In which words Kraken, Bybit and Binance refuse what was asked.
REFUSED = pattern(rb'"error":\s?\["([^"]+)|"retCode":\s?([1-9]\d*)|"code":\s?(-\d+)')
REFUSED_WITHIN = 300  # bytes of the body
LINGER_NOT = struct.pack("ii", 1, 0)


@lru_cache(maxsize=16)
def framed(text: str) -> bytes:
    """Return a text message as a server sends it. One message to many sockets is framed once."""
    return _frame(0x81, text.encode())


def refusal_in(body: bytes) -> str:
    """Return the venue's code for what is wrong, "" when it did what was asked."""
    found = REFUSED.search(body, 0, REFUSED_WITHIN)
    return found[found.lastindex or 0].decode(errors="replace") if found else ""


def _frame(first: int, body: bytes) -> bytes:
    size = len(body)
    if size < 126:
        return bytes((first, size)) + body
    if size < 65536:
        return struct.pack("!BBH", first, 126, size) + body
    return struct.pack("!BBQ", first, 127, size) + body


PING = _frame(0x89, b"")


class Outlet:
    """What a desk sends on one stream: written at once, held back by faults alone."""

    def __init__(self, faults: FaultPlan, sent: Counter[str]) -> None:
        self.faults = faults
        self.sent = sent
        self.account = ""
        self.messages = 0
        self.too_slow = False
        self._transport: asyncio.Transport | None = None
        self._deflate: zlib._Compress | None = None
        self._early: list[str] = []
        self._held: list[str] = []  # to go after the next one

    def open(self, transport: asyncio.Transport | None, *, compress: bool) -> None:
        """Send from now on; what a desk said while it was asked for the stream goes first."""
        self._transport = transport
        self._deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS) if compress else None
        early, self._early = self._early, []
        for text in early:
            self.send(text)

    def send(self, text: str) -> None:
        if self._transport is None:
            self._early.append(text)
        elif self.faults.is_idle and not self._held:
            self._write(text)
        else:
            self._send_through_faults(text)

    def _send_through_faults(self, text: str) -> None:
        held, self._held = self._held, []
        fault = self.faults.draw(MESSAGE, self.account, text)
        kind = fault.kind if fault else None
        if kind is FaultKind.MESSAGES_SWAPPED:
            self._held = [text]
        elif kind is FaultKind.STREAM_CUT:
            self.cut()
        elif kind is not FaultKind.MESSAGE_DROPPED:
            self._write(text)
            if kind is FaultKind.MESSAGE_DUPLICATED:
                self._write(text)
        for late in held:
            self._write(late)

    def _write(self, text: str) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        self.messages += 1
        found = CLASS.search(text)
        self.sent[found[1] if found else "other"] += 1
        transport.write(framed(text) if self._deflate is None else self._deflated(text))
        self._mind_the_slow(transport)

    def _deflated(self, text: str) -> bytes:
        if self._deflate is None or len(text) < COMPRESS_FROM:
            return framed(text)
        body = self._deflate.compress(text.encode()) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        return _frame(0xC1, body.removesuffix(b"\x00\x00\xff\xff"))

    def ping(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(PING)
            self._mind_the_slow(self._transport)

    def release(self) -> None:
        """Send what was held back to go after a message that did not come."""
        held, self._held = self._held, []
        for text in held:
            self._write(text)

    def _mind_the_slow(self, transport: asyncio.Transport) -> None:
        if transport.get_write_buffer_size() > OUTGOING_LIMIT:
            self.too_slow = True
            self.cut()

    def cut(self) -> None:
        """End the connection without a word."""
        if self._transport is not None:
            self._transport.abort()


class Server:
    """One venue's address: serves a desk until it is stopped."""

    def __init__(
        self,
        *,
        faults: FaultPlan | None = None,
        journal: Journal | None = None,
        compress: bool = False,
        host: str = "127.0.0.1",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.faults = faults or FaultPlan()
        self.journal = journal
        self.compress = compress
        self.host = host
        self.tls = tls
        self.port = 0
        self.calls: Counter[str] = Counter()  # by action
        self.statuses: Counter[int] = Counter()  # of answers that reached a client
        self.sent: Counter[str] = Counter()  # messages on streams, by class
        self.streams: dict[Outlet, Socket] = {}
        self._desk: Desk | None = None
        self._web: web.Server | None = None
        self._listener: asyncio.Server | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._delayed: set[asyncio.Task[object] | None] = set()
        self._beats = 0
        self._told_sent: Counter[str] = Counter()

    @property
    def desk(self) -> Desk:
        if self._desk is None:
            raise RuntimeError("the server was not started")
        return self._desk

    @property
    def url(self) -> str:
        return f"http{self._secure}://{self.host}:{self.port}"

    @property
    def ws_url(self) -> str:
        return f"ws{self._secure}://{self.host}:{self.port}"

    @property
    def _secure(self) -> str:
        return "" if self.tls is None else "s"

    async def start(self, desk: Desk, port: int = 0) -> str:
        """Listen; return the address, http://host:port. OSError when the port is taken."""
        self._desk, self.port = desk, port
        self._web = web.Server(
            self._handle, access_log=None, keepalive_timeout=75, auto_decompress=False
        )
        await self._listen()
        self._beat_later()
        return self.url

    async def _listen(self) -> None:
        self._listener = await asyncio.get_running_loop().create_server(
            self._protocol,
            self.host,
            self.port,
            backlog=BACKLOG,
            reuse_address=True,
            ssl=self.tls,
        )
        self.port = self._listener.sockets[0].getsockname()[1]

    def _protocol(self) -> asyncio.Protocol:
        if self._web is None:
            raise RuntimeError("the server was stopped")
        return self._web()

    async def stop(self) -> None:
        """Let go of the port and of every connection; what is delayed by a fault is dropped."""
        if self._timer is not None:
            self._timer.cancel()
        if self._listener is not None:
            self._listener.close()
        for task in self._delayed:
            if task is not None:
                task.cancel()
        if self._web is not None:
            self._cut_all()
            await self._web.shutdown(STOP_S)
        self._listener = self._web = None

    async def refuse(self, seconds: float) -> None:
        """Cut every connection and take no new one for so long: connection refused."""
        if self._listener is None:
            return
        self._write("fault", fault="connections refused", seconds=seconds)
        listener, self._listener = self._listener, None
        listener.close()
        self._cut_all()
        await real_sleep(seconds)
        if self._web is not None:
            await self._listen()

    def _cut_all(self) -> None:
        """Cut every connection there is, streams too."""
        for connection in self._web.connections if self._web is not None else ():
            if connection.transport is not None:
                connection.transport.abort()

    # ------------------------------------------------------------- the beat

    def _beat_later(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(BEAT_S, self._beat)

    def _beat(self) -> None:
        """About once a second of the machine's time, whatever clock the venue has."""
        self._beat_later()
        self._beats += 1
        place = self.desk.place
        now_ms = place.clock.now_ms()
        place.candles.close_until(now_ms)
        for outlet, stream in list(self.streams.items()):
            stream.beat(now_ms)
            outlet.release()
            if self._beats % PING_BEATS == 0:
                outlet.ping()
        if self.sent != self._told_sent:
            self._write("sent", messages=dict(self.sent - self._told_sent))
            self._told_sent = self.sent.copy()
        if self.journal is not None:
            self.journal.flush()

    def _write(self, kind: str, **fields: object) -> None:
        if self.journal is not None:
            self.journal.write(kind, venue=self.desk.name, **fields)

    # ---------------------------------------------------------------- calls

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path, _, query = request.raw_path.partition("?")
        if "Upgrade" in request.headers:
            return await self._stream(request, path, query)
        call = Call(
            method=request.method,
            path=path,
            query=query,
            body=await request.read() if request.body_exists else b"",
            headers={name.lower(): value for name, value in request.headers.items()},
            ip=request.remote or "",
        )
        desk = self.desk
        action = desk.action(call)
        self.calls[action] += 1
        if self.faults.is_idle:
            arrived_ns = desk.place.clock.now_ns()
            answer = self._ask(desk, call)
            if self.journal is not None:
                self._told_call(call, action, answer, None, arrived_ns)
            return self._response(answer)
        return await self._through_faults(request, call, action)

    def _key_of(self, call: Call) -> Key | None:
        """Return the key a call names, whether or not it is signed well."""
        for header in KEY_HEADERS:
            if name := call.headers.get(header):
                return self.desk.place.keys.find(name)
        return None

    def _ask(self, desk: Desk, call: Call) -> Answer:
        place = desk.place
        if not place.maintenance_of:
            return desk.handle(call)
        key = self._key_of(call)
        mode = place.maintenance_of.get(key.account) if key is not None else None
        if not mode:
            return desk.handle(call)
        whole, place.maintenance = place.maintenance, mode
        try:
            return desk.handle(call)
        finally:
            place.maintenance = whole

    async def _through_faults(
        self, request: web.BaseRequest, call: Call, action: str
    ) -> web.StreamResponse:
        desk, key = self.desk, self._key_of(call)
        account = key.account if key is not None else ""
        arrived_ns = desk.place.clock.now_ns()
        text = f"{call.method} {call.path}?{call.query} {call.body.decode(errors='replace')}"
        fault = self.faults.draw(action, account, text)
        if fault is None:
            answer = self._ask(desk, call)
            self._told_call(call, action, answer, None, arrived_ns)
            return self._response(answer)
        self._change_state(fault)
        done: list[Answer] = []

        def handle() -> Answer:
            done.append(self._ask(desk, call))
            self._told_call(call, action, done[-1], fault, arrived_ns)
            return done[-1]

        task = asyncio.current_task()
        self._delayed.add(task)
        try:
            delivery = await deliver(fault, handle, desk.without_id, desk.place.clock.wait)
        finally:
            self._delayed.discard(task)
        if not done:
            self._told_call(call, action, Answer(status=0, account=account), fault, arrived_ns)
        return self._delivered(request, delivery)

    def _change_state(self, fault: Fault) -> None:
        """Let a fault that is a state of the venue begin, and end in its time."""
        place, loop = self.desk.place, asyncio.get_running_loop()
        if fault.kind is FaultKind.LOOKUP_LAG:
            place.lag_ms = int(fault.seconds * 1000)
            loop.call_later(fault.seconds, setattr, place, "lag_ms", 0)
        elif fault.kind is FaultKind.MAINTENANCE:
            place.maintenance = fault.word
            loop.call_later(fault.seconds, setattr, place, "maintenance", "")

    def _told_call(
        self, call: Call, action: str, answer: Answer, fault: Fault | None, arrived_ns: int
    ) -> None:
        if self.journal is None:
            return
        key = self._key_of(call)
        self.journal.write(
            "call",
            venue=self.desk.name,
            arrived_ms=arrived_ns // 1_000_000,
            arrived_us=arrived_ns // 1000,
            ip=call.ip,
            method=call.method,
            path=call.path,
            action=action,
            key=masked(key.api_key) if key is not None else "",
            account=answer.account or (key.account if key is not None else ""),
            client_id=answer.client_id,
            status=answer.status,
            order=answer.order.id if answer.order is not None else 0,
            fault=str(fault) if fault is not None else "",
            code=refusal_in(answer.body),
        )

    def _response(self, answer: Answer) -> web.Response:
        self.statuses[answer.status] += 1
        response = web.Response(
            body=None if answer.status in NO_BODY else answer.body,
            status=answer.status,
            headers=answer.headers,
        )
        response.headers["Content-Type"] = answer.content_type
        return response

    def _delivered(self, request: web.BaseRequest, delivery: Delivery) -> web.StreamResponse:
        transport, answer = request.transport, delivery.answer
        if answer is not None and delivery.announced is None:
            return self._response(answer)
        response = web.Response()  # to nobody: the connection is gone when it would be written
        if transport is None:
            return response
        if answer is not None:
            transport.write(_head(answer, delivery.announced or 0) + answer.body)
            transport.close()
        elif delivery.reset:
            _reset(transport)
        else:
            transport.close()
        return response

    # -------------------------------------------------------------- streams

    async def _stream(self, request: web.BaseRequest, path: str, query: str) -> web.StreamResponse:
        ip = request.remote or ""
        outlet = Outlet(self.faults, self.sent)
        full = len(self.streams) >= SOCKETS_LIMIT
        stream = None if full else self.desk.connect(path, query, outlet.send, ip)
        if stream is None:
            return web.Response(status=503 if full else 404)
        wire = web.WebSocketResponse(
            compress=self.compress, max_msg_size=INCOMING_LIMIT, autoclose=True, autoping=True
        )
        self.streams[outlet] = stream
        self._write("stream", what="opened", path=path, ip=ip)
        try:
            await wire.prepare(request)
            outlet.open(request.transport, compress=bool(wire.compress))
            async for message in wire:
                if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                    self._heard(outlet, stream, path, message.data)
        finally:
            self.streams.pop(outlet, None)
            stream.closed()
            what = "cut as too slow" if outlet.too_slow else "closed"
            self._write(
                "stream", what=what, path=path, account=outlet.account, messages=outlet.messages
            )
        return wire

    def _heard(self, outlet: Outlet, stream: Socket, path: str, data: str | bytes) -> None:
        text = data if isinstance(data, str) else data.decode(errors="replace")
        stream.heard(text)
        outlet.account = getattr(stream, "account", "")
        if self.journal is not None:
            asked = ASKED.search(text)
            what = asked[1] if asked else "other"
            self._write("heard", what=what, path=path, account=outlet.account)


def _head(answer: Answer, length: int) -> bytes:
    """Return a response's head that announces a length of its own."""
    lines = [
        f"HTTP/1.1 {answer.status} OK",
        f"Content-Type: {answer.content_type}",
        f"Content-Length: {length}",
        *(f"{name}: {value}" for name, value in answer.headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def _reset(transport: asyncio.Transport) -> None:
    """End a connection so that the other side is told of a reset."""
    raw = socket.socket(fileno=socket.dup(transport.get_extra_info("socket").fileno()))
    with raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
    transport.abort()
