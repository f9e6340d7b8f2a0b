"""Exact arithmetic for money: one decimal context of our own, and the few ways to round.

Other libraries change Python's global decimal context, so every door into the pure part
(engine.step, the paper book) computes inside `money_context()`. What is used outside those
doors, here and in the ledger, does not look at the global context.
"""

import math
from contextlib import AbstractContextManager
from decimal import (
    ROUND_DOWN,
    ROUND_HALF_EVEN,
    Context,
    Decimal,
    DivisionByZero,
    FloatOperation,
    InvalidOperation,
    Overflow,
    localcontext,
)

from tradefleet.domain.errors import BrokenInvariant, Refused

MONEY = Context(
    prec=50,
    rounding=ROUND_HALF_EVEN,
    traps=[InvalidOperation, DivisionByZero, Overflow, FloatOperation],
)
ZERO = Decimal(0)
ONE = Decimal(1)
UNIT = Decimal("1e-8")  # the smallest amount that is booked or shown
AMOUNT_MAX = Decimal(10) ** 15  # above this an amount is a slip of the finger, not a balance


def money_context() -> AbstractContextManager[Context]:
    """Return a context manager inside which decimals compute by our rules."""
    return localcontext(MONEY)


def round_down(value: Decimal, step: Decimal) -> Decimal:
    """Return value cut to a whole number of steps, towards zero."""
    steps = MONEY.divide(value, step).to_integral_value(ROUND_DOWN, MONEY)
    return MONEY.multiply(steps, step)


def round_to_tick(value: Decimal, tick: Decimal) -> Decimal:
    """Return value at the nearest tick, half to even."""
    ticks = MONEY.divide(value, tick).to_integral_value(ROUND_HALF_EVEN, MONEY)
    return MONEY.multiply(ticks, tick)


def to_unit(value: Decimal) -> Decimal:
    """Return value with 8 decimals, half to even: how notional and fee are booked."""
    return value.quantize(UNIT, ROUND_HALF_EVEN, MONEY)


def from_float(value: float) -> Decimal:
    """Return a computed float as money: ten significant digits, no more are meant."""
    if not math.isfinite(value):
        raise BrokenInvariant(f"{value} is no money")
    return Decimal(format(value, ".10g"))


def show(value: Decimal) -> str:
    """Return value as a string with exactly 8 decimals; zero is never negative."""
    rounded = to_unit(value)
    return format(rounded.copy_abs() if rounded == 0 else rounded, "f")


def parse_amount(text: str, what: str = "amount") -> Decimal:
    """Return the positive amount a person wrote; Refused with the cure for anything else."""
    try:
        value = Decimal(text.strip().replace("_", ""))
    except InvalidOperation:
        raise Refused(f"{text!r} is not a number; write the {what} like 1000 or 0.5.") from None
    if not value.is_finite():
        raise Refused(f"The {what} must be a finite number, not {text}.")
    if value <= 0:
        raise Refused(f"The {what} must be above zero, not {text}.")
    if value > AMOUNT_MAX:
        raise Refused(f"The {what} {text} is too large; the most is {AMOUNT_MAX:f}.")
    if value < UNIT:
        raise Refused(f"The {what} {text} is too small; the least is {UNIT:f}.")
    if value != to_unit(value):
        raise Refused(f"The {what} {text} has more than 8 decimals; leave the others out.")
    return value
