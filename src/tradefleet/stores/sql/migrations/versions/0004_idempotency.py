"""Idempotency: what requests with a key of their own were answered."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

TIME = sa.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")
TENANT = "current_setting('tradefleet.user_id', true)"


def upgrade() -> None:
    op.create_table(
        "idempotency",
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("reply", sa.Text, nullable=False),
        sa.Column("answered_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_idempotency_users"),
        sa.PrimaryKeyConstraint("user_id", "key", name="pk_idempotency"),
    )
    op.create_index("ix_idempotency_answered_at", "idempotency", ["answered_at"])
    if op.get_bind().dialect.name == "postgresql":
        wall_off("idempotency")


def wall_off(table: str) -> None:
    """Let a transaction that names its user see no other's rows, as 0001 does for the others."""
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(
        f"CREATE POLICY tenant ON {table} USING (coalesce({TENANT}, '') = '' OR user_id = {TENANT})"
    )
