"""What a user owns: themselves, limits, accounts, bots and universes of bots."""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy import text as sql_text

from tradefleet.stores.sql.tables.metadata import METADATA, owner, text
from tradefleet.stores.sql.types import Json, Money, Time

users = Table(
    "users",
    METADATA,
    text("id", primary_key=True),
    text("username", unique=True),
    Column("telegram_id", BigInteger, unique=True),
    text("tier"),
    text("role"),
    Column("settings", Json, nullable=False),
    Column("overrides", Json, nullable=False, server_default=sql_text("'{}'")),
    Column("created_at", Time, nullable=False),
    Column("banned_at", Time),
    Column("banned_because", Text, nullable=False, server_default=""),
    Column("erased_at", Time),  # since when this is a pseudonym, and nobody
)

user_limits = Table(
    "user_limits",
    METADATA,
    owner(primary_key=True),
    Column("limits", Json, nullable=False),
)

accounts = Table(
    "accounts",
    METADATA,
    text("id", primary_key=True),
    owner(),
    text("venue"),
    text("mode"),
    Column("created_at", Time, nullable=False),
    text("state"),
    text("external_changes"),
    Column("key", Json),  # what is known of its API key in the clear; null on paper
    UniqueConstraint("user_id", "id"),
)
# At most one account per venue and mode where there are keys.
Index(
    "uq_accounts_connected",
    accounts.c.user_id,
    accounts.c.venue,
    accounts.c.mode,
    unique=True,
    sqlite_where=sql_text("mode <> 'paper'"),
    postgresql_where=sql_text("mode <> 'paper'"),
)

universes = Table(
    "universes",
    METADATA,
    text("id", primary_key=True),
    owner(),
    text("account_id"),
    text("name"),
    text("asset"),
    Column("allocation", Money, nullable=False),
    Column("carried", Money, nullable=False),
    Column("positions_max", Integer),
    Column("created_at", Time, nullable=False),
    Column("removed_at", Time),
    ForeignKeyConstraint(["user_id", "account_id"], ["accounts.user_id", "accounts.id"]),
)
Index("ix_universes_user_id", universes.c.user_id)
# At most one universe of a name that still exists per account.
Index(
    "uq_universes_active",
    universes.c.account_id,
    universes.c.name,
    unique=True,
    sqlite_where=sql_text("removed_at IS NULL"),
    postgresql_where=sql_text("removed_at IS NULL"),
)

bots = Table(
    "bots",
    METADATA,
    text("id", primary_key=True),
    owner(),
    text("account_id"),
    Column("number", Integer, nullable=False),  # counts the bots a user ever had
    text("venue"),
    text("symbol"),
    text("timeframe"),
    text("strategy"),
    Column("allocation", Money, nullable=False),
    Column("params", Json, nullable=False),
    text("status"),
    text("note"),
    Column("limits", Json),
    Column("created_at", Time, nullable=False),
    Column("removed_at", Time),
    Column("universe_id", Text),  # the store checks it: SQLite adds no such reference to a table
    UniqueConstraint("user_id", "id"),
    UniqueConstraint("user_id", "account_id", "id"),
    UniqueConstraint("user_id", "number"),
    ForeignKeyConstraint(["user_id", "account_id"], ["accounts.user_id", "accounts.id"]),
)
# At most one bot that still exists per account and symbol, and one by hand beside it.
Index(
    "uq_bots_active",
    bots.c.account_id,
    bots.c.symbol,
    unique=True,
    sqlite_where=sql_text("removed_at IS NULL AND strategy <> 'manual'"),
    postgresql_where=sql_text("removed_at IS NULL AND strategy <> 'manual'"),
)
Index(
    "uq_bots_manual",
    bots.c.account_id,
    bots.c.symbol,
    unique=True,
    sqlite_where=sql_text("removed_at IS NULL AND strategy = 'manual'"),
    postgresql_where=sql_text("removed_at IS NULL AND strategy = 'manual'"),
)
