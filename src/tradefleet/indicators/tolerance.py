"""How floats are compared, so that rounding in the last place never decides a trade.

Price-like a is above b if it is so by more than PRICE of the close; volumes and distances
that miss their bound by SHARE of it are let through; RSI and ADX are rounded to DIGITS.
"""

PRICE = 1e-9
SHARE = 1e-9
DIGITS = 6

AT_LEAST = 1.0 - SHARE  # volume >= k * mean is volume >= k * mean * AT_LEAST
AT_MOST = 1.0 + SHARE  # distance <= bound is distance <= bound * AT_MOST
