"""Notices to users who talk to us on Telegram."""

from typing import Self

from telegram.error import (
    BadRequest,
    Forbidden,
    InvalidToken,
    NetworkError,
    RetryAfter,
    TelegramError,
)

from tradefleet.domain.notices import Loudness
from tradefleet.notifier import Blocked, RetryLater
from tradefleet.store import OutboxNotice
from tradefleet.surfaces.telegram.bot import build_bot, quiet_libraries
from tradefleet.surfaces.telegram.markup import plain_parts
from tradefleet.surfaces.telegram.options import TelegramOptions
from tradefleet.surfaces.telegram.reach import why
from tradefleet.surfaces.telegram.voice import NO_PREVIEW, span

SOON = 1.0  # seconds; the outbox waits longer, the more often it fails
NO_CHAT = ("chat not found", "user not found", "peer_id_invalid")  # they are there no more
TOKEN_WAIT = 60.0  # seconds; until then an operator may have set it right


class Unreachable(Exception):
    """The user cannot be told this: Telegram takes no such text."""


class TelegramNotifier:
    """Sends notices; it has connections of its own, so it works where no surface is served."""

    def __init__(self, options: TelegramOptions) -> None:
        quiet_libraries()
        self._bot = build_bot(options)

    def reaches(self, notice: OutboxNotice) -> bool:
        return notice.telegram_id is not None

    async def deliver(self, notice: OutboxNotice) -> None:
        """Send a notice, in several messages if it is long.

        Of a long one that fails halfway, the beginning comes twice.
        """
        for html in plain_parts(notice.notice.text):
            try:
                await self._bot.send_message(
                    notice.telegram_id or 0,
                    html,
                    parse_mode="HTML",
                    disable_notification=notice.loudness is not Loudness.ON,
                    link_preview_options=NO_PREVIEW,
                )
            except TelegramError as error:
                raise verdict(error) from None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._bot.request.shutdown()


def verdict(error: TelegramError) -> RetryLater | Blocked | Unreachable:
    """Return what the outbox is to make of an error."""
    if isinstance(error, RetryAfter):
        return RetryLater(span(error.retry_after), "Telegram asks us to wait")
    if isinstance(error, InvalidToken):
        return RetryLater(TOKEN_WAIT, why(error), everyone=True)
    if isinstance(error, Forbidden) or any(sign in error.message.lower() for sign in NO_CHAT):
        return Blocked(error.message)
    if isinstance(error, NetworkError) and not isinstance(error, BadRequest):
        return RetryLater(SOON, error.message, everyone=True)
    return Unreachable(error.message)
