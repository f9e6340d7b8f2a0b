"""Requests at a pace that nobody's answers slow down, over connections that stay open."""

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast

from tradefleet.domain.errors import Refused
from tradefleet.simulation.noise import key_of, lattice

CONNECTIONS = 64  # at most, each asked in turn; the service closes what is silent for seconds
BACKLOG_MAX = 20_000  # requests without a connection: the service cannot keep up at all
HEAD_END = b"\r\n\r\n"
LENGTH = b"content-length: "
LOOK_SECONDS = 0.01
PATIENCE = 60.0  # seconds for what is still under way at the end


@dataclass(frozen=True, slots=True)
class Shot:
    """One request: what it is called in the figures, and all its bytes."""

    name: str
    wire: bytes


@dataclass(slots=True)
class Answered:
    """What came of one request; seconds from when it was due, whenever it could be sent."""

    name: str
    status: int
    seconds: float
    late: float  # seconds the generator itself sent it too late


def arrivals(per_second: float, seed: int) -> Iterator[float]:
    """Yield the times, in seconds from the start, of requests that know nothing of each other."""
    key, at, number = key_of(seed, "arrivals"), 0.0, 0
    while True:
        uniform = (lattice(key, number) + 1) / 2
        at -= math.log(1 - uniform) / per_second
        yield at
        number += 1


@dataclass(slots=True)
class Load:
    """Sends each request when it is due, on the first connection that is free."""

    shots: Callable[[int], Shot]
    counted_from: float = 0.0
    answered: list[Answered] = field(default_factory=list)
    under_way: int = 0
    broken: bool = False
    free: "deque[Line]" = field(default_factory=deque)
    waiting: "deque[tuple[Shot, float]]" = field(default_factory=deque)

    async def run(
        self, port: int, per_second: float, warm: float, seconds: float
    ) -> Sequence[Answered]:
        """Return what came of the requests of so many seconds, after some that do not count."""
        loop = asyncio.get_running_loop()
        lines = []
        for _ in range(min(CONNECTIONS, math.ceil(per_second))):
            _, line = await loop.create_connection(lambda: Line(self), "127.0.0.1", port)
            lines.append(line)
        start = time.perf_counter()
        self.counted_from = start + warm
        for number, after in enumerate(arrivals(per_second, seed=1)):
            if after > warm + seconds:
                break
            due = start + after
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            self.send(self.shots(number), due)
            if self.broken or len(self.waiting) > BACKLOG_MAX:
                raise Refused(f"The service does not serve {per_second:.0f} requests/s.")
        for _ in range(int(PATIENCE / LOOK_SECONDS)):
            if not self.under_way and not self.waiting:
                break
            await asyncio.sleep(LOOK_SECONDS)
        if self.under_way or self.waiting:
            raise Refused("The service left requests without an answer.")
        for line in lines:
            line.close()
        return self.answered

    def send(self, shot: Shot, due: float) -> None:
        if self.free:
            self.under_way += 1
            self.free.popleft().send(shot, due)
        else:
            self.waiting.append((shot, due))

    def done(self, line: "Line", shot: Shot, due: float, sent: float, status: int) -> None:
        self.under_way -= 1
        if due >= self.counted_from:
            took = time.perf_counter() - due
            self.answered.append(Answered(shot.name, status, took, sent - due))
        self.free.append(line)
        if self.waiting:
            self.send(*self.waiting.popleft())

    def lost(self, line: "Line", *, was_asked: bool) -> None:
        self.broken |= was_asked
        if line in self.free:
            self.free.remove(line)


class Line(asyncio.Protocol):
    """One connection that stays open: a request, its answer, the next request."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.transport: asyncio.Transport | None = None
        self.shot: Shot | None = None
        self.due = self.sent = 0.0
        self.got = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.load.free.append(self)

    def send(self, shot: Shot, due: float) -> None:
        assert self.transport is not None
        self.shot, self.due, self.sent = shot, due, time.perf_counter()
        self.transport.write(shot.wire)

    def data_received(self, data: bytes) -> None:
        self.got += data
        head, end, body = self.got.partition(HEAD_END)
        if not end:
            return
        at = head.lower().index(LENGTH) + len(LENGTH)
        if len(body) < int(head[at : at + 12].split(b"\r\n")[0]):
            return
        self.got = b""
        assert self.shot is not None
        shot, self.shot = self.shot, None
        self.load.done(self, shot, self.due, self.sent, int(head[9:12]))

    def connection_lost(self, error: Exception | None) -> None:
        self.load.lost(self, was_asked=self.shot is not None)

    def close(self) -> None:
        assert self.transport is not None
        self.transport.close()
