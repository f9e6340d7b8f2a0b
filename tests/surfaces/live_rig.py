"""A service with live events over real sockets, and clients that listen to it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
from websockets.asyncio.client import ClientConnection, connect

from tests.surfaces.api_rig import OpenDoor, health, signed
from tradefleet.domain.effects import Notify, Topic
from tradefleet.quota import Quotas
from tradefleet.runtime.real_world import RandomIds, RealClock
from tradefleet.surfaces.api.live import Live, live_routes
from tradefleet.surfaces.api.live_hub import LiveHub
from tradefleet.surfaces.api.live_ticket import Tickets
from tradefleet.surfaces.api.server import HttpSurface

PATIENCE = 10.0


class Service:
    """One process: a hub and a server of what is live over a store, without commands."""

    def __init__(self, store: Any, port: int, hub: LiveHub) -> None:
        self.store, self.port, self.hub = store, port, hub

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api/v1"

    def listen(self, user: str = "alice_id", path: str = "", **more: Any) -> connect:
        given = {"additional_headers": signed(user), "compression": None, **more}
        return connect(f"ws://127.0.0.1:{self.port}/api/v1/ws{path}", **given)

    async def notice(self, user: str = "alice_id", text: str = "hello") -> None:
        await notice(self.store, user, text)


async def notice(store: Any, user: str = "alice_id", text: str = "hello") -> None:
    async with store.open(user) as own:
        await own.notify(Notify(user, Topic.SYSTEM, text, RealClock().now()))


@asynccontextmanager
async def serving(store: Any, quotas: Quotas | None = None) -> AsyncIterator[Service]:
    clock = RealClock()
    hub = LiveHub(store, clock)
    live = Live(store=store, hub=hub, door=OpenDoor(), tickets=Tickets(store, clock, RandomIds()))
    http = HttpSurface(
        host="127.0.0.1",
        port=0,
        health=health,
        is_ready=lambda: True,
        door=OpenDoor(),
        more=[live_routes(live)],
        quotas=quotas,
    )
    listener = http.listen()
    listener.listen()  # who comes before the server runs waits for it
    tasks = [asyncio.create_task(hub.run()), asyncio.create_task(http.serve(listener))]
    try:
        yield Service(store, listener.getsockname()[1], hub)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        listener.close()


async def told(client: ClientConnection, *, equity: bool = False) -> dict[str, Any]:
    """Return the next event a WebSocket is told; without those that only say what all is worth."""
    async with asyncio.timeout(PATIENCE):
        while True:
            event: dict[str, Any] = orjson.loads(await client.recv())
            if equity or event["type"] not in ("equity", "beat"):
                return event
