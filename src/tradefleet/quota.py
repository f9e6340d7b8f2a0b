"""How often anybody may ask: by user and tier, by address, to sign in, to start bots.

These are limits of requests, counted by what `counter.py` describes. Quotas of entries, positions
and pairs are kept where they are exact whatever crashes: entries and positions by the guard, whose
memory is written with the orders it counts; pairs by the rows themselves, in their user's
transaction. An exit is refused by none of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address
from math import ceil

from tradefleet.counter import Count, Counters
from tradefleet.domain.errors import TooMany
from tradefleet.domain.ids import UserId
from tradefleet.domain.limits import TIERS, RequestLimits, Tier

MINUTE, HOUR = 60, 3600
NETWORK = (1 << 64) - 1  # of an IPv6 address: the part that its owner chooses freely


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one limit stands, this request included."""

    name: str
    most: int
    seconds: int
    count: Count

    @property
    def left(self) -> int:
        return max(self.most - self.count.used, 0)

    @property
    def is_over(self) -> bool:
        return self.count.used > self.most


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that was counted: where its limits stand, and what to say if one is over."""

    standings: tuple[Standing, ...]
    too_many: str

    @property
    def seconds_to_wait(self) -> float:
        """Return 0 when the request may be served."""
        waits = [each.count.seconds_left for each in self.standings if each.is_over]
        return max(waits, default=0.0)

    def check(self) -> None:
        """Raise TooMany when a limit is over; it says when to try again."""
        if (seconds := self.seconds_to_wait) > 0:
            raise TooMany(f"{self.too_many} Try again in {in_words(seconds)}.", seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quotas:
    """The limits of requests, and what counts them."""

    counters: Counters
    tiers: Mapping[str, Tier] = field(default_factory=lambda: TIERS)
    limits: RequestLimits = RequestLimits()

    async def call(self, user_id: UserId, tier: str, overrides: Mapping[str, int]) -> Asked:
        """Count a call of the API by somebody who is signed in."""
        most = self.calls_per_minute(tier, overrides)
        minute = Standing("minute", most, MINUTE, await self.counters.hit(f"m:{user_id}", MINUTE))
        hourly = self.limits.signed_in_per_hour
        hour = Standing("hour", hourly, HOUR, await self.counters.hit(f"h:{user_id}", HOUR))
        text = ""
        if hour.is_over:
            text = f"You may ask {hourly} times an hour."
        elif minute.is_over:
            text = self._too_many_calls(tier, most)
        return Asked((minute, hour), text)

    def calls_per_minute(self, tier: str, overrides: Mapping[str, int]) -> int:
        """Return what the operator gave a user, or else what their tier has, below the ceiling."""
        known = self.tiers.get(tier) or self.tiers["free"]
        most = overrides.get("api_calls_per_minute", known.api_calls_per_minute)
        ceiling = self.limits.calls_per_minute_max
        return most if ceiling is None else min(most, ceiling)

    async def calls_made(self, user_id: UserId) -> Count:
        """Return how many calls a user made in this minute."""
        return await self.counters.look(f"m:{user_id}", MINUTE)

    def _too_many_calls(self, tier: str, most: int) -> str:
        more = ""
        if tier in self.tiers and most == self.tiers[tier].api_calls_per_minute:
            more = self.tiers[tier].more_of("api_calls_per_minute")
        return f"Your tier {tier} allows {most} API calls a minute.{more}"

    async def visit(self, address: str) -> Asked:
        """Count a request from an address by nobody who is signed in."""
        most = self.limits.anonymous_per_hour
        count = await self.counters.hit(f"a:{network_of(address)}", HOUR)
        text = f"Whoever is not signed in may ask {most} times an hour from one address."
        return Asked((Standing("address", most, HOUR, count),), text)

    async def bot_start(self, user_id: UserId) -> Asked:
        """Count a request to start bots."""
        most = self.limits.bot_starts_per_minute
        count = await self.counters.hit(f"b:{user_id}", MINUTE)
        text = f"You may start bots {most} times a minute."
        return Asked((Standing("bot_starts", most, MINUTE, count),), text)

    async def sign_in(self, who: str) -> Asked:
        """Count a try to sign in, by a name (never in the clear) or from an address."""
        most = self.limits.sign_ins_per_minute
        count = await self.counters.hit(f"s:{who}", MINUTE)
        return Asked((Standing("sign_ins", most, MINUTE, count),), "Too many attempts to sign in.")


def in_words(seconds: float) -> str:
    """Write how long to wait, rounded up: 12 s, 34 min."""
    return f"{max(ceil(seconds), 1)} s" if seconds <= 2 * MINUTE else f"{ceil(seconds / 60)} min"


def network_of(address: str) -> str:
    """Return what is counted for an address: of IPv6 the network, for its owner has all of it."""
    if ":" not in address:
        return address
    try:
        read = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(read, IPv6Address):
        return address
    if read.ipv4_mapped is not None:
        return str(read.ipv4_mapped)
    return str(IPv6Address(int(read) & ~NETWORK))


def policy_of(standings: Sequence[Standing]) -> str:
    """Write the header RateLimit-Policy: "minute";q=30;w=60."""
    return ", ".join(f'"{each.name}";q={each.most};w={each.seconds}' for each in standings)


def state_of(standings: Sequence[Standing]) -> str:
    """Write the header RateLimit: "minute";r=12;t=34."""
    return ", ".join(
        f'"{each.name}";r={each.left};t={ceil(each.count.seconds_left)}' for each in standings
    )
