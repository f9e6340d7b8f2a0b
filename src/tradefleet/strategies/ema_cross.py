"""EMA cross: long from the fast average's cross above the slow one to its cross below."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from tradefleet.domain.errors import Refused
from tradefleet.domain.market import Bar
from tradefleet.domain.money import ZERO, money_context
from tradefleet.indicators.atr import new_atr, stop_below
from tradefleet.indicators.averages import Ema
from tradefleet.indicators.parameters import choice, describe, number, read
from tradefleet.indicators.tolerance import PRICE
from tradefleet.strategy import Entry, Signal, StrategySpec, TradePlan

BARS_NEEDED = 500
ENTRY_REASONS = ("fast EMA crossed above slow EMA",)
EXIT_REASONS = ("fast EMA crossed below slow EMA",)
EXIT = Signal(exit_reason="ema_cross", reasons=EXIT_REASONS)


@dataclass(frozen=True, slots=True, kw_only=True)
class EmaCrossParameters:
    """Every number of the strategy."""

    fast: int = number(9, "bars of the fast EMA", 1, 500)
    slow: int = number(21, "bars of the slow EMA", 2, 500)
    atr: int = number(14, "bars of the ATR", 1, 500)
    smoothing: str = choice("simple", "average of the ATR", ("simple", "wilder"))
    stop_atr: float = number(2.0, "distance of the stop from the close, in ATR", 0.01, 100)
    size: Decimal = number(Decimal("0.10"), "share of the balance an entry takes", 0.0001, 1)
    warmup: int = number(100, "the bar of the stream at which the first decision falls", 1, 10_000)
    risk_per_trade: Decimal = number(
        ZERO, "most share of the balance lost at the stop; 0 is off", 0, 1
    )
    min_stop_pct: Decimal = number(
        ZERO, "no entry if the stop is nearer, in % of the price; 0 is off", 0, 50
    )

    def __post_init__(self) -> None:
        if self.fast >= self.slow:
            raise Refused(f"fast must be below slow, and {self.fast} is not below {self.slow}.")

    def plan(self) -> TradePlan:
        with money_context():
            return TradePlan(risk_per_trade=self.risk_per_trade, min_stop=self.min_stop_pct / 100)

    def bars_needed(self) -> int:
        """Return after how many bars nothing is left of where the averages began."""
        return max(BARS_NEEDED, self.warmup, 10 * self.slow, 20 * self.atr)


class EmaCross:
    """Long after a cross up, out after a cross down; the stop stands some ATR below the close."""

    __slots__ = (
        "_atr",
        "_bar",
        "_count",
        "_crossed_up",
        "_fast",
        "_parameters",
        "_side",
        "_slow",
        "_update_atr",
        "_warmup",
        "plan",
    )

    def __init__(self, parameters: EmaCrossParameters) -> None:
        self.plan = parameters.plan()
        self._parameters = parameters
        self._warmup = parameters.warmup
        self._fast, self._slow = Ema(parameters.fast), Ema(parameters.slow)
        self._atr = new_atr(parameters.atr, parameters.smoothing)
        self._update_atr = self._atr.update
        self._count = 0
        self._bar: Bar  # the last one, from the first on
        self._side = 0  # of the fast average: 1 above the slow one, -1 below, 0 level
        self._crossed_up = False

    @property
    def bars_needed(self) -> int:
        return self._parameters.bars_needed()

    def on_bar(self, bar: Bar) -> Signal | None:
        numbers = bar.numbers
        close = numbers[3]
        self._update_atr(numbers)
        gap = self._fast.update(close) - self._slow.update(close)
        margin = PRICE * close
        side = 1 if gap > margin else -1 if -gap > margin else 0
        side_before, self._side = self._side, side
        self._count += 1
        self._bar = bar
        self._crossed_up = side > 0 >= side_before
        if side == side_before or self._count < self._warmup:
            return None
        if self._crossed_up:
            entry = self._entry()
            return None if entry is None else Signal(entry, reasons=ENTRY_REASONS)
        return EXIT if side < 0 else None

    def _entry(self) -> Entry | None:
        stop = self._stop()
        if not ZERO < stop < self._bar.close:
            return None
        return Entry(stop, self._parameters.size, score=0, strength=0.0, reasons=ENTRY_REASONS)

    def _stop(self) -> Decimal:
        return stop_below(self._bar.numbers[3], self._parameters.stop_atr, self._atr.value())

    def why_not(self) -> str:
        if self._count < self._warmup:
            return f"warming up: {self._count} of {self._warmup} bars"
        fast, slow = self._fast.value, self._slow.value
        if self._side <= 0:
            return f"fast EMA {fast:.6g} is not above slow EMA {slow:.6g}"
        if not self._crossed_up:
            return f"fast EMA {fast:.6g} was above slow EMA {slow:.6g} a bar ago already"
        if self._entry() is None:
            return f"stop {self._stop():f} is not between 0 and the close {self._bar.close:f}"
        return ""

    def trail_distance(self) -> Decimal | None:
        return None


def build(params: Mapping[str, str]) -> EmaCross:
    return EmaCross(read(EmaCrossParameters, params))


STRATEGY = StrategySpec(
    name="ema_cross",
    summary="Long from EMA 9 crossing above EMA 21 until it crosses below; stop at 2 ATR.",
    parameters=describe(EmaCrossParameters),
    build=build,
    bars_needed=BARS_NEEDED,
)
