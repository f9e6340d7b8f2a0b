"""WebSocket connections that are kept open: connect, greet, listen, and begin again."""

import asyncio
import logging
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson

from tradefleet.domain.errors import VenueUnavailable
from tradefleet.engine.pace import Backoff, Priority
from tradefleet.venue import VenueCall
from tradefleet.venues._ccxt.amounts import UNREADABLE
from tradefleet.venues._ccxt.environment import NOBODY, Environment
from tradefleet.venues._ccxt.wire import said

logger = logging.getLogger(__name__)

BACKOFF = Backoff(1.0, 2.0, 60.0)  # seconds between two tries to connect
BEAT_SECONDS = 15.0  # a connection that leaves a ping unanswered for half of it is dead
PING_SECONDS = 18.0  # where a venue wants pings of its own form
MESSAGE_MAX = 8 * 1024 * 1024  # bytes
CONNECT_SECONDS = 10.0
CLOSING = aiohttp.ClientWSTimeout(ws_close=1.0)
TALK_SECONDS = 0.25  # between two things we say: Binance hears five a second


def silent() -> Sequence[str]:
    return ()


@dataclass(slots=True, kw_only=True, eq=False)
class Line:
    """One connection. greeting is said first; hear takes every message, parsed.

    up and down are told when it begins and ceases to hear; name is for the log, and decides
    who comes back a little earlier than others.
    """

    environment: Environment
    url: str
    name: str
    hear: Callable[[Any], None]
    greeting: Callable[[], Sequence[str]] = silent
    up: Callable[[], None] = lambda: None
    down: Callable[[str], None] = lambda why: None
    ping: str = ""
    failures: int = 0
    _socket: aiohttp.ClientWebSocketResponse | None = None

    @property
    def is_up(self) -> bool:
        return self._socket is not None

    async def say(self, text: str) -> None:
        """Say something on the open line; VenueUnavailable when it is not open."""
        if self._socket is None:
            raise VenueUnavailable(f"the stream {self.name} is not open")
        try:
            await self._socket.send_str(text)
        except (aiohttp.ClientError, OSError, RuntimeError):
            raise VenueUnavailable(f"the stream {self.name} is closing") from None

    async def hang_up(self) -> None:
        """End the connection; the line begins anew by itself."""
        if self._socket is not None:
            await self._socket.close()

    async def run(self) -> None:
        """Keep the line open until cancelled."""
        while True:
            try:
                why = await self._once()
            except VenueUnavailable as error:
                why = str(error)
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                why = said(error)
            finally:
                self._socket = None
            self.failures += 1
            logger.info("stream %s: %s", self.name, why)
            self.down(why)
            jitter = zlib.crc32(self.name.encode()) % 1000 / 1000
            await self.environment.clock.sleep(BACKOFF.wait(self.failures, jitter))

    async def _once(self) -> str:
        """Connect and listen until the connection ends; return why it did."""
        await self.environment.pacer.turn(
            VenueCall(
                venue=self.environment.name,
                key="",
                user_id=NOBODY,
                priority=Priority.RECONCILIATION,
                costs={"connections": 1},
            )
        )
        async with asyncio.timeout(CONNECT_SECONDS):
            socket = await self.environment.transport.session.ws_connect(
                self.url,
                heartbeat=BEAT_SECONDS,
                compress=0,
                max_msg_size=MESSAGE_MAX,
                timeout=CLOSING,
            )
        async with socket:
            self._socket = socket
            for number, text in enumerate(self.greeting()):
                await self.environment.clock.sleep(TALK_SECONDS if number else 0)
                await self.say(text)
            self.up()
            if not self.ping:
                return await self._listen(socket)
            async with asyncio.TaskGroup() as beside:
                pinging = beside.create_task(self._keep_pinging())
                why = await self._listen(socket)
                pinging.cancel()
            return why

    async def _keep_pinging(self) -> None:
        with suppress(VenueUnavailable):  # whoever listens learns of it, too
            while True:
                await self.environment.clock.sleep(PING_SECONDS)
                await self.say(self.ping)

    async def _listen(self, socket: aiohttp.ClientWebSocketResponse) -> str:
        try:
            async for frame in socket:
                if frame.type is aiohttp.WSMsgType.TEXT:
                    self.failures = 0
                    self._take(frame.data)
        except (aiohttp.ClientError, OSError) as error:
            return said(error)
        return f"it was closed ({socket.close_code})"

    def _take(self, data: str) -> None:
        """Pass a message on; one that cannot be read is left out, whatever it was."""
        try:
            self.hear(orjson.loads(data))
        except UNREADABLE as error:
            logger.debug("stream %s: unreadable (%s)", self.name, type(error).__name__)
