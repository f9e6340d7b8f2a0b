"""Take profit and stop loss of a spot limit order: orders that are placed when it is filled."""

from dataclasses import dataclass, field

from venuesim.bybit.ask import Ask
from venuesim.bybit.errors import Refused
from venuesim.exchange import BalanceChanged, Exchange, Happening, OrderChanged
from venuesim.instruments import Instrument
from venuesim.orders import Kind, NewOrder, Order, Refusal, Side, Status
from venuesim.units import text, units

PRICES = ("takeProfit", "stopLoss", "tpLimitPrice", "slLimitPrice")


def attached_tags(
    ask: Ask, instrument: Instrument, side: Side, kind: Kind, price: int
) -> dict[str, str]:
    """Return take profit and stop loss as the order carries them; Refused where they don't fit."""
    given = {name: ask.text(name) for name in PRICES if ask.text(name) not in ("", "0")}
    if not given:
        return {}
    if kind is not Kind.LIMIT:
        raise Refused(170227)
    tags = {}
    for name, value in given.items():
        try:
            amount = units(value)
        except ValueError:
            raise Refused(170130, name) from None
        if amount <= 0 or amount % instrument.tick:
            raise Refused(170134)
        tags[name] = text(amount, instrument.price_decimals)
    for which, limit in (("tp", "tpLimitPrice"), ("sl", "slLimitPrice")):
        if (ask.text(f"{which}OrderType") == "Limit") != (limit in tags):
            raise Refused(170130, limit)
    profit, stop = units(tags.get("takeProfit", "0")), units(tags.get("stopLoss", "0"))
    if profit and (profit - price) * side.sign <= 0:
        raise Refused(170130, "takeProfit")
    if stop and (price - stop) * side.sign <= 0:
        raise Refused(170130, "stopLoss")
    return tags


def ends_trade(change: BalanceChanged) -> bool:
    """Say whether this is the last that is told of a trade: what was got."""
    return change.cause == "trade" and change.change > 0


@dataclass(slots=True)
class Attached:
    """Waits for the last word of a fill, so that what follows is told after it."""

    exchange: Exchange
    filled: dict[str, Order] = field(default_factory=dict)  # by account

    def hear(self, happening: Happening) -> None:
        if isinstance(happening, OrderChanged):
            order = happening.order
            carries = "takeProfit" in order.request.tags or "stopLoss" in order.request.tags
            if happening.trade is not None and order.status is Status.FILLED and carries:
                self.filled[order.account] = order
        elif (
            isinstance(happening, BalanceChanged)
            and ends_trade(happening)
            and happening.account in self.filled
        ):
            self._place(self.filled.pop(happening.account))

    def _place(self, order: Order) -> None:
        """Place the orders; one the books refuse is not placed, as at the venue."""
        legs = self._legs(order)
        try:
            if len(legs) == 2:
                self.exchange.place_oco(order.account, legs)
            else:
                self.exchange.place(order.account, legs[0])
        except Refusal:
            return

    def _legs(self, order: Order) -> list[NewOrder]:
        tags, step = order.request.tags, order.instrument.step
        quantity = order.filled
        if order.side is Side.BUY:  # what the fee left of it
            base = order.instrument.base
            quantity -= sum(trade.fee for trade in order.trades if trade.fee_asset == base)
        both = "takeProfit" in tags and "stopLoss" in tags
        kept = {"last": tags.get("last", ""), "unit": "baseCoin"}
        kept |= {"filter": "BidirectionalTpslOrder" if both else "tpslOrder"}
        kept |= {"stop": kept["filter"]}
        return [
            NewOrder(
                symbol=order.symbol,
                side=Side.SELL if order.side is Side.BUY else Side.BUY,
                kind=limited if limit in tags else market,
                quantity=quantity - quantity % step,
                price=units(tags.get(limit, "0")),
                stop_price=units(tags[trigger]),
                tags=dict(kept),
            )
            for trigger, limit, market, limited in (
                ("takeProfit", "tpLimitPrice", Kind.PROFIT_MARKET, Kind.PROFIT_LIMIT),
                ("stopLoss", "slLimitPrice", Kind.STOP_MARKET, Kind.STOP_LIMIT),
            )
            if trigger in tags
        ]
