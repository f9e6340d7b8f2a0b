"""Consents, erasures, and the one way in which what is append-only goes over to a pseudonym."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"

TIME = sa.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
# What may become something else when a user is erased; everything else of a row stays.
RENAMED = {
    "fills": ("user_id", "account_id"),
    "ledger_entries": ("user_id", "account_id", "entry_id"),
    "audit_log": ("user_id", "actor", "detail"),
}


def upgrade() -> None:
    op.add_column("users", sa.Column("erased_at", TIME))
    make_tables()
    for table, free in RENAMED.items():
        if op.get_bind().dialect.name == "sqlite":
            open_on_sqlite(table, free)
        else:
            open_on_postgres(table, free)


def text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)


def of_user(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=f"fk_{table}_users")


def make_tables() -> None:
    op.create_table(
        "consents",
        text("user_id"),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("at", TIME, nullable=False),
        text("surface"),
        text("text_hash"),
        of_user("consents"),
        sa.PrimaryKeyConstraint("user_id", "version", name="pk_consents"),
    )
    op.create_table(
        "erasure_requests",
        text("user_id"),
        sa.Column("asked_at", TIME, nullable=False),
        text("reason"),
        of_user("erasure_requests"),
        sa.PrimaryKeyConstraint("user_id", name="pk_erasure_requests"),
    )
    op.create_table(
        "erasures",
        text("user_id"),
        sa.Column("at", TIME, nullable=False),
        text("by_whom"),
        text("reason"),
        sa.Column("rows", JSON, nullable=False),
        sa.Column("audit_lines", sa.Integer, nullable=False),
        text("audit_head"),
        of_user("erasures"),
        sa.PrimaryKeyConstraint("user_id", name="pk_erasures"),
    )
    op.create_table(
        "erasing", text("was"), text("becomes"), sa.PrimaryKeyConstraint("was", name="pk_erasing")
    )


def open_on_sqlite(table: str, free: tuple[str, ...]) -> None:
    """Let the trigger that refuses changes let through what the table erasing allows."""
    columns = [column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)]
    changed = [f"OLD.{name} IS NOT NEW.{name}" for name in columns if name not in free]
    becomes = "EXISTS (SELECT 1 FROM erasing WHERE was = OLD.{0} AND becomes = NEW.{0})"
    if "account_id" in free:
        changed.append(f"NOT {becomes.format('account_id')}")
    if "entry_id" in free:
        named = "replace(OLD.entry_id, OLD.account_id, NEW.account_id)"
        changed.append(f"NEW.entry_id NOT IN (OLD.entry_id, {named})")
    if "detail" in free:
        changed.append("""NEW.detail NOT LIKE '{"erased"%'""")
        changed.append("NEW.actor NOT IN (OLD.actor, NEW.user_id)")
    refused = " OR ".join([f"NOT {becomes.format('user_id')}", *changed])
    op.execute(f"DROP TRIGGER {table}_no_update")
    op.execute(
        f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} WHEN {refused}"
        f" BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
    )


def open_on_postgres(table: str, free: tuple[str, ...]) -> None:
    if table == "fills":
        op.execute(REFUSE_REWRITING)
        op.execute(REFUSE_UPDATES)
    op.execute(f"DROP TRIGGER {table}_append_only ON {table}")
    op.execute(
        f"CREATE TRIGGER {table}_append_only BEFORE DELETE OR TRUNCATE ON {table}"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
    op.execute(
        f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table}"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_updates()"
    )
    names = ", ".join(f"'{name}'" for name in free)
    op.execute(
        f"CREATE TRIGGER {table}_no_rewriting BEFORE UPDATE ON {table}"
        f" FOR EACH ROW EXECUTE FUNCTION refuse_rewriting({names})"
    )


REFUSE_UPDATES = """
CREATE FUNCTION refuse_updates() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM erasing) THEN RETURN NULL; END IF;
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END $$
"""
REFUSE_REWRITING = """
CREATE FUNCTION refuse_rewriting() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    old_row jsonb := to_jsonb(OLD);
    new_row jsonb := to_jsonb(NEW);
    allowed boolean := (old_row - TG_ARGV) = (new_row - TG_ARGV) AND EXISTS (
        SELECT FROM erasing WHERE was = OLD.user_id AND becomes = NEW.user_id);
BEGIN
    IF allowed AND old_row ? 'account_id' THEN
        allowed := EXISTS (SELECT FROM erasing
            WHERE was = old_row->>'account_id' AND becomes = new_row->>'account_id');
    END IF;
    IF allowed AND old_row ? 'entry_id' THEN
        allowed := new_row->>'entry_id' IN (old_row->>'entry_id',
            replace(old_row->>'entry_id', old_row->>'account_id', new_row->>'account_id'));
    END IF;
    IF allowed AND old_row ? 'actor' THEN
        allowed := new_row->'detail' ? 'erased'
            AND new_row->>'actor' IN (old_row->>'actor', new_row->>'user_id');
    END IF;
    IF allowed THEN RETURN NEW; END IF;
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END $$
"""
