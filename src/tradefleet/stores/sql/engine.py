"""Makes SQLAlchemy's engine for an address, with each database set up as money needs it."""

import sqlite3
from typing import Any

import orjson
from sqlalchemy import Connection, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from tradefleet.stores.sql.address import Address
from tradefleet.stores.sql.types import to_json

PATIENCE = 5.0  # seconds to wait for a lock that another process holds
IDLE_SHARE = 0.8  # of the patience, after which whoever idles in a transaction is cut off
IDLE_LEAST = 1.0  # seconds
POSTGRES_CONNECTIONS = 20
SQLITE_CONNECTIONS = 8  # each is a thread
CONNECTION_WAIT = 10.0  # seconds
CACHE_KIB = 65536
WAL_KEPT = 64 << 20  # bytes the emptied write-ahead log may keep on the disk
READING = "tradefleet_reading"  # execution option of a transaction that writes nothing


def make_engine(address: Address, *, patience: float = PATIENCE) -> AsyncEngine:
    if address.is_sqlite:
        return sqlite_engine(address, patience)
    return create_async_engine(
        address.url,
        pool_size=POSTGRES_CONNECTIONS,
        max_overflow=0,
        pool_timeout=CONNECTION_WAIT,
        pool_pre_ping=True,
        json_serializer=to_json,
        json_deserializer=orjson.loads,
        connect_args={"server_settings": postgres_settings(patience)},
    )


def postgres_settings(patience: float) -> dict[str, str]:
    """Return a session's settings: commits are durable, times UTC, locks not waited for long.

    Nor are they held for long by a process that stands still in the midst of a transaction: it
    would keep its users from being taken over, and bring down whoever waits for a lock of it.
    """
    idle = max(IDLE_LEAST, patience * IDLE_SHARE)
    return {
        "application_name": "tradefleet",
        "timezone": "UTC",
        "synchronous_commit": "on",
        "lock_timeout": f"{int(patience * 1000)}ms",
        "idle_in_transaction_session_timeout": f"{int(idle * 1000)}ms",
    }


def sqlite_engine(address: Address, patience: float) -> AsyncEngine:
    engine = create_async_engine(
        address.url,
        pool_size=SQLITE_CONNECTIONS,
        max_overflow=0,
        pool_timeout=CONNECTION_WAIT,
        json_serializer=to_json,
        json_deserializer=orjson.loads,
    )

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: Any, record: Any) -> None:
        connection.isolation_level = None  # transactions begin where we say so
        cursor = connection.cursor()
        for pragma in pragmas(patience):
            cursor.execute(pragma)
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        reading = connection.get_execution_options().get(READING)
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    return engine


def reading_options(address: Address) -> dict[str, Any]:
    """Return the options of a transaction that sees one moment and writes nothing."""
    if address.is_sqlite:
        return {READING: True}
    return {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}


def pragmas(patience: float) -> list[str]:
    return [
        f"PRAGMA busy_timeout = {int(patience * 1000)}",
        "PRAGMA journal_mode = WAL",
        "PRAGMA synchronous = FULL",
        "PRAGMA foreign_keys = ON",
        "PRAGMA temp_store = MEMORY",
        f"PRAGMA cache_size = -{CACHE_KIB}",
        "PRAGMA wal_autocheckpoint = 0",  # checkpoints.py does it, beside the writers
        f"PRAGMA journal_size_limit = {WAL_KEPT}",
    ]


def sqlite_connection(address: Address, patience: float) -> sqlite3.Connection:
    """Open a plain connection for the journal's own thread."""
    connection = sqlite3.connect(
        str(address.file), isolation_level=None, check_same_thread=False, cached_statements=256
    )
    for pragma in pragmas(patience):
        connection.execute(pragma)
    return connection
