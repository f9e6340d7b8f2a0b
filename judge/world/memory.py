"""The store in memory, as a database that can be set back, and read by the judge."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from decimal import Decimal
from typing import Any

from judge.evidence import Database, Held, Posting, StoredFill, StoredOrder
from judge.world.clocks import WorldClock, to_ms
from judge.world.keeping import Holding
from tradefleet.domain.bot import BotStatus
from tradefleet.domain.ids import UserId
from tradefleet.domain.ledger import OUTSIDE
from tradefleet.domain.limits import Halt
from tradefleet.domain.order import CancelState, Fill, Order, OrderKind, OrderState
from tradefleet.stores.memory import MemoryStore
from tradefleet.stores.memory.rows import Rows
from tradefleet.stores.memory.shared import Shared


class MemoryKeeping:
    """Everything in the process's own memory: the quickest."""

    def __init__(self, clock: WorldClock) -> None:
        self.base: Any = MemoryStore(clock)

    def snapshot(self) -> Any:
        return snapshot(self.base)

    def set_back(self, kept: Any) -> None:
        self.base._rows, self.base._shared = kept

    def sends_lost(self, kept: Any) -> Mapping[str, bool]:
        before, _ = kept
        lost: dict[str, bool] = {}
        for user, rows in self.base._rows.items():
            for order in rows.orders.values():
                known = before[user].orders.get(order.id)
                if order.sent_at is not None and (known is None or known.sent_at is None):
                    lost[order.id] = known is not None
        return lost

    def is_settled(self) -> bool:
        return all(rests(o) for rows in self.base._rows.values() for o in rows.working.values())

    def totals(self, user: str, account: str) -> Mapping[str, Decimal]:
        totals: dict[str, Decimal] = {}
        for entry in self.base._rows[UserId(user)].entries.values():
            for posting in entry.postings if entry.account_id == account else ():
                if posting.place not in OUTSIDE:
                    asset = posting.asset
                    totals[asset] = totals.get(asset, Decimal(0)) + posting.amount
        return totals

    def booked(self, user: str, account: str, order: str) -> set[str]:
        rows = self.base._rows[UserId(user)]
        return {fill.id for fill in rows.fills.values() if fill.order_id == order}

    def held(self) -> Sequence[Holding]:
        return [
            Holding(user, memory.bot_id, str(memory.position.symbol))
            for user, rows in self.base._rows.items()
            for memory in rows.memories.values()
            if memory.position is not None
        ]

    def troubled(self) -> Sequence[str]:
        return [
            user
            for user, rows in self.base._rows.items()
            if any(switch.halt is not Halt.RUN for switch in rows.switches.values())
            or any(spec.status is BotStatus.SET_ASIDE for spec in rows.bots.values())
        ]

    def read(self) -> Database:
        return read(self.base)

    async def close(self) -> None:
        pass


def rests(order: Order) -> bool:
    """Say whether an order waits at the venue, as it should in the end."""
    waits = order.kind is OrderKind.RESTING_STOP and order.state is OrderState.OPEN
    return waits and order.cancel is CancelState.NONE


def copied(each: Any) -> Any:
    """Return a table that later changes do not reach; its rows never change."""
    return each.copy() if isinstance(each, dict | list) else each


def snapshot(store: MemoryStore) -> tuple[Any, Any]:
    """Return all that is stored, as it stands."""
    rows = {}
    for user, found in store._rows.items():
        tables = {name: copied(getattr(found, name)) for name in ROWS}
        tables["decisions"] = {bot: each.copy() for bot, each in found.decisions.items()}
        rows[user] = Rows(**tables)
    shared = store._shared
    return rows, Shared(**{name: copied(getattr(shared, name)) for name in SHARED})


ROWS = tuple(field.name for field in fields(Rows))
SHARED = tuple(field.name for field in fields(Shared))


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
