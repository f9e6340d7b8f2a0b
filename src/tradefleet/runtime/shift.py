"""Work that one process alone does for all: it goes on for as long as the duty is held."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

from tradefleet.clock import Clock
from tradefleet.domain.errors import StoreError
from tradefleet.duty import Duty, DutyStore

logger = logging.getLogger(__name__)

TTL = 15.0  # seconds a duty is held for; who died is followed after that
LOOK = 5.0  # seconds between two looks: whether it is free, or to prolong it
MARGIN = 2.0  # seconds before the end when one who cannot prolong it stops working


class Shift:
    """Waits for a duty, works while it is held, and waits again when it was lost."""

    def __init__(self, duties: DutyStore, name: str, *, owner: str, clock: Clock) -> None:
        self._duties = duties
        self._name = name
        self._owner = owner
        self._clock = clock
        self._until = 0.0  # on the monotonic clock; so long the duty is ours without doubt

    @property
    def is_sure(self) -> bool:
        """Whether nobody else can have taken the duty yet."""
        return self._clock.monotonic() < self._until - MARGIN

    async def run(self, work: Callable[[Duty], Awaitable[None]]) -> None:
        """Do the work whenever the duty is ours, until cancelled."""
        while True:
            duty = await self._take()
            if duty is None:
                await self._clock.sleep(LOOK)
                continue
            logger.info("%s: done here from now on", self._name)
            try:
                await self._work(duty, work)
            finally:
                with suppress(StoreError):  # then it runs out
                    await self._duties.release(duty)

    async def _take(self) -> Duty | None:
        """Take or prolong the duty; None when it is another's, or nobody can say whose."""
        asked, now = self._clock.monotonic(), self._clock.now()
        try:
            duty = await self._duties.take(self._name, self._owner, now=now, ttl=TTL)
        except StoreError as error:
            logger.warning("%s: the store is away: %s", self._name, error)
            return None
        if duty is not None:
            self._until = asked + TTL
        return duty

    async def _work(self, duty: Duty, work: Callable[[Duty], Awaitable[None]]) -> None:
        async with asyncio.TaskGroup() as group:
            working = group.create_task(until_done(work, duty))
            keeping = group.create_task(self._keep(duty))
            await asyncio.wait((working, keeping), return_when=asyncio.FIRST_COMPLETED)
            working.cancel()
            keeping.cancel()

    async def _keep(self, duty: Duty) -> None:
        """Prolong the duty until it is lost."""
        while True:
            await self._clock.sleep(LOOK)
            kept = await self._take()
            if kept is not None and kept.epoch != duty.epoch:
                logger.warning("%s: another did it meanwhile", self._name)
                with suppress(StoreError):
                    await self._duties.release(kept)
                return
            if kept is None and not self.is_sure:
                logger.warning("%s: another does it from now on", self._name)
                return


async def until_done(work: Callable[[Duty], Awaitable[None]], duty: Duty) -> None:
    await work(duty)
