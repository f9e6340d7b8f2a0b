"""The file of a backup: a header anybody can read, then pieces that only the master key opens.

First comes MAGIC, then the header's length and the header, JSON; then each piece with its length
before it. Every piece is sealed for its place and with the header, and the last one as the last:
what was changed, exchanged, cut off or added is noticed before any of it is used.
"""

import json
import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from secrets import token_hex
from threading import Event
from typing import Any, BinaryIO

from tradefleet.domain.credentials import Secret
from tradefleet.operations.backup.copying import BackupFault, Picture
from tradefleet.vault import CannotOpen, StreamSeal, master_fingerprint

MAGIC = b"tradefleet backup\n"
FORMAT = 1
USE = "tradefleet backup, format 1"
PIECE = 1 << 20  # bytes before they are packed
SEALED_MAX = 2 * PIECE  # a sealed piece is never longer
HEADER_MAX = 1 << 16
LENGTH = 4  # bytes that say a length
PACKING = 1  # zlib's quickest
NO_MASTER = (
    "There is no master key here: set ENCRYPTION_KEY to the one of the service that made the "
    "backup, or bring back the file encryption.key of its DATA_DIR."
)
FOREIGN = (
    "{file} was sealed under another master key ({theirs}; here there is {ours}): bring back that "
    "one. Several are written into ENCRYPTION_KEY with commas, the newest first."
)
NEWER = "{file} was made by a newer version of tradefleet (format {format}): install that version."
NOT_OURS = "{file} is no backup of tradefleet."
DAMAGED = "{file} is damaged ({how}): nothing of it was used. Take another backup."


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What anybody may know of a backup.

    key: the fingerprint of the master key. of: a digest of which database it is.
    """

    kind: str
    schema: str
    taken_at: datetime
    key: str
    salt: str
    of: str
    version: str  # of the program
    format: int = FORMAT

    def written(self) -> bytes:
        return json.dumps({**asdict(self), "taken_at": self.taken_at.isoformat()}).encode()

    @classmethod
    def read(cls, said: bytes) -> "Header":
        named: dict[str, Any] = json.loads(said)
        return cls(**{**named, "taken_at": datetime.fromisoformat(named["taken_at"])})


def fingerprint(master: Secret) -> str:
    return master_fingerprint(master, USE)


def write_sealed(
    target: Path,
    plain: Path,
    picture: Picture,
    master: Secret,
    *,
    kind: str,
    of: str,
    taken_at: datetime,
    version: str,
    stop: Event,
) -> Header:
    """Seal a copy and its picture into a new file that is on the disk when this returns."""
    header = Header(
        kind=kind,
        schema=picture.schema,
        taken_at=taken_at,
        key=fingerprint(master),
        salt=token_hex(32),
        of=of,
        version=version,
    )
    written = header.written()
    seal = seal_of(master, header, written)
    handle = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(handle, "wb") as out, plain.open("rb") as source:
        out.write(MAGIC + length(written) + written)
        for number, (piece, is_last) in enumerate(with_last(pieces(source, picture))):
            sealed = seal.seal(number, zlib.compress(piece, PACKING), is_last=is_last)
            out.write(length(sealed) + sealed)
            go_on_unless(stop)
        out.flush()
        os.fsync(out.fileno())
    return header


def seal_of(master: Secret, header: Header, written: bytes) -> StreamSeal:
    return StreamSeal(master, use=USE, salt=bytes.fromhex(header.salt), header=written)


def length(said: bytes) -> bytes:
    return len(said).to_bytes(LENGTH, "big")


def pieces(source: BinaryIO, picture: Picture) -> Iterator[bytes]:
    yield json.dumps(picture.written()).encode()
    while piece := source.read(PIECE):
        yield piece


def with_last(every: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Yield each with whether it is the last."""
    waiting: bytes | None = None
    for piece in every:
        if waiting is not None:
            yield waiting, False
        waiting = piece
    if waiting is not None:
        yield waiting, True


def read_header(file: Path) -> Header:
    """Return what a file says of itself, which only opening it proves."""
    with opened(file) as source:
        return header_in(source, file)[0]


def opened(file: Path) -> BinaryIO:
    try:
        return file.open("rb")
    except OSError as error:
        raise BackupFault(f"{file} cannot be read: {error.strerror}.") from None


def header_in(source: BinaryIO, file: Path) -> tuple[Header, bytes]:
    if source.read(len(MAGIC)) != MAGIC:
        raise BackupFault(NOT_OURS.format(file=file))
    written = source.read(min(HEADER_MAX, int.from_bytes(source.read(LENGTH), "big")))
    try:
        found = json.loads(written).get("format")
    except (ValueError, AttributeError):
        raise BackupFault(DAMAGED.format(file=file, how="its header cannot be read")) from None
    if isinstance(found, int) and found > FORMAT:
        raise BackupFault(NEWER.format(file=file, format=found))
    try:
        header = Header.read(written)
        bytes.fromhex(header.salt)
    except (ValueError, TypeError, KeyError):
        raise BackupFault(DAMAGED.format(file=file, how="its header cannot be read")) from None
    return header, written


def go_on_unless(stop: Event) -> None:
    """Leave a thread in which this runs when nobody waits for it any more."""
    if stop.is_set():
        raise BackupFault("It was stopped.")


def read_sealed(
    file: Path, plain: Path, masters: Sequence[Secret], *, stop: Event
) -> tuple[Header, Picture]:
    """Open a backup into a new file; BackupFault, and no file, when anything of it is not right."""
    try:
        with opened(file) as source:
            header, written = header_in(source, file)
            seal = seal_of(master_for(header, masters, file), header, written)
            handle = os.open(plain, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            with os.fdopen(handle, "wb") as out:
                found = unsealed(source, seal, file)
                picture = Picture.read(json.loads(next(found)))
                for piece in found:
                    out.write(piece)
                    go_on_unless(stop)
    except BaseException:
        plain.unlink(missing_ok=True)
        raise
    return header, picture


def master_for(header: Header, masters: Sequence[Secret], file: Path) -> Secret:
    known = {fingerprint(master): master for master in masters}
    if not known:
        raise BackupFault(NO_MASTER)
    if header.key not in known:
        raise BackupFault(FOREIGN.format(file=file, theirs=header.key, ours=", ".join(known)))
    return known[header.key]


def unsealed(source: BinaryIO, seal: StreamSeal, file: Path) -> Iterator[bytes]:
    """Yield the pieces, each proven; BackupFault as soon as one is not."""
    number, said = 0, source.read(LENGTH)
    while True:
        long = int.from_bytes(said, "big")
        sealed = source.read(long) if len(said) == LENGTH and long <= SEALED_MAX else b""
        if not sealed or len(sealed) != long:
            how = f"piece {number + 1} is cut off or not as long as it says"
            raise BackupFault(DAMAGED.format(file=file, how=how))
        said = source.read(LENGTH)
        yield opened_piece(seal, number, sealed, file, is_last=not said)
        if not said:
            return
        number += 1


def opened_piece(
    seal: StreamSeal, number: int, sealed: bytes, file: Path, *, is_last: bool
) -> bytes:
    try:
        return zlib.decompress(seal.open(number, sealed, is_last=is_last))
    except CannotOpen:
        how = f"piece {number + 1} is not what was sealed"
    try:
        seal.open(number, sealed, is_last=not is_last)
        how = "its end is missing" if is_last else "something was added to its end"
    except CannotOpen:
        pass
    raise BackupFault(DAMAGED.format(file=file, how=how))
