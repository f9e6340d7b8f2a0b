"""A watch over what a test breaks: real checks, rules and alerts, and time that a test moves."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.runtime.live_rig import VirtualClock
from tradefleet import alerts
from tradefleet.alert import AlertChange, AlertSpec
from tradefleet.domain.health import HealthReport
from tradefleet.operations.health.alerting import Alerting
from tradefleet.operations.health.checks import Check, HealthWatch
from tradefleet.plugins import find_plugins
from tradefleet.stores.memory import MemoryStore

EVERY = 30.0
RULES: Mapping[str, AlertSpec] = find_plugins(alerts, "ALERT")


class Ear:
    """Hears what people would be told; fault is what it fails with."""

    def __init__(self) -> None:
        self.heard: list[AlertChange] = []
        self.fault: Exception | None = None

    async def tell(self, change: AlertChange) -> None:
        if self.fault is not None:
            raise self.fault
        self.heard.append(change)

    def lines(self) -> list[str]:
        return [f"{each.rule} {each.state} {each.level}" for each in self.heard]


@dataclass
class Ward:
    """One process: what it measures, and whom it tells."""

    checks: Sequence[Check]
    store: Any = None
    clock: Any = field(default_factory=VirtualClock)
    owner: str = "a"
    ear: Ear = field(default_factory=Ear)
    more: dict[str, Any] = field(default_factory=dict)
    beat: Callable[[], Awaitable[None]] | None = None  # what goes on before each round

    def __post_init__(self) -> None:
        self.store = self.store or MemoryStore(self.clock)
        self.begin()

    def begin(self) -> None:
        """Start, or start again, with nothing in memory."""
        self.alerting = Alerting(
            store=self.store,
            clock=self.clock,
            owner=self.owner,
            rules=RULES,
            every=EVERY,
            sinks=[self.ear],
        )
        self.watch = HealthWatch(
            checks=self.checks,
            rules=RULES,
            clock=self.clock,
            every=EVERY,
            heard=self.alerting.heard,
            **self.more,
        )

    async def round(self, number: int = 1) -> list[str]:
        """Let rounds pass and return what was told in them."""
        before = len(self.ear.heard)
        for _ in range(number):
            if self.beat is not None:
                await self.beat()
            await self.watch.turn()
            await self.clock.pass_by(EVERY)
        return self.ear.lines()[before:]

    async def report(self) -> HealthReport:
        return await self.watch.report()

    async def told_within_a_minute(self, rule: str, state: str) -> AlertChange:
        """Return the word on a rule, which must come by the second round."""
        before = len(self.ear.heard)
        await self.round(2)
        found = [each for each in self.ear.heard[before:] if each.rule == rule]
        assert [each.state.value for each in found] == [state], self.ear.lines()[before:]
        return found[0]

    async def is_seen_and_over(self, rule: str, break_it: Any, mend_it: Any) -> AlertChange:
        """Break something: /health and an alert say so within a minute; mend it: both are well."""
        assert await self.round() == []
        metric = RULES[rule].metric
        assert (await self.report()).metrics[metric].status == "healthy"
        await done(break_it())
        fired = await self.told_within_a_minute(rule, "fired")
        assert (await self.report()).metrics[metric].status != "healthy"
        assert fired.cure == RULES[rule].cure
        await done(mend_it())
        await self.told_within_a_minute(rule, "resolved")
        assert (await self.report()).metrics[metric].status == "healthy"
        return fired


async def done(what: Any) -> None:
    """Wait for what is to be waited for."""
    if hasattr(what, "__await__"):
        await what
