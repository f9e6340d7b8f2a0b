"""What was said and decided, kept for people: signals, decisions, risk events, the audit log."""

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)

from tradefleet.stores.sql.tables.metadata import METADATA, number_key, owner, text
from tradefleet.stores.sql.tables.traded import to_bot
from tradefleet.stores.sql.types import Json, Money, Time

# What strategies said of bars; it belongs to no user.
signals = Table(
    "signals",
    METADATA,
    number_key(),
    text("follower_group"),
    Column("at", Time, nullable=False),
    text("kind"),
    text("text"),
    Index(None, "follower_group", "id"),
)

decisions = Table(
    "decisions",
    METADATA,
    text("user_id"),
    text("bot_id"),
    Column("at", Time, nullable=False),
    text("outcome"),
    text("guard"),
    text("reason"),
    PrimaryKeyConstraint("user_id", "bot_id", "at", "outcome", "guard"),
    to_bot(),
)

ai_decisions = Table(
    "ai_decisions",
    METADATA,
    number_key(),
    owner(),
    text("bot_id"),
    Column("at", Time, nullable=False),
    text("provider"),
    text("model"),
    text("prompt"),
    text("raw_answer"),
    text("action"),
    Column("confidence", Integer),
    Column("decision", Json),  # as parsed: size, stop, target, reason
    Column("tokens_in", Integer, nullable=False),
    Column("tokens_out", Integer, nullable=False),
    Column("cost", Money, nullable=False),
    Column("latency_seconds", Float, nullable=False),
    Column("executed", Boolean, nullable=False),
    Column("outcome", Json),
    Index(None, "user_id", "bot_id", "at"),
    to_bot(),
)

risk_events = Table(
    "risk_events",
    METADATA,
    number_key(),
    owner(),
    Column("bot_id", Text),
    Column("at", Time, nullable=False),
    text("kind"),
    text("guard"),
    Column("detail", Json, nullable=False),
    Index(None, "user_id", "at"),
)

# Append-only, and a chain: each line's hash covers the one before it of the same user.
audit_log = Table(
    "audit_log",
    METADATA,
    number_key(),
    text("user_id"),
    Column("at", Time, nullable=False),
    text("actor"),
    text("action"),
    Column("detail", JSON, nullable=False),  # not JSONB: the hash covers it as it was written
    text("prev_hash"),
    text("hash"),
    UniqueConstraint("user_id", "prev_hash"),
)
