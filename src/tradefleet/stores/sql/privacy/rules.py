"""For every table: whose its rows are, what an erasure does to them, and how long they are kept.

A table that stands here in no line is found by a test before it is found by a regulator.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from sqlalchemy import ColumnElement, LargeBinary, Table, or_, true

from tradefleet.operations.privacy.records import Aging
from tradefleet.stores.sql import tables

HASH_ONLY = "kept as a hash only; it is told nobody"
SEALED = "held sealed, fingerprint {fingerprint}"


class Fate(StrEnum):
    """What an erasure does to a user's rows."""

    DELETED = "deleted"
    RENAMED = "renamed"  # kept under the pseudonym, without words of the person
    NOBODYS = "nobody's"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One table. why: of one that is nobody's, why; of one that is kept, how long.

    by: the column that says whose a row is. emptied: columns that lose their words when renamed.
    withheld: columns that no export holds, and what stands there instead.
    """

    table: Table
    fate: Fate
    why: str = ""
    by: str = "user_id"
    emptied: Mapping[str, object] = field(default_factory=dict)
    withheld: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.table.name


def deleted(table: Table, why: str, by: str = "user_id", **withheld: str) -> Rule:
    return Rule(table=table, fate=Fate.DELETED, why=why, by=by, withheld=withheld)


def renamed(table: Table, why: str, **emptied: object) -> Rule:
    return Rule(table=table, fate=Fate.RENAMED, why=why, emptied=emptied)


def nobodys(table: Table, why: str) -> Rule:
    return Rule(table=table, fate=Fate.NOBODYS, why=why)


WITH_USER = "while the user is there"
BOOKS = "for good: append-only books that later balances rest on; pseudonymous after an erasure"

RULES = (
    # ---- who they are
    Rule(table=tables.users, fate=Fate.RENAMED, why=WITH_USER, by="id"),
    deleted(tables.user_limits, WITH_USER),
    deleted(tables.consents, WITH_USER),
    deleted(tables.erasure_requests, "until they are erased"),
    deleted(tables.loudness, WITH_USER),
    deleted(tables.switches, WITH_USER),
    deleted(tables.leases, WITH_USER),
    # ---- what they sign in with
    deleted(tables.passwords, WITH_USER, hash=HASH_ONLY),
    deleted(tables.sessions, "30 days after they ended"),
    deleted(tables.renewals, "as long as their session", hash=HASH_ONLY),
    deleted(tables.personal_tokens, "a time after they ended", hash=HASH_ONLY),
    deleted(tables.links, "minutes", hash=HASH_ONLY),
    deleted(tables.second_factors, WITH_USER),
    # ---- what is kept sealed
    deleted(tables.user_keys, WITH_USER),
    deleted(tables.credentials, "until it is disconnected"),
    deleted(tables.pending_keys, "minutes", code="a code that was told already"),
    # ---- what they trade with, and did
    renamed(tables.accounts, WITH_USER, key=None),
    renamed(tables.universes, WITH_USER),
    renamed(tables.bots, WITH_USER, note=""),
    renamed(tables.bot_memories, "while the pair is there"),
    deleted(tables.positions, "while they are open"),
    deleted(tables.guard_memories, WITH_USER),
    renamed(tables.orders, BOOKS, note=""),
    renamed(tables.fills, BOOKS),
    renamed(tables.ledger_entries, BOOKS),
    renamed(tables.trades, "a time; what they came to stands in the ledger"),
    renamed(tables.decisions, "a time"),
    deleted(tables.ai_decisions, "a time"),
    deleted(tables.risk_events, "a time"),
    renamed(tables.audit_log, "for good: a chain; without its details after an erasure"),
    # ---- what they are told
    deleted(tables.host_messages, "until they are read"),
    deleted(tables.outbox, "a time after they were sent"),
    deleted(tables.events, "a day"),
    deleted(tables.event_heads, WITH_USER),
    deleted(tables.webhooks, WITH_USER),
    deleted(tables.webhook_deliveries, "a time"),
    deleted(tables.idempotency, "a day"),
    # ---- the paper venue's books
    deleted(tables.paper_accounts, WITH_USER, "account_id"),
    deleted(tables.paper_balances, WITH_USER, "account_id"),
    deleted(tables.paper_orders, WITH_USER, "account_id"),
    deleted(tables.paper_fills, WITH_USER, "account_id"),
    # ---- what is of no user
    nobodys(tables.signals, "what strategies say of markets; the latest of each group are kept"),
    nobodys(tables.duties, "which process does what for all; one row each"),
    nobodys(tables.system_metrics, "figures of the service; kept a time"),
    nobodys(tables.replay_runs, "how far replays came"),
    nobodys(tables.secrets, "the service's own; no export of anybody's may hold them"),
    nobodys(tables.spent, "hashes of what is of one use, until it is too old anyway"),
    nobodys(tables.sign_in_failures, "hashes of what was typed as a name; forgotten after 30 days"),
    nobodys(tables.alerts, "what was wrong with the service; who acknowledged it is renamed"),
    nobodys(tables.alert_deliveries, "which of the operator's receivers was told of an alert"),
    nobodys(tables.process_reports, "how each process is; one row each"),
    nobodys(tables.audit_keys, "the service's own, sealed"),
    nobodys(tables.erasures, "who was erased, by pseudonyms that lead to nobody"),
    nobodys(tables.erasing, "empty but for the moment of an erasure"),
)
BY_NAME: Mapping[str, Rule] = {rule.name: rule for rule in RULES}


def stands_for(rule: Rule) -> Mapping[str, str]:
    """Return the columns an export does not hold, and what stands there instead."""
    sealed = {
        column.name: SEALED for column in rule.table.c if isinstance(column.type, LargeBinary)
    }
    return {**sealed, **rule.withheld}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ages:
    """An aging table: the column of its age, and which rows of it may go at all."""

    aging: Aging
    table: Table
    at: str
    only: ColumnElement[bool] = field(default_factory=true)


def aging(
    table: Table, at: str, age: str, what: str, only: ColumnElement[bool] | None = None
) -> Ages:
    found = Aging(table.name, age, what)
    return Ages(aging=found, table=table, at=at, only=true() if only is None else only)


OUTBOX = tables.outbox.c
ALERT = tables.alerts.c
IS_TOLD = tables.alert_deliveries.c.next_at.is_(None)
IS_OVER = or_(OUTBOX.sent_at.is_not(None), OUTBOX.due_at.is_(None))
AGES = (
    aging(tables.trades, "closed_at", "trades", "closed trades"),
    aging(tables.decisions, "at", "decisions", "decisions of bots"),
    aging(tables.ai_decisions, "at", "decisions", "decisions of models"),
    aging(tables.risk_events, "at", "decisions", "risk events"),
    aging(tables.system_metrics, "at", "system_metrics", "figures of the service"),
    aging(tables.outbox, "at", "notices", "notices that were sent", IS_OVER),
    aging(tables.webhook_deliveries, "at", "notices", "records of webhook deliveries"),
    aging(
        tables.alerts,
        "changed_at",
        "alerts",
        "alerts that are over",
        ALERT.resolved_at.is_not(None),
    ),
    aging(tables.alert_deliveries, "changed_at", "alerts", "records of delivered alerts", IS_TOLD),
    aging(tables.personal_tokens, "expires_at", "notices", "tokens that ran out"),
    aging(tables.paper_fills, "filled_at", "trades", "fills of the paper venue"),
)
# What other jobs let go, sooner: links, sessions and renewals (sign_in/clearing.py), answers
# (answers.py), live events (live_events.py), keys nobody confirmed (key_checks.py), messages.
AGES_BY_NAME: Mapping[str, Ages] = {each.aging.table: each for each in AGES}
