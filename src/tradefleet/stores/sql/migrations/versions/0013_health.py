"""Reports of processes, and alerts."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"

TIME = sa.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "process_reports",
        text("owner"),
        sa.Column("measured_at", TIME, nullable=False),
        sa.Column("every", sa.Float, nullable=False),
        sa.Column("recovered", sa.Boolean, nullable=False),
        sa.Column("metrics", JSON, nullable=False),
        sa.PrimaryKeyConstraint("owner", name="pk_process_reports"),
    )
    op.create_table(
        "alerts",
        sa.Column("id", sa.BigInteger, nullable=False, autoincrement=False),
        text("rule"),
        text("metric"),
        text("level"),
        sa.Column("value", sa.Float),
        text("text"),
        text("cure"),
        sa.Column("fired_at", TIME, nullable=False),
        sa.Column("changed_at", TIME, nullable=False),
        text("told"),
        sa.Column("told_at", TIME),
        text("told_worst"),
        text("untold"),
        sa.Column("resolved_at", TIME),
        sa.Column("acknowledged_at", TIME),
        text("acknowledged_by"),
        text("note"),
        sa.Column("ack_told", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_alerts"),
    )
    op.create_index("ix_alerts_resolved_at", "alerts", ["resolved_at"])


def text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)
