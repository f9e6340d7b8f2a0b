"""Keeps everything in memory: for tests, simulations and replays that need no database."""

from tradefleet.stores.memory.paper_books import MemoryPaperBooks
from tradefleet.stores.memory.store import MemoryStore

__all__ = ["MemoryPaperBooks", "MemoryStore"]
