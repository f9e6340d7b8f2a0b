"""Live events, and users' webhooks with what became of each delivery."""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKeyConstraint,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
)

from tradefleet.stores.sql.tables.metadata import METADATA, owner, text
from tradefleet.stores.sql.types import Json, Time

# last and since: see tradefleet/live.py; seen_at: when somebody last listened.
event_heads = Table(
    "event_heads",
    METADATA,
    owner(primary_key=True),
    Column("last", BigInteger, nullable=False),
    Column("since", BigInteger, nullable=False, server_default="0"),
    Column("seen_at", Time),
)

events = Table(
    "events",
    METADATA,
    owner(),
    Column("number", BigInteger, nullable=False),
    Column("at", Time, nullable=False),
    text("kind"),
    text("data"),  # as it is told, letter by letter
    PrimaryKeyConstraint("user_id", "number"),
)

webhooks = Table(
    "webhooks",
    METADATA,
    owner(),
    text("id"),
    text("url"),
    Column("kinds", Json, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("created_at", Time, nullable=False),
    Column("done", BigInteger, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("next_at", Time, index=True),  # null: disabled
    text("disabled_because"),
    PrimaryKeyConstraint("user_id", "id"),
)

webhook_deliveries = Table(
    "webhook_deliveries",
    METADATA,
    text("user_id"),
    text("webhook_id"),
    Column("number", BigInteger, nullable=False),
    text("kind"),
    Column("at", Time, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("status", Integer),
    text("error"),
    text("outcome"),
    PrimaryKeyConstraint("user_id", "webhook_id", "number"),
    ForeignKeyConstraint(["user_id", "webhook_id"], ["webhooks.user_id", "webhooks.id"]),
)
