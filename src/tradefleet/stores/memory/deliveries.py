"""Alerts on their way to people, in memory."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from tradefleet.alert import AlertChange
from tradefleet.delivery import TOO_MANY, WAITING_MAX, AlertDelivery
from tradefleet.stores.memory.shared import Shared
from tradefleet.webhook import Outcome


class MemoryAlertDeliveries:
    """The deliveries to all receivers, by number."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._all = shared.alert_deliveries

    async def add(self, change: AlertChange, receivers: Sequence[str], now: datetime) -> None:
        named = (change.id, change.state, change.at)
        for receiver in receivers:
            known = [each for each in self._all.values() if each.receiver == receiver]
            if any((e.change.id, e.change.state, e.change.at) == named for e in known):
                continue
            number = self._shared.next_id()
            self._all[number] = AlertDelivery(
                id=number, receiver=receiver, change=change, next_at=now
            )
            for old in self._waiting(receiver)[:-WAITING_MAX]:
                self._all[old.id] = replace(
                    old, next_at=None, done_at=now, error=TOO_MANY, outcome=Outcome.GIVEN_UP
                )

    def _waiting(self, receiver: str) -> list[AlertDelivery]:
        return [e for e in self._all.values() if e.receiver == receiver and e.is_waiting]

    async def waiting(self, receiver: str, limit: int) -> Sequence[AlertDelivery]:
        return self._waiting(receiver)[:limit]

    async def keep(self, deliveries: Sequence[AlertDelivery]) -> None:
        for each in deliveries:
            if each.id in self._all and self._all[each.id].is_waiting:
                self._all[each.id] = each

    async def latest(self, limit: int) -> Sequence[AlertDelivery]:
        return [*reversed(self._all.values())][:limit]

    async def counts(self) -> Mapping[tuple[str, Outcome], int]:
        return Counter((each.receiver, each.outcome) for each in self._all.values())

    async def forget(self, before: datetime) -> int:
        old = [e.id for e in self._all.values() if e.done_at is not None and e.done_at < before]
        for number in old:
            del self._all[number]
        return len(old)
