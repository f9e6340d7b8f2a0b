"""When which account is held against its venue: staggered, few at once, later after a failure.

What is done then is in runtime/account_check.py. Requests wait for their turn with the rate
governor, so where a venue's limits are tight the rounds get longer by themselves.
"""

import asyncio
import logging
import zlib
from collections import Counter
from dataclasses import dataclass, field, replace

from structlog.contextvars import bind_contextvars

from tradefleet.domain.credentials import KeyRefused
from tradefleet.domain.effects import Notify, Topic
from tradefleet.domain.errors import VenueError, VenueUnavailable
from tradefleet.domain.ids import AccountId, UserId
from tradefleet.engine.pace import Backoff
from tradefleet.runtime.account_check import AccountCheck
from tradefleet.runtime.host import Host
from tradefleet.runtime.hosted import HostedUser
from tradefleet.runtime.statement import DailyStatement

logger = logging.getLogger(__name__)

TICK = 1.0  # seconds between looks at what is due
FIRST_WITHIN = 10.0  # after a takeover every account is swept once, spread over so many seconds
FILLS_EVERY = 30.0
IDLE_EVERY = 300.0  # where nothing is held or ordered
SWEEP_EVERY = 300.0
BALANCES_EVERY = (60.0, 120.0)
BALANCES_AFTER_FILL = 5.0
BALANCES_AGAIN = 15.0  # after a moment that was not quiet, or a difference seen once
STATEMENT_WITHIN = 3600.0  # after a takeover it is seen within so long when one is due
AT_ONCE = 64  # accounts of one venue
BACK_OFF = Backoff(first=5, factor=2, most=300)
TROUBLE = 3  # failures in a row that a monitor and the user should hear of
AWAY = (
    "⚠️ {name} does not answer for your account; we keep asking. Stops that rest there hold, and "
    "whatever else is to be sold is sold once it answers."
)
BACK = "✅ {name} answers again for your account."


@dataclass(slots=True, eq=False)
class Watch:
    """One account and when its rounds are due, in seconds of the clock."""

    check: AccountCheck
    sweep_at: float
    fills_at: float
    balances_at: float
    statement_at: float
    hurried: int = -1  # the books' changes after which balances were last asked for sooner
    not_before: float = 0.0
    failures: int = 0
    doubts_key: bool = False  # the venue refused it last
    is_told: bool = False  # its user knows that the venue does not answer
    running: bool = False

    def due(self) -> float:
        """Return when something is to be done."""
        return max(self.not_before, min(self.sweep_at, self.fills_at, self.balances_at))


@dataclass(slots=True, kw_only=True, eq=False)
class Reconciliation:
    """The rounds of all accounts at real venues whose users this host owns."""

    host: Host
    statement: DailyStatement = field(default_factory=DailyStatement)
    watches: dict[tuple[UserId, AccountId], Watch] = field(default_factory=dict)
    _running: Counter[str] = field(default_factory=Counter)

    async def run(self) -> None:
        """Start what is due until cancelled; what is under way is cancelled, too."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                for watch in self.due():
                    self._start(watch, tasks)
                await self.host.clock.sleep(TICK)

    def due(self) -> list[Watch]:
        """Return the accounts to look at now, the longest due first."""
        self._follow()
        now = self.host.clock.monotonic()
        due = []
        for watch in self.watches.values():
            if watch.running:
                continue
            self._hurry(watch, now)
            if watch.due() <= now and watch.check.bots:
                due.append(watch)
        return sorted(due, key=Watch.due)

    def _follow(self) -> None:
        """Keep in step with whose accounts the host has."""
        known = self.watches
        for key in [key for key, watch in known.items() if watch.check.user.gone]:
            del known[key]
        for user in self.host.users.values():
            for account_id in user.books if user.ready else ():
                watch = known.get((user.id, account_id))
                if watch is None or watch.check.user is not user:
                    known[user.id, account_id] = self._watch(user, account_id)

    def _watch(self, user: HostedUser, account_id: AccountId) -> Watch:
        now, share = self.host.clock.monotonic(), share_of(account_id)
        return Watch(
            AccountCheck(self.host, user, account_id),
            sweep_at=now + share * FIRST_WITHIN,
            fills_at=now + share * FILLS_EVERY,
            balances_at=now + share * BALANCES_EVERY[0],
            statement_at=now + share * STATEMENT_WITHIN,
        )

    def _hurry(self, watch: Watch, now: float) -> None:
        """Look earlier where a venue rang, something was ordered, or something was filled."""
        check = watch.check
        if check.user.rung:
            check.user.rung = False
            for each in self.watches.values():
                if each.check.user is check.user:
                    each.fills_at = now
        if watch.fills_at - now > FILLS_EVERY and check.is_at_stake:
            watch.fills_at = now + FILLS_EVERY
        changes = check.books.changes
        if check.settled not in (-1, changes) and watch.hurried != changes:
            watch.hurried = changes
            watch.balances_at = min(watch.balances_at, now + BALANCES_AFTER_FILL)

    def _start(self, watch: Watch, tasks: asyncio.TaskGroup) -> None:
        venue = watch.check.account.venue
        if self._running[venue] >= AT_ONCE:
            return
        self._running[venue] += 1
        watch.running = True
        tasks.create_task(self._round(watch, venue))

    async def _round(self, watch: Watch, venue: str) -> None:
        """Do what is due in one account; whatever fails there concerns no other."""
        bind_contextvars(user=watch.check.user.id, account=watch.check.account_id)
        try:
            with self.host.catch() as caught:
                await self._work(watch)
            if caught:
                await self._failed(watch, caught[0])
            elif watch.failures:
                await self._recovered(watch)
        finally:
            self._running[venue] -= 1
            watch.running = False

    async def _work(self, watch: Watch) -> None:
        check, monotonic = watch.check, self.host.clock.monotonic
        if monotonic() >= watch.sweep_at:
            await check.sweep()
            watch.sweep_at = monotonic() + SWEEP_EVERY
            watch.fills_at = monotonic() + self._fills_every(check)
        elif monotonic() >= watch.fills_at:
            await check.fills()
            if check.is_at_stake and not check.user.gone:
                await check.open_orders()
            watch.fills_at = monotonic() + self._fills_every(check)
        if monotonic() >= watch.balances_at and not check.user.gone:
            settled = await check.balances()
            pause = between(BALANCES_EVERY, share_of(check.account_id))
            watch.balances_at = monotonic() + (pause if settled else BALANCES_AGAIN)
        await self._keep_numbers(check)
        if check.books.begun is None and check.agreed and not check.user.gone:
            await self.statement.begin(check)
        if monotonic() >= watch.statement_at and not check.user.gone:
            wait = await self.statement.make(check, share_of(check.account_id))
            watch.statement_at = monotonic() + wait

    async def _keep_numbers(self, check: AccountCheck) -> None:
        """Keep how far an account's numbers had to leap, for whoever opens it next."""
        key = check.account.key
        ahead = 0 if key is None else check.lane.link.numbers_ahead
        if key is None or ahead <= key.numbers_ahead or check.user.gone:
            return
        async with self.host.store.open(check.user.id) as store:
            every = await store.accounts()
            known = next(each for each in every if each.id == check.account_id)
            if known.key is not None:
                leapt = replace(known, key=replace(known.key, numbers_ahead=ahead))
                await store.save_account(leapt)
                check.user.accounts[check.account_id] = leapt

    @staticmethod
    def _fills_every(check: AccountCheck) -> float:
        return FILLS_EVERY if check.is_at_stake else IDLE_EVERY

    async def _failed(self, watch: Watch, fault: Exception) -> None:
        watch.failures += 1
        wait = BACK_OFF.wait(watch.failures)
        watch.not_before = self.host.clock.monotonic() + wait
        say = logger.warning if isinstance(fault, VenueError) else logger.error
        say("account %s cannot be compared now: %r", watch.check.account_id, fault)
        if isinstance(fault, KeyRefused):
            if not watch.doubts_key:
                watch.doubts_key = True
                await self._check_key_now(watch.check)
        elif isinstance(fault, VenueUnavailable) and watch.failures == TROUBLE:
            watch.is_told = True
            self._tell(watch.check, AWAY)

    async def _recovered(self, watch: Watch) -> None:
        """Take back what was said and done because an account could not be compared."""
        doubted, watch.doubts_key = watch.doubts_key, False
        told, watch.is_told = watch.is_told, False
        watch.failures = 0
        if told:
            self._tell(watch.check, BACK)
        if doubted:
            await self._check_key_now(watch.check)

    async def _check_key_now(self, check: AccountCheck) -> None:
        """Have the key checked at once that would be checked within a day: its user hears why."""
        if check.user.gone:
            return
        async with self.host.store.open(check.user.id) as store:
            sealed = (await store.sealed_keys()).get(check.account_id)
            if sealed is not None:
                now = self.host.clock.now()
                await store.save_sealed_key(replace(sealed, check_at=now))

    def _tell(self, check: AccountCheck, text: str) -> None:
        if check.user.gone:
            return
        account, now = check.account, self.host.clock.now()
        name = f"{account.venue} ({account.mode.value})"
        notice = Notify(check.user.id, Topic.SYSTEM, text.format(name=name), now, 1)
        self.host.record(check.user, [notice])
        self.host.flush()

    @property
    def in_trouble(self) -> int:
        """How many accounts could not be compared several times in a row."""
        return sum(watch.failures >= TROUBLE for watch in self.watches.values())


def share_of(account_id: AccountId) -> float:
    """Return an account's place between 0 and 1, so that not all are looked at together."""
    return (zlib.crc32(account_id.encode()) % 1000) / 1000


def between(ends: tuple[float, float], share: float) -> float:
    low, high = ends
    return low + (high - low) * share
