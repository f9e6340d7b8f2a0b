"""All that is kept of users, table by table: to take along, to erase, to let go after a time."""

from tradefleet.stores.sql.privacy.records import SqlRecords

__all__ = ["SqlRecords"]
