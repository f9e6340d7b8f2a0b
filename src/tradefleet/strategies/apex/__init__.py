"""APEX v7.1: long with the trend when it resumes, sized by how strong the trend is.

Five market filters say whether there is a trend, five entry points whether now is a moment to
join it. The mirror image of an entry, the opposite signal, closes a long; so does EMA 9
crossing below EMA 21.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from itertools import islice
from math import isfinite, nan

from tradefleet.domain.market import Bar
from tradefleet.domain.money import ZERO, from_float
from tradefleet.indicators import Numbers
from tradefleet.indicators.adx import new_adx
from tradefleet.indicators.atr import new_atr, stop_below
from tradefleet.indicators.averages import Ema, Window
from tradefleet.indicators.candles import engulfs, is_hammer
from tradefleet.indicators.macd import Macd
from tradefleet.indicators.parameters import describe, read
from tradefleet.indicators.rsi import new_rsi
from tradefleet.indicators.tolerance import AT_LEAST, AT_MOST, PRICE
from tradefleet.indicators.vwap import Vwap
from tradefleet.strategies.apex.parameters import BARS_NEEDED, FILTERS, ApexParameters, Sizes
from tradefleet.strategy import Entry, Signal, StrategySpec, TradePlan

LONG, SHORT = 1, -1
NO_BAR = (nan, nan, nan, nan, nan)
CROSS = Signal(exit_reason="ema_cross", reasons=("fast EMA crossed below middle EMA",))


class Apex:
    """Cheap conditions are looked at on every bar, dear ones only where they can decide."""

    __slots__ = (
        "_adx",
        "_atr",
        "_bar",
        "_bar_before",
        "_close",
        "_count",
        "_entry_volumes",
        "_fast",
        "_filter_volumes",
        "_first_two_min",
        "_floor_volumes",
        "_is_below",
        "_lows",
        "_macd",
        "_mid",
        "_parameters",
        "_rsi",
        "_sizes",
        "_slow",
        "_vwap",
        "_warmup",
        "plan",
    )

    def __init__(self, parameters: ApexParameters) -> None:
        p = self._parameters = parameters
        self.plan: TradePlan = p.plan()
        self._sizes = Sizes(p)
        self._fast, self._mid, self._slow = Ema(p.ema_fast), Ema(p.ema_mid), Ema(p.ema_slow)
        self._macd = Macd(p.macd_fast, p.macd_slow, p.macd_signal)
        self._vwap = Vwap(p.vwap)
        self._rsi = new_rsi(p.rsi, p.smoothing)
        self._atr = new_atr(p.atr, p.smoothing)
        self._adx = new_adx(p.adx, p.smoothing)
        self._filter_volumes = Window(p.filter_volume_bars)
        self._entry_volumes = Window(p.entry_volume_bars)  # ends one bar ago
        self._floor_volumes = Window(p.floor_volume_bars)
        self._lows = Window(p.swing)
        self._bar: Numbers = NO_BAR
        self._bar_before: Numbers = NO_BAR
        self._warmup = p.warmup
        self._first_two_min = p.filters_min - FILTERS + 2  # or filters_min is out of reach
        self._close = ZERO
        self._count = 0
        self._is_below = False  # the fast EMA below the middle one

    @property
    def bars_needed(self) -> int:
        return self._parameters.bars_needed()

    def on_bar(self, bar: Bar) -> Signal | None:
        before = self._bar_before = self._bar
        numbers = self._bar = bar.numbers
        _, _, low, close, volume = numbers
        self._close = bar.close
        self._count += 1
        self._lows.update(low)
        self._filter_volumes.update(volume)
        self._floor_volumes.update(volume)
        self._entry_volumes.update(before[4])
        self._vwap.update(numbers)
        self._rsi.update(numbers)
        self._atr.update(numbers)
        self._adx.update(numbers)
        histogram = self._macd.update(close)
        fast = self._fast.update(close)
        mid = self._mid.update(close)
        slow = self._slow.update(close)

        margin = PRICE * close
        is_below = mid - fast > margin
        cross = CROSS if is_below and not self._is_below else None
        self._is_below = is_below
        if self._count < self._warmup:
            return None
        up = (fast - mid > margin and mid - slow > margin) + (histogram > margin)
        down = (is_below and slow - mid > margin) + (-histogram > margin)
        if up < self._first_two_min and down < self._first_two_min:
            return cross
        return self._decide(up, down, cross)

    def _decide(self, up: int, down: int, cross: Signal | None) -> Signal | None:
        """Return the signal, given how many of the first two filters hold for long and short.

        The other three are looked at only while filters_min is within reach.
        """
        p = self._parameters
        _, _, _, close, volume = self._bar
        needed = p.filters_min - max(up, down)
        common = int(volume >= p.filter_volume * self._filter_volumes.mean * AT_LEAST)
        if common < needed - 2:
            return cross
        adx = self._adx.value
        common += adx > p.adx_min
        if common < needed - 1:
            return cross
        vwap = self._vwap.value
        margin = PRICE * close
        up += common + (close - vwap > margin)
        down += common + (vwap - close > margin)
        entry = self._entry(adx, vwap) if up >= p.filters_min else None
        found = entry if isinstance(entry, Entry) else None
        if down >= p.filters_min and len(points := self._points(SHORT, vwap)) >= p.score_min:
            return Signal(found, "opposite_signal", ("full short signal", *points))
        if found is None:
            return cross
        if cross is not None:
            return Signal(found, cross.exit_reason, cross.reasons)
        return Signal(found, reasons=found.reasons)

    def _points(self, direction: int, vwap: float) -> tuple[str, ...]:
        """Return the entry points that hold."""
        p = self._parameters
        bar = self._bar
        _, _, _, close, volume = bar
        mid = self._mid.value
        near = p.near * AT_MOST
        points = []
        if abs(close - mid) <= near * mid or abs(close - vwap) <= near * vwap:
            points.append("near middle EMA or VWAP")
        rsi = self._rsi.value
        if p.rsi_low < rsi < p.rsi_high and direction * (rsi - self._rsi.before) > 0.0:
            points.append("RSI in range and moving along")
        if is_hammer(bar, direction, p.wick_body, p.wick_range) or engulfs(
            self._bar_before, bar, direction
        ):
            points.append("engulfing or hammer candle")
        if direction * (self._macd.histogram - self._macd.before) > PRICE * close:
            points.append("MACD histogram moving along")
        if volume >= p.entry_volume * self._entry_volumes.mean * AT_LEAST:
            points.append("volume keeps up")
        return tuple(points)

    def _entry(self, adx: float, vwap: float) -> Entry | str:
        """Return the entry, or the first condition after the filters that fails."""
        p = self._parameters
        points = self._points(LONG, vwap)
        score = len(points)
        if score < p.score_min:
            return f"score {score} is below {p.score_min}: {', '.join(points) or 'no point'}"
        volume, mean = self._bar[4], self._floor_volumes.mean
        if not volume >= p.floor_volume * mean * AT_LEAST:
            return _too_low(volume, p.floor_volume, p.floor_volume_bars, mean)
        fraction = self._sizes.fraction(adx, score)
        if not fraction:
            return f"ADX {_figure(adx)} is below {p.adx_bands[0]:g}: no size"
        strength = self._strength(adx)
        if strength < p.momentum_min:
            return f"momentum score {strength:.6g} is below {p.momentum_min:g}"
        stop = stop_below(self._lows.lowest, p.stop_atr, self._atr.value)
        if not ZERO < stop < self._close:
            return f"stop {stop:f} is not between 0 and the close {self._close:f}"
        reasons = (*points, f"ADX {adx:.4g}, momentum score {strength:.3g}")
        return Entry(stop, fraction, score, strength, reasons)

    def _strength(self, adx: float) -> float:
        """Return the momentum score; an RSI that is not known adds nothing."""
        p = self._parameters
        rsi = self._rsi.value
        far = abs(rsi - 50.0) / 50.0 if rsi == rsi else 0.0
        return p.momentum_rsi * far + p.momentum_adx * min(adx / 50.0, 1.0) + p.momentum_base

    def why_not(self) -> str:
        if self._count < self._warmup:
            return f"warming up: {self._count} of {self._warmup} bars"
        adx, vwap = self._adx.value, self._vwap.value
        allowed = FILTERS - self._parameters.filters_min
        failed = list(islice(self._failed_filters(adx, vwap), allowed + 1))
        if len(failed) > allowed:
            return failed[0]
        entry = self._entry(adx, vwap)
        return entry if isinstance(entry, str) else ""

    def _failed_filters(self, adx: float, vwap: float) -> Iterator[str]:
        """Say of each market filter that does not hold for long what is wrong."""
        p = self._parameters
        _, _, _, close, volume = self._bar
        margin = PRICE * close
        if not close - vwap > margin:
            yield f"close {close:.6g} is not above VWAP {_figure(vwap)}"
        fast, mid, slow = self._fast.value, self._mid.value, self._slow.value
        if not (fast - mid > margin and mid - slow > margin):
            yield f"EMAs {fast:.6g}, {mid:.6g} and {slow:.6g} are not each above the next"
        if not self._macd.histogram > margin:
            yield f"MACD histogram {self._macd.histogram:.6g} is not above 0"
        if not adx > p.adx_min:
            yield f"ADX {_figure(adx)} is not above {p.adx_min:g}"
        mean = self._filter_volumes.mean
        if not volume >= p.filter_volume * mean * AT_LEAST:
            yield _too_low(volume, p.filter_volume, p.filter_volume_bars, mean)

    def trail_distance(self) -> Decimal | None:
        distance = self._parameters.trail_atr * self._atr.value
        return from_float(distance) if isfinite(distance) else None


def _too_low(volume: float, share: float, bars: int, mean: float) -> str:
    return f"volume {volume:.6g} is below {share:g} of its {bars}-bar mean {_figure(mean)}"


def _figure(value: float) -> str:
    return "unknown" if value != value else f"{value:.6g}"


def build(params: Mapping[str, str]) -> Apex:
    return Apex(read(ApexParameters, params))


STRATEGY = StrategySpec(
    name="apex",
    summary="APEX v7.1: join an uptrend when it resumes; sized by ADX, three targets, trailing.",
    parameters=describe(ApexParameters),
    build=build,
    bars_needed=BARS_NEEDED,
)
