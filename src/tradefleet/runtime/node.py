"""One running process: host, feeds, ownership, outbox and small jobs, started and stopped as one.

Whatever fails in here stops the whole process, cleanly; starting again is the recovery.
"""

import asyncio
import gc
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tradefleet.domain.effects import Notify, Topic
from tradefleet.domain.limits import MAINTENANCE, Halt
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

    async def health(self) -> dict[str, Any]:
        """Return what a monitor wants to know: measured values, each with its status."""
        host = self.host
        metrics = {
            "database_ms": rated((await host.store.ping()) * 1000, 100, 500),
            "event_loop_lag_ms": rated(self.lag * 1000, 100, 1000),
            "journal_queue": rated(len(host.journal), 1000, 5000),
            "stale_symbols": rated(sum(len(feed.stale) for feed in self.feeds.values()), 1, 1e9),
            "set_aside_bots": rated(sum(bool(b.fault) for b in host.bots.values()), 1, 1e9),
            "unprotected_positions": rated(len(self.protection.bare), 1, 1e9),
            "accounts_not_compared": rated(self.reconciliation.in_trouble, 1, 1e9),
            "statements_that_disagree": rated(self.reconciliation.statement.differing, 1, 1e9),
            "active_users": {"value": len(host.users), "status": "healthy"},
            "active_bots": {
                "value": sum(bot.engine.running for bot in host.bots.values()),
                "status": "healthy",
            },
        }
        worst = [metric["status"] for metric in metrics.values()]
        overall = next((s for s in ("unhealthy", "degraded") if s in worst), "healthy")
        if not self.recovered.is_set():
            overall = "degraded"
        repair = await host.store.platform_switch(MAINTENANCE)
        return {
            "overall_status": overall,
            "maintenance_mode": repair is not None and repair.halt is not Halt.RUN,
            "timestamp": host.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ"),
            "metrics": metrics,
            "active_alerts": sum(status != "healthy" for status in worst),
            "critical_alerts": worst.count("unhealthy"),
        }


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


def rated(value: float, warning: float, critical: float) -> dict[str, Any]:
    """Return a measured value with its status: degraded from warning, unhealthy from critical."""
    status = "healthy" if value < warning else "degraded" if value < critical else "unhealthy"
    return {"value": round(value, 2), "status": status}


async def _forever(task: Task) -> None:
    await task()
