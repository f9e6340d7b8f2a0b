"""Who owns which users, and what their commands ask of the host that owns them.

Every few seconds a host prolongs its leases, takes users nobody owns, and drops those it has
lost. What a command wants from a running bot arrives as a message in the user's own
transaction, so that a command that was rolled back has told nobody.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from structlog.contextvars import bound_contextvars

from tradefleet.domain.bot import BotSpec, BotStatus
from tradefleet.domain.effects import GuardChanged, Notify, Topic
from tradefleet.domain.errors import Refused, VenueError
from tradefleet.domain.events import (
    BuyAsked,
    ExitAsked,
    SellAsked,
    StartAsked,
    StopAsked,
    TooLate,
)
from tradefleet.domain.ids import AccountId, BotId, UserId
from tradefleet.domain.limits import Halt, RiskLimits
from tradefleet.domain.market import Side
from tradefleet.domain.tiers import allowed_to
from tradefleet.runtime.feed import Feed
from tradefleet.runtime.host import Host
from tradefleet.runtime.hosted import HostedBot, HostedUser
from tradefleet.runtime.recovery import (
    fund_account,
    open_accounts,
    settle_universes,
    start_missing,
    take_user,
)
from tradefleet.runtime.start_times import StartTimes
from tradefleet.store import HostMessage, Lease, Ruling, UserLoad

logger = logging.getLogger(__name__)

ASKED_LATELY = timedelta(seconds=30)  # an order by hand waits so long for a price, no longer
PRICE_AGE_MOST = timedelta(seconds=60)  # of the price by which such an order is sized
MESSAGES_MAX = 200  # taken at once
USERS_MAX = 20_000  # run by one host
TAKEN_AT_ONCE = 100  # users loaded together


KeysRead = Callable[[Sequence[UserId]], Awaitable[None]]


@dataclass(slots=True, kw_only=True, eq=False)
class Ownership:
    """Keeps a live host's users in step with leases and commands."""

    host: Host
    feeds: dict[str, Feed]
    lease_seconds: float = 15.0
    poll_seconds: float = 1.0
    users_max: int = USERS_MAX
    start: StartTimes | None = None  # measures until every user was taken for the first time
    read_keys: KeysRead | None = None  # of users whose accounts are opened next
    _renewed_at: float = field(init=False)
    _taking: set[UserId] = field(default_factory=set)  # leased, and not run yet

    def __post_init__(self) -> None:
        self._renewed_at = self.host.clock.monotonic()

    async def run(self) -> None:
        """Renew leases, take users and work off messages until cancelled."""
        while True:
            await self.poll()
            await self.host.clock.sleep(self.poll_seconds)

    async def poll(self) -> None:
        """Do once what there is to do now."""
        if self._is_renewal_due or self.host.dropped:
            await self._renew()
        await self.take_users()
        await self.read_messages()
        await self.host.close_accounts()

    # ------------------------------------------------------------------ leases

    async def take_users(self) -> None:
        """Take users nobody owns, and those whom the store refused, from the store."""
        host, taken = self.host, TAKEN_AT_ONCE
        while taken == TAKEN_AT_ONCE:
            leases = await host.store.take_leases(
                host.owner,
                now=host.clock.now(),
                ttl=self.lease_seconds,
                limit=min(TAKEN_AT_ONCE, max(0, self.users_max - len(host.users))),
            )
            taken = len(leases)
            self._ends("leases")
            await self._take(leases)

    def _ends(self, phase: str) -> None:
        if self.start is not None:
            self.start.ends(phase)

    async def _take(self, leases: Sequence[Lease]) -> None:
        """Run users; one who cannot be run now is tried again, and stops nobody else."""
        host, ready = self.host, []
        for lease in leases:
            if (before := host.users.get(lease.user_id)) is not None:
                host.drop(before)  # their lease ran out here, unseen: nobody runs twice
            host.dropped.discard(lease.user_id)
            if host.is_retiring(lease.user_id):
                host.dropped.add(lease.user_id)  # what they sent before has to come back first
            else:
                ready.append(lease)
        if not ready:
            return
        await host.journal.flushed()  # of what they decided here before
        loads: dict[UserId, UserLoad] = {}
        with host.catch() as caught:
            found = await host.store.load_users([lease.user_id for lease in ready])
            loads = {load.user.id: load for load in found}
        if caught:  # one of them cannot be read: then each is, alone
            logger.error("users cannot be loaded together: %r", caught[0])
        await self._read_keys([*loads])
        self._ends("reading users")
        self._taking |= {lease.user_id for lease in ready}
        async with asyncio.TaskGroup() as tasks:
            specs = (spec for load in loads.values() for spec in load.bots)
            for spec in {spec.venue: spec for spec in specs}.values():
                tasks.create_task(self._list_markets(spec))
            for lease in ready:
                await self._take_one(lease, loads.get(lease.user_id))
                self._taking.discard(lease.user_id)
                if self._is_renewal_due:  # or who was first is lost before the last is here
                    await self._renew()
        await self._read_keys([])

    async def _list_markets(self, spec: BotSpec) -> None:
        """Let a venue list its markets while others do; where that fails, its bots ask again."""
        venue = self.host.venues.get(spec.venue)
        with self.host.catch() as caught:
            if venue is not None:
                await venue.market.rules(spec.symbol)
        if caught:
            logger.debug("no markets of %s yet: %r", spec.venue, caught[0])

    async def _read_keys(self, users: Sequence[UserId]) -> None:
        """Read users' keys in one go; where that fails, each is read when it is needed."""
        if self.read_keys is None:
            return
        with self.host.catch() as caught:
            await self.read_keys(users)
        if caught:
            logger.error("keys cannot be read together: %r", caught[0])

    async def _take_one(self, lease: Lease, load: UserLoad | None) -> None:
        host = self.host
        with bound_contextvars(user=lease.user_id), host.catch() as caught:
            user = await take_user(host, lease, load)
            self._ends("accounts and bots")
            await self._warm(user)
            self._ends("history")
            logger.info("took user %s: %d bots, epoch %d", user.id, len(user.bots), lease.epoch)
        if caught:
            logger.error("user %s cannot be run now: %r", lease.user_id, caught[0])
            if lease.user_id in host.users:
                host.drop(host.users[lease.user_id])
            host.dropped.discard(lease.user_id)  # not at once: with the next renewal

    async def _warm(self, user: HostedUser) -> None:
        """Warm the groups of a user's bots; where that fails, the first bar does it."""
        for bot in list(user.bots.values()):
            feed = self.feeds.get(bot.group.stream.venue)
            if feed is None or bot.group.last_at is not None:
                continue
            try:
                await feed.warm(bot.group)
            except Refused as error:
                self.host.set_aside(bot, f"no market data: {error}")
                self.host.flush()
            except VenueError as error:
                logger.warning("no history of %s yet: %s", bot.group.stream, error)
        self._follow()

    def _follow(self) -> None:
        for feed in self.feeds.values():
            feed.changed()

    @property
    def _is_renewal_due(self) -> bool:
        return self.host.clock.monotonic() - self._renewed_at >= self.lease_seconds / 3

    async def _renew(self) -> None:
        host = self.host
        self._renewed_at = host.clock.monotonic()
        held = await host.store.renew_leases(
            host.owner, now=host.clock.now(), ttl=self.lease_seconds
        )
        leases = {lease.user_id: lease for lease in held}
        switched: list[HostedUser] = []
        for user in list(host.users.values()):
            lease = leases.get(user.id)
            if user.gone:
                continue
            if lease is None or lease.epoch != user.lease.epoch:
                self._lost(user)
            elif lease.kill_version != user.lease.kill_version:
                switched.append(user)
            else:
                user.lease = lease
        await self._obey(switched)
        host.dropped &= leases.keys()
        # Whose writes the store refused, and who could not be run before.
        known = host.users.keys() | self._taking
        await self._take([lease for user_id, lease in leases.items() if user_id not in known])
        for user in [user for user in host.users.values() if not user.is_complete]:
            await self._complete(user)

    def _lost(self, user: HostedUser) -> None:
        logger.warning("lost the lease of user %s; dropping them", user.id)  # no fault: fenced
        self.host.drop(user)

    async def _complete(self, user: HostedUser) -> None:
        """Start the bots that waited for a venue that was silent."""
        load = await self.host.store.load_user(user.id)
        if not user.gone:
            settle_universes(user, load)
            await start_missing(self.host, user, load)
            await self._warm(user)

    # ---------------------------------------------------------------- messages

    async def read_messages(self) -> None:
        """Work off what commands left for this host, oldest first.

        A message is dropped once what it asked for is written down; those of a user who has
        to be taken again wait for that. A fault on the way has its user taken again, and
        nobody else: what should be is in the store.
        """
        host = self.host
        messages = await host.store.host_messages(host.owner, MESSAGES_MAX)
        followed: list[HostMessage] = []
        failed: list[HostMessage] = []
        told = [each.user_id for each in messages if each.subject == "switches_changed"]
        await self._obey([host.users[each] for each in dict.fromkeys(told) if each in host.users])
        for message in messages:
            user = host.users.get(message.user_id)
            if user is None:
                continue
            with (
                bound_contextvars(user=user.id, message=message.subject),
                host.catch() as caught,
            ):
                if await self._handle(user, message):
                    followed.append(message)
            if caught:
                logger.error("message %r of user %s: %r", message.subject, user.id, caught[0])
                host.drop(user)
                failed.append(message)
        if followed or failed:
            host.flush()
            await host.journal.flushed()
            done = [message for message in followed if message.user_id in host.users]
            await host.store.drop_messages([message.id for message in [*done, *failed]])

    async def _handle(self, user: HostedUser, message: HostMessage) -> bool:
        """Do what a message asks for; False: it cannot be done yet, and waits."""
        match message.subject:
            case "trade_asked":
                return await self._trade_asked(user, message.payload)
            case "bot_changed":
                await self._bot_changed(user, BotId(message.payload["bot_id"]))
            case "allocate":
                await self._allocate(user, AccountId(message.payload["account_id"]))
            case "account_changed":
                await self._account_changed(user, AccountId(message.payload["account_id"]))
            case "force_exit":
                self._force_exit(user, BotId(message.payload["bot_id"]))
            case "switches_changed":
                pass  # obeyed already, with those of all others
            case "resume":
                self._resume(user, message.payload["reason"])
            case unknown:
                logger.error("message %r of user %s is dropped: unknown", unknown, user.id)
        return True

    async def _trade_asked(self, user: HostedUser, asked: Mapping[str, Any]) -> bool:
        """Let a bot order what its user asked for, at a price of now; without one it waits."""
        bot = await self._desk(user, BotId(asked["bot_id"]), AccountId(asked["account_id"]))
        asked_at, now = datetime.fromisoformat(asked["asked_at"]), self.host.clock.now()
        late = now - asked_at > ASKED_LATELY
        if bot is None or user.gone:
            return late
        spec = bot.engine.spec
        price = self._price_of(spec, now)
        if bot.fault or (late and price is None):
            reason = bot.fault or f"No price of {spec.symbol} came in time; try again."
            self.host.deliver(bot, TooLate(asked_at, reason))
        elif late:
            self.host.deliver(bot, TooLate(asked_at, "The order was asked for too long ago."))
        elif price is None:
            return False
        else:
            self.host.deliver(bot, trade_event(asked, asked_at, now, price))
        return True

    async def _desk(
        self, user: HostedUser, bot_id: BotId, account_id: AccountId
    ) -> HostedBot | None:
        """Return the bot that trades for its user by hand, started and funded; None: not now."""
        host = self.host
        load = await host.store.load_user(user.id)
        await open_accounts(host, user, load)
        if account_id not in user.lanes:
            return None
        if user.lanes[account_id].link.is_simulated:
            await fund_account(host, user, account_id)
        settle_universes(user, load)
        await start_missing(host, user, load)
        await self._warm(user)
        return user.bots.get(bot_id)

    def _price_of(self, spec: BotSpec, now: datetime) -> Decimal | None:
        """Return where the market of a bot is now, None when nobody knows."""
        feed = self.feeds.get(spec.venue)
        if feed is None or now - feed.prices.get(spec.symbol, now) > PRICE_AGE_MOST:
            return None
        return feed.last.get(spec.symbol)

    async def _bot_changed(self, user: HostedUser, bot_id: BotId) -> None:
        """Bring one bot in step with what its user wants."""
        host, now = self.host, self.host.clock.now()
        host.flush()
        await host.journal.flushed()  # or the store would not know yet who was set aside
        load = await host.store.load_user(user.id)
        if user.gone:
            return
        spec = next((spec for spec in load.bots if spec.id == bot_id), None)
        bot = user.bots.get(bot_id)
        if spec is None:
            if bot is not None:
                host.remove(bot)
                user.guard.forget(bot_id)
                self._follow()
            settle_universes(user, load)
            return
        if bot is not None and bot.fault and spec.status is BotStatus.RUNNING:
            host.drop(user)  # to be taken again: from the store, with a fresh strategy
            return
        if bot is None:
            await open_accounts(host, user, load)
            if spec.account_id not in user.lanes:
                return
            settle_universes(user, load)
            await start_missing(host, user, load)
            await self._warm(user)
            return
        bot.engine.spec = spec
        starts = spec.status is BotStatus.RUNNING
        host.deliver(bot, StartAsked(now) if starts else StopAsked(now))

    async def _allocate(self, user: HostedUser, account_id: AccountId) -> None:
        load = await self.host.store.load_user(user.id)
        await open_accounts(self.host, user, load)
        if account_id in user.lanes:
            await fund_account(self.host, user, account_id)
        settle_universes(user, load)
        await start_missing(self.host, user, load)
        await self._warm(user)

    async def _account_changed(self, user: HostedUser, account_id: AccountId) -> None:
        """Take a user anew whose account was connected with another key, or let go of."""
        load = await self.host.store.load_user(user.id)
        account = next((account for account in load.accounts if account.id == account_id), None)
        if account != user.accounts.get(account_id) and not user.gone:
            self.host.drop(user)

    def _force_exit(self, user: HostedUser, bot_id: BotId) -> None:
        bot = user.bots.get(bot_id)
        if bot is not None:
            self.host.deliver(bot, ExitAsked("force_exit", self.host.clock.now()))

    async def _obey(self, users: Sequence[HostedUser]) -> None:
        """Obey limits and kill switches as they stand now; flatten what must be flat.

        A ruling's kill version was read before its switches, so that nothing is ever armed
        under a version whose switches are not obeyed yet.
        """
        host = self.host
        for user, ruling in await self._rulings(users):
            if user.gone:
                continue
            if ruling.lease.epoch != user.lease.epoch:
                self._lost(user)
                continue
            user.guard.set_switches(ruling.switches)
            tier = allowed_to(ruling.user, host.tiers)
            user.guard.set_limits(ruling.limits or RiskLimits.default(), tier)
            user.lease = ruling.lease
            for bot in user.bots.values():
                bot.engine.restore_guards()
            for bot in list(user.bots.values()):
                spec = bot.engine.spec
                if user.guard.halt_for(spec.id, spec.account_id) is Halt.FLATTEN:
                    host.deliver(bot, ExitAsked("kill_switch", host.clock.now()))
        host.flush()

    async def _rulings(self, users: Sequence[HostedUser]) -> list[tuple[HostedUser, Ruling]]:
        """Read what users may do, all together; whose rows cannot be read is taken again, alone."""
        host = self.host
        if not users:
            return []
        with host.catch() as caught:
            found = await host.store.rulings([user.id for user in users])
            return list(zip(users, found, strict=True))
        logger.error("limits and switches cannot be read: %r", caught[0])
        if len(users) > 1:
            return [one for user in users for one in await self._rulings([user])]
        host.drop(users[0])
        return []

    def _resume(self, user: HostedUser, reason: str) -> None:
        now = self.host.clock.now()
        texts = user.guard.resume(reason, now) + user.guard.reset_breaker(reason, now)
        notices = [Notify(user.id, Topic.GUARD, text, now) for text in texts]
        self.host.record(user, [GuardChanged(user.guard.memory), *notices])


def trade_event(
    asked: Mapping[str, Any], asked_at: datetime, now: datetime, price: Decimal
) -> BuyAsked | SellAsked:
    """Return what a bot is told of an order by hand."""

    def given(name: str) -> Decimal | None:
        return Decimal(asked[name]) if asked.get(name) else None

    if asked["side"] == Side.SELL:
        return SellAsked(
            asked_at=asked_at,
            at=now,
            price=price,
            quantity=Decimal(asked["quantity"]),
            amount=given("amount"),
        )
    return BuyAsked(
        asked_at=asked_at,
        at=now,
        price=price,
        funds=Decimal(asked["funds"]),
        amount=given("amount"),
        quantity=given("quantity"),
    )
