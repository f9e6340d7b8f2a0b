"""Values inside JSON columns: dataclasses as plain objects, every digit of a decimal kept."""

from collections.abc import Callable, Hashable
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from functools import cache
from types import UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from tradefleet.domain.market import Symbol
from tradefleet.stores.sql.types import money_text, time_text

T = TypeVar("T")
Reader = Callable[[Any], Any]


def to_plain(value: Any) -> Any:
    """Return value as JSON can say it."""
    match value:
        case Decimal():
            return money_text(value)
        case datetime():
            return time_text(value)
        case date():
            return value.isoformat()
        case Enum():
            return value.value
        case Symbol():
            return str(value)
        case frozenset():
            return sorted(value)
        case tuple() | list():
            return [to_plain(item) for item in value]
        case dict():
            return {key: to_plain(item) for key, item in value.items()}
        case _ if is_dataclass(value):
            return {f.name: to_plain(getattr(value, f.name)) for f in fields(value)}
        case _:
            return value


def from_plain(kind: type[T], plain: Any) -> T:
    """Return the value of a dataclass that to_plain said."""
    value: T = reader_of(cast(Hashable, kind))(plain)
    return value


@cache
def reader_of(kind: Any) -> Reader:
    """Return what turns plain JSON into a value of the annotated kind."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        (inner,) = [part for part in parts if part is not type(None)]
        return optional(reader_of(inner))
    if origin is tuple:
        return tuple_reader(parts)
    if origin is frozenset:
        return frozenset
    if kind is Decimal:
        return Decimal
    if kind is Symbol:
        return Symbol.parse
    if kind in (datetime, date):
        return kind.fromisoformat  # type: ignore[no-any-return]
    if is_dataclass(kind):
        return object_reader(kind)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind
    return lambda plain: plain


def optional(read: Reader) -> Reader:
    return lambda plain: None if plain is None else read(plain)


def tuple_reader(parts: tuple[Any, ...]) -> Reader:
    if parts[-1] is Ellipsis:
        read = reader_of(parts[0])
        return lambda plain: tuple(read(item) for item in plain)
    readers = [reader_of(part) for part in parts]
    return lambda plain: tuple(read(item) for read, item in zip(readers, plain, strict=True))


def object_reader(kind: Any) -> Reader:
    hints = get_type_hints(kind)
    readers = {f.name: reader_of(hints[f.name]) for f in fields(kind) if f.init}

    def read(plain: Any) -> Any:
        return kind(**{name: readers[name](plain[name]) for name in readers if name in plain})

    return read
