"""Which number a process has among those that write into one folder, so that none share a file."""

import errno
import os
import sys
from contextlib import suppress
from pathlib import Path

if sys.platform != "win32":  # which has no such locks: there each file is named by its process
    import fcntl

BERTHS_MAX = 100  # processes that have numbers; others are named by their process number
BUSY = (errno.EAGAIN, errno.EACCES, errno.EWOULDBLOCK)


class Berth:
    """A place in a folder: the lowest number nobody has, kept until the process ends."""

    def __init__(self, folder: Path, lock_name: str) -> None:
        self._folder = folder
        self._lock_name = lock_name
        self._lock: int | None = None
        self._mark = ""

    def take(self) -> None:
        """Take a place, unless one is taken; OSError when the folder cannot be written."""
        if self._lock is not None or self._mark:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        for number in range(1, BERTHS_MAX + 1):
            if self._takes(number):
                self._mark = "" if number == 1 else str(number)
                return
        self._mark = f"pid{os.getpid()}"

    def _takes(self, number: int) -> bool:
        if sys.platform == "win32":
            return False
        mark = "" if number == 1 else f".{number}"
        lock = os.open(
            self._folder / f".{self._lock_name}{mark}.lock", os.O_RDWR | os.O_CREAT, 0o640
        )
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            if error.errno in BUSY:
                return False
            raise
        self._lock = lock
        return True

    def path(self, name: str) -> Path:
        """Return where this process writes the file of a name."""
        file = self._folder / name
        return file.with_stem(f"{file.stem}.{self._mark}") if self._mark else file

    def leave(self) -> None:
        lock, self._lock, self._mark = self._lock, None, ""
        if lock is not None:
            with suppress(OSError):
                os.close(lock)
