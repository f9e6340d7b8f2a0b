"""Turns what a database or its driver complains about into StoreUnavailable with the cure."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import asyncpg
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import IntegrityError as SqlIntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from tradefleet.domain.errors import BrokenInvariant, StoreUnavailable
from tradefleet.stores.sql.address import Address

# By the start of SQLite's name for the error.
SQLITE: Mapping[str, str] = {
    "SQLITE_FULL": "The database disk is full: free some space at {place} and start again; "
    "nothing that was confirmed is lost.",
    "SQLITE_BUSY": "The database {place} is locked by another process: stop the other one, or wait "
    "until it is done.",
    "SQLITE_LOCKED": "The database {place} is locked by another process: stop the other one, or "
    "wait until it is done.",
    "SQLITE_READONLY": "The database {place} cannot be written: let the user of this process own "
    "the file and its folder.",
    "SQLITE_PERM": "The database {place} may not be opened: let the user of this process own the "
    "file and its folder.",
    "SQLITE_CANTOPEN": "The database {place} cannot be opened: see that its folder exists and that "
    "the user of this process may write there.",
    "SQLITE_CORRUPT": "The database {place} is damaged: restore the last backup.",
    "SQLITE_NOTADB": "{place} is not a database of ours: name another file, or restore the last "
    "backup.",
    "SQLITE_IOERR": "Reading or writing {place} failed: see whether its disk is healthy and not "
    "full, then start again.",
}
# By PostgreSQL's state code, or its first two characters.
POSTGRES: Mapping[str, str] = {
    "53100": "The database server's disk is full: free some space there and start again; nothing "
    "that was confirmed is lost.",
    "53300": "The database {place} takes no more connections: raise its max_connections, or run "
    "fewer processes.",
    "53": "The database server {place} is out of resources: see its log.",
    "25006": "The database {place} is read-only, as a standby is: name the primary server.",
    "55P03": "The database {place} is locked by another process for too long: see what it does.",
    "57014": "The database {place} took too long to answer: see its load.",
    "57": "The database server {place} is starting or stopping: wait until it runs.",
    "28": "The database {place} refuses this user or password: set them right in the address.",
    "3D000": "There is no database {place}: create it, or name another.",
    "42501": "The user of the database {place} may not do that: let it own the database.",
    "42P01": "The database {place} lacks a table: upgrade it.",
    "40": "The database {place} gave up on a conflict with another transaction: try again.",
    "08": "The connection to the database {place} is lost: see whether it runs and can be reached.",
    "XX": "The database {place} is damaged: see its log, restore the last backup.",
}
UNREACHABLE = (
    "The database {place} cannot be reached: see whether it runs and whether its address is right."
)
BUSY_POOL = (
    "All connections to the database {place} are in use: try again, or run fewer users here."
)
# What asyncpg says when it lost track of what the server was about to send: nothing can be asked of
# that connection any more, as of one that is lost.
OUT_OF_STEP = asyncpg.InternalClientError
DAMAGED_DATA = (sqlite3.IntegrityError, asyncpg.IntegrityConstraintViolationError)


def as_unavailable(error: BaseException, address: Address) -> StoreUnavailable | None:
    """Return what the error means to the operator, or None when the fault is ours."""
    text = words_for(error)
    if text is UNREACHABLE and address.is_sqlite:
        text = SQLITE["SQLITE_CANTOPEN"]
    if text is None:
        return None
    cause = str(origin(error)).strip().split("\n")[0]
    return StoreUnavailable(f"{text.format(place=address)} ({cause})")


def words_for(error: BaseException) -> str | None:
    if isinstance(error, PoolTimeout):
        return BUSY_POOL
    cause = origin(error)
    if isinstance(cause, DAMAGED_DATA):
        return None
    if isinstance(cause, sqlite3.Error):
        name = getattr(cause, "sqlite_errorname", "") or ""
        return next((text for start, text in SQLITE.items() if name.startswith(start)), None)
    if isinstance(cause, OUT_OF_STEP):
        return POSTGRES["08"]
    code = getattr(cause, "sqlstate", None)
    if code:
        return POSTGRES.get(code) or POSTGRES.get(code[:2])
    if isinstance(cause, OSError | TimeoutError | asyncpg.InterfaceError):
        return UNREACHABLE
    return None


def origin(error: BaseException) -> BaseException:
    """Return the driver's own error inside SQLAlchemy's wrapping."""
    while isinstance(error, DBAPIError) and error.orig is not None:
        error = error.orig
    known = (sqlite3.Error, asyncpg.PostgresError, asyncpg.InterfaceError, OUT_OF_STEP)
    while not isinstance(error, known) and isinstance(error.__cause__, Exception):
        error = error.__cause__
    return error


@contextmanager
def translated(address: Address) -> Iterator[None]:
    """Let a database's complaint leave this block as StoreUnavailable or BrokenInvariant."""
    try:
        yield
    except (SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError, OUT_OF_STEP) as error:
        unavailable = as_unavailable(error, address)
        if unavailable:
            raise unavailable from error
        if isinstance(error, SqlIntegrityError):
            raise BrokenInvariant(f"the database refused a row: {origin(error)}") from error
        raise
    except (sqlite3.Error, OSError) as error:
        raise (as_unavailable(error, address) or error) from error
