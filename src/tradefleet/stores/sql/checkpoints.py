"""Carries SQLite's write-ahead log over into the database file, beside the writers.

A writer that does it itself (SQLite's default) makes its own transaction wait for two syncs.
"""

import asyncio
import sqlite3
from concurrent.futures import ThreadPoolExecutor

from tradefleet.stores.sql.address import Address
from tradefleet.stores.sql.engine import sqlite_connection

PAUSE = 2.0  # seconds from one to the next; each makes a commit or two wait for the disk
AFTER = 0.25  # seconds after a write: what follows from it has been written, too, by then
LOG_MOST = 131_072  # pages in the log (512 MiB) after which writers must wait until it is empty


class Checkpoints:
    """Runs a checkpoint on a thread of its own when something was written since the last."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._connection: sqlite3.Connection | None = None
        self._running: asyncio.Future[int] | None = None
        self._next = 0.0
        self._starting: asyncio.TimerHandle | None = None

    async def after_write(self) -> None:
        """See to a checkpoint when one is due; wait for it only when the log is far too long.

        Called by a writer while the others wait for their turn. An order is written down twice
        within milliseconds: a checkpoint in between would make it wait for the disk.
        """
        loop = asyncio.get_running_loop()
        if self._running and self._running.done():
            pages, self._running = self._running.result(), None
            if pages > LOG_MOST:
                await loop.run_in_executor(self._thread, self._carry_over)
        if self._running is None and self._starting is None and loop.time() >= self._next:
            self._next = loop.time() + PAUSE
            self._starting = loop.call_later(AFTER, self._start)

    def _start(self) -> None:
        self._starting = None
        loop = asyncio.get_running_loop()
        self._running = loop.run_in_executor(self._thread, self._carry_over)

    async def close(self) -> None:
        if self._starting is not None:
            self._starting.cancel()
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown()

    def _carry_over(self) -> int:
        """Return how many pages the log has; what keeps this from working shows at a write."""
        try:
            if self._connection is None:
                self._connection = sqlite_connection(self._address, 0)
            (_, pages, _) = self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.Error:
            return 0
        return int(pages)

    def _close(self) -> None:
        if self._connection:
            self._connection.close()
