"""Audit lines are numbered, say who acted where, and are bound under a key.

Lines that are there keep what they say and their hash, which anybody could write: the service puts
them under the key at its next start, by a line after the last of each chain.
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

TIME = sa.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")
TEXTS = (
    ("actor", "actor"),
    ("role", "''"),
    ("surface", "''"),
    ("request_id", "''"),
    ("action", "action"),
    ("detail", "CAST(detail AS text)"),
    ("digest", "''"),
    ("key_id", "'sha256'"),
    ("prev_hash", "prev_hash"),
    ("hash", "hash"),
)


def upgrade() -> None:
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    op.execute("ALTER TABLE audit_log RENAME TO audit_log_before")
    if not is_sqlite:
        op.execute("ALTER TABLE audit_log_before DROP CONSTRAINT pk_audit_log")
    make_tables()
    names = ", ".join(name for name, _ in TEXTS)
    values = ", ".join(value for _, value in TEXTS)
    op.execute(
        f"INSERT INTO audit_log (user_id, number, at, {names})"
        " SELECT user_id, row_number() OVER (PARTITION BY user_id ORDER BY id), at,"
        f" {values} FROM audit_log_before"
    )
    op.execute("DROP TABLE audit_log_before")
    guard(is_sqlite)


def make_tables() -> None:
    op.create_table(
        "audit_log",
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("at", TIME, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name, _ in TEXTS),
        sa.PrimaryKeyConstraint("user_id", "number", name="pk_audit_log"),
    )
    op.create_index("ix_audit_log_at", "audit_log", ["at"])
    op.create_table(
        "audit_keys",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_keys"),
    )


def guard(is_sqlite: bool) -> None:
    """Refuse every change of a line but to a pseudonym, as 0012 does."""
    if is_sqlite:
        kept = ["number", "at", *(name for name, _ in TEXTS if name not in ("actor", "detail"))]
        refused = " OR ".join(
            [
                "NOT EXISTS (SELECT 1 FROM erasing WHERE was = OLD.user_id"
                " AND becomes = NEW.user_id)",
                *(f"OLD.{name} IS NOT NEW.{name}" for name in kept),
                """NEW.detail NOT LIKE '{"erased"%'""",
                "NEW.actor NOT IN (OLD.actor, NEW.user_id)",
            ]
        )
        for action, when in (("UPDATE", f" WHEN {refused}"), ("DELETE", "")):
            op.execute(
                f"CREATE TRIGGER audit_log_no_{action.lower()} BEFORE {action} ON audit_log{when}"
                " BEGIN SELECT RAISE(ABORT, 'audit_log is append-only'); END"
            )
        return
    op.execute(REFUSE_REWRITING)
    op.execute(
        "CREATE TRIGGER audit_log_append_only BEFORE DELETE OR TRUNCATE ON audit_log"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
    op.execute(
        "CREATE TRIGGER audit_log_no_update BEFORE UPDATE ON audit_log"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_updates()"
    )
    op.execute(
        "CREATE TRIGGER audit_log_no_rewriting BEFORE UPDATE ON audit_log"
        " FOR EACH ROW EXECUTE FUNCTION refuse_audit_rewriting()"
    )


REFUSE_REWRITING = """
CREATE FUNCTION refuse_audit_rewriting() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF to_jsonb(OLD) - ARRAY['user_id', 'actor', 'detail']
            = to_jsonb(NEW) - ARRAY['user_id', 'actor', 'detail']
        AND EXISTS (
            SELECT FROM erasing WHERE was = OLD.user_id AND becomes = NEW.user_id)
        AND NEW.detail LIKE '{"erased"%'
        AND NEW.actor IN (OLD.actor, NEW.user_id)
    THEN RETURN NEW; END IF;
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END $$
"""
