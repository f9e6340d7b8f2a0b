"""The picture of a market: candles and volume, entries and exits, stop and targets."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from tradefleet.charting.look import (
    BELOW,
    PLOT,
    SMALL,
    Look,
    Tag,
    decimals,
    headline,
    name_plot,
    new_axes,
    new_figure,
    number,
    put_tags,
    set_numbers,
    short,
)
from tradefleet.domain.chart import CandleChart, Level, LevelKind, Mark, MarkKind
from tradefleet.domain.market import Bar

WIDTH = 0.66  # of a candle's body, as a part of its place
PLACES_MIN = 30  # a few bars are not blown up to fill the picture
FAR = 0.6  # levels further off than so many times the bars' own span stay outside
TICKS_MAX = 8
EDGE = 0.05  # of the width: a time named there is written to the right of its bar
STEPS = [
    timedelta(seconds=seconds) for seconds in (60, 300, 900, 1800, 3600, 7200, 14400, 21600, 43200)
] + [timedelta(days=days) for days in (1, 2, 7, 14, 30, 91, 182, 365)]
MIDNIGHT = timedelta(days=1)


def draw_candles(chart: CandleChart, look: Look) -> Figure:
    figure = new_figure(look, chart.title, chart.subtitle)
    prices, volume = new_axes(figure, look, PLOT), new_axes(figure, look, BELOW)
    bars = chart.bars
    set_span(prices, volume, chart)
    add_candles(prices, bars, look)
    add_volume(volume, bars, look)
    set_times(prices, volume, bars, chart.timeframe.delta)
    add_trades(prices, chart, look)
    add_levels(prices, chart, look)
    change = float(bars[-1].close / bars[0].open - 1) if bars[0].open else 0.0
    over = f"in {len(bars)} bars" if len(bars) > 1 else "in 1 bar"
    headline(figure, look, f"{change:+.2%}", over, good=change >= 0)
    return figure


def set_span(prices: Axes, volume: Axes, chart: CandleChart) -> None:
    """Let bars, and levels that are not too far off, fill the picture."""
    count = len(chart.bars)
    places = max(count, PLACES_MIN)
    for axes in (prices, volume):
        axes.set_xlim(count - places - 0.9, count + places * 0.035)
    lows = [float(bar.low) for bar in chart.bars]
    highs = [float(bar.high) for bar in chart.bars]
    low, high = min(lows), max(highs)
    span = (high - low) or high * 0.01 or 1.0
    near = [
        price
        for price in (float(level.price) for level in chart.levels)
        if low - FAR * span <= price <= high + FAR * span
    ]
    low, high = min([low, *near]), max([high, *near])
    room = ((high - low) or span) * 0.09
    prices.set_ylim(low - room, high + room)
    set_numbers(prices, high - low + 2 * room)


def add_candles(axes: Axes, bars: Sequence[Bar], look: Look) -> None:
    colours = [look.up if bar.close >= bar.open else look.down for bar in bars]
    wicks = [[(x, float(bar.low)), (x, float(bar.high))] for x, bar in enumerate(bars)]
    axes.add_collection(LineCollection(wicks, colors=colours, linewidths=1.0, zorder=2))
    bodies = [box(x, float(bar.open), float(bar.close)) for x, bar in enumerate(bars)]
    options: Any = {"facecolors": colours, "edgecolors": colours, "linewidths": 0.8}
    axes.add_collection(PolyCollection(bodies, zorder=3, **options))


def add_volume(axes: Axes, bars: Sequence[Bar], look: Look) -> None:
    colours = [look.up if bar.close >= bar.open else look.down for bar in bars]
    boxes = [box(x, 0.0, float(bar.volume)) for x, bar in enumerate(bars)]
    options: Any = {"facecolors": colours, "edgecolors": "none", "alpha": 0.55}
    axes.add_collection(PolyCollection(boxes, **options))
    axes.set_ylim(0, (max(float(bar.volume) for bar in bars) or 1.0) * 1.12)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=2))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
    name_plot(axes, look, "Volume", at_top=True)


def box(x: float, bottom: float, top: float) -> list[tuple[float, float]]:
    half = WIDTH / 2
    return [(x - half, bottom), (x - half, top), (x + half, top), (x + half, bottom)]


# ---- times


def set_times(prices: Axes, volume: Axes, bars: Sequence[Bar], timeframe: timedelta) -> None:
    """Name the bars at round times, below the volume."""
    step = step_for(len(bars), timeframe)
    named = [x for x, bar in enumerate(bars) if is_round(bar.opened_at, step)] or [0]
    day = ""
    labels = []
    for x in named:
        at = bars[x].opened_at
        date = f"{at:%d %b}"
        clock = "" if step >= MIDNIGHT else f"{at:%H:%M}"
        labels.append(date if not clock or (date != day and clock == "00:00") else clock)
        day = date
    if step < MIDNIGHT and labels[0].count(":"):
        labels[0] = f"{bars[named[0]].opened_at:%d %b %H:%M}"
    for axes in (prices, volume):
        axes.set_xticks(named)
    prices.set_xticklabels([])
    left, right = volume.get_xlim()
    for name, x in zip(volume.set_xticklabels(labels), named, strict=True):
        if (x - left) / (right - left) < EDGE:
            name.set_horizontalalignment("left")


def step_for(count: int, timeframe: timedelta) -> timedelta:
    """Return the shortest round step that leaves no more names than there is room for."""
    span = timeframe * count
    return next(
        (step for step in STEPS if step >= timeframe and span / step <= TICKS_MAX), STEPS[-1]
    )


def is_round(at: datetime, step: timedelta) -> bool:
    return int(at.timestamp()) % int(step.total_seconds()) == 0


def place_of(at: datetime, bars: Sequence[Bar], timeframe: timedelta) -> float | None:
    """Return the bar something happened in, one place beyond the last for what came after it."""
    if at < bars[0].opened_at:
        return None
    found = bisect_right(bars, at, key=lambda bar: bar.opened_at) - 1
    return found + 1 if at >= bars[found].opened_at + timeframe else found


# ---- trades


def add_trades(axes: Axes, chart: CandleChart, look: Look) -> None:
    bars, timeframe = chart.bars, chart.timeframe.delta
    for span in chart.spans:
        end = place_of(span.closed_at, bars, timeframe)
        if end is None:
            continue
        start = place_of(span.opened_at, bars, timeframe)
        first = axes.get_xlim()[0] if start is None else start
        colour = look.up if span.won else look.down
        prices = [float(span.entry_price), float(span.exit_price)]
        axes.plot(
            [first, end], prices, color=colour, linewidth=1.3, linestyle=(0, (4, 2)), zorder=4
        )
    there: Counter[tuple[float, MarkKind]] = Counter()
    for mark in chart.marks:
        x = place_of(mark.at, bars, timeframe)
        if x is not None:
            add_mark(axes, mark, x, there[x, mark.kind], chart, look)
            there[x, mark.kind] += 26 if mark.text else 13


def add_mark(axes: Axes, mark: Mark, x: float, above: int, chart: CandleChart, look: Look) -> None:
    """Point at a candle: from below at an entry, from above at an exit, one beyond the other.

    above: points that others take up already.
    """
    is_entry = mark.kind is MarkKind.ENTRY
    bar = chart.bars[min(int(x), len(chart.bars) - 1)]
    sign = -1 if is_entry else 1
    edge = min(bar.low, mark.price) if is_entry else max(bar.high, mark.price)
    colour = look.entry if is_entry else look.exit
    away = sign * (9 + above)
    axes.annotate(
        "▲" if is_entry else "▼",
        xy=(x, float(edge)),
        xytext=(0, away),
        textcoords="offset points",
        color=colour,
        size=10.5,
        ha="center",
        va="center",
        zorder=6,
    )
    if mark.text:
        good = not mark.text.startswith("-")
        axes.annotate(
            mark.text,
            xy=(x, float(edge)),
            xytext=(0, away + sign * 11),
            textcoords="offset points",
            color=look.up if good else look.down,
            size=SMALL,
            weight="bold",
            ha="center",
            va="center",
            zorder=6,
            bbox={
                "boxstyle": "round,pad=0.15",
                "facecolor": look.ground,
                "edgecolor": "none",
                "alpha": 0.75,
            },
        )


def add_levels(axes: Axes, chart: CandleChart, look: Look) -> None:
    """Draw what is waited for, and the last price."""
    colours = {LevelKind.ENTRY: look.entry, LevelKind.STOP: look.down, LevelKind.TARGET: look.up}
    low, high = axes.get_ylim()
    digits = decimals(high - low)
    tags = []
    for level in chart.levels:
        price = float(level.price)
        if low <= price <= high:
            line = (0, (6, 3)) if level.kind is not LevelKind.ENTRY else (0, (1, 2))
            axes.axhline(
                price, color=colours[level.kind], linewidth=1.2, linestyle=line, zorder=1.5
            )
        tags.append(Tag(price, named(level, digits), colours[level.kind]))
    last = float(chart.bars[-1].close)
    axes.axhline(last, color=look.dim, linewidth=0.8, linestyle=(0, (1, 2)), zorder=1.4)
    tags.append(Tag(last, number(last, digits), look.dim))
    put_tags(axes, look, tags)


def named(level: Level, digits: int) -> str:
    return f"{level.name} {number(float(level.price), digits)}"
