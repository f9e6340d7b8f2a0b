"""Reads a database's address in every form people write it."""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from tradefleet.domain.errors import StoreUnavailable

FORMS = "a path, sqlite:///path or postgresql://user:password@host/name"
DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgres": "postgresql+asyncpg"} | {
    "postgresql": "postgresql+asyncpg"
}


@dataclass(frozen=True, slots=True)
class Address:
    """Where a database is: its URL for SQLAlchemy, and for SQLite its file."""

    url: URL
    file: Path | None = None

    @property
    def is_sqlite(self) -> bool:
        return self.file is not None

    def __str__(self) -> str:
        """The address for people, without its password."""
        return str(self.file) if self.file else self.url.render_as_string(hide_password=True)


def read_address(text: str) -> Address:
    """Return the address; StoreUnavailable says what is wrong with it."""
    if not text.strip():
        raise StoreUnavailable(f"The address of the database is empty; write {FORMS}.")
    if "://" not in text:
        return of_file(Path(text))
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise StoreUnavailable(
            f"The address of the database cannot be read; write {FORMS}."
        ) from None
    driver = DRIVERS.get(url.drivername.partition("+")[0])
    if driver is None or url.drivername not in (driver, driver.partition("+")[0], "postgres"):
        raise StoreUnavailable(f"{url.drivername} is no database we know; write {FORMS}.")
    if driver.startswith("sqlite"):
        if url.database in (None, "", ":memory:"):
            raise StoreUnavailable("A database in memory is lost with the process; name a file.")
        return of_file(Path(url.database or ""))
    if not url.database:
        raise StoreUnavailable("The address names no database; end it with /name.")
    return Address(url.set(drivername=driver))


def of_file(file: Path) -> Address:
    return Address(URL.create("sqlite+aiosqlite", database=str(file)), file)
