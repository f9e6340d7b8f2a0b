"""The deepest fall of an equity curve from its highest point so far."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from tradefleet.domain.money import MONEY, ONE, ZERO


@dataclass(frozen=True, slots=True)
class Drawdown:
    """A fall from a peak: share of the peak, amount in quote; recovered_at None: not yet."""

    share: Decimal
    amount: Decimal
    peak_at: datetime
    trough_at: datetime
    recovered_at: datetime | None


def deepest_drawdown(equity: Sequence[tuple[datetime, Decimal]]) -> Drawdown | None:
    """Return the fall that lost the largest share of its peak; None if equity never fell."""
    deepest: Drawdown | None = None
    peak_at, peak = trough_at, trough = equity[0]
    for at, value in equity:
        if value >= peak:
            if trough < peak:
                fall = _fall(peak, trough, peak_at, trough_at, at)
                deepest = max(deepest or fall, fall, key=_share)
            peak_at, peak = trough_at, trough = at, value
        elif value < trough:
            trough_at, trough = at, value
    if trough < peak:
        fall = _fall(peak, trough, peak_at, trough_at, None)
        deepest = max(deepest or fall, fall, key=_share)
    return deepest


def _share(fall: Drawdown) -> Decimal:
    return fall.share


def _fall(
    peak: Decimal,
    trough: Decimal,
    peak_at: datetime,
    trough_at: datetime,
    recovered_at: datetime | None,
) -> Drawdown:
    share = ONE - MONEY.divide(trough, peak) if peak > ZERO else ONE
    return Drawdown(share, peak - trough, peak_at, trough_at, recovered_at)
