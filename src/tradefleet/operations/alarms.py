"""Tells the operator's people on Telegram what they should look at: every error that is logged.

Log lines hold no secret, so what is told here holds none; what looks like one all the same is
hidden, as in the log itself. Whoever is to be told must have said
/start once; until one has, the latest errors wait.
"""

import logging
from collections import OrderedDict, deque
from collections.abc import Sequence
from datetime import datetime, timedelta

from tradefleet.clock import Clock
from tradefleet.domain.errors import StoreError
from tradefleet.operations.alert_delivery.telegram import tell_people
from tradefleet.operations.logs.masking import Masks
from tradefleet.store import Store

logger = logging.getLogger(__name__)

OURS = "tradefleet"  # whose errors are told
ROUND = 5.0  # seconds; the errors of a round are told together
QUIET = timedelta(minutes=15)  # so long the same error is not told again
WAITING_MAX = 100  # errors that wait; of more, the oldest are only counted
NAMED_MAX = 10  # of one round, so many are named
TEXT_MAX = 300  # characters of one
BY_LOOKS = Masks()  # of what is known to be secret it knows nothing


class Alarms(logging.Handler):
    """Collects errors while it runs, and puts them into the outbox of each admin."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        telegram_ids: Sequence[int],
        masks: Masks = BY_LOOKS,
    ) -> None:
        super().__init__(logging.ERROR)
        self._store = store
        self._clock = clock
        self._telegram_ids = telegram_ids
        self._masks = masks
        self._waiting: deque[str] = deque(maxlen=WAITING_MAX)
        self._heard = 0  # since the latest telling
        self._told: OrderedDict[str, datetime] = OrderedDict()

    def emit(self, record: logging.LogRecord) -> None:
        """Remember an error; whoever logs it does not wait."""
        self._waiting.append(self._masks.hide(record.getMessage())[:TEXT_MAX])
        self._heard += 1

    async def run(self) -> None:
        """Listen and tell until cancelled."""
        ours = logging.getLogger(OURS)
        ours.addHandler(self)
        try:
            while True:
                await self._clock.sleep(ROUND)
                await self.tell()
        finally:
            ours.removeHandler(self)

    async def tell(self) -> None:
        """Tell what was heard since the last time, if anybody is there to be told."""
        now = self._clock.now()
        while self._told and now - next(iter(self._told.values())) >= QUIET:
            self._told.popitem(last=False)
        unnamed = self._heard - len(self._waiting)
        fresh = [text for text in dict.fromkeys(self._waiting) if text not in self._told]
        if fresh and not await self._told_somebody(told_together(fresh, unnamed), now):
            return
        self._told |= dict.fromkeys(fresh, now)
        self._waiting.clear()
        self._heard = 0

    async def _told_somebody(self, text: str, now: datetime) -> bool:
        """Put a text into the outbox of every admin, and say whether there was one."""
        try:
            return await tell_people(self._store, self._telegram_ids, text, now) > 0
        except StoreError as error:
            logger.warning("the operator is not told now: %s", error)
            return False


def told_together(texts: Sequence[str], unnamed: int) -> str:
    """Return errors as one message."""
    more = len(texts) - NAMED_MAX + unnamed if len(texts) > NAMED_MAX else unnamed
    lines = [f"🛠 {text}" for text in texts[:NAMED_MAX]]
    return "\n".join([*lines, f"🛠 and {more} more; see the log"] if more else lines)
