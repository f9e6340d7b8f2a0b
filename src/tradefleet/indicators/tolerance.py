"""How floats are compared, so that rounding in the last place never decides a trade.

Price-like a is above b if a - b > PRICE * close, and not above it otherwise. A volume or a
distance that misses its bound by one part in a billion meets it: volume >= k * mean is
volume >= k * mean * AT_LEAST, distance <= bound is distance <= bound * AT_MOST. RSI and ADX
are rounded to 6 decimals.
"""

PRICE = 1e-9
AT_LEAST = 1.0 - 1e-9
AT_MOST = 1.0 + 1e-9

MILLION = 1e6
WHOLE = 1.5 * 2.0**52  # a float this large has no decimals, so adding it rounds half to even


def to_6_decimals(value: float) -> float:
    """Return round(value, 6) for values up to a thousand million, in a fifth of its time."""
    return (value * MILLION + WHOLE - WHOLE) / MILLION
