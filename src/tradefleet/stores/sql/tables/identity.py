"""What users sign in with: of every secret only its hash stands here."""

from sqlalchemy import (
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
)

from tradefleet.stores.sql.tables.metadata import METADATA, owner, text
from tradefleet.stores.sql.types import Json, Time

passwords = Table(
    "passwords",
    METADATA,
    owner(primary_key=True),
    text("hash"),
    Column("changed_at", Time, nullable=False),
)

sessions = Table(
    "sessions",
    METADATA,
    text("id", primary_key=True),
    owner(),
    text("how"),
    text("address"),
    Column("created_at", Time, nullable=False),
    Column("seen_at", Time, nullable=False),
    Column("expires_at", Time, nullable=False),
    Column("strong_until", Time),
    Column("revoked_at", Time),
    text("revoked_because"),
    UniqueConstraint("user_id", "id"),
)

# What renews sessions, each once: those used before are kept, so that their reuse is noticed.
renewals = Table(
    "renewals",
    METADATA,
    text("hash", primary_key=True),
    text("user_id"),
    text("session_id"),
    Column("made_at", Time, nullable=False),
    Column("used_at", Time),
    ForeignKeyConstraint(["user_id", "session_id"], ["sessions.user_id", "sessions.id"]),
    Index(None, "session_id"),
)

personal_tokens = Table(
    "personal_tokens",
    METADATA,
    owner(),
    text("id"),
    text("name"),
    text("hash", unique=True),
    Column("rights", Json, nullable=False),
    Column("created_at", Time, nullable=False),
    Column("expires_at", Time, nullable=False),
    Column("revoked_at", Time),
    PrimaryKeyConstraint("user_id", "id"),
)

links = Table(
    "links",
    METADATA,
    text("hash", primary_key=True),
    owner(index=True),
    text("use"),
    Column("expires_at", Time, nullable=False),
)

second_factors = Table(
    "second_factors",
    METADATA,
    owner(primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("made_at", Time, nullable=False),
    Column("confirmed_at", Time),
)

# What is of one use and was used, until it would be refused for its age anyway.
spent = Table(
    "spent",
    METADATA,
    text("hash", primary_key=True),
    Column("until", Time, nullable=False, index=True),
)

sign_in_failures = Table(
    "sign_in_failures",
    METADATA,
    text("name", primary_key=True),  # the hash of what was typed as a name
    Column("count", Integer, nullable=False),
    Column("last_at", Time, nullable=False, index=True),
)
