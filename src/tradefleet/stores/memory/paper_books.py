"""The paper venue's books in memory."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from tradefleet.domain.errors import StoreError
from tradefleet.domain.ids import AccountId, FillId, OrderId
from tradefleet.domain.order import Fill
from tradefleet.store import PaperAccountState, PaperChange, PaperOrder


@dataclass(slots=True)
class Book:
    """One paper account."""

    number: int
    balances: dict[str, Decimal] = field(default_factory=dict)
    orders: dict[OrderId, PaperOrder] = field(default_factory=dict)
    open: dict[OrderId, PaperOrder] = field(default_factory=dict)
    fills: dict[FillId, Fill] = field(default_factory=dict)


class MemoryPaperBooks:
    """Every paper account's book."""

    def __init__(self) -> None:
        self._books: dict[AccountId, Book] = {}

    async def load(self, account_id: AccountId) -> PaperAccountState | None:
        book = self._books.get(account_id)
        if book is None:
            return None
        return PaperAccountState(
            account_id=account_id,
            number=book.number,
            balances=dict(book.balances),
            open_orders=list(book.open.values()),
        )

    async def write(self, changes: Sequence[PaperChange]) -> None:
        numbers = {account_id: book.number for account_id, book in self._books.items()}
        for change in changes:
            if change.number <= numbers.get(change.account_id, -1):
                raise StoreError(f"paper account {change.account_id} was changed by another")
            numbers[change.account_id] = change.number
        for change in changes:
            self._keep(change)

    def _keep(self, change: PaperChange) -> None:
        book = self._books.setdefault(change.account_id, Book(change.number))
        book.number = change.number
        book.balances |= change.balances or {}
        for order in change.orders:
            book.orders[order.order.id] = order
            if order.open:
                book.open[order.order.id] = order
            else:
                book.open.pop(order.order.id, None)
        book.fills |= {fill.id: fill for fill in change.fills}

    async def order(self, account_id: AccountId, order_id: OrderId) -> PaperOrder | None:
        book = self._books.get(account_id)
        return book.orders.get(order_id) if book else None

    async def fills_of(self, account_id: AccountId, order_id: OrderId) -> Sequence[Fill]:
        book = self._books.get(account_id)
        fills = book.fills.values() if book else ()
        return [fill for fill in fills if fill.order_id == order_id]

    async def fills_between(
        self, account_id: AccountId, since: datetime, until: datetime
    ) -> Sequence[Fill]:
        book = self._books.get(account_id)
        fills = [f for f in book.fills.values() if since <= f.filled_at <= until] if book else []
        return sorted(fills, key=lambda fill: (fill.filled_at, fill.id))
