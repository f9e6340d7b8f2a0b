"""Alerts on their way to the operator's people."""

from sqlalchemy import BigInteger, Column, Index, Integer, Table, UniqueConstraint

from tradefleet.stores.sql.tables.metadata import METADATA, number_key, text
from tradefleet.stores.sql.types import Json, Time

# next_at null: done, one way or the other. It belongs to no user.
alert_deliveries = Table(
    "alert_deliveries",
    METADATA,
    number_key(),
    text("receiver"),
    Column("alert_id", BigInteger, nullable=False),
    text("state"),
    Column("changed_at", Time, nullable=False),
    Column("change", Json, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("next_at", Time),
    Column("done_at", Time),
    text("error"),
    text("outcome"),
    UniqueConstraint("receiver", "alert_id", "state", "changed_at"),
    Index(None, "receiver", "outcome", "id"),
)
