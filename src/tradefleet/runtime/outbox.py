"""The outbox runner: what users are to be told goes out, in order, and is never lost.

A notice is done only when that is written down, which is tried the moment it was delivered. So it
comes at least once: twice only if the process dies between Telegram's taking it and that write, or
if Telegram's answer was lost on its way. Of several processes at one database one delivers.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby

from tradefleet.clock import Clock
from tradefleet.domain.errors import StoreError
from tradefleet.domain.notices import ALWAYS_TOLD, Loudness
from tradefleet.duty import Duty
from tradefleet.engine.pace import Backoff
from tradefleet.notifier import Blocked, Notifier, RetryLater
from tradefleet.runtime.pace_of_chats import PaceOfChats
from tradefleet.runtime.shift import Shift
from tradefleet.store import OutboxNotice, Store

logger = logging.getLogger(__name__)

DUTY = "outbox"
TICK = 0.2  # seconds between two looks at the store while something waits
IDLE = 0.5  # seconds while nothing does
PAGE = 200  # notices looked at; more, up to PAGE_MAX, when all of them must wait
PAGE_MAX = 5_000
DELIVERY_MAX = 60.0  # seconds one delivery may take
RETRY = Backoff(first=2, factor=2, most=900)
TRIES_MAX = 100  # a day, at the longest wait
KEPT = timedelta(days=1)  # what could not be told for so long is given up
STORE_RETRY = Backoff(first=1, factor=2, most=30)
URGENT = 2  # priorities up to this: fills, stops, faults, guards; the rest may be held together
DIGEST_FROM = 4  # notices waiting for one chat are joined from here on
DIGEST_MAX = 3_000  # characters
SWITCHED_OFF = "the user switched these off"


@dataclass(frozen=True, slots=True)
class Failed:
    """A try to be written down; no retry_at: given up."""

    id: int
    retry_at: datetime | None
    error: str


class Outbox:
    """Delivers notices by the first notifier that reaches them.

    owner: this process's name among those that share the database, "" when it is the only one.
    """

    def __init__(
        self, *, store: Store, notifiers: Sequence[Notifier], clock: Clock, owner: str = ""
    ) -> None:
        self._store = store
        self._notifiers = notifiers
        self._clock = clock
        self._owner = owner
        self._pace = PaceOfChats()
        self._in_flight: set[int] = set()  # ids of notices, as all below
        self._deliveries = 0
        self._sent: list[int] = []  # not written down yet
        self._failed: list[Failed] = []  # not written down yet
        self._put_off: dict[tuple[datetime | None, str], list[int]] = {}  # not written down yet
        self._settled: set[int] = set()  # written down since the store was last looked at
        self._alone: set[int] = set()  # not to be joined: one of a digest was not accepted
        self._page = PAGE
        self._store_failures = 0
        self._writing = asyncio.Lock()

    async def run(self) -> None:
        """Deliver until cancelled; notifiers that hold connections are entered and left."""
        async with AsyncExitStack() as stack:
            for notifier in self._notifiers:
                if isinstance(notifier, AbstractAsyncContextManager):
                    await stack.enter_async_context(notifier)
            if not self._owner:
                await self._deliver_all()
                return
            shift = Shift(self._store.duties, DUTY, owner=self._owner, clock=self._clock)
            await shift.run(self._on_duty)

    async def _on_duty(self, _duty: Duty) -> None:
        await self._deliver_all()

    async def _deliver_all(self) -> None:
        self._in_flight.clear()
        self._deliveries = 0
        self._pace.begin()
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    await self._clock.sleep(await self._turn(group))
        finally:
            with suppress(StoreError):  # then it goes out once more
                await self._write_down()

    async def _turn(self, group: asyncio.TaskGroup) -> float:
        """Write down what was done, start what may go now, return the seconds to the next turn."""
        try:
            await self._write_down()
            self._settled.clear()
            due = await self._store.due_notices(now=self._clock.now(), limit=self._page)
        except StoreError as error:
            self._store_failures += 1
            logger.warning("outbox: the store is away: %s", error)
            return STORE_RETRY.wait(self._store_failures)
        self._store_failures = 0
        started = self._start(due, group)
        is_full = len(due) == self._page
        self._page = min(2 * self._page, PAGE_MAX) if is_full and not started else PAGE
        return TICK if due else IDLE

    def _start(self, due: Sequence[OutboxNotice], group: asyncio.TaskGroup) -> bool:
        """Start as many deliveries as limits allow; say whether anything of the page is done."""
        now = self._clock.monotonic()
        self._pace.look(now)
        under_way = {*self._in_flight, *self._sent, *(failed.id for failed in self._failed)}
        done = under_way | self._settled | {id for ids in self._put_off.values() for id in ids}
        wanted = [notice for notice in due if notice.id not in done and self._is_wanted(notice)]
        if self._pace.is_closed(now):
            return bool(self._put_off)
        started = bool(self._put_off)
        for batch in batches(wanted, self._alone):
            chat = batch[0].telegram_id
            if self._deliveries >= self._pace.at_once():
                break
            if chat is not None:
                if self._pace.must_wait(chat):
                    continue
                if not self._pace.take(chat, now, urgent=is_urgent(batch[0])):
                    break
            self._in_flight |= {notice.id for notice in batch}
            self._deliveries += 1
            group.create_task(self._deliver(batch))
            started = True
        return started

    def _is_wanted(self, notice: OutboxNotice) -> bool:
        """Say whether to tell this now; what is not wanted now or ever is put off."""
        if notice.loudness is Loudness.OFF and notice.notice.topic not in ALWAYS_TOLD:
            self._put_off.setdefault((None, SWITCHED_OFF), []).append(notice.id)
            return False
        chat, now = notice.telegram_id, self._clock.now()
        until = None if chat is None else self._pace.blocked_until(chat, now)
        if until is None:
            return True
        is_old = now - notice.notice.at >= KEPT
        self._put_off.setdefault((None if is_old else until, "blocked"), []).append(notice.id)
        return False

    async def _deliver(self, batch: list[OutboxNotice]) -> None:
        # An error is an answer here: the contract says that any but RetryLater gives it up.
        attempt = self._attempt(joined(batch), [each.id for each in batch])
        (outcome,) = await asyncio.gather(attempt, return_exceptions=True)
        wait = self._judge(batch, outcome)
        if (chat := batch[0].telegram_id) is not None:
            self._pace.done(chat, self._clock.monotonic(), wait)
        self._in_flight -= {each.id for each in batch}
        self._deliveries -= 1
        with suppress(StoreError):  # then with the next turn
            await self._write_down()

    def _judge(self, batch: list[OutboxNotice], outcome: BaseException | None) -> float:
        """Note what became of a delivery; return the seconds its chat asked us to wait."""
        now, ids = self._clock.now(), [each.id for each in batch]
        if outcome is None:
            self._pace.reached()
        elif isinstance(outcome, RetryLater | TimeoutError | asyncio.CancelledError):
            asked = outcome.seconds if isinstance(outcome, RetryLater) else 0.0
            everyone = isinstance(outcome, RetryLater) and outcome.everyone
            if everyone:
                asked = self._pace.close(self._clock.monotonic(), asked)
            self._failed += [failed(each, now, asked, outcome) for each in batch]
            return 0.0 if everyone else asked
        elif isinstance(outcome, Blocked) and batch[0].telegram_id is not None:
            self._pace.block(batch[0].telegram_id, now)
            logger.info("outbox: a chat is left in peace: %s", outcome)
            for each in batch:
                self._is_wanted(each)
        elif len(batch) > 1:
            self._alone |= set(ids)
        else:
            self._failed.append(failed(batch[0], None, 0, outcome))
        return 0.0

    async def _attempt(self, notice: OutboxNotice, ids: Sequence[int]) -> None:
        """Deliver, and note it in the same breath: a cancel cannot come between."""
        for notifier in self._notifiers:
            if notifier.reaches(notice):
                async with asyncio.timeout(DELIVERY_MAX):
                    await notifier.deliver(notice)
                    self._sent += ids
                return
        raise LookupError("no notifier reaches this user")

    async def _write_down(self) -> None:
        """Tell the store what became of notices; what it does not take is kept for the next try."""
        async with self._writing:
            if self._sent:
                sent = tuple(self._sent)
                await self._store.notice_sent(sent, now=self._clock.now())
                self._settle(sent)
                del self._sent[: len(sent)]
            while self._failed:
                first = self._failed[0]
                await self._store.notice_failed(
                    first.id, retry_at=first.retry_at, error=first.error
                )
                self._settle([first.id])
                del self._failed[0]
            while self._put_off:
                (until, error), ids = next(iter(self._put_off.items()))
                written = tuple(ids)
                await self._store.put_off_notices(written, until=until, error=error)
                self._settle(written)
                del ids[: len(written)]
                if not ids:
                    del self._put_off[until, error]

    def _settle(self, ids: Sequence[int]) -> None:
        self._alone.difference_update(ids)
        self._settled.update(ids)


# ---- what goes together


def is_urgent(notice: OutboxNotice) -> bool:
    return notice.notice.priority <= URGENT


def batches(due: Sequence[OutboxNotice], alone: set[int]) -> list[list[OutboxNotice]]:
    """Return what is to be sent next to each chat, by whose turn it is.

    Usually its first notice; if many as urgent wait, these together.
    """
    chats: dict[int, list[OutboxNotice]] = {}
    for notice in due:
        key = -notice.id if notice.telegram_id is None else notice.telegram_id
        chats.setdefault(key, []).append(notice)
    return [joinable(waiting, alone) for waiting in chats.values()]


def joinable(waiting: Sequence[OutboxNotice], alone: set[int]) -> list[OutboxNotice]:
    first = waiting[0]
    if first.id in alone:
        return [first]
    alike = [n for n in waiting if is_urgent(n) is is_urgent(first) and n.id not in alone]
    batch, room = [first], DIGEST_MAX - len(first.notice.text)
    for notice in alike[1:] if len(alike) >= DIGEST_FROM else []:
        room -= len(notice.notice.text) + 2
        if room < 0:
            break
        batch.append(notice)
    return batch


def joined(batch: Sequence[OutboxNotice]) -> OutboxNotice:
    """Return several notices as one, as loud as the loudest; the same in a row only once."""
    if len(batch) == 1:
        return batch[0]
    runs = [(text, len(list(run))) for text, run in groupby(each.notice.text for each in batch)]
    text = "\n\n".join(text if times == 1 else f"{text} ({times} times)" for text, times in runs)
    loud = any(each.loudness is Loudness.ON for each in batch)
    return replace(
        batch[0],
        notice=replace(batch[0].notice, text=text),
        loudness=Loudness.ON if loud else Loudness.SILENT,
    )


def failed(
    notice: OutboxNotice, now: datetime | None, asked: float, error: BaseException
) -> Failed:
    """Return a failed try: again from now on when there is a now, and not too many were made.

    While nobody can be reached, tries are no reason to give up, only age is.
    """
    tries, cause = notice.tries + 1, f"{type(error).__name__}: {error}"
    everyone = isinstance(error, RetryLater) and error.everyone
    if now is None or (tries >= TRIES_MAX and (not everyone or now - notice.notice.at >= KEPT)):
        logger.warning("outbox: notice %d is given up after %d tries: %s", notice.id, tries, cause)
        return Failed(notice.id, None, cause)
    wait = min(RETRY.wait(tries), 2 * asked) if everyone else RETRY.wait(tries)
    return Failed(notice.id, now + timedelta(seconds=max(asked, wait)), cause)
