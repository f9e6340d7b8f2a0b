"""Moves everything from one database into another, whatever kind each is."""

from tradefleet.stores.sql.moves.moving import Moved, move, reopen

__all__ = ["Moved", "move", "reopen"]
