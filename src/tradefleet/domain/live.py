"""What a user's programs are told as it happens: orders, fills, trades, positions, bots, notices.

What is told is made of what was written down, and of nothing else.
"""

from collections.abc import Iterable, Iterator, MutableMapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias, assert_never

from tradefleet.domain.bot import BotSpec
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
from tradefleet.domain.ids import AccountId, BotId, OrderId
from tradefleet.domain.money import ZERO
from tradefleet.domain.order import Fill, Order
from tradefleet.domain.position import Position, Trade


class LiveKind(StrEnum):
    """What an event is about; a webhook names those it wants."""

    ORDER = "order"
    FILL = "fill"
    TRADE = "trade"
    POSITION = "position"
    BOT = "bot"
    NOTICE = "notice"
    SIGN_IN = "sign_in"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderNews:
    """An order as it stands now; price is the trigger of a stop or a target."""

    id: str
    bot_id: str
    account_id: str
    symbol: str
    side: str
    kind: str
    purpose: str
    quantity: Decimal
    price: Decimal | None
    filled: Decimal
    state: str
    is_final: bool
    cancel: str
    reason: str
    note: str
    decided_at: datetime
    sent_at: datetime | None
    venue_order_id: str

    @classmethod
    def of(cls, order: Order) -> "OrderNews":
        return cls(
            id=order.id,
            bot_id=order.bot_id,
            account_id=order.account_id,
            symbol=str(order.symbol),
            side=order.side.value,
            kind=order.kind.value,
            purpose=order.purpose.value,
            quantity=order.quantity,
            price=order.price,
            filled=order.filled,
            state=order.state.value,
            is_final=order.is_final,
            cancel=order.cancel.value,
            reason=order.reason,
            note=order.note,
            decided_at=order.decided_at,
            sent_at=order.sent_at,
            venue_order_id=order.venue_order_id,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FillNews:
    """What was traded; cost in quote, fee in its own asset and valued in quote."""

    id: str
    order_id: str
    account_id: str
    symbol: str
    side: str
    quantity: Decimal
    price: Decimal
    cost: Decimal
    fee: Decimal
    fee_asset: str
    fee_quote: Decimal
    filled_at: datetime

    @classmethod
    def of(cls, fill: Fill, account_id: AccountId) -> "FillNews":
        return cls(
            id=fill.id,
            order_id=fill.order_id,
            account_id=account_id,
            symbol=str(fill.symbol),
            side=fill.side.value,
            quantity=fill.quantity,
            price=fill.price,
            cost=fill.cost,
            fee=fill.fee,
            fee_asset=fill.fee_asset,
            fee_quote=fill.fee_quote,
            filled_at=fill.filled_at,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeNews:
    """A position's round trip; pnl is net of fees."""

    id: str
    bot_id: str
    account_id: str
    symbol: str
    quantity: Decimal
    entry_price: Decimal
    exit_price: Decimal
    gross_pnl: Decimal
    fees: Decimal
    pnl: Decimal
    exit_reason: str
    opened_at: datetime
    closed_at: datetime

    @classmethod
    def of(cls, trade: Trade) -> "TradeNews":
        return cls(
            id=trade.id,
            bot_id=trade.bot_id,
            account_id=trade.account_id,
            symbol=str(trade.symbol),
            quantity=trade.quantity,
            entry_price=trade.entry_price,
            exit_price=trade.exit_price,
            gross_pnl=trade.gross_pnl,
            fees=trade.fees,
            pnl=trade.pnl,
            exit_reason=trade.exit_reason,
            opened_at=trade.opened_at,
            closed_at=trade.closed_at,
        )


@dataclass(frozen=True, slots=True)
class Held:
    """What of a position is told when it changes; the price of the market is no part of it."""

    symbol: str
    quantity: Decimal
    stop: Decimal
    stop_kind: str
    targets: tuple[tuple[Decimal, Decimal], ...]
    targets_done: int

    @classmethod
    def of(cls, position: Position) -> "Held":
        return cls(
            symbol=str(position.symbol),
            quantity=position.quantity,
            stop=position.stop,
            stop_kind=position.stop_kind,
            targets=position.targets,
            targets_done=position.targets_done,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionNews:
    """What a bot holds now, with what guards it; targets are (price, quantity), nearest first."""

    bot_id: str
    symbol: str
    is_open: bool
    quantity: Decimal
    entry_price: Decimal | None = None
    stop: Decimal | None = None
    stop_kind: str = ""
    targets: tuple[tuple[Decimal, Decimal], ...] = ()
    targets_done: int = 0
    opened_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BotNews:
    """A bot that was added, changed or removed; symbol is None where only its status changed."""

    bot_id: str
    symbol: str | None
    status: str
    note: str
    is_removed: bool = False

    @classmethod
    def of(cls, spec: BotSpec) -> "BotNews":
        return cls(
            bot_id=spec.id, symbol=str(spec.symbol), status=spec.status.value, note=spec.note
        )

    @classmethod
    def removed(cls, bot_id: BotId) -> "BotNews":
        return cls(bot_id=bot_id, symbol=None, status="removed", note="", is_removed=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeNews:
    """What the user is told in words, wherever else it goes."""

    topic: str
    text: str
    priority: int
    at: datetime

    @classmethod
    def of(cls, notice: Notify) -> "NoticeNews":
        return cls(
            topic=notice.topic.value, text=notice.text, priority=notice.priority, at=notice.at
        )


@dataclass(frozen=True, slots=True)
class SignInNews:
    """A session or a personal token that works no more."""

    id: str
    is_ended: bool = True


Data: TypeAlias = (
    OrderNews | FillNews | TradeNews | PositionNews | BotNews | NoticeNews | SignInNews
)
DATA_OF: dict[LiveKind, type[Data]] = {
    LiveKind.ORDER: OrderNews,
    LiveKind.FILL: FillNews,
    LiveKind.TRADE: TradeNews,
    LiveKind.POSITION: PositionNews,
    LiveKind.BOT: BotNews,
    LiveKind.NOTICE: NoticeNews,
    LiveKind.SIGN_IN: SignInNews,
}
KIND_OF = {kind: name for name, kind in DATA_OF.items()}


def news_of(records: Iterable[Record], held: MutableMapping[BotId, Held]) -> Iterator[Data]:
    """Yield what of these records, in their order, is told.

    held: what each bot held before, by those who hold anything; it is brought up to date.
    """
    told: dict[OrderId, OrderNews] = {}
    for record in records:
        match record:
            case OrderPlaced(order) | OrderChanged(order):
                news = OrderNews.of(order)
                if told.get(order.id) != news:
                    told[order.id] = news
                    yield news
            case FillBooked(fill, entry):
                yield FillNews.of(fill, entry.account_id)
            case TradeClosed(trade):
                yield TradeNews.of(trade)
            case MemoryChanged(memory):
                yield from moved(memory.bot_id, memory.position, held)
            case BotStatusChanged():
                yield BotNews(
                    bot_id=record.bot_id, symbol=None, status=record.status.value, note=record.note
                )
            case Notify():
                yield NoticeNews.of(record)
            case EntryBooked() | GuardChanged() | Decided():
                pass
            case _:
                assert_never(record)


def moved(
    bot_id: BotId, position: Position | None, held: MutableMapping[BotId, Held]
) -> Iterator[PositionNews]:
    """Yield what a bot holds now, if that is not what it held before."""
    before = held.get(bot_id)
    if position is None:
        if before is not None:
            del held[bot_id]
            yield PositionNews(bot_id=bot_id, symbol=before.symbol, is_open=False, quantity=ZERO)
        return
    now = Held.of(position)
    if now == before:
        return
    held[bot_id] = now
    yield PositionNews(
        bot_id=bot_id,
        symbol=now.symbol,
        is_open=True,
        quantity=now.quantity,
        entry_price=position.entry_price,
        stop=now.stop,
        stop_kind=now.stop_kind,
        targets=now.targets,
        targets_done=now.targets_done,
        opened_at=position.opened_at,
    )
