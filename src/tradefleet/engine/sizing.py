"""From a signal to an order's size: how much a bot buys, and where its stop stands."""

from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

from tradefleet.domain.limits import Denied
from tradefleet.domain.market import TradingRules
from tradefleet.domain.money import ONE, ZERO, round_to_tick, to_unit
from tradefleet.domain.signal import Entry, TradePlan


@dataclass(frozen=True, slots=True)
class Sized:
    """What to buy: quantity in base, stop as a price, reserve the quote it may cost."""

    quantity: Decimal
    stop: Decimal
    reserve: Decimal


Sizing: TypeAlias = Sized | Denied


def size_entry(
    entry: Entry, *, free_quote: Decimal, close: Decimal, rules: TradingRules, plan: TradePlan
) -> Sizing:
    """Size an entry decided at close from the bot's free quote, or say why it has no size.

    quantity = free · fraction / close, rounded down to the step; fees come on top.
    """
    stop = round_to_tick(entry.stop, rules.price_tick)
    if not ZERO < stop < close:
        return Denied("stop", f"the stop {stop} is not between zero and the close {close}")
    if plan.min_stop and close - stop < plan.min_stop * close:
        return Denied("min_stop", f"the stop {stop} is closer than {plan.min_stop:%} to {close}")
    budget = free_quote * entry.fraction
    if plan.risk_per_trade:
        budget = min(budget, free_quote * plan.risk_per_trade * close / (close - stop))
    quantity = rules.round_quantity(budget / close)
    if ZERO < quantity < rules.quantity_min:
        return Denied(
            "quantity_min",
            f"{quantity.normalize():f} is below the venue's minimum quantity of "
            f"{rules.quantity_min:f}",
        )
    if not rules.allows(quantity, close):
        return Denied(
            "notional_min",
            f"{quantity.normalize():f} at {close} is below the venue's minimum order "
            f"of {rules.notional_min:f}",
        )
    return Sized(quantity, stop, to_unit(quantity * close * (ONE + rules.fee)))
