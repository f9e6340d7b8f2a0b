"""Writes a batch into one user's rows in memory: checked as a whole first, then kept."""

from dataclasses import replace
from decimal import Decimal

from tradefleet.domain.effects import (
    BotStatusChanged,
    Decided,
    EntryBooked,
    FillBooked,
    GuardChanged,
    MemoryChanged,
    Notify,
    OrderChanged,
    OrderPlaced,
    Record,
    TradeClosed,
)
from tradefleet.domain.ids import BotId, OrderId, UserId
from tradefleet.domain.order import FINAL_STATES, CancelState, Order, OrderState
from tradefleet.store import Batch, BatchRefused
from tradefleet.stores.memory.rows import Rows


def owner_of(record: Record) -> UserId:
    """Return whose record it is."""
    match record:
        case OrderPlaced(order) | OrderChanged(order):
            return order.user_id
        case FillBooked(_, entry) | EntryBooked(entry):
            return entry.user_id
        case TradeClosed(trade):
            return trade.user_id
        case MemoryChanged(memory):
            return memory.user_id
        case GuardChanged(guard):
            return guard.user_id
        case BotStatusChanged() | Decided() | Notify():
            return record.user_id


def bot_of(record: Record) -> BotId | None:
    """Return the bot that the record needs to exist."""
    match record:
        case OrderPlaced(order):
            return order.bot_id
        case TradeClosed(trade):
            return trade.bot_id
        case MemoryChanged(memory):
            return memory.bot_id
        case BotStatusChanged() | Decided():
            return record.bot_id
        case _:
            return None


def may_become(before: Order, after: Order) -> bool:
    """Say whether an order may be armed: once, and only when it was never sent before.

    An order that is being sent stays so while it is cancelled, looked up or filled.
    """
    if after.state is not OrderState.SENDING or before.state is OrderState.CREATED:
        return True
    same_send = (before.state, before.epoch, before.sent_at) == (
        OrderState.SENDING,
        after.epoch,
        after.sent_at,
    )
    return same_send and _news(before) != _news(after)


def _news(order: Order) -> tuple[CancelState, Decimal, int]:
    return order.cancel, order.filled, order.negatives


def fault_in(batch: Batch, rows: Rows) -> BatchRefused | None:
    """Return why the batch cannot be written, or None."""
    orders: dict[OrderId, Order] = {}
    for record in batch.records:
        if owner_of(record) != batch.user_id:
            return BatchRefused(f"a record of another user: {record}")
        bot_id = bot_of(record)
        if bot_id is not None and bot_id not in rows.bots:
            return BatchRefused(f"no bot {bot_id}")
        if isinstance(record, OrderPlaced):
            order = record.order
            orders.setdefault(order.id, rows.orders.get(order.id, order))
        elif isinstance(record, OrderChanged):
            before = orders.get(record.order.id) or rows.orders.get(record.order.id)
            if before is None:
                return BatchRefused(f"no order {record.order.id}")
            if not may_become(before, record.order):
                return BatchRefused(f"order {before.id} is {before.state}, it cannot be sent")
            orders[before.id] = record.order
        elif isinstance(record, FillBooked):
            order_id = record.fill.order_id
            if order_id not in orders and order_id not in rows.orders:
                return BatchRefused(f"no order {order_id}")
    return None


def keep(record: Record, rows: Rows) -> None:
    """Make a checked record part of the rows (a notice is no row of a user)."""
    match record:
        case OrderPlaced(order):
            if order.id not in rows.orders:
                _keep_order(order, rows)
        case OrderChanged(order):
            _keep_order(order, rows)
        case FillBooked(fill, entry):
            rows.fills.setdefault((entry.account_id, fill.id), fill)
            rows.entries.setdefault(entry.id, entry)
        case EntryBooked(entry):
            rows.entries.setdefault(entry.id, entry)
        case TradeClosed(trade):
            rows.trades.setdefault(trade.id, trade)
        case MemoryChanged(memory):
            rows.memories[memory.bot_id] = memory
        case GuardChanged(guard):
            rows.guard = guard
        case BotStatusChanged():
            spec = rows.bots[record.bot_id]
            rows.bots[spec.id] = replace(spec, status=record.status, note=record.note)
        case Decided():
            of_bot = rows.decisions.setdefault(record.bot_id, {})
            of_bot.setdefault((record.at, record.outcome, record.guard), record)
        case Notify():
            pass


def _keep_order(order: Order, rows: Rows) -> None:
    rows.orders[order.id] = order
    if order.state in FINAL_STATES:
        rows.working.pop(order.id, None)
    else:
        rows.working[order.id] = order
