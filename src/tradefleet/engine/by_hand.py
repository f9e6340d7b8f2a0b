"""What a user's own order comes to: how much is bought for an amount, and never more than that."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from tradefleet.domain.events import BuyAsked, SellAsked
from tradefleet.domain.ledger import FREE, LedgerEntry, Posting
from tradefleet.domain.limits import Denied
from tradefleet.domain.market import TradingRules
from tradefleet.domain.money import MONEY, ONE, ZERO, to_unit
from tradefleet.engine.risk import figure

BY_HAND = "manual"  # the reason of an order that its user asked for
PRICE_MARGIN = Decimal("0.002")  # the price may rise so much on the way, and no more is spent
LAPSES_AFTER = timedelta(seconds=60)  # what was not sent by then is not wanted any more
UNDER_WAY = Denied("under_way", "Another order of yours is still under way here; wait for its end.")


def cost_of(quantity: Decimal, price: Decimal, rules: TradingRules) -> Decimal:
    """Return what a quantity costs at a price, with the fee."""
    return to_unit(quantity * price * (ONE + rules.fee))


def quantity_to_buy(event: BuyAsked, rules: TradingRules) -> Decimal | Denied:
    """Return how much to buy, rounded down to the venue's step.

    What is asked for by amount costs no more than that, fee and a small rise of the price
    included; what is asked for by quantity must be payable with its fee.
    """
    if event.quantity is not None:
        quantity = rules.round_quantity(event.quantity)
    else:
        most = event.funds if event.amount is None else min(event.amount, event.funds)
        each = event.price * (ONE + rules.fee) * (ONE + PRICE_MARGIN)
        quantity = rules.round_quantity(MONEY.divide(most, each))
    if denied := too_small(quantity, event.price, rules):
        return denied
    if (cost := cost_of(quantity, event.price, rules)) > event.funds:
        return Denied(
            "free_funds",
            f"{figure(quantity)} costs {figure(cost)} with its fee; {figure(event.funds)} is free.",
        )
    return quantity


def quantity_to_sell(event: SellAsked, rules: TradingRules) -> Decimal | Denied:
    """Return how much to sell, rounded down to the venue's step."""
    most = event.quantity
    if event.amount is not None:
        most = min(most, MONEY.divide(event.amount, event.price))
    quantity = rules.round_quantity(most)
    return too_small(quantity, event.price, rules) or quantity


def too_small(quantity: Decimal, price: Decimal, rules: TradingRules) -> Denied | None:
    """Deny what the venue would refuse for its size."""
    if quantity <= ZERO or quantity < rules.quantity_min:
        least = max(rules.quantity_min, rules.quantity_step)
        return Denied(
            "quantity_min",
            f"Rounded down to the exchange's step, that is {figure(quantity)}; its least is"
            f" {figure(least)}.",
        )
    if not rules.allows(quantity, price):
        return Denied(
            "notional_min",
            f"{figure(quantity)} is worth {figure(quantity * price)}; the exchange's least is"
            f" {figure(rules.notional_min)}.",
        )
    return None


def with_money_free(entry: LedgerEntry, place: str, base: str) -> LedgerEntry:
    """Pay a fill from, and its proceeds into, what no pair owns: only the coins are the bot's."""
    postings = tuple(
        Posting(FREE, each.asset, each.amount)
        if each.place == place and each.asset != base
        else each
        for each in entry.postings
    )
    return replace(entry, postings=postings) if postings != entry.postings else entry
