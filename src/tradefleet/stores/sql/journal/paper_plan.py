"""Sorts the changes of many paper accounts into the rows of few statements."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tradefleet.domain.errors import StoreError
from tradefleet.domain.ids import AccountId
from tradefleet.store import PaperChange, PaperOrder
from tradefleet.stores.sql import shapes
from tradefleet.stores.sql.codec import to_plain
from tradefleet.stores.sql.journal import sheets
from tradefleet.stores.sql.journal.plan import Rows
from tradefleet.stores.sql.journal.sheets import Sheet


def check_numbers(changes: Sequence[PaperChange], known: Mapping[AccountId, int]) -> None:
    """Raise StoreError when somebody else has changed an account since it was loaded."""
    last = dict(known)
    for change in changes:
        if change.number <= last.get(change.account_id, -1):
            raise StoreError(f"paper account {change.account_id} was changed by another")
        last[change.account_id] = change.number


def steps(changes: Sequence[PaperChange]) -> Iterator[tuple[Sheet, Rows]]:
    """Yield what to write; of what changed twice, only the last counts."""
    numbers = {change.account_id: change.number for change in changes}
    balances = {
        (change.account_id, asset): amount
        for change in changes
        for asset, amount in (change.balances or {}).items()
    }
    orders: dict[tuple[str, str], list[Any]] = {}
    for change in changes:
        for place, paper in enumerate(change.orders):
            row = order_row(change, place, paper)
            before = orders.setdefault((row[0], row[1]), row)
            before[4:] = row[4:]
    yield sheets.PAPER_ACCOUNTS, [[account_id, number] for account_id, number in numbers.items()]
    yield sheets.PAPER_BALANCES, [[*key, amount] for key, amount in balances.items()]
    yield sheets.PAPER_ORDERS, list(orders.values())
    yield (
        sheets.PAPER_FILLS,
        [
            [change.account_id, *shapes.FILL.row(fill)]
            for change in changes
            for fill in change.fills
        ],
    )


def order_row(change: PaperChange, place: int, paper: PaperOrder) -> list[Any]:
    return [
        change.account_id,
        paper.order.id,
        change.number,
        place,
        paper.venue_order_id,
        to_plain(paper.order),
        paper.open,
        paper.filled,
        paper.reject_reason,
    ]
