"""One account at a simulated venue: its balances, its waiting orders, and how they fill."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from tradefleet.domain.errors import VenueRejected
from tradefleet.domain.ids import FillId, OrderId
from tradefleet.domain.market import Side, TradingRules, slipped
from tradefleet.domain.money import ZERO, money_context, to_unit
from tradefleet.domain.order import Fill, Order


@dataclass(frozen=True, slots=True)
class Costs:
    """What trading costs beyond the fee.

    slippage: share of the price an order moves against itself; volume_share: the most of a
    bar's volume one order may take in that bar, None for all it wants.
    """

    slippage: Decimal = ZERO
    volume_share: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperOrder:
    """An order as the paper venue knows it; open means it still waits for a price.

    reject_reason says why the venue closed it before it was filled.
    """

    venue_order_id: str
    order: Order
    open: bool = True
    filled: Decimal = ZERO
    reject_reason: str = ""


@dataclass(slots=True)
class PaperBook:
    """The venue's own truth about one account; number counts its changes and names them."""

    balances: dict[str, Decimal] = field(default_factory=dict)
    waiting: dict[OrderId, PaperOrder] = field(default_factory=dict)
    number: int = 0

    def credit(self, asset: str, amount: Decimal) -> None:
        self.number += 1
        with money_context():
            self.balances[asset] = self.balances.get(asset, ZERO) + amount

    def submit(self, order: Order, rules: TradingRules) -> PaperOrder:
        """Accept an order, to be filled at the next price; raise VenueRejected as venues do."""
        if not rules.is_on_step(order.quantity):
            raise VenueRejected(f"quantity {order.quantity} is not on the step")
        base = order.symbol.base  # what a buy costs is known when it fills
        if order.side is Side.SELL and self.balances.get(base, ZERO) < order.quantity:
            raise VenueRejected(f"insufficient {base}")
        self.number += 1
        accepted = PaperOrder(venue_order_id=f"P{self.number}", order=order)
        self.waiting[order.id] = accepted
        return accepted

    def cancel(self, order_id: OrderId) -> PaperOrder | None:
        """Take an order off the market; None when it was not waiting."""
        paper = self.waiting.pop(order_id, None)
        if paper is None:
            return None
        self.number += 1
        return replace(paper, open=False, reject_reason="canceled")

    def fill(
        self,
        order_id: OrderId,
        *,
        price: Decimal,
        at: datetime,
        rules: TradingRules,
        costs: Costs,
        most: Decimal | None = None,
    ) -> tuple[PaperOrder, Fill | None]:
        """Fill a waiting order at price, at most `most` of it; the rest goes on waiting.

        An order the balance cannot pay for is closed by the venue without a fill.
        """
        with money_context():
            return self.match(order_id, price=price, at=at, rules=rules, costs=costs, most=most)

    def match(
        self,
        order_id: OrderId,
        *,
        price: Decimal,
        at: datetime,
        rules: TradingRules,
        costs: Costs,
        most: Decimal | None = None,
    ) -> tuple[PaperOrder, Fill | None]:
        """Fill, for a caller who is inside the money context already."""
        paper = self.waiting[order_id]
        order = paper.order
        quantity = order.quantity - paper.filled
        if most is not None:
            quantity = min(quantity, rules.round_quantity(most))
            if quantity <= 0:
                return paper, None
        self.number += 1
        fill = self._priced(paper, quantity, slipped(price, order.side, costs.slippage), at, rules)
        missing = self._settle(fill)
        if missing:
            del self.waiting[order_id]
            return replace(paper, open=False, reject_reason=f"insufficient {missing}"), None
        filled = paper.filled + quantity
        paper = PaperOrder(
            venue_order_id=paper.venue_order_id,
            order=order,
            open=filled < order.quantity,
            filled=filled,
        )
        if paper.open:
            self.waiting[order_id] = paper
        else:
            del self.waiting[order_id]
        return paper, fill

    def _priced(
        self,
        paper: PaperOrder,
        quantity: Decimal,
        price: Decimal,
        at: datetime,
        rules: TradingRules,
    ) -> Fill:
        order = paper.order
        cost = to_unit(quantity * price)
        fee = to_unit(cost * rules.fee)
        return Fill(
            id=FillId(f"{paper.venue_order_id}-{self.number}"),
            order_id=order.id,
            symbol=order.symbol,
            side=order.side,
            quantity=quantity,
            price=price,
            cost=cost,
            fee=fee,
            fee_asset=order.symbol.quote,
            fee_quote=fee,
            filled_at=at,
        )

    def _settle(self, fill: Fill) -> str:
        """Move what was traded; or nothing, and return the asset there is too little of."""
        symbol, balances = fill.symbol, self.balances
        base, quote = balances.get(symbol.base, ZERO), balances.get(symbol.quote, ZERO)
        if fill.side is Side.BUY:
            base, quote = base + fill.quantity, quote - fill.cost - fill.fee
            if quote < 0:
                return symbol.quote
        else:
            base, quote = base - fill.quantity, quote + fill.cost - fill.fee
            if base < 0:
                return symbol.base
        balances[symbol.base], balances[symbol.quote] = base, quote
        return ""
