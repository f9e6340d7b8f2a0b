"""The paper venue's own books: they know nothing of users, as a real venue would not."""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, PrimaryKeyConstraint, Table
from sqlalchemy import text as sql_text

from tradefleet.stores.sql.tables.metadata import METADATA, text
from tradefleet.stores.sql.types import Json, Money, Time

paper_accounts = Table(
    "paper_accounts",
    METADATA,
    text("account_id", primary_key=True),
    Column("number", BigInteger, nullable=False),
)

paper_balances = Table(
    "paper_balances",
    METADATA,
    text("account_id"),
    text("asset"),
    Column("amount", Money, nullable=False),
    PrimaryKeyConstraint("account_id", "asset"),
)

paper_orders = Table(
    "paper_orders",
    METADATA,
    text("account_id"),
    text("id"),
    Column("number", BigInteger, nullable=False),  # of the change that first told of it
    Column("place", Integer, nullable=False),  # in that change
    text("venue_order_id"),
    Column("terms", Json, nullable=False),  # the order as it was sent
    Column("open", Boolean, nullable=False),
    Column("filled", Money, nullable=False),
    text("reject_reason"),
    PrimaryKeyConstraint("account_id", "id"),
)
is_open = sql_text("open")
Index(
    "ix_paper_orders_open",
    paper_orders.c.account_id,
    sqlite_where=is_open,
    postgresql_where=is_open,
)

paper_fills = Table(
    "paper_fills",
    METADATA,
    text("account_id"),
    text("id"),
    text("order_id"),
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
    Index(None, "account_id", "order_id"),
)
