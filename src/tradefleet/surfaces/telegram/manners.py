"""How often one person may ask: ten commands a minute, twenty at once."""

from collections import OrderedDict
from dataclasses import dataclass, field

from tradefleet.clock import Clock
from tradefleet.engine.pace import TokenBucket

PER_MINUTE = 10
BURST = 20
KNOWN_MAX = 10_000  # people remembered; who was silent longest is forgotten first


@dataclass(slots=True)
class Patience:
    """What one person has left, and until when they need not be told again."""

    bucket: TokenBucket = field(default_factory=lambda: TokenBucket(PER_MINUTE / 60, BURST))
    told_until: float = 0.0


class Manners:
    """Who may ask now, and who was told already that they may not."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
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
        patience = self._people.setdefault(person, Patience())
        self._people.move_to_end(person)
        if len(self._people) > KNOWN_MAX:
            self._people.popitem(last=False)
        return patience
