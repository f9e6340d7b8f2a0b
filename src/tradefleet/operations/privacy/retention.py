"""Lets go of what was kept long enough: once a day, by one process for all, in small steps.

Books that later balances rest on (orders, fills, the ledger) and the audit log are append-only and
stay; a closed trade is a summary of them, whole by itself, so it may go.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from tradefleet.clock import Clock
from tradefleet.domain.errors import TradefleetError
from tradefleet.operations.privacy.records import Aging, Old, Records
from tradefleet.store import Store

logger = logging.getLogger(__name__)

DUTY = "retention"
DUE_AT = timedelta(hours=4)  # UTC, after the backups
DAY = timedelta(days=1)
ROUND = 300.0  # seconds
DUTY_SECONDS = 3600.0
FOUND_AT_ONCE = 2_000  # rows looked up at once, while nobody waits
STEP_FIRST, STEP_MIN, STEP_MAX = 100, 10, 500  # rows removed in one transaction
STEP_SECONDS = 0.025  # what a transaction is to take; others wait that long
PAUSE = 0.02  # seconds between two, in which the others write
MIDNIGHT = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Removed:
    """How many rows of a table went, or would: those from before a time."""

    aging: Aging
    before: datetime
    rows: int


@dataclass(slots=True, kw_only=True, eq=False)
class Retention:
    """The daily clearing. ages: how long each kind is kept; one that is not there, for ever."""

    store: Store
    records: Records
    clock: Clock
    ages: Mapping[str, timedelta]
    owner: str
    _step: int = field(default=STEP_FIRST, init=False)

    async def run(self) -> None:
        """Do it when it is due, over and over, until cancelled."""
        while True:
            try:
                await self.turn()
            except TradefleetError as error:
                logger.error("what is old is not removed now: %s", error)
            await self.clock.sleep(ROUND)

    async def turn(self) -> Sequence[Removed] | None:
        """Do it if it is due and nobody else is at it; return what went, None: nothing was due."""
        now = self.clock.now()
        today = (now - MIDNIGHT - DUE_AT) // DAY
        duty = await self.store.duties.take(DUTY, self.owner, now=now, ttl=DUTY_SECONDS)
        if duty is None:
            return None
        try:
            if duty.place >= today:
                return None
            removed = await self.remove()
            await self.store.duties.advance(duty, today)
        finally:
            await self.store.duties.release(duty)
        return removed

    async def remove(self) -> Sequence[Removed]:
        """Remove all that is old, write down how much it was, and return it."""
        done = []
        for aging, before in self._due():
            rows = await self._removed(aging, before)
            if rows:
                done.append(Removed(aging, before, rows))
                logger.info("removed %d %s from before %s", rows, aging.what, f"{before:%Y-%m-%d}")
        if done:
            await self.store.audits.note(DUTY, {each.aging.table: each.rows for each in done})
        return done

    async def look(self) -> Sequence[Removed]:
        """Return what would be removed now."""
        return [
            Removed(aging, before, await self.records.count_old(aging, before))
            for aging, before in self._due()
        ]

    def _due(self) -> Sequence[tuple[Aging, datetime]]:
        now = self.clock.now()
        return [
            (each, now - self.ages[each.age])
            for each in self.records.aging
            if each.age in self.ages
        ]

    async def _removed(self, aging: Aging, before: datetime) -> int:
        rows = 0
        while keys := (await self.records.old(aging, before, FOUND_AT_ONCE)).keys:
            at = 0
            while at < len(keys):
                part = keys[at : at + self._step]
                rows += await self._remove(Old(aging, part), before)
                at += len(part)
                await self.clock.sleep(PAUSE)
            if len(keys) < FOUND_AT_ONCE:
                break
        return rows

    async def _remove(self, old: Old, before: datetime) -> int:
        """Remove some rows, and learn from the time it took how many are right."""
        start = self.clock.monotonic()
        rows = await self.records.remove(old, before)
        took = self.clock.monotonic() - start
        factor = 0.5 if took > STEP_SECONDS else 1.5
        self._step = min(STEP_MAX, max(STEP_MIN, int(self._step * factor)))
        return rows
