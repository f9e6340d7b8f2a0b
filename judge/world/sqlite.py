"""The store on SQLite, in a file on a memory file system where there is one, without threads."""

import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

from judge.databases import from_sqlite
from judge.evidence import Database
from judge.world.clocks import WorldClock
from judge.world.keeping import Holding
from judge.world.loop import run_virtual
from tradefleet.domain.ledger import OUTSIDE
from tradefleet.stores.sql import open_store, upgrade

SHARED_MEMORY = Path("/dev/shm")


class InlineQueue:
    """Takes work that was meant for a thread and does it at once."""

    def put_nowait(self, item: tuple[Any, Callable[[], Any]]) -> None:
        future, work = item
        try:
            result = work()
        except BaseException as error:
            if future is None:
                raise
            future.set_exception(error)
        else:
            if future is not None:
                future.set_result(result)


class NoThread:
    """Stands where a thread stands that has nothing to do."""

    daemon = True

    def __init__(self, **given: Any) -> None:
        pass

    def start(self) -> None:
        pass


@contextmanager
def without_threads() -> Iterator[None]:
    """Let aiosqlite work in the thread it is called from."""
    with (
        patch("aiosqlite.core.SimpleQueue", InlineQueue),
        patch("aiosqlite.core.Thread", NoThread),
    ):
        yield


def folder() -> Path:
    """Return a new folder on the quickest file system there is."""
    place = SHARED_MEMORY if SHARED_MEMORY.is_dir() else None
    return Path(tempfile.mkdtemp(prefix="judge-", dir=place))


@cache
def empty_database() -> bytes:
    """Return a database with the schema of today and nothing in it; made once per process."""
    place = folder()
    try:
        file = place / "empty.db"
        with without_threads():
            run_virtual(upgrade(f"sqlite+aiosqlite:///{file}"))
        with closing(sqlite3.connect(file)) as connection:
            return connection.serialize()
    finally:
        shutil.rmtree(place)


class SqliteKeeping:
    """A database file of its own; direct reads it beside the store."""

    def __init__(self, base: Any, file: Path) -> None:
        self.base, self.file = base, file
        self.direct = sqlite3.connect(file, isolation_level=None)

    @classmethod
    async def opened(cls, clock: WorldClock, empty: bytes) -> "SqliteKeeping":
        file = folder() / "world.db"
        file.write_bytes(empty)
        store = await open_store(f"sqlite+aiosqlite:///{file}", clock=clock, create=False)
        return cls(store, file)

    def _ask(self, query: str, *given: Any) -> list[Any]:
        return self.direct.execute(query, given).fetchall()

    def snapshot(self) -> Any:
        return self.direct.serialize()

    def set_back(self, kept: Any) -> None:
        with closing(memory_of(kept)) as before:
            before.backup(self.direct)

    def sends_lost(self, kept: Any) -> Mapping[str, bool]:
        with closing(memory_of(kept)) as before:
            known = dict(before.execute("SELECT id, sent_at FROM orders"))
        sent = self._ask("SELECT id FROM orders WHERE sent_at NOT NULL ORDER BY id")
        return {order: order in known for (order,) in sent if known.get(order) is None}

    def is_settled(self) -> bool:
        return not self._ask(
            "SELECT 1 FROM orders WHERE state NOT IN ('done', 'rejected', 'void', 'absent')"
            " AND NOT (kind = 'resting_stop' AND state = 'open' AND cancel = 'none') LIMIT 1"
        )

    def totals(self, user: str, account: str) -> Mapping[str, Decimal]:
        totals: dict[str, Decimal] = {}
        lines = self._ask(
            "SELECT place, asset, amount FROM ledger_entries WHERE user_id = ? AND account_id = ?",
            user,
            account,
        )
        for place, asset, amount in lines:
            if place not in OUTSIDE:
                totals[asset] = totals.get(asset, Decimal(0)) + Decimal(amount)
        return totals

    def booked(self, user: str, account: str, order: str) -> set[str]:
        return {row[0] for row in self._ask("SELECT id FROM fills WHERE order_id = ?", order)}

    def held(self) -> Sequence[Holding]:
        rows = self._ask("SELECT user_id, bot_id, symbol FROM positions ORDER BY user_id, bot_id")
        return [Holding(*row) for row in rows]

    def troubled(self) -> Sequence[str]:
        rows = self._ask(
            "SELECT user_id FROM switches WHERE halt != 'run' AND user_id NOT NULL"
            " UNION SELECT user_id FROM bots WHERE status = 'set_aside' ORDER BY user_id"
        )
        return [row[0] for row in rows]

    def read(self) -> Database:
        return from_sqlite(self.file)

    async def close(self) -> None:
        self.direct.close()
        await self.base.close()
        shutil.rmtree(self.file.parent)


def memory_of(kept: bytes) -> sqlite3.Connection:
    """Open what was kept; a database in memory has no write-ahead log, so its header says so."""
    kept = kept[:18] + b"\x01\x01" + kept[20:]
    connection = sqlite3.connect(":memory:")
    connection.deserialize(kept)
    return connection
