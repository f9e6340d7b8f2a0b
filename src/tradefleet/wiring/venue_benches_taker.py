"""A venue that takes every order at once and notes when it came: what a burst is measured on.

The simulated venue keeps books, and needs longer for an order than we do. Whatever else is asked
for is asked of it: `python -m tradefleet.wiring.venue_benches_taker URL` stands in front of it.
"""

import asyncio
import json
import sys
import time
from typing import Any

import aiohttp

from tradefleet.surfaces.cli.loop import run_on_loop

ORDER = b"POST /api/v3/order "
ARRIVALS = "/arrivals"
ID = b"newClientOrderId="
HERE = "127.0.0.1"
WANTED = ("x-mbx-apikey",)  # headers that are handed on


class Taker(asyncio.Protocol):
    """One connection: an order is answered on the spot, a question once the venue has answered."""

    def __init__(self, counter: "Counter") -> None:
        self.counter = counter
        self.transport: asyncio.Transport | None = None
        self._heard = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        arrived = time.perf_counter_ns()
        self._heard += data
        head, found, body = self._heard.partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        if not found or len(body) < int(length or 0):
            return
        self._heard = b""
        if head.startswith(ORDER):
            self.counter.arrivals.append(arrived)
            name = body.partition(ID)[2].partition(b"&")[0].decode()
            self.answer(self.counter.taken(name))
        else:
            self.counter.ask(self, head.decode())

    def answer(self, body: bytes, status: int = 200) -> None:
        if self.transport is not None:
            head = f"HTTP/1.1 {status} OK\r\nContent-Length: {len(body)}\r\n\r\n"
            self.transport.write(head.encode() + body)


class Counter:
    """What all connections share."""

    def __init__(self, behind: str, http: aiohttp.ClientSession, tasks: asyncio.TaskGroup) -> None:
        self.behind = behind
        self.http = http
        self.tasks = tasks
        self.arrivals: list[int] = []  # nanoseconds of a clock that all processes share
        self.orders = 0

    def taken(self, name: str) -> bytes:
        self.orders += 1
        return (
            b'{"symbol":"BTCUSDT","orderId":%d,"orderListId":-1,"clientOrderId":"%s",'
            b'"transactTime":1}' % (self.orders, name.encode())
        )

    def ask(self, asker: Taker, head: str) -> None:
        self.tasks.create_task(self._ask(asker, head))

    async def _ask(self, asker: Taker, head: str) -> None:
        first, *lines = head.split("\r\n")
        target = first.split(" ")[1]
        if target == ARRIVALS:
            found, self.arrivals = self.arrivals, []
            asker.answer(json.dumps(found).encode())
            return
        pairs = (line.partition(":") for line in lines)
        headers = {name: value.strip() for name, _, value in pairs if name.lower() in WANTED}
        async with self.http.get(f"{self.behind}{target}", headers=headers) as answer:
            asker.answer(await answer.read(), answer.status)


async def serve(behind: str) -> None:
    loop = asyncio.get_running_loop()
    async with aiohttp.ClientSession() as http, asyncio.TaskGroup() as tasks:
        counter = Counter(behind, http, tasks)
        server = await loop.create_server(lambda: Taker(counter), HERE, 0, backlog=1024)
        port = server.sockets[0].getsockname()[1]
        sys.stdout.write(f"http://{HERE}:{port}\n")
        sys.stdout.flush()
        await server.serve_forever()


if __name__ == "__main__":
    run_on_loop(serve(sys.argv[1]))
