"""The store in memory, as a database that can be set back, and read by the judge."""

from dataclasses import fields, replace
from datetime import datetime
from typing import Any

from judge.evidence import Database, Held, Posting, StoredFill, StoredOrder
from judge.world.clocks import to_ms
from tradefleet.domain.order import Fill, Order
from tradefleet.stores.memory import MemoryStore


def copied(each: Any) -> Any:
    """Return a row table that later changes do not reach; the values in it never change."""
    if isinstance(each, dict):
        return {key: copied(value) for key, value in each.items()}
    return list(each) if isinstance(each, list) else each


def snapshot(store: MemoryStore) -> tuple[Any, Any]:
    """Return all that is stored, as it stands."""
    rows = {
        user: replace(found, **{f.name: copied(getattr(found, f.name)) for f in fields(found)})
        for user, found in store._rows.items()
    }
    shared = store._shared
    return rows, replace(
        shared, **{f.name: copied(getattr(shared, f.name)) for f in fields(shared)}
    )


def set_back(store: MemoryStore, kept: tuple[Any, Any]) -> None:
    """Let the store be as it was: what was committed since is lost."""
    store._rows, store._shared = kept


def read(store: MemoryStore) -> Database:
    """Return what the judge reads, as it would stand in the tables."""
    orders: list[StoredOrder] = []
    fills: list[StoredFill] = []
    postings: list[Posting] = []
    held: list[Held] = []
    for user_id, rows in store._rows.items():
        orders += [stored_order(order) for order in rows.orders.values()]
        fills += [
            stored_fill(user_id, account_id, fill) for (account_id, _), fill in rows.fills.items()
        ]
        postings += [
            Posting(
                user_id=entry.user_id,
                account_id=entry.account_id,
                entry_id=entry.id,
                place=posting.place,
                asset=posting.asset,
                amount=posting.amount,
            )
            for entry in rows.entries.values()
            for posting in entry.postings
        ]
        for bot_id, memory in rows.memories.items():
            if memory.position is not None:
                symbol, quantity = str(memory.position.symbol), memory.position.quantity
                held.append(Held(user_id=user_id, bot_id=bot_id, symbol=symbol, quantity=quantity))
    return Database(orders=orders, fills=fills, postings=postings, held=held)


def stored_order(order: Order) -> StoredOrder:
    return StoredOrder(
        id=order.id,
        user_id=order.user_id,
        account_id=order.account_id,
        bot_id=order.bot_id,
        seq=order.seq,
        symbol=str(order.symbol),
        side=order.side.value,
        purpose=order.purpose.value,
        kind=order.kind.value,
        quantity=order.quantity,
        state=order.state.value,
        filled=order.filled,
        reserved=order.reserved,
        venue_order_id=order.venue_order_id,
        epoch=order.epoch,
        decided_ms=to_ms(order.decided_at),
        sent_ms=maybe_ms(order.sent_at),
        deadline_ms=maybe_ms(order.deadline),
    )


def maybe_ms(at: datetime | None) -> int | None:
    return None if at is None else to_ms(at)


def stored_fill(user_id: str, account_id: str, fill: Fill) -> StoredFill:
    return StoredFill(
        id=fill.id,
        user_id=user_id,
        account_id=account_id,
        order_id=fill.order_id,
        symbol=str(fill.symbol),
        side=fill.side.value,
        quantity=fill.quantity,
        price=fill.price,
        cost=fill.cost,
        fee=fill.fee,
        fee_asset=fill.fee_asset,
    )
