"""Counters of this process: a dictionary of windows by our own clock, bounded, a microsecond each.

The library `limits` has a storage in memory, too; it reads the machine's clock, keeps any number of
keys and starts tasks that nobody waits for, so here it counts in Redis only.
"""

from itertools import islice

from tradefleet.clock import Clock
from tradefleet.counter import Count

KEYS_MAX = 100_000  # windows kept; then the one that began first is forgotten
LOOKED_AT = 16  # of the oldest windows, whether they are over, when there is no room


class MemoryCounters:
    """Counts in this process alone; a restart begins anew."""

    def __init__(self, clock: Clock, keys_max: int = KEYS_MAX) -> None:
        self._clock = clock
        self._keys_max = keys_max
        # How often each key was hit and when its window ends, in the order of their beginnings.
        self._windows: dict[str, tuple[int, float]] = {}

    async def hit(self, key: str, seconds: int) -> Count:
        now = self._clock.monotonic()
        known = self._windows.get(key)
        if known is not None and known[1] > now:
            used, ends = known[0] + 1, known[1]
        else:
            used, ends = 1, now + seconds
            if known is not None:
                del self._windows[key]
            elif len(self._windows) >= self._keys_max:
                self._make_room(now)
        self._windows[key] = (used, ends)
        return Count(used, ends - now)

    async def look(self, key: str, seconds: int) -> Count:
        now = self._clock.monotonic()
        used, ends = self._windows.get(key, (0, now))
        return Count(used, ends - now) if ends > now else Count(0, float(seconds))

    def _make_room(self, now: float) -> None:
        oldest = list(islice(self._windows, LOOKED_AT))
        over = [key for key in oldest if self._windows[key][1] <= now]
        for key in over or oldest[:1]:
            del self._windows[key]

    async def close(self) -> None: ...
