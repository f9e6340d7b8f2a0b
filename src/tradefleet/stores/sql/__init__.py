"""Keeps everything in SQLite or PostgreSQL."""

from tradefleet.stores.sql.opening import open_store
from tradefleet.stores.sql.schema import SchemaCheck, SchemaState, check, upgrade
from tradefleet.stores.sql.system_store import SqlStore

__all__ = ["SchemaCheck", "SchemaState", "SqlStore", "check", "open_store", "upgrade"]
