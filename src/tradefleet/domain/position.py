"""What a bot holds after its fills: FIFO lots, partial closes, and the trade it becomes."""

from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Self

from tradefleet.domain.errors import ensure
from tradefleet.domain.ids import AccountId, BotId, UserId
from tradefleet.domain.market import Side, Symbol
from tradefleet.domain.money import MONEY, UNIT, ZERO, to_unit
from tradefleet.domain.order import Fill
from tradefleet.domain.values import changed


@dataclass(frozen=True, slots=True)
class Lot:
    """What one buy left: quantity in base, cost in quote."""

    quantity: Decimal
    cost: Decimal


def take_lots(lots: tuple[Lot, ...], quantity: Decimal) -> tuple[tuple[Lot, ...], Decimal]:
    """Sell quantity from the oldest lots; return the lots left and the cost of what left.

    A lot sold in part gives up its cost in proportion, half even at 8 decimals; what is sold
    last takes the rest, so that no unit is lost.
    """
    left, cost = list(lots), ZERO
    while quantity > 0:
        ensure(bool(left), "more was sold than is held")
        lot = left.pop(0)
        if lot.quantity <= quantity:
            quantity -= lot.quantity
            cost += lot.cost
            continue
        share = MONEY.divide(MONEY.multiply(lot.cost, quantity), lot.quantity)
        part = share.quantize(UNIT, ROUND_HALF_EVEN, MONEY)
        left.insert(0, Lot(lot.quantity - quantity, lot.cost - part))
        cost, quantity = cost + part, ZERO
    return tuple(left), cost


@dataclass(frozen=True, kw_only=True)
class Position:  # no slots: `changed` copies it
    """An open long position of one bot, from its first fill on.

    quantity: held now; original: all that was bought; bought, sold: sums of quantity times
    price, not rounded as costs are, so that mean prices are exact;
    fees_quote: fees valued in quote, of which base_fees_quote were taken in base from what is
    held; sell_fees: such fees of sells, in base; realized: FIFO profit of what was sold, after
    fees taken in base and before the others.
    stop guards all that is left; targets are (level, quantity) still waiting, nearest first;
    highest: the highest high since entry.
    """

    symbol: Symbol
    opened_at: datetime
    lots: tuple[Lot, ...]
    original: Decimal
    bought: Decimal
    sold_quantity: Decimal = ZERO
    sold: Decimal = ZERO
    fees_quote: Decimal = ZERO
    base_fees_quote: Decimal = ZERO
    sell_fees: Decimal = ZERO
    realized: Decimal = ZERO
    stop: Decimal = ZERO
    stop_kind: str = "stop"  # stop, breakeven, trail: what an exit at it is called
    targets: tuple[tuple[Decimal, Decimal], ...] = ()
    targets_done: int = 0
    highest: Decimal = ZERO

    @property
    def quantity(self) -> Decimal:
        return self.original - self.sold_quantity - self.sell_fees

    @property
    def entry_price(self) -> Decimal:
        """The mean price paid, without fees."""
        return MONEY.divide(self.bought, self.original)

    @property
    def exit_price(self) -> Decimal:
        """The mean price of what was sold, without fees."""
        return MONEY.divide(self.sold, self.sold_quantity)

    @classmethod
    def opened_by(cls, fill: Fill) -> Self:
        ensure(fill.side is Side.BUY, "a position is opened by a buy")
        received, base_fee_quote = _received(fill)
        return cls(
            symbol=fill.symbol,
            opened_at=fill.filled_at,
            lots=(Lot(received, fill.cost),),
            original=received,
            bought=MONEY.multiply(received, fill.price),
            fees_quote=fill.fee_quote,
            base_fees_quote=base_fee_quote,
        )

    def after(self, fill: Fill) -> Self:
        """Return this position once fill is booked."""
        if fill.side is Side.BUY:
            received, base_fee_quote = _received(fill)
            return changed(
                self,
                lots=(*self.lots, Lot(received, fill.cost)),
                original=self.original + received,
                bought=MONEY.add(self.bought, MONEY.multiply(received, fill.price)),
                fees_quote=self.fees_quote + fill.fee_quote,
                base_fees_quote=self.base_fees_quote + base_fee_quote,
            )
        fee, base_fee_quote = self._taken(fill)
        lots, cost = take_lots(self.lots, fill.quantity + fee)
        return changed(
            self,
            lots=lots,
            sold_quantity=self.sold_quantity + fill.quantity,
            sold=MONEY.add(self.sold, MONEY.multiply(fill.quantity, fill.price)),
            fees_quote=self.fees_quote + fill.fee_quote,
            base_fees_quote=self.base_fees_quote + base_fee_quote,
            sell_fees=self.sell_fees + fee,
            realized=self.realized + fill.cost - cost,
        )

    def _taken(self, sell: Fill) -> tuple[Decimal, Decimal]:
        """Return the base a sell's fee took from what is held, and the value of that in quote.

        Where less is left than the fee, the venue takes the rest from the account's other coins.
        """
        if sell.fee_asset != self.symbol.base:
            return ZERO, ZERO
        left = max(self.quantity - sell.quantity, ZERO)
        if sell.fee <= left:
            return sell.fee, sell.fee_quote
        return left, to_unit(MONEY.divide(MONEY.multiply(sell.fee_quote, left), sell.fee))

    @property
    def gross_pnl(self) -> Decimal:
        """What sales brought minus what was paid, once all is sold; fees taken in base added back.

        What is too little to be sold counts as lost.
        """
        lost = sum((lot.cost for lot in self.lots), ZERO)
        return self.realized - lost + self.base_fees_quote

    def unrealized(self, price: Decimal) -> Decimal:
        """Return what selling the rest at price would add, before fees."""
        cost = sum((lot.cost for lot in self.lots), ZERO)
        return to_unit(self.quantity * price) - cost

    def result(self, price: Decimal) -> Decimal:
        """Return the net profit of the whole trade if the rest were sold at price for no fee."""
        paid = self.fees_quote - self.base_fees_quote  # the others are in realized already
        return self.realized + self.unrealized(price) - paid


def _received(fill: Fill) -> tuple[Decimal, Decimal]:
    """Return the base a buy brought in, and the value of the fee when that was taken in base."""
    if fill.fee_asset == fill.symbol.base:
        return fill.quantity - fill.fee, fill.fee_quote
    return fill.quantity, ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """A closed position's round trip; pnl = gross_pnl - fees, all in quote.

    exit_price is the quantity-weighted mean of the exits, rounded for showing only.
    """

    id: str
    user_id: UserId
    account_id: AccountId
    bot_id: BotId
    symbol: Symbol
    opened_at: datetime
    closed_at: datetime
    quantity: Decimal
    entry_price: Decimal
    exit_price: Decimal
    gross_pnl: Decimal
    fees: Decimal
    exit_reason: str
    side: str = "long"

    @property
    def pnl(self) -> Decimal:
        return self.gross_pnl - self.fees

    @property
    def pnl_percentage(self) -> Decimal:
        """Net profit as a percentage of what was paid."""
        return MONEY.divide(self.pnl * 100, MONEY.multiply(self.entry_price, self.quantity))

    @property
    def is_winner(self) -> bool:
        return self.pnl > 0
