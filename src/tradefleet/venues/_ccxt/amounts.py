"""Numbers and times as venues write them: decimals from strings, milliseconds since 1970."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from tradefleet.domain.errors import BrokenInvariant, VenueUnavailable

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
# What reading an answer of an unexpected shape raises, decimal's errors (arithmetic) included.
UNREADABLE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, BrokenInvariant)


def amount(value: object) -> Decimal:
    """Return a venue's number exactly; ValueError for a float, which is none any more."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError(f"{type(value).__name__} is no exact number")
    number = Decimal(value)
    if not number.is_finite():
        raise ValueError("not a finite number")
    return number


def plain(number: Decimal) -> str:
    """Return a number without exponent and without zeros at its end: how venues want it."""
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def to_ms(at: datetime) -> int:
    return (at - EPOCH) // MILLISECOND


def from_ms(value: object) -> datetime:
    """Return the time of a number of milliseconds; ValueError for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError(f"{type(value).__name__} is no time")
    return EPOCH + int(value) * MILLISECOND


@contextmanager
def understanding(venue: str, what: str) -> Iterator[None]:
    """Turn an answer of an unexpected shape into VenueUnavailable: it is no evidence."""
    try:
        yield
    except UNREADABLE as error:
        kind = type(error).__name__
        raise VenueUnavailable(f"{venue}: its answer about {what} is unreadable ({kind})") from None
