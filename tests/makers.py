"""Small makers, so that a test says only what it is about."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from tradefleet.domain.bot import BotSpec
from tradefleet.domain.ids import AccountId, BotId, FillId, OrderId, UserId
from tradefleet.domain.market import Bar, Side, Symbol, Timeframe, TradingRules
from tradefleet.domain.order import Fill, Order, Purpose
from tradefleet.domain.position import Trade

Number = str | int | Decimal  # what a maker takes for a decimal

BTC = Symbol("BTC", "USDT")
ETH = Symbol("ETH", "USDT")
START = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
USER, ACCOUNT, BOT = UserId("u1"), AccountId("a1"), BotId("b1")
RULES = TradingRules(
    price_tick=Decimal("0.01"), quantity_step=Decimal("0.00001"), notional_min=Decimal(5)
)


def after_start(**units: float) -> datetime:
    """Return START plus so many minutes=, hours=, days= …"""
    return START + timedelta(**units)


def bar(
    close: Number,
    minute: int = 0,
    *,
    open: Number | None = None,
    high: Number | None = None,
    low: Number | None = None,
    volume: Number = 1,
) -> Bar:
    """Return a one-minute bar; what is not given is at close, high and low one around it."""
    last = Decimal(close)
    first = last if open is None else Decimal(open)
    return Bar(
        opened_at=START + minute * MINUTE,
        open=first,
        high=max(first, last) + 1 if high is None else Decimal(high),
        low=min(first, last) - 1 if low is None else Decimal(low),
        close=last,
        volume=Decimal(volume),
    )


def order(
    quantity: Number = 1,
    id: str = "o1",
    *,
    bot: str = BOT,
    purpose: Purpose = Purpose.ENTRY,
    **changes: Any,
) -> Order:
    """Return a market order that was created and not sent: an entry buys, an exit sells."""
    given = {
        "user_id": USER,
        "account_id": ACCOUNT,
        "seq": 1,
        "symbol": BTC,
        "side": Side.BUY if purpose is Purpose.ENTRY else Side.SELL,
        "decided_at": START,
        "reason": "a test",
        **changes,
    }
    return Order(
        id=OrderId(id), bot_id=BotId(bot), quantity=Decimal(quantity), purpose=purpose, **given
    )


def fill(
    quantity: Number = 1,
    price: Number = 100,
    side: Side = Side.BUY,
    id: str = "f1",
    *,
    order_id: str = "o1",
    fee: Number = 0,
    fee_asset: str = "USDT",
    fee_quote: Number | None = None,
    symbol: Symbol = BTC,
    at: datetime = START,
) -> Fill:
    """Return a fill that cost quantity times price; fee_quote is the fee unless given."""
    amount, paid = Decimal(quantity), Decimal(fee)
    return Fill(
        id=FillId(id),
        order_id=OrderId(order_id),
        symbol=symbol,
        side=side,
        quantity=amount,
        price=Decimal(price),
        cost=amount * Decimal(price),
        fee=paid,
        fee_asset=fee_asset,
        fee_quote=paid if fee_quote is None else Decimal(fee_quote),
        filled_at=at,
    )


def trade(pnl: Number, bot: str = BOT, at: datetime = START, id: str = "t1") -> Trade:
    """Return a closed trade of one BTC bought at 100 that made pnl, without fees."""
    return Trade(
        id=id,
        user_id=USER,
        account_id=ACCOUNT,
        bot_id=BotId(bot),
        symbol=BTC,
        opened_at=START,
        closed_at=at,
        quantity=Decimal(1),
        entry_price=Decimal(100),
        exit_price=100 + Decimal(pnl),
        gross_pnl=Decimal(pnl),
        fees=Decimal(0),
        exit_reason="stop",
    )


def spec(number: int = 1, **changes: Any) -> BotSpec:
    """Return the number-th bot of the first user's first account, one minute BTC/USDT on paper."""
    given = {
        "id": BotId(f"b{number}"),
        "user_id": USER,
        "account_id": ACCOUNT,
        "venue": "paper",
        "symbol": BTC,
        "timeframe": Timeframe(60),
        "strategy": "ema_cross",
        "allocation": Decimal(1000),
        **changes,
    }
    return BotSpec(**given)
