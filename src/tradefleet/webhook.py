"""Outbound webhooks: where a user wants their events sent, what may be reached, how it is signed.

A webhook is a place in its user's sequence of events: what is sent, in order, is what comes after
it. An address is public or refused, when it is given and each time before it is connected to.
"""

import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Protocol
from urllib.parse import urlsplit

from tradefleet.domain.errors import Refused
from tradefleet.domain.ids import UserId
from tradefleet.domain.live import LiveKind

WEBHOOKS_MAX = 5  # of one user
DELIVERIES_KEPT = 100  # of one webhook
URL_MAX = 200  # characters
SECRET_PREFIX = "whsec_"
SECURE_PORT = 443
LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)
NUMERIC = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
LOCAL_NAMES = ("localhost", "local", "internal", "intranet", "lan", "home", "corp", "test", "onion")

# What Python calls global or may, whatever its version, and is not.
SPECIAL = (
    IPv4Network("0.0.0.0/8"),
    IPv4Network("100.64.0.0/10"),
    IPv4Network("168.63.129.16/32"),  # a cloud's own service, at a public address
    IPv4Network("192.0.0.0/24"),
    IPv4Network("192.88.99.0/24"),
    IPv4Network("198.18.0.0/15"),
)
# What of the global part of IPv6 leads elsewhere than it seems, or nowhere.
GLOBAL = IPv6Network("2000::/3")
NOT_REALLY = (
    IPv6Network("2001::/23"),  # Teredo, ORCHID and the like
    IPv6Network("2001:db8::/32"),
    IPv6Network("2002::/16"),  # 6to4: has any IPv4 address in it
    IPv6Network("3fff::/20"),
)
ISATAP = (0x00005EFE, 0x02005EFE)

NO_URL = "❌ That is no address a webhook can be sent to: "
HOW = "Say one like https://example.com/tradefleet."
NOT_PUBLIC = "❌ A webhook is sent to public addresses only, and this is none."


class Outcome(StrEnum):
    """How far a delivery has got."""

    DELIVERED = "delivered"
    RETRYING = "retrying"
    GIVEN_UP = "given_up"


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """Where a user's events are sent to.

    sealed: its secret, by the vault. done: the number of the last event that was delivered, given
    up or not wanted; tries: of the one after it; failures: in a row; next_at: when to try again,
    None when it is disabled.
    """

    id: str
    user_id: UserId
    url: str
    kinds: tuple[LiveKind, ...]
    sealed: bytes = field(repr=False)
    created_at: datetime
    done: int
    tries: int = 0
    failures: int = 0
    next_at: datetime | None
    disabled_because: str = ""

    @property
    def use(self) -> str:
        """What its secret is sealed for."""
        return f"webhook {self.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What became of sending one event; status: HTTP's, None when there was no answer."""

    webhook_id: str
    number: int
    kind: str
    at: datetime
    tries: int
    status: int | None
    error: str
    outcome: Outcome


class UserWebhooks(Protocol):
    """One user's webhooks, in that user's transaction."""

    async def all(self) -> Sequence[Webhook]:
        """Return them in the order they were made."""

    async def save(self, webhook: Webhook) -> None: ...
    async def remove(self, id: str) -> None:
        """Take a webhook away, and all that is known of its deliveries."""

    async def note(self, delivery: Delivery) -> None:
        """Keep what became of a delivery, in place of what was known of it."""

    async def deliveries(self, id: str, limit: int) -> Sequence[Delivery]:
        """Return the latest deliveries, the newest first."""


class WebhookStore(Protocol):
    """Everybody's webhooks, for who sends."""

    async def due(self, now: datetime, limit: int) -> Sequence[Webhook]:
        """Return webhooks for which something happened and whose time has come."""


# ---- where it may go


@dataclass(frozen=True, slots=True)
class Target:
    """An address taken apart: host is a name, or an IP address as it is written properly."""

    host: str
    port: int
    is_secure: bool
    path: str

    @property
    def literal(self) -> IPv4Address | IPv6Address | None:
        """The IP address the host is, None when it is a name."""
        try:
            return ip_address(self.host)
        except ValueError:
            return None


def read_url(text: str, *, allow_local: bool = False) -> Target:
    """Take an address apart; Refused says what is wrong with it.

    allow_local: this machine may be meant, too, by plain HTTP and at any port.
    """
    if len(text) > URL_MAX or not text.isascii() or not text.isprintable() or " " in text:
        raise Refused(f"{NO_URL}it has odd letters or is too long. {HOW}")
    try:
        parts = urlsplit(text)
        port, host = parts.port, (parts.hostname or "").lower()
    except ValueError:
        raise Refused(f"{NO_URL}it cannot be read. {HOW}") from None
    if "@" in parts.netloc or parts.fragment or "\\" in text or not host:
        raise Refused(f"{NO_URL}it has no name and password, and nothing after a #. {HOW}")
    is_local = allow_local and is_loopback(host)
    if parts.scheme != "https" and not (is_local and parts.scheme == "http"):
        raise Refused(f"{NO_URL}it begins with https://. {HOW}")
    secure = parts.scheme == "https"
    if not is_local and port not in (None, SECURE_PORT):
        raise Refused(f"{NO_URL}it has no port but {SECURE_PORT}. {HOW}")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    target = Target(host, port or (SECURE_PORT if secure else 80), secure, path)
    check_host(target, allow_local=allow_local)
    return target


def check_host(target: Target, *, allow_local: bool) -> None:
    """Raise Refused for a host that is written oddly or cannot be public."""
    if target.literal is not None:
        if not may_reach(str(target.literal), allow_local=allow_local):
            raise Refused(NOT_PUBLIC)
        return
    if allow_local and is_loopback(target.host):
        return
    labels = target.host.split(".")
    if NUMERIC.fullmatch(labels[-1]) or not all(map(LABEL.fullmatch, labels)):
        raise Refused(f"{NO_URL}its host is neither a name nor an ordinary IP address. {HOW}")
    if len(labels) < 2 or labels[-1] in LOCAL_NAMES:
        raise Refused(NOT_PUBLIC)


def is_loopback(host: str) -> bool:
    """Say whether a host as it is written is this machine."""
    return host in ("localhost", "127.0.0.1", "::1")


def may_reach(address: str, *, allow_local: bool = False) -> bool:
    """Say whether an IP address is one of the public internet, in every way it could be read."""
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    if allow_local and str(ip) in ("127.0.0.1", "::1"):
        return True
    if isinstance(ip, IPv4Address):
        special = any(ip in network for network in SPECIAL)
        return ip.is_global and not (special or ip.is_multicast or ip.is_reserved)
    return (
        ip.scope_id is None
        and ip in GLOBAL
        and ip.is_global
        and not any(ip in network for network in NOT_REALLY)
        and (int(ip) >> 32 & 0xFFFFFFFF) not in ISATAP
    )


# ---- how it is signed


def signature(secret: str, stamp: int, body: bytes) -> str:
    """Return what proves that a body was sent by us, at a time in seconds since 1970."""
    said = f"{stamp}.".encode() + body
    return "v1=" + hmac.digest(secret.encode(), said, "sha256").hex()
