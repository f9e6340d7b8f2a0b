"""Pages of a long list, the newest first: which part is wanted, and where the next one begins."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from tradefleet.domain.errors import Refused
from tradefleet.domain.market import Symbol

PAGE_MAX = 200  # on one page


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in a list: the next page is what comes before this moment and id."""

    at: datetime
    id: str

    def __str__(self) -> str:
        return urlsafe_b64encode(f"{self.at.isoformat()} {self.id}".encode()).decode().rstrip("=")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what was given as `next`; Refused when it is anything else."""
        try:
            plain = urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
            at, _, id = plain.partition(" ")
            read = datetime.fromisoformat(at)
        except ValueError:
            raise Refused("This is no cursor; take `next` of the page before.") from None
        if read.tzinfo is None or not id or "\0" in id:
            raise Refused("This is no cursor; take `next` of the page before.")
        return cls(read, id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A wanted part of a list: at most `limit`, before a place in it, not older than `since`."""

    limit: int
    before: Cursor | None = None
    since: datetime | None = None
    symbol: Symbol | None = None


def page_of(
    limit: int, cursor: str = "", since: datetime | None = None, symbol: Symbol | None = None
) -> Page:
    """Return the page a user asked for; Refused when it would be empty or too long."""
    if not 1 <= limit <= PAGE_MAX:
        raise Refused(f"Ask for 1 to {PAGE_MAX} on one page.")
    before = Cursor.parse(cursor) if cursor else None
    return Page(limit=limit, before=before, since=since, symbol=symbol)
