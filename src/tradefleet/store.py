"""What a store is: the memory of the service. Commands see one user; hosts see the journal."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol

from tradefleet.delivery import AlertDeliveryStore
from tradefleet.domain.audit import Acting, ChainKeys, Entry, Head, Written
from tradefleet.domain.bot import BotMemory, BotSpec
from tradefleet.domain.consent import Consent
from tradefleet.domain.effects import Decided, Notify, Record, Topic
from tradefleet.domain.errors import Refused, StoreError
from tradefleet.domain.ids import AccountId, BotId, FillId, OrderId, UniverseId, UserId
from tradefleet.domain.ledger import LedgerEntry
from tradefleet.domain.limits import GuardMemory, RiskLimits, Switch
from tradefleet.domain.notices import Loudness
from tradefleet.domain.order import Fill, Order, OrderState
from tradefleet.domain.paging import Page
from tradefleet.domain.position import Trade
from tradefleet.domain.universe import UniverseSpec
from tradefleet.domain.user import Account, AccountKey, Mode, User
from tradefleet.duty import DutyStore
from tradefleet.figures import FigureStore
from tradefleet.health import HealthStore
from tradefleet.identity import IdentityStore, UserIdentity
from tradefleet.live import LiveStore, UserLive
from tradefleet.simulation.paper_book import PaperOrder as PaperOrder
from tradefleet.webhook import UserWebhooks, WebhookStore

NOBODY_ASKED = Acting()  # the service does it by itself
_ACTING: ContextVar[Acting] = ContextVar("acting", default=NOBODY_ASKED)


def who_acts() -> Acting:
    """Return who does what is being done here, as audit lines say it."""
    return _ACTING.get()


@contextmanager
def acting(who: Acting) -> Iterator[None]:
    """Let audit lines written inside say that they act."""
    before = _ACTING.set(who)
    try:
        yield
    finally:
        _ACTING.reset(before)


@dataclass(frozen=True, slots=True)
class SignalNote:
    """What a strategy said of one bar, kept per follower group for /why; kind entry, exit, no."""

    group: str  # "<stream>|<strategy>|<parameters>"
    at: datetime
    kind: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedKey:
    """An account's credentials as they are kept: only the vault can open them.

    fingerprint: a keyed hash of the API key, the same wherever that key is connected.
    check_at: when the venue is to be asked about the key again.
    """

    account_id: AccountId
    sealed: bytes
    fingerprint: str
    sealed_at: datetime
    check_at: datetime


PENDING_TRIES = 3  # a confirmation may be mistyped this often, then the key is forgotten


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingKey:
    """Credentials for a live account that wait for their user to type the code."""

    account_id: AccountId
    venue: str
    mode: Mode
    sealed: bytes
    fingerprint: str
    key: AccountKey
    code: str
    expires_at: datetime
    tries: int = 0


ANSWERS_KEPT = timedelta(hours=24)  # so long a request with a key is not done again


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a request that came with a key of its own was answered.

    fingerprint: of what was asked, the same for the same request; reply: as JSON.
    """

    key: str
    fingerprint: str
    reply: str
    answered_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureRequest:
    """That somebody is to be erased, as soon as nothing of theirs is open; reason: for people."""

    asked_at: datetime
    reason: str


class UserStore(Protocol):
    """What one user owns, in one transaction. No method takes a user: another's is unreachable.

    Sequences come oldest first unless a method says otherwise.
    """

    @property
    def user_id(self) -> UserId: ...
    @property
    def identity(self) -> UserIdentity:
        """What the user signs in with."""

    @property
    def live(self) -> UserLive:
        """What happens to the user, for who listens."""

    @property
    def webhooks(self) -> UserWebhooks:
        """Where the user wants it sent."""

    async def user(self) -> User | None: ...
    async def save_user(self, user: User) -> None: ...
    async def limits(self) -> RiskLimits | None:
        """Return the user's own limits, or None when they have the default ones."""

    async def save_limits(self, limits: RiskLimits) -> None: ...
    async def accounts(self) -> Sequence[Account]: ...
    async def save_account(self, account: Account) -> None: ...
    async def wrapped_key(self) -> bytes | None:
        """Return the user's own key as the vault wrapped it, None when there is none yet."""

    async def save_wrapped_key(self, wrapped: bytes) -> None:
        """Keep the user's own key; they have none yet."""

    async def sealed_keys(self) -> Mapping[AccountId, SealedKey]: ...
    async def save_sealed_key(self, key: SealedKey) -> None:
        """Keep an account's credentials; raise KeyTaken when another account has that key.

        The uniqueness is the database's, over all users. After KeyTaken the transaction is
        lost; it says nothing of whose the other account is.
        """

    async def drop_sealed_key(self, account_id: AccountId) -> None:
        """Destroy an account's credentials."""

    async def pending_key(self) -> PendingKey | None: ...
    async def save_pending_key(self, key: PendingKey) -> None:
        """Keep the key that waits for its code; one that waited before is forgotten."""

    async def drop_pending_key(self) -> None: ...
    async def shred_keys(self) -> None:
        """Destroy the user's own key and all it seals: no copy of them can be opened again."""

    async def bots(self) -> Sequence[BotSpec]:
        """Return the user's pairs in the order they were added: their bots but for manual ones."""

    async def manual_bots(self) -> Sequence[BotSpec]:
        """Return the bots through which the user trades by hand, one per account and symbol."""

    async def add_bot(self, spec: BotSpec) -> None:
        """Add a bot and its memory; raise Refused when account and symbol are taken already.

        A manual bot stands beside the pair of its symbol.

        The uniqueness is the database's, so of two at once exactly one succeeds. A universe it
        names is the user's, in the same account.
        """

    async def save_bot(self, spec: BotSpec) -> None:
        """Change a bot that exists (status, note, params)."""

    async def remove_bot(self, bot_id: BotId) -> None:
        """Take a bot off the list; its orders, fills and trades are kept."""

    async def universes(self) -> Sequence[UniverseSpec]:
        """Return the user's universes in the order they were made."""

    async def save_universe(self, spec: UniverseSpec) -> None:
        """Make a universe or change it; its names are unique in its account."""

    async def remove_universe(self, universe_id: UniverseId) -> None:
        """Take a universe off the list; it has no bots any more."""

    async def memories(self) -> Mapping[BotId, BotMemory]: ...
    async def adopt(self, memory: BotMemory, trades: Sequence[Trade]) -> None:
        """Give a bot that was just added what it held and traded before it came here.

        Conflict while a host runs its user: it would not know. Trades that are there stay so.
        """

    async def guard(self) -> GuardMemory | None: ...
    async def orders(self, bot_id: BotId | None = None, limit: int = 100) -> Sequence[Order]:
        """Return the latest orders, oldest first."""

    async def order(self, order_id: OrderId) -> Order | None: ...
    async def order_page(
        self, page: Page, *, states: Collection[OrderState] | None = None
    ) -> Sequence[Order]:
        """Return a page of orders by the time they were decided, the newest first."""

    async def trade_page(self, page: Page) -> Sequence[Trade]:
        """Return a page of trades by the time they were closed, the newest first."""

    async def fills(self, order_ids: Sequence[OrderId]) -> Sequence[Fill]: ...
    async def trades(
        self, *, since: datetime | None = None, bot_id: BotId | None = None, limit: int = 1000
    ) -> Sequence[Trade]:
        """Return the latest trades closed since then, oldest first."""

    async def entries(self, account_id: AccountId | None = None) -> Sequence[LedgerEntry]: ...
    async def book(self, entry: LedgerEntry) -> None:
        """Book a ledger entry; the same id twice is harmless."""

    async def decisions(self, bot_id: BotId, limit: int = 20) -> Sequence[Decided]:
        """Return the latest decisions, oldest first."""

    async def signal_notes(self, group: str, limit: int = 20) -> Sequence[SignalNote]:
        """Return the latest notes of a follower group, oldest first (they name no user)."""

    async def switches(self) -> Sequence[Switch]:
        """Return the switches that cover anything of this user, the platform's included."""

    async def set_switch(self, switch: Switch) -> None:
        """Set a bot, account or user switch and raise the user's kill version."""

    async def ask_host(self, subject: str, payload: Mapping[str, Any]) -> None:
        """Leave a message for the host that runs this user; it goes out after the commit."""

    async def notify(self, notice: Notify) -> None:
        """Put a notice for this user into the outbox."""

    async def loudness(self) -> Mapping[Topic, Loudness]:
        """Return what the user chose of how loud they are told; the rest is as by default."""

    async def save_loudness(self, topic: Topic, loudness: Loudness) -> None: ...

    async def audit(self, action: str, detail: Mapping[str, Any]) -> None:
        """Add a line to the user's chain: who acts, what was asked, and what changed by it.

        What changed since the line before in this transaction is seen by the store itself.
        """

    async def audit_page(self, limit: int, before: int | None = None) -> Sequence[Entry]:
        """Return lines of the user's chain, the newest first: those before a number, if given."""

    async def answer(self, key: str) -> Answer | None:
        """Return what the user's request with this key was answered, however long ago."""

    async def save_answer(self, answer: Answer) -> None:
        """Keep an answer, in the same transaction as what the request did."""

    async def consents(self) -> Sequence[Consent]:
        """Return the versions of the risk notice that the user agreed to, the oldest first."""

    async def save_consent(self, consent: Consent) -> None:
        """Note that the user agreed; of the same version the first time counts."""

    async def erasure(self) -> ErasureRequest | None:
        """Return that the user is to be erased, None: they are not."""

    async def ask_erasure(self, request: ErasureRequest) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to run one user's bots: valid until expires_at, fenced by its epoch."""

    user_id: UserId
    owner: str
    epoch: int
    expires_at: datetime
    kill_version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What one user's bots ask to have written, all or nothing, under one lease.

    kill_version: given when the batch arms an order that opens (state SENDING): the write is
    refused when a kill switch covering the user was changed since.
    """

    user_id: UserId
    epoch: int
    records: tuple[Record, ...]
    kill_version: int | None = None


class KeyTaken(Refused):
    """The API key belongs to another account already; whose it is, is nobody's business."""

    def __init__(self) -> None:
        super().__init__(
            "This API key is connected already. /accounts shows it if it is yours; if not, make "
            "another one at the exchange."
        )


class KillSwitched(StoreError):
    """A kill switch was changed since the order was decided; nothing of the batch was kept."""


class BatchRefused(StoreError):
    """What the batch says contradicts what is stored; nothing of it was kept.

    Above all: an order to be sent that was already sent, or is not known.
    """


ABSENT_WATCHED = 100  # so many of a user's latest ABSENT orders may still turn up


@dataclass(frozen=True, slots=True, kw_only=True)
class UserLoad:
    """Everything a host needs to run a user from where it stood.

    entries: by account, None where they were not asked for.
    """

    user: User
    accounts: Sequence[Account]
    bots: Sequence[BotSpec]
    memories: Mapping[BotId, BotMemory]
    working_orders: Sequence[Order]  # not final, and the latest ABSENT ones, oldest first
    fill_ids: Mapping[FillId, OrderId]  # booked for the working orders
    guard: GuardMemory | None
    limits: RiskLimits | None
    switches: Sequence[Switch]
    entries: Mapping[AccountId, Sequence[LedgerEntry]] | None = None
    universes: Sequence[UniverseSpec] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """What a user may do now: their lease, with the kill version that these switches have."""

    lease: Lease
    user: User
    limits: RiskLimits | None
    switches: Sequence[Switch]


@dataclass(frozen=True, slots=True, kw_only=True)
class HostMessage:
    """What a command left for the host: subjects are in runtime/host.py."""

    id: int
    user_id: UserId
    subject: str
    payload: Mapping[str, Any]
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxNotice:
    """A notice waiting for delivery, and how loud its user wants to be told."""

    id: int
    notice: Notify
    telegram_id: int | None
    tries: int
    loudness: Loudness = Loudness.ON


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayRun:
    """One replay kept in the store, so that it can go on after a crash.

    fingerprint names file, symbol, strategy and parameters; cursor is (opened_at of the bar,
    phase of its path) up to which everything is written down, None before the first.
    """

    id: str
    fingerprint: str
    cursor: tuple[datetime, int] | None
    finished: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Census:
    """How much there is of everything, for the operator: no user's name or figure is in it.

    active: users with a running pair or an open position; by_tier: users of each tier; orders
    and trades: since the time that was asked for.
    """

    users: int
    active: int
    registered: int
    by_tier: Mapping[str, int]
    accounts: int
    bots: int
    running: int
    positions: int
    orders: int
    trades: int


class AuditStore(Protocol):
    """All chains of the audit log, and the service's own, which concerns no user alone.

    keys: what lines are written under from now on.
    """

    keys: ChainKeys

    async def note(self, action: str, detail: Mapping[str, Any]) -> None:
        """Add a line to the service's own chain."""

    async def page(self, limit: int, before: int | None = None) -> Sequence[Entry]:
        """Return lines of the service's own chain, the newest first."""

    async def lines(
        self, *, after: tuple[str, int] | None, limit: int, user_id: str | None = None
    ) -> Sequence[Written]:
        """Return lines as they stand, by user and number: of one user, or of all."""

    async def heads(
        self, *, since: datetime | None, after: str | None, limit: int
    ) -> Sequence[Head]:
        """Return the last lines of chains by user: of those with a line since then, or of all."""

    async def hashes(self, places: Sequence[tuple[str, int]]) -> Mapping[tuple[str, int], str]:
        """Return the hashes of the lines at these places, as far as there are any."""

    async def weak(self, limit: int) -> Sequence[Head]:
        """Return chains of users of which no line was written under a key, by their last line."""

    async def kept_keys(self) -> Mapping[str, bytes]:
        """Return the sealed keys that no master key gives any more, by their id."""

    async def keep_key(self, id: str, sealed: bytes) -> None: ...


class Store(Protocol):
    """The whole database, as commands (open), hosts (leases, write, load) and jobs see it."""

    @property
    def audits(self) -> AuditStore:
        """What was done, by whom, in chains."""

    @property
    def identity(self) -> IdentityStore:
        """Who signs in, over all users."""

    @property
    def duties(self) -> DutyStore:
        """Which process does what for all."""

    @property
    def health(self) -> HealthStore:
        """How every process is, and the alerts there were."""

    @property
    def live(self) -> LiveStore:
        """What happens to users, for who tells it on."""

    @property
    def webhooks(self) -> WebhookStore:
        """Where users want it sent."""

    @property
    def alert_deliveries(self) -> AlertDeliveryStore:
        """Alerts on their way to people."""

    @property
    def figures(self) -> FigureStore:
        """What operators want counted."""

    def open(
        self, user_id: UserId, *, reading: bool = False
    ) -> AbstractAsyncContextManager[UserStore]:
        """Open one user's transaction: commits on leaving, rolls back on an error.

        A user's transactions run one after the other, so what was read still holds when it is
        written. One opened for reading waits for nobody and may not write.
        """

    async def find_user(
        self, *, telegram_id: int | None = None, username: str | None = None
    ) -> User | None: ...
    async def user_ids(self) -> Sequence[UserId]: ...
    async def census(self, since: datetime) -> Census:
        """Count everything; registered, orders and trades since then."""

    # ownership
    async def take_leases(
        self, owner: str, *, now: datetime, ttl: float, limit: int
    ) -> Sequence[Lease]:
        """Take users nobody owns (or whose lease ran out), each under the next epoch.

        An unexpired lease of another owner is never taken. Only users who have something to
        run: a bot that is running, a position, a working order or a waiting host message.
        """

    async def renew_leases(self, owner: str, *, now: datetime, ttl: float) -> Sequence[Lease]:
        """Prolong all of owner's unexpired leases and return those it still holds."""

    async def release_leases(self, owner: str) -> None: ...
    async def lease_owners(self) -> Sequence[str]:
        """Return everybody who holds a lease, expired or not."""

    # the journal
    async def write(
        self, batches: Sequence[Batch], *, run: ReplayRun | None = None
    ) -> Sequence[StoreError | None]:
        """Write batches in one transaction with one fsync; return an error or None for each.

        A batch whose epoch is stale gets LeaseLost, one whose kill_version is stale gets
        KillSwitched, one that contradicts what is stored gets BatchRefused; the others are
        kept. The epoch is the fence: a lease that ran out but was taken by nobody still
        writes. Raise StoreUnavailable when nothing was kept. A run given is saved in the same
        transaction. Orders, fills, entries, trades and decisions written twice are kept once;
        the send of an order (state SENDING) is written once, the second time is refused.
        """

    async def load_user(self, user_id: UserId) -> UserLoad: ...
    async def load_users(self, user_ids: Sequence[UserId]) -> Sequence[UserLoad]:
        """Load users in this order, their entries with them; a hundred cost little more than one.

        At most some thousands at once.
        """

    async def rulings(self, user_ids: Sequence[UserId]) -> Sequence[Ruling]:
        """Return what these users may do now; a kill version is never newer than its switches."""

    # messages and notices
    async def host_messages(self, owner: str, limit: int) -> Sequence[HostMessage]:
        """Return the oldest waiting messages of users whom owner holds."""

    async def drop_messages(self, ids: Sequence[int]) -> None: ...
    async def due_notices(self, *, now: datetime, limit: int) -> Sequence[OutboxNotice]:
        """Return notices to deliver now: by priority, then age."""

    async def notice_sent(self, ids: Sequence[int], *, now: datetime) -> None: ...
    async def notice_failed(self, id: int, *, retry_at: datetime | None, error: str) -> None:
        """Try again at retry_at; give up when it is None."""

    async def put_off_notices(
        self, ids: Sequence[int], *, until: datetime | None, error: str
    ) -> None:
        """Let notices wait until then without counting a try; None: they are never to come."""

    async def notify_everybody(self, topic: Topic, text: str, at: datetime) -> int:
        """Put a notice for each user into the outbox, all or none; return how many those are."""

    async def note_signals(self, notes: Sequence[SignalNote], *, keep: int) -> None:
        """Add notes, keeping the latest `keep` of each group."""

    async def secret(self, name: str) -> bytes:
        """Return the service's own random secret of that name (32 bytes), made at first use."""

    # keys
    async def keys_of(
        self, user_ids: Sequence[UserId]
    ) -> Mapping[AccountId, tuple[bytes, SealedKey]]:
        """Return these users' sealed keys, each beside its user's own key, wrapped."""

    async def wrapped_keys(
        self, *, after: UserId | None = None, limit: int
    ) -> Sequence[tuple[UserId, bytes]]:
        """Return users' own keys by user id, those after a user when one is given."""

    async def rewrap(self, user_id: UserId, old: bytes, new: bytes) -> bool:
        """Put a user's own key, wrapped anew, in place of the old one; False: it is not there."""

    async def keys_to_check(
        self, *, now: datetime, limit: int
    ) -> Sequence[tuple[UserId, AccountId]]:
        """Return whose keys are due to be checked, the longest due first."""

    async def drop_late_keys(self, now: datetime) -> None:
        """Destroy credentials that nobody confirmed in time."""

    async def active_accounts(self, mode: Mode) -> Sequence[Account]:
        """Return everybody's connected accounts of a mode."""

    # switches over everybody
    async def platform_switch(self, id: str = "*") -> Switch | None:
        """Return a switch over everybody: the kill switch "*", or that of maintenance."""

    async def set_platform_switch(self, switch: Switch) -> None:
        """Set the platform's switch of that id and raise everybody's kill version."""

    # replays
    async def replay_run(self, id: str) -> ReplayRun | None: ...
    async def save_run(self, run: ReplayRun) -> None: ...

    async def drop_answers(self, before: datetime) -> int:
        """Forget answers given before a time; return how many they were."""

    async def ping(self) -> float:
        """Return the seconds one small read took; raise StoreUnavailable."""

    async def close(self) -> None: ...


async def find_somebody(store: Store, name: str) -> User | None:
    """Return the user of an id, a name or a Telegram id."""
    name = name.removeprefix("@")
    async with store.open(UserId(name), reading=True) as own:
        user = await own.user()
    user = user or await store.find_user(username=name)
    if user is None and name.isascii() and name.isdigit() and len(name) < 19:
        user = await store.find_user(telegram_id=int(name))
    return user


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperChange:
    """What changed at the paper venue in one account at one moment: all or nothing.

    balances are the new totals by asset; number is the account's change counter after it.
    """

    account_id: AccountId
    number: int
    orders: tuple[PaperOrder, ...] = ()
    fills: tuple[Fill, ...] = ()
    balances: Mapping[str, Decimal] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperAccountState:
    """A paper account as its venue remembers it: open orders and balances."""

    account_id: AccountId
    number: int
    balances: Mapping[str, Decimal]
    open_orders: Sequence[PaperOrder]


class PaperBooks(Protocol):
    """The paper venue's own durable books, apart from the service's tables and transactions."""

    async def load(self, account_id: AccountId) -> PaperAccountState | None: ...
    async def write(self, changes: Sequence[PaperChange]) -> None: ...
    async def order(self, account_id: AccountId, order_id: OrderId) -> PaperOrder | None: ...
    async def fills_of(self, account_id: AccountId, order_id: OrderId) -> Sequence[Fill]: ...
    async def fills_between(
        self, account_id: AccountId, since: datetime, until: datetime
    ) -> Sequence[Fill]:
        """Return an account's fills from since to until, both included, oldest first."""
