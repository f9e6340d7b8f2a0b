"""The few statements of the journal: each takes many rows of one kind at once."""

from dataclasses import dataclass
from enum import Enum, auto

from sqlalchemy import Table

from tradefleet.stores.sql import shapes, tables
from tradefleet.stores.sql.queries import LINE_COLUMNS


class Verb(Enum):
    """What becomes of a row whose key is there already, or is not."""

    ADD = auto()  # always a new row
    ADD_MISSING = auto()  # left as it is
    PUT = auto()  # replaced
    CHANGE = auto()  # changed; that it is not there is an error
    DROP = auto()  # gone afterwards


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """Rows for one table: what to do with them, and which columns they give."""

    verb: Verb
    table: Table
    names: tuple[str, ...]
    guard: str = ""  # CHANGE only: what must hold of the row, t, before it becomes v
    stays: tuple[str, ...] = ()  # PUT only: columns that are never replaced

    @property
    def keys(self) -> tuple[str, ...]:
        if self.verb is Verb.CHANGE:
            return ("id", "user_id")
        return tuple(column.name for column in self.table.primary_key)

    @property
    def changes(self) -> tuple[str, ...]:
        return tuple(name for name in self.names if name not in (*self.keys, *self.stays))


# An order is armed once: from created. While it is being sent it may only be cancelled, looked
# up or filled.
ARMED_ONCE = """
    v.state <> 'sending' OR t.state = 'created'
    OR (t.state = 'sending' AND t.epoch = v.epoch AND t.sent_at = v.sent_at
        AND (t.cancel <> v.cancel OR t.filled <> v.filled OR t.negatives <> v.negatives))
"""

PLACED = Sheet(Verb.ADD_MISSING, tables.orders, shapes.ORDER_TERMS.names)
FOUND = Sheet(Verb.ADD_MISSING, tables.orders, shapes.ORDER.names)
CHANGED = Sheet(Verb.CHANGE, tables.orders, shapes.ORDER_CHANGE.names, ARMED_ONCE)
FILLS = Sheet(Verb.ADD_MISSING, tables.fills, ("user_id", "account_id", *shapes.FILL.names))
LINES = Sheet(Verb.ADD_MISSING, tables.ledger_entries, LINE_COLUMNS)
TRADES = Sheet(Verb.ADD_MISSING, tables.trades, ("pnl", *shapes.TRADE.names))
MEMORIES = Sheet(Verb.PUT, tables.bot_memories, shapes.MEMORY.names)
POSITIONS = Sheet(
    Verb.PUT, tables.positions, ("user_id", "bot_id", "quantity", *shapes.POSITION.names)
)
FLAT = Sheet(Verb.DROP, tables.positions, ("user_id", "bot_id"))
GUARDS = Sheet(Verb.PUT, tables.guard_memories, shapes.GUARD.names)
STATUSES = Sheet(Verb.CHANGE, tables.bots, ("id", "user_id", "status", "note"))
DECISIONS = Sheet(Verb.ADD_MISSING, tables.decisions, shapes.DECIDED.names)
NOTICES = Sheet(
    Verb.ADD,
    tables.outbox,
    ("user_id", "topic", "text", "at", "priority", "tries", "due_at", "error"),
)
RUNS = Sheet(
    Verb.PUT,
    tables.replay_runs,
    ("id", "fingerprint", "cursor_at", "cursor_phase", "finished"),
)

EVENTS = Sheet(Verb.ADD, tables.events, ("user_id", "number", "at", "kind", "data"))
HEADS = Sheet(Verb.PUT, tables.event_heads, ("user_id", "last"))

PAPER_ACCOUNTS = Sheet(Verb.PUT, tables.paper_accounts, ("account_id", "number"))
PAPER_BALANCES = Sheet(Verb.PUT, tables.paper_balances, ("account_id", "asset", "amount"))
PAPER_ORDERS = Sheet(
    Verb.PUT,
    tables.paper_orders,
    tuple(column.name for column in tables.paper_orders.c),
    stays=("number", "place"),
)
PAPER_FILLS = Sheet(Verb.ADD_MISSING, tables.paper_fills, ("account_id", *shapes.FILL.names))
