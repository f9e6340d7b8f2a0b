"""How Kraken writes numbers, times and whole messages."""

from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache

import orjson

from venuesim.units import UNITS, short, text

NANOS = 1_000_000_000
SECONDS_KEPT = 1024


def amount(units: int, decimals: int) -> str:
    """Return an amount with so many decimals, and with more rather than cut one off."""
    while decimals < 8 and units % 10 ** (8 - decimals):
        decimals += 1
    return text(units, decimals)


def literal(units: int, decimals: int | None = None) -> orjson.Fragment:
    """Return a JSON number: with so many decimals, or as few as it needs, but one at least."""
    if decimals is not None:
        return orjson.Fragment(text(units, decimals))
    digits = short(units)
    return orjson.Fragment(digits if "." in digits else f"{digits}.0")


def cut(units: int, decimals: int) -> int:
    """Return an amount without what is finer than so many decimals."""
    grain: int = 10 ** (8 - decimals)
    return units - units % grain


def seconds(at_ms: int) -> float:
    return at_ms / 1000


def moment(at_ns: int, digits: int = 6) -> str:
    """Return a time in RFC 3339, with so many digits after the second."""
    whole, rest = divmod(at_ns, NANOS)
    start = _second(whole)
    return f"{start}.{rest:09d}"[: 20 + digits] + "Z" if digits else f"{start}Z"


@lru_cache(maxsize=SECONDS_KEPT)
def _second(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def percent(millionths: int) -> float:
    """Return a fee rate in percent."""
    return millionths / 10_000


def ratio(part: int, whole: int, decimals: int) -> orjson.Fragment:
    """Return 100 * part / whole as a JSON number."""
    value = Decimal(100 * part) / Decimal(whole) if whole else Decimal(0)
    return literal(int(round(value, decimals) * UNITS))


def packed(message: object) -> bytes:
    return orjson.dumps(message)


def written(message: object) -> str:
    return orjson.dumps(message).decode()
