"""What venues write, read strictly: decimals from strings, milliseconds since 1970, names."""

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


def positive(value: object) -> Decimal:
    """Return a venue's number exactly; ValueError unless it is above zero."""
    number = amount(value)
    if number <= 0:
        raise ValueError("not above zero")
    return number


def counted(value: object) -> Decimal:
    """Return a venue's number exactly; ValueError when it is below zero."""
    number = amount(value)
    if number < 0:
        raise ValueError("below zero")
    return number


def word(value: object) -> str:
    """Return a venue's text, which may be empty; ValueError for what is none."""
    if not isinstance(value, str):
        raise ValueError(f"{type(value).__name__} is no text")
    return value


def name_of(value: object) -> str:
    """Return what a venue calls something; ValueError for no name at all."""
    if not word(value):
        raise ValueError("a name is empty")
    return word(value)


def numbered(value: object) -> str:
    """Return a venue's number of an order or a trade as text; ValueError for anything else."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{type(value).__name__} is no number of anything")
    return str(value)


def flag(value: object) -> bool:
    """Return a venue's yes or no; ValueError for anything else."""
    if not isinstance(value, bool):
        raise ValueError(f"{type(value).__name__} is neither yes nor no")
    return value


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
