"""The machine: room on its disks, folders that can be written, files only we read, open files."""

import os
import resource
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tradefleet.operations.doctor.finding import Finding, judged, ok, problem, warning

GIB = 1 << 30
FREE_WARNING, FREE_PROBLEM = 0.20, 0.05  # shares of a disk
ENOUGH = 50 * GIB  # of a large disk a small share is much
LITTLE = GIB // 4
FILES_WARNING, FILES_PROBLEM = 4096, 512
NOT_OURS = 0o007  # others than the owner and the group


def disks(places: Mapping[str, Path]) -> Iterator[Finding]:
    """Look at each folder that is written to: is there room, and may we?"""
    for name, place in places.items():
        found = nearest(place)
        if not place.is_dir():
            text = f"{place} is not there yet"
            if os.access(found, os.W_OK):
                yield ok("folders", f"{name}: {text}; it can be made")
            else:
                yield problem("folders", f"{name}: {text}, nor can it be made", f"mkdir {place}")
            continue
        yield written(name, place)
        free = shutil.disk_usage(found)
        share, text = free.free / free.total, f"{name}: {free.free / GIB:.1f} GiB free"
        yield judged(
            "disk",
            f"{text} of {free.total / GIB:.1f} ({share:.0%})",
            f"make room on the disk of {place}, or name a folder on another by {name}",
            warns=share < FREE_WARNING and free.free < ENOUGH,
            fails=free.free < LITTLE or (share < FREE_PROBLEM and free.free < ENOUGH / 10),
        )


def written(name: str, place: Path) -> Finding:
    """Write a file and remove it again."""
    try:
        with tempfile.NamedTemporaryFile(prefix=".doctor-", dir=place) as file:
            file.write(b"x" * 4096)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        who = f"the user of the service ({os.geteuid()})" if hasattr(os, "geteuid") else "us"
        cure = f"let {who} write there, or name another folder by {name}"
        return problem("folders", f"{name}: {place} cannot be written ({error.strerror})", cure)
    return ok("folders", f"{name}: {place} can be written")


def nearest(place: Path) -> Path:
    """Return a folder, or the one nearest above it that is there."""
    here = place.absolute()
    while not here.is_dir() and here != here.parent:
        here = here.parent
    return here


def same_disk(one: str, place: Path, other: str, copy: Path) -> Iterator[Finding]:
    """Say when a lost disk takes what is kept, and its copies."""
    if nearest(place).stat().st_dev == nearest(copy).stat().st_dev:
        text = f"{other} is on the disk of {one}: lost together"
        yield warning("disk", text, f"let {other} be on another disk, or copy its files elsewhere")


def permissions(files: Sequence[Path], *, is_production: bool) -> Iterator[Finding]:
    """Look who may read what holds secrets."""
    found = False
    for file in files:
        try:
            mode = file.stat().st_mode
        except OSError:
            continue
        if os.name != "posix" or not mode & NOT_OURS:
            continue
        found = True
        fit = "700" if file.is_dir() else "600"
        text = f"{file} is open to every user of this machine ({mode & 0o777:o})"
        is_key = file.suffix == ".key"
        cure = f"chmod {fit} {file}"
        yield judged("permissions", text, cure, warns=True, fails=is_key or is_production)
    if not found:
        yield ok("permissions", "what holds secrets is closed to other users")


def open_files() -> Finding:
    """Look how many files and sockets a process may have open."""
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    number = "no limit" if most == resource.RLIM_INFINITY else str(most)
    return judged(
        "open files",
        f"a process may have {number}",
        "each account and each client is a socket: ulimit -n 65536 (systemd: LimitNOFILE=65536)",
        warns=most != resource.RLIM_INFINITY and most < FILES_WARNING,
        fails=most != resource.RLIM_INFINITY and most < FILES_PROBLEM,
    )
