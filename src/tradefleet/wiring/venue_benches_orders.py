"""Measure orders: our own way to a venue, written down or not, ccxt's way, and the bare wire.

Each sends market orders and reads the answers, at most so many under way at once, to the same
simulated venue in the same run. What is told is what one core of ours can do: orders by the CPU
seconds of this process, whatever the venue needs meanwhile.
"""

import asyncio
import gc
import hmac
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from tradefleet.clock import Clock
from tradefleet.domain.credentials import Credentials, Secret
from tradefleet.domain.errors import Refused, ensure
from tradefleet.domain.ids import AccountId, BotId, OrderId, UserId
from tradefleet.domain.market import Bar, Side, Symbol, Timeframe
from tradefleet.domain.order import Order, Purpose
from tradefleet.domain.user import Account
from tradefleet.keyring import Keyring
from tradefleet.runtime.governor import Governor
from tradefleet.runtime.host import Host
from tradefleet.runtime.node import spare_the_collector
from tradefleet.runtime.real_world import RealClock
from tradefleet.runtime.recovery import take_user
from tradefleet.stores.sql import SqlStore, open_store
from tradefleet.surfaces.cli.loop import run_on_loop
from tradefleet.vault import Vault, new_master
from tradefleet.venue import AccountLink, Venue
from tradefleet.venues import binance
from tradefleet.venues._ccxt.addresses import VenueOptions
from tradefleet.venues._ccxt.library import exchange_class
from tradefleet.venues._ccxt.venue import CcxtVenue
from tradefleet.wiring.simulated import Simulation
from tradefleet.wiring.venue_benches_fleet import (
    MODE,
    NO_LIMITS,
    VENUE,
    Crowd,
    bench_venue,
    fill_database,
    open_clients,
)
from tradefleet.wiring.venue_benches_flip import FLIP
from tradefleet.wiring.venue_benches_taker import ARRIVALS

PAIR = Symbol("BTC", "USDT")
PRICE, STEP = Decimal(65000), Decimal(1)
AMOUNT = Decimal("0.001")
UNDER_WAY = 100
NOWHERE = "ws://127.0.0.1:9"  # no bell rings: what they ring for is not an order's way
FOREVER = 1e9
BURST_SECONDS = 60.0  # until a burst must have been dealt with
WARMING = 200  # orders that open connections and fill caches first

Way = Callable[[int], Awaitable[None]]


def orders(number: int) -> dict[str, Any]:
    """Send so many orders each way."""
    found: dict[str, Any] = {}

    async def measure() -> None:
        found.update(await _orders(number))

    run_on_loop(measure())
    return found


async def _orders(number: int) -> dict[str, Any]:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        simulation = await stack.enter_async_context(bench_venue(folder, market="none"))
        keys = await open_clients(simulation, number)
        governor = await stack.enter_async_context(Governor(clock=RealClock(), limits=NO_LIMITS))
        bare = await timed(await bare_way(stack, simulation, keys[0]), number)
        own = await timed(await own_way(stack, simulation, governor, keys[0]), number)
        theirs = await timed(await ccxt_way(stack, simulation, keys[0]), number)
        journaled = await _journaled(folder, simulation, governor, keys)
    return {
        "orders": number,
        "under_way": UNDER_WAY,
        "bare_orders_per_s": bare.per_core,
        "own_orders_per_s": own.per_core,
        "journaled_orders_per_s": journaled.per_core,
        "ccxt_orders_per_s": theirs.per_core,
        "bare_cpu_us": bare.cpu_us,
        "own_cpu_us": own.cpu_us,
        "journaled_cpu_us": journaled.cpu_us,
        "ccxt_cpu_us": theirs.cpu_us,
        "own_wall_orders_per_s": own.per_second,
        "floor_own_orders_per_s": 5000,
        "floor_ccxt_orders_per_s": 2000,
    }


@dataclass(frozen=True, slots=True)
class Timed:
    """What so many orders took."""

    orders: int
    cpu_s: float
    wall_s: float

    @property
    def per_core(self) -> int:
        return round(self.orders / self.cpu_s)

    @property
    def per_second(self) -> int:
        return round(self.orders / self.wall_s)

    @property
    def cpu_us(self) -> float:
        return round(self.cpu_s / self.orders * 1e6, 1)


async def timed(way: Way, number: int) -> Timed:
    """Send orders one way, after some to warm up."""
    await all_of(way, WARMING)
    cpu, wall = time.process_time(), time.perf_counter()
    await all_of(way, number)
    return Timed(number, time.process_time() - cpu, time.perf_counter() - wall)


async def all_of(way: Way, number: int) -> None:
    waiting = iter(range(number))
    async with asyncio.TaskGroup() as tasks:
        for _ in range(min(UNDER_WAY, number)):
            tasks.create_task(one_by_one(way, waiting))


async def one_by_one(way: Way, waiting: Iterator[int]) -> None:
    for number in waiting:
        await way(number)


# ------------------------------------------------------------------- our own way


async def own_way(
    stack: AsyncExitStack, simulation: Simulation, governor: Governor, key: Credentials
) -> Way:
    """Return what sends an order as an account's lane does, without writing anything down."""
    clock, names = RealClock(), count(1)

    async def unseal(account: Account) -> Credentials:
        return key

    venue = await open_there(stack, simulation, governor, unseal)
    account = Account(
        id=AccountId("one"), user_id=UserId("one"), venue=VENUE, mode=MODE, created_at=clock.now()
    )
    link: AccountLink = await venue.link(account, lambda order_id: None)

    async def send(number: int) -> None:
        await link.submit(made(next(names), clock))

    return send


async def open_there(
    stack: AsyncExitStack,
    simulation: Simulation,
    governor: Governor,
    unseal: Callable[[Account], Awaitable[Credentials]],
) -> Venue:
    venue = await binance.open_venue(
        clock=RealClock(),
        pacer=governor,
        credentials=unseal,
        options=VenueOptions(url=simulation.urls[VENUE], ws_url=NOWHERE, mode=MODE),
    )
    stack.push_async_callback(venue.close)
    return venue


def made(number: int, clock: Clock) -> Order:
    """Return an order that was armed just now: a purchase and a sale in turn."""
    now = clock.now()
    return Order(
        id=OrderId(f"{number:032x}"),
        user_id=UserId("one"),
        account_id=AccountId("one"),
        bot_id=BotId("one"),
        seq=number,
        symbol=PAIR,
        side=Side.BUY if number % 2 else Side.SELL,
        quantity=AMOUNT,
        purpose=Purpose.ENTRY,
        decided_at=now,
        reason="",
        reserved=Decimal(0),
        sent_at=now,
        deadline=now + timedelta(seconds=5),
    )


# ------------------------------------------------------------- our way, written down


async def _journaled(
    folder: Path, simulation: Simulation, governor: Governor, keys: Sequence[Credentials]
) -> Timed:
    """Let a price release the entries of as many bots, each of a user of its own."""
    async with bots_of(folder, simulation, governor, keys) as host:
        await decide(host, host.clock)
        cpu, wall = time.process_time(), time.perf_counter()
        host.price(VENUE, PAIR, PRICE, host.clock.now())
        await host.settle()
        return Timed(len(keys), time.process_time() - cpu, time.perf_counter() - wall)


@asynccontextmanager
async def bots_of(
    folder: Path, simulation: Simulation, governor: Governor, keys: Sequence[Credentials]
) -> AsyncIterator[Host]:
    """Run a bot for each key, on a host over a database; at the end each must have ordered."""
    crowd = Crowd(
        users=len(keys), bots=1, symbols=[PAIR], timeframe=Timeframe(60), strategies=[FLIP.name]
    )
    master, database = new_master(), f"sqlite:///{folder}/bench.db"
    await fill_database(database, master, keys, crowd)
    async with AsyncExitStack() as stack:
        store = await open_store(database)
        stack.push_async_callback(store.close)
        vault = Vault([master], await store.secret("key_fingerprints"))
        unseal = Keyring(store, vault).credentials_of
        venue = await open_there(stack, simulation, governor, unseal)
        host = await host_of(store, venue)
        async with host:
            await take_all(host, len(keys))
            spare_the_collector()  # as a node does when all is there
            yield host
            gc.unfreeze()
            working = [o for bot in host.bots.values() for o in bot.engine.working.values()]
            ensure(all(o.venue_order_id for o in working), "an order was not taken")
            ensure(len(working) == len(keys), "not every bot has ordered")


async def host_of(store: SqlStore, venue: Venue) -> Host:
    return Host(
        store=store,
        clock=RealClock(),
        venues={VENUE: venue},
        strategies={FLIP.name: FLIP},
        tiers={},
        order_key=await store.secret("order_ids"),
        owner="bench",
    )


async def take_all(host: Host, number: int) -> None:
    leases = await host.store.take_leases("bench", now=host.clock.now(), ttl=FOREVER, limit=number)
    for lease, load in zip(
        leases, await host.store.load_users([lease.user_id for lease in leases]), strict=True
    ):
        await take_user(host, lease, load)
    ensure(len(host.bots) == number, "not every bot is running")


async def decide(host: Host, clock: Clock) -> None:
    """Let two bars close, the second higher: everybody's entry waits for a price then."""
    low, high = bars_of(host, clock)
    (stream,) = host.board.by_stream
    await host.bar(stream, low)
    await host.bar(stream, high)
    await host.settle()


def bars_of(host: Host, clock: Clock) -> tuple[Bar, Bar]:
    """Return the two bars that closed last, the second higher than the first."""
    (stream,) = host.board.by_stream
    minute = stream.timeframe.delta
    first = clock.now() - 2 * minute
    low, high = PRICE - STEP, PRICE
    return (
        Bar(first, low, low, low, low, AMOUNT),
        Bar(first + minute, high, high, high, high, AMOUNT),
    )


# --------------------------------------------------- a burst, on a venue that only takes


def burst(bots: int) -> dict[str, Any]:
    """Let so many bots, each of a user of its own, follow one bar; tell when the last order came.

    The venue takes orders and does nothing about them, so that it is we who are measured; as
    before any bar's end, connections are open. What comes first is the bare wire's floor.
    """
    found: dict[str, Any] = {}

    async def measure() -> None:
        found.update(await _burst(bots))

    run_on_loop(measure())
    return found


async def _burst(bots: int) -> dict[str, Any]:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        simulation = await stack.enter_async_context(bench_venue(folder, market="none"))
        taker = await stack.enter_async_context(taking(simulation))
        governor = await stack.enter_async_context(Governor(clock=RealClock(), limits=NO_LIMITS))
        keys = [made_up_key(number) for number in range(bots)]
        await all_of(await own_way(stack, taker, governor, keys[0]), WARMING)
        bare = await bare_way(stack, taker, keys[0])
        await all_of(bare, WARMING)
        await arrivals_at(taker)
        started = time.perf_counter_ns()
        await all_of(bare, bots)
        bare_waits = waits_since(started, await arrivals_at(taker))
        async with bots_of(folder, taker, governor, keys) as host:
            venue = host.venues[VENUE]
            assert isinstance(venue, CcxtVenue)
            await venue.transport.open_ahead(bots)
            low, high = bars_of(host, host.clock)
            (stream,) = host.board.by_stream
            await host.bar(stream, low)
            await arrivals_at(taker)
            cpu, started = time.process_time(), time.perf_counter_ns()
            await host.bar(stream, high)
            host.price(VENUE, PAIR, PRICE, host.clock.now())
            try:
                async with asyncio.timeout(BURST_SECONDS):
                    await host.settle()
            except TimeoutError:
                raise Refused(unsettled(host, len(await arrivals_at(taker)))) from None
            cpu = time.process_time() - cpu
            waits = waits_since(started, await arrivals_at(taker))
            ensure(len(waits) == bots, unsettled(host, len(waits)))
    return {
        "bare_last_ms": round(bare_waits[-1], 1),
        "taker_first_ms": round(waits[0], 1),
        "taker_median_ms": round(waits[bots // 2], 1),
        "taker_last_ms": round(waits[-1], 1),
        "taker_cpu_us": round(cpu / bots * 1e6),
    }


def waits_since(started: int, arrived: Sequence[int]) -> list[float]:
    return sorted((each - started) / 1e6 for each in arrived)


def unsettled(host: Host, arrived: int) -> str:
    """Say what became of the orders of a burst that did not come to rest."""
    states = Counter(
        str(order.state) for bot in host.bots.values() for order in bot.engine.working.values()
    )
    said = ", ".join(f"{number} {state}" for state, number in sorted(states.items()))
    return (
        f"{arrived} of {len(host.bots)} orders came within {BURST_SECONDS:.0f} s; they are {said}."
        " An order that could not leave within 4 s was given up: this machine is too busy."
    )


@asynccontextmanager
async def taking(simulation: Simulation) -> AsyncIterator[Simulation]:
    """Run what takes orders in front of the simulated venue."""
    there = simulation.urls[VENUE]
    words = (sys.executable, "-m", "tradefleet.wiring.venue_benches_taker", there)
    process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield Simulation(urls={VENUE: (await process.stdout.readline()).decode().strip()})
    finally:
        process.kill()
        await process.wait()


async def arrivals_at(taker: Simulation) -> list[int]:
    """Return when orders have come since this was asked last."""
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"{taker.urls[VENUE]}{ARRIVALS}") as answer,
    ):
        found: list[int] = json.loads(await answer.read())
        return found


def made_up_key(number: int) -> Credentials:
    return Credentials(api_key=Secret(f"{number:064}"), api_secret=Secret(f"{number:064x}"))


# ------------------------------------------------------------------- ccxt's way


async def ccxt_way(stack: AsyncExitStack, simulation: Simulation, key: Credentials) -> Way:
    """Return what sends an order by ccxt, which it lets go at once and without a retry."""
    connector = aiohttp.TCPConnector(limit=UNDER_WAY)
    session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
    kind, _ = exchange_class(VENUE)
    exchange = kind(
        {
            "apiKey": key.api_key.reveal(),
            "secret": key.api_secret.reveal(),
            "session": session,
            "enableRateLimit": False,
            "options": {"defaultType": "spot", "fetchMarkets": {"types": ["spot"]}},
        }
    )
    exchange.enableLastHttpResponse = False
    exchange.options["fetchMargins"] = False
    exchange.options["fetchCurrencies"] = False
    there = simulation.urls[VENUE]
    for name, url in exchange.urls["api"].items():
        if isinstance(url, str):
            exchange.urls["api"][name] = there + urlsplit(url).path
    stack.push_async_callback(exchange.close)
    await exchange.load_markets()
    names = count(10**9)

    async def send(number: int) -> None:
        name = next(names)
        side = "buy" if name % 2 else "sell"
        params = {"newClientOrderId": f"{name:032x}", "newOrderRespType": "ACK"}
        await exchange.create_order(str(PAIR), "market", side, float(AMOUNT), None, params)

    return send


# ------------------------------------------------------------------ the bare wire


class Bare(asyncio.Protocol):
    """A connection that asks and hears, and knows nothing of HTTP but where an answer ends."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.answered: asyncio.Future[bytes] | None = None
        self._heard = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._heard += data
        head, found, body = self._heard.partition(b"\r\n\r\n")
        if not found:
            return
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        if len(body) < int(length):
            return
        self._heard = b""
        if self.answered is not None:
            self.answered.set_result(head[9:12])


@dataclass(slots=True)
class BareWire:
    """Signs and writes orders by hand: what no way to the venue can do without."""

    key: Credentials
    host: str
    port: int
    clock: Clock = field(default_factory=RealClock)
    names: Iterator[int] = field(default_factory=lambda: count(2 * 10**9))
    idle: list[Bare] = field(default_factory=list)

    async def send(self, number: int) -> None:
        wire = self.idle.pop() if self.idle else await self._connected()
        wire.answered = asyncio.get_running_loop().create_future()
        assert wire.transport is not None
        wire.transport.write(self._request(next(self.names)))
        ensure(await wire.answered == b"200", "an order was not taken")
        self.idle.append(wire)

    async def _connected(self) -> Bare:
        loop = asyncio.get_running_loop()
        return (await loop.create_connection(Bare, self.host, self.port))[1]

    def _request(self, name: int) -> bytes:
        now_ms, side = int(self.clock.now().timestamp() * 1000), "BUY" if name % 2 else "SELL"
        said = (
            f"timestamp={now_ms}&symbol=BTCUSDT&side={side}&type=MARKET&quantity={AMOUNT}"
            f"&newClientOrderId={name:032x}&newOrderRespType=ACK&recvWindow=5000"
        )
        secret = self.key.api_secret.reveal().encode()
        body = f"{said}&signature={hmac.digest(secret, said.encode(), 'sha256').hex()}"
        return (
            "POST /api/v3/order HTTP/1.1\r\n"
            f"Host: {self.host}:{self.port}\r\n"
            f"X-MBX-APIKEY: {self.key.api_key.reveal()}\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}"
        ).encode()

    def close(self) -> None:
        for wire in self.idle:
            if wire.transport is not None:
                wire.transport.abort()


async def bare_way(stack: AsyncExitStack, simulation: Simulation, key: Credentials) -> Way:
    there = urlsplit(simulation.urls[VENUE])
    bare = BareWire(key, there.hostname or "", there.port or 0)
    stack.callback(bare.close)
    return bare.send
