"""Forgets what requests with a key of their own were answered, once a day has passed."""

import logging
from dataclasses import dataclass

from tradefleet.clock import Clock
from tradefleet.domain.errors import StoreError
from tradefleet.store import ANSWERS_KEPT, Store

logger = logging.getLogger(__name__)

ROUND = 3600.0  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswersForgotten:
    """The hourly clearing; several processes may do it at once."""

    store: Store
    clock: Clock

    async def run(self) -> None:
        """Forget what is old, over and over, until cancelled."""
        while True:
            await self.forget()
            await self.clock.sleep(ROUND)

    async def forget(self) -> int:
        """Forget what was answered more than a day ago; return how many they were."""
        try:
            return await self.store.drop_answers(self.clock.now() - ANSWERS_KEPT)
        except StoreError as error:
            logger.warning("old answers are not forgotten now: %s", error)
            return 0
