"""Updates by long polling: asked for one batch after the other, for as long as it takes.

Of several processes one polls. Telegram forgets a batch when the next one is asked for, which is at
once; how far we came is kept with the duty, too, so that whoever goes on begins no lower. One who
cannot be sure that the duty is still theirs asks the database before a batch is worked on. What was
being worked on when a process died is not worked on again: its user hears nothing and asks again.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from telegram.error import TelegramError

from tradefleet.clock import Clock
from tradefleet.domain.errors import StoreError
from tradefleet.duty import Duty, DutyStore
from tradefleet.runtime.shift import Shift
from tradefleet.surfaces.telegram.arrivals import KINDS, Intake
from tradefleet.surfaces.telegram.bot import UpdatesAsTheyCame
from tradefleet.surfaces.telegram.reach import persist, wait_after, why

logger = logging.getLogger(__name__)

POLL = 25  # seconds Telegram holds the line when there is nothing new
BATCH = 100  # Telegram's limit
FAREWELL = 2.0  # seconds to tell Telegram at the end what we have had
STORE_PAUSE = 1.0  # seconds until a batch is asked for again that could not be kept
PLACE_SECONDS = 1.0  # between two writings of how far we came
DUTY = "telegram updates"

Keep = Callable[[int], Awaitable[bool]]


class Place:
    """How far the holder of the duty came: written every second, and before it matters."""

    def __init__(self, duties: DutyStore, duty: Duty, shift: Shift, clock: Clock) -> None:
        self._duties = duties
        self._duty = duty
        self._shift = shift
        self._clock = clock
        self._offset = self._written = duty.place

    async def keep(self, offset: int) -> bool:
        """Note how far we came; return whether what came before it is ours to work on."""
        self._offset = offset
        return self._shift.is_sure or await self.write()

    async def write(self) -> bool:
        """Write it down; return whether the duty is still ours."""
        offset = self._offset
        if not await self._duties.advance(self._duty, offset):
            return False
        self._written = offset
        return True

    async def run(self) -> None:
        """Write it down every second, if there is anything to write."""
        while True:
            await self._clock.sleep(PLACE_SECONDS)
            if self._offset != self._written:
                with suppress(StoreError):  # then a second later
                    await self.write()


async def poll_in_turn(
    bot: UpdatesAsTheyCame, intake: Intake, clock: Clock, *, duties: DutyStore, owner: str
) -> None:
    """Bring updates whenever it is this process's turn, until cancelled."""
    shift = Shift(duties, f"{DUTY} {bot.id}", owner=owner, clock=clock)

    async def work(duty: Duty) -> None:
        place = Place(duties, duty, shift, clock)
        async with asyncio.TaskGroup() as group:
            writing = group.create_task(place.run())
            try:
                await poll(bot, intake, clock, offset=duty.place or None, keep=place.keep)
            finally:
                writing.cancel()
                with suppress(StoreError):  # Telegram knows it, too
                    await place.write()

    await shift.run(work)


async def keep_nothing(_offset: int) -> bool:
    return True


async def poll(
    bot: UpdatesAsTheyCame,
    intake: Intake,
    clock: Clock,
    *,
    offset: int | None = None,
    keep: Keep = keep_nothing,
) -> None:
    """Bring updates until cancelled; what was brought is not brought again.

    keep writes down how far we came, and says no when that is another's business by now.
    """
    await persist("end the webhook", bot.delete_webhook, clock)
    failures, had = 0, offset  # had: what is on its way to be worked on; offset: what is kept
    try:
        while True:
            try:
                updates = await bot.raw_updates(
                    offset=offset, hold=POLL, limit=BATCH, allowed=KINDS
                )
            except TelegramError as error:
                failures += 1
                logger.warning("telegram: no updates: %s", why(error))
                await clock.sleep(wait_after(error, failures))
                continue
            failures = 0
            read = [raw for raw in updates if is_numbered(raw)]
            if not read:
                continue
            try:
                ours = await keep(read[-1]["update_id"] + 1)
            except StoreError as error:
                logger.warning("telegram: updates wait at Telegram; the store is away: %s", error)
                await clock.sleep(STORE_PAUSE)
                continue
            if not ours:
                offset = None  # whoever polls now has been further
                return
            had, offset = read[0]["update_id"], read[-1]["update_id"] + 1
            for raw in read:
                await intake.put(raw)
                had = raw["update_id"] + 1
    finally:
        if had != offset and had is not None:
            with suppress(StoreError):  # then the rest of the batch is lost
                await keep(had)
        if offset is not None and had is not None:
            await say_farewell(bot, had)


def is_numbered(raw: dict[str, Any]) -> bool:
    return isinstance(raw.get("update_id"), int)


async def say_farewell(bot: UpdatesAsTheyCame, offset: int) -> None:
    """Tell Telegram what we have had, so that the next start does not run it again."""
    with suppress(TelegramError, TimeoutError):
        async with asyncio.timeout(FAREWELL):
            await bot.raw_updates(offset=offset, hold=0, limit=1, allowed=KINDS)
