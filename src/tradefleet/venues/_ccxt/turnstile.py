"""Signed requests of one key where a venue counts them: one at a time, each with its number.

Kraken wants every request of a key to carry a greater number (nonce) than the one before. The
number is the time in microseconds, by our own clock: whoever asks later has the greater one,
after a restart and on another machine, too, as far as clocks agree. Where they do not, the
venue refuses a number, which proves that nothing was done; the numbers then leap ahead.
"""

import asyncio
import heapq
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tradefleet.engine.pace import Priority
from tradefleet.venues._ccxt.amounts import EPOCH

MICROSECOND = timedelta(microseconds=1)
LEAP = timedelta(seconds=10) // MICROSECOND  # beyond what two machines' clocks may differ by
GROWTH = 4  # where that is not enough a clock was wrong by more
AHEAD_MAX = timedelta(days=1) // MICROSECOND  # from here on it is no matter of clocks
HELD_SECONDS = 2.0  # a request without an answer so long has arrived, or lost its place


@dataclass(slots=True, weakref_slot=True, eq=False)
class Turnstile:
    """Lets one request pass at a time, the most urgent first; the rate governor fills it.

    last: the number given last; ahead: how far the numbers run ahead of the clock.
    """

    last: int = 0
    ahead: int = 0
    _inside: int = 0  # the ticket of who is passing, 0 when nobody is
    _tickets: int = 0
    _waiting: list[tuple[Priority, int, asyncio.Future[None]]] = field(default_factory=list)

    def number(self, now: datetime) -> int:
        """Return the next number: the time, or one more than the last where that is greater."""
        self.last = max((now - EPOCH) // MICROSECOND + self.ahead, self.last + 1)
        return self.last

    @property
    def is_hopeless(self) -> bool:
        """Say whether greater numbers do not help: another program counts much higher."""
        return self.ahead >= AHEAD_MAX

    def refused(self, number: int) -> None:
        """Leap ahead, for the venue has refused a number as too small.

        Where a later one of ours is out already, that has overtaken it, and all is well.
        """
        if number == self.last and not self.is_hopeless:
            self.ahead = max(LEAP, GROWTH * self.ahead)

    @asynccontextmanager
    async def passing(self, priority: Priority) -> AsyncIterator[None]:
        """Pass alone, for so long at most: an answer that does not come holds up nobody else."""
        self._tickets += 1
        ticket = self._tickets
        await self._enter(ticket, priority)
        timer = asyncio.get_running_loop().call_later(HELD_SECONDS, self._leave, ticket)
        try:
            yield
        finally:
            timer.cancel()
            self._leave(ticket)

    async def _enter(self, ticket: int, priority: Priority) -> None:
        if not self._inside:
            self._inside = ticket
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (priority, ticket, turn))
        try:
            await turn
        except asyncio.CancelledError:
            self._leave(ticket)  # it may have been let in just now
            raise

    def _leave(self, ticket: int) -> None:
        """Let the next one in, if this one is still inside."""
        if self._inside != ticket:
            return
        self._inside = 0
        while self._waiting:
            _, following, turn = heapq.heappop(self._waiting)
            if not turn.done():  # else its task was cancelled
                self._inside = following
                turn.set_result(None)
                return
