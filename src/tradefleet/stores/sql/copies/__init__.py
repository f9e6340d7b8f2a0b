"""Copies of a whole database and the way back, for each kind."""

from tradefleet.operations.backup.copying import Copier
from tradefleet.stores.sql.address import read_address
from tradefleet.stores.sql.copies.postgres import PostgresCopier
from tradefleet.stores.sql.copies.sqlite import SqliteCopier

__all__ = ["copier_of"]


def copier_of(url: str) -> Copier:
    """Return what copies the database at an address."""
    address = read_address(url)
    return SqliteCopier(address) if address.is_sqlite else PostgresCopier(address)
