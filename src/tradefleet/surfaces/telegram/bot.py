"""The library's bot over our transport, and how to keep the libraries' logs quiet."""

import logging
from collections.abc import Sequence
from typing import Any, cast

from telegram import Bot

from tradefleet.surfaces.telegram.options import TelegramOptions
from tradefleet.surfaces.telegram.transport import READ_TIMEOUT, AiohttpTransport

TOO_TALKATIVE = ("telegram", "aiohttp", "httpx", "httpcore")  # texts and addresses at DEBUG, INFO


class UpdatesAsTheyCame(Bot):
    """A bot whose updates are not read yet: one that cannot be read holds up no other.

    The library reads a whole batch at once, and logs it whole when one of it is odd.
    """

    async def raw_updates(
        self, *, offset: int | None, hold: int, limit: int, allowed: Sequence[str]
    ) -> list[dict[str, Any]]:
        """Ask for the updates from offset on, waiting up to hold seconds for the first."""
        asked = {
            "offset": offset,
            "timeout": hold,
            "limit": limit,
            "allowed_updates": list(allowed),
        }
        answer = await self._post("getUpdates", asked, read_timeout=READ_TIMEOUT + hold)
        updates = answer if isinstance(answer, list) else []
        return cast("list[dict[str, Any]]", [each for each in updates if isinstance(each, dict)])


def build_bot(options: TelegramOptions) -> UpdatesAsTheyCame:
    """Return the bot; it opens its connections when it first needs them."""
    address = options.api_url.rstrip("/")
    return UpdatesAsTheyCame(
        options.token,
        base_url=f"{address}/bot",
        base_file_url=f"{address}/file/bot",
        request=AiohttpTransport(options.token),
        get_updates_request=AiohttpTransport(options.token, connections=1),
    )


def quiet_libraries() -> None:
    """Let the libraries log warnings only: below that they log message texts."""
    for name in TOO_TALKATIVE:
        logger = logging.getLogger(name)
        logger.setLevel(max(logger.level, logging.WARNING))
