"""One request, one answer: what goes out and comes back, and whether anything left at all."""

import asyncio
import re
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import urlsplit

import aiohttp

from tradefleet.domain.errors import OutcomeUnknown
from tradefleet.venues._ccxt.calls import Unserved
from tradefleet.venues._ccxt.connections import Answer as Answer
from tradefleet.venues._ccxt.connections import Broken, Exchange, Host, HungUp

CONNECTIONS_MAX = 200  # to one host
PORTS = {"https": 443, "http": 80}
NOT_IN_A_LINE = re.compile(r"[^\n -~]")


@dataclass(frozen=True, slots=True)
class Wire:
    """One HTTP request, ready to go; what is in it is for the venue alone."""

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False, default_factory=dict)
    body: bytes | None = field(repr=False, default=None)


@lru_cache(maxsize=1)
def trusted() -> ssl.SSLContext:
    """Return the process's one TLS context: each costs half a megabyte of certificates."""
    return ssl.create_default_context()


@dataclass(slots=True, eq=False)
class Transport:
    """All connections of a venue, shared by its accounts. It sends what it is given once."""

    venue: str
    _hosts: dict[str, Host] = field(default_factory=dict)
    _session: aiohttp.ClientSession | None = None

    @property
    def session(self) -> aiohttp.ClientSession:
        """Return the session for streams, opened at the first use."""
        if self._session is None:
            connector = aiohttp.TCPConnector(ssl=trusted(), limit=0)
            self._session = aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._session

    async def send(self, wire: Wire, seconds: float) -> Answer:
        """Send a request once and return the answer.

        Raise Unserved when provably not one byte left, OutcomeUnknown when one may have. A
        question alone (GET) is asked again, once, when the connection proves to be dead already.
        """
        exchange = None
        due = asyncio.get_running_loop().time() + seconds
        try:
            host, request = self._written(wire)
            exchange = Exchange(request)
            if wire.method != "GET":
                host.needed = max(host.needed, host.under_way + 1)
            try:
                return await host.ask(exchange, due)
            except HungUp:
                if wire.method != "GET" or not exchange.reused:
                    raise
            return await host.ask(Exchange(request), due, fresh=True)
        except (Broken, OSError, ValueError, TimeoutError) as error:
            what = said(error)
        if exchange is not None and exchange.begun:
            raise OutcomeUnknown(f"{self.venue}: {what}, and the request may have arrived")
        raise Unserved(f"{self.venue}: {what}; nothing was sent")

    def _written(self, wire: Wire) -> tuple[Host, bytes]:
        """Return where a request goes, and its bytes; ValueError for what cannot be sent."""
        end = wire.url.find("/", wire.url.find("://") + 3)
        origin, target = wire.url[:end], wire.url[end:]
        host = self._hosts.get(origin) or self._open(origin)
        lines = [f"{wire.method} {target} HTTP/1.1", f"Host: {origin[origin.find('://') + 3 :]}"]
        lines += [f"{name}: {value}" for name, value in wire.headers.items()]
        if wire.method == "GET":
            lines.append("Accept-Encoding: gzip")
        body = wire.body or b""
        if body or wire.method == "POST":
            lines.append(f"Content-Length: {len(body)}")
        head = "\n".join(lines)  # none of them may hold a line's end itself
        if NOT_IN_A_LINE.search(head) or head.count("\n") >= len(lines):
            raise ValueError("a line of the request holds what no line may hold")
        return host, head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body

    async def open_ahead(self, least: int = 0) -> None:
        """Open the connections that orders will need, as many as were needed lately."""
        for host in list(self._hosts.values()):
            host.needed = max(host.needed, least)
            await host.open_ahead()

    def _open(self, origin: str) -> Host:
        parts = urlsplit(origin)
        if parts.scheme not in PORTS or parts.hostname is None:
            raise ValueError("no address")
        context = trusted() if parts.scheme == "https" else None
        host = Host(parts.hostname, parts.port or PORTS[parts.scheme], context, CONNECTIONS_MAX)
        self._hosts[origin] = host
        return host

    async def close(self) -> None:
        for host in self._hosts.values():
            host.close()
        if self._session is not None:
            await self._session.close()


def said(error: BaseException) -> str:
    """Return what went wrong on the way, without address, headers or body."""
    match error:
        case Broken():
            return str(error)
        case socket.gaierror() | aiohttp.ClientConnectorDNSError():
            return "its name cannot be looked up"
        case ssl.SSLError() | aiohttp.ClientSSLError():
            return "no secure connection"
        case aiohttp.WSServerHandshakeError():
            return f"it refused the stream with status {error.status}"
        case TimeoutError():
            return "no answer in time"
        case OSError():
            return "no connection"
        case _:
            return f"the request failed ({type(error).__name__})"
