"""The whole service over real sockets at simulated venues: store, vault, governor, adapters, host.

A world has venues, a database and a time; services are processes of ours in it, of which each
has everything of its own but the database. Nothing is replaced but the clock.
"""

import asyncio
import importlib.util
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tests.bars import ROOT, generated
from tests.e2e.venue_time import (
    CountedStore,
    CountedTransport,
    Process,
    ProcessClock,
    Time,
    Traffic,
)
from tests.key_rig import LIVE_ALLOWED, vault_under
from tests.runtime.live_rig import Ids, Theatre
from tradefleet import strategies
from tradefleet.charting.studio import Studio
from tradefleet.dispatcher import Dispatcher, name_and_words
from tradefleet.domain.bot import BotSpec
from tradefleet.domain.effects import Notify
from tradefleet.domain.errors import Refused
from tradefleet.domain.ids import UserId
from tradefleet.domain.ledger import Balances, LedgerEntry
from tradefleet.domain.limits import TIERS, RiskLimits
from tradefleet.domain.market import Symbol
from tradefleet.domain.order import Fill, Order, OrderState
from tradefleet.domain.position import Trade
from tradefleet.domain.user import Account
from tradefleet.drawing import draw
from tradefleet.keyring import Keyring
from tradefleet.operations.key_checks import KeyChecks
from tradefleet.plugins import find_plugins
from tradefleet.runtime.feed import Feed
from tradefleet.runtime.governor import Governor
from tradefleet.runtime.host import Host
from tradefleet.runtime.node import Node
from tradefleet.runtime.outbox import Outbox
from tradefleet.runtime.ownership import Ownership
from tradefleet.store import OutboxNotice
from tradefleet.stores.sql import open_store
from tradefleet.venues._ccxt.addresses import VenueOptions
from tradefleet.venues._ccxt.amounts import to_ms
from tradefleet.venues._ccxt.venue import CcxtVenue
from tradefleet.venues._ccxt.wire import Wire
from tradefleet.wiring import build_dispatcher
from tradefleet.wiring.desk import Desk
from venuesim.clock import ManualClock
from venuesim.exchange import Exchange
from venuesim.instruments import Listing
from venuesim.journal import verify
from venuesim.keys import Key
from venuesim.orders import Order as VenuesOrder
from venuesim.recorded import Bar as RecordedBar
from venuesim.recorded import Recorded, Recording, listed, read_recording
from venuesim.running import VENUES as SIMULATED
from venuesim.running import Running, listings_of, place_for, running
from venuesim.units import UNITS, units

# A venue takes part in every test here as soon as its adapter is there.
VENUES = tuple(
    name for name in SIMULATED if importlib.util.find_spec(f"tradefleet.venues.{name}") is not None
)
MASTER, FIRST, SECOND = UserId("master"), UserId("first_user"), UserId("second_user")
BAR = timedelta(minutes=5)
PULSE_MS = 50_000  # half of the time between two trades of a bar of five minutes
DATA = ROOT.parent / "shared" / "data"
# Any number of entries a day: what is tested here is how they are sent.
TIER = replace(TIERS["free"], entries_per_day=10_000, open_positions=100, bots=100)
ALIVE = frozenset({OrderState.CREATED, OrderState.VOID, OrderState.REJECTED, OrderState.ABSENT})


# -------------------------------------------------------------------------- the market


def recorded_market(first: int, bars: int, *names: str, warm: int = 600) -> list[Recording]:
    """Return so many recorded bars of pairs from the first on, and those before them to warm up.

    They are not part of the project: without them the test is skipped.
    """
    found = []
    for name in names:
        path = DATA / f"{name}-5m.csv.gz"
        if not path.exists():
            pytest.skip(f"NOT CHECKED on recorded bars: no {path.name}; set TRADEFLEET_DATA")
        whole = read_recording(path)
        since = datetime.fromisoformat("2018-01-10T04:55:00+00:00") + (first - warm) * BAR
        begin, end = to_ms(since), to_ms(since + (warm + bars) * BAR)
        found.append(replace(whole, bars=[b for b in whole.bars if begin <= b.opened_ms < end]))
    return found


def generated_market(seed: int, bars: int, name: str = "ETH/BTC") -> list[Recording]:
    """Return generated bars of five minutes, the first 500 of which are to warm up."""
    made = []
    for number, bar in enumerate(generated(seed, 500 + bars)):
        opened = to_ms(bar.opened_at) + number * 4 * 60_000
        figures = (bar.open, bar.high, bar.low, bar.close, min(bar.volume, Decimal(10**6)))
        made.append(RecordedBar(opened, *(units(f"{each:f}") for each in figures)))
    return [Recording(name, 300, made)]


@dataclass(slots=True)
class Pulse:
    """Lets a little be traded at the price as it is, between the four trades of recorded bars.

    In a market that is silent for longer than a minute everybody is warned.
    """

    exchange: Exchange
    symbols: Sequence[str]
    at_ms: int

    def next_ms(self) -> int:
        return self.at_ms + PULSE_MS

    def play(self) -> None:
        self.at_ms += 2 * PULSE_MS
        for symbol in self.symbols:
            self.exchange.tick(symbol, self.exchange.price(symbol), 1)


# -------------------------------------------------------------------------- our process


@dataclass(slots=True)
class Told:
    """Collects what users are told, in order."""

    notices: list[Notify] = field(default_factory=list)

    def reaches(self, notice: OutboxNotice) -> bool:
        return True

    async def deliver(self, notice: OutboxNotice) -> None:
        self.notices.append(notice.notice)

    def texts(self, user: UserId) -> list[str]:
        return [each.text for each in self.notices if each.user_id == user]


class Service(Process):
    """One process of ours. Stopped cleanly, or killed: then nobody gets to say a last word."""

    def __init__(self, world: "World", owner: str, lease_seconds: float) -> None:
        self.world, self.owner, self.lease_seconds = world, owner, lease_seconds
        self.clock, self.traffic = ProcessClock(world.time), Traffic()
        self.told = Told()
        self.venues: dict[str, CcxtVenue] = {}
        self._stop, self._stack = asyncio.Event(), AsyncExitStack()
        self._task: asyncio.Task[None] | None = None
        self.governor: Governor
        self.node: Node
        self.door: Dispatcher
        self.store: Any

    # ---------------------------------------------------------- start and end

    async def start(self) -> None:
        world, stack = self.world, self._stack
        store = await open_store(world.database, clock=self.clock)
        stack.push_async_callback(store.close)
        self.store = CountedStore(store, self.traffic)
        keyring = Keyring(self.store, vault_under())
        self.governor = await stack.enter_async_context(Governor(clock=self.clock))
        for name, sim in world.sims.items():
            opened = await import_module(f"tradefleet.venues.{name}").open_venue(
                clock=self.clock,
                pacer=self.governor,
                credentials=keyring.credentials_of,
                options=VenueOptions(url=sim.url, ws_url=sim.ws_url),
            )
            assert isinstance(opened, CcxtVenue)
            opened.transport = CountedTransport(opened.dialect.title, self.traffic)
            self.venues[name] = opened
            stack.push_async_callback(opened.close)
        studio = Studio()
        stack.callback(studio.close)
        desk = Desk(self.venues, studio)
        self.door = build_dispatcher(
            self.store,
            self.clock,
            world.ids,
            rules=self._rules,
            tiers={"free": TIER},
            desk=desk,
            vault=keyring.vault,
            key_rules=LIVE_ALLOWED,
        )
        known = self.door.catalog
        scripted = {**known.strategies, "script": world.theatre.spec()}
        self.door = replace(self.door, catalog=replace(known, strategies=scripted))
        checks = KeyChecks(
            store=self.store, vault=keyring.vault, desk=desk, clock=self.clock, rules=LIVE_ALLOWED
        )
        outbox = Outbox(store=self.store, notifiers=[self.told], clock=self.clock)
        self.node = self._node(await self.store.secret("order_ids"))
        self.node.others = [outbox.run, checks.run]
        world.time.processes.append(self)
        self._task = asyncio.get_running_loop().create_task(self.node.run(self._stop))

    def _node(self, order_key: bytes) -> Node:
        host = Host(
            store=self.store,
            clock=self.clock,
            venues=self.venues,
            strategies={
                **find_plugins(strategies, "STRATEGY"),
                "script": self.world.theatre.spec(),
            },
            tiers={"free": TIER},
            order_key=order_key,
            owner=self.owner,
        )
        feeds = {
            name: Feed(venue=name, market=venue.market, host=host, clock=self.clock)
            for name, venue in self.venues.items()
        }
        ownership = Ownership(host=host, feeds=feeds, lease_seconds=self.lease_seconds)
        return Node(host=host, feeds=feeds, ownership=ownership)

    async def _rules(self, venue: str, symbol: Symbol) -> Any:
        return await self.venues[venue].market.rules(symbol)

    async def stop(self) -> None:
        """Stop it as an operator does."""
        assert self._task is not None
        self._stop.set()
        await self.world.time.pass_while(lambda: not self._task.done(), 60)
        await self._task
        await self._close()

    async def kill(self) -> None:
        """End it as kill -9 does: what it has not written or sent by now never happens."""
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._close()

    async def _close(self) -> None:
        self.world.time.processes.remove(self)
        await self._stack.aclose()

    def freeze(self) -> None:
        """Let it stand still, as SIGSTOP does: nothing in it wakes, nothing of it leaves."""
        self.clock.is_frozen = True
        self.traffic.gate.clear()

    def thaw(self) -> None:
        self.clock.is_frozen = False
        self.traffic.gate.set()
        self.clock.wake()

    async def join(self, accounts: int) -> None:
        """Return when so many accounts hear their streams; nobody commands from then on."""
        await self.world.time.pass_finely(5, 0.5)
        assert self.joined == accounts
        self.node.ownership.poll_seconds = 20.0

    # ------------------------------------------------------- what the time asks

    @property
    def is_thinking(self) -> bool:
        if self._task is not None and self._task.done() and not self._stop.is_set():
            self._task.result()  # it failed: say so instead of waiting
        sides = [side for venue in self.venues.values() for side in venue.sides.values()]
        lists = any(side.environment._listing.locked() for side in sides)
        return lists and not self.waits_its_turn

    @property
    def is_in_doubt(self) -> bool:
        return self.waits_its_turn or not self.node.host.work.is_idle

    @property
    def waits_its_turn(self) -> bool:
        return any(len(each.door) for each in self.governor.entrances.values())

    # ----------------------------------------------------------------- users

    async def ask(self, user: UserId, message: str) -> str:
        """Let a user say something; return what they read, refused or not."""
        name, words = name_and_words(message)
        try:
            reply = await self.world.time.run(self.door.run(user, name, words, username=user))
            text = draw(reply)
        except Refused as refusal:
            text = str(refusal)
        self.world.said.append(text)
        return text

    @property
    def joined(self) -> int:
        """How many accounts hear their private stream."""
        sides = [side for venue in self.venues.values() for side in venue.sides.values()]
        return sum(side.bells.joined for side in sides)


# ---------------------------------------------------------------------------- the world


@dataclass(slots=True, kw_only=True, eq=False)
class World:
    """Venues, a database, a time, and the processes in it.

    keys: by user and venue; said: all replies to users; folder: where journals and database are.
    """

    time: Time
    sims: dict[str, Running]
    database: str
    folder: Path
    ids: Ids = field(default_factory=Ids)
    theatre: Theatre = field(default_factory=lambda: Theatre(bars_needed=0))
    keys: dict[tuple[UserId, str], Key] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    services: list[Service] = field(default_factory=list)
    reader: Any = None  # a store of nobody's, opened when it is first looked into

    async def service(self, owner: str = "host-1", lease_seconds: float = 1e6) -> Service:
        """Start a process of ours."""
        started = Service(self, owner, lease_seconds)
        self.services.append(started)
        await started.start()
        await self.time.settle()
        return started

    # ------------------------------------------------------------- accounts

    async def connect(
        self, service: Service, user: UserId, venue: str, balances: Mapping[str, str]
    ) -> Account:
        """Let a user open an account at a venue and connect it, for real money."""
        key = self.keys[user, venue] = self.sims[venue].client(user, balances)
        await service.ask(user, "/start")
        secret = key.secret
        question = await service.ask(user, f"/connect {venue} {key.api_key} {secret} testnet=false")
        assert "real money" in question, question
        connected = await service.ask(user, question.splitlines()[-1])
        assert "✅ Exchange Connected" in connected, connected
        return await self.account(user, venue)

    async def trade(self, service: Service, user: UserId, *pairs: str) -> None:
        """Let a user add pairs, as "ETH/BTC 1 binance", and start them."""
        for pair in pairs:
            added = await service.ask(user, f"/addpair {pair}")
            assert "Trading Pair Added" in added, added
        started = await service.ask(user, "/start_trading")
        assert "Started" in started, started

    async def unleash(self, service: Service, user: UserId) -> None:
        """Let a user lose as often in a row as it takes."""
        async with service.store.open(user) as store:
            await store.save_limits(RiskLimits())

    async def account(self, user: UserId, venue: str) -> Account:
        async with self.reading(user) as store:
            (found,) = [each for each in await store.accounts() if each.venue == venue]
        return found

    @asynccontextmanager
    async def reading(self, user: UserId) -> AsyncIterator[Any]:
        """Open what the database holds of a user, whatever process lives."""
        if self.reader is None:
            self.reader = await open_store(self.database, clock=ProcessClock(self.time))
        async with self.reader.open(user, reading=True) as opened:
            yield opened

    # --------------------------------------------------------- what is kept

    async def orders(self, user: UserId) -> list[Order]:
        async with self.reading(user) as store:
            return sorted(await store.orders(limit=10_000), key=lambda order: order.seq)

    async def fills(self, user: UserId) -> list[Fill]:
        orders = await self.orders(user)
        async with self.reading(user) as store:
            return list(await store.fills([order.id for order in orders]))

    async def trades(self, user: UserId) -> list[Trade]:
        async with self.reading(user) as store:
            return sorted(await store.trades(limit=10_000), key=lambda trade: trade.closed_at)

    async def entries(self, user: UserId) -> list[LedgerEntry]:
        async with self.reading(user) as store:
            return list(await store.entries())

    async def books(self, user: UserId, venue: str) -> Balances:
        """Return what our ledger says of an account, by place and asset."""
        account, balances = await self.account(user, venue), Balances()
        for entry in await self.entries(user):
            if entry.account_id == account.id:
                balances.book(entry)
        return balances

    async def bots(self, user: UserId) -> list[BotSpec]:
        async with self.reading(user) as store:
            return list(await store.bots())

    # ------------------------------------------------------ what the venue has

    def at_venue(self, user: UserId, venue: str) -> list[VenuesOrder]:
        """Return all orders of a user's account there that are ours, oldest first."""
        every = self.sims[venue].exchange.accounts[user].orders.values()
        return [order for order in every if order.client_id]

    def worth(self, user: UserId, venue: str) -> dict[str, Decimal]:
        """Return the venue's own books of an account, to the last unit."""
        exchange = self.sims[venue].exchange
        book = exchange.accounts[user]
        found = {asset: exchange.worth(user, asset) for asset in {*book.free, *book.locked}}
        return {asset: Decimal(have) / UNITS for asset, have in found.items() if have}

    # ----------------------------------------------------------- the verdict

    async def judge(self, user: UserId, venue: str) -> None:
        """Check that our books and the venue's tell the same story, to the last unit."""
        await self.judge_money(user, venue)
        await self.judge_orders(user, venue)
        await self.judge_fills(user, venue)

    async def judge_money(self, user: UserId, venue: str) -> None:
        balances = await self.books(user, venue)
        totals = {asset: each for asset, each in balances.account_totals().items() if each}
        there = self.worth(user, venue)
        assert totals == there, f"our books say {totals}, the venue's {there}"
        assert not any(balances.everything().values())

    async def judge_orders(self, user: UserId, venue: str) -> None:
        """Check that each order is known on both sides, once, and has come to the same end."""
        account = await self.account(user, venue)
        ours = {o.id: o for o in await self.orders(user) if o.account_id == account.id}
        theirs = self.at_venue(user, venue)
        doubled = [id for id, times in Counter(o.client_id for o in theirs).items() if times > 1]
        assert not doubled, f"orders {doubled} are at the venue more than once"
        unknown = [order for order in theirs if order.client_id not in ours]
        assert not unknown, f"orders at the venue that nobody here knows: {unknown}"
        there = {order.client_id for order in theirs}
        phantoms = [o for o in ours.values() if o.state not in ALIVE and o.id not in there]
        assert not phantoms, f"orders that never were at the venue: {phantoms}"
        for order in theirs:
            mine = ours[mine_id(order)]
            assert mine.state not in ALIVE, f"it is at the venue: {mine}"
            assert mine.filled == exact(order.filled), f"{mine} is {order} at the venue"
            assert mine.is_final != order.is_live, f"{mine} is {order} at the venue"

    async def judge_fills(self, user: UserId, venue: str) -> None:
        """Check that each of the venue's trades of ours is booked once, with its fee."""
        account = await self.account(user, venue)
        ours = {order.id for order in await self.orders(user) if order.account_id == account.id}
        book = self.sims[venue].exchange.accounts[user]
        theirs = Counter(
            (book.orders[t.order_id].client_id, *map(exact, (t.quantity, t.price, t.cost, t.fee)),
             t.fee_asset)
            for t in book.trades
            if book.orders[t.order_id].client_id
        )  # fmt: skip
        booked = Counter(
            (f.order_id, f.quantity, f.price, f.cost, f.fee, f.fee_asset)
            for f in await self.fills(user)
            if f.order_id in ours
        )
        assert booked == theirs, f"{booked} are booked, at the venue are {theirs}"

    def judge_journals(self) -> None:
        """Check that what each venue wrote down of its day is whole."""
        for sim in self.sims.values():
            assert sim.journal.path is not None
            sim.journal.flush()
            found = verify(sim.journal.path)
            assert found.is_whole and found.lines > 1, found


def mine_id(order: VenuesOrder) -> Any:
    return order.client_id


def exact(number: int) -> Decimal:
    return Decimal(number) / UNITS


def story_of(trades: Sequence[Trade]) -> list[tuple[Any, ...]]:
    """Return what trades came to, without the names they have."""
    return [
        (
            str(t.symbol), t.opened_at, t.closed_at, t.quantity, t.entry_price, t.exit_price,
            t.gross_pnl, t.fees, t.exit_reason,
        )
        for t in trades
    ]  # fmt: skip


@asynccontextmanager
async def world(
    venues: Sequence[str],
    database: str,
    folder: Path,
    patch: pytest.MonkeyPatch,
    *,
    market: Sequence[Recording] = (),
    start: datetime | None = None,
    pulse: bool = False,
    listings: Callable[[str], Sequence[Listing]] = listings_of,
    **options: Any,
) -> AsyncIterator[World]:
    """Open venues at the beginning of a market, each in this process behind sockets of its own.

    Without a market prices stand still at their listings' until the test ticks. pulse: a little is
    traded between the trades of recorded bars, too.
    """
    if start is None:
        start = datetime(2026, 11, 21, 12, tzinfo=UTC)
    clock = ManualClock(to_ms(start))
    time = Time(clock)
    time.heard.watch(patch)
    # What looks at the database all the time does so less often: these hours pass in seconds.
    patch.setattr("tradefleet.runtime.outbox.IDLE", 20.0)
    patch.setattr("tradefleet.operations.key_checks.ROUND", 240.0)
    async with AsyncExitStack() as stack:
        sims = {}
        for name in venues:
            pairs = listed(market, listings(name)) if market else list(listings(name))
            place = place_for(name, clock=clock, instruments=pairs, **options)
            for recording in market:
                clock.players.append(Recorded(place, recording))
            if pulse:
                symbols = [each.symbol for each in market]
                clock.players.append(Pulse(place.exchange, symbols, clock.now_ms()))
            journal = folder / f"journal-{name}"
            sims[name] = await stack.enter_async_context(running(name, place, journal=journal))
        time.sims.extend(sims.values())
        made = World(time=time, sims=sims, database=database, folder=folder)
        try:
            yield made
        finally:
            for service in [each for each in time.processes if isinstance(each, Service)]:
                service.thaw()
                await service.kill()
            if made.reader is not None:
                await made.reader.close()


# --------------------------------------------------------------- what befalls a whole venue


def shut(sim: Running) -> None:
    """Let a venue refuse every connection, and end those there are."""
    listener, sim.server._listener = sim.server._listener, None
    assert listener is not None
    listener.close()
    sim.server._cut_all()


async def reopen(sim: Running) -> None:
    await sim.server._listen()


CREATES = {"binance": "/api/v3/order", "bybit": "/v5/order/create", "kraken": "/AddOrder"}


def creates(venue: str, wire: Wire) -> bool:
    """Say whether a request of ours is to make an order."""
    return wire.method == "POST" and wire.url.endswith(CREATES[venue])
