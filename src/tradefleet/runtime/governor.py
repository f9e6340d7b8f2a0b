"""The rate governor: says when a request may go to a venue, one for the process.

What goes first and who waits is in engine/turns.py; here are the clock, the tasks that wait,
and what is done when a venue has had enough of us.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from types import TracebackType
from typing import Self

from tradefleet.clock import Clock
from tradefleet.domain.errors import VenueUnavailable, ensure
from tradefleet.engine.turns import Door, Reading, Waiting
from tradefleet.runtime.venue_limits import VENUE_LIMITS, VenueLimits, number
from tradefleet.venue import VenueCall

logger = logging.getLogger(__name__)

PATIENCE = 5.0  # seconds a door may be closed until requests are refused instead of waiting
NAP = 0.001  # the shortest sleep between two looks at who may go
CLOSED_LONG = 60.0  # from here on the operator should look
CLOSED_MOST = 4 * 86_400.0  # no venue bans for longer
GROWTH = 6  # a door that closes again and again, without saying for how long, stays 2^6 as long


@dataclass(slots=True, eq=False)
class Entrance:
    """One venue's door, the timer that lets in who waits there, and why it is closed."""

    venue: str
    limits: VenueLimits
    door: Door
    timer: asyncio.Task[None] | None = None
    timer_due: float = 0.0
    closed_until: datetime | None = None
    closed_why: str = ""
    closings: int = 0  # in a row


@dataclass(slots=True, kw_only=True, eq=False)
class Governor:
    """A venue.Pacer for all accounts that share one egress address; an async context.

    A venue's name may carry a mode ("binance:testnet"): it has the limits of the venue, and a
    door of its own, for it is another host. hits: how often each said that we were too fast.
    """

    clock: Clock
    limits: Mapping[str, VenueLimits] = field(default_factory=lambda: VENUE_LIMITS)
    entrances: dict[str, Entrance] = field(default_factory=dict)
    hits: Counter[str] = field(default_factory=Counter)
    _latest_hit: VenueCall | None = None
    _tasks: asyncio.TaskGroup = field(default_factory=asyncio.TaskGroup)
    _stopping: bool = False

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping = True
        for entrance in self.entrances.values():
            entrance.door.refuse_all(stopping)
            if entrance.timer is not None:
                entrance.timer.cancel()
        await self._tasks.__aexit__(kind, error, trace)

    # ---------------------------------------------------------------- asking

    async def turn(self, call: VenueCall) -> None:
        """Wait for the call's turn; VenueUnavailable while the door is closed for long."""
        entrance, now = self._entrance(call.venue), self.clock.monotonic()
        door = entrance.door
        if door.opens_at - now > PATIENCE:
            raise closed(entrance)
        waiting = door.ask(now, call.user_id, call.key, call.priority, call.costs)
        if waiting is None:
            return
        if self._stopping:
            door.leave(waiting)
            raise stopping()
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting.tell = partial(settle, future)
        self._set_timer(entrance, now)
        try:
            async with asyncio.timeout(call.patience):
                await future
        except TimeoutError:
            self._leave(entrance, waiting)
            raise VenueUnavailable(
                f"{call.venue}: its turn did not come in time; nothing was sent"
            ) from None
        except asyncio.CancelledError:
            self._leave(entrance, waiting)
            raise

    def _leave(self, entrance: Entrance, waiting: Waiting) -> None:
        entrance.door.leave(waiting)
        self._set_timer(entrance, self.clock.monotonic())

    def _entrance(self, venue: str) -> Entrance:
        entrance = self.entrances.get(venue)
        if entrance is None:
            kind = venue.partition(":")[0]
            ensure(kind in self.limits, f"no rate limits are known of {venue}")
            limits = self.limits[kind]
            door = Door(address=limits.address, keyed=limits.keyed)
            entrance = self.entrances[venue] = Entrance(venue, limits, door)
        return entrance

    # ----------------------------------------------------------------- timer

    def _set_timer(self, entrance: Entrance, now: float) -> None:
        """See to it that the door is looked at when somebody may go."""
        due = entrance.door.due()
        if due is None:
            return
        due = max(due, now + NAP)
        if entrance.timer is not None:
            if entrance.timer_due <= due:
                return
            entrance.timer.cancel()
        entrance.timer_due = due
        entrance.timer = self._tasks.create_task(self._let_in(entrance, due - now))

    async def _let_in(self, entrance: Entrance, wait: float) -> None:
        """Let in who may go, until nobody waits."""
        while True:
            await self.clock.sleep(wait)
            now = self.clock.monotonic()
            entrance.door.advance(now)
            due = entrance.door.due()
            if due is None:
                entrance.timer = None
                return
            wait = max(due - now, NAP)
            entrance.timer_due = now + wait

    # ------------------------------------------------------ the venue's word

    def heard(self, call: VenueCall, status: int, headers: Mapping[str, str]) -> None:
        """Learn from an answer's status and headers (lower-case names)."""
        entrance, now = self._entrance(call.venue), self.clock.monotonic()
        names = tuple(name for name in call.costs if name != "weight")
        readings = entrance.limits.read(headers, names, self.clock.now().timestamp())
        for reading in readings:
            entrance.door.learn(now, call.key, reading)
        if status < 400:
            if now >= entrance.door.opens_at:
                entrance.closings = 0
            return
        asked = number(headers.get("retry-after"))
        default = entrance.limits.closing.get(status)
        if default is None and asked is None:
            return
        self._hit(call)
        if status == 429 and self._is_own_fault(entrance, readings):
            entrance.door.hold(now, call.key, call.costs, min(asked or PATIENCE, CLOSED_MOST))
            return
        if not asked and now < entrance.door.opens_at:
            return  # an answer to what was under way when the door was shut
        grown = (default or PATIENCE) * 2 ** min(entrance.closings, GROWTH)
        self._close(entrance, now, asked or grown, f"it answered with status {status}")

    def _hit(self, call: VenueCall) -> None:
        """Count a call that came too fast, once: its status and its words may both say so."""
        if call is not self._latest_hit:
            self._latest_hit = call
            self.hits[call.venue] += 1

    def _is_own_fault(self, entrance: Entrance, readings: Sequence[Reading]) -> bool:
        """Say whether only the account asked too much: its user may trade by hand, too."""
        limits = entrance.limits
        over = set()
        for reading in readings:
            kind = reading.name.partition(":")[0]
            allowances = limits.address if kind == "weight" else limits.keyed[kind]
            if any(a.period == reading.period and reading.used >= a.limit for a in allowances):
                over.add(reading.name)
        return bool(over) and "weight" not in over

    def too_fast(self, call: VenueCall, seconds: float, *, banned: bool = False) -> None:
        """The venue said that we were too fast: hold that budget, or everybody when banned."""
        entrance, now = self._entrance(call.venue), self.clock.monotonic()
        self._hit(call)
        if banned:
            self._close(entrance, now, seconds, "it said that we ask too much")
        else:
            entrance.door.hold(now, call.key, call.costs, min(max(seconds, 0.0), CLOSED_MOST))

    def _close(self, entrance: Entrance, now: float, seconds: float, why: str) -> None:
        """Close a door for everybody; who waits is refused when it is for long."""
        seconds = min(max(seconds, 0.0), CLOSED_MOST)
        door = entrance.door
        if now + seconds <= door.opens_at:
            return
        if now >= door.opens_at:  # the answers to what was under way count as one
            entrance.closings += 1
        door.close(now + seconds)
        entrance.closed_until = self.clock.now() + timedelta(seconds=seconds)
        entrance.closed_why = why
        level = logging.ERROR if seconds >= CLOSED_LONG else logging.WARNING
        logger.log(level, "%s is closed to us for %.0f s: %s", entrance.venue, seconds, why)
        if seconds > PATIENCE:
            door.refuse_all(partial(closed, entrance))
        self._set_timer(entrance, now)


def stopping() -> VenueUnavailable:
    return VenueUnavailable("the service is stopping")


def closed(entrance: Entrance) -> VenueUnavailable:
    until = f"{entrance.closed_until:%Y-%m-%d %H:%M:%S} UTC"
    return VenueUnavailable(
        f"{entrance.venue} takes no requests from us until {until}: {entrance.closed_why}",
        opens_at=entrance.closed_until,
    )


def settle(future: asyncio.Future[None], error: Exception | None) -> None:
    """Tell a task that waits; it may have gone away."""
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)
