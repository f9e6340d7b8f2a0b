"""Kraken's counters: of calls per key, of public calls per address, of orders per pair."""

from collections import OrderedDict
from dataclasses import dataclass, field

from venuesim.kraken.errors import Error, Refused

PUBLIC_MAX = 20  # calls at once from one address, and then PUBLIC_DECAY a second
PUBLIC_DECAY = 1.0
COUNTERS_KEPT = 100_000
LOCKOUT_AFTER = 20  # failures to sign in a row
LOCKOUT_MS = 15 * 60 * 1000


@dataclass(frozen=True, slots=True)
class Tier:
    """What a client may do, by how well Kraken knows him."""

    calls: float
    calls_decay: float  # a second
    orders: float
    orders_decay: float
    open_orders: int  # of one pair


STARTER = Tier(calls=15, calls_decay=0.33, orders=60, orders_decay=1.0, open_orders=60)
INTERMEDIATE = Tier(calls=20, calls_decay=0.5, orders=125, orders_decay=2.34, open_orders=80)
PRO = Tier(calls=20, calls_decay=1.0, orders=180, orders_decay=3.75, open_orders=225)
TIERS = {"starter": STARTER, "intermediate": INTERMEDIATE, "pro": PRO}

# What a change of an order costs by its age: below so many seconds, so much.
CANCEL_COST = ((5, 8), (10, 6), (15, 5), (45, 4), (90, 2), (300, 1))
AMEND_COST = ((5, 3), (10, 2), (15, 1))
EDIT_COST = ((5, 6), (10, 5), (15, 4), (45, 2), (90, 1))


def by_age(costs: tuple[tuple[int, int], ...], age_ms: int) -> int:
    return next((cost for below, cost in costs if age_ms < below * 1000), 0)


@dataclass(slots=True)
class Counter:
    """Counts up with what is done, down with time."""

    level: float = 0.0
    at_ms: int = 0

    def now(self, now_ms: int, decay: float) -> float:
        """Return how high it stands."""
        self.level = max(0.0, self.level - decay * (now_ms - self.at_ms) / 1000)
        self.at_ms = now_ms
        return self.level


@dataclass(slots=True)
class Counters:
    """All counters of one kind, the least used forgotten first."""

    kept: OrderedDict[tuple[str, ...], Counter] = field(default_factory=OrderedDict)

    def of(self, *name: str) -> Counter:
        counter = self.kept.setdefault(name, Counter())
        self.kept.move_to_end(name)
        if len(self.kept) > COUNTERS_KEPT:
            self.kept.popitem(last=False)
        return counter


@dataclass(slots=True)
class Limits:
    """Counts everything, and refuses what is too much."""

    tiers: dict[str, Tier] = field(default_factory=dict)  # by account
    default: Tier = INTERMEDIATE
    calls: Counters = field(default_factory=Counters)
    public: Counters = field(default_factory=Counters)
    orders: Counters = field(default_factory=Counters)
    failures: Counters = field(default_factory=Counters)

    def tier(self, account: str) -> Tier:
        return self.tiers.get(account, self.default)

    def count_call(self, api_key: str, account: str, cost: int, now_ms: int) -> None:
        tier, counter = self.tier(account), self.calls.of(api_key)
        if counter.now(now_ms, tier.calls_decay) + cost > tier.calls:
            raise Refused(Error.CALL_RATE)
        counter.level += cost

    def count_public(self, ip: str, pair: str, now_ms: int) -> None:
        """Count a public call; those for one pair's history are counted by the pair."""
        counter = self.public.of(ip, pair)
        if counter.now(now_ms, PUBLIC_DECAY) + 1 > PUBLIC_MAX:
            raise Refused(Error.TOO_MANY_REQUESTS)
        counter.level += 1

    def count_order(self, account: str, symbol: str, cost: float, now_ms: int) -> None:
        """Count what places or changes an order, even if it is then refused for itself."""
        tier, counter = self.tier(account), self.orders.of(account, symbol)
        if counter.now(now_ms, tier.orders_decay) + cost > tier.orders:
            raise Refused(Error.ORDER_RATE)
        counter.level += cost

    def count_cancel(self, account: str, symbol: str, age_ms: int, now_ms: int) -> None:
        """Count a cancel, which is never refused."""
        counter = self.orders.of(account, symbol)
        counter.now(now_ms, self.tier(account).orders_decay)
        counter.level += by_age(CANCEL_COST, age_ms)

    def check_lockout(self, api_key: str, now_ms: int) -> None:
        counter = self.failures.of(api_key)
        if counter.level >= LOCKOUT_AFTER:
            if now_ms - counter.at_ms < LOCKOUT_MS:
                raise Refused(Error.LOCKED_OUT)
            counter.level = 0

    def failed(self, api_key: str, now_ms: int) -> None:
        counter = self.failures.of(api_key)
        counter.level, counter.at_ms = counter.level + 1, now_ms

    def succeeded(self, api_key: str) -> None:
        self.failures.kept.pop((api_key,), None)
