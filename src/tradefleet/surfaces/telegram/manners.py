"""How often one person may ask: so many commands a minute, and so many at once."""

from collections import OrderedDict
from dataclasses import dataclass

from tradefleet.clock import Clock
from tradefleet.domain.limits import RequestLimits
from tradefleet.engine.pace import TokenBucket

KNOWN_MAX = 10_000  # people remembered; who was silent longest is forgotten first


@dataclass(slots=True)
class Patience:
    """What one person has left, and until when they need not be told again."""

    bucket: TokenBucket
    told_until: float = 0.0


class Manners:
    """Who may ask now, and who was told already that they may not."""

    def __init__(self, clock: Clock, limits: RequestLimits) -> None:
        self._clock = clock
        self._limits = limits
        self._people: OrderedDict[int, Patience] = OrderedDict()

    def seconds_to_wait(self, person: int) -> float:
        """Count a command and return 0, or return the seconds until one is free."""
        return self._of(person).bucket.take(self._clock.monotonic())

    def tell(self, person: int, wait: float) -> bool:
        """Say whether to tell them so: once for every wait, however often they ask."""
        now, patience = self._clock.monotonic(), self._of(person)
        if now < patience.told_until:
            return False
        patience.told_until = now + wait
        return True

    def _of(self, person: int) -> Patience:
        patience = self._people.get(person)
        if patience is None:
            rate = self._limits.telegram_per_minute / 60
            patience = Patience(TokenBucket(rate, self._limits.telegram_burst))
            self._people[person] = patience
        self._people.move_to_end(person)
        if len(self._people) > KNOWN_MAX:
            self._people.popitem(last=False)
        return patience
