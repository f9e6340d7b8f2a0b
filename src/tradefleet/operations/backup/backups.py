"""Makes backups and tries each out before it counts; opens them again, and brings one back."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any, TypeVar

from tradefleet.clock import Clock
from tradefleet.domain.credentials import Secret
from tradefleet.domain.errors import StoreError
from tradefleet.operations.backup.copying import BackupFault, Copier, Picture
from tradefleet.operations.backup.sealed_file import (
    NO_MASTER,
    Header,
    read_header,
    read_sealed,
    write_sealed,
)
from tradefleet.operations.backup.shelf import DAILY, MANUAL, STAMP, WEEKLY, Shelf, sweep

Result = TypeVar("Result")

SCHEDULED = {DAILY: timedelta(days=1), WEEKLY: timedelta(weeks=1)}
OTHER_KIND = (
    "{file} is a backup of {theirs}, and {place} is {ours}: restore it into a database of its own "
    "kind."
)
NEWER = (
    "The database {place} knows of things of {latest:%Y-%m-%d %H:%M:%S} UTC, and the backup is of "
    "{taken:%Y-%m-%d %H:%M:%S}: what happened since would be lost ({rows} rows more). Say --force "
    "when that is meant; the database is put aside, not deleted."
)
SAFE_MODE = "Restored at {now:%Y-%m-%d %H:%M} UTC from a backup of {taken:%Y-%m-%d %H:%M}"

# Brings a restored database up to date and stops entries in it: its address, why, when.
MakeSafe = Callable[[str, str, datetime], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A backup that was made and tried out."""

    file: Path
    header: Header
    picture: Picture
    size: int
    seconds: float
    removed: Sequence[Path] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A backup as a temporary database that is as it was when it was copied."""

    address: str
    header: Header
    picture: Picture


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """A database that was brought back.

    before: what stood there, and aside where that is now; None when there was nothing.
    """

    header: Header
    picture: Picture
    before: Picture | None
    aside: str | None
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Drill:
    """How long it takes to bring a backup back, and what would be lost with the database now.

    loss: the age of the newest backup on the shelf before the drill; None: there is none.
    """

    made: Made
    restoring: float
    loss: timedelta | None


async def stoppable(work: Callable[..., Result], *given: Any, **named: Any) -> Result:
    """Run long work in a thread that ends soon when this is cancelled, as when a service stops."""
    stop = Event()
    try:
        return await asyncio.to_thread(work, *given, **named, stop=stop)
    except asyncio.CancelledError:
        stop.set()
        raise


@contextmanager
def told() -> Iterator[None]:
    """Let what the disk complains about leave this block as a BackupFault with the cure."""
    try:
        yield
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise BackupFault(
            f"The disk refuses ({where}{error.strerror}): see that there is room for two copies of "
            "the database, and that the user of this process may write there."
        ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Backups:
    """Copies of one database; place: its address for people."""

    copier: Copier
    place: str
    masters: Sequence[Secret]
    shelf: Shelf
    clock: Clock
    version: str
    make_safe: MakeSafe

    # ---- making

    async def make(self, reason: str = MANUAL) -> Made:
        """Make a backup, restore it beside, compare, and only then keep it; rotate the others."""
        with told(), self.shelf.workshop() as workshop:
            made = await self._made(workshop)
            file = self.shelf.put(made.file, reason, made.header.taken_at)
        removed = self.shelf.rotate(self.clock.now())
        return Made(
            file=file,
            header=made.header,
            picture=made.picture,
            size=made.size,
            seconds=made.seconds,
            removed=removed,
        )

    async def recorded(self, reason: str) -> Made:
        """Make a backup, and write down in the folder that it was made, or why it was not."""
        at = self.clock.now().isoformat()
        try:
            made = await self.make(reason)
        except (BackupFault, StoreError) as error:
            with suppress(BackupFault):  # the folder itself may be what is wrong
                self.shelf.note({"at": at, "reason": reason, "made": False, "why": str(error)})
            raise
        done = {"file": made.file.name, "bytes": made.size, "rows": made.picture.rows}
        seconds = round(made.seconds, 3)
        self.shelf.note({"at": at, "reason": reason, "made": True, **done, "seconds": seconds})
        return made

    async def _made(self, workshop: Path) -> Made:
        if not self.masters:
            raise BackupFault(NO_MASTER)
        start, taken_at = self.clock.monotonic(), self.clock.now()
        plain, sealed = workshop / "plain", workshop / "sealed"
        picture = await self.copier.copy(plain)
        header = await stoppable(
            write_sealed,
            sealed,
            plain,
            picture,
            self.masters[0],
            kind=self.copier.kind,
            of=self.shelf.of,
            taken_at=taken_at,
            version=self.version,
        )
        plain.unlink()
        async with self.opened(sealed, workshop) as found:
            if wrong := picture.differences(found.picture):
                raise BackupFault(f"The backup is not what was copied: {'; '.join(wrong)}")
        return Made(
            file=sealed,
            header=header,
            picture=picture,
            size=sealed.stat().st_size,
            seconds=self.clock.monotonic() - start,
        )

    # ---- opening

    @asynccontextmanager
    async def opened(self, file: Path, workshop: Path) -> AsyncIterator[Opened]:
        """Give a backup as a temporary database, after comparing it with what was copied."""
        header = read_header(file)
        if header.kind != self.copier.kind:
            words = {"file": file, "theirs": header.kind, "place": self.place}
            raise BackupFault(OTHER_KIND.format(**words, ours=self.copier.kind))
        plain = workshop / "restored"
        header, picture = await stoppable(read_sealed, file, plain, self.masters)
        async with self.copier.restored(plain) as address:
            found = await self.copier.look(address)
            if wrong := picture.differences(found):
                raise BackupFault(f"{file} is not what was copied: {'; '.join(wrong)}")
            yield Opened(address=address, header=header, picture=picture)

    # ---- bringing back

    async def restore(self, file: Path, *, force: bool = False) -> Restored:
        """Put a backup in place of the database, entries stopped; the old one is put aside.

        force: although the database knows of later things, or is in use where those who use it can
        be turned out. Nothing is touched before the backup has proven to be whole.
        """
        start = self.clock.monotonic()
        near = self.copier.near
        with told(), self.shelf.workshop(near) as workshop:
            sweep(workshop.parent, self.clock.now())
            async with self.opened(file, workshop) as found:
                before = await self.copier.standing()
                if before is not None and not force:
                    self._refuse_newer(before, found)
                now = self.clock.now()
                await self._prepared(found, now)
                stamp = now.strftime(STAMP).lower()
                aside = await self.copier.put_in_place(found.address, stamp, in_use=force)
        return Restored(
            header=found.header,
            picture=found.picture,
            before=before,
            aside=aside,
            seconds=self.clock.monotonic() - start,
        )

    def _refuse_newer(self, before: Picture, found: Opened) -> None:
        latest, taken = before.latest, found.header.taken_at
        since = found.picture.latest
        if latest is None or latest <= (since or datetime.min.replace(tzinfo=taken.tzinfo)):
            return
        more = sum(
            max(0, count - found.picture.tables.get(name, 0))
            for name, count in before.tables.items()
        )
        raise BackupFault(NEWER.format(place=self.place, latest=latest, taken=taken, rows=more))

    async def _prepared(self, found: Opened, now: datetime) -> None:
        reason = SAFE_MODE.format(now=now, taken=found.header.taken_at)
        await self.make_safe(found.address, f"{reason}; not compared with the venues yet", now)
        await self.copier.fence(found.address)

    # ---- trying it

    async def drill(self) -> Drill:
        """Make a backup, bring it back into a temporary database, check it, and keep neither."""
        newest = self.shelf.newest()
        loss = self.clock.now() - newest.header.taken_at if newest is not None else None
        with told(), self.shelf.workshop() as workshop:
            made = await self._made(workshop)
            start = self.clock.monotonic()
            async with self.opened(made.file, workshop) as found:
                await self._prepared(found, self.clock.now())
                restoring = self.clock.monotonic() - start
        return Drill(made=made, restoring=restoring, loss=loss)
