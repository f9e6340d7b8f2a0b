"""Universes: several bots of one account that share a purse."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

TIME = sa.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")
MONEY = sa.Numeric().with_variant(sa.Text(), "sqlite")
TENANT = "current_setting('tradefleet.user_id', true)"


def upgrade() -> None:
    op.add_column("bots", sa.Column("universe_id", sa.Text))
    op.create_table(
        "universes",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("account_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("asset", sa.Text, nullable=False),
        sa.Column("allocation", MONEY, nullable=False),
        sa.Column("carried", MONEY, nullable=False),
        sa.Column("positions_max", sa.Integer()),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("removed_at", TIME),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_universes_users"),
        sa.ForeignKeyConstraint(
            ["user_id", "account_id"],
            ["accounts.user_id", "accounts.id"],
            name="fk_universes_accounts",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_universes"),
    )
    op.create_index("ix_universes_user_id", "universes", ["user_id"])
    op.create_index(
        "uq_universes_active",
        "universes",
        ["account_id", "name"],
        unique=True,
        sqlite_where=sa.text("removed_at IS NULL"),
        postgresql_where=sa.text("removed_at IS NULL"),
    )
    if op.get_bind().dialect.name == "postgresql":
        wall_off("universes")


def wall_off(table: str) -> None:
    """Let a transaction that names its user see no other's rows, as 0001 does for the others."""
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(
        f"CREATE POLICY tenant ON {table} USING (coalesce({TENANT}, '') = '' OR user_id = {TENANT})"
    )
