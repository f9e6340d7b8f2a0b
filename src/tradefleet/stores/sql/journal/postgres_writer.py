"""One PostgreSQL connection for what is written often, opened anew when it was lost."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import asyncpg
from sqlalchemy.dialects.postgresql import asyncpg as asyncpg_dialect

from tradefleet.domain.errors import BrokenInvariant
from tradefleet.stores.sql.address import Address
from tradefleet.stores.sql.engine import CONNECTION_WAIT, postgres_settings
from tradefleet.stores.sql.faults import as_unavailable
from tradefleet.stores.sql.policies import SESSION_FOR_SYSTEM

T = TypeVar("T")


class PostgresWriter:
    """Runs transactions one after the other on one connection."""

    def __init__(self, address: Address, patience: float) -> None:
        self._address = address
        self._patience = patience
        self._turn = asyncio.Lock()
        self._connection: Any = None

    async def run(self, work: Callable[[Any], Awaitable[T]]) -> T:
        """Run work, which begins and commits.

        When the connection is lost while it commits, nobody knows whether it was kept: the
        caller is told that the database is unavailable, and starts again from what it holds.
        """
        async with self._turn:
            try:
                return await work(await self._connected())
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
                unavailable = as_unavailable(error, self._address)
                raise unavailable or BrokenInvariant(f"the database refused: {error}") from error

    async def _connected(self) -> Any:
        if self._connection is None or self._connection.is_closed():
            dialect: Any = asyncpg_dialect.dialect
            _, options = dialect().create_connect_args(self._address.url)
            self._connection = await asyncpg.connect(
                **options,
                # Nobody's alone, and of no pool: it writes for many users at a time.
                server_settings={**postgres_settings(self._patience), **SESSION_FOR_SYSTEM},
                timeout=CONNECTION_WAIT,
            )
        return self._connection

    async def close(self) -> None:
        async with self._turn:
            if self._connection:
                await self._connection.close()
