"""What a strategy says about a market, and how a position taken on it is handled."""

from dataclasses import dataclass
from decimal import Decimal

from tradefleet.domain.money import ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class TradePlan:
    """How a position of a strategy is sized and left: the same for all its followers.

    targets: (multiple of R, share of the original quantity), nearest first; the last takes
    the rest whatever its share. With trails, the stop follows after the first target; it
    moves to entry at the first target in any case. The optional caps are off at zero:
    risk_per_trade (share of the balance lost at the stop), min_stop (least distance of the
    stop, share of the price), breakeven_offset (share of the entry price the breakeven stop
    stands above it). entry_delay: seconds a live entry waits after the bar's close.
    """

    targets: tuple[tuple[Decimal, Decimal], ...] = ()
    trails: bool = False
    entry_delay: int = 0
    risk_per_trade: Decimal = ZERO
    min_stop: Decimal = ZERO
    breakeven_offset: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class Entry:
    """A proposal to open a long position: what a follower needs to size and protect it.

    stop is a price (not yet on the venue's tick), fraction a share of the bot's balance;
    score, then strength, order rival entries.
    """

    stop: Decimal
    fraction: Decimal
    score: int
    strength: float
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Signal:
    """What one closed bar says to everybody who follows the strategy.

    entry: open long now, or None. exit_reason: close a long now ("opposite_signal",
    "ema_cross"), or "". reasons: why, for people. Both may hold at once: a bot that is flat
    looks at entry, one with a position at exit_reason.
    """

    entry: Entry | None = None
    exit_reason: str = ""
    reasons: tuple[str, ...] = ()
