"""Who does what for all, in memory."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from tradefleet.duty import Duty

NOBODY = ""


class MemoryDuties:
    """Duties by their names."""

    def __init__(self, duties: dict[str, Duty]) -> None:
        self._duties = duties

    async def take(self, name: str, owner: str, *, now: datetime, ttl: float) -> Duty | None:
        known = self._duties.get(name) or Duty(name=name, owner=NOBODY, epoch=0, expires_at=now)
        if known.owner not in (owner, NOBODY) and known.expires_at > now:
            return None
        epoch = known.epoch + (known.owner != owner)
        until = now + timedelta(seconds=ttl)
        self._duties[name] = replace(known, owner=owner, epoch=epoch, expires_at=until)
        return self._duties[name]

    async def advance(self, duty: Duty, place: int) -> bool:
        known = self._duties.get(duty.name)
        if known is None or known.epoch != duty.epoch:
            return False
        self._duties[duty.name] = replace(known, place=place)
        return True

    async def release(self, duty: Duty) -> None:
        known = self._duties.get(duty.name)
        if known is not None and known.epoch == duty.epoch:
            self._duties[duty.name] = replace(known, owner=NOBODY)

    async def held(self) -> Sequence[Duty]:
        return [self._duties[name] for name in sorted(self._duties) if self._duties[name].owner]
