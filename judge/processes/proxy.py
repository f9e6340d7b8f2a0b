"""The network between hosts and venues: a TCP proxy that delays, drops, doubles and cuts.

Each host has ports of its own, one for each venue, so that it is known whose request it was. It
reads just so much HTTP as it takes to know where a request and its answer end; what they say is
carried as it came. A request once read may arrive though its sender is dead meanwhile, as in any
network. What goes wrong is drawn from a seed, counted, and told.
"""

import asyncio
import socket
import struct
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType
from typing import Self, TypeAlias

from venuesim.seeded import Dice, dice

HEAD_MAX = 256 * 1024  # bytes of a request's or an answer's head
PIECE = 64 * 1024
CONNECT_SECONDS = 5.0
DELAY_MAX = 120.0
KEY_HEADERS = (b"x-mbx-apikey", b"x-bapi-api-key", b"api-key")
LINGER_NOT = struct.pack("ii", 1, 0)
NO_BODY = (b"204", b"304")


class Trouble(StrEnum):
    """What the network does; words as the simulated venues' own faults have them."""

    REFUSED = "connection refused"
    REQUEST_LOST = "request lost"
    REQUEST_DELAYED = "request delayed"
    REQUEST_DUPLICATED = "request duplicated"
    REQUEST_CUT = "request cut"
    RESET_BEFORE = "reset before"
    RESET_AFTER = "reset after"
    ANSWER_LOST = "answer lost"
    ANSWER_DELAYED = "answer delayed"
    ANSWER_CUT = "answer cut"
    BODY_CUT = "body cut"
    HALF_CLOSED = "half closed"
    SLOW = "slow answer"
    STREAM_CUT = "stream cut"
    STREAM_STALLED = "stream stalled"


OF_STREAMS = frozenset({Trouble.STREAM_CUT, Trouble.STREAM_STALLED})
Rates: TypeAlias = Mapping[str, Mapping[Trouble, float]]  # action → kind → probability

ORDERS: Mapping[Trouble, float] = {
    Trouble.REQUEST_LOST: 0.005,
    Trouble.REQUEST_DELAYED: 0.010,
    Trouble.REQUEST_DUPLICATED: 0.010,
    Trouble.REQUEST_CUT: 0.005,
    Trouble.RESET_BEFORE: 0.005,
    Trouble.RESET_AFTER: 0.008,
    Trouble.ANSWER_LOST: 0.008,
    Trouble.ANSWER_DELAYED: 0.008,
    Trouble.ANSWER_CUT: 0.006,
    Trouble.BODY_CUT: 0.006,
    Trouble.HALF_CLOSED: 0.005,
    Trouble.SLOW: 0.006,
}
QUESTIONS: Mapping[Trouble, float] = {kind: rate / 5 for kind, rate in ORDERS.items()}
STREAMS: Mapping[Trouble, float] = {Trouble.STREAM_CUT: 0.10, Trouble.STREAM_STALLED: 0.05}
CONNECTIONS: Mapping[Trouble, float] = {Trouble.REFUSED: 0.004}
RATES: Rates = {
    "create": ORDERS,
    "cancel": ORDERS,
    "read": QUESTIONS,
    "stream": STREAMS,
    "connect": CONNECTIONS,
}
# Mostly within every deadline, now and then far beyond every deadline and time-out.
DELAYS = (0.05, 0.05, 0.2, 0.2, 0.5, 1.0, 3.0, 6.0, 20.0, 61.0, DELAY_MAX)
ANSWER_DELAYS = (0.05, 0.2, 0.5, 1.0, 3.0, 11.0)

CREATES = {b"/api/v3/order", b"/v5/order/create", b"/0/private/AddOrder"}
CANCELS = {b"/v5/order/cancel", b"/0/private/CancelOrder"}


@contextmanager
def taken(port: int) -> Iterator[None]:
    """Keep a port from being given to anybody, while whoever knocks there is refused."""
    with socket.socket() as keeper:
        keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):  # somebody was quicker
            keeper.bind(("127.0.0.1", port))
        yield


@dataclass(frozen=True, slots=True)
class Struck:
    """One thing that went wrong; seconds, and at, the byte, where they say something."""

    kind: Trouble
    seconds: float = 0.0
    at: int = 0


@dataclass(frozen=True, slots=True)
class Message:
    """A request or an answer as it came over the wire."""

    head: bytes
    body: bytes
    headers: Mapping[bytes, bytes]

    @property
    def raw(self) -> bytes:
        return self.head + self.body

    @property
    def first(self) -> Sequence[bytes]:
        """The words of its first line."""
        return self.head.partition(b"\r\n")[0].split(b" ")

    @property
    def is_upgrade(self) -> bool:
        return b"upgrade" in self.headers.get(b"connection", b"").lower()

    @property
    def action(self) -> str:
        """What a request is about: create, cancel, or read."""
        method, target = self.first[0], self.first[1].partition(b"?")[0]
        if target in CREATES and method == b"POST":
            return "create"
        if target in CANCELS or (target in CREATES and method == b"DELETE"):
            return "cancel"
        return "read"

    @property
    def key(self) -> str:
        found = next((self.headers[name] for name in KEY_HEADERS if name in self.headers), b"")
        return found.decode("latin-1")


class Ended(Exception):
    """The other side hung up, or said what is no HTTP; reset: it did so rudely."""

    def __init__(self, *, reset: bool = False) -> None:
        super().__init__("the connection has ended")
        self.reset = reset


Tell: TypeAlias = Callable[["Door", Struck, str, str], None]  # …, action, key


@dataclass(slots=True)
class Plan:
    """What goes wrong when: drawn from the seed and how many such requests there were."""

    seed: int
    rates: Rates = field(default_factory=lambda: RATES)
    is_on: bool = True
    delay_max: float = DELAY_MAX
    once: list[tuple[str, Struck]] = field(default_factory=list)  # (action, what), before others
    _drawn: Counter[str] = field(default_factory=Counter)

    def rates_of(self, venue: str, action: str) -> Mapping[Trouble, float]:
        """Return what may go wrong with such requests.

        No create for Binance comes twice: TCP delivers nothing twice, and a venue that takes the
        name of a filled order again would fill it twice. docs/order-safety.md says what is then
        done about it, tests/e2e/test_venues_faults.py proves it.
        """
        found = self.rates.get(action, {})
        if (venue, action) != ("binance", "create"):
            return found
        return {kind: rate for kind, rate in found.items() if kind != Trouble.REQUEST_DUPLICATED}

    def draw(self, venue: str, action: str) -> Struck | None:
        for entry in self.once:
            if entry[0] == action:
                self.once.remove(entry)
                return entry[1]
        if not self.is_on:
            return None
        self._drawn[f"{venue} {action}"] += 1
        roll = dice(self.seed, "proxy", venue, action, self._drawn[f"{venue} {action}"])
        drawn = roll.random()
        for kind, rate in self.rates_of(venue, action).items():
            drawn -= rate
            if drawn < 0:
                return self._figured(kind, roll)
        return None

    def _figured(self, kind: Trouble, roll: Dice) -> Struck:
        match kind:
            case Trouble.REQUEST_DELAYED:
                return Struck(kind, min(roll.choice(DELAYS), self.delay_max))
            case Trouble.ANSWER_DELAYED:
                return Struck(kind, min(roll.choice(ANSWER_DELAYS), self.delay_max))
            case Trouble.REQUEST_LOST:
                return Struck(kind, roll.choice((0.05, 0.5, 3.0)))
            case Trouble.REFUSED:
                return Struck(kind, roll.uniform(0.05, 0.5))
            case Trouble.SLOW:
                return Struck(kind, roll.uniform(0.2, 2.0))
            case Trouble.STREAM_CUT:
                return Struck(kind, roll.uniform(0.0, 8.0))
            case Trouble.STREAM_STALLED:
                return Struck(kind, roll.uniform(0.5, 6.0))
            case Trouble.ANSWER_CUT | Trouble.BODY_CUT | Trouble.REQUEST_CUT:
                return Struck(kind, at=roll.randrange(0, 400))
            case _:
                return Struck(kind)


Pair: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(slots=True, eq=False)
class Door:
    """One port: where one host finds one venue."""

    host: str
    venue: str
    upstream: int
    port: int = 0
    server: asyncio.Server | None = None
    inside: set[asyncio.StreamWriter] = field(default_factory=set)
    is_closed: bool = False


@dataclass(slots=True, eq=False)
class Proxy:
    """All doors of a run; an async context. tell hears of everything that goes wrong."""

    plan: Plan
    tell: Tell
    struck: Counter[Trouble] = field(default_factory=Counter)
    carried: int = 0
    under_way: int = 0  # requests that were read, and have not gone where they were to go
    doors: list[Door] = field(default_factory=list)
    _hurry: asyncio.Event = field(default_factory=asyncio.Event)
    _serving: set[asyncio.Task[None]] = field(default_factory=set)
    _tasks: asyncio.TaskGroup = field(default_factory=asyncio.TaskGroup)

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._hurry.set()
        for door in list(self.doors):
            self.close(door)
        for task in self._serving:
            task.cancel()
        await self._tasks.__aexit__(kind, error, trace)
        await asyncio.sleep(0)  # for what was hung up to be closed

    # ----------------------------------------------------------------- doors

    async def open(self, host: str, venue: str, upstream: int) -> Door:
        """Open a port through which a host reaches a venue."""
        door = Door(host, venue, upstream)
        self.doors.append(door)
        await self._listen(door)
        return door

    async def _listen(self, door: Door) -> None:
        def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = self._tasks.create_task(self._serve(door, reader, writer))
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)

        door.server = await asyncio.start_server(
            serve, "127.0.0.1", door.port, limit=HEAD_MAX, backlog=1024
        )
        door.port = door.server.sockets[0].getsockname()[1]

    def close(self, door: Door) -> None:
        """Close a door for good: its host is gone. What was read still arrives."""
        door.is_closed = True
        self._shut(door)
        if door in self.doors:
            self.doors.remove(door)

    def _shut(self, door: Door) -> None:
        if door.server is not None:
            door.server.close()
            door.server = None
        for writer in list(door.inside):
            reset(writer)

    async def _refuse(self, door: Door, seconds: float) -> None:
        """Refuse connections for a while, and end those there are."""
        self._shut(door)
        with taken(door.port):
            await self._wait(seconds)
        while not door.is_closed and door.server is None:
            try:
                await self._listen(door)
            except OSError:  # somebody else has the port for a moment
                await asyncio.sleep(0.05)

    def calm(self) -> None:
        """Nothing goes wrong any more, and what was held up arrives now."""
        self.plan.is_on = False
        self._hurry.set()

    async def _wait(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._hurry.wait()

    def _strikes(self, door: Door, action: str, key: str) -> Struck | None:
        found = self.plan.draw(door.venue, action)
        if found is not None:
            self.struck[found.kind] += 1
            self.tell(door, found, action, key)
        return found

    # ----------------------------------------------------------- connections

    async def _serve(
        self, door: Door, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        door.inside.add(writer)
        upstream: Pair | None = None
        try:
            refused = self._strikes(door, "connect", "")
            if refused is not None and door.server is not None:
                self._tasks.create_task(self._refuse(door, refused.seconds))
                return
            upstream = await connect(door.upstream)
            while True:
                request = await read_message(reader, is_answer=False)
                if request.is_upgrade:
                    await self._stream(door, request, (reader, writer), upstream)
                    return
                self.carried += 1
                self.under_way += 1
                try:
                    await self._carry(door, request, (reader, writer), upstream)
                finally:
                    self.under_way -= 1
        except Cut as cut:
            with suppress(Ended):
                await deliver(writer, cut.partial)
        except Ended as ended:
            if ended.reset:
                reset(writer)
        except (OSError, TimeoutError, RuntimeError):  # a loop's word for: closed already
            reset(writer)
        finally:
            door.inside.discard(writer)
            hang_up([writer] if upstream is None else [writer, upstream[1]])

    async def _carry(self, door: Door, request: Message, client: Pair, upstream: Pair) -> None:
        """Bring a request to its venue and the answer back; Ended when that was the last."""
        reader, writer = client
        struck = self._strikes(door, request.action, request.key)
        match struck:
            case None:
                await deliver(writer, (await ask(upstream, request)).raw)
            case Struck(Trouble.REQUEST_LOST, seconds):
                await self._wait(seconds)
                raise Ended
            case Struck(Trouble.RESET_BEFORE):
                raise Ended(reset=True)
            case Struck(Trouble.REQUEST_CUT, at=at):
                upstream[1].write(request.raw[: min(at, len(request.raw) - 1)])
                await upstream[1].drain()
                raise Ended
            case Struck(Trouble.REQUEST_DELAYED, seconds):
                await self._wait(seconds)
                fresh = await connect(door.upstream)  # the old one may be idle for too long
                try:
                    answer = await ask(fresh, request)
                finally:
                    hang_up([fresh[1]])
                await deliver(writer, answer.raw)
            case Struck(Trouble.REQUEST_DUPLICATED):
                twin = await connect(door.upstream)
                try:
                    first, second = await asyncio.gather(ask(upstream, request), ask(twin, request))
                finally:
                    hang_up([twin[1]])
                await deliver(writer, (first if self.carried % 2 else second).raw)
            case Struck(Trouble.RESET_AFTER):
                await ask(upstream, request)
                raise Ended(reset=True)
            case Struck(Trouble.ANSWER_LOST):
                await ask(upstream, request)
                raise Ended
            case Struck(Trouble.ANSWER_DELAYED, seconds):
                answer = await ask(upstream, request)
                await self._wait(seconds)
                await deliver(writer, answer.raw)
            case Struck(Trouble.ANSWER_CUT, at=at):
                answer = await ask(upstream, request)
                await deliver(writer, answer.raw[: min(at, len(answer.raw) - 1)])
                raise Ended
            case Struck(Trouble.BODY_CUT, at=at):
                answer = await ask(upstream, request)
                cut = answer.body[: min(at, max(0, len(answer.body) - 1))]
                await deliver(writer, answer.head + cut)
                raise Ended
            case Struck(Trouble.HALF_CLOSED):
                writer.write_eof()
                await ask(upstream, request)
                await reader.read(1)
                raise Ended
            case Struck(Trouble.SLOW, seconds):
                await self._dribble(writer, (await ask(upstream, request)).raw, seconds)
            case _:
                await deliver(writer, (await ask(upstream, request)).raw)

    async def _dribble(self, writer: asyncio.StreamWriter, raw: bytes, seconds: float) -> None:
        """Send an answer in twenty pieces, spread over so many seconds."""
        size = max(1, len(raw) // 20)
        for start in range(0, len(raw), size):
            await deliver(writer, raw[start : start + size])
            await self._wait(seconds / 20)

    # --------------------------------------------------------------- streams

    async def _stream(self, door: Door, request: Message, client: Pair, upstream: Pair) -> None:
        """Carry a WebSocket until either side ends it, or the plan does."""
        struck = self._strikes(door, "stream", request.key)
        upstream[1].write(request.raw)
        stalls = struck is not None and struck.kind is Trouble.STREAM_STALLED
        async with asyncio.TaskGroup() as both:
            pumps = [
                both.create_task(self._pump(client[0], upstream[1])),
                both.create_task(
                    self._pump(upstream[0], client[1], struck.seconds if stalls and struck else 0)
                ),
            ]
            if struck is not None and struck.kind is Trouble.STREAM_CUT:
                pumps.append(both.create_task(self._wait(struck.seconds)))
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for pump in pumps:
                pump.cancel()
        if struck is not None and struck.kind is Trouble.STREAM_CUT:
            raise Ended(reset=True)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, stall: float = 0.0
    ) -> None:
        """Carry bytes one way; stall: after the first piece stand still for so long."""
        with suppress(OSError, RuntimeError):
            while (data := await reader.read(PIECE)) and not writer.transport.is_closing():
                writer.write(data)
                await writer.drain()
                if stall:
                    await self._wait(stall)
                    stall = 0.0


# ------------------------------------------------------------------------ the wire


async def connect(port: int) -> Pair:
    async with asyncio.timeout(CONNECT_SECONDS):
        return await asyncio.open_connection("127.0.0.1", port, limit=HEAD_MAX)


async def read_message(reader: asyncio.StreamReader, *, is_answer: bool) -> Message:
    """Return the next whole request, or answer; Ended when there is none."""
    head = b""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        headers = headers_of(head)
        length = headers.get(b"content-length")
        if length is not None:
            body = await reader.readexactly(int(length))
        elif is_answer and head[9:12] not in NO_BODY:
            body = await reader.read(-1)
        else:
            body = b""
    except ConnectionResetError:
        raise Ended(reset=True) from None
    except asyncio.IncompleteReadError as cut:
        if is_answer and (head or cut.partial):
            raise Cut(head + cut.partial) from None
        raise Ended from None
    except (asyncio.LimitOverrunError, ValueError):
        raise Ended(reset=True) from None
    return Message(head, body, headers)


class Cut(Ended):
    """A venue's answer ended before its end; what there was of it is passed on."""

    def __init__(self, partial: bytes) -> None:
        super().__init__()
        self.partial = partial


def headers_of(head: bytes) -> Mapping[bytes, bytes]:
    """Return a head's headers, names in lower case."""
    found = {}
    for line in head.split(b"\r\n")[1:]:
        name, colon, value = line.partition(b":")
        if colon:
            found[name.strip().lower()] = value.strip()
    return found


async def ask(upstream: Pair, request: Message) -> Message:
    """Send a request to the venue and return its answer; Ended when there is none."""
    reader, writer = upstream
    writer.write(request.raw)
    return await read_message(reader, is_answer=True)


async def deliver(writer: asyncio.StreamWriter, raw: bytes) -> None:
    """Send bytes to a client, who may be gone."""
    if writer.is_closing():
        raise Ended
    writer.write(raw)
    try:
        await writer.drain()
    except OSError:
        raise Ended from None


def reset(writer: asyncio.StreamWriter) -> None:
    """End a connection so that the other side is told of a reset."""
    handle = writer.get_extra_info("socket")
    if handle is not None and handle.fileno() >= 0 and not writer.is_closing():
        with socket.socket(fileno=socket.dup(handle.fileno())) as raw:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
    writer.transport.abort()


def hang_up(writers: Iterable[asyncio.StreamWriter]) -> None:
    for writer in writers:
        with suppress(OSError, RuntimeError):
            writer.close()
