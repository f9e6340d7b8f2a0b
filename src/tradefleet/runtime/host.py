"""Runs the bots of all users this host owns: take, step, write down, act.

Prices and bars come in from feeds, orders go out through account lanes. Everything a bot
asks for is written down before it is done. A fault stays in its bot; a user whose lease or
kill switch changed is taken from the store again; a store that cannot be written stops the
host, and starting again is the recovery.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from types import TracebackType
from typing import Self

from structlog.contextvars import bind_contextvars, bound_contextvars

from tradefleet.clock import Clock
from tradefleet.domain.bot import BotStatus
from tradefleet.domain.effects import (
    BotStatusChanged,
    CancelOrder,
    Effect,
    EntryBooked,
    FillBooked,
    Notify,
    OrderChanged,
    OrderPlaced,
    Protect,
    Record,
    SendOrder,
    Topic,
    TradeClosed,
)
from tradefleet.domain.errors import StoreError
from tradefleet.domain.events import BarClosed, EntryDue, Event, StopAsked, StopHit, TargetHit
from tradefleet.domain.ids import BotId, OrderId, UserId
from tradefleet.domain.ledger import LedgerEntry
from tradefleet.domain.limits import Tier
from tradefleet.domain.market import Bar, Stream, Symbol
from tradefleet.domain.order import OrderState, OutcomeLost, Purpose
from tradefleet.domain.signal import Signal
from tradefleet.domain.tally import WorkTally
from tradefleet.engine.trigger_book import TriggerBook
from tradefleet.runtime.accounts import AccountLane, Errand, Job, is_urgent
from tradefleet.runtime.group_commit import GroupCommit, Work
from tradefleet.runtime.hosted import HostedBot, HostedUser
from tradefleet.runtime.room import Room
from tradefleet.runtime.rounds import Round, Rounds
from tradefleet.runtime.signal_board import Group, SignalBoard
from tradefleet.store import Batch, ReplayRun, Store
from tradefleet.strategy import StrategySpec
from tradefleet.venue import Venue

logger = logging.getLogger(__name__)

LEAVING_MAX = 1000  # entries on their way to one venue; one more goes when one has arrived
SLICE_SECONDS = 0.005  # how long bots may step before others get the loop
FAULT_LOOK_UP = timedelta(seconds=60)  # until an account that failed is asked again
Market = tuple[str, Symbol]  # venue and symbol
Acts = Sequence[tuple[HostedBot, SendOrder | CancelOrder]]


@dataclass(slots=True, kw_only=True, eq=False)
class Host:
    """Use it as an async context: its tasks live as long as the context.

    owner names this host in leases; live hosts hold entries for their strategy's delay and
    keep notes of every bar for /why; cursor, when given, is written with every group (replay).
    """

    store: Store
    clock: Clock
    venues: Mapping[str, Venue]
    strategies: Mapping[str, StrategySpec]
    tiers: Mapping[str, Tier]
    order_key: bytes
    owner: str
    live: bool = True
    cursor: ReplayRun | None = None
    users: dict[UserId, HostedUser] = field(default_factory=dict)
    retired: dict[UserId, HostedUser] = field(default_factory=dict)  # dropped, lanes still busy
    dropped: set[UserId] = field(default_factory=set)  # to be taken again, if still ours
    bots: dict[BotId, HostedBot] = field(default_factory=dict)
    work: Work = field(default_factory=Work)
    rounds: Rounds = field(default_factory=Rounds)
    tally: WorkTally = field(default_factory=WorkTally)
    board: SignalBoard = field(init=False)
    journal: GroupCommit[Batch, StoreError | None] = field(init=False)
    books: defaultdict[Market, TriggerBook] = field(init=False)
    held: defaultdict[Market, dict[OrderId, HostedBot]] = field(init=False)
    _dirty: list[HostedUser] = field(default_factory=list)
    _leaving: list[HostedUser] = field(default_factory=list)  # dropped, accounts still open
    _tasks: asyncio.TaskGroup = field(default_factory=asyncio.TaskGroup)
    _journal_task: asyncio.Task[None] | None = None
    _waits: dict[asyncio.Task[None], None] = field(default_factory=dict)
    _ending: bool = False
    _rooms: defaultdict[str, Room] = field(init=False)  # for entries, by venue
    _inside: dict[OrderId, Room] = field(default_factory=dict)  # entries, until they are done

    def __post_init__(self) -> None:
        self.board = SignalBoard(self.strategies)
        self.journal = GroupCommit(self._write, self.work)
        self.books = defaultdict(TriggerBook)
        self.held = defaultdict(dict)
        self._rooms = defaultdict(lambda: Room(LEAVING_MAX))

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._journal_task = self._tasks.create_task(self.journal.run(), name="journal")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            try:
                await self.finish()
            except BaseException as failure:
                await self._close(type(failure), failure, failure.__traceback__)
                raise
        await self._close(kind, error, trace)

    async def _close(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let go; whatever a task failed with is raised here."""
        self._let_go()
        if self._journal_task is not None:
            self._journal_task.cancel()
        await self._tasks.__aexit__(kind, error, trace)

    async def finish(self) -> None:
        """Settle for good: what waits for its time is left to whoever takes the users next."""
        self._ending = True
        for wait in self._waits:
            wait.cancel()
        await self.settle()

    async def settle(self) -> None:
        """Return once nothing is under way: all is written down and every lane is idle.

        In a replay no bar of the same close comes any more; live, a round that is open is left.
        """
        for found in self.rounds.rest() if not self.live else ():
            self._decide(found)
        self.flush()
        while not self.work.is_idle:
            await self.work.idle()
            self.flush()

    # ------------------------------------------------------------- markets

    def price(self, venue: str, symbol: Symbol, price: Decimal, at: datetime) -> None:
        """The market of a symbol is at price now: send held entries, fire stops and targets."""
        market = (venue, symbol)
        if self.rounds.open:
            for found in self.rounds.overdue(at):
                self._decide(found)
        if held := self.held.get(market):
            self._release(held, price, at)
        book = self.books.get(market)
        if book is not None and len(book):
            for hit in book.hits(price):
                fired = StopHit(price, at) if hit.kind == "stop" else TargetHit(price, at)
                self.deliver(self.bots[hit.bot_id], fired)
        self.flush()

    def sweep_down(self, venue: str, symbol: Symbol, low: Decimal, at: datetime) -> bool:
        """The price fell through every level down to low; say whether anything was fired."""
        hits = self.books[venue, symbol].stops_down_to(low)
        for level, bot_id in hits:
            self.deliver(self.bots[bot_id], StopHit(level, at))
        self.flush()
        return bool(hits)

    def sweep_up(self, venue: str, symbol: Symbol, high: Decimal, at: datetime) -> bool:
        """The price rose through every level up to high; say whether anything was fired."""
        book = self.books[venue, symbol]
        seen: set[tuple[Decimal, BotId]] = set()
        while fresh := [hit for hit in book.targets_up_to(high) if hit not in seen]:
            for level, bot_id in fresh:
                self.deliver(self.bots[bot_id], TargetHit(level, at))
            seen.update(fresh)
        self.flush()
        return bool(seen)

    def _release(self, held: dict[OrderId, HostedBot], price: Decimal, at: datetime) -> None:
        for order_id, bot in list(held.items()):
            order = bot.engine.working.get(order_id)
            if order is not None and order.hold_until is not None and at < order.hold_until:
                continue
            if order_id in bot.user.lanes[bot.engine.spec.account_id].unsure:
                continue
            del held[order_id]
            self.deliver(bot, EntryDue(order_id, price, at))

    async def bar(self, stream: Stream, bar: Bar, *, late: bool = False) -> None:
        """A bar closed: run each group's strategy once and wake the followers it concerns.

        A late bar (found while repairing a gap) is only learned from: nobody acts on it.
        """
        for group in list(self.board.by_stream.get(stream, ())):
            if not group.awaits(bar):
                continue
            at = bar.opened_at + stream.timeframe.delta
            signal, trail = self._ask(group, bar, at, note=self.live and not late)
            await self._wake(group, BarClosed(bar, at, None if late else signal, trail))
            if self.rounds.open:
                await self._close_rounds(group, at)

    def _ask(
        self, group: Group, bar: Bar, at: datetime, *, note: bool
    ) -> tuple[Signal | None, Decimal | None]:
        """Run a group's strategy on the bar that closed at `at`."""
        with self.catch() as caught:
            signal, trail = group.take(bar), group.trail()
            if note:
                group.note(at, signal)
            return signal, trail
        self._fail(group, repr(caught[0]))
        return None, None

    def learn(self, group: Group, bar: Bar) -> None:
        """Let a group's strategy see a bar of the past."""
        if group.awaits(bar):
            with self.catch() as caught:
                group.take(bar)
            if caught:
                self._fail(group, repr(caught[0]))

    def _fail(self, group: Group, fault: str) -> None:
        """Set the followers of a strategy that failed aside, and only them."""
        group.fault = fault
        for bot_id in group.followers:
            self.set_aside(self.bots[bot_id], fault)
        self.flush()

    async def _wake(self, group: Group, event: BarClosed) -> None:
        started = self.clock.monotonic()
        for number, bot_id in enumerate(list(group.followers)):
            bot = self.bots.get(bot_id)
            if bot is None or not bot.engine.concerns(event.bar, event.signal):
                continue
            if bot.engine.universe is not None and bot.engine.is_flat:
                self.rounds.take(bot, event)
                continue
            self.deliver(bot, event)
            if number & 15 == 15 and self.clock.monotonic() - started > SLICE_SECONDS:
                self.flush()
                await asyncio.sleep(0)
                started = self.clock.monotonic()
        self.flush()

    async def _close_rounds(self, group: Group, at: datetime) -> None:
        """Decide the rounds that waited for nobody but this group."""
        started = self.clock.monotonic()
        for found in self.rounds.spoken(group, at):
            self._decide(found)
            if self.clock.monotonic() - started > SLICE_SECONDS:
                self.flush()
                await asyncio.sleep(0)
                started = self.clock.monotonic()
        self.flush()

    def _decide(self, found: Round) -> None:
        """Let the entries of a round be decided upon, the best first."""
        for bot, event in found.in_order():
            if self.bots.get(bot.id) is bot:
                self.deliver(bot, event)

    # ------------------------------------------------- take, step, write down, act

    def deliver(self, bot: HostedBot, event: Event) -> None:
        """Let a bot take an event; what it asks for waits for the next flush."""
        if bot.user.gone:
            return
        with self.catch() as caught:
            self._collect(bot, bot.engine.step(event))
        if caught:
            self.set_aside(bot, repr(caught[0]))

    def _collect(self, bot: HostedBot, effects: list[Effect]) -> None:
        user, spec = bot.user, bot.engine.spec
        if effects and not (user.records or user.acts):
            self._dirty.append(user)
        for effect in effects:
            match effect:
                case Protect(stop, target):
                    self.books[spec.venue, spec.symbol].set(spec.id, stop, target)
                case SendOrder() | CancelOrder():
                    user.acts.append((bot, effect))
                case _:
                    if isinstance(effect, OrderPlaced) and effect.order.purpose is Purpose.ENTRY:
                        self.held[spec.venue, spec.symbol][effect.order.id] = bot
                    elif isinstance(effect, FillBooked):
                        self.tally.fills += 1
                        if spec.account_id in user.books:
                            user.books[spec.account_id].take(effect.entry)
                    elif isinstance(effect, TradeClosed):
                        self.tally.trades += 1
                    user.records.append(effect)

    def record(self, user: HostedUser, records: list[Record]) -> None:
        """Have something written down that concerns a user but no single bot."""
        if not (user.records or user.acts):
            self._dirty.append(user)
        user.records += records

    def flush(self) -> None:
        """Give everything that bots asked for to the journal; acts follow once it is durable."""
        dirty, self._dirty = self._dirty, []
        for user in dirty:
            self._flush_user(user, None)

    def _flush_user(self, user: HostedUser, then: Callable[[], None] | None) -> None:
        records, user.records = user.records, []
        acts, user.acts = user.acts, []
        first = self._written_with(user, records, acts)
        if records or (self.journal.is_writing and takes_back(acts)):  # never before its order
            batch = self._batch(user, records, opens=first is not None and first.opens)
            done = partial(self._written, user, first, acts if first is None else acts[1:], then)
            if batch.kill_version is not None and self._joined(user, batch, done):
                return
            waiting = self.journal.add(batch, done)
            only_places = not acts and any(isinstance(each, OrderPlaced) for each in records)
            user.placing = waiting if only_places else None
            return
        for bot, act in acts:
            self._act(bot, act)
        if then is not None:
            then()

    def _joined(
        self, user: HostedUser, batch: Batch, done: Callable[[StoreError | None], None]
    ) -> bool:
        """Let entries be armed in the write that places them, if that has not begun yet."""
        placing = user.placing
        if placing is None or placing.is_taken:
            return False
        if placing.item.kill_version not in (None, batch.kill_version):
            return False
        records = (*placing.item.records, *batch.records)
        self.journal.join(placing, replace(batch, records=records), done)
        return True

    def _batch(self, user: HostedUser, records: Sequence[Record], *, opens: bool) -> Batch:
        return Batch(
            user_id=user.id,
            epoch=user.lease.epoch,
            records=tuple(records),
            kill_version=user.lease.kill_version if opens else None,
        )

    def _written_with(
        self,
        user: HostedUser,
        records: list[Record],
        acts: Acts,
    ) -> Errand[HostedBot] | None:
        """Write down with a decision that it is acted upon, when it can be at once.

        It need not be written down twice before it leaves, if nothing of its account is under
        way: the first act, that is; its lane is kept free for it.
        """
        if not acts:
            return None
        bot, act = acts[0]
        lane = user.lanes[bot.engine.spec.account_id]
        if lane.busy or not (isinstance(act, CancelOrder) or self._goes_in(bot, act.order_id)):
            return None
        errand = lane.errand(bot, act, records)
        if errand is not None:
            lane.busy = True
        return errand

    async def _write(self, batches: list[Batch]) -> list[StoreError | None]:
        began = self.clock.monotonic()
        try:
            written = list(await self.store.write(batches, run=self.cursor))
        except BaseException:
            self._let_go()
            raise
        self.tally.writes.add(self.clock.monotonic() - began)
        return written

    def _let_go(self) -> None:
        """Take nothing more for anybody: this host ends, and a venue may ring for a while yet."""
        for user in self.users.values():
            user.gone = True

    def _written(
        self,
        user: HostedUser,
        first: Errand[HostedBot] | None,
        acts: Acts,
        then: Callable[[], None] | None,
        error: StoreError | None,
    ) -> None:
        if first is not None:
            lane = user.lanes[first.bot.engine.spec.account_id]
            lane.busy = False
            if error is None:
                lane.begin(first)
                self._start(lane)
        if error is not None:
            self._stay(first, acts)
            self._refused(user, error)
        else:
            for bot, act in acts:
                self._act(bot, act)
        if then is not None:
            then()

    def _stay(self, first: Errand[HostedBot] | None, acts: Acts) -> None:
        """Give up the places of orders that will not leave after all."""
        if first is not None:
            self.left(first.order_id)
        for _, act in acts:
            self.left(act.order_id)

    def _act(self, bot: HostedBot, act: SendOrder | CancelOrder) -> None:
        job = Job.SEND if isinstance(act, SendOrder) else Job.CANCEL
        self.put(bot, job, act.order_id)

    def _refused(self, user: HostedUser, error: StoreError) -> None:
        """The store did not keep what a user's bots decided: what is in memory is wrong."""
        if user.gone:
            return
        if not self.live:
            raise error  # a replay has its database to itself
        logger.warning("user %s is taken from the store again: %s", user.id, error)
        self.drop(user)  # whoever holds the lease takes them again: runtime/ownership.py

    # --------------------------------------------------------------- lanes

    def put(self, bot: HostedBot, job: Job, order_id: OrderId) -> None:
        """Put a job on the lane of a bot's account; an entry, once there is room for it."""
        if job is not Job.SEND or self._goes_in(bot, order_id):
            self._line_up(bot, job, order_id)
        else:
            self.work.begin()
            room = self._rooms[bot.engine.spec.venue]
            self._tasks.create_task(self._wait_for_room(room, bot, order_id))

    def _goes_in(self, bot: HostedBot, order_id: OrderId) -> bool:
        """Say whether an order may be on its way now; an exit may, always."""
        if is_urgent(Job.SEND, bot, order_id) or order_id in self._inside:
            return True
        room = self._rooms[bot.engine.spec.venue]
        if room.goes_in():
            self._inside[order_id] = room
            return True
        return False

    def left(self, order_id: OrderId) -> None:
        room = self._inside.pop(order_id, None)
        if room is not None:
            room.leave()

    async def _wait_for_room(self, room: Room, bot: HostedBot, order_id: OrderId) -> None:
        """Let an entry wait beside its lane, so that exits of its account pass."""
        try:
            await room.wait()
            if order_id in self._inside:
                room.leave()
            else:
                self._inside[order_id] = room
            self._line_up(bot, Job.SEND, order_id)
        finally:
            self.work.end()

    def _line_up(self, bot: HostedBot, job: Job, order_id: OrderId) -> None:
        lane = bot.user.lanes[bot.engine.spec.account_id]
        lane.put(job, bot, order_id)
        if not lane.busy:
            self._start(lane)

    def _start(self, lane: AccountLane[HostedBot]) -> None:
        lane.busy = True
        self.work.begin()
        self._tasks.create_task(self._run_lane(lane))

    async def _run_lane(self, lane: AccountLane[HostedBot]) -> None:
        try:
            while lane.jobs:
                await self._do_next(lane)
        finally:
            lane.busy = False
            self.work.end()

    async def _do_next(self, lane: AccountLane[HostedBot]) -> None:
        job, bot, order_id = lane.take()
        try:
            if bot.user.gone:
                return
            # For the lines of this job; the task is the lane's own, so nothing is put back.
            account_id = bot.engine.spec.account_id
            bind_contextvars(user=bot.user.id, account=account_id, bot=bot.id, order=order_id)
            with self.catch() as caught:
                await lane.do(job, bot, order_id)
            if caught:
                self._lane_failed(bot, order_id, repr(caught[0]))
        finally:
            if job is Job.SEND:
                self.left(order_id)

    def _lane_failed(self, bot: HostedBot, order_id: OrderId, fault: str) -> None:
        """An account failed in a way that is no answer: what it was sent, it may have."""
        if bot.user.gone:
            return
        self.set_aside(bot, f"its account failed: {fault}")
        order = bot.engine.working.get(order_id)
        if order is not None and order.state is OrderState.SENDING:
            self.deliver(bot, OutcomeLost(order_id, fault))
            self.put(bot, Job.LOOK_UP, order_id)
        elif order is not None and order.sent_at is not None and self.live:
            self.later(FAULT_LOOK_UP, Job.LOOK_UP, bot, order_id)
        self.flush()

    async def book(self, user: HostedUser, entries: Sequence[LedgerEntry]) -> bool:
        """Have movements of money written down that are no fills; False: the store refused."""
        written = await self._write_now(
            user, [EntryBooked(entry) for entry in entries], opens=False
        )
        for entry in entries if written else ():
            if entry.account_id in user.books:
                user.books[entry.account_id].take(entry)
        return written

    async def arm(self, bot: HostedBot, record: OrderChanged, *, opens: bool) -> bool:
        return await self._write_now(bot.user, [record], opens=opens)

    async def _write_now(self, user: HostedUser, records: Sequence[Record], *, opens: bool) -> bool:
        if user.gone:
            return False
        user.placing = None
        error = await self.journal.write(self._batch(user, records, opens=opens))
        if error is not None:
            self._refused(user, error)
        return error is None and not user.gone

    async def tell(self, bot: HostedBot, event: Event) -> bool:
        self.deliver(bot, event)
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if bot.user in self._dirty:
            self._dirty.remove(bot.user)
        self._flush_user(bot.user, lambda: None if written.done() else written.set_result(None))
        await written
        return not bot.user.gone

    def later(self, wait: timedelta, job: Job, bot: HostedBot, order_id: OrderId) -> None:
        if self._ending:
            return
        self.work.begin()
        task = self._tasks.create_task(self._later(wait, job, bot, order_id))
        self._waits[task] = None
        task.add_done_callback(self._waited)

    def _waited(self, task: asyncio.Task[None]) -> None:
        self._waits.pop(task, None)
        self.work.end()

    async def _later(self, wait: timedelta, job: Job, bot: HostedBot, order_id: OrderId) -> None:
        await self.clock.sleep(wait.total_seconds())
        if not bot.user.gone:
            self.put(bot, job, order_id)

    # --------------------------------------------------------------- users

    def add(self, bot: HostedBot) -> None:
        """Run a bot: from now on it is woken, and its levels are watched.

        One whose user was lost while they were being taken is another host's by now.
        """
        if bot.user.gone:
            return
        spec = bot.engine.spec
        self.bots[spec.id] = bot
        bot.user.bots[spec.id] = bot
        levels = bot.engine.levels
        if levels.stop is not None:
            self.books[spec.venue, spec.symbol].set(spec.id, levels.stop, levels.target)

    def remove(self, bot: HostedBot) -> None:
        """Run a bot no longer."""
        spec = bot.engine.spec
        bot.user.bots.pop(spec.id, None)
        if self.bots.get(spec.id) is not bot:
            return  # taken again since: what is here now is not its own
        del self.bots[spec.id]
        self.board.leave(bot.group, spec.id)
        market = (spec.venue, spec.symbol)
        if market in self.books:
            self.books[market].clear(spec.id)
        held = self.held.get(market, {})
        for order_id in [order_id for order_id, owner in held.items() if owner is bot]:
            del held[order_id]

    def drop(self, user: HostedUser) -> None:
        """Forget a user; nothing of theirs is sent from here on."""
        user.gone = True
        self.dropped.add(user.id)
        user.records.clear()
        user.acts.clear()
        if user in self._dirty:
            self._dirty.remove(user)
        self._leaving.append(user)
        if user.is_busy:
            self.retired[user.id] = user
        for bot in list(user.bots.values()):
            self.remove(bot)
        if self.users.get(user.id) is user:
            del self.users[user.id]

    def is_retiring(self, user_id: UserId) -> bool:
        """Say whether something of a dropped user is still on its way to a venue."""
        user = self.retired.get(user_id)
        if user is not None and not user.is_busy:
            del self.retired[user_id]
            return False
        return user is not None

    async def close_accounts(self) -> None:
        """Let go of the accounts of dropped users at their venues, once nothing is on its way.

        Whoever was taken again meanwhile has opened them anew, and keeps what was opened.
        """
        leaving, self._leaving = self._leaving, []
        for user in leaving:
            if user.is_busy:
                self._leaving.append(user)
                continue
            if self.retired.get(user.id) is user:
                del self.retired[user.id]
            for lane in user.lanes.values():
                with self.catch() as caught:
                    await lane.link.close()
                if caught:
                    logger.error("an account of user %s stays open: %r", user.id, caught[0])

    def set_aside(self, bot: HostedBot, fault: str) -> None:
        """Stop a bot that failed: no new entries, its position stays guarded, its user is told."""
        with bound_contextvars(user=bot.user.id, bot=bot.id):
            logger.error("bot %s is set aside: %s", bot.id, fault)
        if bot.fault:
            return
        bot.fault = fault
        self.tally.crashes += 1
        spec, now = bot.engine.spec, self.clock.now()
        note = f"stopped after a fault: {fault}"[:500]
        text = f"⚠️ {spec.symbol}: your bot hit a fault and was set aside; others go on. {note}"
        self._collect(
            bot,
            [
                BotStatusChanged(spec.id, spec.user_id, BotStatus.SET_ASIDE, note),
                Notify(spec.user_id, Topic.FAULT, text, now, 1),
            ],
        )
        self.deliver(bot, StopAsked(now))

    def catch(self) -> "Caught":
        """Catch what a bot's own code raises; the store's errors concern everybody and go on."""
        return Caught()


def takes_back(acts: Acts) -> bool:
    return any(isinstance(act, CancelOrder) for _, act in acts)


class Caught(list[Exception]):
    """What was raised inside: the one place where any error is caught, for it stays in its bot."""

    __slots__ = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if not isinstance(error, Exception) or isinstance(error, StoreError):
            return False
        logger.debug("fault", exc_info=error)
        self.append(error)
        return True
