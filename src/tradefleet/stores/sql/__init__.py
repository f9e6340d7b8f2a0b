"""Keeps everything in SQLite or PostgreSQL."""

from tradefleet.stores.sql.opening import open_store
from tradefleet.stores.sql.schema import SchemaCheck, SchemaState, check, not_in_use, upgrade
from tradefleet.stores.sql.system_store import SqlStore

__all__ = ["SchemaCheck", "SchemaState", "SqlStore", "check", "not_in_use", "open_store", "upgrade"]
