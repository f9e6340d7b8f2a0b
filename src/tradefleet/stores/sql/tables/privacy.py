"""What users agreed to, who asked to be erased, and who was."""

from sqlalchemy import Column, Integer, PrimaryKeyConstraint, Table

from tradefleet.stores.sql.tables.metadata import METADATA, owner, text
from tradefleet.stores.sql.types import Json, Time

# Which risk notice a user was shown and accepted, and where.
consents = Table(
    "consents",
    METADATA,
    owner(),
    Column("version", Integer, nullable=False),
    Column("at", Time, nullable=False),
    text("surface"),
    text("text_hash"),
    PrimaryKeyConstraint("user_id", "version"),
)

# Who is to be erased; gone with the user.
erasure_requests = Table(
    "erasure_requests",
    METADATA,
    owner(primary_key=True),
    Column("asked_at", Time, nullable=False),
    text("reason"),
)

# Who was erased: user_id is the pseudonym. rows: how many of each table were deleted or renamed.
# audit_lines: how many lines have lost their detail; audit_head: the last hash of the user's chain.
erasures = Table(
    "erasures",
    METADATA,
    owner(primary_key=True),
    Column("at", Time, nullable=False),
    text("by_whom"),
    text("reason"),
    Column("rows", Json, nullable=False),
    Column("audit_lines", Integer, nullable=False),
    text("audit_head"),
)

# Only inside the transaction that erases: which ids become which. What is append-only looks here.
erasing = Table(
    "erasing",
    METADATA,
    text("was", primary_key=True),
    text("becomes"),
)

# What of a row that is append-only may become something else when its user is erased.
RENAMABLE = {
    "fills": ("user_id", "account_id"),
    "ledger_entries": ("user_id", "account_id", "entry_id"),
    "audit_log": ("user_id", "actor", "detail"),
}
