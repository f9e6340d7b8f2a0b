"""How the service is: what each process said of itself last, and the alerts there were."""

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Table

from tradefleet.stores.sql.tables.metadata import METADATA, text
from tradefleet.stores.sql.types import Json, Time

process_reports = Table(
    "process_reports",
    METADATA,
    text("owner", primary_key=True),
    Column("measured_at", Time, nullable=False),
    Column("every", Float, nullable=False),
    Column("recovered", Boolean, nullable=False),
    Column("metrics", Json, nullable=False),
)

alerts = Table(
    "alerts",
    METADATA,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    text("rule"),
    text("metric"),
    text("level"),
    Column("value", Float),
    text("text"),
    text("cure"),
    Column("fired_at", Time, nullable=False),
    Column("changed_at", Time, nullable=False),
    text("told"),
    Column("told_at", Time),
    text("told_worst"),
    text("untold"),
    Column("resolved_at", Time),
    Column("acknowledged_at", Time),
    text("acknowledged_by"),
    text("note"),
    Column("ack_told", Boolean, nullable=False),
    Index(None, "resolved_at"),
)
