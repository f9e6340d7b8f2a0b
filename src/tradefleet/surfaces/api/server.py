"""Serve the HTTP interface in the loop the bots run in."""

import socket
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn
from fastapi import APIRouter, FastAPI

from tradefleet.clock import Clock
from tradefleet.dispatcher import Dispatcher
from tradefleet.domain.errors import Refused
from tradefleet.domain.tally import RequestTally
from tradefleet.quota import Quotas
from tradefleet.surfaces.api.app import build_app
from tradefleet.surfaces.api.caller import Door
from tradefleet.surfaces.api.health import Health
from tradefleet.surfaces.api.visits import Network

SAID_MAX = 4096  # bytes of what a client says over a WebSocket
TAKEN_WITHIN_MS = 60_000  # a client that takes nothing of what it is sent is cut off


class QuietServer(uvicorn.Server):
    """A server that leaves the process's signals to whoever runs the process."""

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


@dataclass(slots=True, kw_only=True)
class HttpSurface:
    """Everything that is reached by HTTP; door None: nobody can sign in."""

    host: str
    port: int
    health: Health
    is_ready: Callable[[], bool]
    dispatcher: Dispatcher | None = None
    door: Door | None = None
    more: Sequence[APIRouter] = ()
    quotas: Quotas | None = None
    proxies: Sequence[Network] = ()
    tally: RequestTally | None = None
    clock: Clock | None = None

    def app(self) -> FastAPI:
        return build_app(
            health=self.health,
            is_ready=self.is_ready,
            dispatcher=self.dispatcher,
            door=self.door,
            more=self.more,
            quotas=self.quotas,
            proxies=self.proxies,
            tally=self.tally,
            clock=self.clock,
        )

    def listen(self) -> socket.socket:
        """Take the address now; Refused says who to move when it is taken."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        # By its protocol asyncio knows that no answer may wait for more to be sent with it.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # taken over by what is accepted
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, TAKEN_WITHIN_MS)
        try:
            listener.bind((self.host, self.port))
        except OSError as error:
            listener.close()
            raise Refused(
                f"Cannot listen on {self.host}:{self.port} ({error.strerror}); "
                "stop what uses it or set HTTP_PORT to another port."
            ) from None
        return listener

    async def serve(self, listener: socket.socket) -> None:
        config = uvicorn.Config(
            self.app(),
            log_config=None,  # its lines are written like everybody's
            log_level=None,
            access_log=False,
            lifespan="off",
            loop="none",
            proxy_headers=False,  # it would believe whoever connects from this machine
            ws="websockets-sansio",
            ws_max_size=SAID_MAX,
            ws_per_message_deflate=False,  # 80 KiB of memory for each client
        )
        server = QuietServer(config)
        try:
            await server.serve(sockets=[listener])
        finally:
            for taken in vars(server).get("servers", ()):
                taken.close()
            # Who keeps a connection open would go on speaking with what runs no more.
            for connection in list(server.server_state.connections):
                if connection.transport is not None:
                    connection.transport.close()
