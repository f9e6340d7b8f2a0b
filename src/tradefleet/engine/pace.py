"""How fast we may ask: token buckets, quotas over a window, back-off; time is an argument.

Times are seconds on any clock that does not run backwards.
"""

from collections import deque
from dataclasses import dataclass
from enum import IntEnum

from tradefleet.domain.errors import ensure

TINY = 1e-9  # what rounding may leave of a wait that is over


class Priority(IntEnum):
    """Who goes first when a venue's rate is short; the lower, the sooner."""

    EXIT = 0
    CANCEL = 1
    PROTECTIVE = 2
    RECONCILIATION = 3
    ENTRY = 4
    READ = 5


class TokenBucket:
    """At most `burst` at once and `rate` a second after that.

    A bucket may be asked for more than it holds when it is full: that waits until it is full
    and then overdraws it, so nothing larger than the burst waits for ever.
    """

    __slots__ = ("_tokens", "_updated", "burst", "rate")

    def __init__(self, rate: float, burst: float) -> None:
        ensure(rate > 0 and burst > 0, "a bucket needs a rate and a burst above zero")
        self.rate = rate
        self.burst = burst
        self._tokens = burst
        self._updated: float | None = None

    def take(self, now: float, n: float = 1, *, keep: float = 0) -> float:
        """Take n tokens and return 0, or take none and return the seconds to wait for them.

        keep: so many are left for those who go first; whoever goes first keeps none.
        """
        wait = self.wait(now, n, keep=keep)
        if wait == 0:
            self._tokens -= n
        return wait

    def wait(self, now: float, n: float = 1, *, keep: float = 0) -> float:
        """Return the seconds until n can be taken, 0 when it is now."""
        self._refill(now)
        wanted = n + keep
        missing = (wanted if wanted < self.burst else self.burst) - self._tokens
        return missing / self.rate if missing > TINY else 0.0

    def left(self, now: float) -> float:
        """Return how many tokens there are; below zero what is overdrawn."""
        self._refill(now)
        return self._tokens

    def spend(self, now: float, n: float) -> None:
        """Take n, whether they are there or not: whoever asked `wait` knows."""
        self._refill(now)
        self._tokens -= n

    def at_most(self, now: float, tokens: float) -> None:
        """Hold no more than this: the venue has counted more than we did."""
        self._refill(now)
        self._tokens = min(self._tokens, tokens)

    def pause(self, now: float, seconds: float) -> None:
        """Grant nothing for this long: the venue said that we were too fast."""
        self._refill(now)
        self._tokens = min(self._tokens, min(1.0, self.burst) - seconds * self.rate)

    def _refill(self, now: float) -> None:
        updated = self._updated
        if updated is None:
            self._updated = now
        elif now > updated:
            tokens = self._tokens + (now - updated) * self.rate
            self._tokens = tokens if tokens < self.burst else self.burst
            self._updated = now


@dataclass(frozen=True, slots=True)
class Allowance:
    """How fast one of a venue's limits may be used: `burst` at once, `rate` a second after that.

    limit and period are the venue's own: so much in any `period` seconds, or, where period is
    0, a counter that may stand at `limit` and falls by itself. usable: what we use of limit.
    """

    limit: float
    period: float
    usable: float
    burst: float
    rate: float

    @classmethod
    def windowed(
        cls, limit: float, period: float, *, share: float = 0.9, at_once: float = 0.4
    ) -> "Allowance":
        """Never use more than share of limit in any period; at_once of that share in one go."""
        usable = limit * share
        return cls(limit, period, usable, usable * at_once, usable * (1 - at_once) / period)

    @classmethod
    def leaking(cls, limit: float, falls: float, *, share: float = 0.9) -> "Allowance":
        """Never let a counter that falls by so many a second reach its limit."""
        return cls(limit, 0, limit * share, limit * share, falls * share)

    def resized(self, limit: float) -> "Allowance":
        """Return the same for another limit, as the venue just named it."""
        by = limit / self.limit
        return Allowance(limit, self.period, self.usable * by, self.burst * by, self.rate * by)

    def bucket(self) -> TokenBucket:
        return TokenBucket(self.rate, self.burst)


class Quota:
    """At most `limit` in any span of `period` seconds; remembers no more than `limit` times."""

    __slots__ = ("_taken", "limit", "period")

    def __init__(self, limit: int, period: float) -> None:
        ensure(limit > 0 and period > 0, "a quota needs a limit and a period above zero")
        self.limit = limit
        self.period = period
        self._taken: deque[float] = deque(maxlen=limit)

    def take(self, now: float) -> float:
        """Count one and return 0, or count none and return the seconds until one is free."""
        wait = self.retry_after(now)
        if wait == 0:
            self._taken.append(now)
        return wait

    def retry_after(self, now: float) -> float:
        """Return the seconds until one more is allowed, 0 when it is now."""
        if len(self._taken) < self.limit:
            return 0.0
        wait = self._taken[0] + self.period - now
        return wait if wait > TINY else 0.0

    def left(self, now: float) -> int:
        """Return how many more are allowed now."""
        return self.limit - sum(1 for taken in self._taken if taken + self.period > now)


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waiting times between tries: first, then factor times the one before, at most `most`."""

    first: float
    factor: float
    most: float

    def __post_init__(self) -> None:
        ensure(0 < self.first <= self.most and self.factor >= 1, f"{self} never ends")

    def wait(self, failures: int, jitter: float = 0.0) -> float:
        """Return the seconds to wait after so many failures in a row, none after no failure.

        jitter in [0, 1) takes up to half of it away, so that many who failed together do not
        come back together; whoever wants chance brings the number.
        """
        if failures <= 0:
            return 0.0
        try:
            wait = min(self.most, self.first * float(self.factor) ** (failures - 1))
        except OverflowError:
            wait = self.most
        return wait * (1 - jitter / 2)
