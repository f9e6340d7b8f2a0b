"""The operator's people on Telegram, told through the outbox like everybody."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tradefleet.alert import AlertChange
from tradefleet.clock import Clock
from tradefleet.domain.effects import Notify, Topic
from tradefleet.domain.errors import StoreError
from tradefleet.operations.alert_delivery.receiver import NotTaken
from tradefleet.operations.alert_delivery.words import told_together
from tradefleet.store import Store

TEXT_MAX = 3_000  # characters, well below what Telegram takes
NOBODY = "nobody of ADMIN_TELEGRAM_IDS has said /start to the bot"


@dataclass(frozen=True, slots=True, kw_only=True)
class TelegramReceiver:
    """store: None while the database is away, and the outbox with it."""

    store: Store | None
    clock: Clock
    telegram_ids: Sequence[int]
    name: str = "telegram"

    async def send(self, changes: Sequence[AlertChange]) -> str:
        text = told_together(changes, TEXT_MAX)
        if self.store is None:
            raise NotTaken("the outbox cannot be reached")
        try:
            told = await tell_people(self.store, self.telegram_ids, text, self.clock.now())
        except StoreError:
            raise NotTaken("the outbox cannot be reached") from None
        if not told:
            raise NotTaken(NOBODY)
        return f"in the outbox for {told} of {len(self.telegram_ids)}"


async def tell_people(store: Store, telegram_ids: Sequence[int], text: str, now: datetime) -> int:
    """Put a text into the outbox of all who said /start; return how many they are."""
    told = 0
    for telegram_id in telegram_ids:
        admin = await store.find_user(telegram_id=telegram_id)
        if admin is not None:
            async with store.open(admin.id) as own:
                await own.notify(Notify(admin.id, Topic.SYSTEM, text, now, priority=1))
            told += 1
    return told
