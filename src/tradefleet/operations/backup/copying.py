"""What one kind of database must offer to be backed up: a copy of one moment, and the way back."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from tradefleet.domain.errors import TradefleetError


class BackupFault(TradefleetError):
    """A backup cannot be made, used or put in place; the text says why, and the cure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """What two copies of one moment must have in common.

    ledger: a digest of the sum of every account, place and asset, of which there are so many.
    latest: of the latest fact in it; None when nothing has happened.
    """

    schema: str
    tables: Mapping[str, int]
    ledger: str
    sums: int
    latest: datetime | None = None

    @property
    def rows(self) -> int:
        return sum(self.tables.values())

    def written(self) -> dict[str, Any]:
        """Return it as JSON can say it."""
        latest = self.latest.isoformat() if self.latest is not None else None
        return {**asdict(self), "tables": dict(self.tables), "latest": latest}

    @classmethod
    def read(cls, said: Mapping[str, Any]) -> "Picture":
        latest = said["latest"]
        found = datetime.fromisoformat(latest) if latest is not None else None
        return cls(**{**said, "latest": found})

    def differences(self, other: "Picture") -> list[str]:
        """Say where another copy of the same moment is not the same; [] when it is."""
        found = [
            f"table {name}: {count} rows, and {other.tables.get(name, 0)}"
            for name, count in {**dict.fromkeys(other.tables, 0), **self.tables}.items()
            if count != other.tables.get(name, 0)
        ]
        if self.schema != other.schema:
            found.append(f"schema {self.schema}, and {other.schema}")
        if (self.ledger, self.sums) != (other.ledger, other.sums):
            found.append("the sums of the ledger")
        return found


class Copier(Protocol):
    """One database at one address.

    near: the folder in which a file must lie to be put in place of the database, None: any will do.
    All raise BackupFault or StoreUnavailable, with the cure.
    """

    @property
    def kind(self) -> str: ...
    @property
    def identity(self) -> str:
        """Name the database, and no other, without a password."""

    @property
    def near(self) -> Path | None: ...

    async def copy(self, file: Path) -> Picture:
        """Write a copy of one moment into a file, while others write; return that moment."""

    def restored(self, file: Path) -> AbstractAsyncContextManager[str]:
        """Make a temporary database of a copy; give its address, and drop it at the end.

        One that was put in place is not dropped. The file is used up.
        """

    async def look(self, address: str) -> Picture:
        """Read a database that nobody writes; damage in it is a BackupFault."""

    async def standing(self) -> Picture | None:
        """Return what is at the address now; None: nothing, or nothing that can be read."""

    async def fence(self, address: str) -> None:
        """Let no owner of users or duties from before write to a restored database any more."""

    async def put_in_place(self, address: str, stamp: str, *, in_use: bool) -> str | None:
        """Let a temporary database stand where the real one stood; return where that is now.

        in_use: also when others are connected, where the database can turn them out.
        """
