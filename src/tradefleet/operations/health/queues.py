"""Which queue is the longest, and since when one that is not empty has not moved."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from tradefleet.domain.health import Metric


@dataclass(frozen=True, slots=True)
class Queue:
    """How much waits; mark changes whenever something was taken from it."""

    name: str
    waiting: int
    mark: object = None


@dataclass(slots=True)
class Queues:
    """What is remembered of queues from one look to the next: their marks, and since when."""

    _seen: dict[str, tuple[object, float]] = field(default_factory=dict)

    def look(self, queues: Iterable[Queue], now: float) -> dict[str, Metric]:
        """Return the length of the longest, and the seconds the most stuck one has not moved."""
        longest, most, stuck, stood = "", 0, "", 0.0
        for queue in queues:
            if queue.waiting > most:
                longest, most = queue.name, queue.waiting
            since = self._since(queue, now)
            if now - since > stood:
                stuck, stood = queue.name, now - since
        return {
            "queue_length": Metric(most, detail=longest),
            "queue_stuck_s": Metric(stood, detail=stuck),
        }

    def _since(self, queue: Queue, now: float) -> float:
        """Return since when nothing was taken from a queue; an empty one is not stuck."""
        mark, since = self._seen.get(queue.name, (None, now))
        if queue.waiting == 0 or queue.mark is None or mark != queue.mark:
            since = now
        self._seen[queue.name] = (queue.mark, since)
        return since
