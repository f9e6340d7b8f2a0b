"""Delivery: what one process does for all, and how loud users are told."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

TIME = sa.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")
TENANT = "current_setting('tradefleet.user_id', true)"


def upgrade() -> None:
    op.create_table(
        "duties",
        text("name"),
        text("owner"),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.Column("place", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_duties"),
    )
    op.create_table(
        "loudness",
        text("user_id"),
        text("topic"),
        text("loudness"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_loudness_users"),
        sa.PrimaryKeyConstraint("user_id", "topic", name="pk_loudness"),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE loudness ENABLE ROW LEVEL SECURITY")
        op.execute("ALTER TABLE loudness FORCE ROW LEVEL SECURITY")
        op.execute(
            "CREATE POLICY tenant ON loudness"
            f" USING (coalesce({TENANT}, '') = '' OR user_id = {TENANT})"
        )


def text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)
