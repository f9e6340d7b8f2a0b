"""True positions, from the venue's own trades and live orders, against what strategies allow.

It needs no client ids, so that any system can be judged by it: every order in an account counts
that its owner did not place by hand.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from judge.case import UNITS, Case
from judge.finding import Finding
from judge.journals import LIVE, Journal, OrderChange, VenueOrder, VenueTrade

DUST = 50  # what is left of a position when its cost is below 1/50 of what is allowed


@dataclass(slots=True, kw_only=True)
class Holding:
    """What the bots of one account hold and have ordered of one symbol."""

    account_id: str
    symbol: str
    cost_max: int
    quantity: int = 0
    cost: int = 0
    dust: int = 0  # of the base; may be sold, and is no position
    price: int = 0  # of the latest trade
    live: dict[int, VenueOrder] = field(default_factory=dict)
    left: dict[int, int] = field(default_factory=dict)  # of live orders
    limits: dict[int, int] = field(default_factory=dict)  # at what price they may fill

    def change(self, order: VenueOrder, change: OrderChange) -> None:
        filled = sum(trade.quantity for trade in order.trades if trade.n < change.n)
        if change.status in LIVE:
            self.live[order.id] = order
            self.left[order.id] = change.quantity - filled
            self.limits[order.id] = change.price or change.stop_price
        else:
            self._forget(order.id)

    def _forget(self, number: int) -> None:
        self.live.pop(number, None)
        self.left.pop(number, None)
        self.limits.pop(number, None)

    def trade(self, trade: VenueTrade) -> int:
        """Book a trade; return how much was sold beyond what was held."""
        self.price, beyond = trade.price, 0
        fee_in_base = trade.fee if trade.fee_asset == trade.base else 0
        if trade.side == "buy":
            self.quantity += trade.quantity - fee_in_base
            self.cost += trade.cost
        else:
            beyond = max(0, trade.quantity - self.held)
            gone = trade.quantity + fee_in_base
            kept = max(0, self.quantity - gone)
            self.dust = max(0, self.dust - max(0, gone - self.quantity))
            self.cost = self.cost * kept // self.quantity if self.quantity > 0 else 0
            self.quantity = kept
            if self.cost * DUST < self.cost_max:
                self.dust, self.quantity, self.cost = self.dust + kept, 0, 0
        left = self.left.get(trade.order_id, 0) - trade.quantity
        if left > 0:
            self.left[trade.order_id] = left
        else:
            self._forget(trade.order_id)
        return beyond

    @property
    def held(self) -> int:
        return self.quantity + self.dust

    @property
    def buys(self) -> int:
        """Return what the live buys may cost."""
        return sum(
            self.left[number] * (self.limits[number] or self.price) // UNITS
            for number, order in self.live.items()
            if order.side == "buy"
        )

    @property
    def sells(self) -> int:
        """Return how much the live sells may sell; of a list only one order can."""
        by_list: dict[tuple[bool, int], int] = {}
        for number, order in self.live.items():
            if order.side == "sell":
                key = (True, order.list_id) if order.list_id else (False, number)
                by_list[key] = max(by_list.get(key, 0), self.left[number])
        return sum(by_list.values())


def exposure_violations(case: Case) -> Iterable[Finding]:
    for journal in case.journals.values():
        yield from _of_venue(case, journal)


def _of_venue(case: Case, journal: Journal) -> Iterator[Finding]:
    allowed: dict[tuple[str, str], int] = {}
    for owned in case.evidence.owned:
        for contract in owned.contracts:
            key = (owned.account_id, contract.symbol)
            allowed[key] = allowed.get(key, 0) + contract.cost_max
    holdings: dict[tuple[str, str], Holding] = {}
    accused: set[tuple[str, int]] = set()
    for step in journal.steps:
        if not isinstance(step, OrderChange | VenueTrade):
            continue
        order = journal.orders.get(step.order_id)
        owned_by = case.owned(order) if order is not None else None
        if order is None or owned_by is None or case.is_by_hand(order):
            continue
        # What the trade itself says counts, not what its order says of itself.
        symbol = step.symbol if isinstance(step, VenueTrade) else order.symbol
        key = (owned_by.account_id, symbol)
        holding = holdings.get(key)
        if holding is None:
            holding = holdings[key] = Holding(
                account_id=owned_by.account_id, symbol=symbol, cost_max=allowed.get(key, 0)
            )
        for text, about in _judged(holding, order, step):
            if (about, order.id) not in accused:
                accused.add((about, order.id))
                yield Finding(
                    counter="exposure_violations",
                    at_ms=step.at_ms,
                    account_id=owned_by.account_id,
                    text=text,
                    orders=tuple(dict.fromkeys([order.name, *_names(holding)])),
                )


def _names(holding: Holding) -> list[str]:
    return [order.name for order in holding.live.values()]


def _judged(
    holding: Holding, order: VenueOrder, step: OrderChange | VenueTrade
) -> Iterator[tuple[str, str]]:
    """Take one step; yield what is wrong after it, in words and by kind."""
    before = holding.cost + holding.buys
    if isinstance(step, VenueTrade):
        held = holding.held
        beyond = holding.trade(step)
        if beyond:
            yield (
                f"bots sold {shown(step.quantity)} {holding.symbol} and held {shown(held)}",
                "sold",
            )
    else:
        holding.change(order, step)
        offered = holding.sells
        if order.side == "sell" and step.what == "new" and offered > holding.held:
            yield (
                f"live orders sell {shown(offered)} {holding.symbol}"
                f" and bots hold {shown(holding.held)}",
                "offered",
            )
    after = holding.cost + holding.buys
    if order.side == "buy" and after > holding.cost_max and after >= before:
        yield (
            f"bots hold and have ordered {holding.symbol} for {shown(after)};"
            f" their strategies allow {shown(holding.cost_max)}",
            "bought",
        )


def shown(amount: int) -> str:
    """Return units as people write amounts."""
    sign = "-" if amount < 0 else ""
    whole, part = divmod(abs(amount), UNITS)
    return f"{sign}{whole}.{part:08d}".rstrip("0").rstrip(".")
