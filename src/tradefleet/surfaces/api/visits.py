"""Each request is a visit: where it comes from, who makes it, and whether they may ask again now.

Who is signed in is counted by user, whoever is not by address. What a visit's limits are and what
is left of them is told in every answer, by the fields RateLimit-Policy and RateLimit of the IETF's
draft-ietf-httpapi-ratelimit-headers-10; a refusal has Retry-After as well. What monitors ask is not
counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TypeAlias

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tradefleet.domain.errors import NotSignedIn, StoreError, TooMany
from tradefleet.quota import Asked, Quotas, policy_of, state_of
from tradefleet.surfaces.api.caller import Caller, Door
from tradefleet.surfaces.api.errors import refused

Network: TypeAlias = IPv4Network | IPv6Network
Address: TypeAlias = IPv4Address | IPv6Address

UNCOUNTED = frozenset({"/health", "/livez", "/readyz", "/metrics"})
UNCOUNTED_HERE = frozenset({"/stats", "/alerts"})  # when a monitor of our own machine asks
HERE = frozenset({"127.0.0.1", "::1"})
VISIT = "tradefleet.visit"  # in the scope of a request
HOPS_MAX = 20  # proxies that X-Forwarded-For may name


@dataclass(frozen=True, slots=True)
class Visit:
    """A request that was counted; fault: why nobody is known to have signed in."""

    caller: Caller | None
    fault: NotSignedIn | StoreError | None
    asked: Asked


class Counted:
    """Asks the door who calls and counts the request; refuses whoever is not signed in too often.

    Who is signed in is refused by `caller_of`, which knows what they ask for.
    """

    def __init__(self, app: ASGIApp, *, quotas: Quotas, door: Door) -> None:
        self.app = app
        self._quotas = quotas
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":  # whoever greets it looks whether it was once too often
            scope[VISIT] = await self._visit(scope)
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http" or is_monitor(scope):
            await self.app(scope, receive, send)
            return
        visit = await self._visit(scope)
        standings = visit.asked.standings
        told = [
            (b"ratelimit-policy", policy_of(standings).encode()),
            (b"ratelimit", state_of(standings).encode()),
        ]

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start" and standings:
                message["headers"] = [*message.get("headers", ()), *told]
            await send(message)

        if visit.caller is None:
            try:
                visit.asked.check()
            except TooMany as refusal:
                await refused(refusal)(scope, receive, sending)
                return
        scope[VISIT] = visit  # not in a copy: whoever measures reads there which route it was
        await self.app(scope, receive, sending)

    async def _visit(self, scope: Scope) -> Visit:
        address = address_of(scope)
        authorization = header(scope, b"authorization")
        fault: NotSignedIn | StoreError | None = None
        if authorization:
            try:
                caller = await self._door.caller(authorization, address)
            except StoreError as error:
                return Visit(None, error, Asked((), ""))
            except NotSignedIn as refusal:
                fault = refusal
            else:
                asked = await self._quotas.call(caller.user_id, caller.tier, caller.overrides)
                return Visit(caller, None, asked)
        return Visit(None, fault, await self._quotas.visit(address))


async def caller_of(request: HTTPConnection, door: Door, *, is_exit: bool = False) -> Caller:
    """Return who calls; raise NotSignedIn, or TooMany but for what only takes risk away."""
    visit: Visit | None = request.scope.get(VISIT)
    if visit is None or (visit.caller is None and visit.fault is None):
        authorization = request.headers.get("authorization", "")
        return await door.caller(authorization, address_of(request.scope))
    if visit.fault is not None:
        raise visit.fault
    if visit.caller is None:
        raise NotSignedIn("Sign in first.")
    if not is_exit:
        visit.asked.check()
    return visit.caller


def check_visit(connection: HTTPConnection) -> None:
    """Raise TooMany when a connection of nobody who is known yet was one too many."""
    visit: Visit | None = connection.scope.get(VISIT)
    if visit is not None:
        visit.asked.check()


def is_monitor(scope: Scope) -> bool:
    """Say whether a request is one that monitors make again and again, and is cheap."""
    path: str = scope["path"]
    return path in UNCOUNTED or (path in UNCOUNTED_HERE and is_here(scope))


def is_here(scope: Scope) -> bool:
    """Say whether somebody on the service's own machine asks, and for nobody else."""
    return address_of(scope) in HERE and not was_passed_on(scope)


def was_passed_on(scope: Scope) -> bool:
    """Say whether a proxy says that it asks for somebody else, wherever they are."""
    return bool(header(scope, b"x-forwarded-for") or header(scope, b"forwarded"))


def header(scope: Scope, name: bytes) -> str:
    """Return a header's first value, "" when there is none."""
    for known, value in scope["headers"]:
        if known == name:
            text: str = value.decode("latin-1")
            return text
    return ""


def address_of(scope: Scope) -> str:
    client = scope.get("client")
    return client[0] if client else ""


class FromProxies:
    """Puts the address a request came from in place of that of a proxy we trust.

    X-Forwarded-For is read from its end, the part that our own proxies wrote, back to the first
    address that is no proxy of ours; from any other peer it says nothing.
    """

    def __init__(self, app: ASGIApp, *, proxies: Sequence[Network]) -> None:
        self.app = app
        self._proxies = proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            peer = address_of(scope)
            origin = self._origin(peer, scope)
            if origin != peer:
                scope = {**scope, "client": (origin, 0)}
        await self.app(scope, receive, send)

    def _origin(self, peer: str, scope: Scope) -> str:
        told = b",".join(
            value for name, value in scope["headers"] if name == b"x-forwarded-for"
        ).decode("latin-1")
        hops = told.split(",")[-HOPS_MAX:] if told else []
        origin = peer
        while hops and self._is_ours(origin):
            read = read_address(hops.pop())
            if read is None:
                break
            origin = str(read)
        return origin

    def _is_ours(self, address: str) -> bool:
        read = read_address(address)
        return read is not None and any(read in network for network in self._proxies)


def read_address(text: str) -> Address | None:
    """Read an address as proxies write it: bare, with a port, in brackets; None when it is none."""
    bare = text.strip()
    if bare.startswith("["):
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        read = ip_address(bare)
    except ValueError:
        return None
    mapped = read.ipv4_mapped if isinstance(read, IPv6Address) else None
    return mapped or read
