"""What one user owns, read and changed inside one transaction."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from sqlalchemy import Text, Update, bindparam, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from tradefleet.clock import Clock
from tradefleet.domain.audit import Entry
from tradefleet.domain.bot import BotMemory, BotSpec
from tradefleet.domain.consent import Consent
from tradefleet.domain.effects import Notify, Topic
from tradefleet.domain.errors import BrokenInvariant, Conflict, Refused, ensure
from tradefleet.domain.ids import AccountId, BotId, UniverseId, UserId
from tradefleet.domain.ledger import LedgerEntry
from tradefleet.domain.limits import RiskLimits, Scope, Switch
from tradefleet.domain.live import BotNews, Data, NoticeNews
from tradefleet.domain.notices import Loudness
from tradefleet.domain.position import Trade
from tradefleet.domain.universe import UniverseSpec
from tradefleet.domain.user import Account, User
from tradefleet.store import Answer, ErasureRequest, PendingKey, SealedKey
from tradefleet.stores._changes import Changes
from tradefleet.stores.sql import queries, shapes, tables, vault
from tradefleet.stores.sql.audits import SqlAudits, add_line, page_of
from tradefleet.stores.sql.codec import to_plain
from tradefleet.stores.sql.glance import known
from tradefleet.stores.sql.identity import SqlUserIdentity
from tradefleet.stores.sql.live import SqlUserLive
from tradefleet.stores.sql.queries import LINE_COLUMNS, Reading, lines_of
from tradefleet.stores.sql.statements import adding, insert_missing, save
from tradefleet.stores.sql.user_reads import UserReads
from tradefleet.stores.sql.webhooks import SqlUserWebhooks

NOBODY = ""
RUNS = "{owner} runs this user's bots now: stop the service first."
LEASES = tables.leases.c
RAISED = known(
    update(tables.leases)
    .values(kill_version=LEASES.kill_version + 1)
    .where(LEASES.user_id == bindparam("whose", type_=Text()))
)


class SqlUserStore(UserReads):
    """One user's transaction."""

    def __init__(
        self,
        connection: Reading,
        user_id: UserId,
        clock: Clock,
        audits: SqlAudits,
        *,
        reading: bool,
    ) -> None:
        super().__init__(connection, user_id)
        self._clock = clock
        self._audits = audits
        self._changes = Changes()
        self._seen: dict[str, BotSpec] = {}  # bots as they were before this transaction
        self._reading = reading
        self._bots: Sequence[BotSpec] | None = None
        self.news: list[Data] = []  # told to who listens, once this is committed
        self.identity = SqlUserIdentity(connection, user_id, self.news, reading=reading)
        self.live = SqlUserLive(connection, user_id, clock, reading=reading)
        self.webhooks = SqlUserWebhooks(connection, user_id, reading=reading)

    @property
    def _writing(self) -> AsyncConnection:
        """The connection, for a statement that changes something."""
        ensure(not self._reading, "a change in a transaction that was opened for reading")
        return cast(AsyncConnection, self._connection)

    async def _change(self, statement: Update) -> int:
        return (await self._writing.execute(statement)).rowcount

    def _check_owner(self, user_id: UserId) -> None:
        ensure(user_id == self._user_id, "a row of another user")

    # the user

    async def user(self) -> User | None:
        return await queries.read_user(self._connection, self._user_id)

    async def save_user(self, user: User) -> None:
        self._check_owner(user.id)
        before = await self.user()
        try:
            await save(self._writing, tables.users, shapes.USER.columns(user))
        except IntegrityError as error:
            if "telegram_id" in str(error.orig):
                raise Refused("This Telegram account belongs to another user.") from error
            raise Refused(f"The name {user.username} is taken.") from error
        self._changes.saved("user", user.id, before, user)
        lease = {
            "user_id": user.id,
            "owner": NOBODY,
            "epoch": 0,
            "expires_at": user.created_at,
            "kill_version": 0,
        }
        await insert_missing(self._writing, tables.leases, lease)

    async def limits(self) -> RiskLimits | None:
        return await queries.read_limits(self._connection, self._user_id)

    async def save_limits(self, limits: RiskLimits) -> None:
        self._changes.saved("limits", self._user_id, await self.limits(), limits)
        row = {"user_id": self._user_id, "limits": to_plain(limits)}
        await save(self._writing, tables.user_limits, row)

    # accounts

    async def accounts(self) -> Sequence[Account]:
        return await queries.read_accounts(self._connection, self._user_id)

    async def save_account(self, account: Account) -> None:
        self._check_owner(account.user_id)
        before = next((each for each in await self.accounts() if each.id == account.id), None)
        saved = await save(self._writing, tables.accounts, shapes.ACCOUNT.columns(account))
        ensure(saved == 1, "an account of another user")
        self._changes.saved("account", account.id, before, account)

    # keys

    async def wrapped_key(self) -> bytes | None:
        return await vault.wrapped_key(self._connection, self._user_id)

    async def save_wrapped_key(self, wrapped: bytes) -> None:
        await vault.save_wrapped_key(self._writing, self._user_id, wrapped)

    async def sealed_keys(self) -> Mapping[AccountId, SealedKey]:
        return await vault.sealed_keys(self._connection, self._user_id)

    async def save_sealed_key(self, key: SealedKey) -> None:
        await vault.save_sealed_key(self._writing, self._user_id, key)

    async def drop_sealed_key(self, account_id: AccountId) -> None:
        await vault.drop_sealed_key(self._writing, self._user_id, account_id)

    async def pending_key(self) -> PendingKey | None:
        return await vault.pending_key(self._connection, self._user_id)

    async def save_pending_key(self, key: PendingKey) -> None:
        await vault.save_pending_key(self._writing, self._user_id, key)

    async def drop_pending_key(self) -> None:
        await vault.drop_pending_key(self._writing, self._user_id)

    async def shred_keys(self) -> None:
        await vault.shred_keys(self._writing, self._user_id)

    # bots

    async def bots(self) -> Sequence[BotSpec]:
        return [bot for bot in await self._there() if not bot.is_manual]

    async def manual_bots(self) -> Sequence[BotSpec]:
        return [bot for bot in await self._there() if bot.is_manual]

    async def _there(self) -> Sequence[BotSpec]:
        if self._bots is None or not self._reading:  # one moment has the same bots throughout
            self._bots = await queries.read_bots(self._connection, self._user_id)
            if not self._reading:
                self._seen = {bot.id: bot for bot in self._bots} | self._seen
        return self._bots

    async def _bot_before(self, bot_id: BotId) -> BotSpec | None:
        """Return a bot as it was at the beginning of this transaction."""
        if bot_id not in self._seen:
            await self._there()
        return self._seen.get(bot_id)

    async def add_bot(self, spec: BotSpec) -> None:
        self._check_owner(spec.user_id)
        if spec.universe_id is not None:
            await self._check_universe(spec.universe_id, spec.account_id)
        table = tables.bots
        last = select(func.coalesce(func.max(table.c.number), 0))
        count = await self._writing.scalar(last.where(table.c.user_id == self._user_id))
        row = {
            **shapes.BOT.columns(spec),
            "number": (count or 0) + 1,
            "created_at": self._clock.now(),
        }
        try:
            await self._writing.execute(adding(table), row)
        except IntegrityError as error:
            if any(name in str(error.orig) for name in TAKEN):
                raise Refused(f"{spec.symbol} is already traded in this account.") from error
            raise
        memory = BotMemory(bot_id=spec.id, user_id=spec.user_id, cash=spec.allocation)
        await self._writing.execute(adding(tables.bot_memories), shapes.MEMORY.columns(memory))
        self._changes.saved("pair", spec.id, None, spec)
        self._seen[spec.id] = spec
        self.news.append(BotNews.of(spec))

    async def adopt(self, memory: BotMemory, trades: Sequence[Trade]) -> None:
        self._check_owner(memory.user_id)
        query = select(LEASES.owner, LEASES.expires_at).where(LEASES.user_id == self._user_id)
        (lease,) = await queries.rows(self._writing, query.with_for_update())
        if lease["owner"] != NOBODY and lease["expires_at"] > self._clock.now():
            raise Conflict(RUNS.format(owner=lease["owner"]))
        await save(self._writing, tables.bot_memories, shapes.MEMORY.columns(memory))
        if memory.position is not None:
            row = {
                **shapes.POSITION.columns(memory.position),
                "user_id": self._user_id,
                "bot_id": memory.bot_id,
                "quantity": memory.position.quantity,
            }
            await save(self._writing, tables.positions, row)
        for trade in trades:
            ensure(trade.bot_id == memory.bot_id, "a trade of another bot")
            row = {**shapes.TRADE.columns(trade), "pnl": trade.pnl}
            await insert_missing(self._writing, tables.trades, row)

    async def save_bot(self, spec: BotSpec) -> None:
        self._check_owner(spec.user_id)
        before = await self._bot_before(spec.id)
        changed = await self._change(self._bot_update(spec.id).values(shapes.BOT.columns(spec)))
        ensure(changed == 1, f"no bot {spec.id}")
        self._changes.saved("pair", spec.id, before, spec)
        self.news.append(BotNews.of(spec))

    async def remove_bot(self, bot_id: BotId) -> None:
        now = self._clock.now()
        before = await self._bot_before(bot_id)
        changed = await self._change(self._bot_update(bot_id).values(removed_at=now))
        ensure(changed == 1, f"no bot {bot_id}")
        self._changes.saved("pair", bot_id, before, None)
        self.news.append(BotNews.removed(bot_id))

    def _bot_update(self, bot_id: BotId) -> Update:
        bot = tables.bots.c
        return update(tables.bots).where(
            bot.user_id == self._user_id, bot.id == bot_id, bot.removed_at.is_(None)
        )

    async def universes(self) -> Sequence[UniverseSpec]:
        return await queries.read_universes(self._connection, self._user_id)

    async def save_universe(self, spec: UniverseSpec) -> None:
        self._check_owner(spec.user_id)
        table, row = tables.universes, shapes.UNIVERSE.columns(spec)
        before = next((each for each in await self.universes() if each.id == spec.id), None)
        self._changes.saved("universe", spec.id, before, spec)
        try:
            if await self._change(self._universe_update(spec.id).values(row)) == 0:
                row["created_at"] = self._clock.now()
                await self._writing.execute(adding(table), row)
        except IntegrityError as error:
            raise BrokenInvariant(f"the universe {spec.name} cannot be kept") from error

    async def remove_universe(self, universe_id: UniverseId) -> None:
        now = self._clock.now()
        before = next((each for each in await self.universes() if each.id == universe_id), None)
        self._changes.saved("universe", universe_id, before, None)
        changed = await self._change(self._universe_update(universe_id).values(removed_at=now))
        ensure(changed == 1, f"no universe {universe_id}")

    def _universe_update(self, universe_id: UniverseId) -> Update:
        universe = tables.universes.c
        return update(tables.universes).where(
            universe.user_id == self._user_id,
            universe.id == universe_id,
            universe.removed_at.is_(None),
        )

    async def _check_universe(self, universe_id: UniverseId, account_id: AccountId) -> None:
        known = {spec.id: spec for spec in await self.universes()}
        ensure(universe_id in known, f"no universe {universe_id}")
        ensure(known[universe_id].account_id == account_id, "a universe of another account")

    async def memories(self) -> Mapping[BotId, BotMemory]:
        return await queries.read_memories(self._connection, self._user_id)

    # money

    async def book(self, entry: LedgerEntry) -> None:
        self._check_owner(entry.user_id)
        rows = [dict(zip(LINE_COLUMNS, line, strict=True)) for line in lines_of(entry)]
        await insert_missing(self._writing, tables.ledger_entries, rows)

    # switches, messages, notices

    async def switches(self) -> Sequence[Switch]:
        return await queries.read_switches(self._connection, self._user_id)

    async def set_switch(self, switch: Switch) -> None:
        ensure(await self._owns(switch), "a switch over nothing of theirs")
        place = (switch.scope, switch.scope_id)
        known = [each for each in await self.switches() if (each.scope, each.scope_id) == place]
        self._changes.saved("switch", f"{switch.scope}:{switch.scope_id}", first(known), switch)
        row = {**shapes.SWITCH.columns(switch), "user_id": self._user_id}
        await save(self._writing, tables.switches, row)
        await self._writing.execute(RAISED, {"whose": self._user_id})

    async def _owns(self, switch: Switch) -> bool:
        if switch.scope is Scope.USER:
            return switch.scope_id == self._user_id
        table = {Scope.BOT: tables.bots, Scope.ACCOUNT: tables.accounts}.get(switch.scope)
        if table is None:
            return False
        query = select(table.c.id).where(
            table.c.user_id == self._user_id, table.c.id == switch.scope_id
        )
        return await self._writing.scalar(query) is not None

    async def ask_host(self, subject: str, payload: Mapping[str, Any]) -> None:
        row = {
            "user_id": self._user_id,
            "subject": subject,
            "payload": dict(payload),
            "created_at": self._clock.now(),
        }
        await self._writing.execute(adding(tables.host_messages), row)

    async def notify(self, notice: Notify) -> None:
        self._check_owner(notice.user_id)
        await self._writing.execute(adding(tables.outbox), outbox_row(notice))
        self.news.append(NoticeNews.of(notice))

    async def loudness(self) -> Mapping[Topic, Loudness]:
        table = tables.loudness
        query = select(table.c.topic, table.c.loudness).where(table.c.user_id == self._user_id)
        found = await queries.rows(self._connection, query)
        return {Topic(row["topic"]): Loudness(row["loudness"]) for row in found}

    async def save_loudness(self, topic: Topic, loudness: Loudness) -> None:
        before = (await self.loudness()).get(topic)
        self._changes.saved("loudness", topic.value, before, loudness)
        row = {"user_id": self._user_id, "topic": topic.value, "loudness": loudness.value}
        await save(self._writing, tables.loudness, row)

    async def audit(self, action: str, detail: Mapping[str, Any]) -> None:
        await add_line(
            self._writing,
            self._audits.keys,
            self._user_id,
            self._clock.now(),
            action,
            detail,
            self._changes.taken(),
        )

    async def audit_page(self, limit: int, before: int | None = None) -> Sequence[Entry]:
        return await page_of(self._connection, self._audits.query, self._user_id, limit, before)

    # requests with a key of their own

    async def save_answer(self, answer: Answer) -> None:
        row = {**shapes.ANSWER.columns(answer), "user_id": self._user_id}
        await save(self._writing, tables.idempotency, row)

    # leaving

    async def save_consent(self, consent: Consent) -> None:
        row = {**shapes.CONSENT.columns(consent), "user_id": self._user_id}
        await insert_missing(self._writing, tables.consents, row)

    async def ask_erasure(self, request: ErasureRequest) -> None:
        row = {**shapes.ERASURE_REQUEST.columns(request), "user_id": self._user_id}
        await insert_missing(self._writing, tables.erasure_requests, row)


TAKEN = ("uq_bots_active", "uq_bots_manual", "bots.symbol")  # what two of a symbol run into


def first(found: Sequence[Switch]) -> Switch | None:
    return found[0] if found else None


def outbox_row(notice: Notify) -> dict[str, Any]:
    return {
        "user_id": notice.user_id,
        "topic": notice.topic,
        "text": notice.text,
        "at": notice.at,
        "priority": notice.priority,
        "tries": 0,
        "due_at": notice.at,
        "error": "",
    }
