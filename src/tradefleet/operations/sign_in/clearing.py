"""Forgets links, marks and sessions that are of no use any more, every hour."""

import logging
from dataclasses import dataclass

from tradefleet.clock import Clock
from tradefleet.domain.errors import StoreError
from tradefleet.store import Store

logger = logging.getLogger(__name__)

ROUND = 3600.0  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class OldSignInsForgotten:
    """The hourly clearing; several processes may do it at once."""

    store: Store
    clock: Clock

    async def run(self) -> None:
        """Forget what is old, over and over, until cancelled."""
        while True:
            try:
                await self.store.identity.forget_old(self.clock.now())
            except StoreError as error:
                logger.warning("old sign-ins are not forgotten now: %s", error)
            await self.clock.sleep(ROUND)
