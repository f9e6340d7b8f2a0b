"""What APEX can be told: every number of its rules, with its default and its bounds."""

from bisect import bisect_right
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise

from tradefleet.domain.errors import Refused
from tradefleet.domain.money import ONE, ZERO, money_context
from tradefleet.indicators.parameters import choice, number
from tradefleet.strategy import TradePlan

BARS_NEEDED = 500
FILTERS = POINTS = 5
TARGETS_MAX = 3
D = Decimal
ADX_BANDS = (20.0, 25.0, 30.0, 40.0, 50.0)
SIZES = (D("0.02"), D("0.04"), D("0.06"), D("0.08"), D("0.10"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ApexParameters:
    """The defaults are APEX v7.1."""

    warmup: int = number(100, "the bar of the stream at which the first decision falls", 1, 10_000)
    ema_fast: int = number(9, "bars of the fast EMA", 1, 500)
    ema_mid: int = number(21, "bars of the middle EMA", 1, 500)
    ema_slow: int = number(50, "bars of the slow EMA", 1, 500)
    macd_fast: int = number(12, "bars of the MACD's fast EMA", 1, 500)
    macd_slow: int = number(26, "bars of the MACD's slow EMA", 1, 500)
    macd_signal: int = number(9, "bars of the EMA of the MACD line", 1, 500)
    vwap: int = number(100, "bars of the VWAP", 1, 1000)
    rsi: int = number(14, "bars of the RSI", 1, 500)
    atr: int = number(14, "bars of the ATR", 1, 500)
    adx: int = number(14, "bars of the ADX", 1, 500)
    smoothing: str = choice("simple", "averages of RSI, ATR and ADX", ("simple", "wilder"))

    filters_min: int = number(FILTERS, "market filters that must hold, of 5", 0, FILTERS)
    adx_min: float = number(20.0, "filter: the ADX is above this", 0, 100)
    filter_volume: float = number(0.5, "filter: least volume, as a share of its mean", 0, 100)
    filter_volume_bars: int = number(5, "bars of that mean, the last one included", 1, 500)

    score_min: int = number(3, "entry points that are needed, of 5", 0, POINTS)
    near: float = number(0.005, "point: most distance to EMA or VWAP, as a share of it", 0, 1)
    rsi_low: float = number(30.0, "point: the RSI is above this", 0, 100)
    rsi_high: float = number(70.0, "point: the RSI is below this", 0, 100)
    wick_body: float = number(
        2.0, "point: a hammer's wick is longer than its body times this", 0, 9
    )
    wick_range: float = number(0.6, "point: a hammer's wick is more of its range than this", 0, 1)
    entry_volume: float = number(0.6, "point: least volume, as a share of its mean", 0, 100)
    entry_volume_bars: int = number(2, "bars of that mean, the last one not included", 1, 500)

    floor_volume: float = number(0.3, "entry: least volume, as a share of its mean", 0, 100)
    floor_volume_bars: int = number(20, "bars of that mean, the last one included", 1, 500)
    momentum_min: float = number(0.0, "entry: least momentum score; 0 is off", 0, 3)
    momentum_base: float = number(0.1, "momentum score: what every entry has", 0, 1)
    momentum_rsi: float = number(0.3, "momentum score: weight of |RSI - 50| / 50", 0, 1)
    momentum_adx: float = number(0.5, "momentum score: weight of ADX / 50, at most 1", 0, 1)

    adx_bands: tuple[float, ...] = number(
        ADX_BANDS, "lower ends of the ADX bands; no entry below them", 0, 100
    )
    sizes: tuple[Decimal, ...] = number(
        SIZES, "share of the balance an entry takes, for each band", 0.0001, 1
    )
    score_full: int = number(4, "points from which an entry has its full size", 0, POINTS)
    size_part: Decimal = number(D("0.9"), "share of the size an entry with fewer has", 0, 1)
    size_min: Decimal = number(D("0.02"), "least share of the balance for an entry", 0.0001, 1)
    size_max: Decimal = number(D("0.10"), "most share of the balance for an entry", 0.0001, 1)

    swing: int = number(10, "bars of the swing low", 1, 500)
    stop_atr: float = number(0.5, "distance of the stop from the swing low, in ATR", 0, 100)
    targets: tuple[Decimal, ...] = number(
        (D(1), D(2), D(3)), "targets, in multiples of R, the risk from fill to stop", 0.01, 1000
    )
    parts: tuple[Decimal, ...] = number(
        (D("0.50"), D("0.25"), D("0.25")), "shares sold at the targets; the last sells all", 0, 1
    )
    trail_atr: float = number(1.5, "distance of the trailing stop, in ATR", 0.01, 100)
    breakeven_offset: Decimal = number(
        ZERO, "breakeven stop above the entry, as a share of its price", 0, 0.5
    )
    risk_per_trade: Decimal = number(
        ZERO, "most share of the balance an entry loses at its stop; 0 is off", 0, 1
    )
    min_stop_pct: Decimal = number(
        ZERO, "no entry if its stop is nearer, in % of the price; 0 is off", 0, 50
    )
    entry_delay: int = number(6, "seconds a live entry waits after the bar's close", 0, 3600)

    def __post_init__(self) -> None:
        _rising("ema_fast, ema_mid, ema_slow", self.ema_fast, self.ema_mid, self.ema_slow)
        _rising("macd_fast, macd_slow", self.macd_fast, self.macd_slow)
        _rising("rsi_low, rsi_high", self.rsi_low, self.rsi_high)
        _rising("adx_bands", *self.adx_bands)
        _rising("targets", *self.targets)
        if len(self.sizes) != len(self.adx_bands):
            raise Refused(f"sizes must have as many numbers as adx_bands: {len(self.adx_bands)}.")
        if len(self.targets) > TARGETS_MAX:
            raise Refused(f"targets may have at most {TARGETS_MAX} numbers.")
        if len(self.parts) != len(self.targets):
            raise Refused(f"parts must have as many numbers as targets: {len(self.targets)}.")
        with money_context():
            if sum(self.parts) > ONE:
                raise Refused(f"parts may be 1 together, not {sum(self.parts)}.")
        if self.size_min > self.size_max:
            raise Refused(f"size_min {self.size_min} must not be above size_max {self.size_max}.")

    def plan(self) -> TradePlan:
        with money_context():
            return TradePlan(
                targets=tuple(zip(self.targets, self.parts, strict=True)),
                trails=True,
                entry_delay=self.entry_delay,
                risk_per_trade=self.risk_per_trade,
                min_stop=self.min_stop_pct / 100,
                breakeven_offset=self.breakeven_offset,
            )

    def bars_needed(self) -> int:
        """Return how many bars leave no trace of where the averages began.

        An EMA forgets all but 2e-9 of a difference in 10 periods, Wilder's average in 20, and
        the ADX is one of another.
        """
        emas = 10 * max(self.ema_slow, self.macd_slow + self.macd_signal)
        smoothed = 20 * max(self.rsi, self.atr, 2 * self.adx) if self.smoothing == "wilder" else 0
        volumes = max(self.filter_volume_bars, self.entry_volume_bars + 1, self.floor_volume_bars)
        windows = max(self.vwap, self.swing, volumes, self.rsi + 2, self.atr + 1, 2 * self.adx)
        return max(BARS_NEEDED, self.warmup, emas, smoothed, windows)


class Sizes:
    """The share of the balance an entry takes, from trend strength and points."""

    __slots__ = ("_bands", "_fractions", "_score_full")

    def __init__(self, parameters: ApexParameters) -> None:
        p = parameters
        self._bands, self._score_full = p.adx_bands, p.score_full
        with money_context():
            self._fractions = [
                [min(max(size * part, p.size_min), p.size_max) for part in (p.size_part, ONE)]
                for size in p.sizes
            ]

    def fraction(self, adx: float, score: int) -> Decimal:
        """Return the share; zero below the first band, and while the ADX is unknown."""
        if not adx >= self._bands[0]:
            return ZERO
        return self._fractions[bisect_right(self._bands, adx) - 1][score >= self._score_full]


def _rising(names: str, *values: float | Decimal) -> None:
    if any(low >= high for low, high in pairwise(values)):
        raise Refused(f"{names} must rise, not {', '.join(map(str, values))}.")
