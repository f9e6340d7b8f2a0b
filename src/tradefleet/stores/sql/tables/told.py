"""What was said and decided, kept for people: signals, decisions, risk events, the audit log."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
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

# Append-only, and a chain for each user; what concerns no user alone has the chain of user_id "".
# detail is text, not JSON: the digest covers it as it was written.
audit_log = Table(
    "audit_log",
    METADATA,
    text("user_id"),
    Column("number", BigInteger, nullable=False, autoincrement=False),
    Column("at", Time, nullable=False),
    text("actor"),
    text("role"),
    text("surface"),
    text("request_id"),
    text("action"),
    text("detail"),
    text("digest"),
    text("key_id"),
    text("prev_hash"),
    text("hash"),
    PrimaryKeyConstraint("user_id", "number"),
    Index(None, "at"),
)

# Keys of lines that ENCRYPTION_KEY may not give any more, sealed under one that it does.
audit_keys = Table(
    "audit_keys",
    METADATA,
    text("id", primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
)
