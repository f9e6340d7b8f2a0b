"""The strategy of the benchmarks: in after a bar that rose, out after one that fell."""

from collections.abc import Mapping
from decimal import Decimal

from tradefleet.domain.market import Bar
from tradefleet.strategy import Entry, Signal, StrategySpec, TradePlan

SIZE = Decimal("0.1")
STOP_SHARE = Decimal("0.5")  # of the close: never reached
OUT = Signal(exit_reason="fell", reasons=("the close fell",))


class Flip:
    """Says something of every bar that closed elsewhere than the one before."""

    plan = TradePlan()
    bars_needed = 0

    def __init__(self) -> None:
        self._close: Decimal | None = None

    def on_bar(self, bar: Bar) -> Signal | None:
        before, self._close = self._close, bar.close
        if before is None or bar.close == before:
            return None
        if bar.close < before:
            return OUT
        reasons = ("the close rose",)
        entry = Entry(bar.close * STOP_SHARE, SIZE, score=0, strength=0.0, reasons=reasons)
        return Signal(entry, reasons=reasons)

    def why_not(self) -> str:
        return "the close did not rise"

    def trail_distance(self) -> Decimal | None:
        return None


def build(params: Mapping[str, str]) -> Flip:
    return Flip()


FLIP = StrategySpec(
    name="flip",
    summary="In after a bar that rose, out after one that fell; for measuring only.",
    parameters={},
    build=build,
    bars_needed=0,
)
