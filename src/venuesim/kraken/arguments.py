"""The arguments of a call, from a form, from JSON or from a message on a stream."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TypeAlias
from urllib.parse import parse_qsl

import orjson

from venuesim.kraken.errors import Error, Refused, bad
from venuesim.units import units

Values: TypeAlias = dict[str, object]

TRUE = {"true", "1", "yes"}
FALSE = {"false", "0", "no", "", "none"}
INDEXED = re.compile(r"(\w+)\[(\d+)\]\[(\w+)\]")
INT32 = 2**31


def read_form(text: str) -> Values:
    """Return a form's values; orders[0][type]=buy becomes a list of dicts under orders."""
    values: Values = {}
    rows: dict[str, dict[int, dict[str, object]]] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        if match := INDEXED.fullmatch(name):
            rows.setdefault(match[1], {}).setdefault(int(match[2]), {})[match[3]] = value
        else:
            values[name] = value
    for name, found in rows.items():
        values[name] = [found[number] for number in sorted(found)]
    return values


def read_body(body: bytes, content_type: str) -> Values:
    if "json" not in content_type:
        return read_form(body.decode(errors="replace"))
    try:
        values = orjson.loads(body or b"{}")
    except orjson.JSONDecodeError as error:
        raise Refused(Error.INVALID_ARGUMENTS) from error
    if not isinstance(values, dict):
        raise Refused(Error.INVALID_ARGUMENTS)
    return values


def word(values: Mapping[str, object], name: str, default: str = "") -> str:
    """Return a value as text; a number as it was written."""
    value = values.get(name)
    if value is None or isinstance(value, list | dict):
        return default
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value).strip() or default


def needed(values: Mapping[str, object], name: str) -> str:
    found = word(values, name)
    if not found:
        raise bad(name)
    return found


def words(values: Mapping[str, object], name: str) -> list[str]:
    """Return a list, or what is separated by commas."""
    value = values.get(name)
    if isinstance(value, list):
        return [str(one) for one in value]
    return [one.strip() for one in word(values, name).split(",") if one.strip()]


def yes(values: Mapping[str, object], name: str, default: bool = False) -> bool:
    text = word(values, name).lower()
    if name not in values or not text:
        return default
    if text not in TRUE | FALSE:
        raise bad(name)
    return text in TRUE


def whole(values: Mapping[str, object], name: str, default: int = 0) -> int:
    text = word(values, name)
    if not text:
        return default
    try:
        return int(text)
    except ValueError as error:
        raise bad(name) from error


def number(values: Mapping[str, object], name: str) -> int:
    """Return an amount in units, zero when it is not given."""
    text = word(values, name)
    if not text:
        return 0
    try:
        return units(text)
    except ValueError as error:
        raise bad(name) from error


def userref(values: Mapping[str, object], name: str = "userref") -> int | None:
    """Return a user's own number for orders: 32 bits with a sign."""
    if not word(values, name):
        return None
    found = whole(values, name)
    if not -INT32 <= found < INT32:
        raise bad(name)
    return found


def time_ms(values: Mapping[str, object], name: str) -> int | None:
    """Return a time given in RFC 3339."""
    text = word(values, name)
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise bad(name) from error
    if at.tzinfo is None:
        raise bad(name)
    return int(at.astimezone(UTC).timestamp() * 1000)
