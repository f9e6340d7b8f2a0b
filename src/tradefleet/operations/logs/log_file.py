"""A file that lines are added to: begun anew every day and when it is full, the old ones kept.

Times are those of the lines. A disk that is full or read-only costs lines, and nothing else: it is
said once, tried again every so often, and where lines are missing the file says how many.
"""

import errno
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from tradefleet.operations.logs.berth import Berth

TRIED_AGAIN = timedelta(seconds=30)
ROTATED_MAX = 200  # old files of one kind, whatever their age
READABLE = 0o640  # by the group, for whoever collects logs
DAY = re.compile(r"-(\d{4}-\d{2}-\d{2})(?:-(\d{3,}))?$")
MISSING = "{count} lines are missing here: the disk took none since {since:%H:%M:%S} UTC"


@dataclass(frozen=True, slots=True)
class Line:
    """What is to be written, and when it was said."""

    at: datetime
    text: str
    level: int = 0


@dataclass(slots=True, kw_only=True)
class LogFile:
    """One file in a folder, as one process writes it; errors of the disk are told by say."""

    berth: Berth
    name: str
    size_max: int  # bytes
    keep: timedelta
    say: Callable[[str], None]
    note: Callable[[datetime, str], str]  # a line of our own, as all lines are written
    _file: int | None = field(default=None, init=False)
    _path: Path = field(default_factory=Path, init=False)
    _day: date | None = field(default=None, init=False)
    _size: int = field(default=0, init=False)
    _is_cut: bool = field(default=False, init=False)  # the last line was not taken whole
    _missing: int = field(default=0, init=False)
    _failed: datetime | None = field(default=None, init=False)  # when it was tried last
    _since: datetime | None = field(default=None, init=False)  # when lines began to be missing

    @property
    def path(self) -> Path:
        """Where lines go now; named by the process's number when it is not the first here."""
        return self.berth.path(self.name)

    def write(self, lines: Sequence[Line]) -> None:
        """Add lines; what cannot be written is counted."""
        for at, text in _by_day(lines):
            count = text.count("\n")
            if self._failed is not None and abs(at - self._failed) < TRIED_AGAIN:
                self._missing += count
                continue
            try:
                self._add(at, text.encode("utf-8", "replace"))
            except OSError as error:
                self._fail(error, at, count)

    def close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            with suppress(OSError):
                os.close(file)

    def _add(self, at: datetime, data: bytes) -> None:
        if self._is_elsewhere():
            self.close()
        if self._file is None:
            self._open(at)
        is_new_day = self._day is not None and at.date() > self._day
        if self._size and (is_new_day or self._size + len(data) > self.size_max):
            self._rotate(at)
        self._day = at.date() if self._day is None else max(at.date(), self._day)
        if self._since is not None:
            self._put(b"\n" * self._is_cut)
            told = MISSING.format(count=self._missing, since=self._since)
            self._put(f"{self.note(at, told)}\n".encode())
            self.say(f"The log {self._path} is written again; {self._missing} lines are missing.")
            self._failed = self._since = None
            self._missing = 0
        self._put(data)

    def _put(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest and self._file is not None:
            written = os.write(self._file, rest)
            self._size += written
            rest = rest[written:]
            self._is_cut = bool(rest)

    def _open(self, at: datetime) -> None:
        self.berth.take()
        self._path = self.path
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, READABLE)
        with suppress(OSError):  # not ours, but ours to write
            os.fchmod(file, READABLE)
        found = os.fstat(file)
        self._file, self._size = file, found.st_size
        written = datetime.fromtimestamp(found.st_mtime, UTC).date()
        self._day = written if found.st_size else at.date()
        self._clean(at)

    def _is_elsewhere(self) -> bool:
        """Say whether somebody moved or removed the file."""
        if self._file is None:
            return False
        try:
            here, ours = os.stat(self._path), os.fstat(self._file)
        except FileNotFoundError:
            return True
        return (here.st_ino, here.st_dev) != (ours.st_ino, ours.st_dev)

    def _rotate(self, at: datetime) -> None:
        """Put the file aside under the name of its day, and begin another, if we may."""
        self.close()
        with suppress(PermissionError):
            os.rename(self._path, self._free_name(self._day or at.date()))
        self._open(at)
        self._day = at.date()

    def _free_name(self, day: date) -> Path:
        first = self._path.with_stem(f"{self._path.stem}-{day}")
        taken = [number for path, _, number in self._rotated(self._path.stem) if _ == day]
        return first.with_stem(f"{first.stem}-{max(taken) + 1:03d}") if taken else first

    def _rotated(self, stem: str) -> Iterator[tuple[Path, date, int]]:
        """Yield the old files that begin with a name, with their day and number."""
        suffix = self._path.suffix
        for path in self._path.parent.glob(f"{stem}*{suffix}"):
            found = DAY.search(path.stem)
            if found is None or not _is_of(path.stem[: found.start()], stem):
                continue
            with suppress(ValueError):
                yield path, date.fromisoformat(found[1]), int(found[2] or 0)

    def _clean(self, at: datetime) -> None:
        """Remove what is older than is kept, of all processes that ever wrote here."""
        stem, oldest = Path(self.name).stem, at.date() - self.keep
        found = sorted(self._rotated(stem), key=lambda each: each[1:], reverse=True)
        for number, (path, day, _) in enumerate(found):
            if day < oldest or number >= ROTATED_MAX:
                with suppress(OSError):
                    path.unlink()
        for path in self._path.parent.glob(f"{stem}.*{self._path.suffix}"):
            if path != self._path and DAY.search(path.stem) is None and _is_of(path.stem, stem):
                with suppress(OSError):
                    last = datetime.fromtimestamp(path.stat().st_mtime, UTC)
                    if last.date() < oldest:
                        path.unlink()

    def _fail(self, error: OSError, at: datetime, count: int) -> None:
        self.close()
        if self._since is None:
            self._since = at
            why = error.strerror or type(error).__name__
            full = " Make room there." if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
            self.say(
                f"The log {self.path} cannot be written ({why}): lines are told here only, "
                f"and the file is tried again every {TRIED_AGAIN.seconds} s.{full}"
            )
        self._failed = at
        self._missing += count


def _is_of(name: str, stem: str) -> bool:
    """Say whether a name is that of a file, or of the same one of another process."""
    return re.fullmatch(rf"{re.escape(stem)}(\.\w+)?", name) is not None


def _by_day(lines: Sequence[Line]) -> Iterator[tuple[datetime, str]]:
    """Yield the lines of each day together, with the time of the last of them."""
    texts: list[str] = []
    for number, line in enumerate(lines):
        texts.append(f"{line.text}\n")
        after = lines[number + 1] if number + 1 < len(lines) else None
        if after is None or after.at.date() != line.at.date():
            yield line.at, "".join(texts)
            texts = []
