"""The last word on one bot's order, from the bot's own figures; exits always pass."""

from decimal import Decimal

from tradefleet.domain.limits import Approved, Denied, RiskLimits, Verdict
from tradefleet.domain.market import Symbol, TradingRules
from tradefleet.domain.money import MONEY, ONE, to_unit
from tradefleet.domain.order import Order, Purpose

APPROVED = Approved()


def review(
    order: Order,
    *,
    price: Decimal,
    free_quote: Decimal,
    balance: Decimal,
    limits: RiskLimits,
    rules: TradingRules,
) -> Verdict:
    """Approve or deny order at price.

    free_quote: what the bot may still spend; balance: what its shares are shares of. Both and
    the limits in quote; the fee of the venue comes on top of the cost.
    """
    if order.purpose is Purpose.EXIT:
        return APPROVED
    cost = to_unit(MONEY.multiply(order.quantity, price))
    return (
        _too_small(order, cost, rules)
        or too_large(cost, balance, limits)
        or forbidden(order.symbol, limits)
        or _unpayable(cost, free_quote, limits, rules)
        or APPROVED
    )


def _too_small(order: Order, cost: Decimal, rules: TradingRules) -> Denied | None:
    if order.quantity < rules.quantity_min:
        return Denied(
            "quantity_min",
            f"The order is for {figure(order.quantity)}; the venue's least is"
            f" {figure(rules.quantity_min)}.",
        )
    if order.quantity > 0 and cost >= rules.notional_min:
        return None
    return Denied(
        "notional_min",
        f"The order is worth {figure(cost)}; the venue's least is {figure(rules.notional_min)}.",
    )


def too_large(cost: Decimal, balance: Decimal, limits: RiskLimits) -> Denied | None:
    """Deny a position that costs more than the limits allow; balance is in quote."""
    most, share = limits.position_quote_max, limits.position_share_max
    if most is not None and cost > most:
        return Denied(
            "position_size", f"The position would cost {figure(cost)}; the limit is {figure(most)}."
        )
    if share is not None and cost > (part := MONEY.multiply(share, balance)):
        return Denied(
            "position_size",
            f"The position would cost {figure(cost)}; the limit is {percent(share)} of"
            f" {figure(balance)}, which is {figure(part)}.",
        )
    return None


def forbidden(symbol: Symbol, limits: RiskLimits) -> Denied | None:
    """Deny what is on the list of blocked symbols, or not on that of the allowed ones."""
    if limits.symbols_blocked and str(symbol) in limits.symbols_blocked:
        return Denied("symbol", f"{symbol} is on the list of blocked symbols.")
    allowed = limits.symbols_allowed
    if allowed is not None and str(symbol) not in allowed:
        listed = ", ".join(sorted(allowed)) or "none"
        return Denied("symbol", f"{symbol} is not among the allowed symbols ({listed}).")
    return None


def _unpayable(
    cost: Decimal, free_quote: Decimal, limits: RiskLimits, rules: TradingRules
) -> Denied | None:
    """Deny what costs more than the free quote, or its multiple with leverage, can carry."""
    leverage = ONE if limits.leverage_max is None else limits.leverage_max
    most = MONEY.multiply(free_quote, leverage)
    if cost > most and limits.leverage_max is not None:
        return Denied(
            "leverage",
            f"The order costs {figure(cost)}; with leverage {figure(leverage)} at most"
            f" {figure(most)} on the free {figure(free_quote)}.",
        )
    fee = to_unit(MONEY.multiply(cost, rules.fee))
    if MONEY.add(cost, fee) > most:
        return Denied(
            "free_funds",
            f"The order costs {figure(cost)} and a fee of {figure(fee)}; {figure(most)} is free.",
        )
    return None


def figure(value: Decimal) -> str:
    """Return an amount for a sentence: 8 decimals at most, no zeros at the end."""
    rounded = to_unit(value).normalize(MONEY)
    return format(abs(rounded) if rounded == 0 else rounded, "f")


def percent(share: Decimal) -> str:
    """Return a share as a percentage: 0.05 is 5%."""
    return f"{figure(MONEY.multiply(share, 100))}%"
