"""Request weights by address, unfilled orders by account, and the bans of those who go on."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from venuesim.binance.denials import Denied
from venuesim.binance.words import DAY_MS

MINUTE_MS = 60_000
WEIGHT_PER_MINUTE = 6000
SAPI_WEIGHT_PER_MINUTE = 12000
RAW_REQUESTS_PER_5_MINUTES = 300_000
# How often an address may be told 429 in a minute before it is banned, and for how long then.
REFUSALS_BEFORE_BAN = 10
BANS_MS = (120_000, 600_000, 3_600_000, 21_600_000, DAY_MS, 3 * DAY_MS)
# interval, number of them, milliseconds, limit, header
ORDER_LIMITS = (
    ("SECOND", 10, 10_000, 100, "10S"),
    ("DAY", 1, DAY_MS, 200_000, "1D"),
)
TAKER_FILL, MAKER_FILL = 1, 5  # by how much an order's first fill lowers the count


@dataclass(slots=True)
class Address:
    """What one address has used in the minute that runs, and how long it is banned."""

    minute: int = 0
    weight: int = 0
    sapi_weight: int = 0
    refusals: int = 0
    bans: int = 0
    banned_until_ms: int = 0


@dataclass(slots=True)
class Weights:
    """The weight every address has used; counted by the clock's minutes."""

    addresses: defaultdict[str, Address] = field(default_factory=lambda: defaultdict(Address))

    def used(self, ip: str, now_ms: int) -> Address:
        address = self.addresses[ip]
        minute = now_ms // MINUTE_MS
        if address.minute != minute:
            address.minute, address.weight, address.sapi_weight = minute, 0, 0
            address.refusals = 0
        return address

    def charge(self, ip: str, weight: int, now_ms: int, *, sapi: bool = False) -> None:
        """Add a request's weight; Denied when that is too much, or the address is banned."""
        address = self.used(ip, now_ms)
        if now_ms < address.banned_until_ms:
            raise banned(address.banned_until_ms, now_ms)
        if sapi:
            address.sapi_weight += weight
            over, limit = address.sapi_weight > SAPI_WEIGHT_PER_MINUTE, SAPI_WEIGHT_PER_MINUTE
        else:
            address.weight += weight
            over, limit = address.weight > WEIGHT_PER_MINUTE, WEIGHT_PER_MINUTE
        if not over:
            return
        address.refusals += 1
        if address.refusals > REFUSALS_BEFORE_BAN:
            length = BANS_MS[min(address.bans, len(BANS_MS) - 1)]
            address.bans += 1
            address.banned_until_ms = now_ms + length
            raise banned(address.banned_until_ms, now_ms)
        raise Denied(
            -1003,
            f"Too much request weight used; current limit is {limit} request weight per 1 MINUTE. "
            "Please use WebSocket Streams for live updates to avoid polling the API.",
            429,
            retry_after_ms=MINUTE_MS - now_ms % MINUTE_MS,
        )

    def give_back(self, ip: str, weight: int, now_ms: int) -> None:
        """Take a weight back that turned out not to count."""
        address = self.used(ip, now_ms)
        address.weight = max(0, address.weight - weight)


def banned(until_ms: int, now_ms: int) -> Denied:
    return Denied(
        -1003,
        f"Way too much request weight used; IP banned until {until_ms}. "
        "Please use WebSocket Streams for live updates to avoid bans.",
        418,
        retry_after_ms=until_ms - now_ms,
    )


@dataclass(slots=True)
class OrderCounts:
    """How many orders each account has placed that did not fill, in the intervals that run."""

    counts: defaultdict[str, dict[int, tuple[int, int]]] = field(
        default_factory=lambda: defaultdict(dict)
    )

    def of(self, account: str, now_ms: int) -> list[int]:
        """Return the counts in the order of ORDER_LIMITS."""
        return [self._count(account, length, now_ms) for _, _, length, _, _ in ORDER_LIMITS]

    def check(self, account: str, more: int, now_ms: int) -> None:
        for interval, number, length, limit, _ in ORDER_LIMITS:
            if self._count(account, length, now_ms) + more > limit:
                raise Denied(
                    -1015,
                    f"Too many new orders; current limit is {limit} orders per "
                    f"{number} {interval}.",
                    429,
                    retry_after_ms=length - now_ms % length,
                )

    def add(self, account: str, more: int, now_ms: int) -> None:
        self._change(account, now_ms, lambda count: max(0, count + more))

    def filled(self, account: str, now_ms: int, *, maker: bool) -> None:
        """Count an order's first fill."""
        less = MAKER_FILL if maker else TAKER_FILL
        self._change(account, now_ms, lambda count: max(0, count - less))

    def _count(self, account: str, length: int, now_ms: int) -> int:
        begun, count = self.counts[account].get(length, (0, 0))
        return count if begun == now_ms // length else 0

    def _change(self, account: str, now_ms: int, change: Callable[[int], int]) -> None:
        for _, _, length, _, _ in ORDER_LIMITS:
            count = change(self._count(account, length, now_ms))
            self.counts[account][length] = (now_ms // length, count)


def order_limits(counts: list[int]) -> list[dict[str, object]]:
    """Return the counts as replies show them."""
    return [
        {
            "rateLimitType": "ORDERS",
            "interval": interval,
            "intervalNum": number,
            "limit": limit,
            "count": count,
        }
        for (interval, number, _, limit, _), count in zip(ORDER_LIMITS, counts, strict=True)
    ]


def weight_limit(used: int) -> dict[str, object]:
    return {
        "rateLimitType": "REQUEST_WEIGHT",
        "interval": "MINUTE",
        "intervalNum": 1,
        "limit": WEIGHT_PER_MINUTE,
        "count": used,
    }


RATE_LIMITS: list[dict[str, object]] = [
    {
        "rateLimitType": "REQUEST_WEIGHT",
        "interval": "MINUTE",
        "intervalNum": 1,
        "limit": WEIGHT_PER_MINUTE,
    },
    *(
        {
            "rateLimitType": "ORDERS",
            "interval": interval,
            "intervalNum": number,
            "limit": limit,
        }
        for interval, number, _, limit, _ in ORDER_LIMITS
    ),
    {
        "rateLimitType": "RAW_REQUESTS",
        "interval": "MINUTE",
        "intervalNum": 5,
        "limit": RAW_REQUESTS_PER_5_MINUTES,
    },
]
