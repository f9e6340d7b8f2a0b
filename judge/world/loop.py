"""An event loop whose time is made up: it jumps to the next timer whenever nothing is ready."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Deadlock(RuntimeError):
    """Everybody waits, and no timer is set that would ever wake anybody."""


class _Jump:
    """Stands where a selector stands: instead of waiting it moves the time."""

    def __init__(self, loop: "VirtualLoop") -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise Deadlock("everybody waits, and nothing is to come")
        if timeout > 0:
            self._loop.jump()
        return []

    def close(self) -> None:
        pass


class NumberedTask(asyncio.Task[Any]):
    """A task whose hash is its number, so that sets of tasks have one order on every machine."""

    def __init__(self, coro: Coroutine[Any, Any, Any], *, number: int, **more: Any) -> None:
        self.number = number  # first: the loop's own sets ask for the hash
        super().__init__(coro, **more)

    def __hash__(self) -> int:
        return self.number


class VirtualLoop(asyncio.BaseEventLoop):
    """No sockets, no threads, no signals: what executors are given runs at once, in order."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self._selector = _Jump(self)
        self._clock_resolution = 1e-9
        self._tasks = 0
        self.set_task_factory(self._numbered)  # type: ignore[arg-type]

    def _numbered(
        self, loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, Any], **more: Any
    ) -> Any:
        self._tasks += 1
        return NumberedTask(coro, number=self._tasks, loop=loop, **more)

    def time(self) -> float:
        return self._now

    def jump(self) -> None:
        """Let it be the time of the next timer."""
        scheduled: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]
        self._now = max(self._now, scheduled[0].when())

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """Run it at once: a thread would come back whenever the machine likes."""
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001  # it is raised where the future is awaited
            future.set_exception(error)
        return future

    def _process_events(self, event_list: Any) -> None:
        pass

    def _write_to_self(self) -> None:
        pass


def run_virtual(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in time that is made up; what is left of its tasks is ended."""
    loop = VirtualLoop()
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(main)
    finally:
        left = sorted(asyncio.all_tasks(loop), key=hash)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        asyncio.set_event_loop(None)
        loop.close()
