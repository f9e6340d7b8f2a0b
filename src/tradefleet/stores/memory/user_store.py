"""One user's transaction in memory."""

from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeVar

from tradefleet.clock import Clock
from tradefleet.domain.audit import Entry
from tradefleet.domain.bot import BotMemory, BotSpec
from tradefleet.domain.consent import Consent
from tradefleet.domain.effects import Decided, Notify, Topic
from tradefleet.domain.errors import Conflict, Refused, ensure
from tradefleet.domain.ids import AccountId, BotId, OrderId, UniverseId, UserId
from tradefleet.domain.ledger import LedgerEntry
from tradefleet.domain.limits import GuardMemory, RiskLimits, Scope, Switch
from tradefleet.domain.live import BotNews, NoticeNews
from tradefleet.domain.market import Symbol
from tradefleet.domain.notices import Loudness
from tradefleet.domain.order import Fill, Order, OrderState
from tradefleet.domain.paging import Page
from tradefleet.domain.position import Trade
from tradefleet.domain.universe import UniverseSpec
from tradefleet.domain.user import Account, User
from tradefleet.store import Answer, ErasureRequest, KeyTaken, PendingKey, SealedKey, SignalNote
from tradefleet.stores._changes import Changes
from tradefleet.stores.memory.audits import MemoryAudits, added, page_of
from tradefleet.stores.memory.identity import MemoryUserIdentity
from tradefleet.stores.memory.live import MemoryUserLive, MemoryUserWebhooks
from tradefleet.stores.memory.rows import Draft, Rows
from tradefleet.stores.memory.shared import Shared


class MemoryUserStore:
    """What one user owns; changes are seen by others once the store keeps the draft."""

    def __init__(
        self, user_id: UserId, rows: Rows, shared: Shared, clock: Clock, audits: MemoryAudits
    ) -> None:
        self._audits = audits
        self._changes = Changes()
        self._user_id = user_id
        self._shared = shared
        self._clock = clock
        self.draft = Draft(rows)
        self.identity = MemoryUserIdentity(user_id, self.draft)
        self.live = MemoryUserLive(rows, clock)
        self.webhooks = MemoryUserWebhooks(user_id, self.draft)

    @property
    def user_id(self) -> UserId:
        return self._user_id

    async def user(self) -> User | None:
        return self.draft.user.get(self._user_id)

    async def save_user(self, user: User) -> None:
        self._check_owner(user.id)
        self._shared.check_names(user)
        self._changes.saved("user", user.id, await self.user(), user)
        self.draft.user[user.id] = user

    async def limits(self) -> RiskLimits | None:
        return self.draft.limits.get(self._user_id)

    async def save_limits(self, limits: RiskLimits) -> None:
        self._check_registered()
        self._changes.saved("limits", self._user_id, await self.limits(), limits)
        self.draft.limits[self._user_id] = limits

    async def accounts(self) -> Sequence[Account]:
        return sorted(self.draft.accounts.values(), key=lambda a: (a.created_at, a.id))

    async def save_account(self, account: Account) -> None:
        self._check_owner(account.user_id)
        self._check_registered()
        self._shared.claim(account.id, account.user_id)
        before = self.draft.accounts.get(account.id)
        self._changes.saved("account", account.id, before, account)
        self.draft.accounts[account.id] = account

    async def wrapped_key(self) -> bytes | None:
        return self.draft.user_keys.get(self._user_id)

    async def save_wrapped_key(self, wrapped: bytes) -> None:
        self._check_registered()
        ensure(await self.wrapped_key() is None, f"user {self._user_id} has a key already")
        self.draft.user_keys[self._user_id] = wrapped

    async def sealed_keys(self) -> Mapping[AccountId, SealedKey]:
        return {id: key for id, key in self.draft.sealed_keys.items() if key is not None}

    async def save_sealed_key(self, key: SealedKey) -> None:
        ensure(key.account_id in self.draft.accounts, f"no account {key.account_id}")
        for other in (await self.sealed_keys()).values():
            if other.fingerprint == key.fingerprint and other.account_id != key.account_id:
                raise KeyTaken
        self._shared.check_fingerprint(key.fingerprint, key.account_id)
        self.draft.sealed_keys[key.account_id] = key

    async def drop_sealed_key(self, account_id: AccountId) -> None:
        self.draft.sealed_keys[account_id] = None

    async def pending_key(self) -> PendingKey | None:
        return self.draft.pending_keys.get(self._user_id)

    async def save_pending_key(self, key: PendingKey) -> None:
        self._check_registered()
        self.draft.pending_keys[self._user_id] = key

    async def drop_pending_key(self) -> None:
        self.draft.pending_keys[self._user_id] = None

    async def shred_keys(self) -> None:
        self.draft.user_keys[self._user_id] = None
        await self.drop_pending_key()
        for account_id in await self.sealed_keys():
            await self.drop_sealed_key(account_id)

    async def bots(self) -> Sequence[BotSpec]:
        return [spec for spec in self._there() if not spec.is_manual]

    async def manual_bots(self) -> Sequence[BotSpec]:
        return [spec for spec in self._there() if spec.is_manual]

    def _there(self) -> list[BotSpec]:
        return [spec for spec in self.draft.bots.values() if spec.id not in self.draft.removed]

    async def add_bot(self, spec: BotSpec) -> None:
        self._check_owner(spec.user_id)
        ensure(spec.account_id in self.draft.accounts, f"no account {spec.account_id}")
        ensure(spec.id not in self.draft.bots, f"there is a bot {spec.id} already")
        self._shared.claim(spec.id, spec.user_id)
        if spec.universe_id is not None:
            known = {each.id: each.account_id for each in await self.universes()}
            ensure(spec.universe_id in known, f"no universe {spec.universe_id}")
            ensure(known[spec.universe_id] == spec.account_id, "a universe of another account")
        taken = {(bot.account_id, str(bot.symbol), bot.is_manual) for bot in self._there()}
        if (spec.account_id, str(spec.symbol), spec.is_manual) in taken:
            raise Refused(f"{spec.symbol} is already traded in this account.")
        self._changes.saved("pair", spec.id, None, spec)
        self.draft.bots[spec.id] = spec
        self.draft.memories[spec.id] = BotMemory(
            bot_id=spec.id, user_id=spec.user_id, cash=spec.allocation
        )
        self.draft.news.append(BotNews.of(spec))

    async def adopt(self, memory: BotMemory, trades: Sequence[Trade]) -> None:
        self._check_owner(memory.user_id)
        self._check_bot(memory.bot_id)
        lease = self._shared.leases.get(self._user_id)
        if lease is not None and lease.owner and lease.expires_at > self._clock.now():
            raise Conflict(f"{lease.owner} runs this user's bots now: stop the service first.")
        self.draft.memories[memory.bot_id] = memory
        for trade in trades:
            ensure(trade.bot_id == memory.bot_id, "a trade of another bot")
            self.draft.trades[trade.id] = trade

    async def save_bot(self, spec: BotSpec) -> None:
        self._check_owner(spec.user_id)
        self._check_bot(spec.id)
        self._changes.saved("pair", spec.id, self.draft.bots[spec.id], spec)
        self.draft.bots[spec.id] = spec
        self.draft.news.append(BotNews.of(spec))

    async def remove_bot(self, bot_id: BotId) -> None:
        self._check_bot(bot_id)
        self._changes.saved("pair", bot_id, self.draft.bots[bot_id], None)
        self.draft.removed[bot_id] = True
        self.draft.news.append(BotNews.removed(bot_id))

    async def universes(self) -> Sequence[UniverseSpec]:
        made = reversed(self.draft.universes.maps)
        order = list(dict.fromkeys(id for rows in made for id in rows))
        found = [self.draft.universes[id] for id in order]
        return [spec for spec in found if spec is not None]

    async def save_universe(self, spec: UniverseSpec) -> None:
        self._check_owner(spec.user_id)
        ensure(spec.account_id in self.draft.accounts, f"no account {spec.account_id}")
        self._shared.claim(spec.id, spec.user_id)
        for other in await self.universes():
            same = (other.account_id, other.name) == (spec.account_id, spec.name)
            ensure(not same or other.id == spec.id, f"there is a universe {spec.name} already")
        before = self.draft.universes.get(spec.id)
        self._changes.saved("universe", spec.id, before, spec)
        self.draft.universes[spec.id] = spec

    async def remove_universe(self, universe_id: UniverseId) -> None:
        known = [spec.id for spec in await self.universes()]
        ensure(universe_id in known, f"no universe {universe_id}")
        before = self.draft.universes[universe_id]
        self._changes.saved("universe", universe_id, before, None)
        self.draft.universes[universe_id] = None

    async def memories(self) -> Mapping[BotId, BotMemory]:
        return {spec.id: self.draft.memories[spec.id] for spec in self._there()}

    async def guard(self) -> GuardMemory | None:
        return self.draft.rows.guard

    async def orders(self, bot_id: BotId | None = None, limit: int = 100) -> Sequence[Order]:
        orders = [o for o in self.draft.rows.orders.values() if bot_id in (None, o.bot_id)]
        return sorted(orders, key=lambda o: (o.decided_at, o.id))[-limit:]

    async def order(self, order_id: OrderId) -> Order | None:
        return self.draft.rows.orders.get(order_id)

    async def order_page(
        self, page: Page, *, states: Collection[OrderState] | None = None
    ) -> Sequence[Order]:
        orders = self.draft.rows.orders.values()
        found = [order for order in orders if states is None or order.state in states]
        return cut(found, page, lambda order: (order.decided_at, order.id))

    async def trade_page(self, page: Page) -> Sequence[Trade]:
        trades = self.draft.rows.trades.values()
        return cut(trades, page, lambda trade: (trade.closed_at, trade.id))

    async def fills(self, order_ids: Sequence[OrderId]) -> Sequence[Fill]:
        wanted = set(order_ids)
        fills = [fill for fill in self.draft.rows.fills.values() if fill.order_id in wanted]
        return sorted(fills, key=lambda fill: (fill.filled_at, fill.id))

    async def trades(
        self, *, since: datetime | None = None, bot_id: BotId | None = None, limit: int = 1000
    ) -> Sequence[Trade]:
        trades = [
            trade
            for trade in self.draft.rows.trades.values()
            if bot_id in (None, trade.bot_id) and (since is None or trade.closed_at >= since)
        ]
        return sorted(trades, key=lambda trade: (trade.closed_at, trade.id))[-limit:]

    async def entries(self, account_id: AccountId | None = None) -> Sequence[LedgerEntry]:
        entries = [e for e in self.draft.entries.values() if account_id in (None, e.account_id)]
        return sorted(entries, key=lambda entry: (entry.booked_at, entry.id))

    async def book(self, entry: LedgerEntry) -> None:
        self._check_owner(entry.user_id)
        ensure(entry.account_id in self.draft.accounts, f"no account {entry.account_id}")
        self.draft.entries.setdefault(entry.id, entry)

    async def decisions(self, bot_id: BotId, limit: int = 20) -> Sequence[Decided]:
        decisions = self.draft.rows.decisions.get(bot_id, {}).values()
        return sorted(decisions, key=lambda d: d.at)[-limit:]

    async def signal_notes(self, group: str, limit: int = 20) -> Sequence[SignalNote]:
        return list(self._shared.signals.get(group, ()))[-limit:]

    async def switches(self) -> Sequence[Switch]:
        everybody = list(self._shared.platform.values())
        own = sorted(self.draft.switches.values(), key=lambda s: (s.changed_at, s.scope_id))
        return everybody + own

    async def set_switch(self, switch: Switch) -> None:
        known: Mapping[Scope, Container[str]] = {
            Scope.USER: {self._user_id},
            Scope.ACCOUNT: self.draft.accounts,
            Scope.BOT: self.draft.bots,
        }
        ensure(switch.scope_id in known.get(switch.scope, ()), "a switch over nothing of theirs")
        before = self.draft.switches.get((switch.scope, switch.scope_id))
        self._changes.saved("switch", f"{switch.scope}:{switch.scope_id}", before, switch)
        self.draft.switches[switch.scope, switch.scope_id] = switch
        self.draft.kill_raised = True

    async def ask_host(self, subject: str, payload: Mapping[str, Any]) -> None:
        self._check_registered()
        self.draft.messages.append((subject, dict(payload)))

    async def notify(self, notice: Notify) -> None:
        self._check_owner(notice.user_id)
        self._check_registered()
        self.draft.notices.append(notice)
        self.draft.news.append(NoticeNews.of(notice))

    async def loudness(self) -> Mapping[Topic, Loudness]:
        return dict(self.draft.loudness)

    async def save_loudness(self, topic: Topic, loudness: Loudness) -> None:
        self._check_registered()
        before = self.draft.loudness.get(topic)
        self._changes.saved("loudness", topic.value, before, loudness)
        self.draft.loudness[topic] = loudness

    async def audit(self, action: str, detail: Mapping[str, Any]) -> None:
        chain, now = [*self.draft.rows.audit, *self.draft.audit], self._clock.now()
        changed = self._changes.taken()
        self.draft.audit += added(
            self._audits.keys, chain[-1:], self._user_id, now, action, detail, changed
        )

    async def audit_page(self, limit: int, before: int | None = None) -> Sequence[Entry]:
        return page_of([*self.draft.rows.audit, *self.draft.audit], limit, before)

    async def answer(self, key: str) -> Answer | None:
        return self.draft.answers.get(key)

    async def save_answer(self, answer: Answer) -> None:
        self._check_registered()
        self.draft.answers[answer.key] = answer

    async def consents(self) -> Sequence[Consent]:
        return sorted(self.draft.consents.values(), key=lambda consent: consent.version)

    async def save_consent(self, consent: Consent) -> None:
        self._check_registered()
        self.draft.consents.setdefault(consent.version, consent)

    async def erasure(self) -> ErasureRequest | None:
        return self.draft.erasure.get(self._user_id)

    async def ask_erasure(self, request: ErasureRequest) -> None:
        self._check_registered()
        self.draft.erasure.setdefault(self._user_id, request)

    def _check_owner(self, user_id: UserId) -> None:
        ensure(user_id == self._user_id, "a row of another user")

    def _check_registered(self) -> None:
        ensure(self._user_id in self.draft.user, f"no user {self._user_id}")

    def _check_bot(self, bot_id: BotId) -> None:
        there = bot_id in self.draft.bots and bot_id not in self.draft.removed
        ensure(there, f"no bot {bot_id}")


class Listed(Protocol):
    """What a page may be made of."""

    @property
    def symbol(self) -> Symbol: ...


L = TypeVar("L", bound=Listed)


def cut(listed: Iterable[L], page: Page, place: Callable[[L], tuple[datetime, str]]) -> Sequence[L]:
    """Return the part of a list that a page is."""
    before = None if page.before is None else (page.before.at, page.before.id)
    found = [
        each
        for each in listed
        if page.symbol in (None, each.symbol)
        and (before is None or place(each) < before)
        and (page.since is None or place(each)[0] >= page.since)
    ]
    return sorted(found, key=place, reverse=True)[: page.limit]
