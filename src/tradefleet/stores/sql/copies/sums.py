"""The sums of a ledger, exact, as one digest; and what both kinds of database have in common."""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Context, Decimal

from sqlalchemy import update

from tradefleet.stores.sql import tables
from tradefleet.stores.sql.opening import open_store
from tradefleet.stores.sql.policies import say_system
from tradefleet.stores.sql.roles import grant_again

SUMMING = Context(prec=200)  # more digits than any sum has
# Facts, by the columns that say when they were; of the audit log what users did, or was done to
# them: that a service stopped, or a backup was made, is nothing that would be lost.
FACTS = (
    ("ledger_entries", "booked_at", ""),
    ("orders", "decided_at", ""),
    ("audit_log", "at", " WHERE user_id <> ''"),
)
# Added to every epoch after a restore: more than any host can be ahead of a backup.
EPOCHS = 1_000_000

Sum = tuple[str, str, str, Decimal]


def digest_of(sums: Iterable[Sum]) -> tuple[str, int]:
    """Return the digest of sums by account, place and asset, and how many they are."""
    lines = sorted(
        f"{account}\0{place}\0{asset}\0{plain(amount)}" for account, place, asset, amount in sums
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest(), len(lines)


def plain(amount: Decimal) -> str:
    return f"{amount.normalize(SUMMING):f}" if amount else "0"


def moment(at: datetime | str | None) -> datetime | None:
    """Return a time as either database gives it."""
    if at is None:
        return None
    return (datetime.fromisoformat(at) if isinstance(at, str) else at).astimezone(UTC)


async def fence(url: str, granted: Sequence[str] = ()) -> None:
    """Take all leases and duties from their owners, under epochs nobody of before can have.

    granted: who is to use it, besides its owner and the role of the usual name.
    """
    store = await open_store(url)
    try:
        async with store.engine.begin() as connection:
            await connection.run_sync(say_system)
            await connection.run_sync(grant_again, granted)
            for table in (tables.leases, tables.duties):
                freed = update(table).values(owner="", epoch=table.c.epoch + EPOCHS)
                await connection.execute(freed)
    finally:
        await store.close()
