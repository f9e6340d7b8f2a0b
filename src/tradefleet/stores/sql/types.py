"""How money, times and JSON stand in a column: exact and readable on either database."""

from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

import orjson
from sqlalchemy import JSON, TIMESTAMP, Dialect, Numeric, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeDecorator, TypeEngine


def money_text(value: Decimal) -> str:
    """Return an amount as SQLite keeps it: every digit, no exponent."""
    text = str(value)
    return format(value, "f") if "E" in text else text


@lru_cache(maxsize=8192)
def time_text(at: datetime) -> str:
    """Return a time as SQLite keeps it: ISO 8601 with Z, so that text sorts as time does."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def to_json(value: Any) -> str:
    """Return JSON text; decimals and other strangers become strings."""
    return orjson.dumps(value, default=str).decode()


class Money(TypeDecorator[Decimal]):
    """NUMERIC without a limit, or decimal text: never a float."""

    impl = Numeric
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        plain: TypeEngine[Any] = Text() if dialect.name == "sqlite" else Numeric()
        return dialect.type_descriptor(plain)

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        if value is None or dialect.name != "sqlite":
            return value
        return money_text(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        return value if value is None or dialect.name != "sqlite" else Decimal(value)


class Time(TypeDecorator[datetime]):
    """An aware time in UTC: timestamptz, or ISO text with Z."""

    impl = TIMESTAMP
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        plain: TypeEngine[Any] = Text() if dialect.name == "sqlite" else TIMESTAMP(timezone=True)
        return dialect.type_descriptor(plain)

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None or dialect.name != "sqlite":
            return value
        return time_text(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        at = datetime.fromisoformat(value) if dialect.name == "sqlite" else value
        return at.astimezone(UTC)


Json = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
