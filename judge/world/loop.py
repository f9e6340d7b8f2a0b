"""An event loop whose time is made up: it jumps to the next timer whenever nothing is ready.

Half of what a world's loop does is keeping time and turns, so both are as lean as they can be here:
no sockets, no threads, no debugging, and timers that are compared as the numbers they are.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from typing import Any, TypeVar

T = TypeVar("T")
SAME = 1e-9  # seconds within which two timers are due together
SWEPT_FROM = 100  # timers, of which those that were cancelled are dropped once they are most


class Deadlock(RuntimeError):
    """Everybody waits, and no timer is set that would ever wake anybody."""


class Turn:
    """A call that is due now."""

    __slots__ = ("args", "call", "context", "gone")

    def __init__(self, call: Callable[..., object], args: Any, context: Context | None) -> None:
        self.call, self.args = call, args
        self.context = copy_context() if context is None else context
        self.gone = False

    def cancel(self) -> None:
        self.gone = True

    def cancelled(self) -> bool:
        return self.gone


class Timer(float):
    """A call that is due later, and is the moment at which it is."""

    __slots__ = ("args", "call", "context", "gone", "loop")

    loop: "VirtualLoop | None"  # None once it is due
    call: Callable[..., object]
    args: Any
    context: Context
    gone: bool

    def when(self) -> float:
        return float(self)

    def cancel(self) -> None:
        if not self.gone:
            self.gone = True
            if self.loop is not None:
                self.loop.cancelled += 1

    def cancelled(self) -> bool:
        return self.gone


class NumberedTask(asyncio.Task[Any]):
    """A task whose hash is its number, so that sets of tasks have one order on every machine."""

    def __init__(self, coro: Coroutine[Any, Any, Any], *, number: int, **more: Any) -> None:
        self.number = number  # first: the loop's own sets ask for the hash
        super().__init__(coro, **more)

    def __hash__(self) -> int:
        return self.number


class VirtualLoop(asyncio.BaseEventLoop):
    """No sockets, no threads, no signals: what executors are given runs at once, in order."""

    _ready: deque[Turn | Timer]
    _scheduled: list[Timer]
    _stopping: bool

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self.cancelled = 0  # timers that were cancelled and still stand among the others
        self._tasks = 0
        self.set_task_factory(self._numbered)  # type: ignore[arg-type]

    def _numbered(
        self, loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, Any], **more: Any
    ) -> Any:
        self._tasks += 1
        return NumberedTask(coro, number=self._tasks, loop=loop, **more)

    def time(self) -> float:
        return self._now

    # ---------------------------------------------------------------- turns

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Turn:
        turn = Turn(callback, args, context)
        self._ready.append(turn)
        return turn

    def call_later(  # type: ignore[override]
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> Timer:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> Timer:
        timer = Timer(when)
        timer.loop, timer.call, timer.args = self, callback, args
        timer.context = copy_context() if context is None else context
        timer.gone = False
        heapq.heappush(self._scheduled, timer)
        return timer

    def _run_once(self) -> None:
        """Do all that is due now; when there is nothing, let it be the time of the next timer."""
        scheduled, ready = self._scheduled, self._ready
        if len(scheduled) > SWEPT_FROM and self.cancelled * 2 > len(scheduled):
            for timer in scheduled:
                if timer.gone:
                    timer.loop = None
            scheduled[:] = [timer for timer in scheduled if not timer.gone]
            heapq.heapify(scheduled)
            self.cancelled = 0
        else:
            while scheduled and scheduled[0].gone:
                self.cancelled -= 1
                heapq.heappop(scheduled).loop = None
        if not ready and not self._stopping:
            if not scheduled:
                raise Deadlock("everybody waits, and nothing is to come")
            self._now = max(self._now, scheduled[0].when())
        until = self._now + SAME
        while scheduled and scheduled[0] < until:
            timer = heapq.heappop(scheduled)
            timer.loop = None
            ready.append(timer)
        for _ in range(len(ready)):
            turn = ready.popleft()
            if not turn.gone:
                self._do(turn)

    def _do(self, turn: Turn | Timer) -> None:
        try:
            turn.context.run(turn.call, *turn.args)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001  # as any loop does: it goes on
            message = f"Exception in callback {turn.call!r}"
            self.call_exception_handler({"message": message, "exception": error})

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

    def call_soon_threadsafe(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Turn:
        return self.call_soon(callback, *args, context=context)


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
