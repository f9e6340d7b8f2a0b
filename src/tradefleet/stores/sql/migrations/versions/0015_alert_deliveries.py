"""Alerts on their way to people, and what became of each."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0015"
down_revision = "0014"

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "alert_deliveries",
        sa.Column("id", NUMBER, primary_key=True, autoincrement=True),
        text("receiver"),
        sa.Column("alert_id", sa.BigInteger, nullable=False),
        text("state"),
        sa.Column("changed_at", TIME, nullable=False),
        sa.Column("change", JSON, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("next_at", TIME),
        sa.Column("done_at", TIME),
        text("error"),
        text("outcome"),
        sa.PrimaryKeyConstraint("id", name="pk_alert_deliveries"),
        sa.UniqueConstraint(
            "receiver",
            "alert_id",
            "state",
            "changed_at",
            name="uq_alert_deliveries_receiver_alert_id_state_changed_at",
        ),
    )
    op.create_index(
        "ix_alert_deliveries_receiver_outcome_id",
        "alert_deliveries",
        ["receiver", "outcome", "id"],
    )


def text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)
