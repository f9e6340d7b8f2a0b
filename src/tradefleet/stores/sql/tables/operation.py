"""What runs the service: leases, switches, messages, notices, metrics, replays, secrets."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
)
from sqlalchemy import text as sql_text

from tradefleet.stores.sql.tables.metadata import METADATA, number_key, owner, text
from tradefleet.stores.sql.types import Json, Time

# One row per user from registration on; owner is "" when nobody runs the user.
leases = Table(
    "leases",
    METADATA,
    owner(primary_key=True),
    text("owner", index=True),
    Column("epoch", BigInteger, nullable=False),
    Column("expires_at", Time, nullable=False),
    Column("kill_version", BigInteger, nullable=False),
    # whether what happens to the user is recorded as events
    Column("listening", Boolean, nullable=False, server_default=sql_text("false")),
)

switches = Table(
    "switches",
    METADATA,
    text("scope"),
    text("scope_id"),
    Column("user_id", Text, ForeignKey("users.id"), index=True),  # null: over everybody
    text("halt"),
    text("reason"),
    Column("changed_at", Time, nullable=False),
    Column("by_operator", Boolean, nullable=False, server_default=sql_text("false")),
    PrimaryKeyConstraint("scope", "scope_id"),
)

host_messages = Table(
    "host_messages",
    METADATA,
    number_key(),
    owner(index=True),
    text("subject"),
    Column("payload", Json, nullable=False),
    Column("created_at", Time, nullable=False),
)

# One row per thing that one process does for all.
duties = Table(
    "duties",
    METADATA,
    text("name", primary_key=True),
    text("owner"),
    Column("epoch", BigInteger, nullable=False),
    Column("expires_at", Time, nullable=False),
    Column("place", BigInteger, nullable=False),
)

# What users chose of how loud they are told of a topic.
loudness = Table(
    "loudness",
    METADATA,
    owner(),
    text("topic"),
    text("loudness"),
    PrimaryKeyConstraint("user_id", "topic"),
)

# due_at null: given up. sent_at null: not delivered.
outbox = Table(
    "outbox",
    METADATA,
    number_key(),
    owner(),
    text("topic"),
    text("text"),
    Column("at", Time, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("due_at", Time),
    Column("sent_at", Time),
    text("error"),
)
is_waiting = sql_text("sent_at IS NULL AND due_at IS NOT NULL")
Index(
    "ix_outbox_waiting",
    outbox.c.priority,
    outbox.c.at,
    outbox.c.id,
    sqlite_where=is_waiting,
    postgresql_where=is_waiting,
)

system_metrics = Table(
    "system_metrics",
    METADATA,
    number_key(),
    Column("at", Time, nullable=False),
    text("name"),
    Column("value", Float, nullable=False),
    Column("labels", Json, nullable=False),
    Index(None, "name", "at"),
)

replay_runs = Table(
    "replay_runs",
    METADATA,
    text("id", primary_key=True),
    text("fingerprint"),
    Column("cursor_at", Time),
    Column("cursor_phase", Integer),
    Column("finished", Boolean, nullable=False),
)

secrets = Table(
    "secrets",
    METADATA,
    text("name", primary_key=True),
    Column("value", LargeBinary, nullable=False),
)
