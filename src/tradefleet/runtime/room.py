"""Room for so many at once; the others wait in line, and a step costs the same for any number."""

import asyncio
from collections import deque


class Room:
    """At most so many are inside; whoever came first goes in first, and all must leave."""

    __slots__ = ("_free", "_waiting")

    def __init__(self, places: int) -> None:
        self._free = places
        self._waiting: deque[asyncio.Future[None]] = deque()

    def goes_in(self) -> bool:
        """Go in if there is a place now; False: wait for one."""
        if not self._free:
            return False
        self._free -= 1
        return True

    async def wait(self) -> None:
        """Return once inside."""
        if self.goes_in():
            return
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self.leave()  # it was given a place just now
            raise

    def leave(self) -> None:
        """Give the place to who waits for one, or keep it free."""
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():  # else its task was cancelled
                place.set_result(None)
                return
        self._free += 1
