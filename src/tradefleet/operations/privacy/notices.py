"""After the risk notice has changed: nothing new is opened for who agreed to an older one only."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from tradefleet.clock import Clock
from tradefleet.domain.consent import STOPPED_FOR_NOTICE, RiskNotice
from tradefleet.domain.effects import Notify, Topic
from tradefleet.domain.errors import StoreError
from tradefleet.domain.ids import UserId
from tradefleet.domain.limits import Halt, Scope, Switch
from tradefleet.keyring import turn
from tradefleet.store import Store, UserStore

logger = logging.getLogger(__name__)

TOLD = (
    "📜 The risk notice has changed. Nothing new is opened until you agree to it; what is open "
    "keeps its stops and targets. /risk shows it."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeChanged:
    """Looks once, at the start; behind: who agreed to older versions than this one only."""

    store: Store
    behind: Callable[[int], Awaitable[Sequence[UserId]]]
    clock: Clock
    notice: RiskNotice

    async def run(self) -> None:
        try:
            stopped = [
                user for user in await self.behind(self.notice.version) if await self._stop(user)
            ]
        except StoreError as error:
            logger.error("who has to agree to the risk notice anew is not known: %s", error)
            return
        if stopped:
            logger.info("%d users have to agree to the risk notice anew", len(stopped))

    async def _stop(self, user_id: UserId) -> bool:
        """Stop a user's entries and tell them, unless something has stopped them already."""
        async with self.store.open(user_id) as own:
            if await is_stopped(own):
                return False
            now = self.clock.now()
            switch = Switch(
                scope=Scope.USER,
                scope_id=user_id,
                halt=Halt.STOP,
                reason=STOPPED_FOR_NOTICE,
                changed_at=now,
            )
            await turn(own, switch)
            await own.notify(Notify(user_id, Topic.SYSTEM, TOLD, now))
            await own.audit("notice_changed", {})
        return True


async def is_stopped(own: UserStore) -> bool:
    switches = await own.switches()
    return any(each.scope is Scope.USER and each.halt is not Halt.RUN for each in switches)
