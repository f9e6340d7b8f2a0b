"""Whether Telegram is reached: how long ago it last answered us."""

from telegram.error import TelegramError

from tradefleet.clock import Clock
from tradefleet.domain.health import Metric
from tradefleet.surfaces.telegram.bot import build_bot
from tradefleet.surfaces.telegram.options import TelegramOptions
from tradefleet.surfaces.telegram.reach import why

TRIES = 2  # a single answer may get lost


class TelegramPulse:
    """Asks for the bot's own name, over a connection of its own."""

    def __init__(self, options: TelegramOptions, clock: Clock) -> None:
        self._bot = build_bot(options)
        self._clock = clock
        self._answered_at = clock.monotonic()

    async def measure(self) -> dict[str, Metric]:
        """Return the seconds since the latest good answer."""
        fault = ""
        for _ in range(TRIES):
            try:
                await self._bot.get_me(read_timeout=2, connect_timeout=1, pool_timeout=1)
            except TelegramError as error:
                fault = why(error)
            else:
                self._answered_at, fault = self._clock.monotonic(), ""
                break
        silent = self._clock.monotonic() - self._answered_at
        return {"telegram_silent_s": Metric(silent, detail=fault)}

    async def close(self) -> None:
        await self._bot.request.shutdown()
