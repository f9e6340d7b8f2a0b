"""Identity: passwords, sessions, personal tokens, one-time links, second factors."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"

TIME = sa.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
TENANT = "current_setting('tradefleet.user_id', true)"
OWNED = ("passwords", "sessions", "renewals", "personal_tokens", "links", "second_factors")


def upgrade() -> None:
    make_sessions()
    make_what_users_have()
    make_what_is_nobodys()
    if op.get_bind().dialect.name == "postgresql":
        for table in OWNED:
            wall_off(table)


def text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)


def of_user(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=f"fk_{table}_users")


def make_sessions() -> None:
    op.create_table(
        "sessions",
        text("id"),
        text("user_id"),
        text("how"),
        text("address"),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("seen_at", TIME, nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.Column("strong_until", TIME),
        sa.Column("revoked_at", TIME),
        text("revoked_because"),
        of_user("sessions"),
        sa.PrimaryKeyConstraint("id", name="pk_sessions"),
        sa.UniqueConstraint("user_id", "id", name="uq_sessions_user_id_id"),
    )
    op.create_table(
        "renewals",
        text("hash"),
        text("user_id"),
        text("session_id"),
        sa.Column("made_at", TIME, nullable=False),
        sa.Column("used_at", TIME),
        sa.ForeignKeyConstraint(
            ["user_id", "session_id"],
            ["sessions.user_id", "sessions.id"],
            name="fk_renewals_sessions",
        ),
        sa.PrimaryKeyConstraint("hash", name="pk_renewals"),
    )
    op.create_index("ix_renewals_session_id", "renewals", ["session_id"])


def make_what_users_have() -> None:
    op.create_table(
        "passwords",
        text("user_id"),
        text("hash"),
        sa.Column("changed_at", TIME, nullable=False),
        of_user("passwords"),
        sa.PrimaryKeyConstraint("user_id", name="pk_passwords"),
    )
    op.create_table(
        "personal_tokens",
        text("user_id"),
        text("id"),
        text("name"),
        text("hash"),
        sa.Column("rights", JSON, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.Column("revoked_at", TIME),
        of_user("personal_tokens"),
        sa.PrimaryKeyConstraint("user_id", "id", name="pk_personal_tokens"),
        sa.UniqueConstraint("hash", name="uq_personal_tokens_hash"),
    )
    op.create_table(
        "links",
        text("hash"),
        text("user_id"),
        text("use"),
        sa.Column("expires_at", TIME, nullable=False),
        of_user("links"),
        sa.PrimaryKeyConstraint("hash", name="pk_links"),
    )
    op.create_index("ix_links_user_id", "links", ["user_id"])
    op.create_table(
        "second_factors",
        text("user_id"),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("made_at", TIME, nullable=False),
        sa.Column("confirmed_at", TIME),
        of_user("second_factors"),
        sa.PrimaryKeyConstraint("user_id", name="pk_second_factors"),
    )


def make_what_is_nobodys() -> None:
    op.create_table(
        "spent",
        text("hash"),
        sa.Column("until", TIME, nullable=False),
        sa.PrimaryKeyConstraint("hash", name="pk_spent"),
    )
    op.create_index("ix_spent_until", "spent", ["until"])
    op.create_table(
        "sign_in_failures",
        text("name"),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("last_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_sign_in_failures"),
    )
    op.create_index("ix_sign_in_failures_last_at", "sign_in_failures", ["last_at"])


def wall_off(table: str) -> None:
    """Let a transaction that names its user see no other's rows, as 0001 does for the others."""
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(
        f"CREATE POLICY tenant ON {table} USING (coalesce({TENANT}, '') = '' OR user_id = {TENANT})"
    )
