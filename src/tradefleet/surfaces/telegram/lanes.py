"""Many users side by side, each user's messages one after the other."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from telegram.ext import BaseUpdateProcessor

from tradefleet.surfaces.telegram.arrivals import BACKLOG_MAX, Arrival, Intake

WAITING_MAX = 32  # of one user; above the burst that pace allows, so nothing polite is lost


@dataclass(slots=True)
class Lane:
    """One user's turn."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0


class Lanes(BaseUpdateProcessor):
    """Works on updates in each sender's order.

    first is done the moment an update arrives, before its turn: it removes secrets.
    """

    def __init__(self, intake: Intake, first: Callable[[Arrival], Awaitable[None]]) -> None:
        super().__init__(BACKLOG_MAX)
        self._intake = intake
        self._first = first
        self._lanes: dict[int | None, Lane] = {}
        self._working: set[asyncio.Task[Any]] = set()

    async def initialize(self) -> None: ...

    async def shutdown(self) -> None: ...

    async def end(self) -> None:
        """Cancel what is still being worked on."""
        for task in self._working:
            task.cancel()
        if self._working:
            await asyncio.wait(self._working)

    async def do_process_update(self, update: object, coroutine: Awaitable[Any]) -> None:
        sender = update.sender if isinstance(update, Arrival) else None
        lane = self._lanes.setdefault(sender, Lane())
        lane.waiting += 1
        task = asyncio.current_task()
        if task is not None:
            self._working.add(task)
            task.add_done_callback(self._working.discard)
        try:
            async with asyncio.TaskGroup() as group:
                first = group.create_task(self._do_first(update))
                if lane.waiting > WAITING_MAX:
                    drop(coroutine)
                    return
                async with lane.turn:
                    await first
                    await coroutine
        finally:
            drop(coroutine)
            lane.waiting -= 1
            if not lane.waiting:
                del self._lanes[sender]
            self._intake.done()

    async def _do_first(self, update: object) -> None:
        if isinstance(update, Arrival):
            await self._first(update)


def drop(coroutine: Awaitable[Any]) -> None:
    """End a coroutine that will not run; harmless when it has."""
    if isinstance(coroutine, Coroutine):
        coroutine.close()
