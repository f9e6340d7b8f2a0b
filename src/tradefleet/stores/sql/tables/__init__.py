"""The database's tables; how they come to be and change is in migrations/."""

from tradefleet.stores.sql.tables.answered import idempotency
from tradefleet.stores.sql.tables.delivered import alert_deliveries
from tradefleet.stores.sql.tables.health import alerts, process_reports
from tradefleet.stores.sql.tables.identity import (
    links,
    passwords,
    personal_tokens,
    renewals,
    second_factors,
    sessions,
    sign_in_failures,
    spent,
)
from tradefleet.stores.sql.tables.kept import credentials, pending_keys, user_keys
from tradefleet.stores.sql.tables.live import event_heads, events, webhook_deliveries, webhooks
from tradefleet.stores.sql.tables.metadata import METADATA
from tradefleet.stores.sql.tables.operation import (
    duties,
    host_messages,
    is_waiting,
    leases,
    loudness,
    outbox,
    replay_runs,
    secrets,
    switches,
    system_metrics,
)
from tradefleet.stores.sql.tables.owned import accounts, bots, universes, user_limits, users
from tradefleet.stores.sql.tables.paper import (
    is_open,
    paper_accounts,
    paper_balances,
    paper_fills,
    paper_orders,
)
from tradefleet.stores.sql.tables.privacy import consents, erasing, erasure_requests, erasures
from tradefleet.stores.sql.tables.told import (
    ai_decisions,
    audit_log,
    decisions,
    risk_events,
    signals,
)
from tradefleet.stores.sql.tables.traded import (
    bot_memories,
    fills,
    guard_memories,
    is_final,
    is_working,
    ledger_entries,
    orders,
    positions,
    trades,
)

__all__ = [
    "METADATA",
    "accounts",
    "ai_decisions",
    "alert_deliveries",
    "alerts",
    "audit_log",
    "bot_memories",
    "bots",
    "consents",
    "credentials",
    "decisions",
    "duties",
    "erasing",
    "erasure_requests",
    "erasures",
    "event_heads",
    "events",
    "fills",
    "guard_memories",
    "host_messages",
    "idempotency",
    "is_final",
    "is_open",
    "is_waiting",
    "is_working",
    "leases",
    "ledger_entries",
    "links",
    "loudness",
    "orders",
    "outbox",
    "paper_accounts",
    "paper_balances",
    "paper_fills",
    "paper_orders",
    "passwords",
    "pending_keys",
    "personal_tokens",
    "positions",
    "process_reports",
    "renewals",
    "replay_runs",
    "risk_events",
    "second_factors",
    "secrets",
    "sessions",
    "sign_in_failures",
    "signals",
    "spent",
    "switches",
    "system_metrics",
    "trades",
    "universes",
    "user_keys",
    "user_limits",
    "users",
    "webhook_deliveries",
    "webhooks",
]
