"""Updates by long polling: asked for one batch after the other, for as long as it takes.

Of several processes one polls, and keeps how far it came with that duty before a batch is worked
on: no update is worked on twice, whoever goes on. What was being worked on when a process died is
not worked on again: its user hears nothing and asks again.
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
DUTY = "telegram updates"

Keep = Callable[[int], Awaitable[bool]]


async def poll_in_turn(
    bot: UpdatesAsTheyCame, intake: Intake, clock: Clock, *, duties: DutyStore, owner: str
) -> None:
    """Bring updates whenever it is this process's turn, until cancelled."""

    async def work(duty: Duty) -> None:
        async def keep(offset: int) -> bool:
            return await duties.advance(duty, offset)

        await poll(bot, intake, clock, offset=duty.place or None, keep=keep)

    name = f"{DUTY} {bot.id}"
    await Shift(duties, name, owner=owner, clock=clock).run(work)


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
