"""A simulated venue for a test: in this process, or in one of its own for synchronous clients."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from venuesim.clock import Clock, ManualClock, RealClock
from venuesim.faults import FaultPlan
from venuesim.instruments import Listing
from venuesim.running import Protocols, Running, place_for, running

START = datetime(2026, 11, 21, 12, tzinfo=UTC)
START_MS = int(START.timestamp() * 1000)
SOURCE = Path(__file__).parents[2] / "src"
UP_WITHIN_S = 20


def clock_named(clock: str | Clock) -> Clock:
    if isinstance(clock, str):
        return ManualClock(START_MS) if clock == "manual" else RealClock()
    return clock


@asynccontextmanager
async def simulated(
    venue: str = "binance",
    *,
    clock: str | Clock = "real",
    instruments: Sequence[Listing] | None = None,
    seed: int = 1,
    faults: FaultPlan | None = None,
    journal: Path | None = None,
    compress: bool = False,
    protocol: Protocols | None = None,
    **options: Any,
) -> AsyncIterator[Running]:
    """A venue on a free port of this machine; options go to its Exchange.

    Every pair has its listing's price; there is no market but what the test ticks.
    """
    place = place_for(
        venue, clock=clock_named(clock), instruments=instruments, seed=seed, **options
    )
    async with running(
        venue,
        place,
        faults=faults,
        journal=journal,
        compress=compress,
        protocol=protocol,
    ) as sim:
        yield sim


async def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Return as soon as something is so; TimeoutError when it has not come about by then.

    Nobody waits that long but who fails: a machine may be busy with other things.
    """
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for sets no event
            await asyncio.sleep(0.005)


class AdminError(Exception):
    """The admin port said no."""


@dataclass(slots=True)
class Admin:
    """The admin port of a venue in another process, asked synchronously."""

    host: str
    port: int

    def ask(self, method: str, path: str, **fields: Any) -> Any:
        """Return the answer's JSON; AdminError with the port's words when it is a refusal."""
        connection = HTTPConnection(self.host, self.port, timeout=30)
        try:
            body = json.dumps(fields) if fields else None
            connection.request(method, path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            told = json.loads(answer.read())
        finally:
            connection.close()
        if answer.status != 200:
            raise AdminError(told.get("error", answer.status))
        return told

    def client(
        self,
        name: str,
        balances: Mapping[str, str] | None = None,
        permissions: Sequence[str] = ("read", "trade"),
        ips: Sequence[str] = (),
        **fields: Any,
    ) -> Any:
        """Create an account with money and a key: {"account", "api_key", "secret"}."""
        return self.ask(
            "POST",
            "/clients",
            name=name,
            balances={"USDT": "1000"} if balances is None else dict(balances),
            permissions=sorted(permissions),
            ips=list(ips),
            **fields,
        )

    def tick(self, symbol: str, price: str, quantity: str = "0.1") -> None:
        self.ask("POST", "/tick", symbol=symbol, price=price, quantity=quantity)


@dataclass(slots=True, kw_only=True)
class Process:
    """Venues in a process of their own; url and ws_url are the first one's.

    lines: what the process said when it started: {"ready": "venue" | "client" | "admin", …}.
    """

    venue: str
    url: str
    ws_url: str
    admin: Admin
    pid: int
    lines: list[dict[str, Any]]


@contextmanager
def simulated_process(venue: str = "binance", *words: str) -> Iterator[Process]:
    """Run python -m venuesim on free ports; words are more of its command line.

    Without a --market among them the market stands still until the test ticks.
    """
    market = [] if "--market" in words else ["--market", "none"]
    child = subprocess.Popen(
        [
            sys.executable, "-m", "venuesim", "--venue", venue, "--port", "0",
            "--admin-port", "0", *market, *words,
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    )  # fmt: skip
    try:
        lines = list(_start_up(child))
        venues = [line for line in lines if line["ready"] == "venue"]
        admin = next(line for line in lines if line["ready"] == "admin")
        yield Process(
            venue=venue,
            url=venues[0]["url"],
            ws_url=venues[0]["ws_url"],
            admin=Admin("127.0.0.1", int(admin["url"].rpartition(":")[2])),
            pid=child.pid,
            lines=lines,
        )
    finally:
        _stop(child)


def _start_up(child: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    """Return what the process says until it is ready; its errors when it ends instead."""
    assert child.stdout is not None and child.stderr is not None
    until = time.monotonic() + UP_WITHIN_S
    for text in child.stdout:
        line = json.loads(text)
        yield line
        if line["ready"] == "all":
            return
        if time.monotonic() > until:
            break
    child.kill()
    raise RuntimeError(f"venuesim did not start: {child.stderr.read()}")


def _stop(child: subprocess.Popen[str]) -> None:
    if child.poll() is None:
        child.send_signal(signal.SIGTERM)
    try:
        child.wait(10)
    finally:
        child.kill()
        child.wait()
        for pipe in (child.stdout, child.stderr):
            if pipe is not None:
                pipe.close()
