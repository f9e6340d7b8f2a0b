"""A venue's own ledger against ours: every trade once with its fee, every sum to the unit.

Between two moments at which our books agreed with the venue's balances, both ledgers must have
moved each asset by the same. That alone says little: what is missing in our books has been booked
as a difference by then. So each trade is compared by itself, too.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Self

from tradefleet.domain.ids import AccountId, FillId, UserId
from tradefleet.domain.ledger import (
    EXTERNAL,
    FEES,
    FILL_OF,
    MARKET,
    OUTSIDE,
    TRADE_OF,
    LedgerEntry,
    Posting,
)
from tradefleet.domain.market import Symbol
from tradefleet.domain.money import MONEY, UNIT, ZERO
from tradefleet.domain.statement import EntryKind, VenueEntry, VenueStatement

STATEMENT = "statement"  # the kind of the entry that says until when the books were compared
DAY = timedelta(days=1)
BEGINNINGS = frozenset({STATEMENT, "opening"})  # entries at which books and balances agreed
EXPLAINED = "explained:"  # what the kinds of entries begin with that name a movement's reason
OF_TRADES = frozenset({EntryKind.TRADE, EntryKind.FEE})
Sums = Mapping[str, Decimal]


class Trouble(StrEnum):
    """What can be wrong with a trade in our books."""

    LOST = "is missing in our books"
    DOUBLED = "is booked more than once"
    WRONG_FEE = "is booked with another fee"
    WRONG_AMOUNT = "is booked with other amounts"
    UNKNOWN = "is in our books, and the venue knows nothing of it"


@dataclass(frozen=True, slots=True)
class TradeTrouble:
    """One trade that is wrong; theirs and ours: what it moved, by asset, fees included."""

    trade_id: FillId
    trouble: Trouble
    at: datetime
    theirs: Sums
    ours: Sums


@dataclass(frozen=True, slots=True)
class Line:
    """What moved of one asset: by the venue's ledger, by reason, and by our books."""

    asset: str
    venue: Mapping[EntryKind, Decimal]
    books: Decimal

    @property
    def moved(self) -> Decimal:
        return total(self.venue.values())

    @property
    def difference(self) -> Decimal:
        """What the venue's ledger says beyond our books, zero below the smallest unit."""
        difference = MONEY.subtract(self.moved, self.books)
        return difference if abs(difference) >= UNIT else ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How two ledgers stand to each other after since, up to and with until.

    trades: how many of the venue's are in our books; others: those of nobody here, which are
    not booked one by one; explained: what moved besides trades, and is in our books.
    """

    since: datetime
    until: datetime
    lines: tuple[Line, ...]
    troubles: tuple[TradeTrouble, ...]
    trades: int
    others: int
    explained: tuple[VenueEntry, ...]
    hidden: tuple[str, ...]

    @classmethod
    def of_nothing(cls, at: datetime) -> Self:
        """Return what says that from a moment on it is compared."""
        return cls(
            since=at,
            until=at,
            lines=(),
            troubles=(),
            trades=0,
            others=0,
            explained=(),
            hidden=(),
        )

    @property
    def differing(self) -> tuple[Line, ...]:
        return tuple(line for line in self.lines if line.difference)

    @property
    def agrees(self) -> bool:
        """Say whether nothing is wrong, as far as the venue's lists can tell."""
        return not self.troubles and (bool(self.hidden) or not self.differing)


def compare(
    statement: VenueStatement,
    booked: Iterable[LedgerEntry],
    *,
    since: datetime,
    until: datetime,
    ours: AbstractSet[FillId] = frozenset(),
) -> Comparison:
    """Hold the venue's ledger against our entries of the same account.

    statement and booked may reach beyond the window on either side: a trade belongs where the
    venue's time puts it. ours: trades that are not booked though their orders are ours.
    """
    theirs = trades_in(statement.entries)
    entries = list(booked)
    mine: dict[FillId, list[LedgerEntry]] = defaultdict(list)
    for entry in entries:
        if (trade_id := trade_of(entry)) is not None:
            mine[trade_id].append(entry)

    def is_inside(at: datetime) -> bool:
        return since < at <= until

    troubles = [
        found
        for trade_id, rows in theirs.items()
        if is_inside(rows[0].at)
        and (found := trouble_of(trade_id, rows, mine.get(trade_id, ()), trade_id in ours))
    ]
    for trade_id, copies in mine.items():
        if trade_id not in theirs and is_inside(copies[0].booked_at):
            at = copies[0].booked_at
            troubles.append(
                TradeTrouble(trade_id, Trouble.UNKNOWN, at, {}, summed(map(inside, copies)))
            )
    seen = [trade_id for trade_id, rows in theirs.items() if is_inside(rows[0].at)]

    def time_of(entry: LedgerEntry) -> datetime:
        rows = theirs.get(trade_of(entry) or FillId(""))
        return rows[0].at if rows else entry.booked_at

    lines = lines_of(
        [entry for entry in statement.entries if is_inside(entry.at)],
        [entry for entry in entries if is_inside(time_of(entry))],
    )
    agreeing = {line.asset for line in lines if not line.difference}
    return Comparison(
        since=since,
        until=until,
        lines=lines,
        troubles=tuple(sorted(troubles, key=lambda found: (found.at, found.trade_id))),
        trades=sum(trade_id in mine for trade_id in seen),
        others=sum(trade_id not in mine for trade_id in seen),
        explained=tuple(
            entry
            for entry in statement.entries
            if is_inside(entry.at) and entry.kind not in OF_TRADES and entry.asset in agreeing
        ),
        hidden=statement.hidden,
    )


def trouble_of(
    trade_id: FillId, rows: Sequence[VenueEntry], copies: Sequence[LedgerEntry], is_ours: bool
) -> TradeTrouble | None:
    """Say what is wrong with a trade of the venue's in our books; somebody else's may be absent.

    What fee others paid is booked as the list of trades told it; Kraken's tells it in quote,
    whatever it was paid in. The balances put that right, and nobody's result hangs on it.
    """
    theirs = summed({row.asset: row.amount} for row in rows)
    ours = summed(map(inside, copies))
    trouble: Trouble | None = None
    if not copies:
        trouble = Trouble.LOST if is_ours else None
    elif len(copies) > 1:
        trouble = Trouble.DOUBLED
    else:
        (copy,), steps = copies, steps_of(rows)
        fees = summed({r.asset: MONEY.minus(r.amount)} for r in rows if r.kind is EntryKind.FEE)
        if differ(summed((theirs, fees)), summed((ours, at_fees(copy))), steps):
            trouble = Trouble.WRONG_AMOUNT
        elif copy.kind == "fill" and differ(fees, at_fees(copy), steps):
            trouble = Trouble.WRONG_FEE
    return TradeTrouble(trade_id, trouble, rows[0].at, theirs, ours) if trouble else None


def differ(theirs: Sums, ours: Sums, steps: Sums) -> bool:
    """Say whether amounts differ by more than how finely the venue writes them."""
    return any(
        abs(MONEY.subtract(theirs.get(asset, ZERO), ours.get(asset, ZERO)))
        >= steps.get(asset, UNIT)
        for asset in {*theirs, *ours}
    )


def steps_of(rows: Iterable[VenueEntry]) -> Sums:
    steps: dict[str, Decimal] = {}
    for row in rows:
        steps[row.asset] = max(row.step, steps.get(row.asset, UNIT))
    return steps


def lines_of(theirs: Iterable[VenueEntry], ours: Iterable[LedgerEntry]) -> tuple[Line, ...]:
    moved: dict[str, dict[EntryKind, Decimal]] = defaultdict(dict)
    for row in theirs:
        kinds = moved[row.asset]
        kinds[row.kind] = MONEY.add(kinds.get(row.kind, ZERO), row.amount)
    books = summed(map(inside, ours))
    return tuple(
        Line(asset, moved.get(asset, {}), books.get(asset, ZERO))
        for asset in sorted({*moved, *books})
        if asset in moved or books[asset]
    )


# ------------------------------------------------------------------------- our books


def trade_of(entry: LedgerEntry) -> FillId | None:
    """Return the venue's id of the trade that an entry books, None when it books none."""
    for prefix in (FILL_OF, TRADE_OF):
        if entry.id.startswith(prefix):
            return FillId(entry.id.removeprefix(f"{prefix}{entry.account_id}:"))
    return None


def symbols_of(booked: Iterable[LedgerEntry], since: datetime) -> set[Symbol]:
    """Return what was traded since then, by our books: pairs may have been removed meanwhile."""
    found = set()
    for entry in booked:
        if trade_of(entry) is not None and entry.booked_at >= since:
            base, quote = (each.asset for each in entry.postings if each.place == MARKET)
            found.add(Symbol(base, quote))
    return found


def inside(entry: LedgerEntry) -> Sums:
    """Return what an entry adds to the account, or takes from it, by asset."""
    return summed({p.asset: p.amount} for p in entry.postings if p.place not in OUTSIDE)


def at_fees(entry: LedgerEntry) -> Sums:
    return summed({p.asset: p.amount} for p in entry.postings if p.place == FEES)


def summed(parts: Iterable[Sums]) -> dict[str, Decimal]:
    """Return the sums of many amounts by asset."""
    totals: dict[str, Decimal] = {}
    for part in parts:
        for asset, amount in part.items():
            totals[asset] = MONEY.add(totals.get(asset, ZERO), amount)
    return totals


def total(amounts: Iterable[Decimal]) -> Decimal:
    result = ZERO
    for amount in amounts:
        result = MONEY.add(result, amount)
    return result


def trades_in(entries: Iterable[VenueEntry]) -> dict[FillId, list[VenueEntry]]:
    """Return the venue's rows of each trade."""
    found: dict[FillId, list[VenueEntry]] = defaultdict(list)
    for entry in entries:
        if entry.trade_id:
            found[entry.trade_id].append(entry)
    return dict(found)


def unbooked(statement: VenueStatement, booked: Iterable[LedgerEntry]) -> set[FillId]:
    """Return the venue's trades that no entry of ours books."""
    return trades_in(statement.entries).keys() - {trade_of(entry) for entry in booked}


# --------------------------------------------------------------- from when, until when


def clear_moment(
    moments: Iterable[datetime], times: Sequence[datetime], apart: timedelta
) -> datetime | None:
    """Return the latest moment so far from all times that two clocks cannot disagree about it."""
    clear = [at for at in moments if all(abs(at - time) > apart for time in times)]
    return max(clear, default=None)


def due_after(at: datetime, share: float) -> datetime:
    """Return an account's own time of day, by its share of it, half a day after at or later."""
    early = at + DAY / 2
    midnight = early.replace(hour=0, minute=0, second=0, microsecond=0)
    slot = midnight + share * DAY
    return slot if slot > early else slot + DAY


# ----------------------------------------------------------------------- what is kept


def marks_of(
    found: Comparison, *, user_id: UserId, account_id: AccountId, assets: Iterable[str]
) -> list[LedgerEntry]:
    """Return what is written down of a comparison: each explained movement, and until when.

    They move nothing: an explanation names where something from outside came from.
    """

    def entry(name: str, kind: str, at: datetime, postings: Iterable[Posting]) -> LedgerEntry:
        return LedgerEntry(
            id=f"{STATEMENT}:{account_id}:{name}",
            user_id=user_id,
            account_id=account_id,
            kind=kind,
            booked_at=at,
            postings=tuple(postings),
        )

    explained = [
        entry(
            row.id,
            f"{EXPLAINED}{row.kind}",
            row.at,
            (
                Posting(EXTERNAL, row.asset, MONEY.minus(row.amount)),
                Posting(EXTERNAL, row.asset, row.amount),
            ),
        )
        for row in found.explained
    ]
    zeros = [Posting(MARKET, asset, ZERO) for asset in sorted(set(assets))]
    until = found.until
    return [*explained, entry(f"{until:%Y%m%dT%H%M%S.%f}", STATEMENT, until, zeros)]
