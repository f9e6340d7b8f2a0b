"""The tasks a venue runs beside its callers, from its opening to its closing."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, Self


@dataclass(slots=True, eq=False)
class Crew:
    """A task group that is opened and closed by calls. A task that fails ends the opener, too."""

    _group: asyncio.TaskGroup = field(default_factory=asyncio.TaskGroup)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _closed: bool = False

    @classmethod
    async def open(cls) -> Self:
        crew = cls()
        await crew._group.__aenter__()
        return crew

    def start(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = self._group.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self) -> None:
        """Cancel every task and return when all have ended."""
        if self._closed:
            return
        self._closed = True
        for task in list(self._tasks):
            task.cancel()
        await self._group.__aexit__(None, None, None)
