"""The first schema."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None

MONEY = sa.Numeric().with_variant(sa.Text(), "sqlite")
TIME = sa.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")  # counts up by itself


def upgrade() -> None:
    make_tables()
    if op.get_bind().dialect.name == "sqlite":
        guard_sqlite()
    else:
        guard_postgres()
        wall_off_tenants()


# What was written there is never changed; a mistake is corrected by a further row.
APPEND_ONLY = ("fills", "ledger_entries", "audit_log")


def guard_sqlite() -> None:
    for table in APPEND_ONLY:
        for action in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{action.lower()} BEFORE {action} ON {table}"
                f" BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )


def guard_postgres() -> None:
    op.execute(
        """
        CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$
        """
    )
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
    op.execute(
        """
        CREATE FUNCTION refuse_unbalanced() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF EXISTS (
                SELECT FROM added GROUP BY user_id, entry_id, asset HAVING sum(amount) <> 0
            ) THEN RAISE EXCEPTION 'a ledger entry does not balance'; END IF;
            RETURN NULL;
        END $$
        """
    )
    op.execute(
        "CREATE TRIGGER ledger_entries_balanced AFTER INSERT ON ledger_entries"
        " REFERENCING NEW TABLE AS added"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_unbalanced()"
    )


# A second wall between tenants, under the first (a user store that knows one user only): a
# transaction that names its user sees no other's rows. Hosts and jobs name none and see all.
OWNED = (
    "accounts",
    "ai_decisions",
    "audit_log",
    "bot_memories",
    "bots",
    "decisions",
    "fills",
    "guard_memories",
    "host_messages",
    "leases",
    "ledger_entries",
    "orders",
    "outbox",
    "positions",
    "risk_events",
    "trades",
    "user_limits",
)
TENANT = "current_setting('tradefleet.user_id', true)"


def wall_off_tenants() -> None:
    for table in OWNED:
        wall_off(table, f"user_id = {TENANT}")
    wall_off("users", f"id = {TENANT}")
    wall_off("switches", f"user_id IS NULL OR user_id = {TENANT}")


def wall_off(table: str, mine: str) -> None:
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY tenant ON {table} USING (coalesce({TENANT}, '') = '' OR {mine})")


def make_tables() -> None:
    op.create_table(
        "audit_log",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("prev_hash", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_log"),
        sa.UniqueConstraint("user_id", "prev_hash", name="uq_audit_log_user_id_prev_hash"),
    )
    op.create_table(
        "paper_accounts",
        sa.Column("account_id", sa.Text, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", name="pk_paper_accounts"),
    )
    op.create_table(
        "paper_balances",
        sa.Column("account_id", sa.Text, nullable=False),
        sa.Column("asset", sa.Text, nullable=False),
        sa.Column("amount", MONEY, nullable=False),
        sa.PrimaryKeyConstraint("account_id", "asset", name="pk_paper_balances"),
    )
    op.create_table(
        "paper_fills",
        sa.Column("account_id", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("order_id", sa.Text, nullable=False),
        sa.Column("symbol", sa.Text, nullable=False),
        sa.Column("side", sa.Text, nullable=False),
        sa.Column("quantity", MONEY, nullable=False),
        sa.Column("price", MONEY, nullable=False),
        sa.Column("cost", MONEY, nullable=False),
        sa.Column("fee", MONEY, nullable=False),
        sa.Column("fee_asset", sa.Text, nullable=False),
        sa.Column("fee_quote", MONEY, nullable=False),
        sa.Column("filled_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("account_id", "id", name="pk_paper_fills"),
    )
    op.create_index(
        "ix_paper_fills_account_id_order_id",
        "paper_fills",
        ["account_id", "order_id"],
        unique=False,
    )
    op.create_table(
        "paper_orders",
        sa.Column("account_id", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("venue_order_id", sa.Text, nullable=False),
        sa.Column("terms", JSON, nullable=False),
        sa.Column("open", sa.Boolean(), nullable=False),
        sa.Column("filled", MONEY, nullable=False),
        sa.Column("reject_reason", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("account_id", "id", name="pk_paper_orders"),
    )
    op.create_index(
        "ix_paper_orders_open",
        "paper_orders",
        ["account_id"],
        unique=False,
        sqlite_where=sa.text("open"),
        postgresql_where=sa.text("open"),
    )
    op.create_table(
        "replay_runs",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("cursor_at", TIME, nullable=True),
        sa.Column("cursor_phase", sa.Integer(), nullable=True),
        sa.Column("finished", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_replay_runs"),
    )
    op.create_table(
        "secrets",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_secrets"),
    )
    op.create_table(
        "signals",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("follower_group", sa.Text, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_signals"),
    )
    op.create_index(
        "ix_signals_follower_group_id", "signals", ["follower_group", "id"], unique=False
    )
    op.create_table(
        "system_metrics",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.Column("labels", JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_system_metrics"),
    )
    op.create_index("ix_system_metrics_name_at", "system_metrics", ["name", "at"], unique=False)
    op.create_table(
        "users",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("username", sa.Text, nullable=False),
        sa.Column("telegram_id", sa.BigInteger(), nullable=True),
        sa.Column("tier", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("settings", JSON, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("telegram_id", name="uq_users_telegram_id"),
        sa.UniqueConstraint("username", name="uq_users_username"),
    )
    op.create_table(
        "accounts",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("venue", sa.Text, nullable=False),
        sa.Column("mode", sa.Text, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_accounts_users"),
        sa.PrimaryKeyConstraint("id", name="pk_accounts"),
        sa.UniqueConstraint("user_id", "id", name="uq_accounts_user_id_id"),
    )
    op.create_table(
        "guard_memories",
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("day", sa.Date(), nullable=True),
        sa.Column("entries_today", sa.Integer(), nullable=False),
        sa.Column("realized_today", MONEY, nullable=False),
        sa.Column("month", sa.Text, nullable=False),
        sa.Column("realized_month", MONEY, nullable=False),
        sa.Column("realized_total", MONEY, nullable=False),
        sa.Column("losses_in_row", sa.Integer(), nullable=False),
        sa.Column("peak_equity", MONEY, nullable=True),
        sa.Column("last_entry_at", TIME, nullable=True),
        sa.Column("circuit_open_until", TIME, nullable=True),
        sa.Column("circuit_reason", sa.Text, nullable=False),
        sa.Column("paused_reason", sa.Text, nullable=False),
        sa.Column("today_base", MONEY, nullable=False),
        sa.Column("month_base", MONEY, nullable=False),
        sa.Column("peak_allocations", MONEY, nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_guard_memories_users"),
        sa.PrimaryKeyConstraint("user_id", name="pk_guard_memories"),
    )
    op.create_table(
        "host_messages",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("payload", JSON, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_host_messages_users"),
        sa.PrimaryKeyConstraint("id", name="pk_host_messages"),
    )
    op.create_index("ix_host_messages_user_id", "host_messages", ["user_id"], unique=False)
    op.create_table(
        "leases",
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.Column("kill_version", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_leases_users"),
        sa.PrimaryKeyConstraint("user_id", name="pk_leases"),
    )
    op.create_index("ix_leases_owner", "leases", ["owner"], unique=False)
    op.create_table(
        "outbox",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("due_at", TIME, nullable=True),
        sa.Column("sent_at", TIME, nullable=True),
        sa.Column("error", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_outbox_users"),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
    )
    op.create_index(
        "ix_outbox_waiting",
        "outbox",
        ["priority", "at", "id"],
        unique=False,
        sqlite_where=sa.text("sent_at IS NULL AND due_at IS NOT NULL"),
        postgresql_where=sa.text("sent_at IS NULL AND due_at IS NOT NULL"),
    )
    op.create_table(
        "risk_events",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("bot_id", sa.Text, nullable=True),
        sa.Column("at", TIME, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("guard", sa.Text, nullable=False),
        sa.Column("detail", JSON, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_risk_events_users"),
        sa.PrimaryKeyConstraint("id", name="pk_risk_events"),
    )
    op.create_index("ix_risk_events_user_id_at", "risk_events", ["user_id", "at"], unique=False)
    op.create_table(
        "switches",
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("scope_id", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=True),
        sa.Column("halt", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("changed_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_switches_users"),
        sa.PrimaryKeyConstraint("scope", "scope_id", name="pk_switches"),
    )
    op.create_index("ix_switches_user_id", "switches", ["user_id"], unique=False)
    op.create_table(
        "user_limits",
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("limits", JSON, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_user_limits_users"),
        sa.PrimaryKeyConstraint("user_id", name="pk_user_limits"),
    )
    op.create_table(
        "bots",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("account_id", sa.Text, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("venue", sa.Text, nullable=False),
        sa.Column("symbol", sa.Text, nullable=False),
        sa.Column("timeframe", sa.Text, nullable=False),
        sa.Column("strategy", sa.Text, nullable=False),
        sa.Column("allocation", MONEY, nullable=False),
        sa.Column("params", JSON, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("limits", JSON, nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("removed_at", TIME, nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id", "account_id"], ["accounts.user_id", "accounts.id"], name="fk_bots_accounts"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_bots_users"),
        sa.PrimaryKeyConstraint("id", name="pk_bots"),
        sa.UniqueConstraint("user_id", "account_id", "id", name="uq_bots_user_id_account_id_id"),
        sa.UniqueConstraint("user_id", "id", name="uq_bots_user_id_id"),
        sa.UniqueConstraint("user_id", "number", name="uq_bots_user_id_number"),
    )
    op.create_index(
        "uq_bots_active",
        "bots",
        ["account_id", "symbol"],
        unique=True,
        sqlite_where=sa.text("removed_at IS NULL"),
        postgresql_where=sa.text("removed_at IS NULL"),
    )
    op.create_table(
        "ledger_entries",
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("entry_id", sa.Text, nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("booked_at", TIME, nullable=False),
        sa.Column("place", sa.Text, nullable=False),
        sa.Column("asset", sa.Text, nullable=False),
        sa.Column("amount", MONEY, nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id", "account_id"],
            ["accounts.user_id", "accounts.id"],
            name="fk_ledger_entries_accounts",
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("user_id", "entry_id", "line", name="pk_ledger_entries"),
    )
    op.create_table(
        "ai_decisions",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("bot_id", sa.Text, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("prompt", sa.Text, nullable=False),
        sa.Column("raw_answer", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("confidence", sa.Integer(), nullable=True),
        sa.Column("decision", JSON, nullable=True),
        sa.Column("tokens_in", sa.Integer(), nullable=False),
        sa.Column("tokens_out", sa.Integer(), nullable=False),
        sa.Column("cost", MONEY, nullable=False),
        sa.Column("latency_seconds", sa.Float(), nullable=False),
        sa.Column("executed", sa.Boolean(), nullable=False),
        sa.Column("outcome", JSON, nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id", "bot_id"],
            ["bots.user_id", "bots.id"],
            name="fk_ai_decisions_bots",
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_ai_decisions_users"),
        sa.PrimaryKeyConstraint("id", name="pk_ai_decisions"),
    )
    op.create_index(
        "ix_ai_decisions_user_id_bot_id_at",
        "ai_decisions",
        ["user_id", "bot_id", "at"],
        unique=False,
    )
    op.create_table(
        "bot_memories",
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("bot_id", sa.Text, nullable=False),
        sa.Column("cash", MONEY, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("decided_at", TIME, nullable=True),
        sa.Column("last_price", MONEY, nullable=True),
        sa.Column("last_exit_reason", sa.Text, nullable=False),
        sa.Column("guard", JSON, nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id", "bot_id"],
            ["bots.user_id", "bots.id"],
            name="fk_bot_memories_bots",
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("user_id", "bot_id", name="pk_bot_memories"),
    )
    op.create_table(
        "decisions",
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("bot_id", sa.Text, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("guard", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id", "bot_id"],
            ["bots.user_id", "bots.id"],
            name="fk_decisions_bots",
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("user_id", "bot_id", "at", "outcome", "guard", name="pk_decisions"),
    )
    op.create_table(
        "orders",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("account_id", sa.Text, nullable=False),
        sa.Column("bot_id", sa.Text, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("symbol", sa.Text, nullable=False),
        sa.Column("side", sa.Text, nullable=False),
        sa.Column("quantity", MONEY, nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("decided_at", TIME, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("price", MONEY, nullable=True),
        sa.Column("reserved", MONEY, nullable=False),
        sa.Column("hold_until", TIME, nullable=True),
        sa.Column("lapses_at", TIME, nullable=True),
        sa.Column("lapse_price", MONEY, nullable=True),
        sa.Column("state", sa.Text, server_default="created", nullable=False),
        sa.Column("cancel", sa.Text, server_default="none", nullable=False),
        sa.Column("filled", MONEY, server_default="0", nullable=False),
        sa.Column("venue_filled", MONEY, nullable=True),
        sa.Column("venue_order_id", sa.Text, server_default="", nullable=False),
        sa.Column("epoch", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("sent_at", TIME, nullable=True),
        sa.Column("deadline", TIME, nullable=True),
        sa.Column("negatives", sa.Integer(), server_default="0", nullable=False),
        sa.Column("note", sa.Text, server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id", "account_id", "bot_id"],
            ["bots.user_id", "bots.account_id", "bots.id"],
            name="fk_orders_bots",
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("id", name="pk_orders"),
    )
    op.create_index(
        "ix_orders_final",
        "orders",
        ["user_id", "decided_at"],
        unique=False,
        sqlite_where=sa.text("state IN ('absent', 'done', 'rejected', 'void')"),
        postgresql_where=sa.text("state IN ('absent', 'done', 'rejected', 'void')"),
    )
    op.create_index(
        "ix_orders_working",
        "orders",
        ["decided_at", "user_id"],
        unique=False,
        sqlite_where=sa.text("state NOT IN ('absent', 'done', 'rejected', 'void')"),
        postgresql_where=sa.text("state NOT IN ('absent', 'done', 'rejected', 'void')"),
    )
    op.create_table(
        "positions",
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("bot_id", sa.Text, nullable=False),
        sa.Column("symbol", sa.Text, nullable=False),
        sa.Column("opened_at", TIME, nullable=False),
        sa.Column("quantity", MONEY, nullable=False),
        sa.Column("lots", JSON, nullable=False),
        sa.Column("original", MONEY, nullable=False),
        sa.Column("bought", MONEY, nullable=False),
        sa.Column("sold_quantity", MONEY, nullable=False),
        sa.Column("sold", MONEY, nullable=False),
        sa.Column("fees_quote", MONEY, nullable=False),
        sa.Column("base_fees_quote", MONEY, nullable=False),
        sa.Column("sell_fees", MONEY, nullable=False),
        sa.Column("realized", MONEY, nullable=False),
        sa.Column("stop", MONEY, nullable=False),
        sa.Column("stop_kind", sa.Text, nullable=False),
        sa.Column("targets", JSON, nullable=False),
        sa.Column("targets_done", sa.Integer(), nullable=False),
        sa.Column("highest", MONEY, nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id", "bot_id"],
            ["bots.user_id", "bots.id"],
            name="fk_positions_bots",
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("user_id", "bot_id", name="pk_positions"),
    )
    op.create_table(
        "trades",
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("account_id", sa.Text, nullable=False),
        sa.Column("bot_id", sa.Text, nullable=False),
        sa.Column("symbol", sa.Text, nullable=False),
        sa.Column("side", sa.Text, nullable=False),
        sa.Column("opened_at", TIME, nullable=False),
        sa.Column("closed_at", TIME, nullable=False),
        sa.Column("quantity", MONEY, nullable=False),
        sa.Column("entry_price", MONEY, nullable=False),
        sa.Column("exit_price", MONEY, nullable=False),
        sa.Column("gross_pnl", MONEY, nullable=False),
        sa.Column("fees", MONEY, nullable=False),
        sa.Column("pnl", MONEY, nullable=False),
        sa.Column("exit_reason", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id", "account_id", "bot_id"],
            ["bots.user_id", "bots.account_id", "bots.id"],
            name="fk_trades_bots",
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("user_id", "id", name="pk_trades"),
    )
    op.create_index("ix_trades_user_id_closed_at", "trades", ["user_id", "closed_at"], unique=False)
    op.create_table(
        "fills",
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("account_id", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("order_id", sa.Text, nullable=False),
        sa.Column("symbol", sa.Text, nullable=False),
        sa.Column("side", sa.Text, nullable=False),
        sa.Column("quantity", MONEY, nullable=False),
        sa.Column("price", MONEY, nullable=False),
        sa.Column("cost", MONEY, nullable=False),
        sa.Column("fee", MONEY, nullable=False),
        sa.Column("fee_asset", sa.Text, nullable=False),
        sa.Column("fee_quote", MONEY, nullable=False),
        sa.Column("filled_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["order_id"],
            ["orders.id"],
            name="fk_fills_orders",
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["user_id", "account_id"],
            ["accounts.user_id", "accounts.id"],
            name="fk_fills_accounts",
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("account_id", "id", name="pk_fills"),
    )
    op.create_index("ix_fills_order_id", "fills", ["order_id"], unique=False)
