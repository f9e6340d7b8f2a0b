"""Figures of one process, read where they are kept the moment somebody asks for them.

Nothing is counted twice: bots, journal and lanes keep plain numbers while they work, and what is
told per second or per minute is the difference between two looks at these.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from tradefleet.clock import Clock
from tradefleet.domain.errors import StoreError
from tradefleet.domain.order import OrderState
from tradefleet.domain.tally import CommandTally, RequestTally
from tradefleet.figures import Backlog
from tradefleet.runtime.node import Node

SAMPLE_SECONDS = 5.0
MINUTE = 60.0  # what is told per second or minute is measured over
ERRORS_OVER = 300.0  # so many seconds' calls tell the error rate
SAMPLES_MAX = int(ERRORS_OVER / SAMPLE_SECONDS) + 1
BACKLOG_SECONDS = 5.0  # who asks more often is told the same of the database
BACKLOG_PATIENCE = 2.0  # seconds the database has to say it


class Sample(NamedTuple):
    """Counters at one moment; at and cpu in seconds."""

    at: float
    trades: int
    calls: int
    failures: int
    answering: float
    cpu: float


@dataclass(slots=True, kw_only=True)
class Gauges:
    """Reads a node and what stands around it.

    too_fast: how often each venue said that we are; cpu_seconds and memory_bytes: what the process
    has used and has.
    """

    node: Node
    clock: Clock
    cpu_seconds: Callable[[], float]
    memory_bytes: Callable[[], int]
    too_fast: Mapping[str, int] = field(default_factory=dict)
    requests: RequestTally = field(default_factory=RequestTally)
    commands: CommandTally = field(default_factory=CommandTally)
    _samples: deque[Sample] = field(default_factory=lambda: deque(maxlen=SAMPLES_MAX))
    _backlog: Backlog | None = None
    _backlog_at: float | None = None

    async def run(self) -> None:
        """Look at the counters every few seconds, until cancelled."""
        while True:
            self._samples.append(self._sample())
            await self.clock.sleep(SAMPLE_SECONDS)

    def _sample(self) -> Sample:
        return Sample(
            self.clock.monotonic(),
            self.node.host.tally.trades,
            self.requests.took.count,
            self.requests.failures,
            self.requests.took.total,
            self.cpu_seconds(),
        )

    def _since(self, seconds: float) -> tuple[Sample, Sample]:
        """Return the counters some seconds ago, or at the start when that is later, and now."""
        now = self._sample()
        for sample in self._samples:
            if now.at - sample.at <= seconds + SAMPLE_SECONDS / 2:
                return sample, now
        return now, now

    def told(self) -> dict[str, float]:
        """Return the figures by the names that operators know them by."""
        before, now = self._since(MINUTE)
        seconds, calls = now.at - before.at, now.calls - before.calls
        earlier, _ = self._since(ERRORS_OVER)
        bots = self.active_bots
        cpu = 100 * ratio(now.cpu - before.cpu, seconds)
        return {
            "active_users_count": len(self.node.host.users),
            "active_bots_count": bots,
            "trades_per_second": ratio(now.trades - before.trades, seconds),
            "api_calls_per_minute": MINUTE * ratio(calls, seconds),
            "error_rate": 100 * ratio(now.failures - earlier.failures, now.calls - earlier.calls),
            "average_response_time": ratio(now.answering - before.answering, calls),
            "memory_per_bot": ratio(self.memory_bytes(), bots),
            "cpu_per_bot": ratio(cpu, bots),
        }

    @property
    def active_bots(self) -> int:
        return sum(bot.engine.running for bot in self.node.host.bots.values())

    def working_orders(self) -> Counter[OrderState]:
        """Count the orders that are not final, by state."""
        bots = self.node.host.bots.values()
        return Counter(order.state for bot in bots for order in bot.engine.working.values())

    def feed_ages(self) -> dict[str, float]:
        """Return the seconds since a price came, of each venue of which prices are wanted."""
        now = self.clock.now()
        latest = {
            name: max(feed.prices.values())
            for name, feed in self.node.feeds.items()
            if feed.prices and feed.streams()
        }
        return {name: seconds_between(at, now) for name, at in latest.items()}

    async def backlog(self) -> Backlog | None:
        """Return what waits in the database, a few seconds old at most; None: it does not say."""
        now = self.clock.monotonic()
        if self._backlog_at is None or now - self._backlog_at >= BACKLOG_SECONDS:
            self._backlog_at = now
            self._backlog = await self._ask_backlog()
        return self._backlog

    async def _ask_backlog(self) -> Backlog | None:
        try:
            async with asyncio.timeout(BACKLOG_PATIENCE):
                return await self.node.host.store.figures.backlog(self.clock.now())
        except (StoreError, TimeoutError):
            return None


def ratio(part: float, whole: float) -> float:
    """Return a part of a whole, 0 of nothing."""
    return part / whole if whole > 0 else 0.0


def seconds_between(earlier: datetime, later: datetime) -> float:
    return max(0.0, (later - earlier).total_seconds())
