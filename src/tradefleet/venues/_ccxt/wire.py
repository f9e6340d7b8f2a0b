"""HTTP as it really went: status, headers and bytes, and whether anything left at all."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import SimpleNamespace

import aiohttp
from yarl import URL

from tradefleet.domain.errors import OutcomeUnknown
from tradefleet.venues._ccxt.calls import Unserved

CONNECT_SECONDS = 5.0
IDLE_SECONDS = 30.0  # a connection that was idle longer is not used again: the venue may close it
CONNECTIONS_MAX = 200  # to all hosts together; whoever comes after them waits
NO_CHANGE = {"Accept-Encoding": "identity"}


@dataclass(frozen=True, slots=True)
class Wire:
    """One HTTP request, ready to go; what is in it is for the venue alone."""

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False, default_factory=dict)
    body: bytes | None = field(repr=False, default=None)


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP response, read to its end; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Departure:
    """Whether a request may have left: set before its first byte is written."""

    __slots__ = ("begun",)

    def __init__(self) -> None:
        self.begun = False


async def _headers_sent(
    session: aiohttp.ClientSession,
    context: SimpleNamespace,
    params: aiohttp.TraceRequestHeadersSentParams,
) -> None:
    departure = context.trace_request_ctx
    if isinstance(departure, Departure):
        departure.begun = True


@lru_cache(maxsize=1)
def trusted() -> ssl.SSLContext:
    """Return the process's one TLS context: each costs half a megabyte of certificates."""
    return ssl.create_default_context()


@dataclass(slots=True, eq=False)
class Transport:
    """The one HTTP session of a venue, shared by all accounts; it retries no order."""

    venue: str
    _session: aiohttp.ClientSession | None = None

    @property
    def session(self) -> aiohttp.ClientSession:
        """Return the session, opened at the first use; one that was closed stays closed."""
        if self._session is None:
            tracing = aiohttp.TraceConfig()
            tracing.on_request_headers_sent.append(_headers_sent)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    ssl=trusted(), limit=CONNECTIONS_MAX, keepalive_timeout=IDLE_SECONDS
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                trace_configs=[tracing],
            )
        return self._session

    async def send(self, wire: Wire, seconds: float) -> Answer:
        """Send a request once and return the answer.

        Raise Unserved when provably not one byte left, OutcomeUnknown when one may have.
        """
        departure = Departure()
        try:
            async with self.session.request(
                wire.method,
                URL(wire.url, encoded=True),
                headers=wire.headers,
                data=wire.body,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=seconds, sock_connect=CONNECT_SECONDS),
                trace_request_ctx=departure,
            ) as response:
                body = await response.read()
                headers = {name.lower(): value for name, value in response.headers.items()}
                return Answer(response.status, headers, body)
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            what = said(error)
        if departure.begun:
            raise OutcomeUnknown(f"{self.venue}: {what}, and the request may have arrived")
        raise Unserved(f"{self.venue}: {what}; nothing was sent")

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


def said(error: BaseException) -> str:
    """Return what went wrong on the way, without address, headers or body."""
    match error:
        case aiohttp.ClientConnectorDNSError():
            return "its name cannot be looked up"
        case aiohttp.ClientSSLError() | ssl.SSLError():
            return "no secure connection"
        case aiohttp.ClientConnectorError():
            return "no connection"
        case TimeoutError():
            return "no answer in time"
        case aiohttp.ServerDisconnectedError():
            return "it hung up without an answer"
        case aiohttp.ClientPayloadError():
            return "its answer was cut off"
        case aiohttp.WSServerHandshakeError():
            return f"it refused the stream with status {error.status}"
        case aiohttp.ClientResponseError():
            return "its answer is no HTTP"
        case OSError():
            return "the connection broke"
        case _:
            return f"the request failed ({type(error).__name__})"
