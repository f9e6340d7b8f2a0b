"""The folder backups are kept in: their names, which of them go, and what was done when."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from tradefleet.operations.backup.copying import BackupFault
from tradefleet.operations.backup.sealed_file import Header, read_header

SUFFIX = ".backup"
HISTORY = "history.jsonl"
HISTORY_MAX = 1000  # lines
MAKING = ".making-"
LEFT_OVER = timedelta(days=1)  # what is older was left by a process that was killed
DAILY, WEEKLY, MANUAL = "daily", "weekly", "manual"
LATEST = "latest"
STAMP = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One backup in the folder."""

    file: Path
    reason: str  # daily, weekly, manual
    header: Header
    size: int


@dataclass(frozen=True, slots=True)
class Shelf:
    """The folder, as one database sees it: it may hold backups of others.

    of: a digest of which database. keep: how many of each reason, where there is a limit.
    """

    folder: Path
    of: str
    keep: Mapping[str, int]

    def prepare(self) -> None:
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise BackupFault(
                f"The folder of backups {self.folder} cannot be made ({error.strerror}): set "
                "BACKUP_DIR to one that the user of this process may write."
            ) from None

    @contextmanager
    def workshop(self, near: Path | None = None) -> Iterator[Path]:
        """Give a folder nobody else may look into; it is gone at the end."""
        place = near or self.folder
        if near is None:
            self.prepare()
        try:
            place.mkdir(parents=True, exist_ok=True)
            made = Path(mkdtemp(prefix=MAKING, dir=place))
        except OSError as error:
            raise BackupFault(f"{place} cannot be written ({error.strerror}).") from None
        try:
            yield made
        finally:
            shutil.rmtree(made, ignore_errors=True)

    def put(self, sealed: Path, reason: str, at: datetime) -> Path:
        """Let a finished backup stand in the folder, whole or not at all."""
        file = self.folder / f"tradefleet-{at.strftime(STAMP)}-{reason}{SUFFIX}"
        number = 1
        while file.exists():
            number += 1
            file = self.folder / f"tradefleet-{at.strftime(STAMP)}-{number}-{reason}{SUFFIX}"
        os.rename(sealed, file)
        handle = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
        return file

    def kept(self) -> list[Kept]:
        """Return the database's backups whose header can be read, the newest first."""
        return [each for each in self.everybodys() if each.header.of == self.of]

    def everybodys(self) -> list[Kept]:
        """Return all backups, also of other databases."""
        found = []
        for file in self.folder.glob(f"tradefleet-*{SUFFIX}"):
            try:
                header = read_header(file)
            except BackupFault:
                continue
            reason = file.name.removesuffix(SUFFIX).rpartition("-")[2]
            size = file.stat().st_size
            found.append(Kept(file=file, reason=reason, header=header, size=size))
        return sorted(found, key=lambda each: (each.header.taken_at, each.file.name), reverse=True)

    def newest(self) -> Kept | None:
        return next(iter(self.kept()), None)

    def named(self, name: str) -> Path:
        """Return the backup that is meant: latest, a name in the folder, or a path."""
        if name == LATEST:
            newest = self.newest()
            if newest is None:
                others = len(self.everybodys())
                more = f" of this database ({others} of others: name the file)" if others else ""
                raise BackupFault(f"There is no backup{more} in {self.folder}.")
            return newest.file
        here = self.folder / name
        return here if Path(name).name == name and here.exists() else Path(name)

    def rotate(self, now: datetime) -> list[Path]:
        """Remove what is more than is kept, and what killed processes left; return what went."""
        gone = []
        every = self.kept()
        for reason, number in self.keep.items():
            for each in [one for one in every if one.reason == reason][number:]:
                each.file.unlink(missing_ok=True)
                gone.append(each.file)
        sweep(self.folder, now)
        return gone

    def note(self, line: Mapping[str, Any]) -> None:
        """Write down what was done; the oldest lines go."""
        self.prepare()
        file = self.folder / HISTORY
        try:
            before = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
            lines = [*before, json.dumps(line)][-HISTORY_MAX:]
            draft = file.with_name(f".{HISTORY}.{os.getpid()}")
            draft.write_text("\n".join(lines) + "\n", encoding="utf-8")
            os.replace(draft, file)
        except OSError as error:
            raise BackupFault(f"{file} cannot be written ({error.strerror}).") from None

    def history(self) -> list[dict[str, Any]]:
        file = self.folder / HISTORY
        if not file.exists():
            return []
        return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def sweep(folder: Path, now: datetime) -> None:
    """Remove what processes that were killed left: copies in the clear."""
    for left in folder.glob(f"{MAKING}*"):
        if now.timestamp() - left.stat().st_mtime > LEFT_OVER.total_seconds():
            shutil.rmtree(left, ignore_errors=True)
