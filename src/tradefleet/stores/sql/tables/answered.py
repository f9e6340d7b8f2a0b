"""What requests with a key of their own were answered, so that none is done twice."""

from sqlalchemy import Column, PrimaryKeyConstraint, Table

from tradefleet.stores.sql.tables.metadata import METADATA, owner, text
from tradefleet.stores.sql.types import Time

idempotency = Table(
    "idempotency",
    METADATA,
    owner(),
    text("key"),
    text("fingerprint"),
    text("reply"),  # as it was written, digit by digit
    Column("answered_at", Time, nullable=False, index=True),
    PrimaryKeyConstraint("user_id", "key"),
)
