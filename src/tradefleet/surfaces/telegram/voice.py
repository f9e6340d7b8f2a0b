"""What the bot says and does in a chat; it tries again, and never fails but says so."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

from telegram import Bot, InlineKeyboardMarkup, LinkPreviewOptions
from telegram.constants import ParseMode
from telegram.error import BadRequest, NetworkError, RetryAfter, TelegramError

from tradefleet.clock import Clock
from tradefleet.command import Attachment

logger = logging.getLogger(__name__)

BACK_OFF = (1.0, 2.0, 4.0)  # seconds before the next try, when Telegram does not say
PATIENCE = 60.0  # seconds we let Telegram make one user wait; longer is given up
NOTICE_MAX = 200  # characters in the note that answers a button
AS_WISHED = ("message is not modified", "message to delete not found")  # errors that are none
NO_PREVIEW = LinkPreviewOptions(is_disabled=True)


class Voice:
    """Speaks through the bot. Every method returns whether it succeeded."""

    def __init__(self, bot: Bot, clock: Clock) -> None:
        self._bot = bot
        self._clock = clock

    async def say(
        self, chat: int, parts: Sequence[str], keyboard: InlineKeyboardMarkup | None = None
    ) -> bool:
        """Send HTML in as many messages as there are parts, the buttons below the last."""
        for number, html in enumerate(parts, 1):
            if not await self._say_part(chat, html, keyboard if number == len(parts) else None):
                return False
        return True

    async def _say_part(self, chat: int, html: str, keyboard: InlineKeyboardMarkup | None) -> bool:
        return await self._try(
            "send",
            lambda: self._bot.send_message(
                chat,
                html,
                parse_mode=ParseMode.HTML,
                reply_markup=keyboard,
                link_preview_options=NO_PREVIEW,
            ),
        )

    async def hand_over(self, chat: int, attachment: Attachment) -> bool:
        """Send a file, or a picture as one."""
        name, content = attachment.name, attachment.content
        if attachment.media_type == "image/png":
            return await self._try(
                "send", lambda: self._bot.send_photo(chat, content, filename=name)
            )
        return await self._try(
            "send", lambda: self._bot.send_document(chat, content, filename=name)
        )

    async def edit(
        self, chat: int, message: int, html: str, keyboard: InlineKeyboardMarkup | None = None
    ) -> bool:
        """Put new HTML into a message of ours; one that stays as it is counts as done."""
        return await self._try(
            "edit",
            lambda: self._bot.edit_message_text(
                html,
                chat,
                message,
                parse_mode=ParseMode.HTML,
                reply_markup=keyboard,
                link_preview_options=NO_PREVIEW,
            ),
        )

    async def delete(self, chat: int, message: int) -> bool:
        """Delete a message; one that is gone already counts as deleted."""
        return await self._try("delete", lambda: self._bot.delete_message(chat, message))

    async def answer(self, query: str, text: str = "") -> bool:
        """End the waiting sign on a button, with a short note."""
        note = text[:NOTICE_MAX]
        return await self._try("answer", lambda: self._bot.answer_callback_query(query, note))

    async def _try(self, what: str, call: Callable[[], Awaitable[Any]]) -> bool:
        for pause in (*BACK_OFF, None):
            try:
                await call()
                return True
            except TelegramError as error:
                if any(text in error.message.lower() for text in AS_WISHED):
                    return True
                problem = error
            wait = wait_after(problem, pause)
            if wait is None:
                break
            await self._clock.sleep(wait)
        logger.warning("telegram: could not %s: %s", what, problem)
        return False


def wait_after(problem: TelegramError, pause: float | None) -> float | None:
    """Return the seconds until another try is worth it, None when none is."""
    if pause is None:
        return None
    if isinstance(problem, RetryAfter):
        wait = span(problem.retry_after)
        return wait if wait <= PATIENCE else None
    is_passing = isinstance(problem, NetworkError) and not isinstance(problem, BadRequest)
    return pause if is_passing else None


def span(retry_after: int | timedelta) -> float:
    """Return the seconds Telegram asks us to wait."""
    return retry_after.total_seconds() if isinstance(retry_after, timedelta) else retry_after
