"""One connection and one thread for what is written often into a SQLite file.

Python's lock is handed over at every call into SQLite, and a busy event loop makes the thread
wait for it each time; so what is written here is written in as few calls as possible.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from tradefleet.domain.errors import BrokenInvariant
from tradefleet.stores.sql.address import Address
from tradefleet.stores.sql.checkpoints import Checkpoints
from tradefleet.stores.sql.engine import sqlite_connection
from tradefleet.stores.sql.faults import as_unavailable

T = TypeVar("T")


class SqliteWriter:
    """Runs transactions one after the other; turn is shared with the file's other writers."""

    def __init__(
        self, address: Address, patience: float, turn: asyncio.Lock, checkpoints: Checkpoints
    ) -> None:
        self._address = address
        self._patience = patience
        self._turn = turn
        self._checkpoints = checkpoints
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._connection: sqlite3.Connection | None = None

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run work, which begins and commits; undo what it left open when it fails."""
        loop = asyncio.get_running_loop()
        async with self._turn:
            result = await loop.run_in_executor(self._thread, self._run, work)
            await self._checkpoints.after_write()
        return result

    def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            if self._connection is None:
                self._connection = sqlite_connection(self._address, self._patience)
            try:
                return work(self._connection)
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            unavailable = as_unavailable(error, self._address)
            raise unavailable or BrokenInvariant(f"the database refused: {error}") from error

    async def close(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown()

    def _close(self) -> None:
        if self._connection:
            self._connection.close()
