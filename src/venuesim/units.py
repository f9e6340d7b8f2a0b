"""Amounts as integers: every price, quantity and amount counts units of 10^-8."""

from decimal import ROUND_HALF_UP, Context, Decimal, Inexact

UNITS = 10**8
EXACT = Context(prec=60, traps=[Inexact])
WIDE = Context(prec=60, rounding=ROUND_HALF_UP)


def units(text: str | int | Decimal) -> int:
    """Return an amount as units; ValueError when it is no number or finer than a unit."""
    try:
        value = Decimal(text)
        if not value.is_finite():
            raise ValueError(f"{text} is not a finite number")
        scaled = EXACT.multiply(value, Decimal(UNITS))
        whole = int(scaled)
    except ArithmeticError as error:
        raise ValueError(f"{text} is not a number") from error
    if whole != scaled:
        raise ValueError(f"{text} is finer than 8 decimals")
    return whole


def text(amount: int, decimals: int = 8) -> str:
    """Return units with exactly so many decimals, as venues write them; more are cut off."""
    sign, amount = ("-", -amount) if amount < 0 else ("", amount)
    digits = f"{amount // 10 ** (8 - decimals):0{decimals + 1}d}" if decimals <= 8 else ""
    if decimals > 8:
        digits = f"{amount:09d}" + "0" * (decimals - 8)
    return f"{sign}{digits[:-decimals]}.{digits[-decimals:]}" if decimals else sign + digits


def short(amount: int) -> str:
    """Return units without trailing zeros: 0.5, 100."""
    whole = text(amount)
    return whole.rstrip("0").rstrip(".")


def times(amount: int, price: int, decimals: int = 8) -> int:
    """Return amount * price, rounded half up to so many decimals."""
    grain = 10 ** (8 - decimals) if decimals < 8 else 1
    return rounded(amount * price, UNITS * grain) * grain


def rounded(numerator: int, denominator: int) -> int:
    """Return a quotient of natural numbers, rounded half up."""
    return (2 * numerator + denominator) // (2 * denominator)


def rounded_up(numerator: int, denominator: int) -> int:
    """Return a quotient of natural numbers, rounded up."""
    return -(-numerator // denominator)


def cut(numerator: int, denominator: int, decimals: int = 8) -> int:
    """Return a quotient of natural numbers in units, cut to so many decimals."""
    grain: int = 10 ** (8 - decimals) if decimals < 8 else 1
    return numerator // (denominator * grain) * grain
