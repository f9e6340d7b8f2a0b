"""Copies an SQLite database by its own backup, all pages in one step, and puts copies in place."""

import asyncio
import errno
import os
import sqlite3
import stat
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from tradefleet.domain.errors import StoreUnavailable
from tradefleet.operations.backup.copying import BackupFault, Picture
from tradefleet.stores.sql.address import Address
from tradefleet.stores.sql.copies import sums
from tradefleet.stores.sql.faults import translated

PATIENCE_MS = 5000
BESIDE = ("", "-wal", "-shm", "-journal")
IN_USE = (
    "The database {place} is in use: stop the service first. A file that somebody writes is never "
    "replaced, whatever is asked."
)


@dataclass(frozen=True, slots=True)
class SqliteCopier:
    """One SQLite file."""

    address: Address

    @property
    def kind(self) -> str:
        return "sqlite"

    @property
    def identity(self) -> str:
        return str(self.file.absolute())

    @property
    def file(self) -> Path:
        return self.address.file or Path()

    @property
    def near(self) -> Path | None:
        return self.file.resolve().parent

    async def copy(self, file: Path) -> Picture:
        if not self.file.exists():
            raise StoreUnavailable(f"There is no database {self.address}: start the service once.")
        try:
            return await asyncio.to_thread(copied, self.file, file)
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorname", "") == "SQLITE_FULL":  # where the copy is
                raise OSError(errno.ENOSPC, "No space left on device", str(file)) from None
            with translated(self.address):
                raise

    @asynccontextmanager
    async def restored(self, file: Path) -> AsyncIterator[str]:
        try:
            yield str(file)
        finally:
            forget(file)

    async def look(self, address: str) -> Picture:
        return await asyncio.to_thread(looked_at, Path(address))

    async def standing(self) -> Picture | None:
        if not self.file.exists():
            return None
        try:
            return await asyncio.to_thread(standing, self.file)
        except sqlite3.Error:
            return None  # damaged, or not ours: there is nothing to lose that can be counted

    async def fence(self, address: str) -> None:
        await sums.fence(address)

    async def put_in_place(self, address: str, stamp: str, *, in_use: bool) -> str | None:
        with translated(self.address):
            return await asyncio.to_thread(put_in_place, Path(address), self.file.resolve(), stamp)


def copied(source: Path, target: Path) -> Picture:
    """Copy what one transaction sees, and count in the same transaction."""
    make_private(target)
    uri = f"{source.absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA busy_timeout = {PATIENCE_MS}")
        connection.execute("BEGIN")
        picture = picture_of(connection)
        with closing(sqlite3.connect(target)) as copy:
            connection.backup(copy, pages=-1)
        connection.execute("COMMIT")
    settle(target)
    return picture


def make_private(file: Path) -> None:
    """Make a file that nobody else may read, before anything is in it."""
    os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def settle(file: Path) -> None:
    """Put all of a database that nobody else uses into its one file, on the disk."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    sync(file)


def sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def looked_at(file: Path) -> Picture:
    try:
        with closing(sqlite3.connect(file, isolation_level=None)) as connection:
            found = [row[0] for row in connection.execute("PRAGMA integrity_check(3)")]
            if found != ["ok"]:
                raise BackupFault(f"The copy is damaged inside: {'; '.join(map(str, found))}")
            if connection.execute("PRAGMA foreign_key_check").fetchone() is not None:
                raise BackupFault(
                    "The copy is damaged inside: rows point to rows that are not there"
                )
            return picture_of(connection)
    except sqlite3.Error as error:
        raise BackupFault(f"The copy is no database that can be read: {error}") from None


def standing(file: Path) -> Picture:
    uri = f"{file.absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        return picture_of(connection)


def picture_of(connection: sqlite3.Connection) -> Picture:
    listed = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite!_%'"
    names = [name for (name,) in connection.execute(f"{listed} ESCAPE '!' ORDER BY name")]
    if "alembic_version" not in names:
        raise sqlite3.DatabaseError("it has none of our tables")
    counts = {
        name: int(connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0])
        for name in names
    }
    (schema,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    times = [
        connection.execute(f"SELECT max({column}) FROM {table}{which}").fetchone()[0]
        for table, column, which in sums.FACTS
        if table in names
    ]
    digest, number = sums.digest_of(ledger_sums(connection))
    latest = sums.moment(max((at for at in times if at is not None), default=None))
    return Picture(schema=schema, tables=counts, ledger=digest, sums=number, latest=latest)


def ledger_sums(connection: sqlite3.Connection) -> Iterator[sums.Sum]:
    """Yield the ledger's sums; they are added up here, for its amounts are text."""
    found: defaultdict[tuple[str, str, str], Decimal] = defaultdict(Decimal)
    query = "SELECT account_id, place, asset, amount FROM ledger_entries"
    for account, place, asset, amount in connection.execute(query):
        of = (account, place, asset)
        found[of] = sums.SUMMING.add(found[of], Decimal(amount))
    for (account, place, asset), amount in found.items():
        yield account, place, asset, amount


def put_in_place(restored: Path, target: Path, stamp: str) -> str | None:
    settle(restored)
    aside = None
    with alone_with(target):
        if target.exists():
            aside = target.with_name(f"{target.name}.before-{stamp}")
            belong_as_before(restored, target)
            keep_aside(target, aside)
            for suffix in BESIDE[1:]:
                if Path(f"{target}{suffix}").exists():
                    os.rename(f"{target}{suffix}", f"{aside}{suffix}")
        os.replace(restored, target)
    sync(target.parent)
    return str(aside) if aside is not None else None


def keep_aside(target: Path, aside: Path) -> None:
    """Give a file a second name, so that there is a database at every moment."""
    try:
        os.link(target, aside)
    except OSError:  # not every file system knows two names of a file
        os.rename(target, aside)


def belong_as_before(restored: Path, target: Path) -> None:
    """Let the service open what somebody else, as root is, has restored."""
    before = target.stat()
    os.chmod(restored, stat.S_IMODE(before.st_mode))
    if os.geteuid() == 0:
        os.chown(restored, before.st_uid, before.st_gid)


@contextmanager
def alone_with(file: Path) -> Iterator[None]:
    """Keep everybody else from using a file meanwhile; BackupFault when somebody does.

    Only who is alone can leave the mode with a write-ahead log. What is no database nobody uses.
    """
    if not file.exists():
        yield
        return
    with closing(sqlite3.connect(file, timeout=0, isolation_level=None)) as connection:
        try:
            connection.execute("PRAGMA journal_mode = DELETE")
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.Error as error:
            name = getattr(error, "sqlite_errorname", "") or ""
            if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
                raise BackupFault(IN_USE.format(place=file)) from None
            if not name.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
                raise
        try:
            yield
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")


def forget(file: Path) -> None:
    for suffix in BESIDE:
        Path(f"{file}{suffix}").unlink(missing_ok=True)
