"""What a series of trades in one quote came to: the figures of /mystats and of a backtest."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Self

from tradefleet.domain.money import MONEY, ZERO
from tradefleet.domain.position import Trade


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """Net results, in quote. A trade that comes to exactly zero is no winner.

    won and lost: sums of the winners' and of the others' results, lost is zero or below.
    drawdown: the deepest fall of the running sum below its highest point so far, or below
    zero; drawdown_share: the same as a share of balance plus that highest point.
    """

    trades: int = 0
    winners: int = 0
    won: Decimal = ZERO
    lost: Decimal = ZERO
    gross_pnl: Decimal = ZERO
    fees: Decimal = ZERO
    best: Trade | None = None
    worst: Trade | None = None
    drawdown: Decimal = ZERO
    drawdown_share: Decimal = ZERO

    @classmethod
    def of(cls, trades: Sequence[Trade], balance: Decimal = ZERO) -> Self:
        """Measure trades given oldest first; balance: what was there before the first one."""
        results = [trade.pnl for trade in trades]
        total, peak, drawdown, share = ZERO, ZERO, ZERO, ZERO
        for result in results:
            total += result
            peak = max(peak, total)
            drawdown = max(drawdown, peak - total)
            if balance > 0:
                share = max(share, MONEY.divide(peak - total, balance + peak))
        return cls(
            trades=len(trades),
            winners=sum(result > 0 for result in results),
            won=sum((result for result in results if result > 0), ZERO),
            lost=sum((result for result in results if result <= 0), ZERO),
            gross_pnl=sum((trade.gross_pnl for trade in trades), ZERO),
            fees=sum((trade.fees for trade in trades), ZERO),
            best=max(trades, key=lambda trade: trade.pnl, default=None),
            worst=min(trades, key=lambda trade: trade.pnl, default=None),
            drawdown=drawdown,
            drawdown_share=share,
        )

    @property
    def pnl(self) -> Decimal:
        return self.won + self.lost

    @property
    def losers(self) -> int:
        return self.trades - self.winners

    @property
    def win_rate(self) -> Decimal:
        """Winners as a share of all trades, zero without trades."""
        return MONEY.divide(Decimal(self.winners), Decimal(self.trades)) if self.trades else ZERO

    @property
    def profit_factor(self) -> Decimal | None:
        """What was won per unit lost; None when nothing was lost."""
        return MONEY.divide(self.won, -self.lost) if self.lost else None

    @property
    def expectancy(self) -> Decimal:
        """The mean result of a trade, zero without trades."""
        return MONEY.divide(self.pnl, Decimal(self.trades)) if self.trades else ZERO


def by_quote(trades: Sequence[Trade]) -> dict[str, list[Trade]]:
    """Return the trades of each quote currency, whose results alone may be added up."""
    found: dict[str, list[Trade]] = {}
    for trade in trades:
        found.setdefault(trade.symbol.quote, []).append(trade)
    return found
