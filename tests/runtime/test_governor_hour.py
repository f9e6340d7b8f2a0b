"""An hour of 2,000 accounts behind one address: no venue's limit is broken, no exit waits."""

import heapq
import itertools
import random
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import pytest

from tradefleet.domain.ids import UserId
from tradefleet.engine.pace import Priority
from tradefleet.engine.turns import Door
from tradefleet.runtime.venue_limits import VENUE_LIMITS

HOUR = 3600.0
ACCOUNTS = 2000
EXIT, CANCEL, RECON = Priority.EXIT, Priority.CANCEL, Priority.RECONCILIATION
ENTRY, READ = Priority.ENTRY, Priority.READ


# ------------------------------------------------------- the venues' rules, written anew


class BinanceRules:
    """6,000 weight in each minute of the clock by address, 100 orders in ten seconds by account."""

    def __init__(self) -> None:
        self.weight: Counter[int] = Counter()
        self.orders: Counter[tuple[str, int]] = Counter()
        self.broken: list[str] = []
        self.busiest = 0.0

    def arrives(self, at: float, key: str, costs: dict[str, float]) -> dict[str, str]:
        minute = int(at // 60)
        self.weight[minute] += int(costs.get("weight", 0))
        self.busiest = max(self.busiest, self.weight[minute] / 6000)
        if self.weight[minute] > 6000:
            self.broken.append(f"weight {self.weight[minute]} in minute {minute}")
        span = key, int(at // 10)
        self.orders[span] += int(costs.get("orders", 0))
        if self.orders[span] > 100:
            self.broken.append(f"{self.orders[span]} orders of {key}")
        return {"x-mbx-used-weight-1m": str(self.weight[minute])}


BYBIT_BY_PATH = {"create": 20, "cancel": 20, "query": 50}


class BybitRules:
    """600 requests in any five seconds by address; so many in any second by account and path."""

    def __init__(self) -> None:
        self.seen: deque[float] = deque()
        self.by_key: defaultdict[tuple[str, str], deque[float]] = defaultdict(deque)
        self.broken: list[str] = []
        self.busiest = 0.0

    def arrives(self, at: float, key: str, costs: dict[str, float]) -> dict[str, str]:
        if self.count(self.seen, at, 5) > 600:
            self.broken.append(f"{len(self.seen)} requests in 5 s")
        self.busiest = max(self.busiest, len(self.seen) / 600)
        headers = {}
        for name in costs.keys() - {"weight"}:
            limit = BYBIT_BY_PATH[name]
            count = self.count(self.by_key[key, name], at, 1)
            if count > limit:
                self.broken.append(f"{count} {name} of {key} in 1 s")
            headers = {
                "x-bapi-limit": str(limit),
                "x-bapi-limit-status": str(limit - count),
                "x-bapi-limit-reset-timestamp": str(int(at * 1000)),
            }
        return headers

    @staticmethod
    def count(seen: deque[float], at: float, span: float) -> int:
        seen.append(at)
        while seen[0] <= at - span:
            seen.popleft()
        return len(seen)


class KrakenRules:
    """A counter of 15 by key that falls by one every three seconds; 60 by pair, one a second."""

    def __init__(self) -> None:
        self.counters: dict[tuple[str, str], tuple[float, float]] = {}
        self.public: deque[float] = deque()
        self.broken: list[str] = []
        self.busiest = 0.0

    def arrives(self, at: float, key: str, costs: dict[str, float]) -> dict[str, str]:
        for name, n in costs.items():
            if name == "weight":
                self.public.append(at)
                while self.public[0] <= at - 10:
                    self.public.popleft()
                if len(self.public) > 12:
                    self.broken.append(f"{len(self.public)} public calls in 10 s")
                continue
            most, step, falls = (15, 3.0, 1.0) if name == "counter" else (60, 1.0, 1.0)
            level, since = self.counters.get((key, name), (0.0, 0.0))
            steps = at // step - since // step  # it falls at the tick, not all the time
            level = max(0.0, level - steps * falls) + n
            self.counters[key, name] = level, at
            self.busiest = max(self.busiest, level / most)
            if level > most:
                self.broken.append(f"{name} of {key} at {level}")
        return {}


# ------------------------------------------------------------------------------- traffic


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of request every account makes; every: seconds from an answer to the next."""

    priority: Priority
    costs: dict[str, float]
    every: float


TRAFFIC = {
    "binance": [  # far more polling than the address may do
        Kind(RECON, {"weight": 4}, 300),  # one order looked up
        Kind(READ, {"weight": 6}, 30),  # open orders
        Kind(READ, {"weight": 20}, 30),  # trades
        Kind(ENTRY, {"weight": 1, "orders": 1}, 600),
        Kind(EXIT, {"weight": 1, "orders": 1}, 600),
        Kind(CANCEL, {"weight": 1}, 900),
    ],
    "bybit": [
        Kind(RECON, {"weight": 1, "query": 1}, 300),
        Kind(READ, {"weight": 1, "query": 1}, 90),
        Kind(READ, {"weight": 1, "query": 1}, 240),
        Kind(ENTRY, {"weight": 1, "create": 1}, 600),
        Kind(EXIT, {"weight": 1, "create": 1}, 600),
        Kind(CANCEL, {"weight": 1, "cancel": 1}, 900),
    ],
    "kraken": [
        Kind(RECON, {"counter": 1}, 300),
        Kind(READ, {"counter": 2}, 120),
        Kind(READ, {"counter": 2}, 120),
        Kind(ENTRY, {"pair:XBTUSD": 1}, 600),
        Kind(EXIT, {"pair:XBTUSD": 1}, 600),
        Kind(CANCEL, {"pair:XBTUSD": 8}, 900),
    ],
}
MARKET = UserId("market")
PUBLIC = Kind(READ, {"weight": 1}, 0.5)
RULES: dict[str, Callable[[], BinanceRules | BybitRules | KrakenRules]] = {
    "binance": BinanceRules,
    "bybit": BybitRules,
    "kraken": KrakenRules,
}
BUSY, BUSIER = 50, 16  # the last so many accounts poll so many times as often
STORM = 60.0  # everybody polls for the first time within these seconds of a takeover
CRASH_AT, CRASH_EXITS = 1800.0, 100  # so many accounts leave at one moment


@dataclass
class Hour:
    """One hour of one venue: every event in order, on a clock of its own."""

    venue: str
    chance: random.Random = field(default_factory=lambda: random.Random(7))
    now: float = 0.0
    waits: defaultdict[Priority, list[float]] = field(default_factory=lambda: defaultdict(list))
    served: defaultdict[Priority, Counter[UserId]] = field(
        default_factory=lambda: defaultdict(Counter)
    )

    def __post_init__(self) -> None:
        limits = VENUE_LIMITS[self.venue]
        self.limits = limits
        self.door = Door(address=limits.address, keyed=limits.keyed)
        self.rules = RULES[self.venue]()
        self.events: list[tuple[float, int, Callable[[], None]]] = []
        self.numbers = itertools.count()
        self.looked_at = -1.0

    def later(self, at: float, what: Callable[[], None]) -> None:
        heapq.heappush(self.events, (at, next(self.numbers), what))

    def play(self) -> None:
        for number, user in enumerate(self.users()):
            for kind in TRAFFIC[self.venue]:
                if kind.priority is READ and number >= ACCOUNTS - BUSY and self.venue != "bybit":
                    kind = replace(kind, every=kind.every / BUSIER)
                start = self.chance.uniform(0, STORM if kind.priority is READ else kind.every)
                self.later(start, lambda user=user, kind=kind: self.ask(user, user, kind, True))
        self.later(0, lambda: self.ask(MARKET, "", PUBLIC, True))
        leaving = TRAFFIC[self.venue][4]
        for user in itertools.islice(self.users(), CRASH_EXITS):
            self.later(CRASH_AT, lambda user=user: self.ask(user, user, leaving, False))
        while self.events:
            due = self.door.due()
            if due is not None and due <= self.events[0][0]:
                self.now = max(self.now, due)
                self.door.advance(self.now)
                after = self.door.due()
                assert after is None or after > self.now, "a look that helps nobody"
                continue
            self.now, _, what = heapq.heappop(self.events)
            if self.now > HOUR:
                return
            what()

    @staticmethod
    def users() -> Iterator[UserId]:
        return (UserId(f"user {number}") for number in range(ACCOUNTS))

    def ask(self, user: UserId, key: str, kind: Kind, again: bool) -> None:
        asked = self.now

        def go(_: Exception | None) -> None:
            assert _ is None
            self.waits[kind.priority].append(self.now - asked)
            self.served[kind.priority][user] += 1
            arrival = self.now + self.chance.uniform(0.02, 0.25)
            self.later(arrival, lambda: self.arrive(user, key, kind, again))

        waiting = self.door.ask(self.now, user, key, kind.priority, kind.costs)
        if waiting is None:
            go(None)
        else:
            waiting.tell = go

    def arrive(self, user: UserId, key: str, kind: Kind, again: bool) -> None:
        headers = self.rules.arrives(self.now, key, kind.costs)
        names = tuple(name for name in kind.costs if name != "weight")
        for reading in self.limits.read(headers, names, self.now):
            self.door.learn(self.now, key, reading)
        if again:
            wait = kind.every * self.chance.uniform(0.5, 1.5)
            self.later(self.now + wait, lambda: self.ask(user, key, kind, True))


@pytest.fixture(scope="module", params=sorted(TRAFFIC))
def hour(request: pytest.FixtureRequest) -> Hour:
    hour = Hour(request.param)
    hour.play()
    return hour


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[int(len(values) * share)]


@pytest.mark.slow
def test_no_limit_of_the_venue_is_ever_broken(hour: Hour):
    assert hour.rules.broken == []
    assert hour.rules.busiest > 0.4, "there was hardly anything to limit"


@pytest.mark.slow
@pytest.mark.parametrize("priority", [EXIT, CANCEL])
def test_exits_and_cancels_wait_two_seconds_at_most(hour: Hour, priority: Priority):
    waits = hour.waits[priority]
    assert len(waits) > ACCOUNTS
    assert percentile(waits, 0.99) <= 2
    assert max(waits) <= 5


@pytest.mark.slow
@pytest.mark.parametrize("priority", [RECON, ENTRY])
def test_what_matters_more_than_polling_does_not_wait_for_it(hour: Hour, priority: Priority):
    assert len(hour.served[priority]) == ACCOUNTS
    assert percentile(hour.waits[priority], 0.99) <= 5


@pytest.mark.slow
def test_users_who_ask_alike_are_served_alike_and_greed_does_not_pay(hour: Hour):
    served = [hour.served[READ][user] for user in hour.users()]
    modest, greedy = served[:-BUSY], served[-BUSY:]
    assert fairness(modest) >= 0.95
    assert min(modest) >= 0.5 * sum(modest) / len(modest)
    if hour.venue == "binance":  # the address is short: nobody gets more by asking more
        assert max(greedy) <= 2 * max(modest)


def fairness(values: list[int]) -> float:
    """Jain's index: 1 when all are equal, 1/n when one has all."""
    return sum(values) ** 2 / (len(values) * sum(value * value for value in values))
