"""The order of events inside a recorded bar: open, then down to the low, up to the high, close.

A bar tells four prices, not their order; the pessimistic path is taken: a stop is met before
a target. Fills of a gap are at the open; between open, low and high the price passes every
level on its way, so that a stop or target is filled at its own price.
"""

from enum import IntEnum


class Phase(IntEnum):
    """Where on a bar's path the market stands; the numbers order durable cursors."""

    OPEN = 0
    LOW = 1
    HIGH = 2
    CLOSE = 3
