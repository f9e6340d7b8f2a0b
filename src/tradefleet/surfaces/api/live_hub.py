"""Tells events on to whoever listens: one reader of the database for all streams of a process.

A stream is a place in its user's sequence and a short queue. What does not fit into the queue stays
in the database until there is room, so a slow client costs no memory; one that takes nothing for
some seconds is dropped.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import orjson

from tradefleet.clock import Clock
from tradefleet.domain.errors import StoreError, TooMany
from tradefleet.domain.ids import UserId
from tradefleet.domain.live import LiveKind
from tradefleet.live import Equity, LiveEvent, stamp
from tradefleet.store import Store
from tradefleet.surfaces.api.caller import Caller

logger = logging.getLogger(__name__)

STREAMS_MAX = 10  # of one user, in one process
STREAMS_TOTAL = 5_000  # of all users, in one process
QUEUE_MAX = 128  # events of one stream
PAGE = 1_000  # events read at once
USERS_MAX = 100  # users asked for at once; the next ones wait until these are told
SLOW_SECONDS = 10.0  # a full queue may stay as it is
POLL_SECONDS = 1.0  # until it is seen what another process recorded, where no hint comes
EQUITY_SECONDS = 5.0
BEAT_SECONDS = 25.0
CHECK_SECONDS = 60.0  # in which every stream's session is looked at
TOUCH_SECONDS = 3600.0
STORE_SECONDS = 5.0  # until a database that is away is asked again


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a stream ends: a WebSocket's close code, and a reason for people."""

    code: int
    reason: str


SIGNED_OUT = Ending(4401, "what you signed in with works no more")
TOO_SLOW = Ending(4408, "too slow: come back with the id of the last event you have")
STOPPING = Ending(1012, "the service stops; come back with the id of the last event you have")


@dataclass(frozen=True, slots=True)
class Frame:
    """What is told: JSON as it goes out; number is None for what is no event of the sequence."""

    number: int | None
    kind: str
    json: str


BEAT = Frame(None, "beat", '{"type":"beat"}')


@dataclass(slots=True, eq=False, kw_only=True)
class Stream:
    """One client; place: the number of the last event that was put into its queue.

    wake is called when there is something to take, or the stream has ended.
    """

    caller: Caller
    wake: Callable[[], None]
    place: int = 0
    queue: deque[Frame] = field(default_factory=deque)
    ending: Ending | None = None
    full_since: float | None = None
    lags: bool = False  # more is in the database than fits

    @property
    def user_id(self) -> UserId:
        return self.caller.user_id

    @property
    def is_full(self) -> bool:
        return len(self.queue) >= QUEUE_MAX

    def put(self, frame: Frame) -> None:
        self.queue.append(frame)
        self.wake()

    def take(self) -> Frame | None:
        """Return what is to be told next, None when there is nothing."""
        self.full_since = None
        return self.queue.popleft() if self.queue else None

    def end(self, ending: Ending) -> None:
        if self.ending is None:
            self.ending = ending
            self.wake()


class LiveHub:
    """All streams of a process; `run` must be running."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._streams: dict[UserId, list[Stream]] = {}
        self._count = 0
        self._dirty: dict[UserId, None] = {}
        self._wake = asyncio.Event()
        self._worth: dict[UserId, Equity] = {}
        self._tasks: asyncio.TaskGroup | None = None

    # ---- streams

    async def open(self, caller: Caller, after: int | None, wake: Callable[[], None]) -> Stream:
        """Begin a stream after an event's number, or with what happens from now on.

        Who comes back after too long is told so first: they must read everything anew. Raise
        TooMany when there are too many streams.
        """
        user_id = caller.user_id
        if len(self._streams.get(user_id, ())) >= STREAMS_MAX or self._count >= STREAMS_TOTAL:
            raise TooMany(f"You have {STREAMS_MAX} streams, which is the most; close one.", 60)
        stream = Stream(caller=caller, wake=wake)
        self._streams.setdefault(user_id, []).append(stream)
        self._count += 1
        try:
            async with self._store.open(user_id) as own:
                head = await own.live.listen()
        except BaseException:
            self.close(stream)
            raise
        is_known = after is not None and head.knows(after)
        stream.place = after if after is not None and is_known else head.last
        stream.put(self._said("hello" if after is None or is_known else "reset", stream.place))
        self._mark(user_id)
        return stream

    def _said(self, kind: str, number: int) -> Frame:
        at = stamp(self._clock.now())
        return Frame(number, kind, f'{{"id":{number},"type":"{kind}","at":"{at}","data":{{}}}}')

    def close(self, stream: Stream) -> None:
        """Forget a stream."""
        there = self._streams.get(stream.user_id, [])
        if stream in there:
            there.remove(stream)
            self._count -= 1
        if not there:
            self._streams.pop(stream.user_id, None)
            self._worth.pop(stream.user_id, None)

    def taken(self, stream: Stream) -> None:
        """Note that a stream has room again."""
        if stream.lags and len(stream.queue) <= QUEUE_MAX // 2:
            self._mark(stream.user_id)

    def start(self, work: Coroutine[Any, Any, None]) -> bool:
        """Run something beside the hub; False: it has stopped."""
        if self._tasks is None:
            work.close()
            return False
        self._tasks.create_task(work)
        return True

    @property
    def count(self) -> int:
        return self._count

    def _mark(self, user_id: UserId) -> None:
        self._dirty[user_id] = None
        self._wake.set()

    def _hint(self, user_id: UserId) -> None:
        if user_id in self._streams:
            self._mark(user_id)

    # ---- telling on

    async def run(self) -> None:
        """Tell events on until cancelled; then every stream ends."""
        try:
            with self._store.live.watch(self._hint):
                async with asyncio.TaskGroup() as tasks:
                    self._tasks = tasks
                    tasks.create_task(self._store.live.hear())
                    tasks.create_task(self._every(POLL_SECONDS, self._poll))
                    tasks.create_task(self._every(EQUITY_SECONDS, self._weigh))
                    tasks.create_task(self._every(BEAT_SECONDS, self._beat))
                    tasks.create_task(self._every(TOUCH_SECONDS, self._touch))
                    tasks.create_task(self._check())
                    while True:
                        await self._wake.wait()
                        self._wake.clear()
                        await self._guarded(self._tell)
        finally:
            self._tasks = None
            for stream in self._everybody():
                stream.end(STOPPING)

    async def _every(self, seconds: float, job: Callable[[], Awaitable[None]]) -> None:
        while True:
            await self._clock.sleep(seconds)
            await self._guarded(job)

    async def _guarded(self, job: Callable[[], Awaitable[None]]) -> None:
        """Do a job; a database that is away is asked again later."""
        try:
            await job()
        except StoreError as error:
            logger.warning("live events wait for the database: %s", error)
            await self._clock.sleep(STORE_SECONDS)
            for user_id in self._streams:
                self._mark(user_id)

    def _everybody(self) -> Iterator[Stream]:
        for streams in list(self._streams.values()):
            yield from list(streams)

    async def _tell(self) -> None:
        while self._dirty:
            users = list(self._dirty)[:USERS_MAX]
            for user_id in users:
                del self._dirty[user_id]
            places = self._places(users)
            if not places:
                continue
            found = await self._store.live.since(places, PAGE)
            for user_id, events in found.items():
                self._spread(user_id, events)
            if sum(map(len, found.values())) >= PAGE:  # some may have been left
                self._dirty |= dict.fromkeys(self._places(users))

    def _places(self, users: list[UserId]) -> Mapping[UserId, int]:
        """Return from where on each user's events are wanted: by those who have room."""
        places: dict[UserId, int] = {}
        for user_id in users:
            streams = self._streams.get(user_id, ())
            room = [each.place for each in streams if each.place and not each.is_full]
            if room:
                places[user_id] = min(room)
        return places

    def _spread(self, user_id: UserId, events: list[LiveEvent]) -> None:
        for event in events:
            frame = Frame(event.number, event.kind, event.json())
            for stream in self._streams.get(user_id, ()):
                if not stream.place or stream.place >= event.number:
                    continue
                if stream.is_full:
                    stream.lags = True
                    stream.full_since = stream.full_since or self._clock.monotonic()
                elif stream.place + 1 == event.number:
                    stream.place = event.number
                    stream.put(frame)
                elif event is events[0]:  # what it lacked was forgotten meanwhile
                    stream.place = event.number - 1
                    stream.put(self._said("reset", stream.place))
                    stream.place = event.number
                    stream.put(frame)
            if event.kind == LiveKind.SIGN_IN:
                self._sign_out(user_id, orjson.loads(event.data)["id"])
        for stream in self._streams.get(user_id, ()):
            if stream.lags and not stream.is_full:
                stream.lags = False

    def _sign_out(self, user_id: UserId, session: str) -> None:
        for stream in self._streams.get(user_id, ()):
            if stream.caller.session == session:
                stream.end(SIGNED_OUT)

    async def _poll(self) -> None:
        """See what no hint came of, and who takes nothing."""
        users = list(self._streams)
        for first in range(0, len(users), USERS_MAX):
            part = users[first : first + USERS_MAX]
            heads = await self._store.live.heads(part)
            for user_id, head in heads.items():
                streams = self._streams.get(user_id, ())
                if any(each.place and each.place < head.last for each in streams):
                    self._mark(user_id)
        now = self._clock.monotonic()
        for stream in self._everybody():
            if stream.is_full and stream.full_since is None:
                stream.full_since = now
            elif stream.is_full and now - (stream.full_since or now) >= SLOW_SECONDS:
                stream.end(TOO_SLOW)

    async def _weigh(self) -> None:
        """Tell what everything is worth, where that has changed; only the latest counts."""
        users = list(self._streams)
        for first in range(0, len(users), USERS_MAX):
            worth = await self._store.live.equities(users[first : first + USERS_MAX])
            for user_id, equity in worth.items():
                if user_id in self._streams and self._worth.get(user_id) != equity:
                    self._worth[user_id] = equity
                    frame = self._weighed(equity)
                    for stream in self._streams[user_id]:
                        if not stream.is_full:
                            stream.put(frame)

    def _weighed(self, equity: Equity) -> Frame:
        data = {
            "equity": {asset: format(sum, "f") for asset, sum in equity.equity.items()},
            "positions": equity.positions,
        }
        at = stamp(self._clock.now())
        said = f'{{"type":"equity","at":"{at}","data":{orjson.dumps(data).decode()}}}'
        return Frame(None, "equity", said)

    async def _beat(self) -> None:
        for stream in self._everybody():
            if not stream.queue:
                stream.put(BEAT)

    async def _touch(self) -> None:
        await self._store.live.touch(list(self._streams))

    # ---- who may still listen

    async def _check(self) -> None:
        """Look at everybody's session, a few at a time."""
        while True:
            users = list(self._streams)
            pause = CHECK_SECONDS / max(1, len(users))
            for user_id in users:
                await self._clock.sleep(pause)
                await self._guarded(partial(self._check_user, user_id))
            if not users:
                await self._clock.sleep(CHECK_SECONDS)

    async def _check_user(self, user_id: UserId) -> None:
        now = self._clock.now()
        async with self._store.open(user_id, reading=True) as own:
            is_there = await own.user() is not None
            sessions = {each.id for each in await own.identity.sessions() if each.is_open(now)}
            tokens = {each.id for each in await own.identity.tokens() if each.is_open(now)}
        for stream in list(self._streams.get(user_id, ())):
            if not is_there or stream.caller.session not in sessions | tokens:
                stream.end(SIGNED_OUT)
