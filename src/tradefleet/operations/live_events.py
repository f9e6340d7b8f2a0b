"""Forgets live events once a day has passed, and records none for who has not listened for one."""

import logging
from dataclasses import dataclass

from tradefleet.clock import Clock
from tradefleet.domain.errors import StoreError
from tradefleet.live import EVENTS_KEPT, EVENTS_MAX
from tradefleet.store import Store

logger = logging.getLogger(__name__)

ROUND = 1800.0  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class OldEventsForgotten:
    """The half-hourly clearing; several processes may do it at once."""

    store: Store
    clock: Clock

    async def run(self) -> None:
        """Forget what is old, over and over, until cancelled."""
        while True:
            await self.forget()
            await self.clock.sleep(ROUND)

    async def forget(self) -> None:
        """Forget what is old, user by user, each in a transaction of their own."""
        before = self.clock.now() - EVENTS_KEPT
        try:
            for user_id in await self.store.live.listeners():
                async with self.store.open(user_id) as own:
                    await own.live.forget(before, EVENTS_MAX)
        except StoreError as error:
            logger.warning("old events are not forgotten now: %s", error)
