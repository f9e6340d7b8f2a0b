"""Whose request goes to a venue next: priorities, users in turn, budgets that many share.

A door is one venue seen from one egress address. A request may need tokens of the address's
own budget and of budgets of the key it is signed with; it takes them all at once or none.
First it waits at the gate of its key's budgets, then in the line before the door, so that a
key that is short of tokens holds up nobody else. Time is an argument: seconds on any clock
that does not run backwards. Each step costs O(log n) of the keys that wait.
"""

import heapq
import math
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from tradefleet.domain.errors import VenueUnavailable, ensure
from tradefleet.domain.ids import UserId
from tradefleet.engine.pace import TINY, Allowance, Priority, TokenBucket

# Who waits here goes first, always; the others share what these leave, in these proportions,
# so that none of them waits for ever: thousands of accounts always have something to look up.
FIRST: Final = (Priority.EXIT, Priority.CANCEL, Priority.PROTECTIVE)
SHARES: Final = {Priority.RECONCILIATION: 6.0, Priority.ENTRY: 3.0, Priority.READ: 1.0}

# The part of a budget's burst that a request leaves there for those who go before it. An entry
# leaves less than what is read all the time: it is too late when it waits for seconds.
LEFT_FOR_OTHERS: Final = {
    Priority.EXIT: 0.0,
    Priority.CANCEL: 0.05,
    Priority.PROTECTIVE: 0.1,
    Priority.RECONCILIATION: 0.5,
    Priority.ENTRY: 0.3,
    Priority.READ: 0.5,
}

WAITING_MAX = 20_000  # before one door; then the last to come of the lowest priority is refused
WAITING_PER_USER = 1_000  # of one user and one priority
LOOK_SECONDS = 0.001  # at least so long until somebody who is short of tokens is looked at again
BUDGETS_MAX = 20_000  # kept of keys; those that are full are as good as new and let go


class Budget:
    """What one limit of a venue leaves us: a bucket for each span it is counted over."""

    __slots__ = ("_promised", "parts")

    def __init__(self, allowances: tuple[Allowance, ...]) -> None:
        self.parts = [(allowance, allowance.bucket()) for allowance in allowances]
        self._promised: dict[Priority, float] = {}

    def wait(self, now: float, n: float, priority: Priority) -> float:
        """Return the seconds until there is enough for n, what others leave and are promised."""
        promised = 0.0
        for whom, amount in self._promised.items():
            if whom <= priority:
                promised += amount
        longest = 0.0
        share = LEFT_FOR_OTHERS[priority]
        for _, bucket in self.parts:
            keep = share * bucket.burst
            if not promised:
                wait = bucket.wait(now, n, keep=keep)
            else:  # never beyond what is there, or all would be let through a full bucket
                missing = n + keep + promised - bucket.left(now)
                wait = missing / bucket.rate if missing > TINY else 0.0
            if wait > longest:
                longest = wait
        return longest

    def short(self, now: float, n: float) -> bool:
        """Say whether n cannot be taken now, whoever else may want it."""
        return any(bucket.wait(now, n) > 0 for _, bucket in self.parts)

    def spend(self, now: float, n: float) -> None:
        for _, bucket in self.parts:
            bucket.spend(now, n)

    def promise(self, n: float, priority: Priority) -> None:
        """Set n apart for a request that waits before the door; below zero: it went."""
        left = self._promised.get(priority, 0.0) + n
        if left > TINY:
            self._promised[priority] = left
        else:
            self._promised.pop(priority, None)

    def pause(self, now: float, seconds: float) -> None:
        """Grant nothing for a while, at the cost of the shortest span: a day's count stays."""
        _, bucket = min(self.parts, key=lambda part: part[0].period)
        bucket.pause(now, seconds)

    def learn(self, now: float, reading: "Reading") -> None:
        """Take the venue's word for what is used of a limit, and for the limit itself."""
        for number, (allowance, bucket) in enumerate(self.parts):
            if allowance.period != reading.period:
                continue
            if reading.limit is not None and reading.limit != allowance.limit > 0:
                allowance = allowance.resized(reading.limit)
                bucket = _resized(bucket, allowance, now)
                self.parts[number] = allowance, bucket
            left = allowance.usable - reading.used
            if left <= 0 and reading.resets_in > 0:
                bucket.pause(now, reading.resets_in)
            else:
                bucket.at_most(now, left)

    def is_untouched(self, now: float) -> bool:
        """Say whether nothing is used or promised: a new one would be the same."""
        full = all(bucket.left(now) >= bucket.burst - TINY for _, bucket in self.parts)
        return full and not self._promised


def _resized(old: TokenBucket, allowance: Allowance, now: float) -> TokenBucket:
    """Return a bucket of another size from which as much is taken as from the old one."""
    bucket = allowance.bucket()
    bucket.spend(now, old.burst - old.left(now))
    return bucket


@dataclass(frozen=True, slots=True)
class Reading:
    """What a venue's answer says of one of its limits.

    name and period: which (see Allowance); used: in this period so far; limit: when it says
    so; resets_in: seconds until it counts from zero, 0 where it does not say.
    """

    name: str
    period: float
    used: float
    limit: float | None = None
    resets_in: float = 0.0


@dataclass(slots=True, eq=False)
class Waiting:
    """One request that waits; told None when it is its turn, or why it is refused."""

    number: int
    user_id: UserId
    priority: Priority
    weight: float
    keyed: tuple[tuple[Budget, float], ...]
    gate: "Gate | None"
    line: "Line"
    tell: Callable[[Exception | None], None] = lambda _: None
    told: bool = False

    def wait_at_gate(self, now: float) -> float:
        """Return the seconds until the key's budgets have enough for it."""
        return max(budget.wait(now, n, self.priority) for budget, n in self.keyed)

    def is_short(self, now: float) -> bool:
        """Say whether the key's budgets have no longer what they promised."""
        return any(budget.short(now, n) for budget, n in self.keyed)

    def promise(self, sign: int) -> None:
        for budget, n in self.keyed:
            budget.promise(sign * n, self.priority)


Ring = OrderedDict[UserId, OrderedDict[int, Waiting]]


class Line:
    """Who waits in one place: by priority, in it user after user, in a user first come first."""

    __slots__ = ("_clock", "_passes", "_rings")

    def __init__(self) -> None:
        self._rings: dict[Priority, Ring] = {}
        self._passes: dict[Priority, float] = {}  # what each sharer has had, by its share
        self._clock = 0.0

    def __len__(self) -> int:
        return len(self._rings)

    def lets_pass(self, priority: Priority) -> bool:
        """Say whether somebody of this priority need not wait for anybody in the line."""
        if not self._rings:
            return True
        return priority in FIRST and min(self._rings) > priority

    def push(self, waiting: Waiting, *, front: bool = False) -> None:
        """Add somebody; to the front who stood there before."""
        ring = self._rings.get(waiting.priority)
        if ring is None:
            ring = self._rings[waiting.priority] = OrderedDict()
            if waiting.priority in SHARES:  # having waited for nothing saves nothing up
                had = self._passes.get(waiting.priority, 0.0)
                self._passes[waiting.priority] = max(had, self._clock)
        calls = ring.get(waiting.user_id)
        if calls is None:
            calls = ring[waiting.user_id] = OrderedDict()
        calls[waiting.number] = waiting
        if front:
            ring[waiting.user_id] = OrderedDict(sorted(calls.items()))
            ring.move_to_end(waiting.user_id, last=False)
        waiting.line = self

    def first(self) -> Waiting:
        """Return whose turn it is; the line must not be empty."""
        ring = self._rings[self._next()]
        return next(iter(next(iter(ring.values())).values()))

    def _next(self) -> Priority:
        best = min(self._rings)
        if best in FIRST or len(self._rings) == 1:
            return best
        return min(self._rings, key=lambda priority: (self._passes[priority], priority))

    def take(self, waiting: Waiting) -> None:
        """Let the first go: its user's next one comes after all other users'."""
        priority = waiting.priority
        if priority in SHARES:
            self._clock = self._passes[priority]
            self._passes[priority] += max(waiting.weight, 1.0) / SHARES[priority]
        self.remove(waiting)
        ring = self._rings.get(priority)
        if ring is not None and waiting.user_id in ring:
            ring.move_to_end(waiting.user_id)

    def remove(self, waiting: Waiting) -> None:
        ring = self._rings[waiting.priority]
        calls = ring[waiting.user_id]
        del calls[waiting.number]
        if not calls:
            del ring[waiting.user_id]
        if not ring:
            del self._rings[waiting.priority]


class Gate:
    """Where requests wait that need the same budgets of one key; due: when the first may go."""

    __slots__ = ("due", "line")

    def __init__(self) -> None:
        self.line = Line()
        self.due = math.inf


@dataclass(slots=True, kw_only=True, eq=False)
class Door:
    """All requests to one venue from one address.

    address: the allowances of the budget "weight"; keyed: those of a key's budgets by name,
    of which there may be one for each thing: "pair" is looked up for "pair:XBTUSD".
    opens_at: nothing goes before.
    """

    address: tuple[Allowance, ...]
    keyed: Mapping[str, tuple[Allowance, ...]]
    waiting_max: int = WAITING_MAX
    waiting_per_user: int = WAITING_PER_USER
    budgets_max: int = BUDGETS_MAX
    opens_at: float = -math.inf
    weight: Budget = field(init=False)
    _line: Line = field(default_factory=Line)
    _line_due: float = math.inf
    _budgets: dict[tuple[str, str], Budget] = field(default_factory=dict)
    _gates: dict[tuple[str, tuple[str, ...]], Gate] = field(default_factory=dict)
    _dues: list[tuple[float, int, Gate]] = field(default_factory=list)
    _waiting: dict[Priority, OrderedDict[int, Waiting]] = field(init=False)
    _per_user: dict[tuple[UserId, Priority], int] = field(default_factory=dict)
    _count: int = 0
    _number: int = 0
    _sweep_at: int = field(init=False)

    def __post_init__(self) -> None:
        self._sweep_at = self.budgets_max
        self.weight = Budget(self.address)
        self._waiting = {priority: OrderedDict() for priority in Priority}

    def __len__(self) -> int:
        return self._count

    def waiting(self) -> dict[Priority, int]:
        """Return how many wait, by priority."""
        return {priority: len(waiting) for priority, waiting in self._waiting.items()}

    # --------------------------------------------------------------- asking

    def ask(
        self, now: float, user_id: UserId, key: str, priority: Priority, costs: Mapping[str, float]
    ) -> Waiting | None:
        """Let a request go now (None), or have it wait for its turn.

        Raise VenueUnavailable when too many wait already and none of them matters less.
        """
        names = names_of(tuple(costs))
        weight = costs.get("weight", 0.0)
        keyed = tuple([(self.budget(now, key, name), costs[name]) for name in names])
        gate = self._gates.get((key, names)) if names else None
        if self._may_pass(now, gate, priority, weight, keyed):
            return None
        self._make_room(user_id, priority)
        if gate is None and names:
            gate = self._gates[key, names] = Gate()
        line = self._line if gate is None else gate.line
        waiting = Waiting(self._number, user_id, priority, weight, keyed, gate, line)
        self._number += 1
        line.push(waiting)
        self._count_in(waiting)
        if gate is None:
            self._line_due = min(self._line_due, now)
        else:
            self._release(now, gate)
        self.advance(now)
        return None if waiting.told else waiting

    def _may_pass(
        self,
        now: float,
        gate: Gate | None,
        priority: Priority,
        weight: float,
        keyed: tuple[tuple[Budget, float], ...],
    ) -> bool:
        """Let a request go that need wait for nobody and nothing."""
        if now < self.opens_at or not (gate is None or gate.line.lets_pass(priority)):
            return False
        for budget, n in keyed:
            if budget.wait(now, n, priority) > 0:
                return False
        if weight:
            if not self._line.lets_pass(priority) or self.weight.wait(now, weight, priority) > 0:
                return False
            self.weight.spend(now, weight)
        for budget, n in keyed:
            budget.spend(now, n)
        return True

    def budget(self, now: float, key: str, name: str) -> Budget:
        """Return the budget of that name of a key."""
        budget = self._budgets.get((key, name))
        if budget is None:
            kind = name.partition(":")[0]
            ensure(kind in self.keyed, f"this venue has no budget {name!r}: {sorted(self.keyed)}")
            if len(self._budgets) >= self._sweep_at:
                self._sweep(now)
            budget = self._budgets[key, name] = Budget(self.keyed[kind])
        return budget

    def _sweep(self, now: float) -> None:
        """Let go what is as good as new: it was not used for a while."""
        gates, budgets = self._gates.items(), self._budgets.items()
        self._gates = {of: gate for of, gate in gates if gate.line}
        self._budgets = {of: budget for of, budget in budgets if not budget.is_untouched(now)}
        self._sweep_at = max(self.budgets_max, 2 * len(self._budgets))

    def _make_room(self, user_id: UserId, priority: Priority) -> None:
        """Refuse who came last of the lowest priority; or the one who asks."""
        if self._per_user.get((user_id, priority), 0) >= self.waiting_per_user:
            raise VenueUnavailable(f"{self.waiting_per_user} requests of this user wait already")
        if self._count < self.waiting_max:
            return
        lowest = max(p for p, waiting in self._waiting.items() if waiting)
        if lowest <= priority:
            raise VenueUnavailable(f"{self._count} requests wait already")
        last = next(reversed(self._waiting[lowest].values()))
        self.leave(last)
        last.tell(VenueUnavailable("it had to make room for a more important request"))

    # --------------------------------------------------------------- going

    def advance(self, now: float) -> None:
        """Let everybody go whose turn has come, and tell them."""
        if now < self.opens_at:
            return
        self._admit(now)
        while self._dues and self._dues[0][0] <= now:
            due, _, gate = heapq.heappop(self._dues)
            if gate.due == due:
                self._release(now, gate)
                self._admit(now)

    def due(self) -> float | None:
        """Return when to call advance next, None when nobody waits."""
        if not self._count:
            return None
        while self._dues and self._dues[0][2].due != self._dues[0][0]:
            heapq.heappop(self._dues)  # it was looked at since
        gates = self._dues[0][0] if self._dues else math.inf
        line = self._line_due if self._line else math.inf
        return max(self.opens_at, min(gates, line))

    def _release(self, now: float, gate: Gate) -> None:
        """Let through a gate what its budgets have enough for."""
        gate.due = math.inf
        while gate.line:
            waiting = gate.line.first()
            wait = waiting.wait_at_gate(now)
            if wait > 0 or (now < self.opens_at and not waiting.weight):
                self._look_again(gate, now + max(wait, LOOK_SECONDS))
                return
            gate.line.take(waiting)
            if waiting.weight:
                waiting.promise(1)
                self._line.push(waiting)
                self._line_due = min(self._line_due, now)
            else:
                self._grant(now, waiting)

    def _admit(self, now: float) -> None:
        """Let through the door what the address's budget has enough for."""
        while self._line:
            waiting = self._line.first()
            wait = self.weight.wait(now, waiting.weight, waiting.priority)
            if wait > 0:
                self._line_due = now + max(wait, LOOK_SECONDS)
                return
            gate = waiting.gate
            if gate is not None and waiting.is_short(now):
                self._line.remove(waiting)  # the venue has counted more than we did
                waiting.promise(-1)
                gate.line.push(waiting, front=True)
                wait = waiting.wait_at_gate(now)
                self._look_again(gate, now + max(wait, LOOK_SECONDS))
                continue
            self._line.take(waiting)
            if gate is not None:
                waiting.promise(-1)
            self.weight.spend(now, waiting.weight)
            self._grant(now, waiting)
            if gate is not None and gate.line:
                self._look_again(gate, now)  # what was promised is free for the next
        self._line_due = math.inf

    def _grant(self, now: float, waiting: Waiting) -> None:
        for budget, n in waiting.keyed:
            budget.spend(now, n)
        self._count_out(waiting)
        waiting.tell(None)

    def _look_again(self, gate: Gate, due: float) -> None:
        if due < gate.due:
            gate.due = due
            self._number += 1
            heapq.heappush(self._dues, (due, self._number, gate))

    # --------------------------------------------------------------- leaving

    def leave(self, waiting: Waiting) -> None:
        """Wait no longer; whoever is told already has left."""
        if waiting.told:
            return
        waiting.line.remove(waiting)
        gate = waiting.gate
        if gate is not None and waiting.line is self._line:
            waiting.promise(-1)
        self._count_out(waiting)
        self._line_due = self.opens_at  # whoever is first now may need less: look again
        if gate is not None and gate.line:
            self._look_again(gate, self.opens_at)

    def refuse_all(self, error: Callable[[], Exception]) -> None:
        """Tell everybody who waits that it is in vain."""
        for waiting in list(self._everybody()):
            self.leave(waiting)
            waiting.tell(error())

    def _everybody(self) -> Iterator[Waiting]:
        for waiting in self._waiting.values():
            yield from waiting.values()

    def _count_in(self, waiting: Waiting) -> None:
        self._count += 1
        self._waiting[waiting.priority][waiting.number] = waiting
        whose = waiting.user_id, waiting.priority
        self._per_user[whose] = self._per_user.get(whose, 0) + 1

    def _count_out(self, waiting: Waiting) -> None:
        waiting.told = True
        self._count -= 1
        del self._waiting[waiting.priority][waiting.number]
        whose = waiting.user_id, waiting.priority
        self._per_user[whose] -= 1
        if not self._per_user[whose]:
            del self._per_user[whose]

    # --------------------------------------------------------------- the venue's word

    def close(self, until: float) -> None:
        """Let nobody go before then; an earlier time changes nothing."""
        self.opens_at = max(self.opens_at, until)

    def hold(self, now: float, key: str, costs: Mapping[str, float], seconds: float) -> None:
        """Grant nothing of the budgets a request was charged to, for a while."""
        names = [name for name in costs if name != "weight"]
        for name in names:
            self.budget(now, key, name).pause(now, seconds)
        if not names:
            self.weight.pause(now, seconds)

    def learn(self, now: float, key: str, reading: Reading) -> None:
        """Take the venue's word for what is used."""
        own = reading.name == "weight"
        (self.weight if own else self.budget(now, key, reading.name)).learn(now, reading)


@lru_cache(maxsize=1024)
def names_of(costs: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of the key's budgets among what a request costs."""
    return tuple(sorted(name for name in costs if name != "weight"))
