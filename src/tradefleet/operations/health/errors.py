"""Counts the errors our code logs, for the last minutes."""

import logging
from collections import deque
from dataclasses import dataclass, field

from tradefleet.clock import Clock
from tradefleet.domain.health import Metric

OURS = "tradefleet"
OVER = 300.0  # seconds that count
COUNTED_MAX = 10_000  # errors remembered; more are that many


@dataclass(slots=True, eq=False)
class ErrorCount:
    """Listens to the log while it is attached."""

    clock: Clock
    _at: deque[float] = field(default_factory=lambda: deque(maxlen=COUNTED_MAX))
    _handler: logging.Handler | None = None

    def attach(self) -> None:
        self._handler = Listening(self)
        logging.getLogger(OURS).addHandler(self._handler)

    def detach(self) -> None:
        if self._handler is not None:
            logging.getLogger(OURS).removeHandler(self._handler)

    def heard(self) -> None:
        self._at.append(self.clock.monotonic())

    async def measure(self) -> dict[str, Metric]:
        """Return how many there were lately."""
        oldest = self.clock.monotonic() - OVER
        while self._at and self._at[0] < oldest:
            self._at.popleft()
        return {"errors_logged": Metric(len(self._at))}


class Listening(logging.Handler):
    """Hands each error on; whoever logs it does not wait."""

    def __init__(self, errors: ErrorCount) -> None:
        super().__init__(logging.ERROR)
        self._errors = errors

    def emit(self, record: logging.LogRecord) -> None:
        self._errors.heard()
