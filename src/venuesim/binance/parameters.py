"""Parameters of a request: where they stand, what they may look like, and what is said if not."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import parse_qsl

import orjson

from venuesim.binance.denials import Denied, illegal, missing, not_valid
from venuesim.units import units

SYMBOL = r"^[\w\-._&&[^a-z]]{1,50}$"  # as the venue words it
SYMBOL_PATTERN = re.compile(r"(?:[^\Wa-z]|[\-.]){1,50}")
SYMBOLS = r'^\[("[\w\-._&&[^a-z]]{1,50}"(,"[\w\-._&&[^a-z]]{1,50}"){0,}){0,1}\]$'
LONG = r"^[0-9]{1,20}$"
DECIMAL = r"^([0-9]{1,20})(\.[0-9]{1,20})?$"
CLIENT_ID = r"^[\.A-Z\:/a-z0-9_-]{1,36}$"
PATTERNS = {pattern: re.compile(pattern) for pattern in (LONG, DECIMAL, CLIENT_ID)}
DECIMALS_MAX = 8
LONG_MAX = 2**63 - 1
BIGGEST = 10**19  # what the venue's numbers can hold, in units
MICROSECONDS_FROM = 10**14  # a time this large counts microseconds

T = TypeVar("T")


def split(query: str, body: str) -> dict[str, str]:
    """Return the parameters of a query and a form; where both name one, the query's counts."""
    sent: dict[str, str] = {}
    for raw in filter(None, (query, body)):
        part: dict[str, str] = {}
        for name, value in parse_qsl(raw, keep_blank_values=True):
            if name in part:
                raise Denied(-1101, "Duplicate values for a parameter detected.")
            part[name] = value
        sent = part | sent
    return sent


@dataclass(slots=True)
class Parameters:
    """What a client sent, by name; every getter says as the venue does what is wrong with it."""

    sent: Mapping[str, str]

    def has(self, name: str) -> bool:
        return name in self.sent

    def optional(self, name: str) -> str | None:
        value = self.sent.get(name)
        if value == "":
            raise Denied(-1105, f"Parameter '{name}' was empty.")
        return value

    def text(self, name: str, pattern: str = "") -> str:
        value = self.optional(name)
        if value is None:
            raise missing(name)
        if pattern and not PATTERNS[pattern].match(value):
            raise illegal(name, pattern)
        return value

    def symbol(self, name: str = "symbol") -> str:
        value = self.text(name)
        if not is_symbol(value):
            raise illegal(name, SYMBOL)
        return value

    def symbols(self) -> list[str] | None:
        """Return the list in `symbols`, or None when it was not sent."""
        value = self.optional("symbols")
        if value is None:
            return None
        try:
            names = orjson.loads(value)
        except orjson.JSONDecodeError:
            names = None
        if not isinstance(names, list) or not all(
            isinstance(name, str) and is_symbol(name) for name in names
        ):
            raise illegal("symbols", SYMBOLS)
        if len(set(names)) < len(names):
            raise Denied(-1151, "Symbol is present multiple times in the list.")
        return names

    def long(self, name: str) -> int | None:
        value = self.optional(name)
        if value is None:
            return None
        if not PATTERNS[LONG].match(value):
            raise illegal(name, LONG)
        number = int(value)
        if number > LONG_MAX:
            raise Denied(-1108, f"Parameter '{name}' overflowed.")
        return number

    def moment(self, name: str) -> int | None:
        """Return a time in milliseconds; the venue takes microseconds too."""
        value = self.long(name)
        return value // 1000 if value is not None and value >= MICROSECONDS_FROM else value

    def limit(self, default: int = 500, most: int = 1000) -> int:
        value = self.long("limit")
        if value is None:
            return default
        if not value:
            raise missing("limit")
        return min(value, most)

    def amount(self, name: str) -> int:
        """Return a number in units of 10^-8, zero when it was not sent."""
        value = self.optional(name)
        if value is None:
            return 0
        if not PATTERNS[DECIMAL].match(value):
            raise illegal(name, DECIMAL)
        if len(value.partition(".")[2].rstrip("0")) > DECIMALS_MAX:
            raise Denied(-1111, f"Parameter '{name}' has too much precision.")
        number = units(value)
        if number >= BIGGEST:
            raise Denied(-1108, f"Parameter '{name}' overflowed.")
        return number

    def choice(self, name: str, words: Mapping[str, T], wrong: Denied) -> T:
        try:
            return words[self.text(name)]
        except KeyError:
            raise wrong from None

    def one_of(self, name: str, words: Sequence[str]) -> str | None:
        value = self.optional(name)
        if value is not None and value not in words:
            raise not_valid(name)
        return value

    def flag(self, name: str, default: bool = False) -> bool:
        value = self.optional(name)
        if value is None:
            return default
        if value.lower() not in ("true", "false"):
            raise missing(name)
        return value.lower() == "true"

    def client_id(self, name: str) -> str:
        """Return a client's own id, "" when there is none."""
        return self.text(name, CLIENT_ID) if name in self.sent else ""


def is_symbol(text: str) -> bool:
    return SYMBOL_PATTERN.fullmatch(text) is not None
