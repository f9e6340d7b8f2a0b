"""One user's rows in memory: every value in them is immutable, so nothing is ever copied."""

from collections import ChainMap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tradefleet.domain.audit import Written
from tradefleet.domain.bot import BotMemory, BotSpec
from tradefleet.domain.consent import Consent
from tradefleet.domain.effects import Decided, Notify, Topic
from tradefleet.domain.ids import AccountId, BotId, FillId, OrderId, UniverseId, UserId
from tradefleet.domain.ledger import LedgerEntry
from tradefleet.domain.limits import GuardMemory, RiskLimits, Scope, Switch
from tradefleet.domain.live import Data
from tradefleet.domain.notices import Loudness
from tradefleet.domain.order import Fill, Order
from tradefleet.domain.position import Trade
from tradefleet.domain.universe import UniverseSpec
from tradefleet.domain.user import Account, User
from tradefleet.identity import Link, LinkUse, Password, PersonalToken, SecondFactor, Session
from tradefleet.live import Head, LiveEvent, numbered
from tradefleet.store import Answer, ErasureRequest, PendingKey, SealedKey
from tradefleet.webhook import Delivery, Webhook


@dataclass(frozen=True, slots=True)
class AuditLine:
    """What somebody did, and when; detail: what was asked."""

    at: datetime
    action: str
    detail: Mapping[str, Any]
    written: Written


@dataclass(frozen=True, slots=True)
class Renewal:
    """What renews a session, once."""

    session_id: str
    used_at: datetime | None = None


@dataclass(slots=True)
class Tables:
    """What a user's transaction may change: tables by their key."""

    user: dict[UserId, User] = field(default_factory=dict)
    limits: dict[UserId, RiskLimits] = field(default_factory=dict)
    accounts: dict[AccountId, Account] = field(default_factory=dict)
    bots: dict[BotId, BotSpec] = field(default_factory=dict)
    removed: dict[BotId, bool] = field(default_factory=dict)
    universes: dict[UniverseId, UniverseSpec | None] = field(default_factory=dict)  # None: removed
    memories: dict[BotId, BotMemory] = field(default_factory=dict)
    entries: dict[str, LedgerEntry] = field(default_factory=dict)
    switches: dict[tuple[Scope, str], Switch] = field(default_factory=dict)
    user_keys: dict[UserId, bytes | None] = field(default_factory=dict)  # None: destroyed
    sealed_keys: dict[AccountId, SealedKey | None] = field(default_factory=dict)
    pending_keys: dict[UserId, PendingKey | None] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)
    passwords: dict[UserId, Password] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    renewals: dict[str, Renewal] = field(default_factory=dict)
    tokens: dict[str, PersonalToken] = field(default_factory=dict)
    links: dict[LinkUse, Link | None] = field(default_factory=dict)  # None: opened
    factors: dict[UserId, SecondFactor | None] = field(default_factory=dict)  # None: dropped
    spent: dict[str, datetime] = field(default_factory=dict)
    loudness: dict[Topic, Loudness] = field(default_factory=dict)
    webhooks: dict[str, Webhook | None] = field(default_factory=dict)  # None: removed
    deliveries: dict[tuple[str, int], Delivery] = field(default_factory=dict)
    consents: dict[int, Consent] = field(default_factory=dict)
    erasure: dict[UserId, ErasureRequest] = field(default_factory=dict)


TABLES = tuple(Tables.__dataclass_fields__)


@dataclass(slots=True)
class Rows(Tables):
    """All rows of one user; what only hosts write stands here and not in Tables."""

    guard: GuardMemory | None = None
    orders: dict[OrderId, Order] = field(default_factory=dict)
    working: dict[OrderId, Order] = field(default_factory=dict)
    fills: dict[tuple[AccountId, FillId], Fill] = field(default_factory=dict)
    trades: dict[str, Trade] = field(default_factory=dict)
    decisions: dict[BotId, dict[tuple[datetime, str, str], Decided]] = field(default_factory=dict)
    audit: list[AuditLine] = field(default_factory=list)
    events: list[LiveEvent] = field(default_factory=list)
    head: Head | None = None
    listening: bool = False
    seen_at: datetime | None = None

    def record(self, news: Iterable[Data], at: datetime) -> bool:
        """Record what happened, if somebody listens; say whether anything was."""
        if not self.listening or self.head is None:
            return False
        told = numbered(news, self.head.last, at)
        self.events += told
        self.head = Head(self.head.last + len(told), self.head.since)
        return bool(told)

    def has_something_to_run(self) -> bool:
        return (
            bool(self.working)
            or any(memory.position for memory in self.memories.values())
            or any(
                spec.status == "running" and spec.id not in self.removed
                for spec in self.bots.values()
            )
        )


class Draft:
    """A user's tables as one transaction sees them: the committed ones under its own changes."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.user = ChainMap({}, rows.user)
        self.limits = ChainMap({}, rows.limits)
        self.accounts = ChainMap({}, rows.accounts)
        self.bots = ChainMap({}, rows.bots)
        self.removed = ChainMap({}, rows.removed)
        self.universes = ChainMap({}, rows.universes)
        self.memories = ChainMap({}, rows.memories)
        self.entries = ChainMap({}, rows.entries)
        self.switches = ChainMap({}, rows.switches)
        self.user_keys = ChainMap({}, rows.user_keys)
        self.sealed_keys = ChainMap({}, rows.sealed_keys)
        self.pending_keys = ChainMap({}, rows.pending_keys)
        self.answers = ChainMap({}, rows.answers)
        self.passwords = ChainMap({}, rows.passwords)
        self.sessions = ChainMap({}, rows.sessions)
        self.renewals = ChainMap({}, rows.renewals)
        self.tokens = ChainMap({}, rows.tokens)
        self.links = ChainMap({}, rows.links)
        self.factors = ChainMap({}, rows.factors)
        self.spent = ChainMap({}, rows.spent)
        self.loudness = ChainMap({}, rows.loudness)
        self.webhooks = ChainMap({}, rows.webhooks)
        self.deliveries = ChainMap({}, rows.deliveries)
        self.consents = ChainMap({}, rows.consents)
        self.erasure = ChainMap({}, rows.erasure)
        self.trades: dict[str, Trade] = {}  # that bots brought with them
        self.news: list[Data] = []
        self.audit: list[AuditLine] = []
        self.notices: list[Notify] = []
        self.messages: list[tuple[str, Mapping[str, Any]]] = []
        self.kill_raised = False

    def keep(self) -> None:
        """Make the changes part of the committed rows."""
        for name in TABLES:
            getattr(self.rows, name).update(getattr(self, name).maps[0])
        self.rows.audit += self.audit

    @property
    def has_changes(self) -> bool:
        return bool(
            self.audit
            or self.notices
            or self.messages
            or any(getattr(self, name).maps[0] for name in TABLES)
        )
