"""Sorts the records of many batches into the rows of few statements, in an order that holds."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

from tradefleet.domain.bot import BotMemory
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
    TradeClosed,
)
from tradefleet.domain.ids import BotId, UserId
from tradefleet.domain.order import Order
from tradefleet.domain.position import Trade
from tradefleet.store import Batch, BatchRefused, ReplayRun
from tradefleet.stores.sql import shapes
from tradefleet.stores.sql.journal import sheets
from tradefleet.stores.sql.journal.sheets import Sheet
from tradefleet.stores.sql.queries import lines_of

Rows = list[list[Any]]
what_changes = attrgetter(*shapes.NEW_ORDER)
NEW = tuple(shapes.NEW_ORDER.values())


@dataclass(slots=True)
class Plan:
    """What to write, by kind; of a memory only the last of a bot counts."""

    placed: Rows = field(default_factory=list)
    found: Rows = field(default_factory=list)  # placed too, but not new any more
    changes: list[dict[str, list[Any]]] = field(default_factory=list)
    fills: Rows = field(default_factory=list)
    lines: Rows = field(default_factory=list)
    trades: Rows = field(default_factory=list)
    memories: dict[tuple[UserId, BotId], BotMemory] = field(default_factory=dict)
    guards: dict[UserId, Any] = field(default_factory=dict)
    statuses: dict[BotId, list[Any]] = field(default_factory=dict)
    decisions: Rows = field(default_factory=list)
    notices: Rows = field(default_factory=list)

    def add(self, batch: Batch) -> None:
        """Sort in a batch's records; raise BatchRefused at one of another user."""
        user_id = batch.user_id
        for record in batch.records:
            match record:
                case OrderPlaced(order):
                    owner = order.user_id
                    if what_changes(order) == NEW:
                        self.placed.append(shapes.ORDER_TERMS.row(order))
                    else:
                        self.found.append(shapes.ORDER.row(order))
                case OrderChanged(order):
                    owner = order.user_id
                    self._change(order)
                case MemoryChanged(memory):
                    owner = memory.user_id
                    self.memories[memory.user_id, memory.bot_id] = memory
                case FillBooked(fill, entry):
                    owner = entry.user_id
                    self.fills.append([owner, entry.account_id, *shapes.FILL.row(fill)])
                    self.lines += lines_of(entry)
                case EntryBooked(entry):
                    owner = entry.user_id
                    self.lines += lines_of(entry)
                case TradeClosed(trade):
                    owner = trade.user_id
                    self.trades.append(trade_row(trade))
                case GuardChanged(guard):
                    owner = guard.user_id
                    self.guards[owner] = shapes.GUARD.row(guard)
                case BotStatusChanged():
                    owner = record.user_id
                    row = [record.bot_id, owner, record.status.value, record.note]
                    self.statuses[record.bot_id] = row
                case Decided():
                    owner = record.user_id
                    self.decisions.append(shapes.DECIDED.row(record))
                case Notify():
                    owner = record.user_id
                    self.notices.append(notice_row(record))
            if owner != user_id:
                raise BatchRefused(f"a record of another user: {record}")

    def _change(self, order: Order) -> None:
        """Put a change into the first round without its order; a round is one statement."""
        row = shapes.ORDER_CHANGE.row(order)
        for rows in self.changes:
            if order.id not in rows:
                rows[order.id] = row
                return
        self.changes.append({order.id: row})

    def steps(self) -> Iterator[tuple[Sheet, Rows]]:
        """Yield what to write, parents before children."""
        yield sheets.PLACED, self.placed
        yield sheets.FOUND, self.found
        for changes in self.changes:
            yield sheets.CHANGED, list(changes.values())
        yield sheets.FILLS, self.fills
        yield sheets.LINES, self.lines
        yield sheets.TRADES, self.trades
        yield sheets.MEMORIES, [shapes.MEMORY.row(memory) for memory in self.memories.values()]
        yield (
            sheets.POSITIONS,
            [
                [user_id, bot_id, memory.position.quantity, *shapes.POSITION.row(memory.position)]
                for (user_id, bot_id), memory in self.memories.items()
                if memory.position
            ],
        )
        yield sheets.FLAT, [list(key) for key, m in self.memories.items() if m.position is None]
        yield sheets.GUARDS, list(self.guards.values())
        yield sheets.STATUSES, list(self.statuses.values())
        yield sheets.DECISIONS, self.decisions
        yield sheets.NOTICES, self.notices


def plan_of(batches: Iterable[Batch]) -> Plan:
    plan = Plan()
    for batch in batches:
        plan.add(batch)
    return plan


def trade_row(trade: Trade) -> list[Any]:
    return [trade.pnl, *shapes.TRADE.row(trade)]


def notice_row(notice: Notify) -> list[Any]:
    return [
        notice.user_id,
        notice.topic.value,
        notice.text,
        notice.at,
        notice.priority,
        0,
        notice.at,
        "",
    ]


def run_row(run: ReplayRun) -> list[Any]:
    at, phase = run.cursor or (None, None)
    return [run.id, run.fingerprint, at, phase, run.finished]
