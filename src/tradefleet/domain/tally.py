"""What is counted while it happens, for whoever asks later: plain numbers, and no look-ups."""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

# Upper ends in seconds: of what takes a database a moment, and of what takes a venue one.
WRITE_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
ANSWER_BOUNDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0)


class Spread:
    """How often values fell between bounds, and their sum; the last count is of what is above."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    @property
    def count(self) -> int:
        return sum(self.counts)


def write_spread() -> Spread:
    return Spread(WRITE_BOUNDS)


def answer_spread() -> Spread:
    return Spread(ANSWER_BOUNDS)


@dataclass(slots=True)
class OrderTally:
    """What became of handing orders to one venue; answers: the seconds until it spoke.

    unsent: not one byte left, for the venue was out of reach; unknown: it may have them.
    """

    accepted: int = 0
    rejected: int = 0
    unsent: int = 0
    unknown: int = 0
    answers: Spread = field(default_factory=answer_spread)


@dataclass(slots=True)
class WorkTally:
    """What the bots of one process did; crashes: bots that were set aside for a fault.

    differences: by what was booked, how often an account held something else than our books said.
    """

    orders: defaultdict[str, OrderTally] = field(default_factory=lambda: defaultdict(OrderTally))
    fills: int = 0
    trades: int = 0
    crashes: int = 0
    differences: Counter[str] = field(default_factory=Counter)
    writes: Spread = field(default_factory=write_spread)


@dataclass(slots=True)
class RouteTally:
    """How often a route was asked, by the first digit of its answers, and the seconds it took."""

    answers: Counter[int] = field(default_factory=Counter)
    seconds: float = 0.0


@dataclass(slots=True)
class RequestTally:
    """What was asked of a surface, by method and route as it is written in the code."""

    routes: defaultdict[tuple[str, str], RouteTally] = field(
        default_factory=lambda: defaultdict(RouteTally)
    )
    took: Spread = field(default_factory=answer_spread)
    failures: int = 0  # answered with 5xx

    def add(
        self, method: str, route: str, status: int, seconds: float, *, of_monitor: bool = False
    ) -> None:
        """Count a request; of_monitor: its 503 is an answer, and no failure to answer."""
        of_route = self.routes[method, route]
        of_route.answers[status // 100] += 1
        of_route.seconds += seconds
        if not of_monitor:
            self.took.add(seconds)
            self.failures += status >= 500


@dataclass(slots=True)
class CommandTally:
    """What became of commands, by name and one of done, refused, unavailable, broken."""

    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
