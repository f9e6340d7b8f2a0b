"""What a store must offer for users to take all along and to leave, and for the old to go."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from tradefleet.domain.ids import UserId
from tradefleet.store import ErasureRequest

ROWS_AT_ONCE = 500  # of an export, in memory


@dataclass(frozen=True, slots=True)
class ExportedTable:
    """One table's rows of a user, some hundreds at a time, as JSON can say them."""

    name: str
    rows: AsyncIterator[Sequence[Mapping[str, Any]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """What an erasure did: rows deleted, renamed or emptied by table."""

    pseudonym: UserId
    at: datetime
    by_whom: str  # user, operator, restore
    reason: str
    rows: Mapping[str, int]
    audit_lines: int = 0
    audit_head: str = ""


@dataclass(frozen=True, slots=True)
class Aging:
    """A table some of whose rows are of no use after a time; age: the name of that time."""

    table: str
    age: str
    what: str  # for people


@dataclass(frozen=True, slots=True)
class Old:
    """Rows that may go, by their keys."""

    aging: Aging
    keys: Sequence[tuple[Any, ...]] = field(repr=False)


class Records(Protocol):
    """All that is kept of users, table by table."""

    @property
    def not_exported(self) -> Mapping[str, str]:
        """Return the tables of no user, and why each is none of theirs."""

    @property
    def aging(self) -> Sequence[Aging]:
        """Return what may go after a time."""

    def exporting(
        self, user_id: UserId
    ) -> AbstractAsyncContextManager[AsyncIterator[ExportedTable]]:
        """Read all of a user's rows in every table, at one moment, without secrets."""

    async def requests(self) -> Sequence[tuple[UserId, ErasureRequest]]:
        """Return who asked to be erased, the longest ago first."""

    async def users(self) -> Sequence[tuple[UserId, datetime]]:
        """Return everybody who was not erased, and since when they are there."""

    async def check_erasable(self, user_id: UserId) -> None:
        """Raise Refused while a position or an order is open, NotThere when there is nobody."""

    async def erase(
        self,
        user_id: UserId,
        pseudonym: UserId,
        *,
        at: datetime,
        by_whom: str,
        reason: str,
        force: bool = False,
    ) -> Erased:
        """Erase a user; Refused as check_erasable, but for what is open when it is by force."""

    async def erased(self) -> Sequence[Erased]:
        """Return the erasures there were, the oldest first."""

    async def scrub(self, *, at_most: int | None = None) -> bool:
        """Let nothing that was deleted stay in the database's files.

        It takes the longer the larger they are, while others wait: at_most bytes, None: whatever
        they are. False: they are larger, or it is the database's own business.
        """

    async def old(self, aging: Aging, before: datetime, limit: int) -> Old:
        """Return rows that are older, some of them."""

    async def count_old(self, aging: Aging, before: datetime) -> int: ...
    async def remove(self, old: Old, before: datetime) -> int:
        """Remove rows, in one transaction; return how many."""
