"""Group commit: whatever waits to be written goes out together, in order, with one fsync."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from tradefleet.domain.errors import ensure

T = TypeVar("T")
R = TypeVar("R")

# Items in one write: what follows from the first is under way while the last are being written.
GROUP_MAX = 256


class Work:
    """Counts what is under way, so that somebody can wait until nothing is."""

    def __init__(self) -> None:
        self._count = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def begin(self) -> None:
        self._count += 1
        self._idle.clear()

    def end(self) -> None:
        self._count -= 1
        if self._count == 0:
            self._idle.set()

    @property
    def is_idle(self) -> bool:
        return self._count == 0

    async def idle(self) -> None:
        await self._idle.wait()


class Waiting(Generic[T, R]):
    """An item until it is written; once it is taken up nothing can be added to it any more."""

    __slots__ = ("done", "is_taken", "item")

    def __init__(self, item: T, done: Callable[[R], None]) -> None:
        self.item = item
        self.done = [done]
        self.is_taken = False


class GroupCommit(Generic[T, R]):
    """Writes items in the order they were added, as many at once as are waiting.

    `run` must be running; when the write itself fails, run raises and nothing is lost but
    what was not confirmed: whoever owns the process stops it and starts again from the store.
    """

    def __init__(self, write: Callable[[list[T]], Awaitable[Sequence[R]]], work: Work) -> None:
        self._write = write
        self._work = work
        self._waiting: deque[Waiting[T, R]] = deque()
        self._wake = asyncio.Event()
        self._marks: deque[tuple[int, asyncio.Future[None]]] = deque()
        self.added = 0
        self.groups = 0
        self.items = 0

    @property
    def is_writing(self) -> bool:
        """Say whether something was added that is not written yet."""
        return self.items != self.added

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, item: T, done: Callable[[R], None]) -> Waiting[T, R]:
        """Write item with the next group, then call done with its result."""
        self._work.begin()
        self.added += 1
        waiting = Waiting(item, done)
        self._waiting.append(waiting)
        self._wake.set()
        return waiting

    def join(self, waiting: Waiting[T, R], item: T, done: Callable[[R], None]) -> None:
        """Write item, which holds what waits and more, in its place; both are told the result."""
        ensure(not waiting.is_taken, "what is being written can take up nothing more")
        self._work.begin()
        waiting.item = item
        waiting.done.append(done)

    async def write(self, item: T) -> R:
        """Write item with the next group and return its result."""
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self.add(item, lambda result: None if future.done() else future.set_result(result))
        return await future

    async def flushed(self) -> None:
        """Return once everything added so far is written."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.items == self.added:
            return
        self._marks.append((self.added, future))
        await future

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                count = min(GROUP_MAX, len(self._waiting))
                group = [self._waiting.popleft() for _ in range(count)]
                for waiting in group:
                    waiting.is_taken = True
                results = await self._write([waiting.item for waiting in group])
                self.groups += 1
                self.items += count
                for waiting, result in zip(group, results, strict=True):
                    for done in waiting.done:
                        done(result)
                        self._work.end()
                while self._marks and self._marks[0][0] <= self.items:
                    mark = self._marks.popleft()[1]
                    if not mark.done():  # whoever waited may have gone away
                        mark.set_result(None)
