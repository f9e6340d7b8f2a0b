"""Archives users asked for: put together one at a time, kept for an hour, then gone."""

import asyncio
import logging
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

from tradefleet.clock import Clock
from tradefleet.counter import Counters
from tradefleet.domain.errors import Refused, TooMany, TradefleetError
from tradefleet.domain.ids import UserId
from tradefleet.domain.privacy import MyData, Stage
from tradefleet.operations.privacy.archive import Archive, write_archive
from tradefleet.operations.privacy.records import Records

logger = logging.getLogger(__name__)

ARCHIVES_A_DAY = 3  # of one user
DAY = 86_400  # seconds
KEPT = timedelta(hours=1)
WAITING_MAX = 100  # users whose archives wait to be made
WAITED = 20.0  # seconds a request waits for its archive before it says that it is on its way
SENT_MAX = 20 << 20  # bytes that are sent with the answer; Telegram takes 50 MB of a bot
ROUND = 60.0  # seconds from one look for old files to the next
BUSY = "Too many archives are being made just now; ask again in some minutes."
FAILED = "Your archive could not be made; ask again, and tell /support if it happens again."


@dataclass(slots=True, kw_only=True, eq=False)
class Archives:
    """The archives of one process, in a folder nobody else may look into."""

    records: Records
    folder: Path
    clock: Clock
    counters: Counters
    version: str
    waited: float = WAITED
    _ready: dict[UserId, Archive] = field(default_factory=dict, init=False)
    _queue: deque[UserId] = field(default_factory=deque, init=False)
    _done: dict[UserId, asyncio.Event] = field(default_factory=dict, init=False)
    _failed: set[UserId] = field(default_factory=set, init=False)
    _awake: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _running: bool = field(default=False, init=False)

    async def ask(self, user_id: UserId) -> MyData:
        """Return a user's archive: the one there is, or one that is made now.

        TooMany when they have asked for too many new ones today.
        """
        if (ready := self.ready(user_id)) is not None:
            return await told(ready, self.clock.now())
        if user_id not in self._done:
            await self._count(user_id)
            if len(self._done) >= WAITING_MAX:
                raise Refused(BUSY)
            self._done[user_id] = asyncio.Event()
            self._queue.append(user_id)
            self._awake.set()
        done = self._done[user_id]
        if not self._running:  # a command by itself: nobody else is there to do it
            await self._work_off()
        with suppress(TimeoutError):
            async with asyncio.timeout(self.waited):
                await done.wait()
        if (ready := self.ready(user_id)) is not None:
            return await told(ready, self.clock.now())
        if user_id in self._failed:
            self._failed.discard(user_id)
            raise Refused(FAILED)
        return MyData(stage=Stage.WAITING)

    def ready(self, user_id: UserId) -> Archive | None:
        """Return the archive that may be fetched now."""
        found = self._ready.get(user_id)
        if found is None or self.clock.now() - found.made_at >= KEPT or not found.file.exists():
            return None
        return found

    def forget(self, user_id: UserId) -> None:
        """Remove what there is of a user's, in this process's folder."""
        self._ready.pop(user_id, None)
        for file in self.folder.glob(f"{named(user_id)}-*"):
            file.unlink(missing_ok=True)

    async def run(self) -> None:
        """Make archives as they are asked for, and remove old ones, until cancelled."""
        self._running = True
        try:
            while True:
                await self._work_off()
                self.sweep()
                with suppress(TimeoutError):
                    async with asyncio.timeout(ROUND):
                        await self._awake.wait()
                self._awake.clear()
        finally:
            self._running = False

    def sweep(self) -> None:
        """Remove archives that were kept long enough, whoever made them."""
        now = self.clock.now()
        self._ready = {
            user_id: each for user_id, each in self._ready.items() if now - each.made_at < KEPT
        }
        with suppress(OSError):
            for file in self.folder.glob("*-*.zip"):
                if now.timestamp() - file.stat().st_mtime >= KEPT.total_seconds():
                    file.unlink(missing_ok=True)

    async def _count(self, user_id: UserId) -> None:
        count = await self.counters.hit(f"x:{named(user_id)}", DAY)
        if count.used > ARCHIVES_A_DAY:
            text = f"You may ask for {ARCHIVES_A_DAY} archives a day; try again later."
            raise TooMany(text, count.seconds_left)

    async def _work_off(self) -> None:
        while self._queue:
            user_id = self._queue.popleft()
            try:
                await self._make(user_id)
            except (TradefleetError, OSError) as error:
                self._failed.add(user_id)
                logger.error("an archive could not be made: %s", error)
            finally:
                self._done.pop(user_id).set()

    async def _make(self, user_id: UserId) -> None:
        now = self.clock.now()
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = self.folder / f"{named(user_id)}-{now:%Y%m%dT%H%M%SZ}.zip"
        self._ready[user_id] = await write_archive(
            self.records, user_id, file, at=now, version=self.version
        )


def named(user_id: UserId) -> str:
    """Return what a user's files are called; it does not say who that is."""
    return sha256(f"archive of {user_id}".encode()).hexdigest()[:32]


async def told(ready: Archive, now: datetime) -> MyData:
    small = ready.size <= SENT_MAX
    content = await asyncio.to_thread(ready.file.read_bytes) if small else b""
    return MyData(
        stage=Stage.READY,
        name=f"my-data-{ready.made_at:%Y-%m-%d}.zip",
        size=ready.size,
        rows=sum(ready.rows.values()),
        tables=len(ready.rows),
        sha256=ready.sha256,
        kept_minutes=max(0, int((ready.made_at + KEPT - now).total_seconds() // 60)),
        content=content,
    )
