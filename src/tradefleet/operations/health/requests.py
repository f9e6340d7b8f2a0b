"""How many of the latest requests failed by our fault, and how long all but the slowest took."""

from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

from tradefleet.clock import Clock
from tradefleet.domain.health import Metric
from tradefleet.domain.tally import RequestTally

OVER = 300.0  # seconds that count
REQUESTS_MIN = 20  # fewer say nothing of a rate
SLOWEST = 0.05  # the share that may take longer
LOOKS_MAX = 1000


class Look(NamedTuple):
    """The counters at one moment."""

    at: float
    failures: int
    counts: tuple[int, ...]


@dataclass(slots=True, eq=False)
class Requests:
    """Reads a tally of requests that only grows."""

    tally: RequestTally
    clock: Clock
    _looks: deque[Look] = field(default_factory=lambda: deque(maxlen=LOOKS_MAX))

    async def measure(self) -> dict[str, Metric]:
        now = Look(self.clock.monotonic(), self.tally.failures, tuple(self.tally.took.counts))
        while len(self._looks) > 1 and self._looks[1].at <= now.at - OVER:
            self._looks.popleft()
        if not self._looks:
            self._looks.append(Look(now.at, 0, (0,) * len(now.counts)))
        before = self._looks[0]
        self._looks.append(now)
        counts = [after - earlier for after, earlier in zip(now.counts, before.counts, strict=True)]
        number, failures = sum(counts), now.failures - before.failures
        if number < REQUESTS_MIN:
            return {"error_rate": Metric(0.0), "response_ms": Metric(0.0)}
        return {
            "error_rate": Metric(100 * failures / number, detail=f"{failures} of {number}"),
            "response_ms": Metric(1000 * self._all_but_slowest(counts, number)),
        }

    def _all_but_slowest(self, counts: list[int], number: int) -> float:
        """Return the bound below which all but the slowest are; above the last, twice that."""
        bounds, seen = self.tally.took.bounds, 0
        for bound, count in zip(bounds, counts, strict=False):
            seen += count
            if seen >= number * (1 - SLOWEST):
                return bound
        return 2 * bounds[-1]
