"""Reach Telegram sooner or later: try again, ever more slowly, saying why."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from telegram.error import Conflict, InvalidToken, RetryAfter, TelegramError

from tradefleet.clock import Clock
from tradefleet.engine.pace import Backoff
from tradefleet.surfaces.telegram.voice import span

logger = logging.getLogger(__name__)

BACK_OFF = Backoff(first=1.0, factor=2.0, most=60.0)


async def persist(what: str, call: Callable[[], Awaitable[Any]], clock: Clock) -> None:
    """Do a thing that must be done, however long it takes."""
    failures = 0
    while True:
        try:
            await call()
            return
        except TelegramError as error:
            failures += 1
            wait = wait_after(error, failures)
            logger.warning("telegram: could not %s: %s; next try in %g s", what, why(error), wait)
        await clock.sleep(wait)


def wait_after(error: TelegramError, failures: int) -> float:
    """Return the seconds until the next try, never fewer than Telegram asked for."""
    asked = span(error.retry_after) if isinstance(error, RetryAfter) else 0.0
    return max(asked, BACK_OFF.wait(failures))


def why(error: TelegramError) -> str:
    """Return the cause and its cure; never the library's own words on a token, which hold it."""
    if isinstance(error, InvalidToken):
        return "Telegram rejects the bot token; give the one that BotFather shows"
    if isinstance(error, Conflict):
        return "another process takes this bot's updates; let only one poll, or use a webhook"
    return error.message
