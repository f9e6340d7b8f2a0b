"""A venue's adapter to test: over a simulated venue, or over a server that says what it is told."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import ModuleType
from typing import Any

from tests import makers
from tests.makers import Number
from tests.venuesim.rig import until
from tradefleet.domain.credentials import Credentials, Secret
from tradefleet.domain.errors import VenueUnavailable
from tradefleet.domain.ids import AccountId, OrderId, UserId
from tradefleet.domain.order import Order, OrderKind, Purpose
from tradefleet.domain.user import Account, Mode
from tradefleet.runtime.real_world import RealClock
from tradefleet.venue import VenueCall
from tradefleet.venues import binance
from tradefleet.venues._ccxt.account import CcxtLink
from tradefleet.venues._ccxt.addresses import VenueOptions
from tradefleet.venues._ccxt.listings import Listing, Listings
from tradefleet.venues._ccxt.venue import CcxtVenue
from venuesim.keys import Key
from venuesim.running import Running

DEADLINE = timedelta(seconds=5)


@dataclass(slots=True)
class FreePacer:
    """Lets everything go at once, and remembers it; closed: refuse with this text."""

    calls: list[VenueCall] = field(default_factory=list)
    heard_statuses: list[int] = field(default_factory=list)
    held: list[tuple[float, bool]] = field(default_factory=list)
    closed: str = ""
    before: Callable[[VenueCall], Awaitable[None]] | None = None

    async def turn(self, call: VenueCall) -> None:
        if self.closed:
            raise VenueUnavailable(self.closed)
        self.calls.append(call)
        if self.before is None:
            return
        try:
            async with asyncio.timeout(call.patience):
                await self.before(call)
        except TimeoutError:
            raise VenueUnavailable("its turn did not come in time; nothing was sent") from None

    def heard(self, call: VenueCall, status: int, headers: Mapping[str, str]) -> None:
        self.heard_statuses.append(status)

    def too_fast(self, call: VenueCall, seconds: float, *, banned: bool = False) -> None:
        self.held.append((seconds, banned))


class ShiftedClock(RealClock):
    """The real clock, off by so much."""

    def __init__(self, off: timedelta) -> None:
        self.off = off

    def now(self) -> datetime:
        return super().now() + self.off


def credentials_of(key: Key) -> Credentials:
    return Credentials(api_key=Secret(key.api_key), api_secret=Secret(key.secret))


def order_id(number: int) -> OrderId:
    return OrderId(f"{number:032x}")


def armed(
    quantity: Number = "0.01", number: int = 1, *, at: datetime | None = None, **changes: Any
) -> Order:
    """Return an order that was written down as about to be sent, just now."""
    sent_at = at or RealClock().now()
    made = makers.order(quantity, order_id(number), **changes)
    return replace(made, sent_at=sent_at, deadline=sent_at + DEADLINE)


def resting(price: Number, number: int = 2, quantity: Number = "0.01", **changes: Any) -> Order:
    return armed(
        quantity,
        number,
        purpose=Purpose.EXIT,
        kind=OrderKind.RESTING_STOP,
        price=makers.Decimal(price),
        **changes,
    )


def account(name: str = "a1", mode: Mode = Mode.LIVE) -> Account:
    return Account(
        id=AccountId(name),
        user_id=UserId(f"user of {name}"),
        venue="binance",
        mode=mode,
        created_at=makers.START,
    )


@dataclass(slots=True, kw_only=True)
class Adapter:
    """A venue opened over a simulated one."""

    venue: CcxtVenue
    pacer: FreePacer
    keys: dict[AccountId, Credentials]
    rung: list[OrderId] = field(default_factory=list)

    async def link(self, key: Key, name: str = "a1", mode: Mode = Mode.LIVE) -> CcxtLink:
        self.keys[AccountId(name)] = credentials_of(key)
        return await self.venue.link(account(name, mode), self.rung.append)

    async def joined(self, count: int = 1) -> None:
        """Return once so many accounts hear their private stream."""
        bells = self.venue.sides[Mode.LIVE].bells
        await until(lambda: bells.joined >= count)


@asynccontextmanager
async def adapter(
    url: str,
    ws_url: str,
    *,
    clock: RealClock | None = None,
    pacer: Any = None,
    of: ModuleType = binance,
) -> AsyncIterator[Adapter]:
    """A venue's adapter, at an address of this machine."""
    keys: dict[AccountId, Credentials] = {}

    async def unseal(account: Account) -> Credentials:
        return keys[account.id]

    pacer = pacer or FreePacer()
    venue = await of.open_venue(
        clock=clock or RealClock(),
        pacer=pacer,
        credentials=unseal,
        options=VenueOptions(url=url, ws_url=ws_url),
    )
    assert isinstance(venue, CcxtVenue)
    try:
        yield Adapter(venue=venue, pacer=pacer, keys=keys)
    finally:
        await venue.close()


def over(sim: Running, **options: Any) -> Any:
    return adapter(sim.url, sim.ws_url, **options)


# ----------------------------------------------------- a server that does as it is told


@dataclass(slots=True)
class Teller:
    """Answers each connection's first request with the next scripted bytes, then hangs up.

    None: hangs up without a word. heard: the requests, head and body, as they came.
    """

    answers: deque[bytes | None] = field(default_factory=deque)
    heard: list[bytes] = field(default_factory=list)
    hold: bool = False  # keep silent instead of hanging up
    port: int = 0
    serving: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task: Any = asyncio.current_task()
        self.serving.add(task)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = 0
            for line in head.lower().split(b"\r\n"):
                if line.startswith(b"content-length:"):
                    length = int(line.partition(b":")[2])
            self.heard.append(head + (await reader.readexactly(length) if length else b""))
            if self.hold:
                await asyncio.sleep(3600)
            answer = self.answers.popleft() if self.answers else None
            if answer is not None:
                writer.write(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.serving.discard(task)
            writer.close()

    async def stop(self, server: asyncio.Server) -> None:
        server.close()
        for task in list(self.serving):
            task.cancel()
        await asyncio.gather(*self.serving, return_exceptions=True)


@asynccontextmanager
async def teller(*answers: bytes | None) -> AsyncIterator[Teller]:
    told = Teller(deque(answers))
    server = await asyncio.start_server(told.serve, "127.0.0.1", 0)
    told.port = server.sockets[0].getsockname()[1]
    try:
        yield told
    finally:
        await told.stop(server)


def http(body: bytes | str, status: int = 200, **headers: str) -> bytes:
    """Return an HTTP answer, whole; Content_Length= says another length than it has."""
    raw = body.encode() if isinstance(body, str) else body
    lines = {"Content-Length": str(len(raw)), "Content-Type": "application/json"}
    lines |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {status} Status\r\n{head}\r\n".encode() + raw


def listed(made: Adapter, mode: Mode = Mode.LIVE) -> None:
    """Let the adapter know BTC/USDT without asking for it."""
    listing = Listing(
        symbol=makers.BTC,
        id="BTCUSDT",
        stream_id="btcusdt",
        rules=makers.RULES,
        kinds=frozenset({"MARKET", "STOP_LOSS"}),
    )
    listings = Listings("Binance", {makers.BTC: listing}, {"BTCUSDT": listing})
    made.venue.side(mode).environment.listings = listings
