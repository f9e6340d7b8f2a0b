"""The whole database in memory, as hosts and jobs see it."""

import asyncio
import secrets
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import replace
from datetime import datetime, timedelta

from tradefleet.clock import Clock
from tradefleet.domain.bot import BotStatus
from tradefleet.domain.effects import Notify, Topic
from tradefleet.domain.errors import StoreError, ensure
from tradefleet.domain.ids import AccountId, UserId
from tradefleet.domain.ledger import LedgerEntry
from tradefleet.domain.limits import Scope, Switch
from tradefleet.domain.notices import DEFAULTS
from tradefleet.domain.order import OrderState
from tradefleet.domain.user import Account, Mode, User
from tradefleet.store import (
    ABSENT_WATCHED,
    Batch,
    Census,
    HostMessage,
    Lease,
    OutboxNotice,
    ReplayRun,
    Ruling,
    SealedKey,
    SignalNote,
    UserLoad,
)
from tradefleet.stores._gate import refusal
from tradefleet.stores._hints import Hints
from tradefleet.stores.memory.audits import MemoryAudits
from tradefleet.stores.memory.deliveries import MemoryAlertDeliveries
from tradefleet.stores.memory.duties import MemoryDuties
from tradefleet.stores.memory.figures import MemoryFigures
from tradefleet.stores.memory.health import MemoryHealth
from tradefleet.stores.memory.identity import MemoryIdentityStore
from tradefleet.stores.memory.journal import fault_in, keep
from tradefleet.stores.memory.live import MemoryLiveStore, MemoryWebhookStore, told_of
from tradefleet.stores.memory.paper_books import MemoryPaperBooks
from tradefleet.stores.memory.rows import Draft, Rows
from tradefleet.stores.memory.shared import NOBODY, Shared, Waiting
from tradefleet.stores.memory.user_store import MemoryUserStore


class MemoryStore:
    """Every user's rows; a user's transactions run one after the other."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rows: dict[UserId, Rows] = {}
        self._shared = Shared()
        self._turns: dict[UserId, asyncio.Lock] = defaultdict(asyncio.Lock)
        self.paper_books = MemoryPaperBooks()
        self.identity = MemoryIdentityStore(self._rows, self._shared)
        self.duties = MemoryDuties(self._shared.duties)
        self.audits = MemoryAudits(self._rows, clock)
        self.health = MemoryHealth(self._rows, self._shared)
        self._hints = Hints()
        self.live = MemoryLiveStore(self._rows, self._hints, clock)
        self.webhooks = MemoryWebhookStore(self._rows)
        self.alert_deliveries = MemoryAlertDeliveries(self._shared)
        self.figures = MemoryFigures(self._rows, self._shared)

    @asynccontextmanager
    async def open(
        self, user_id: UserId, *, reading: bool = False
    ) -> AsyncIterator[MemoryUserStore]:
        async with nullcontext() if reading else self._turns[user_id]:
            rows = self._rows.get(user_id) or Rows()
            store = MemoryUserStore(user_id, rows, self._shared, self._clock, self.audits)
            yield store
            if store.draft.has_changes:
                ensure(not reading, "a change in a transaction that was opened for reading")
                self._commit(store, rows)

    def _commit(self, store: MemoryUserStore, rows: Rows) -> None:
        user_id, draft, shared = store.user_id, store.draft, self._shared
        user = draft.user.get(user_id)
        if user and user != rows.user.get(user_id):
            shared.check_names(user)
            shared.rename(rows.user.get(user_id), user)
        self._claim_keys(draft, rows)
        draft.keep()
        self._rows[user_id] = rows
        if user and user_id not in shared.leases:
            shared.leases[user_id] = Lease(
                user_id=user_id,
                owner=NOBODY,
                epoch=0,
                expires_at=user.created_at,
                kill_version=0,
            )
        draft.rows.trades = {**draft.trades, **draft.rows.trades}
        if draft.kill_raised:
            shared.raise_kill_version(user_id)
        if rows.record(draft.news, self._clock.now()):
            self._hints.tell([user_id])
        for notice in draft.notices:
            self._post(notice)
        for subject, payload in draft.messages:
            number = shared.next_id()
            shared.messages[number] = HostMessage(
                id=number,
                user_id=user_id,
                subject=subject,
                payload=payload,
                created_at=self._clock.now(),
            )

    def _claim_keys(self, draft: Draft, rows: Rows) -> None:
        """Let each fingerprint lead to the account that has its key now."""
        fingerprints = self._shared.fingerprints
        changed = draft.sealed_keys.maps[0]
        for key in filter(None, changed.values()):
            self._shared.check_fingerprint(key.fingerprint, key.account_id)
        for account_id in changed:
            if before := rows.sealed_keys.get(account_id):
                fingerprints.pop(before.fingerprint, None)
        for key in filter(None, changed.values()):
            fingerprints[key.fingerprint] = key.account_id

    def _post(self, notice: Notify) -> None:
        number = self._shared.next_id()
        waiting = OutboxNotice(id=number, notice=notice, telegram_id=None, tries=0)
        self._shared.outbox[number] = Waiting(waiting, notice.at)

    async def notify_everybody(self, topic: Topic, text: str, at: datetime) -> int:
        ids = await self.user_ids()
        for user_id in ids:
            self._post(Notify(user_id, topic, text, at))
        return len(ids)

    async def find_user(
        self, *, telegram_id: int | None = None, username: str | None = None
    ) -> User | None:
        user_id = None
        if telegram_id is not None:
            user_id = self._shared.telegram_ids.get(telegram_id)
        elif username is not None:
            user_id = self._shared.usernames.get(username)
        return self._rows[user_id].user[user_id] if user_id else None

    async def user_ids(self) -> Sequence[UserId]:
        users = [user for rows in self._rows.values() for user in rows.user.values()]
        return [user.id for user in sorted(users, key=lambda user: (user.created_at, user.id))]

    async def census(self, since: datetime) -> Census:
        every = list(self._rows.values())
        users = [user for rows in every for user in rows.user.values()]
        specs = [(rows, spec) for rows in every for spec in rows.bots.values()]
        bots = [spec for rows, spec in specs if spec.id not in rows.removed]
        running = [spec for spec in bots if spec.status is BotStatus.RUNNING]
        memories = [memory for rows in every for memory in rows.memories.values()]
        held = [memory for memory in memories if memory.position is not None]
        orders = [order for rows in every for order in rows.orders.values()]
        trades = [trade for rows in every for trade in rows.trades.values()]
        accounts = [account for rows in every for account in rows.accounts.values()]
        pairs = [spec for spec in bots if not spec.is_manual]
        return Census(
            users=len(users),
            active=len({spec.user_id for spec in running} | {each.user_id for each in held}),
            registered=sum(user.created_at >= since for user in users),
            by_tier=dict(Counter(user.tier for user in users)),
            accounts=sum(account.is_active for account in accounts),
            bots=len(pairs),
            running=sum(spec.status is BotStatus.RUNNING for spec in pairs),
            positions=len(held),
            orders=sum(order.decided_at >= since for order in orders),
            trades=sum(trade.closed_at >= since for trade in trades),
        )

    # ownership

    async def take_leases(
        self, owner: str, *, now: datetime, ttl: float, limit: int
    ) -> Sequence[Lease]:
        taken: list[Lease] = []
        waiting = {message.user_id for message in self._shared.messages.values()}
        for user_id, lease in self._shared.leases.items():
            if len(taken) == limit:
                break
            free = lease.owner == NOBODY or lease.expires_at <= now
            if free and (user_id in waiting or self._rows[user_id].has_something_to_run()):
                until = now + timedelta(seconds=ttl)
                taken.append(replace(lease, owner=owner, epoch=lease.epoch + 1, expires_at=until))
        self._shared.leases |= {lease.user_id: lease for lease in taken}
        return taken

    async def renew_leases(self, owner: str, *, now: datetime, ttl: float) -> Sequence[Lease]:
        held = [
            replace(lease, expires_at=now + timedelta(seconds=ttl))
            for lease in self._shared.leases.values()
            if lease.owner == owner and lease.expires_at > now
        ]
        self._shared.leases |= {lease.user_id: lease for lease in held}
        return held

    async def release_leases(self, owner: str) -> None:
        for user_id, lease in self._shared.leases.items():
            if lease.owner == owner:
                self._shared.leases[user_id] = replace(lease, owner=NOBODY)

    async def lease_owners(self) -> Sequence[str]:
        return sorted({lease.owner for lease in self._shared.leases.values()} - {NOBODY})

    # the journal

    async def write(
        self, batches: Sequence[Batch], *, run: ReplayRun | None = None
    ) -> Sequence[StoreError | None]:
        errors = [self._write(batch) for batch in batches]
        if run:
            self._shared.runs[run.id] = run
        return errors

    def _write(self, batch: Batch) -> StoreError | None:
        lease = self._shared.leases.get(batch.user_id)
        known = {} if lease is None else {batch.user_id: (lease.epoch, lease.kill_version)}
        if (refused := refusal(batch, known)) is not None:
            return refused
        rows = self._rows[batch.user_id]
        fault = fault_in(batch, rows)
        if fault:
            return fault
        news = told_of(batch.records, rows) if rows.listening else []
        for record in batch.records:
            keep(record, rows)
            if isinstance(record, Notify):
                self._post(record)
        if news and rows.record(news, self._clock.now()):
            self._hints.tell([batch.user_id])
        return None

    async def load_user(self, user_id: UserId) -> UserLoad:
        ensure(user_id in self._rows, f"no user {user_id}")
        rows = self._rows[user_id]
        absent = [o for o in rows.orders.values() if o.state is OrderState.ABSENT]
        watched = sorted(absent, key=lambda o: (o.decided_at, o.id))[-ABSENT_WATCHED:]
        orders = sorted(
            [*rows.working.values(), *watched], key=lambda order: (order.decided_at, order.id)
        )
        ids = {order.id for order in orders}
        bots = [spec for spec in rows.bots.values() if spec.id not in rows.removed]
        platform = list(self._shared.platform.values())
        return UserLoad(
            user=rows.user[user_id],
            accounts=sorted(rows.accounts.values(), key=lambda a: (a.created_at, a.id)),
            bots=bots,
            memories={spec.id: rows.memories[spec.id] for spec in bots},
            working_orders=orders,
            fill_ids={f.id: f.order_id for f in rows.fills.values() if f.order_id in ids},
            guard=rows.guard,
            limits=rows.limits.get(user_id),
            switches=platform + list(rows.switches.values()),
            universes=[spec for spec in rows.universes.values() if spec is not None],
        )

    async def load_users(self, user_ids: Sequence[UserId]) -> Sequence[UserLoad]:
        loads = [await self.load_user(user_id) for user_id in user_ids]
        return [replace(load, entries=self._entries(load.user.id)) for load in loads]

    async def rulings(self, user_ids: Sequence[UserId]) -> Sequence[Ruling]:
        leases, platform = self._shared.leases, list(self._shared.platform.values())
        return [
            Ruling(
                lease=leases[user_id],
                user=self._rows[user_id].user[user_id],
                limits=self._rows[user_id].limits.get(user_id),
                switches=platform + list(self._rows[user_id].switches.values()),
            )
            for user_id in user_ids
        ]

    def _entries(self, user_id: UserId) -> Mapping[AccountId, Sequence[LedgerEntry]]:
        found: dict[AccountId, list[LedgerEntry]] = defaultdict(list)
        entries = self._rows[user_id].entries.values()
        for entry in sorted(entries, key=lambda entry: (entry.booked_at, entry.id)):
            found[entry.account_id].append(entry)
        return found

    # messages and notices

    async def host_messages(self, owner: str, limit: int) -> Sequence[HostMessage]:
        leases = self._shared.leases
        messages = self._shared.messages.values()
        return [m for m in messages if leases[m.user_id].owner == owner][:limit]

    async def drop_messages(self, ids: Sequence[int]) -> None:
        for number in ids:
            self._shared.messages.pop(number, None)

    async def due_notices(self, *, now: datetime, limit: int) -> Sequence[OutboxNotice]:
        due = [w.notice for w in self._shared.outbox.values() if w.due_at and w.due_at <= now]
        due.sort(key=lambda waiting: (waiting.notice.priority, waiting.notice.at, waiting.id))
        return [self._addressed(waiting) for waiting in due[:limit]]

    def _addressed(self, waiting: OutboxNotice) -> OutboxNotice:
        said = waiting.notice
        chosen = self._rows[said.user_id].loudness.get(said.topic, DEFAULTS[said.topic])
        telegram_id = self._telegram_id(said.user_id)
        return replace(waiting, telegram_id=telegram_id, loudness=chosen)

    def _telegram_id(self, user_id: UserId) -> int | None:
        return self._rows[user_id].user[user_id].telegram_id

    async def notice_sent(self, ids: Sequence[int], *, now: datetime) -> None:
        for number in ids:
            self._shared.outbox.pop(number, None)

    async def notice_failed(self, id: int, *, retry_at: datetime | None, error: str) -> None:
        waiting = self._shared.outbox[id]
        waiting.notice = replace(waiting.notice, tries=waiting.notice.tries + 1)
        waiting.due_at = retry_at

    async def put_off_notices(
        self, ids: Sequence[int], *, until: datetime | None, error: str
    ) -> None:
        for number in ids:
            self._shared.outbox[number].due_at = until

    async def note_signals(self, notes: Sequence[SignalNote], *, keep: int) -> None:
        for note in notes:
            kept = deque(self._shared.signals.get(note.group, ()), maxlen=keep)
            kept.append(note)
            self._shared.signals[note.group] = kept

    async def secret(self, name: str) -> bytes:
        return self._shared.secrets.setdefault(name, secrets.token_bytes(32))

    # keys

    async def keys_of(
        self, user_ids: Sequence[UserId]
    ) -> Mapping[AccountId, tuple[bytes, SealedKey]]:
        return {
            account_id: (wrapped, sealed)
            for user_id in user_ids
            if (rows := self._rows.get(user_id)) is not None
            and (wrapped := rows.user_keys.get(user_id)) is not None
            for account_id, sealed in rows.sealed_keys.items()
            if sealed is not None
        }

    async def wrapped_keys(
        self, *, after: UserId | None = None, limit: int
    ) -> Sequence[tuple[UserId, bytes]]:
        found = [
            (user_id, wrapped)
            for rows in self._rows.values()
            for user_id, wrapped in rows.user_keys.items()
            if wrapped is not None and (after is None or user_id > after)
        ]
        return sorted(found)[:limit]

    async def rewrap(self, user_id: UserId, old: bytes, new: bytes) -> bool:
        rows = self._rows.get(user_id)
        if rows is None or rows.user_keys.get(user_id) != old:
            return False
        rows.user_keys[user_id] = new
        return True

    async def keys_to_check(
        self, *, now: datetime, limit: int
    ) -> Sequence[tuple[UserId, AccountId]]:
        due = sorted(
            (key.check_at, account_id, user_id)
            for user_id, rows in self._rows.items()
            for account_id, key in rows.sealed_keys.items()
            if key is not None and key.check_at <= now
        )
        return [(user_id, account_id) for _, account_id, user_id in due[:limit]]

    async def drop_late_keys(self, now: datetime) -> None:
        for user_id, rows in self._rows.items():
            pending = rows.pending_keys.get(user_id)
            if pending is not None and pending.expires_at <= now:
                rows.pending_keys[user_id] = None

    async def active_accounts(self, mode: Mode) -> Sequence[Account]:
        accounts = [account for rows in self._rows.values() for account in rows.accounts.values()]
        found = [account for account in accounts if account.mode is mode and account.is_active]
        return sorted(found, key=lambda account: account.id)

    # switches over everybody

    async def platform_switch(self, id: str = "*") -> Switch | None:
        return self._shared.platform.get(id)

    async def set_platform_switch(self, switch: Switch) -> None:
        ensure(switch.scope is Scope.PLATFORM, "not a switch over the platform")
        self._shared.platform[switch.scope_id] = switch
        for user_id in self._shared.leases:
            self._shared.raise_kill_version(user_id)

    # replays

    async def replay_run(self, id: str) -> ReplayRun | None:
        return self._shared.runs.get(id)

    async def save_run(self, run: ReplayRun) -> None:
        self._shared.runs[run.id] = run

    async def drop_answers(self, before: datetime) -> int:
        dropped = 0
        for rows in self._rows.values():
            kept = {key: a for key, a in rows.answers.items() if a.answered_at >= before}
            dropped += len(rows.answers) - len(kept)
            rows.answers = kept
        return dropped

    async def ping(self) -> float:
        return 0.0

    async def close(self) -> None:
        """Nothing to close."""
