"""Adds a line to the end of a file that is only ever added to, by whatever processes."""

import os
from pathlib import Path


def add_line(file: Path, line: str) -> None:
    """Add a line, on the disk when this returns; OSError when it could not be.

    What a crash left unended before it stays a line by itself.
    """
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        size = os.lseek(handle, 0, os.SEEK_END)
        is_torn = size > 0 and os.pread(handle, 1, size - 1) != b"\n"
        rest = memoryview(b"\n" * is_torn + line.encode() + b"\n")
        while rest:
            rest = rest[os.write(handle, rest) :]
        os.fsync(handle)
    finally:
        os.close(handle)
