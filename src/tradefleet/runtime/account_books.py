"""What a host remembers of one real account's ledger, so that it can be held against the venue."""

from collections import OrderedDict
from collections.abc import Iterable
from datetime import datetime

from tradefleet.domain.ids import FillId
from tradefleet.domain.ledger import EXTERNAL, Balances, LedgerEntry
from tradefleet.engine.statement import BEGINNINGS, trade_of

TRADES_KEPT = 5000  # the latest ids of booked trades of one account; older ones are in the store


class AccountBooks:
    """The sums of an account's entries, and which of the venue's trades are among them.

    compared_at: when a difference to the venue's balances was booked last, None before the
    first time: whatever was traded until then is in it. newest: when the latest entry was
    booked; changes counts what was booked since. begun: from when on the daily statement has to
    compare, None where nothing says so yet.
    """

    __slots__ = ("balances", "begun", "changes", "compared_at", "newest", "trades")

    def __init__(self, entries: Iterable[LedgerEntry]) -> None:
        self.balances = Balances()
        self.trades: OrderedDict[FillId, None] = OrderedDict()
        self.compared_at: datetime | None = None
        self.newest: datetime | None = None
        self.begun: datetime | None = None
        self.changes = 0
        for entry in entries:
            self.take(entry)

    def take(self, entry: LedgerEntry) -> None:
        """Add an entry that is written, or about to be; the same trade is added once."""
        trade_id = trade_of(entry)
        if trade_id is not None:
            if trade_id in self.trades:
                return
            self.know(trade_id)
        self.balances.book(entry)
        self.changes += 1
        if self.newest is None or entry.booked_at > self.newest:
            self.newest = entry.booked_at
        if entry.kind in BEGINNINGS and (self.begun is None or entry.booked_at > self.begun):
            self.begun = entry.booked_at
        if any(posting.place == EXTERNAL for posting in entry.postings):
            self.compared_at = max(self.compared_at or entry.booked_at, entry.booked_at)

    def know(self, trade_id: FillId) -> None:
        """Note that a trade needs no booking any more."""
        self.trades[trade_id] = None
        while len(self.trades) > TRADES_KEPT:
            self.trades.popitem(last=False)
