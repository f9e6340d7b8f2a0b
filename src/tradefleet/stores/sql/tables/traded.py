"""What bots do: orders, fills, the ledger, trades, and what they remember in between.

The indices of orders are chosen for the journal: a new order goes to the end of the table and
of ix_orders_working (a time comes first in it); only its id lands somewhere in the middle.
An order enters the index of its user when it is final.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    ForeignKeyConstraint,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
)
from sqlalchemy import text as sql_text

from tradefleet.domain.order import FINAL_STATES
from tradefleet.stores.sql.tables.metadata import METADATA, owner, text
from tradefleet.stores.sql.types import Json, Money, Time

CHECKED_AT_COMMIT: Any = {"deferrable": True, "initially": "DEFERRED"}


def reference(names: str, table: str, keys: str) -> ForeignKeyConstraint:
    """Return a reference that is checked at the commit.

    Only so can SQLite write many rows in one statement without saving each page it touches,
    should the statement have to be undone by itself.
    """
    return ForeignKeyConstraint(
        names.split(), [f"{table}.{key}" for key in keys.split()], **CHECKED_AT_COMMIT
    )


def to_account() -> ForeignKeyConstraint:
    return reference("user_id account_id", "accounts", "user_id id")


def to_bot() -> ForeignKeyConstraint:
    return reference("user_id bot_id", "bots", "user_id id")


def to_account_and_bot() -> ForeignKeyConstraint:
    return reference("user_id account_id bot_id", "bots", "user_id account_id id")


orders = Table(
    "orders",
    METADATA,
    text("id", primary_key=True),  # the client order id the venue knows it by
    text("user_id"),
    text("account_id"),
    text("bot_id"),
    Column("seq", BigInteger, nullable=False),
    text("symbol"),
    text("side"),
    Column("quantity", Money, nullable=False),
    text("purpose"),
    Column("decided_at", Time, nullable=False),
    text("reason"),
    text("kind"),
    Column("price", Money),
    Column("reserved", Money, nullable=False),
    Column("hold_until", Time),
    Column("lapses_at", Time),
    Column("lapse_price", Money),
    # As it is when it is new: so much less has to be said of most orders.
    text("state", server_default="created"),
    text("cancel", server_default="none"),
    Column("filled", Money, nullable=False, server_default="0"),
    Column("venue_filled", Money),
    text("venue_order_id", server_default=""),
    Column("epoch", BigInteger, nullable=False, server_default="0"),
    Column("sent_at", Time),
    Column("deadline", Time),
    Column("negatives", Integer, nullable=False, server_default="0"),
    text("note", server_default=""),
    to_account_and_bot(),
)
# Written out, not bound: a query uses a partial index only when it says the same words.
FINAL = ", ".join(f"'{state}'" for state in sorted(FINAL_STATES))
is_final = sql_text(f"state IN ({FINAL})")
is_working = sql_text(f"state NOT IN ({FINAL})")
Index(
    "ix_orders_working",
    orders.c.decided_at,
    orders.c.user_id,
    sqlite_where=is_working,
    postgresql_where=is_working,
)
Index(
    "ix_orders_final",
    orders.c.user_id,
    orders.c.decided_at,
    sqlite_where=is_final,
    postgresql_where=is_final,
)

fills = Table(
    "fills",
    METADATA,
    text("user_id"),
    text("account_id"),
    text("id"),
    text("order_id", index=True),
    text("symbol"),
    text("side"),
    Column("quantity", Money, nullable=False),
    Column("price", Money, nullable=False),
    Column("cost", Money, nullable=False),
    Column("fee", Money, nullable=False),
    text("fee_asset"),
    Column("fee_quote", Money, nullable=False),
    Column("filled_at", Time, nullable=False),
    PrimaryKeyConstraint("account_id", "id"),
    to_account(),
    reference("order_id", "orders", "id"),
)

# One row per posting: sums by place and asset need no join.
ledger_entries = Table(
    "ledger_entries",
    METADATA,
    text("user_id"),
    text("entry_id"),
    Column("line", Integer, nullable=False),
    text("account_id"),
    text("kind"),
    Column("booked_at", Time, nullable=False),
    text("place"),
    text("asset"),
    Column("amount", Money, nullable=False),
    PrimaryKeyConstraint("user_id", "entry_id", "line"),
    to_account(),
)

trades = Table(
    "trades",
    METADATA,
    text("user_id"),
    text("id"),
    text("account_id"),
    text("bot_id"),
    text("symbol"),
    text("side"),
    Column("opened_at", Time, nullable=False),
    Column("closed_at", Time, nullable=False),
    Column("quantity", Money, nullable=False),
    Column("entry_price", Money, nullable=False),
    Column("exit_price", Money, nullable=False),
    Column("gross_pnl", Money, nullable=False),
    Column("fees", Money, nullable=False),
    Column("pnl", Money, nullable=False),  # gross_pnl - fees
    text("exit_reason"),
    PrimaryKeyConstraint("user_id", "id"),
    Index(None, "user_id", "closed_at"),
    to_account_and_bot(),
)

bot_memories = Table(
    "bot_memories",
    METADATA,
    text("user_id"),
    text("bot_id"),
    Column("cash", Money, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("decided_at", Time),
    Column("last_price", Money),
    text("last_exit_reason"),
    Column("guard", Json),
    PrimaryKeyConstraint("user_id", "bot_id"),
    to_bot(),
)

# One row per open position, gone when it is closed.
positions = Table(
    "positions",
    METADATA,
    text("user_id"),
    text("bot_id"),
    text("symbol"),
    Column("opened_at", Time, nullable=False),
    Column("quantity", Money, nullable=False),  # held now: original - sold_quantity
    Column("lots", Json, nullable=False),
    Column("original", Money, nullable=False),
    Column("bought", Money, nullable=False),
    Column("sold_quantity", Money, nullable=False),
    Column("sold", Money, nullable=False),
    Column("fees_quote", Money, nullable=False),
    Column("base_fees_quote", Money, nullable=False),
    Column("sell_fees", Money, nullable=False),
    Column("realized", Money, nullable=False),
    Column("stop", Money, nullable=False),
    text("stop_kind"),
    Column("targets", Json, nullable=False),
    Column("targets_done", Integer, nullable=False),
    Column("highest", Money, nullable=False),
    PrimaryKeyConstraint("user_id", "bot_id"),
    to_bot(),
)

guard_memories = Table(
    "guard_memories",
    METADATA,
    owner(primary_key=True),
    Column("day", Date),
    Column("entries_today", Integer, nullable=False),
    Column("realized_today", Money, nullable=False),
    text("month"),
    Column("realized_month", Money, nullable=False),
    Column("realized_total", Money, nullable=False),
    Column("losses_in_row", Integer, nullable=False),
    Column("peak_equity", Money),
    Column("last_entry_at", Time),
    Column("circuit_open_until", Time),
    text("circuit_reason"),
    text("paused_reason"),
    Column("today_base", Money, nullable=False),
    Column("month_base", Money, nullable=False),
    Column("peak_allocations", Money),
)
