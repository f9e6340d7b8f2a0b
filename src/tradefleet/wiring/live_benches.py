"""Measure live events: many WebSocket clients against the real server in a process of its own."""

import asyncio
import gc
import json
import os
import resource
import sys
import tempfile
import time
from asyncio.subprocess import PIPE
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from tradefleet.counters.memory import MemoryCounters
from tradefleet.domain.credentials import Secret
from tradefleet.domain.effects import Notify, Topic
from tradefleet.domain.errors import ensure
from tradefleet.domain.ids import UserId
from tradefleet.domain.user import User
from tradefleet.identity import TOKEN_PREFIX, PersonalToken, Right, hash_of
from tradefleet.operations.sign_in.access import AccessTokens
from tradefleet.operations.sign_in.passwords import Passwords
from tradefleet.operations.sign_in.sessions import SignIn
from tradefleet.operations.sign_in.throttle import Throttle
from tradefleet.quota import Quotas
from tradefleet.runtime.real_world import RandomIds, RealClock
from tradefleet.store import Batch, Lease
from tradefleet.stores.sql import SqlStore, open_store
from tradefleet.surfaces.api.door import SignInDoor
from tradefleet.surfaces.api.live import Live, live_routes
from tradefleet.surfaces.api.live_hub import LiveHub
from tradefleet.surfaces.api.live_ticket import Tickets
from tradefleet.surfaces.api.server import HttpSurface
from tradefleet.surfaces.cli.loop import run_on_loop

ROUNDS = 10  # events to each client that are timed
SINGLE = 200  # events to one client alone
CONNECTING = 50  # clients that connect at once
PATIENCE = 120.0
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
SERVER = "from tradefleet.wiring import live_benches; live_benches.serve()"
FOREVER = 1e8


def live(clients: int) -> dict[str, Any]:
    """Connect clients, one for each user; then let something happen to all, and to one."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    return asyncio.run(_live(clients))


# ---- the server's process


def serve() -> None:
    """Serve until stdin ends; a line of it is done at once: all, one, memory."""
    run_on_loop(_serve(int(os.environ["TRADEFLEET_BENCH_USERS"])))


def user_id(number: int) -> UserId:
    return UserId(f"u{number:05}")


def token_of(number: int) -> str:
    return f"{TOKEN_PREFIX}{number:032x}"


async def _serve(users: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = await open_store(f"sqlite:///{folder}/bench.db")
        leases = await _make_users(store, users)
        clock, ids = RealClock(), RandomIds()
        sign_in = SignIn(
            store=store,
            clock=clock,
            ids=ids,
            access=AccessTokens((Secret("x" * 32),)),
            passwords=Passwords(),
            throttle=Throttle(store.identity, clock, Quotas(counters=MemoryCounters(clock))),
        )
        hub, door = LiveHub(store, clock), SignInDoor(sign_in)
        routes = live_routes(
            Live(store=store, hub=hub, door=door, tickets=Tickets(store, clock, ids))
        )
        http = HttpSurface(
            host="127.0.0.1", port=0, health=_health, is_ready=lambda: True, more=[routes]
        )
        listener = http.listen()
        listener.listen(4096)
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(hub.run()), tasks.create_task(http.serve(listener))]
            await _obey(store, leases, listener.getsockname()[1])
            for task in running:
                task.cancel()
        await store.close()


async def _health() -> dict[str, Any]:
    return {"overall_status": "healthy"}


async def _make_users(store: SqlStore, users: int) -> Sequence[Lease]:
    now = RealClock().now()
    for number in range(users):
        id = user_id(number)
        token = PersonalToken(
            id=f"t{number}",
            user_id=id,
            name="bench",
            hash=hash_of(token_of(number)),
            rights=(Right.READ,),
            created_at=now,
            expires_at=now + timedelta(days=1),
        )
        async with store.open(id) as own:
            await own.save_user(User(id=id, username=id, created_at=now))
            await own.identity.save_token(token)
            await own.ask_host("switches_changed", {})  # something to take a lease for
    return await store.take_leases("bench", now=now, ttl=FOREVER, limit=users)


async def _obey(store: SqlStore, leases: Sequence[Lease], port: int) -> None:
    loop = asyncio.get_running_loop()
    _say({"port": port})
    while line := (await loop.run_in_executor(None, sys.stdin.readline)).strip():
        if line == "memory":
            gc.collect()
            _say({"kib": _resident()})
            continue
        now = RealClock().now()
        told = leases if line == "all" else leases[:1]
        batches = [
            Batch(
                user_id=lease.user_id,
                epoch=lease.epoch,
                records=(Notify(lease.user_id, Topic.FILL, "Bought 0.1 BTC at 40000", now),),
            )
            for lease in told
        ]
        started = _clock()
        refused = [error for error in await store.write(batches) if error]
        ensure(not refused, f"refused: {refused[:1]}")
        _say({"started": started, "durable": _clock()})


def _clock() -> float:
    """Return seconds that all processes of the machine count alike."""
    return time.clock_gettime(time.CLOCK_MONOTONIC)


def _say(said: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


def _resident() -> int:
    """Return the KiB of memory this process has."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


# ---- the clients


class Client(asyncio.Protocol):
    """A WebSocket client that notes when each event came, and keeps nothing else."""

    def __init__(self, number: int, crowd: "Crowd") -> None:
        self._number = number
        self._crowd = crowd
        self._bytes = b""
        self._is_open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(
            f"GET /api/v1/ws HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n"
            f"Authorization: Bearer {token_of(self._number)}\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        at = _clock()
        self._bytes += data
        if not self._is_open:
            head, end, rest = self._bytes.partition(b"\r\n\r\n")
            if not end:
                return
            ensure(b" 101 " in head.split(b"\r\n")[0], f"refused: {head[:80]!r}")
            self._is_open, self._bytes = True, rest
        while (frame := self._next()) is not None:
            if b'"hello"' in frame:
                self._crowd.hello()
            elif b'"notice"' in frame:
                self._crowd.event(at)

    def _next(self) -> bytes | None:
        """Return the next frame, None when it is not all there; they are short and not masked."""
        if len(self._bytes) < 2:
            return None
        length, start = self._bytes[1] & 127, 2
        if length == 126:
            if len(self._bytes) < 4:
                return None
            length, start = int.from_bytes(self._bytes[2:4], "big"), 4
        if len(self._bytes) < start + length:
            return None
        frame, self._bytes = self._bytes[start : start + length], self._bytes[start + length :]
        return frame


class Crowd:
    """What all clients have seen."""

    def __init__(self) -> None:
        self.hellos = 0
        self.times: list[float] = []
        self.changed = asyncio.Event()

    def hello(self) -> None:
        self.hellos += 1
        self.changed.set()

    def event(self, at: float) -> None:
        self.times.append(at)
        self.changed.set()

    async def until(self, hellos: int = 0, events: int = 0) -> None:
        async with asyncio.timeout(PATIENCE):
            while self.hellos < hellos or len(self.times) < events:
                self.changed.clear()
                await self.changed.wait()


async def _live(clients: int) -> dict[str, Any]:
    server = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        SERVER,
        stdin=PIPE,
        stdout=PIPE,
        env={**os.environ, "TRADEFLEET_BENCH_USERS": str(clients)},
    )

    async def ask(line: str = "") -> dict[str, Any]:
        assert server.stdin is not None and server.stdout is not None
        if line:
            server.stdin.write(f"{line}\n".encode())
        answer: dict[str, Any] = json.loads(await server.stdout.readline())
        return answer

    try:
        port = (await ask())["port"]
        return await _measure(clients, port, ask)
    finally:
        if server.stdin is not None:
            server.stdin.close()  # it ends with it
        await server.wait()


async def _measure(clients: int, port: int, ask: Any) -> dict[str, Any]:
    crowd, loop = Crowd(), asyncio.get_running_loop()
    warm = await loop.create_connection(lambda: Client(0, crowd), "127.0.0.1", port)
    await crowd.until(hellos=1)  # imports and caches are nobody's
    warm[0].close()
    before = (await ask("memory"))["kib"]
    started = _clock()
    transports = []
    for first in range(0, clients, CONNECTING):
        numbers = range(first, min(first + CONNECTING, clients))
        made = [
            loop.create_connection(partial(Client, number, crowd), "127.0.0.1", port)
            for number in numbers
        ]
        transports += [transport for transport, _ in await asyncio.gather(*made)]
        await crowd.until(hellos=1 + numbers[-1] + 1)
    connected = _clock() - started
    idle = (await ask("memory"))["kib"]
    to_all = await _times(crowd, ask, "all", clients, ROUNDS)
    to_one = await _times(crowd, ask, "one", 1, SINGLE)
    after = (await ask("memory"))["kib"]
    for transport in transports:
        transport.close()
    return {
        "clients": clients,
        "connected_s": round(connected, 2),
        "kib_per_client": round((idle - before) / clients, 1),
        "loaded_kib_per_client": round((after - before) / clients, 1),
        "to_all_p50_ms": round(to_all[len(to_all) // 2] * 1000, 1),
        "to_all_p99_ms": round(to_all[int(len(to_all) * 0.99)] * 1000, 1),
        "to_all_last_ms": round(to_all[-1] * 1000, 1),
        "to_one_p50_ms": round(to_one[len(to_one) // 2] * 1000, 2),
        "to_one_p99_ms": round(to_one[int(len(to_one) * 0.99)] * 1000, 2),
        "server_mib": round(after / 1024),
        "floor_kib_per_client": 40,
        "floor_loaded_kib_per_client": 40,
    }


async def _times(crowd: Crowd, ask: Any, what: str, count: int, rounds: int) -> list[float]:
    """Return the seconds from before something is written down until each client was told."""
    found: list[float] = []
    for _ in range(rounds):
        crowd.times.clear()
        started = (await ask(what))["started"]
        await crowd.until(events=count)
        found += [at - started for at in crowd.times]
    return sorted(found)
