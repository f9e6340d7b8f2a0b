"""The round of measurements: all at once, each with its own time limit, over and over.

A measurement that hangs or fails is an unhealthy metric, and holds up no other. What is told in
between is what the latest round found, so whoever asks waits for nobody.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from tradefleet.alert import AlertSpec
from tradefleet.clock import Clock
from tradefleet.domain.errors import StoreError, TradefleetError
from tradefleet.domain.health import HealthReport, Metric, Status

logger = logging.getLogger(__name__)

CHECK_SECONDS = 5.0  # one measurement may take
STARTING_SECONDS = 1.0  # between two looks until every user was taken
DATABASE = "database_ms"

Measured = Mapping[str, Metric]
Measure = Callable[[], Awaitable[Measured]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One measurement and the metrics it is about, which are unhealthy when it fails.

    asks_database: when the database does not answer either, only that is told.
    """

    metrics: tuple[str, ...]
    measure: Measure
    asks_database: bool = False
    seconds: float = CHECK_SECONDS


@dataclass(slots=True, kw_only=True, eq=False)
class HealthWatch:
    """Measures every so many seconds; rules say how good a value is.

    at_once: figures that are read the moment somebody asks. recovered and maintenance: asked then,
    too. heard: called after each round with what was found.
    """

    checks: Sequence[Check]
    rules: Mapping[str, AlertSpec]
    clock: Clock
    every: float
    at_once: Callable[[], Measured] = dict
    recovered: Callable[[], bool] = lambda: True
    maintenance: Callable[[], Awaitable[bool]] | None = None
    heard: Callable[[HealthReport], Awaitable[None]] | None = None
    rounds: int = 0
    _latest: dict[str, Metric] = field(default_factory=dict)
    _measured_at: datetime | None = None
    _in_repair: bool = False

    async def run(self) -> None:
        """Measure until cancelled."""
        await self._while_starting()
        while True:
            began = self.clock.monotonic()
            await self.turn()
            took = self.clock.monotonic() - began
            await self.clock.sleep(max(self.every - took, self.every / 10))

    async def _while_starting(self) -> None:
        """Judge nothing until every user was taken: who starts is busy, and that is no trouble."""
        began = self.clock.monotonic()
        while not self.recovered() and self.clock.monotonic() - began < self.every:
            await self.clock.sleep(min(STARTING_SECONDS, self.every))

    async def turn(self) -> None:
        """Measure once and tell what was found."""
        await self.look()
        if self.heard is not None:
            await self.heard(await self.report())

    async def look(self) -> None:
        """Measure everything once."""
        measured: dict[str, Metric] = {}
        found = await asyncio.gather(*map(self._measured, self.checks))
        reached = all(known.get(DATABASE, Metric(0)).value is not None for known, _ in found)
        for check, (known, failed) in zip(self.checks, found, strict=True):
            if reached or not (failed and check.asks_database):
                measured |= known
        if reached and self.maintenance is not None:
            self._in_repair = await self._asked(self.maintenance)
        of = {rule.metric: rule for rule in self.rules.values()}
        self._latest = {name: rated(metric, of.get(name)) for name, metric in measured.items()}
        self._measured_at = self.clock.now()
        self.rounds += 1

    async def report(self) -> HealthReport:
        """Return how it is by the latest round; before the first, measure."""
        if self._measured_at is None:
            await self.look()
        return HealthReport(
            measured_at=self._measured_at or self.clock.now(),
            metrics={**self._latest, **self.at_once()},
            recovered=self.recovered(),
            maintenance=self._in_repair,
        )

    async def _measured(self, check: Check) -> tuple[Measured, bool]:
        """Return what a check found, and whether it failed."""
        # An error is an answer here: whatever it is, it says that something is wrong.
        (found,) = await asyncio.gather(within(check), return_exceptions=True)
        if isinstance(found, Mapping):
            return found, False
        why = reason(found, check.seconds)
        if not isinstance(found, TimeoutError | StoreError):
            logger.warning("%s cannot be measured: %s", ", ".join(check.metrics), why)
        return dict.fromkeys(check.metrics, Metric(None, detail=why)), True

    async def _asked(self, question: Callable[[], Awaitable[bool]]) -> bool:
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                return await question()
        except (StoreError, TimeoutError):
            return self._in_repair


async def within(check: Check) -> Measured:
    async with asyncio.timeout(check.seconds):
        return await check.measure()


def reason(error: BaseException, seconds: float) -> str:
    """Return why something could not be measured: our own words, or the error's kind alone."""
    if isinstance(error, TimeoutError):
        return f"no answer within {seconds:g} s"
    if isinstance(error, TradefleetError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__


def rated(metric: Metric, rule: AlertSpec | None) -> Metric:
    """Return a metric with its status by the rule, where there is one."""
    if rule is not None:
        return replace(metric, status=rule.status(metric.value), unit=metric.unit or rule.unit)
    status = Status.UNHEALTHY if metric.value is None else metric.status
    return replace(metric, status=status)
