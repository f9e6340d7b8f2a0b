"""The venues' rate limits as they publish them, and where their answers say how much is used."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tradefleet.engine.pace import Allowance
from tradefleet.engine.turns import Reading

DAY = 86_400.0

# name of a header (lower case) to its value, the names of the budgets of the key a request was
# charged to, and the wall time in seconds; returns what the headers say
Reader = Callable[[Mapping[str, str], tuple[str, ...], float], list[Reading]]


def says_nothing(headers: Mapping[str, str], names: tuple[str, ...], now: float) -> list[Reading]:
    """Kraken's answers carry no figures; only its refusals tell."""
    return []


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueLimits:
    """One venue's limits: the address's own, a key's by name, and statuses that shut the door.

    closing: seconds for which nothing may be asked after an answer of that status, where it
    does not say itself (Retry-After).
    """

    address: tuple[Allowance, ...]
    keyed: Mapping[str, tuple[Allowance, ...]] = field(default_factory=dict)
    closing: Mapping[int, float] = field(default_factory=dict)
    read: Reader = says_nothing


# ---------------------------------------------------------------------------- Binance

# header to (name of the budget, seconds it counts over)
BINANCE_HEADERS = {
    "x-mbx-used-weight-1m": ("weight", 60.0),
    "x-mbx-order-count-10s": ("orders", 10.0),
    "x-mbx-order-count-1d": ("orders", DAY),
}


def read_binance(headers: Mapping[str, str], names: tuple[str, ...], now: float) -> list[Reading]:
    """Binance counts in spans of the clock: this minute, these ten seconds, today (UTC)."""
    readings = []
    for header, (name, period) in BINANCE_HEADERS.items():
        used = number(headers.get(header))
        if used is not None and (name == "weight" or name in names):
            readings.append(Reading(name, period, used, resets_in=period - now % period + 1))
    return readings


BINANCE = VenueLimits(
    address=(Allowance.windowed(6000, 60),),
    keyed={
        "orders": (Allowance.windowed(100, 10), Allowance.windowed(200_000, DAY)),
        "connections": (Allowance.windowed(300, 300),),  # streams opened from this address
    },
    closing={429: 60.0, 418: 300.0, 403: 300.0},
    read=read_binance,
)

# ------------------------------------------------------------------------------ Bybit


def read_bybit(headers: Mapping[str, str], names: tuple[str, ...], now: float) -> list[Reading]:
    """Bybit says of the endpoint that was asked what is left to this account this second."""
    limit, left = number(headers.get("x-bapi-limit")), number(headers.get("x-bapi-limit-status"))
    if limit is None or left is None or limit <= 0:
        return []
    resets_at = number(headers.get("x-bapi-limit-reset-timestamp"))
    resets_in = 0.0 if resets_at is None else max(0.0, resets_at / 1000 - now)
    used = limit - left
    return [Reading(name, 1.0, used, limit, min(resets_in, 60.0)) for name in names]


BYBIT = VenueLimits(
    address=(Allowance.windowed(600, 5, share=0.6, at_once=0.3),),
    keyed={
        "create": (Allowance.windowed(20, 1, at_once=0.5),),
        "cancel": (Allowance.windowed(20, 1, at_once=0.5),),
        "query": (Allowance.windowed(50, 1, at_once=0.5),),
        "connections": (Allowance.windowed(500, 300),),
    },
    closing={429: 10.0, 403: 600.0},
    read=read_bybit,
)

# ----------------------------------------------------------------------------- Kraken

# tier: (counter of calls, it falls a second, counter of a pair's orders, it falls a second)
KRAKEN_TIERS = {
    "starter": (15, 0.33, 60, 1.0),
    "intermediate": (20, 0.5, 125, 2.34),
    "pro": (20, 1.0, 180, 3.75),
}


def kraken(tier: str = "starter") -> VenueLimits:
    """Return Kraken's limits for accounts of one tier."""
    calls, calls_fall, orders, orders_fall = KRAKEN_TIERS[tier]
    return VenueLimits(
        address=(Allowance.leaking(1, 1, share=1.0),),  # public calls: one a second
        keyed={
            "counter": (Allowance.leaking(calls, calls_fall),),
            "pair": (Allowance.leaking(orders, orders_fall),),
            "connections": (Allowance.windowed(150, 600),),
        },
        closing={429: 60.0, 403: 600.0},
    )


VENUE_LIMITS: Mapping[str, VenueLimits] = {
    "binance": BINANCE,
    "bybit": BYBIT,
    "kraken": kraken(),
}


def number(text: str | None) -> float | None:
    """Return a header's number, None when there is none."""
    if text is None or not text.strip().isdecimal():
        return None
    return float(text)
