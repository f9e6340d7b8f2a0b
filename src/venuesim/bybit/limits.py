"""How often one may ask: by account and path in a second, by address in five; then a ban."""

from collections import defaultdict, deque
from dataclasses import dataclass, field

from venuesim.clock import Clock

SECOND_MS = 1000
ADDRESS_CALLS, ADDRESS_MS = 600, 5000
BAN_MS = 10 * 60_000
ADDRESSES_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class Spent:
    """What is left of a limit after a call; the headers say it."""

    limit: int
    left: int
    reset_ms: int
    admitted: bool

    def headers(self) -> dict[str, str]:
        return {
            "X-Bapi-Limit": str(self.limit),
            "X-Bapi-Limit-Status": str(self.left),
            "X-Bapi-Limit-Reset-Timestamp": str(self.reset_ms),
        }


@dataclass(slots=True)
class Limits:
    """Rolling windows of the calls that were admitted."""

    clock: Clock
    calls: defaultdict[tuple[str, str], deque[int]] = field(
        default_factory=lambda: defaultdict(deque)
    )
    addresses: defaultdict[str, deque[int]] = field(default_factory=lambda: defaultdict(deque))
    banned: dict[str, int] = field(default_factory=dict)  # until when

    def admits(self, ip: str) -> bool:
        """Count a call of an address; False while it is banned."""
        now = self.clock.now_ms()
        until = self.banned.get(ip)
        if until is not None:
            if now < until:
                return False
            del self.banned[ip]
        if len(self.addresses) > ADDRESSES_KEPT:
            self.addresses.clear()
        seen = self.addresses[ip]
        forget(seen, now - ADDRESS_MS)
        if len(seen) >= ADDRESS_CALLS:
            self.banned[ip] = now + BAN_MS
            return False
        seen.append(now)
        return True

    def spend(self, account: str, path: str, limit: int) -> Spent:
        """Count a call of an account to a path that may be called so often in a second."""
        now = self.clock.now_ms()
        seen = self.calls[account, path]
        forget(seen, now - SECOND_MS)
        if len(seen) >= limit:
            return Spent(limit, 0, seen[0] + SECOND_MS, admitted=False)
        seen.append(now)
        return Spent(limit, limit - len(seen), now, admitted=True)


def forget(seen: deque[int], until: int) -> None:
    while seen and seen[0] <= until:
        seen.popleft()
