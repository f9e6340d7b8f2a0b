"""A receiver of alerts on this machine: real HTTP, and it answers as a test says."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass(slots=True)
class Heard:
    """One request: where, the headers, and the body as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def said(self) -> Any:
        return json.loads(self.body)


@dataclass(slots=True)
class LocalReceiver:
    """answers: (status, headers, text) by path, used up first to last; then 200.

    silent: paths at which nothing is ever answered.
    """

    url: str = ""
    heard: list[Heard] = field(default_factory=list)
    answers: dict[str, list[tuple[int, dict[str, str], str]]] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def _on_post(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.heard.append(Heard(request.path, dict(request.headers), body))
        if request.path in self.silent:
            await self.over.wait()
        waiting = self.answers.get(request.path)
        status, headers, text = waiting.pop(0) if waiting else (200, {}, "ok")
        return web.Response(status=status, headers=headers, text=text)

    def at(self, path: str) -> list[Heard]:
        return [each for each in self.heard if each.path == path]


@asynccontextmanager
async def local_receiver() -> AsyncIterator[LocalReceiver]:
    """Serve on a free port of this machine."""
    found = LocalReceiver()
    app = web.Application()
    app.router.add_post("/{path:.*}", found._on_post)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    found.url = f"http://127.0.0.1:{port}"
    try:
        yield found
    finally:
        found.over.set()
        await runner.cleanup()
