"""One running process: host, feeds, ownership, outbox and small jobs, started and stopped as one.

Whatever fails in here stops the whole process, cleanly; starting again is the recovery.
"""

import asyncio
import gc
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from tradefleet.domain.effects import Notify, Topic
from tradefleet.domain.health import Metric
from tradefleet.domain.order import OrderKind, OrderState
from tradefleet.runtime.feed import Feed
from tradefleet.runtime.host import Host
from tradefleet.runtime.hosted import HostedBot
from tradefleet.runtime.ownership import Ownership
from tradefleet.runtime.protection import ProtectionAudit
from tradefleet.runtime.reconciliation import Reconciliation
from tradefleet.runtime.signal_board import NOTES_MAX
from tradefleet.runtime.start_times import StartTimes

logger = logging.getLogger(__name__)

JOB_SECONDS = 5.0
LAG_SECONDS = 1.0
NAMED_MAX = 5  # bots or symbols that a reading names
YOUNG_MAX = 10_000  # new objects until the collector looks for garbage among them: some ms
OLDER_EVERY = (20, 20)  # such looks until it looks at older ones, too; and at all of them

Task = Callable[[], Awaitable[None]]


@dataclass(slots=True, kw_only=True, eq=False)
class Node:
    """others are tasks that run beside the host until the node stops (surfaces, outbox).

    recovered is set once every user was taken for the first time; lag is how late the event
    loop last was, in seconds. start: what measures the time until then.
    """

    host: Host
    feeds: dict[str, Feed]
    ownership: Ownership
    others: Sequence[Task] = ()
    recovered: asyncio.Event = field(default_factory=asyncio.Event)
    lag: float = 0.0
    worst_lag: float = 0.0  # since it was last asked for
    start: StartTimes | None = None
    reconciliation: Reconciliation = field(init=False)
    protection: ProtectionAudit = field(init=False)

    def __post_init__(self) -> None:
        self.reconciliation = Reconciliation(host=self.host)
        self.protection = ProtectionAudit(host=self.host, feeds=self.feeds)
        self.ownership.start = self.start

    async def run(self, stop: asyncio.Event) -> None:
        """Run until stop is set: then take nothing new, finish what is under way, let go."""
        async with asyncio.TaskGroup() as tasks:
            beside = [tasks.create_task(_forever(task)) for task in self.others]
            async with self.host:
                await self.ownership.take_users()
                self.recovered.set()
                if self.start is not None:
                    users, bots = len(self.host.users), len(self.host.bots)
                    told = self.start.told()
                    logger.info("%d users and %d bots run after %s", users, bots, told)
                spare_the_collector()
                jobs = [self.ownership.run, self._keep_notes, self._mark, self._watch]
                jobs += [self._measure_lag, self.reconciliation.run, self.protection.run]
                jobs += [feed.run for feed in self.feeds.values()]
                async with asyncio.TaskGroup() as inside:
                    running = [inside.create_task(_forever(job)) for job in jobs]
                    await stop.wait()
                    for task in running:
                        task.cancel()
                await self.host.finish()
                await self.host.store.release_leases(self.host.owner)
            for task in beside:
                task.cancel()

    async def _mark(self) -> None:
        """Keep the latest prices of open positions, so that /status shows what they are worth."""
        while True:
            await self.host.clock.sleep(JOB_SECONDS)
            for bot in list(self.host.bots.values()):
                spec = bot.engine.spec
                price = self.feeds[spec.venue].last.get(spec.symbol)
                marked = bot.engine.mark(price) if price is not None else None
                if marked is not None:
                    self.host.record(bot.user, [marked])
            self.host.flush()

    async def _keep_notes(self) -> None:
        """Keep what strategies said of each bar, for /why."""
        while True:
            await self.host.clock.sleep(JOB_SECONDS)
            if notes := self.host.board.take_notes():
                await self.host.store.note_signals(notes, keep=NOTES_MAX)

    async def _watch(self) -> None:
        """Tell users with a position when the prices that guard it stop coming."""
        while True:
            await self.host.clock.sleep(JOB_SECONDS)
            now = self.host.clock.now()
            silent = {(f.venue, symbol) for f in self.feeds.values() for symbol in f.check_stale()}
            for bot in self.host.bots.values() if silent else ():
                spec = bot.engine.spec
                if (spec.venue, spec.symbol) in silent and bot.engine.position is not None:
                    notice = Notify(spec.user_id, Topic.SYSTEM, no_prices(bot), now, 1)
                    self.host.record(bot.user, [notice])
            self.host.flush()

    async def _measure_lag(self) -> None:
        while True:
            before = self.host.clock.monotonic()
            await self.host.clock.sleep(LAG_SECONDS)
            self.lag = max(0.0, self.host.clock.monotonic() - before - LAG_SECONDS)
            self.worst_lag = max(self.worst_lag, self.lag)

    def figures(self) -> dict[str, Metric]:
        """Return what may be asked at any moment: how much runs here."""
        host = self.host
        running = sum(bot.engine.running for bot in host.bots.values())
        return {"active_users": Metric(len(host.users)), "active_bots": Metric(running)}

    def readings(self) -> dict[str, Metric]:
        """Return what the node knows of its own state since it was last asked."""
        host, now = self.host, self.host.clock.now()
        lag, self.worst_lag = self.worst_lag, 0.0
        aside = [bot.id for bot in host.bots.values() if bot.fault]
        bare = self.protection.bare
        since = min(bare.values(), default=now)
        idle = self.idlest(now)
        return {
            **self.figures(),
            "event_loop_lag_ms": Metric(lag * 1000),
            "journal_queue": Metric(len(host.journal)),
            **self._market_readings(now),
            "set_aside_bots": Metric(len(aside), detail=first_of(aside)),
            "bot_crash_rate": Metric(
                100 * len(aside) / max(1, len(host.bots)), detail=first_of(aside)
            ),
            "bot_idle_s": Metric(
                idle[0][0] if idle else 0.0,
                detail=first_of(f"{bot} {seconds:.0f} s" for seconds, bot in idle),
            ),
            "unprotected_positions": Metric(len(bare), detail=first_of(bare)),
            "unprotected_s": Metric((now - since).total_seconds(), detail=first_of(bare)),
            "accounts_not_compared": Metric(self.reconciliation.in_trouble),
            "statements_that_disagree": Metric(self.reconciliation.statement.differing),
        }

    def _market_readings(self, now: datetime) -> dict[str, Metric]:
        """Return how old the prices are of the venue that has been silent for longest."""
        ages, stale = {}, []
        for feed in self.feeds.values():
            stale += [f"{feed.venue} {symbol}" for symbol in sorted(feed.stale, key=str)]
            watched = {stream.symbol for stream in feed.streams()}
            heard = [at for symbol, at in feed.prices.items() if symbol in watched]
            if heard:
                ages[feed.venue] = max(0.0, (now - max(heard)).total_seconds())
        oldest = max(ages, key=lambda venue: ages[venue], default="")
        return {
            "market_data_age_s": Metric(ages.get(oldest, 0.0), detail=oldest),
            "stale_symbols": Metric(len(stale), detail=first_of(stale)),
        }

    def idlest(self, now: datetime) -> list[tuple[float, str]]:
        """Return by how many seconds the bars of running bots are overdue, the worst first."""
        late: list[tuple[float, str]] = []
        for group in self.host.board.groups.values():
            if group.last_at is None or group.fault or group.warming:
                continue
            due = group.last_at + 2 * group.stream.timeframe.delta  # when the next bar closes
            seconds = (now - due).total_seconds()
            if seconds > 0:
                followers = map(self.host.bots.get, group.followers)
                late += [(seconds, bot.id) for bot in followers if bot and bot.engine.running]
        return sorted(late, reverse=True)


def first_of(names: Iterable[str]) -> str:
    """Return the first few of some names."""
    found = list(names)
    more = f" and {len(found) - NAMED_MAX} more" if len(found) > NAMED_MAX else ""
    return ", ".join(found[:NAMED_MAX]) + more


def no_prices(bot: HostedBot) -> str:
    """Return what is said to whoever holds something whose prices stopped coming."""
    spec, orders = bot.engine.spec, bot.engine.working.values()
    rests = any(o.kind is OrderKind.RESTING_STOP and o.state is OrderState.OPEN for o in orders)
    stop = f"its stop rests at {spec.venue}" if rests else "its stop waits for one"
    return f"⚠️ No prices of {spec.symbol} are coming in; {stop}."


def spare_the_collector() -> None:
    """Keep it from what was built at start, which lives on, and from looking at every burst.

    Thousands of orders under way at once are no garbage; it took a quarter of their time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_MAX, *OLDER_EVERY)


async def _forever(task: Task) -> None:
    await task()
