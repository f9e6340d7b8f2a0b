"""Keys of exchange accounts: sealed credentials, what is known of them, and who may use them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"

TIME = sa.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
TENANT = "current_setting('tradefleet.user_id', true)"


def upgrade() -> None:
    extend_accounts()
    make_tables()
    if op.get_bind().dialect.name == "postgresql":
        for table in ("credentials", "pending_keys", "user_keys"):
            wall_off(table)


def extend_accounts() -> None:
    state = sa.Column("state", sa.Text, nullable=False, server_default="active")
    op.add_column("accounts", state)
    policy = sa.Column("external_changes", sa.Text, nullable=False, server_default="ignore")
    op.add_column("accounts", policy)
    op.add_column("accounts", sa.Column("key", JSON))
    op.create_index(
        "uq_accounts_connected",
        "accounts",
        ["user_id", "venue", "mode"],
        unique=True,
        sqlite_where=sa.text("mode <> 'paper'"),
        postgresql_where=sa.text("mode <> 'paper'"),
    )


def make_tables() -> None:
    op.create_table(
        "user_keys",
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("wrapped", sa.LargeBinary, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_user_keys_users"),
        sa.PrimaryKeyConstraint("user_id", name="pk_user_keys"),
    )
    op.create_table(
        "credentials",
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("account_id", sa.Text, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("sealed_at", TIME, nullable=False),
        sa.Column("check_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id", "account_id"],
            ["accounts.user_id", "accounts.id"],
            name="fk_credentials_accounts",
        ),
        sa.PrimaryKeyConstraint("user_id", "account_id", name="pk_credentials"),
        sa.UniqueConstraint("fingerprint", name="uq_credentials_fingerprint"),
    )
    op.create_index("ix_credentials_check_at", "credentials", ["check_at"])
    op.create_table(
        "pending_keys",
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("account_id", sa.Text, nullable=False),
        sa.Column("venue", sa.Text, nullable=False),
        sa.Column("mode", sa.Text, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("key", JSON, nullable=False),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_pending_keys_users"),
        sa.PrimaryKeyConstraint("user_id", name="pk_pending_keys"),
    )


def wall_off(table: str) -> None:
    """Let a transaction that names its user see no other's rows, as 0001 does for the others."""
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(
        f"CREATE POLICY tenant ON {table} USING (coalesce({TENANT}, '') = '' OR user_id = {TENANT})"
    )
