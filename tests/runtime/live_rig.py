"""A host to watch: a clock that tests move, a market and accounts that do as they are told."""

import asyncio
import heapq
import itertools
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from tests.bot_rig import enter as enter
from tests.bot_rig import leave as leave
from tests.makers import BTC, MINUTE, RULES, START, Number, bar
from tradefleet.dispatcher import Dispatcher, name_and_words
from tradefleet.domain.bot import BotSpec
from tradefleet.domain.errors import OutcomeUnknown, Refused, VenueRejected, VenueUnavailable
from tradefleet.domain.ids import AccountId, FillId, OrderId, UserId
from tradefleet.domain.limits import TIERS, Halt, Scope, Switch
from tradefleet.domain.market import Bar, Quote, Stream, Symbol, Timeframe, TradingRules
from tradefleet.domain.order import Fill, Order, OrderReport
from tradefleet.domain.position import Trade
from tradefleet.domain.signal import Signal, TradePlan
from tradefleet.domain.statement import VenueStatement
from tradefleet.domain.user import Account
from tradefleet.runtime.feed import Feed
from tradefleet.runtime.host import Host
from tradefleet.runtime.hosted import HostedBot, HostedUser
from tradefleet.runtime.node import Node
from tradefleet.runtime.ownership import Ownership
from tradefleet.store import Batch
from tradefleet.stores.memory import MemoryPaperBooks, MemoryStore
from tradefleet.strategy import StrategySpec
from tradefleet.venue import (
    BarSeen,
    MarketEvent,
    PriceSeen,
    VenueOrder,
    VenueSpec,
    VenueTiming,
    VenueTrade,
)
from tradefleet.wiring import build_dispatcher

ALICE, BOB, CAROL = UserId("alice"), UserId("bob"), UserId("carol")
KEY = b"k" * 32
STREAM = Stream("paper", BTC, Timeframe(60))


# --------------------------------------------------------------------------- time


async def quiet() -> None:
    """Return when every task waits for something that only the test can bring."""
    loop: Any = asyncio.get_running_loop()
    await asyncio.sleep(0)
    while loop._ready:  # noqa: ASYNC110
        await asyncio.sleep(0)


class VirtualClock:
    """Time passes only when a test lets it: then sleepers wake one by one, in order."""

    def __init__(self, start: datetime = START) -> None:
        self._now = start
        self._sleepers: list[tuple[datetime, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._now.timestamp()

    async def sleep(self, seconds: float) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        due = self._now + timedelta(seconds=max(seconds, 0))
        heapq.heappush(self._sleepers, (due, next(self._numbers), future))
        await future

    async def pass_until(self, moment: datetime) -> None:
        await quiet()
        while self._sleepers and self._sleepers[0][0] <= moment:
            due, _, future = heapq.heappop(self._sleepers)
            self._now = max(self._now, due)
            if not future.done():
                future.set_result(None)
            await quiet()
        self._now = max(self._now, moment)

    async def pass_by(self, seconds: float) -> None:
        await self.pass_until(self._now + timedelta(seconds=seconds))


class Ids:
    """Ids that count."""

    def __init__(self) -> None:
        self.count = 0

    def new(self) -> str:
        self.count += 1
        return f"{self.count:032x}"


# ------------------------------------------------------------------------- market


class Market:
    """Market data as a test says it; histories and subscriptions are what was asked for."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.refused: dict[Symbol, Exception] = {}
        self.bars: defaultdict[Stream, list[Bar]] = defaultdict(list)
        self.histories: list[tuple[Stream, datetime, int]] = []
        self.history_error: Exception | None = None
        self.gate: asyncio.Event | None = None
        self.subscriptions: list[tuple[Stream, ...]] = []
        self.events_left: asyncio.Queue[MarketEvent | Exception | None] = asyncio.Queue()

    async def rules(self, symbol: Symbol) -> TradingRules:
        if symbol in self.refused:
            raise self.refused[symbol]
        return RULES

    async def history(self, stream: Stream, *, before: datetime, count: int) -> Sequence[Bar]:
        self.histories.append((stream, before, count))
        if self.gate is not None:
            await self.gate.wait()
        if self.history_error is not None:
            raise self.history_error
        return [b for b in self.bars[stream] if b.opened_at < before][-count:] if count else []

    async def events(self, streams: Sequence[Stream]) -> AsyncIterator[MarketEvent]:
        self.subscriptions.append(tuple(streams))
        self.events_left = asyncio.Queue()
        while (event := await self.events_left.get()) is not None:
            if isinstance(event, Exception):
                raise event
            yield event

    async def bar(self, minute: int, close: Number = 100, stream: Stream = STREAM) -> None:
        """Let a bar close; its history has it from now on."""
        await self.clock.pass_until(START + (minute + 1) * MINUTE)
        closed = bar(close, minute)
        self.bars[stream].append(closed)
        await self.say(BarSeen(stream, closed))

    async def price(self, price: Number, symbol: Symbol = BTC) -> None:
        await self.say(PriceSeen(symbol, Quote(Decimal(price), self.clock.now())))

    async def say(self, *events: MarketEvent | Exception | None) -> None:
        """Bring events to whoever is subscribed now; None ends the subscription."""
        for event in events:
            self.events_left.put_nowait(event)
        await quiet()


# ----------------------------------------------------------------------- accounts


class Answer:
    """What an account does with an order that is sent to it."""

    ACCEPT = "accept"
    REJECT = "reject"
    LOSE_ANSWER = "the venue has it, we do not know"
    LOSE_REQUEST = "the venue never had it, we do not know"
    UNAVAILABLE = "the venue never had it, and says so"


@dataclass(slots=True)
class AtVenue:
    """An order as the account knows it."""

    order: Order
    number: str
    is_open: bool = True
    fills: list[Fill] = field(default_factory=list)

    @property
    def filled(self) -> Decimal:
        return sum((fill.quantity for fill in self.fills), Decimal(0))


def listed(known: AtVenue) -> VenueOrder:
    """Return an order as the venue's lists show it."""
    order = known.order
    return VenueOrder(
        venue_order_id=known.number,
        client_id=order.id,
        symbol=order.symbol,
        side=order.side,
        quantity=order.quantity,
        filled=known.filled,
        is_open=known.is_open,
        created_at=order.sent_at or START,
    )


def traded(known: AtVenue, fill: Fill) -> VenueTrade:
    """Return an execution as the venue's lists show it."""
    return VenueTrade(
        id=fill.id,
        venue_order_id=known.number,
        client_id=known.order.id,
        symbol=fill.symbol,
        side=fill.side,
        quantity=fill.quantity,
        price=fill.price,
        cost=fill.cost,
        fee=fill.fee,
        fee_asset=fill.fee_asset,
        at=fill.filled_at,
    )


class Link:
    """One account's private side. Answers and look_ups are used up first to last.

    before_submit is called with each order that arrives; gate holds a submit up; unnamed
    orders are not found by their names; list_errors are what lists fail with.
    """

    is_simulated = True
    rests_stops = False
    numbers_ahead = 0

    def __init__(self, news: Callable[[OrderId], None], timing: VenueTiming) -> None:
        self.timing = timing
        self.news = news
        self.answers: deque[Any] = deque()
        self.look_ups: deque[Exception] = deque()
        self.cancel_errors: deque[Exception] = deque()
        self.orders: dict[OrderId, AtVenue] = {}
        self.submitted: list[Order] = []
        self.asked: list[OrderId] = []
        self.cancelled: list[OrderId] = []
        self.funded: list[Mapping[str, Decimal]] = []
        self.before_submit: Callable[[Order], None] = lambda order: None
        self.fills_hidden = False
        self.unnamed: set[OrderId] = set()
        self.list_errors: deque[Exception] = deque()
        self.listings: list[str] = []
        self.gate: asyncio.Event | None = None

    async def submit(self, order: Order) -> str:
        self.submitted.append(order)
        self.before_submit(order)
        if self.gate is not None:
            await self.gate.wait()
        answer = self.answers.popleft() if self.answers else Answer.ACCEPT
        if isinstance(answer, Exception):
            raise answer
        if answer == Answer.REJECT:
            raise VenueRejected("no funds")
        if answer == Answer.UNAVAILABLE:
            raise VenueUnavailable("connection refused")
        if answer == Answer.LOSE_REQUEST:
            raise OutcomeUnknown("timed out")
        number = f"V{len(self.orders) + 1}"
        self.orders[order.id] = AtVenue(order, number)
        if answer == Answer.LOSE_ANSWER:
            raise OutcomeUnknown("timed out")
        return number

    async def cancel(self, order: Order) -> None:
        self.cancelled.append(order.id)
        if self.cancel_errors:
            raise self.cancel_errors.popleft()
        known = self.orders.get(order.id)
        if known is None or not known.is_open:
            raise VenueRejected("unknown order")
        known.is_open = False

    async def look_up(self, order: Order) -> OrderReport | None:
        self.asked.append(order.id)
        if self.look_ups:
            raise self.look_ups.popleft()
        known = None if order.id in self.unnamed else self.orders.get(order.id)
        return OrderReport(known.number, known.is_open, known.filled) if known else None

    async def fills_of(self, order: Order) -> Sequence[Fill]:
        return [] if self.fills_hidden else list(self.orders[order.id].fills)

    async def open_orders(self, symbols: Sequence[Symbol]) -> Sequence[VenueOrder]:
        self._list("open_orders")
        return [listed(each) for each in self.orders.values() if each.is_open]

    async def orders_since(
        self, symbols: Sequence[Symbol], since: datetime, *, in_doubt: bool = False
    ) -> Sequence[VenueOrder]:
        self._list("orders_since")
        found = [listed(each) for each in self.orders.values()]
        return [each for each in found if each.created_at >= since]

    async def trades_since(
        self, symbols: Sequence[Symbol], since: datetime, *, in_doubt: bool = False
    ) -> Sequence[VenueTrade]:
        self._list("trades_since")
        found = [traded(each, fill) for each in self.orders.values() for fill in each.fills]
        return [] if self.fills_hidden else [each for each in found if each.at >= since]

    def _list(self, name: str) -> None:
        self.listings.append(name)
        if self.list_errors:
            raise self.list_errors.popleft()

    async def close(self) -> None:
        pass

    async def balances(self) -> Mapping[str, Decimal]:
        return {}

    async def statement(
        self, symbols: Sequence[Symbol], since: datetime, until: datetime
    ) -> VenueStatement:
        return VenueStatement(())

    async def fund(self, deposited: Mapping[str, Decimal]) -> None:
        self.funded.append(deposited)

    async def fill(
        self, order: Order, price: Number, quantity: Number | None = None, at: datetime = START
    ) -> None:
        """Let the venue fill an order, or a part of it, and ring the bell."""
        known = self.orders[order.id]
        amount = order.quantity if quantity is None else Decimal(quantity)
        cost = amount * Decimal(price)
        known.fills.append(
            Fill(
                id=FillId(f"{known.number}-{len(known.fills) + 1}"),
                order_id=order.id,
                symbol=order.symbol,
                side=order.side,
                quantity=amount,
                price=Decimal(price),
                cost=cost,
                fee=cost / 1000,
                fee_asset="USDT",
                fee_quote=cost / 1000,
                filled_at=at,
            )
        )
        known.is_open = known.filled < order.quantity
        self.news(order.id)
        await quiet()


class Venue:
    """A venue of scripted accounts; errors is what opening an account fails with."""

    def __init__(self, market: Market, timing: VenueTiming | None = None) -> None:
        self.market = market
        self.timing = timing or VenueTiming()
        self.links: dict[AccountId, Link] = {}
        self.errors: dict[AccountId, Exception] = {}

    async def link(self, account: Account, news: Callable[[OrderId], None]) -> Link:
        if account.id in self.errors:
            raise self.errors[account.id]
        link = self.links.setdefault(account.id, Link(news, self.timing))
        link.news = news
        return link


# --------------------------------------------------------------------- strategies


class Script:
    """A strategy that says what the test wants said of a bar; an exception is raised."""

    def __init__(self, lines: dict[datetime, Any], plan: TradePlan, bars_needed: int) -> None:
        self.lines, self.plan, self.bars_needed = lines, plan, bars_needed
        self.seen: list[Bar] = []
        self.why: Exception | str = "nothing is in the script"

    def on_bar(self, bar: Bar) -> Signal | None:
        self.seen.append(bar)
        said = self.lines.get(bar.opened_at)
        if isinstance(said, Exception):
            raise said
        return said

    def why_not(self) -> str:
        if isinstance(self.why, Exception):
            raise self.why
        return self.why

    def trail_distance(self) -> Decimal | None:
        return None


@dataclass(slots=True)
class Theatre:
    """The scripts of all strategies: one per name= parameter, built anew by each group."""

    lines: defaultdict[str, dict[datetime, Any]] = field(default_factory=lambda: defaultdict(dict))
    built: defaultdict[str, list[Script]] = field(default_factory=lambda: defaultdict(list))
    broken: dict[str, Exception] = field(default_factory=dict)
    bars_needed: int = 3

    def build(self, params: Mapping[str, str]) -> Script:
        name = params.get("name", "a")
        if name in self.broken:
            raise self.broken[name]
        if set(params) - {"name", "delay"}:
            raise Refused(f"There are no such parameters: {sorted(params)}.")
        plan = TradePlan(entry_delay=int(params.get("delay", "0")))
        script = Script(self.lines[name], plan, self.bars_needed)
        self.built[name].append(script)
        return script

    def say(self, minute: int, said: Any, name: str = "a") -> None:
        """Let the strategy say this of the bar that opens so many minutes after START."""
        self.lines[name][START + minute * MINUTE] = said

    def spec(self) -> StrategySpec:
        return StrategySpec(
            name="script",
            summary="Says what it is told.",
            parameters={"name": ("a", "which script"), "delay": ("0", "seconds")},
            build=self.build,
            bars_needed=self.bars_needed,
        )


# ------------------------------------------------------------------------ service


class WatchedStore(MemoryStore):
    """A store that notes every batch; before_write may raise, or change what is stored."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__(clock)
        self.batches: list[Batch] = []
        self.refusals: list[Any] = []
        self.before_write: Callable[[Sequence[Batch]], Awaitable[None]] | None = None

    async def write(self, batches: Sequence[Batch], *, run: Any = None) -> Any:
        if self.before_write is not None:
            await self.before_write(batches)
        errors = await super().write(batches, run=run)
        self.batches += batches
        self.refusals += [error for error in errors if error is not None]
        return errors


@dataclass(slots=True, kw_only=True)
class Ground:
    """What outlives a host: clock, store, market, accounts, and the door users come in by."""

    clock: VirtualClock
    store: WatchedStore
    market: Market
    theatre: Theatre
    venue: Any
    door: Dispatcher
    books: MemoryPaperBooks

    @classmethod
    def new(cls, timing: VenueTiming | None = None) -> "Ground":
        clock = VirtualClock()
        store, market, theatre = WatchedStore(clock), Market(clock), Theatre()

        async def rules(venue: str, symbol: Symbol) -> TradingRules:
            return RULES

        paper = VenueSpec(name="paper", summary="A venue of the tests.", needs_keys=False)
        door = build_dispatcher(store, clock, Ids(), rules=rules, known_venues={"paper": paper})
        known = {**door.catalog.strategies, "script": theatre.spec()}
        door = replace(door, catalog=replace(door.catalog, strategies=known))
        venue = Venue(market, timing)
        return cls(
            clock=clock,
            store=store,
            market=market,
            theatre=theatre,
            venue=venue,
            door=door,
            books=MemoryPaperBooks(),
        )

    async def ask(self, *messages: str, user: UserId = ALICE) -> None:
        """Let a user say something to the service."""
        for message in messages:
            name, words = name_and_words(message)
            await self.door.run(user, name, words, username=user)

    async def join(self, *users: UserId, words: str = "", pair: str = "BTC/USDT") -> None:
        """Let users register, add a pair that follows the script, and start it."""
        for user in users or (ALICE,):
            await self.ask(
                "/start",
                f"/addpair {pair} 1000 strategy=script timeframe=1m {words}",
                "/start_trading",
                user=user,
            )

    # ------------------------------------------------------------- what is stored

    async def orders(self, user: UserId = ALICE) -> list[Order]:
        async with self.store.open(user, reading=True) as store:
            return sorted(await store.orders(), key=lambda order: order.seq)

    async def states(self, user: UserId = ALICE) -> list[str]:
        return [order.state.value for order in await self.orders(user)]

    async def trades(self, user: UserId = ALICE) -> list[Trade]:
        async with self.store.open(user, reading=True) as store:
            return list(await store.trades())

    async def bot(self, user: UserId = ALICE) -> BotSpec:
        async with self.store.open(user, reading=True) as store:
            (bot,) = await store.bots()
        return bot

    async def position(self, user: UserId = ALICE) -> Any:
        async with self.store.open(user, reading=True) as store:
            (memory,) = (await store.memories()).values()
        return memory.position

    async def told(self, user: UserId = ALICE) -> list[str]:
        waiting = await self.store.due_notices(now=self.clock.now(), limit=10**6)
        return [each.notice.text for each in waiting if each.notice.user_id == user]

    async def waiting(self) -> list[str]:
        """Return the subjects of the messages that no host has worked off."""
        return [message.subject for message in self.store._shared.messages.values()]

    def link(self, user: UserId = ALICE) -> Link:
        return self.venue.links[AccountId(f"{user}:paper")]

    async def switch(self, halt: Halt, user: UserId = ALICE, scope: Scope = Scope.USER) -> None:
        """Throw a user's switch, or the platform's, as the operator would."""
        name = "*" if scope is Scope.PLATFORM else user
        switch = Switch(
            scope=scope, scope_id=name, halt=halt, reason="a test", changed_at=self.clock.now()
        )
        if scope is Scope.PLATFORM:
            await self.store.set_platform_switch(switch)
            return
        async with self.store.open(user) as store:
            await store.set_switch(switch)
            await store.ask_host("switches_changed", {})

    async def ask_host(self, subject: str, user: UserId = ALICE, **payload: Any) -> None:
        """Leave a message for a user's host."""
        async with self.store.open(user) as store:
            await store.ask_host(subject, payload)

    # ------------------------------------------------------------- who runs them

    def host(self, owner: str = "host-1", lease_seconds: float = 1e6, **parts: Any) -> "Running":
        given = {
            "store": self.store,
            "clock": self.clock,
            "venues": {"paper": self.venue},
            "strategies": {"script": self.theatre.spec()},
            "tiers": TIERS,
            "order_key": KEY,
            "owner": owner,
            **parts,
        }
        return Running(self, Host(**given), lease_seconds)

    @asynccontextmanager
    async def doomed_host(self, owner: str = "doomed", **parts: Any) -> AsyncIterator["Running"]:
        """Run a host that is killed at the end; what it owned is free at once."""
        with suppress(Killed):
            try:
                async with self.host(owner, **parts) as running:
                    yield running
                    raise Killed
            except BaseExceptionGroup as group:
                raise lone_error(group) from group
        await self.store.release_leases(owner)


class Killed(BaseException):
    """The process is gone, whatever it was about to do."""


def lone_error(error: BaseException) -> BaseException:
    """Return the error that a group of groups comes down to, if it is one."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


class Running:
    """A host with its feed and its ownership, of which nothing runs by itself."""

    def __init__(self, ground: Ground, host: Host, lease_seconds: float) -> None:
        self.ground, self.host = ground, host
        self.feed = Feed(
            venue="paper", market=host.venues["paper"].market, host=host, clock=ground.clock
        )
        self.ownership = Ownership(
            host=host, feeds={"paper": self.feed}, lease_seconds=lease_seconds
        )
        self.node = Node(host=host, feeds={"paper": self.feed}, ownership=self.ownership)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> "Running":
        await self._stack.enter_async_context(self.host)
        await self.poll()
        return self

    async def __aexit__(self, *why: Any) -> bool | None:
        return await self._stack.__aexit__(*why)

    async def poll(self) -> None:
        """Let ownership do what it does every half second."""
        await self.ownership.poll()
        await quiet()

    @asynccontextmanager
    async def feeding(self) -> AsyncIterator[Market]:
        """Let the feed follow the market."""
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(self.feed.run())
            await quiet()
            yield self.ground.market
            await quiet()
            task.cancel()

    async def bar(self, minute: int, close: Number = 100, **rest: Any) -> None:
        """Let the bar that opens at a minute close, at its end."""
        await self.ground.clock.pass_until(START + (minute + 1) * MINUTE)
        await self.host.bar(STREAM, bar(close, minute, **rest))
        await quiet()

    async def price(self, price: Number, symbol: Symbol = BTC) -> None:
        """Let the market be at a price now."""
        self.host.price("paper", symbol, Decimal(price), self.ground.clock.now())
        await quiet()

    def user(self, user: UserId = ALICE) -> HostedUser:
        return self.host.users[user]

    def bot(self, user: UserId = ALICE) -> HostedBot:
        (bot,) = self.host.users[user].bots.values()
        return bot
