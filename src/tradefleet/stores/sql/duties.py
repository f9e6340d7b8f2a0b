"""Who does what for all, as rows: taken by one statement, so of two at once one gets it."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import case, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tradefleet.duty import Duty
from tradefleet.stores.sql import tables
from tradefleet.stores.sql.queries import rows
from tradefleet.stores.sql.shapes import Shape
from tradefleet.stores.sql.statements import insert_missing

DUTY = Shape(Duty, tables.duties)
DUTIES = tables.duties.c
NOBODY = ""

Opened = Callable[[], AbstractAsyncContextManager[AsyncConnection]]


class SqlDuties:
    """Who does what for all."""

    def __init__(self, reading: Opened, writing: Opened) -> None:
        self._reading = reading
        self._writing = writing

    async def take(self, name: str, owner: str, *, now: datetime, ttl: float) -> Duty | None:
        fresh = {"name": name, "owner": NOBODY, "epoch": 0, "expires_at": now, "place": 0}
        free = or_(DUTIES.owner.in_((owner, NOBODY)), DUTIES.expires_at <= now)
        taken = (
            update(tables.duties)
            .where(DUTIES.name == name, free)
            .values(
                owner=owner,
                epoch=case((DUTIES.owner == owner, DUTIES.epoch), else_=DUTIES.epoch + 1),
                expires_at=now + timedelta(seconds=ttl),
            )
            .returning(tables.duties)
        )
        async with self._writing() as connection:
            found = await rows(connection, taken)
            if not found and await insert_missing(connection, tables.duties, fresh):
                found = await rows(connection, taken)
        return DUTY.read(found[0]) if found else None

    async def advance(self, duty: Duty, place: int) -> bool:
        return await self._change(duty, place=place)

    async def release(self, duty: Duty) -> None:
        await self._change(duty, owner=NOBODY)

    async def _change(self, duty: Duty, **columns: Any) -> bool:
        """Change a duty that was not taken over since; say whether it was so."""
        still = (DUTIES.name == duty.name, DUTIES.epoch == duty.epoch)
        async with self._writing() as connection:
            done = await connection.execute(update(tables.duties).where(*still).values(**columns))
        return done.rowcount == 1

    async def held(self) -> Sequence[Duty]:
        query = select(tables.duties).where(DUTIES.owner != NOBODY).order_by(DUTIES.name)
        async with self._reading() as connection:
            return [DUTY.read(row) for row in await rows(connection, query)]
