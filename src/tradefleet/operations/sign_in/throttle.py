"""How often anybody may try to sign in: by address, by name, and less after each failure."""

from collections import OrderedDict
from dataclasses import dataclass, field
from math import ceil

from tradefleet.clock import Clock
from tradefleet.domain.errors import TooMany
from tradefleet.engine.pace import TokenBucket
from tradefleet.identity import IdentityStore, hash_of, seconds_locked

PER_MINUTE = 5
KNOWN_MAX = 10_000  # addresses and names remembered; the one silent longest is forgotten first


@dataclass(slots=True)
class Throttle:
    """Five tries a minute of each address and each name; failures in a row are in the store."""

    identity: IdentityStore
    clock: Clock
    _buckets: OrderedDict[str, TokenBucket] = field(default_factory=OrderedDict)

    async def admit(self, address: str, name: str) -> None:
        """Count a try, of whatever name; raise TooMany when it is not allowed now."""
        waits = [self._take(f"address {address}"), self._take(f"name {named(name)}")]
        failures = await self.identity.failures(named(name))
        seconds = max(*waits, seconds_locked(failures, self.clock.now()))
        if seconds > 0:
            text = f"Too many attempts to sign in; try again in {ceil(seconds)} s."
            raise TooMany(text, seconds)

    async def failed(self, name: str) -> None:
        await self.identity.note_failure(named(name), self.clock.now())

    async def succeeded(self, name: str) -> None:
        await self.identity.forget_failures(named(name))

    def _take(self, key: str) -> float:
        bucket = self._buckets.setdefault(key, TokenBucket(PER_MINUTE / 60, PER_MINUTE))
        self._buckets.move_to_end(key)
        if len(self._buckets) > KNOWN_MAX:
            self._buckets.popitem(last=False)
        return bucket.take(self.clock.monotonic())


def named(name: str) -> str:
    """Return what is kept of a name that was typed: it may be a password in the wrong field."""
    return hash_of(f"sign in {name.strip().casefold()}")
