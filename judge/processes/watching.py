"""Looks at the system's database while it is used: who holds which user, and what is unsettled."""

import asyncio
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import asyncpg

from judge.databases import SEES_ALL

LEASES = "SELECT user_id, owner, epoch FROM leases"
UNSETTLED = (
    "SELECT state, count(*) FROM orders"
    " WHERE state NOT IN ('void', 'done', 'rejected', 'absent') GROUP BY state"
)
POSITIONS = "SELECT 'positions', count(*) FROM positions"
ORDERS = "SELECT 'orders', count(*) FROM orders"
ACCOUNTS = "SELECT id, user_id, venue FROM accounts ORDER BY id"
BOTS = "SELECT id, user_id, account_id, symbol, status FROM bots ORDER BY id"

# Transactions that were begun and left: of a process that stands still in the midst of one.
STANDING = (
    "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'"
    " AND now() - state_change > interval '5 seconds'"
)

Rows = Sequence[Sequence[Any]]


class Asked(Protocol):
    """A database that may be asked while others write to it."""

    async def rows(self, query: str) -> Rows: ...


@dataclass(slots=True, eq=False)
class SqliteWatch:
    """Reads the file itself; a reader of a write-ahead log waits for nobody and holds nobody up."""

    path: Path

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None

    async def rows(self, query: str) -> Rows:
        return await asyncio.to_thread(self._rows, query)

    def _rows(self, query: str) -> Rows:
        connection = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=5.0)
        try:
            return connection.execute(query).fetchall()
        finally:
            connection.close()


@dataclass(slots=True, eq=False)
class PostgresWatch:
    """One connection of its own."""

    address: str
    _connection: Any = None
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def __aenter__(self) -> Self:
        self._connection = await asyncpg.connect(self.address, server_settings=SEES_ALL)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._connection.close()

    async def rows(self, query: str) -> Rows:
        async with self._turn:
            return [tuple(row) for row in await self._connection.fetch(query)]


async def leases(asked: Asked) -> Mapping[str, tuple[str, int]]:
    """Return who holds which user, and under which epoch: user → (owner, epoch)."""
    return {user: (owner, epoch) for user, owner, epoch in await asked.rows(LEASES)}


async def unsettled(asked: Asked) -> Mapping[str, int]:
    """Return how many orders are in which state that is not final, and how many positions."""
    found: dict[str, int] = {}
    for query in (UNSETTLED, POSITIONS, ORDERS):
        found |= {str(name): int(count) for name, count in await asked.rows(query)}
    return found
