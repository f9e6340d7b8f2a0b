"""What is kept sealed: users' own keys, accounts' credentials, and those that wait for a code."""

from sqlalchemy import (
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
)

from tradefleet.stores.sql.tables.metadata import METADATA, owner, text
from tradefleet.stores.sql.types import Json, Time

# Wrapped by the master key; without its row nothing of the user can be opened, whatever the copy.
user_keys = Table(
    "user_keys",
    METADATA,
    owner(primary_key=True),
    Column("wrapped", LargeBinary, nullable=False),
)

credentials = Table(
    "credentials",
    METADATA,
    text("user_id"),
    text("account_id"),
    Column("sealed", LargeBinary, nullable=False),
    text("fingerprint", unique=True),  # over all users
    Column("sealed_at", Time, nullable=False),
    Column("check_at", Time, nullable=False),
    PrimaryKeyConstraint("user_id", "account_id"),
    ForeignKeyConstraint(["user_id", "account_id"], ["accounts.user_id", "accounts.id"]),
    Index(None, "check_at"),
)

pending_keys = Table(
    "pending_keys",
    METADATA,
    owner(primary_key=True),
    text("account_id"),  # it may not exist yet
    text("venue"),
    text("mode"),
    Column("sealed", LargeBinary, nullable=False),
    text("fingerprint"),
    Column("key", Json, nullable=False),
    text("code"),
    Column("expires_at", Time, nullable=False),
    Column("tries", Integer, nullable=False),
)
