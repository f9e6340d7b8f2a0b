"""The outbox runner: what users are to be told goes out, in order, and is never lost.

A notice is done only when that is written down, so one sent just before a crash comes again.
Run one per database: two would each send everything.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from tradefleet.clock import Clock
from tradefleet.domain.errors import StoreError
from tradefleet.engine.pace import Backoff, TokenBucket
from tradefleet.notifier import Notifier, RetryLater
from tradefleet.store import OutboxNotice, Store

logger = logging.getLogger(__name__)

PER_SECOND = 30.0  # Telegram's limit over all chats; the burst stays below it
BURST = 15
CHAT_PAUSE = 1.0  # seconds between two messages to one chat, Telegram's limit
TICK = 0.2  # seconds between two looks at the store while something waits
IDLE = 0.5  # seconds while nothing does
PAGE = 200  # notices looked at; more, up to PAGE_MAX, when all of them must wait
PAGE_MAX = 5_000
IN_FLIGHT_MAX = 50
DELIVERY_MAX = 60.0  # seconds one delivery may take
RETRY = Backoff(first=2, factor=2, most=900)
TRIES_MAX = 100  # a day, at the longest wait
STORE_RETRY = Backoff(first=1, factor=2, most=30)
DIGEST_FROM = 4  # notices of one topic waiting for one chat are joined from here on
DIGEST_MAX = 3_000  # characters


@dataclass(frozen=True, slots=True)
class Failed:
    """A try to be written down; no retry_at: given up."""

    id: int
    retry_at: datetime | None
    error: str


class Outbox:
    """Delivers notices by the first notifier that reaches them."""

    def __init__(self, *, store: Store, notifiers: Sequence[Notifier], clock: Clock) -> None:
        self._store = store
        self._notifiers = notifiers
        self._clock = clock
        self._rate = TokenBucket(PER_SECOND, BURST)
        self._free_at: dict[int, float] = {}  # by chat, while it must wait
        self._busy_chats: set[int] = set()
        self._in_flight: set[int] = set()  # ids of notices, as all below
        self._sent: list[int] = []  # not written down yet
        self._failed: list[Failed] = []  # not written down yet
        self._alone: set[int] = set()  # not to be joined: one of a digest was not accepted
        self._page = PAGE
        self._store_failures = 0

    async def run(self) -> None:
        """Deliver until cancelled; notifiers that hold connections are entered and left."""
        async with AsyncExitStack() as stack:
            for notifier in self._notifiers:
                if isinstance(notifier, AbstractAsyncContextManager):
                    await stack.enter_async_context(notifier)
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
        """Start as many deliveries as limits allow, and say whether any was."""
        now = self._clock.monotonic()
        self._free_at = {chat: free for chat, free in self._free_at.items() if free > now}
        done = {*self._in_flight, *self._sent, *(failed.id for failed in self._failed)}
        started = False
        for batch in self._batches([notice for notice in due if notice.id not in done]):
            chat = batch[0].telegram_id
            if len(self._in_flight) >= IN_FLIGHT_MAX:
                break
            if chat is not None:
                if chat in self._busy_chats or chat in self._free_at:
                    continue
                if self._rate.take(now) > 0:
                    break
                self._busy_chats.add(chat)
            self._in_flight |= {notice.id for notice in batch}
            group.create_task(self._deliver(batch))
            started = True
        return started

    def _batches(self, due: Sequence[OutboxNotice]) -> list[list[OutboxNotice]]:
        """Return what is to be sent next to each chat, by whose turn it is.

        Usually its first notice; if many of one topic wait, these together.
        """
        chats: dict[int, list[OutboxNotice]] = {}
        for notice in due:
            key = -notice.id if notice.telegram_id is None else notice.telegram_id
            chats.setdefault(key, []).append(notice)
        return [self._joinable(waiting) for waiting in chats.values()]

    def _joinable(self, waiting: list[OutboxNotice]) -> list[OutboxNotice]:
        first = waiting[0]
        if first.id in self._alone:
            return [first]
        alike = [
            notice
            for notice in waiting
            if notice.notice.topic == first.notice.topic and notice.id not in self._alone
        ]
        batch, room = [first], DIGEST_MAX - len(first.notice.text)
        for notice in alike[1:] if len(alike) >= DIGEST_FROM else []:
            room -= len(notice.notice.text) + 2
            if room < 0:
                break
            batch.append(notice)
        return batch

    async def _deliver(self, batch: list[OutboxNotice]) -> None:
        notice = joined(batch)
        # An error is an answer here: the contract says that any but RetryLater gives it up.
        attempt = self._attempt(notice, [each.id for each in batch])
        (outcome,) = await asyncio.gather(attempt, return_exceptions=True)
        now, chat = self._clock.now(), notice.telegram_id
        pause = CHAT_PAUSE
        if isinstance(outcome, RetryLater | TimeoutError | asyncio.CancelledError):
            asked = outcome.seconds if isinstance(outcome, RetryLater) else 0.0
            pause = max(pause, asked)
            self._failed += [failed(each, now, asked, outcome) for each in batch]
        elif outcome is not None and len(batch) > 1:
            self._alone |= {each.id for each in batch}
        elif outcome is not None:
            self._failed.append(failed(notice, None, 0, outcome))
        if chat is not None:
            self._free_at[chat] = self._clock.monotonic() + pause
            self._busy_chats.discard(chat)
        self._in_flight -= {each.id for each in batch}

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
        if self._sent:
            sent = tuple(self._sent)
            await self._store.notice_sent(sent, now=self._clock.now())
            self._forget(sent)
            del self._sent[: len(sent)]
        while self._failed:
            first = self._failed[0]
            await self._store.notice_failed(first.id, retry_at=first.retry_at, error=first.error)
            self._forget([first.id])
            del self._failed[0]

    def _forget(self, ids: Sequence[int]) -> None:
        self._alone.difference_update(ids)


def joined(batch: Sequence[OutboxNotice]) -> OutboxNotice:
    """Return several notices as one."""
    text = "\n\n".join(each.notice.text for each in batch)
    return replace(batch[0], notice=replace(batch[0].notice, text=text))


def failed(
    notice: OutboxNotice, now: datetime | None, asked: float, error: BaseException
) -> Failed:
    """Return a failed try: again from now on when there is a now, and not too many were made."""
    tries, cause = notice.tries + 1, f"{type(error).__name__}: {error}"
    if now is None or tries >= TRIES_MAX:
        logger.warning("outbox: notice %d is given up after %d tries: %s", notice.id, tries, cause)
        return Failed(notice.id, None, cause)
    wait = max(asked, RETRY.wait(tries))
    return Failed(notice.id, now + timedelta(seconds=wait), cause)
