"""What an equity curve comes to in a year, and how unevenly: the usual ratios.

Defined as in backtesting.py (backtesting/_stats.py), whose returns are compounded
(https://doi.org/10.2139/ssrn.3054517), with 365 days a year, for crypto never closes: the
equity at the end of each UTC day gives daily returns; a day without bars gives none.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from operator import itemgetter

from tradefleet.domain.money import ONE, ZERO

DAYS = Decimal(365)
DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
YEAR = Decimal("365.25") * 86_400  # seconds; of cagr, which counts calendar years
MEANINGLESS = Decimal(10) ** 12  # a gain on a few lucky hours, taken for a year


@dataclass(frozen=True, slots=True, kw_only=True)
class Yearly:
    """Shares and ratios; None where the curve is too short, too flat or too short of losses.

    growth: compounded daily return over a year; cagr: the same from first to last point;
    volatility: of compounded returns; sharpe: growth / volatility, no risk-free rate;
    sortino: growth / downside deviation; calmar: growth / deepest drawdown.
    """

    growth: Decimal | None
    cagr: Decimal | None
    volatility: Decimal | None
    sharpe: Decimal | None
    sortino: Decimal | None
    calmar: Decimal | None


def yearly(equity: Sequence[tuple[datetime, Decimal]], drawdown: Decimal) -> Yearly:
    """Return the ratios of an equity curve whose deepest drawdown is a share of `drawdown`.

    To be called inside money_context().
    """
    ends = day_ends(equity)
    growth = volatility = downside = None
    if len(ends) > 1 and min(ends) > ZERO:
        returns = [after / before - ONE for before, after in pairwise(ends)]
        daily = (ends[-1] / ends[0]) ** (ONE / len(returns))
        growth = _meaningful(daily**DAYS - ONE)
        falls = sum((min(change, ZERO) ** 2 for change in returns), ZERO)
        downside = (falls / len(returns) * DAYS).sqrt()
        volatility = _volatility(returns, daily)
    return Yearly(
        growth=growth,
        cagr=_cagr(equity),
        volatility=volatility,
        sharpe=_ratio(growth, volatility),
        sortino=_ratio(growth, downside),
        calmar=_ratio(growth, drawdown),
    )


def day_ends(equity: Sequence[tuple[datetime, Decimal]]) -> list[Decimal]:
    """Return the last equity of each UTC day that has any; midnight ends the day before."""
    ends = []
    place = 0
    while place < len(equity):
        at = equity[place][0] - timedelta.resolution
        midnight = at.replace(hour=0, minute=0, second=0, microsecond=0) + DAY
        place = bisect_right(equity, midnight, lo=place, key=itemgetter(0))
        ends.append(equity[place - 1][1])
    return ends


def _cagr(equity: Sequence[tuple[datetime, Decimal]]) -> Decimal | None:
    """Return the compound annual growth rate; None for less than a day."""
    (start, first), (end, last) = equity[0], equity[-1]
    if end - start < DAY or last <= ZERO:
        return None
    return _meaningful((last / first) ** (YEAR / Decimal((end - start) // SECOND)) - ONE)


def _volatility(returns: Sequence[Decimal], daily: Decimal) -> Decimal | None:
    """Return the deviation of a year's compounded return, whose mean daily factor is `daily`."""
    if len(returns) < 2:
        return None
    mean = sum(returns, ZERO) / len(returns)
    variance = sum(((change - mean) ** 2 for change in returns), ZERO) / (len(returns) - 1)
    square = (variance + daily**2) ** DAYS - daily ** (2 * DAYS)
    return _meaningful(max(square, ZERO).sqrt())


def _ratio(growth: Decimal | None, risk: Decimal | None) -> Decimal | None:
    return _meaningful(growth / risk) if growth is not None and risk else None


def _meaningful(value: Decimal) -> Decimal | None:
    return value if abs(value) < MEANINGLESS else None
