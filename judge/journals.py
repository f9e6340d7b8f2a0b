"""Reads venues' journals: checks the chain of hashes, and tells orders, trades, money and calls.

The shapes of lines are those that simulated venues write:
order, trade, deposit, withdrawal, call. A call's `code` says in which words it was refused.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TypeAlias

import orjson

from venuesim.journal import START, verify
from venuesim.journal import read as read_lines

Line: TypeAlias = Mapping[str, object]
LIVE = frozenset({"waiting", "open", "partial"})


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderChange:
    """One line about an order; what: new, amended, triggered, canceled, expired, rejected."""

    n: int
    at_ms: int
    order_id: int
    what: str
    status: str
    quantity: int
    price: int
    stop_price: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueTrade:
    """One execution in the venue's books; amounts in units of 10^-8."""

    n: int
    at_ms: int
    id: int
    order_id: int
    account: str
    symbol: str
    side: str
    price: int
    quantity: int
    cost: int
    fee: int
    fee_asset: str

    @property
    def base(self) -> str:
        return self.symbol.partition("/")[0]

    @property
    def quote(self) -> str:
        return self.symbol.partition("/")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """Money that came into an account, or went out of it, below zero."""

    n: int
    at_ms: int
    account: str
    asset: str
    change: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request as the venue met it; status 0 when the network never let it in."""

    n: int
    at_ms: int
    arrived_ms: int
    account: str
    action: str
    client_id: str
    order_id: int
    status: int
    fault: str
    code: str  # in which words the venue refused it, "" when it did not


Step: TypeAlias = OrderChange | VenueTrade | Movement | Call


@dataclass(slots=True, kw_only=True)
class VenueOrder:
    """An order a venue had in its books, with all that became of it."""

    venue: str
    id: int
    account: str
    client_id: str
    symbol: str
    side: str
    kind: str
    list_id: int
    changes: list[OrderChange] = field(default_factory=list)
    trades: list[VenueTrade] = field(default_factory=list)

    @property
    def first_ms(self) -> int:
        return self.changes[0].at_ms

    @property
    def is_accepted(self) -> bool:
        """Say whether it was ever on the books: some venues number what they then refuse."""
        return self.changes[0].what != "rejected"

    @property
    def quantity(self) -> int:
        return self.changes[-1].quantity

    @property
    def filled(self) -> int:
        return sum(trade.quantity for trade in self.trades)

    @property
    def is_live(self) -> bool:
        return self.changes[-1].status in LIVE and self.filled < self.quantity

    @property
    def name(self) -> str:
        return self.client_id or f"number {self.id}"


@dataclass(slots=True, kw_only=True)
class Journal:
    """A venue's journal as it was read; broken says what is wrong with its chain, "" if whole."""

    venue: str
    orders: dict[int, VenueOrder] = field(default_factory=dict)
    trades: list[VenueTrade] = field(default_factory=list)
    movements: list[Movement] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    lines: int = 0
    hash: str = START
    last_ms: int = 0
    broken: str = ""


def load(path: Path) -> list[Line]:
    """Return the lines of a journal's file; ValueError when its chain is broken."""
    found = verify(path)
    if not found.is_whole:
        raise ValueError(f"{path.name} is broken at line {found.broken}: {found.fault}")
    return list(read_lines(path))


def _hash(before: str, content: bytes) -> str:
    return sha256(before.encode() + content[:-1]).hexdigest()


def check_chain(lines: Iterable[Line]) -> tuple[str, str]:
    """Return the hash of the last good line, and what is wrong with the next, "" for nothing."""
    before = START
    for number, line in enumerate(lines, start=1):
        told = line.get("hash")
        if line.get("n") != number:
            return before, f"line {number} says it is line {line.get('n')}"
        content = orjson.dumps({name: value for name, value in line.items() if name != "hash"})
        if not isinstance(told, str) or told != _hash(before, content):
            return before, f"the hash of line {number} is not that of what stands before"
        before = told
    return before, ""


def read_journal(venue: str, lines: Sequence[Line]) -> Journal:
    """Return what the lines of one venue tell; what they contradict is said in broken."""
    journal = Journal(venue=venue, lines=len(lines))
    journal.hash, journal.broken = check_chain(lines)
    for number, line in enumerate(lines, start=1):
        try:
            journal.last_ms = max(journal.last_ms, _int(line, "at_ms"))
            _take(journal, line)
        except ValueError as error:
            journal.broken = journal.broken or f"line {number} cannot be read: {error}"
    return journal


def _take(journal: Journal, line: Line) -> None:
    kind = line.get("kind")
    if kind == "order":
        change = _change(line)
        order = journal.orders.get(change.order_id)
        if order is None:
            order = journal.orders[change.order_id] = _order(journal.venue, line)
        order.changes.append(change)
        journal.steps.append(change)
    elif kind == "trade":
        trade = _trade(line)
        journal.trades.append(trade)
        journal.steps.append(trade)
        if trade.order_id in journal.orders:
            journal.orders[trade.order_id].trades.append(trade)
        elif not journal.broken:
            journal.broken = f"trade {trade.id} is of order {trade.order_id}, which never came"
    elif kind in ("deposit", "withdrawal"):
        movement = Movement(
            n=_int(line, "n"),
            at_ms=_int(line, "at_ms"),
            account=_text(line, "account"),
            asset=_text(line, "asset"),
            change=_int(line, "change"),
        )
        journal.movements.append(movement)
        journal.steps.append(movement)
    elif kind == "call":
        call = _call(line)
        journal.calls.append(call)
        journal.steps.append(call)


def _int(line: Line, name: str) -> int:
    value = line.get(name) or 0
    if not isinstance(value, int):
        raise ValueError(f"{name} is {value!r} and no whole number")
    return value


def _text(line: Line, name: str) -> str:
    return str(line.get(name) or "")


def _order(venue: str, line: Line) -> VenueOrder:
    return VenueOrder(
        venue=venue,
        id=_int(line, "order"),
        account=_text(line, "account"),
        client_id=_text(line, "client_id"),
        symbol=_text(line, "symbol"),
        side=_text(line, "side"),
        kind=_text(line, "order_kind"),
        list_id=_int(line, "list"),
    )


def _change(line: Line) -> OrderChange:
    return OrderChange(
        n=_int(line, "n"),
        at_ms=_int(line, "at_ms"),
        order_id=_int(line, "order"),
        what=_text(line, "what"),
        status=_text(line, "status"),
        quantity=_int(line, "quantity"),
        price=_int(line, "price"),
        stop_price=_int(line, "stop_price"),
    )


def _trade(line: Line) -> VenueTrade:
    return VenueTrade(
        n=_int(line, "n"),
        at_ms=_int(line, "at_ms"),
        id=_int(line, "trade"),
        order_id=_int(line, "order"),
        account=_text(line, "account"),
        symbol=_text(line, "symbol"),
        side=_text(line, "side"),
        price=_int(line, "price"),
        quantity=_int(line, "quantity"),
        cost=_int(line, "cost"),
        fee=_int(line, "fee"),
        fee_asset=_text(line, "fee_asset"),
    )


def _call(line: Line) -> Call:
    return Call(
        n=_int(line, "n"),
        at_ms=_int(line, "at_ms"),
        arrived_ms=_int(line, "arrived_ms"),
        account=_text(line, "account"),
        action=_text(line, "action"),
        client_id=_text(line, "client_id"),
        order_id=_int(line, "order"),
        status=_int(line, "status"),
        fault=_text(line, "fault"),
        code=_text(line, "code"),
    )


def moves_of(trade: VenueTrade) -> Iterator[tuple[str, int]]:
    """Yield what a trade changes in its account, by asset; its fee among it."""
    sign = 1 if trade.side == "buy" else -1
    yield trade.base, sign * trade.quantity
    yield trade.quote, -sign * trade.cost
    yield trade.fee_asset, -trade.fee


def balances(journal: Journal) -> dict[str, dict[str, int]]:
    """Return what every account has in the end, in units: account → asset → amount."""
    totals: dict[str, dict[str, int]] = {}
    for movement in journal.movements:
        _add(totals, movement.account, movement.asset, movement.change)
    for trade in journal.trades:
        for asset, change in moves_of(trade):
            _add(totals, trade.account, asset, change)
    return totals


def _add(totals: dict[str, dict[str, int]], account: str, asset: str, change: int) -> None:
    of_account = totals.setdefault(account, {})
    of_account[asset] = of_account.get(asset, 0) + change
