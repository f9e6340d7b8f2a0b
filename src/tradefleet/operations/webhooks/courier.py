"""Posts to an address somebody else chose, and lets nothing of it reach inside.

A name is looked up once; unless every address it has is public, nothing is connected to. What is
connected to is what was looked up, and each socket is checked once more. No redirect is followed,
no proxy asked, no cookie kept, and of an answer only its status is read.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from tradefleet.domain.errors import Refused
from tradefleet.webhook import Target, may_reach, read_url

SECONDS = 5.0  # for everything: looking up, connecting, sending, the head of the answer
BODY_MAX = 65_536  # bytes that are sent
ADDRESSES_MAX = 8  # of one name that are tried
HEAD_MAX = 8_190  # bytes of one line of an answer's head

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


class NotReached(Exception):
    """There was no answer, and why; the text is for the webhook's owner and names no address."""


async def look_up(host: str, port: int) -> Sequence[str]:
    """Return the addresses of a name, as the machine's resolver has them."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


class Pinned(AbstractResolver):
    """Knows the addresses that were looked up, and no others."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for address in self._addresses
        ]

    async def close(self) -> None:
        """Nothing to close."""


class Courier:
    """Posts, one connection each; allow_local: this machine may be meant, too."""

    def __init__(
        self,
        *,
        allow_local: bool = False,
        resolve: Resolve = look_up,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self._allow_local = allow_local
        self._resolve = resolve
        self._trust = trust or ssl.create_default_context()

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """Post a body and return the status of the answer; raise NotReached when there is none."""
        if len(body) > BODY_MAX:
            raise NotReached(f"the event is larger than {BODY_MAX} bytes")
        try:
            target = read_url(url, allow_local=self._allow_local)
        except Refused as refusal:
            raise NotReached(str(refusal)) from None
        try:
            async with asyncio.timeout(SECONDS):
                return await self._post(target, url, body, headers)
        except TimeoutError:
            raise NotReached(f"no answer within {SECONDS:.0f} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise NotReached(cause_of(error)) from None

    async def _post(self, target: Target, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        connector = aiohttp.TCPConnector(
            resolver=Pinned(await self._addresses(target)),
            use_dns_cache=False,
            force_close=True,
            limit=1,
            ssl=self._trust,
            socket_factory=self._socket,
        )
        async with (
            aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                auto_decompress=False,
                max_line_size=HEAD_MAX,
                max_field_size=HEAD_MAX,
            ) as session,
            session.post(url, data=body, headers=dict(headers), allow_redirects=False) as answer,
        ):
            status = answer.status
            answer.close()  # whatever else it says is not read
            return status

    async def _addresses(self, target: Target) -> Sequence[str]:
        """Look up where to go; NotReached unless all of it is public."""
        literal = target.literal
        if literal is not None:
            addresses: Sequence[str] = [str(literal)]
        else:
            try:
                addresses = await self._resolve(target.host, target.port)
            except (OSError, UnicodeError):
                raise NotReached("its name is not known") from None
        if not addresses or not all(map(self._may_reach, addresses)):
            raise NotReached("its name does not lead to a public address")
        return list(dict.fromkeys(addresses))[:ADDRESSES_MAX]

    def _may_reach(self, address: str) -> bool:
        return may_reach(address, allow_local=self._allow_local)

    def _socket(self, info: Any) -> socket.socket:
        """Make the socket for an address, looked at once more: the last gate before a packet."""
        family, kind, protocol, _, address = info
        if not self._may_reach(str(address[0])):
            raise OSError("not a public address")
        made = socket.socket(family, kind, protocol)
        made.setblocking(False)
        return made


def cause_of(error: Exception) -> str:
    """Say why there was no answer, without what an answer or a library said."""
    match error:
        case aiohttp.ClientConnectorCertificateError() | ssl.SSLCertVerificationError():
            return "its certificate is not valid"
        case aiohttp.ClientSSLError():
            return "it speaks no proper TLS"
        case aiohttp.ClientConnectorError() | OSError():
            return "nothing can be connected to there"
        case _:
            return "its answer is no proper HTTP"
