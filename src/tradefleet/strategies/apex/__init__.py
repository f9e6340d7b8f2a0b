"""APEX v7.1: long with the trend when it resumes, sized by how strong the trend is.

Five market filters say whether there is a trend, five entry points whether now is a moment to
join it. The mirror image of an entry, the opposite signal, closes a long; so does EMA 9
crossing below EMA 21.
"""

from collections.abc import Callable, Generator, Iterator, Mapping
from decimal import Decimal
from itertools import islice
from math import isfinite, nan
from typing import TypeAlias

from tradefleet.domain.market import Bar
from tradefleet.domain.money import ZERO, from_float
from tradefleet.indicators import Numbers
from tradefleet.indicators.adx import new_adx
from tradefleet.indicators.atr import new_atr
from tradefleet.indicators.averages import Window
from tradefleet.indicators.candles import engulfs, is_hammer
from tradefleet.indicators.parameters import describe, read
from tradefleet.indicators.rsi import new_rsi
from tradefleet.indicators.tolerance import AT_LEAST, AT_MOST, PRICE
from tradefleet.indicators.trend import UNKNOWN, Averages, new_trend
from tradefleet.indicators.vwap import new_vwap
from tradefleet.strategies.apex.entries import (
    CANDLE,
    MACD,
    NEAR,
    REASONS,
    RSI,
    VOLUME,
    Entries,
    EntrySignal,
)
from tradefleet.strategies.apex.parameters import BARS_NEEDED, FILTERS, ApexParameters
from tradefleet.strategy import Signal, StrategySpec, TradePlan

Now: TypeAlias = tuple[int, Numbers, Numbers, float, Averages, Averages, Bar | None]

LONG, SHORT = 1, -1
NO_BAR = (nan, nan, nan, nan, nan)
CROSS = Signal(exit_reason="ema_cross", reasons=("fast EMA crossed below middle EMA",))

OPPOSITE = [Signal(None, "opposite_signal", ("full short signal", *said)) for said in REASONS]


class Apex:
    """One run of the strategy, apart from what looks at its bars.

    The generator keeps that alive; were it this, only the collector could take the two away.
    """

    __slots__ = ("_parameters", "on_bar", "plan", "trail_distance", "why_not")

    def __init__(self, parameters: ApexParameters) -> None:
        self._parameters = parameters
        self.plan: TradePlan = parameters.plan()
        looking = Looking(parameters)
        taking = looking.take()
        next(taking)
        self.on_bar: Callable[[Bar], Signal | None] = taking.send
        self.why_not: Callable[[], str] = looking.why_not
        self.trail_distance: Callable[[], Decimal | None] = looking.trail_distance

    @property
    def bars_needed(self) -> int:
        return self._parameters.bars_needed()


class Looking:
    """Cheap conditions are looked at on every bar, dear ones only where they can decide.

    `_now` is what the last bar has left to look at: its number in the stream, its numbers and
    those of the bar before, VWAP, averages and those of the bar before, and the bar itself.
    """

    __slots__ = (
        "_adx",
        "_atr",
        "_entries",
        "_entry_volumes",
        "_filter_volumes",
        "_first_two_min",
        "_floor_volumes",
        "_lows",
        "_now",
        "_parameters",
        "_rsi",
        "_rsi_value",
        "_warmup",
    )

    def __init__(self, parameters: ApexParameters) -> None:
        p = self._parameters = parameters
        self._entries = Entries(p)
        self._rsi = new_rsi(p.rsi, p.smoothing)
        self._rsi_value = nan  # of the last bar whose points were all looked at
        self._atr = new_atr(p.atr, p.smoothing)
        self._adx = new_adx(p.adx, p.smoothing)
        self._filter_volumes = Window(p.filter_volume_bars)
        self._entry_volumes = Window(p.entry_volume_bars)  # ends one bar ago
        self._floor_volumes = Window(p.floor_volume_bars)
        self._lows = Window(p.swing)
        self._warmup = p.warmup
        self._first_two_min = p.filters_min - FILTERS + 2  # or filters_min is out of reach
        self._now: Now = 0, NO_BAR, NO_BAR, nan, UNKNOWN, UNKNOWN, None

    def take(self) -> Generator[Signal | None, Bar, None]:
        """Take bar after bar, and yield what is to be said of each.

        A generator, since on every bar its variables cost less than attributes.
        """
        p = self._parameters
        warmup, first_two_min = self._warmup, self._first_two_min
        take_close = new_trend(
            (p.ema_fast, p.ema_mid, p.ema_slow), (p.macd_fast, p.macd_slow, p.macd_signal)
        )
        take_vwap = new_vwap(p.vwap)
        take_low = self._lows.update
        take_filter_volume = self._filter_volumes.update
        take_floor_volume = self._floor_volumes.update
        take_volume_before = self._entry_volumes.update
        take_rsi, take_atr, take_adx = self._rsi.update, self._atr.update, self._adx.update
        number, numbers, averages, was_below = 0, NO_BAR, UNKNOWN, False
        bar = yield None
        while True:
            number += 1
            before, averages_before = numbers, averages
            numbers = bar.numbers
            _, _, low, close, volume = numbers
            take_low(low)
            take_filter_volume(volume)
            take_floor_volume(volume)
            take_volume_before(before[4])
            take_rsi(numbers)
            take_atr(numbers)
            take_adx(numbers)
            vwap = take_vwap(numbers)
            fast, mid, slow, histogram = averages = take_close(close)
            self._now = number, numbers, before, vwap, averages, averages_before, bar

            margin = PRICE * close
            is_below = mid - fast > margin
            signal = None
            if number >= warmup:
                if is_below and not was_below:
                    signal = CROSS
                up = 1 if histogram > margin else 0
                down = 1 if histogram < -margin else 0
                if is_below:
                    if slow - mid > margin:
                        down += 1
                elif fast - mid > margin and mid - slow > margin:
                    up += 1
                if up >= first_two_min or down >= first_two_min:
                    signal = self._decide(up, down, signal, close, volume, vwap)
            was_below = is_below
            bar = yield signal

    def _decide(
        self,
        up: int,
        down: int,
        cross: Signal | None,
        close: float,
        volume: float,
        vwap: float,
    ) -> Signal | None:
        """Return the signal, given how many of the first two filters hold for long and short.

        The other three are looked at only while filters_min is within reach.
        """
        p = self._parameters
        margin = PRICE * close
        if close - vwap > margin:
            up += 1
        elif vwap - close > margin:
            down += 1
        needed = p.filters_min - 2  # two are the same for long and short
        if up < needed and down < needed:
            return cross
        if not volume >= p.filter_volume * self._filter_volumes.mean() * AT_LEAST:
            needed += 1
            if up < needed and down < needed:
                return cross
        adx = self._adx.value()
        if not adx > p.adx_min:
            needed += 1
        leave = cross
        if down >= needed and (points := self._points(SHORT, p.score_min)) is not None:
            leave = OPPOSITE[points]
        if up < needed or (points := self._points(LONG, p.score_min)) is None:
            return leave
        stop = self._stop()
        if self._objection(adx, stop):
            return leave
        return EntrySignal((self._entries, points, adx, self._rsi_value, stop), leave)

    def _points(self, direction: int, least: int) -> int | None:
        """Return the entry points that hold; None as soon as they must be fewer than `least`."""
        p = self._parameters
        _, bar, before, vwap, (_, mid, _, histogram), averages_before, _ = self._now
        _, _, _, close, volume = bar
        near = p.near * AT_MOST
        points, missing = 0, least
        if abs(close - mid) <= near * mid or abs(close - vwap) <= near * vwap:
            points = NEAR
            missing -= 1
        if direction * (histogram - averages_before[3]) > PRICE * close:
            points |= MACD
            missing -= 1
        if volume >= p.entry_volume * self._entry_volumes.mean() * AT_LEAST:
            points |= VOLUME
            missing -= 1
        if missing > 2:
            return None
        if is_hammer(bar, direction, p.wick_body, p.wick_range) or engulfs(before, bar, direction):
            points |= CANDLE
            missing -= 1
        if missing > 1:
            return None
        rsi_before, rsi = self._rsi.last_two()
        self._rsi_value = rsi
        if p.rsi_low < rsi < p.rsi_high and direction * (rsi - rsi_before) > 0.0:
            points |= RSI
            missing -= 1
        return points if missing <= 0 else None

    def _stop(self) -> float:
        """Return where the stop of an entry would stand; NaN while that is not known."""
        return self._lows.lowest() - self._parameters.stop_atr * self._atr.value()

    def _objection(self, adx: float, stop: float) -> str:
        """Return the first condition after filters and score that fails an entry."""
        p = self._parameters
        _, (_, _, _, close, volume), _, _, _, _, _ = self._now
        mean = self._floor_volumes.mean()
        if not volume >= p.floor_volume * mean * AT_LEAST:
            return _too_low(volume, p.floor_volume, p.floor_volume_bars, mean)
        if not adx >= p.adx_bands[0]:
            return f"ADX {_figure(adx)} is below {p.adx_bands[0]:g}: no size"
        strength = self._entries.strength(adx, self._rsi_value)
        if strength < p.momentum_min:
            return f"momentum score {strength:.6g} is below {p.momentum_min:g}"
        if not 0.0 < stop < close - PRICE * close:  # near the close its last digit may decide
            price = from_float(stop) if isfinite(stop) else ZERO
            bar = self._now[-1]
            if bar is not None and not ZERO < price < bar.close:
                return f"stop {price:f} is not between 0 and the close {bar.close:f}"
        return ""

    def why_not(self) -> str:
        p = self._parameters
        if self._now[0] < self._warmup:
            return f"warming up: {self._now[0]} of {self._warmup} bars"
        adx = self._adx.value()
        allowed = FILTERS - p.filters_min
        failed = list(islice(self._failed_filters(adx), allowed + 1))
        if len(failed) > allowed:
            return failed[0]
        points = self._points(LONG, least=0) or 0  # never None
        score = points.bit_count()
        if score < p.score_min:
            said = ", ".join(REASONS[points]) or "no point"
            return f"score {score} is below {p.score_min}: {said}"
        return self._objection(adx, self._stop())

    def _failed_filters(self, adx: float) -> Iterator[str]:
        """Say of each market filter that does not hold for long what is wrong."""
        p = self._parameters
        _, (_, _, _, close, volume), _, vwap, (fast, mid, slow, histogram), *_ = self._now
        margin = PRICE * close
        if not close - vwap > margin:
            yield f"close {close:.6g} is not above VWAP {_figure(vwap)}"
        if not (fast - mid > margin and mid - slow > margin):
            yield f"EMAs {fast:.6g}, {mid:.6g} and {slow:.6g} are not each above the next"
        if not histogram > margin:
            yield f"MACD histogram {histogram:.6g} is not above 0"
        if not adx > p.adx_min:
            yield f"ADX {_figure(adx)} is not above {p.adx_min:g}"
        mean = self._filter_volumes.mean()
        if not volume >= p.filter_volume * mean * AT_LEAST:
            yield _too_low(volume, p.filter_volume, p.filter_volume_bars, mean)

    def trail_distance(self) -> Decimal | None:
        distance = self._parameters.trail_atr * self._atr.value()
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
