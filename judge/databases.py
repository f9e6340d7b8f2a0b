"""Reads the system's final database in plain SQL: orders, fills, ledger lines, positions.

It knows tables and columns and nothing else of the system. Where a column is missing, SQL says so.
"""

import asyncio
import sqlite3
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeAlias

import asyncpg

from judge.evidence import Database, Held, Posting, StoredFill, StoredOrder

Row: TypeAlias = Mapping[str, Any]
Tables: TypeAlias = Mapping[str, Sequence[Row]]

QUERIES: Mapping[str, str] = {
    "orders": (
        "SELECT id, user_id, account_id, bot_id, seq, symbol, side, purpose, kind, quantity,"
        " state, filled, reserved, venue_order_id, epoch, decided_at, sent_at, deadline"
        " FROM orders ORDER BY decided_at, id"
    ),
    "fills": (
        "SELECT id, user_id, account_id, order_id, symbol, side, quantity, price, cost, fee,"
        " fee_asset FROM fills ORDER BY account_id, id"
    ),
    "postings": (
        "SELECT user_id, account_id, entry_id, place, asset, amount FROM ledger_entries"
        " ORDER BY user_id, entry_id, line"
    ),
    "held": "SELECT user_id, bot_id, symbol, quantity FROM positions ORDER BY user_id, bot_id",
}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DRIVERS = ("postgresql+asyncpg://", "postgres://")
# How PostgreSQL is told that all users' rows are asked for; its superusers need not.
SEES_ALL = {"tradefleet.scope": "system"}


def from_sqlite(path: Path | str) -> Database:
    """Read a database file, without changing it; nobody may be writing to it any more."""
    address = f"{Path(path).resolve().as_uri()}?mode=ro"
    with closing(sqlite3.connect(address, uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        return _database({name: connection.execute(q).fetchall() for name, q in QUERIES.items()})


def from_postgres(url: str) -> Database:
    """Read a PostgreSQL database; in a thread of its own, for there may be a loop in this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(read_postgres(url))).result()


async def read_postgres(url: str) -> Database:
    """Read a PostgreSQL database, all as of one moment."""
    for driver in DRIVERS:
        url = url.replace(driver, "postgresql://", 1) if url.startswith(driver) else url
    connection = await asyncpg.connect(url, server_settings=SEES_ALL)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            return _database({name: await connection.fetch(q) for name, q in QUERIES.items()})
    finally:
        await connection.close()


def _database(tables: Tables) -> Database:
    return Database(
        orders=tuple(_order(row) for row in tables["orders"]),
        fills=tuple(_fill(row) for row in tables["fills"]),
        postings=tuple(_posting(row) for row in tables["postings"]),
        held=tuple(_held(row) for row in tables["held"]),
    )


def _order(row: Row) -> StoredOrder:
    decided = _ms(row["decided_at"])
    if decided is None:
        raise ValueError(f"order {row['id']} was never decided")
    return StoredOrder(
        id=row["id"],
        user_id=row["user_id"],
        account_id=row["account_id"],
        bot_id=row["bot_id"],
        seq=row["seq"],
        symbol=row["symbol"],
        side=row["side"],
        purpose=row["purpose"],
        kind=row["kind"],
        quantity=Decimal(row["quantity"]),
        state=row["state"],
        filled=Decimal(row["filled"]),
        reserved=Decimal(row["reserved"]),
        venue_order_id=row["venue_order_id"],
        epoch=row["epoch"],
        decided_ms=decided,
        sent_ms=_ms(row["sent_at"]),
        deadline_ms=_ms(row["deadline"]),
    )


def _fill(row: Row) -> StoredFill:
    return StoredFill(
        id=row["id"],
        user_id=row["user_id"],
        account_id=row["account_id"],
        order_id=row["order_id"],
        symbol=row["symbol"],
        side=row["side"],
        quantity=Decimal(row["quantity"]),
        price=Decimal(row["price"]),
        cost=Decimal(row["cost"]),
        fee=Decimal(row["fee"]),
        fee_asset=row["fee_asset"],
    )


def _posting(row: Row) -> Posting:
    return Posting(
        user_id=row["user_id"],
        account_id=row["account_id"],
        entry_id=row["entry_id"],
        place=row["place"],
        asset=row["asset"],
        amount=Decimal(row["amount"]),
    )


def _held(row: Row) -> Held:
    return Held(
        user_id=row["user_id"],
        bot_id=row["bot_id"],
        symbol=row["symbol"],
        quantity=Decimal(row["quantity"]),
    )


def _ms(at: str | datetime | None) -> int | None:
    """Return a time in milliseconds: PostgreSQL has times, SQLite ISO text with Z."""
    if at is None:
        return None
    moment = datetime.fromisoformat(at) if isinstance(at, str) else at
    return (moment - EPOCH) // timedelta(milliseconds=1)
