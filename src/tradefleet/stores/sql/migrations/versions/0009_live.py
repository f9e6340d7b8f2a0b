"""Live events, and webhooks that are sent them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"

TIME = sa.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
TENANT = "current_setting('tradefleet.user_id', true)"
OWNED = ("event_heads", "events", "webhooks", "webhook_deliveries")


def upgrade() -> None:
    listening = sa.Column("listening", sa.Boolean, nullable=False, server_default=sa.false())
    op.add_column("leases", listening)
    make_events()
    make_webhooks()
    if op.get_bind().dialect.name == "postgresql":
        for table in OWNED:
            wall_off(table)


def text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)


def big(name: str, usual: str | None = None) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False, server_default=usual)


def of_user(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=f"fk_{table}_users")


def make_events() -> None:
    op.create_table(
        "event_heads",
        text("user_id"),
        big("last"),
        big("since", "0"),
        sa.Column("seen_at", TIME),
        of_user("event_heads"),
        sa.PrimaryKeyConstraint("user_id", name="pk_event_heads"),
    )
    op.create_table(
        "events",
        text("user_id"),
        big("number"),
        sa.Column("at", TIME, nullable=False),
        text("kind"),
        text("data"),
        of_user("events"),
        sa.PrimaryKeyConstraint("user_id", "number", name="pk_events"),
    )


def make_webhooks() -> None:
    op.create_table(
        "webhooks",
        text("user_id"),
        text("id"),
        text("url"),
        sa.Column("kinds", JSON, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        big("done"),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("next_at", TIME),
        text("disabled_because"),
        of_user("webhooks"),
        sa.PrimaryKeyConstraint("user_id", "id", name="pk_webhooks"),
    )
    op.create_index("ix_webhooks_next_at", "webhooks", ["next_at"])
    op.create_table(
        "webhook_deliveries",
        text("user_id"),
        text("webhook_id"),
        big("number"),
        text("kind"),
        sa.Column("at", TIME, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("status", sa.Integer),
        text("error"),
        text("outcome"),
        sa.ForeignKeyConstraint(
            ["user_id", "webhook_id"],
            ["webhooks.user_id", "webhooks.id"],
            name="fk_webhook_deliveries_webhooks",
        ),
        sa.PrimaryKeyConstraint("user_id", "webhook_id", "number", name="pk_webhook_deliveries"),
    )


def wall_off(table: str) -> None:
    """Let a transaction that names its user see no other's rows, as 0001 does for the others."""
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(
        f"CREATE POLICY tenant ON {table} USING (coalesce({TENANT}, '') = '' OR user_id = {TENANT})"
    )
