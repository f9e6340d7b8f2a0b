"""What the network brings to a simulated venue and takes from it, whichever venue it is.

A desk is one venue's wire protocol over an exchange: plain functions, no sockets and no
waiting, so that a test can call it and a server can carry it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from venuesim.candles import Candles
from venuesim.clock import Clock
from venuesim.exchange import Exchange
from venuesim.keys import KeyRing
from venuesim.orders import Order


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One HTTP request. query is the raw query string, headers have lower-case names."""

    method: str
    path: str
    query: str = ""
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    ip: str = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One HTTP response. order: what a create that was accepted made, for journal and faults."""

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    account: str = ""  # whose key signed, "" for a public call or a bad signature
    client_id: str = ""
    order: Order | None = None


@dataclass(slots=True, kw_only=True)
class Place:
    """What every desk stands on.

    lag_ms: how long new orders and trades stay invisible to look-ups (faults set it).
    maintenance: "" or the mode the venue is in, by its own word where it has one.
    maintenance_of: the mode for one account alone; whoever carries its call sets maintenance to
    it while the desk handles the call, so that a desk looks at maintenance only.
    """

    clock: Clock
    exchange: Exchange
    candles: Candles
    keys: KeyRing
    lag_ms: int = 0
    maintenance: str = ""
    maintenance_of: dict[str, str] = field(default_factory=dict)
    limits: bool = True  # count weights and ban, as the venue does


class Socket(Protocol):
    """One WebSocket connection as a desk serves it; it sends by the function it was given."""

    def heard(self, text: str) -> None:
        """Take one message of the client."""

    def beat(self, now_ms: int) -> None:
        """About once a second: heartbeats and tickers."""

    def closed(self) -> None:
        """Let go of every subscription."""


class Desk(Protocol):
    """One venue's protocol."""

    @property
    def name(self) -> str: ...
    @property
    def place(self) -> Place: ...

    def action(self, call: Call) -> str:
        """Name what a call is about, for journal, faults and limits.

        One of: create, cancel, order, orders, trades, balance, key, market, time, stream, other.
        """

    def handle(self, call: Call) -> Answer:
        """Serve a call; every refusal is an answer, nothing is raised."""

    def connect(self, path: str, query: str, send: Callable[[str], None], ip: str) -> Socket | None:
        """Open a stream at a path; None when the venue has none there."""

    def without_id(self, answer: Answer) -> Answer:
        """Return the answer to a create as it is when the venue forgets the order's id in it."""
