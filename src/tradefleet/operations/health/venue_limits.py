"""How often venues said lately that we ask too much."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from tradefleet.clock import Clock
from tradefleet.domain.health import Metric
from tradefleet.operations.health.checks import Measured

HITS_OVER = 300.0  # seconds that refusals by venues count
LOOKS_MAX = 1000
METAAPI = "metaapi"


@dataclass(slots=True, eq=False)
class Hits:
    """Reads counters that only grow, by venue."""

    hits: Mapping[str, int]
    clock: Clock
    _looks: deque[tuple[float, dict[str, int]]] = field(
        default_factory=lambda: deque(maxlen=LOOKS_MAX)
    )

    async def measure(self) -> Measured:
        now = self.clock.monotonic()
        while len(self._looks) > 1 and self._looks[1][0] <= now - HITS_OVER:
            self._looks.popleft()
        before = self._looks[0][1] if self._looks else {}
        self._looks.append((now, dict(self.hits)))
        lately = {name: count - before.get(name, 0) for name, count in self.hits.items()}
        metaapi = sum(count for name, count in lately.items() if name.startswith(METAAPI))
        venues = {name: count for name, count in lately.items() if not name.startswith(METAAPI)}
        most = max(venues, key=lambda name: venues[name], default="")
        told = {"venue_limit_hits": Metric(sum(venues.values()), detail=most)}
        if len(venues) < len(lately):
            told["metaapi_limit_hits"] = Metric(metaapi)
        return told
