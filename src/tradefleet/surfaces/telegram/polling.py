"""Updates by long polling: asked for one batch after the other, for as long as it takes."""

import asyncio
import logging
from contextlib import suppress

from telegram.error import TelegramError

from tradefleet.clock import Clock
from tradefleet.surfaces.telegram.arrivals import KINDS, Intake
from tradefleet.surfaces.telegram.bot import UpdatesAsTheyCame
from tradefleet.surfaces.telegram.reach import persist, wait_after, why

logger = logging.getLogger(__name__)

POLL = 25  # seconds Telegram holds the line when there is nothing new
BATCH = 100  # Telegram's limit
FAREWELL = 2.0  # seconds to tell Telegram at the end what we have had


async def poll(bot: UpdatesAsTheyCame, intake: Intake, clock: Clock) -> None:
    """Bring updates until cancelled; what was brought is not brought again."""
    await persist("end the webhook", bot.delete_webhook, clock)
    offset: int | None = None
    failures = 0
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
            for raw in updates:
                if isinstance(raw.get("update_id"), int):
                    await intake.put(raw)
                    offset = raw["update_id"] + 1
    finally:
        if offset is not None:
            await say_farewell(bot, offset)


async def say_farewell(bot: UpdatesAsTheyCame, offset: int) -> None:
    """Tell Telegram what we have had, so that the next start does not run it again."""
    with suppress(TelegramError, TimeoutError):
        async with asyncio.timeout(FAREWELL):
            await bot.raw_updates(offset=offset, hold=0, limit=1, allowed=KINDS)
