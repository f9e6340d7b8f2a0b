"""How values of the domain become rows and rows become values, by one rule for every table.

A row here is neutral: decimals, times and text. What a database makes of them is said in
types.py, and for the journal in journal/dialects.py.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields
from enum import Enum
from operator import attrgetter
from typing import Any, Generic, TypeVar, get_type_hints

from sqlalchemy import JSON, Table

from tradefleet.domain.bot import BotMemory, BotSpec
from tradefleet.domain.consent import Consent
from tradefleet.domain.effects import Decided
from tradefleet.domain.limits import GuardMemory, Switch
from tradefleet.domain.market import Symbol, Timeframe
from tradefleet.domain.money import ZERO
from tradefleet.domain.order import CancelState, Fill, Order, OrderState
from tradefleet.domain.position import Position, Trade
from tradefleet.domain.universe import UniverseSpec
from tradefleet.domain.user import Account, User
from tradefleet.store import Answer, ErasureRequest, PendingKey, SealedKey
from tradefleet.stores.sql import tables
from tradefleet.stores.sql.codec import reader_of, to_plain

T = TypeVar("T")
Change = Callable[[Any], Any]


# The enum's own text: drivers are slow to bind what is not exactly a str.
plain_text = attrgetter("_value_")


class Shape(Generic[T]):
    """A dataclass and the table that has a column for its fields (or for some), by their names."""

    def __init__(self, kind: type[T], table: Table, *some: str) -> None:
        hints = get_type_hints(kind)
        self.kind = kind
        every = tuple(f.name for f in fields(kind) if f.name in table.c)  # type: ignore[arg-type]
        self.names = some or every
        self._get = attrgetter(*self.names)
        self._writers: list[tuple[int, Change]] = []
        self._readers: list[tuple[str, Change]] = []
        for place, name in enumerate(self.names):
            if isinstance(table.c[name].type, JSON):
                self._writers.append((place, to_plain))
                self._readers.append((name, reader_of(hints[name])))
            elif hints[name] in (Symbol, Timeframe):
                self._writers.append((place, str))
                self._readers.append((name, hints[name].parse))
            elif isinstance(hints[name], type) and issubclass(hints[name], Enum):
                self._writers.append((place, plain_text))
                self._readers.append((name, hints[name]))

    def row(self, value: T) -> list[Any]:
        """Return the columns of value, in the order of names."""
        row = list(self._get(value))
        for place, write in self._writers:
            row[place] = write(row[place])
        return row

    def columns(self, value: T) -> dict[str, Any]:
        """Return the columns of value by their names."""
        return dict(zip(self.names, self.row(value), strict=True))

    def read(self, row: Mapping[str, Any], **rest: Any) -> T:
        """Return the value a row tells of; rest are the fields without a column."""
        values = {name: row[name] for name in self.names}
        for name, read in self._readers:
            values[name] = read(values[name])
        return self.kind(**values, **rest)


USER = Shape(User, tables.users)
ANSWER = Shape(Answer, tables.idempotency)
ACCOUNT = Shape(Account, tables.accounts)
BOT = Shape(BotSpec, tables.bots)
UNIVERSE = Shape(UniverseSpec, tables.universes)
MEMORY = Shape(BotMemory, tables.bot_memories)
POSITION = Shape(Position, tables.positions)
GUARD = Shape(GuardMemory, tables.guard_memories)
ORDER = Shape(Order, tables.orders)
# What of an order ever changes, and what it is when the order is new.
NEW_ORDER: Mapping[str, Any] = {
    "state": OrderState.CREATED,
    "cancel": CancelState.NONE,
    "filled": ZERO,
    "venue_filled": None,
    "venue_order_id": "",
    "epoch": 0,
    "sent_at": None,
    "deadline": None,
    "negatives": 0,
    "note": "",
}
ORDER_CHANGE = Shape(Order, tables.orders, "id", "user_id", *NEW_ORDER)
ORDER_TERMS = Shape(Order, tables.orders, *(n for n in ORDER.names if n not in NEW_ORDER))
FILL = Shape(Fill, tables.fills)
TRADE = Shape(Trade, tables.trades)
DECIDED = Shape(Decided, tables.decisions)
SWITCH = Shape(Switch, tables.switches)
SEALED_KEY = Shape(SealedKey, tables.credentials)
PENDING_KEY = Shape(PendingKey, tables.pending_keys)
CONSENT = Shape(Consent, tables.consents)
ERASURE_REQUEST = Shape(ErasureRequest, tables.erasure_requests)
