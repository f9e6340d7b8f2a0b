"""What the world's bots want: to enter often, to leave now and then, under stops and targets."""

from collections.abc import Callable, Mapping
from decimal import Decimal

from judge.world.clocks import START
from tradefleet.domain.market import Bar
from tradefleet.domain.signal import Entry, Signal, TradePlan
from tradefleet.strategy import StrategySpec

NAME = "busy"
FRACTION = Decimal("0.5")
PLANS: Mapping[str, TradePlan] = {
    "plain": TradePlan(),
    "targets": TradePlan(targets=((Decimal("0.7"), Decimal("0.5")), (Decimal(2), Decimal(1)))),
    "trails": TradePlan(targets=((Decimal(1), Decimal("0.4")),), trails=True),
}


class Busy:
    """Says the same of the same bar whoever asks, so that it survives any restart."""

    bars_needed = 2

    def __init__(self, phase: int, plan: TradePlan, is_calm: Callable[[], bool]) -> None:
        self.phase, self.plan, self.is_calm = phase, plan, is_calm
        self.range = Decimal(0)

    def on_bar(self, bar: Bar) -> Signal | None:
        if self.is_calm():
            return None
        number = int((bar.opened_at - START).total_seconds())
        self.range = bar.close * Decimal("0.006")
        roll = (number * 2_654_435_761 + self.phase * 40_503) % 1009 % 100
        entry = None
        if roll < 75:
            stop = bar.close * (1 - Decimal(4 + roll % 12) / 1000)
            entry = Entry(stop, FRACTION, 1, 1.0, ("busy",))
        leaves = "turned" if roll % 10 < 3 else ""
        return Signal(entry=entry, exit_reason=leaves)

    def why_not(self) -> str:
        return "it is not its turn"

    def trail_distance(self) -> Decimal | None:
        return self.range or None


def strategies(is_calm: Callable[[], bool]) -> Mapping[str, StrategySpec]:
    """Return the one strategy there is; it falls silent once it is calm."""

    def build(params: Mapping[str, str]) -> Busy:
        return Busy(int(params["phase"]), PLANS[params["plan"]], is_calm)

    spec = StrategySpec(
        name=NAME,
        summary="Trades as often as it can.",
        parameters={
            "phase": ("0", "which bars it likes"),
            "plan": ("plain", "how it leaves"),
        },
        build=build,
        bars_needed=Busy.bars_needed,
    )
    return {NAME: spec}
