"""The picture of money: what there was after each trade, and how far below its highest point."""

from datetime import timedelta
from itertools import accumulate
from typing import Any

from matplotlib import dates
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from tradefleet.charting.look import (
    BELOW,
    PLOT,
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
)
from tradefleet.domain.chart import EquityChart

DATES: Any = dates  # has no types
DOTS_MAX = 60  # with more points than these the line alone is clearer


def draw_equity(chart: EquityChart, look: Look) -> Figure:
    figure = new_figure(look, chart.title, chart.subtitle)
    money, fall = new_axes(figure, look, PLOT), new_axes(figure, look, BELOW)
    times = [DATES.date2num(at) for at, _ in chart.points]
    values = [float(value) for _, value in chart.points]
    first, last = values[0], values[-1]
    margin = max((times[-1] - times[0]) * 0.015, timedelta(minutes=1).total_seconds() / 86400)
    dots = list(zip(times, values, strict=True))
    times, values = [*times, times[-1] + margin], [*values, last]  # so that the last step is seen
    colour = look.up if last >= first else look.down

    money.plot(times, values, color=colour, linewidth=1.8, drawstyle="steps-post", zorder=3)
    money.fill_between(times, values, first, step="post", color=colour, alpha=0.13, linewidth=0)
    money.axhline(first, color=look.dim, linewidth=0.9, linestyle=(0, (1, 2)))
    if len(dots) <= DOTS_MAX:
        money.plot(*zip(*dots, strict=True), "o", color=colour, markersize=3.2, zorder=4)
    low, high = min(values), max(values)
    room = ((high - low) or abs(high) * 0.01 or 1.0) * 0.1
    money.set_ylim(low - room, high + room)
    set_numbers(money, high - low + 2 * room, cents=True)

    peaks = list(accumulate(values, max))
    below = [
        100 * (value / peak - 1) if peak > 0 else 0.0
        for value, peak in zip(values, peaks, strict=True)
    ]
    fall.fill_between(times, below, 0, step="post", color=look.down, alpha=0.45, linewidth=0)
    deepest = min(below)
    fall.set_ylim((deepest or -1.0) * 1.15, 0)
    fall.yaxis.set_major_locator(MaxNLocator(nbins=2))
    digits = decimals(abs(deepest) or 1.0)
    fall.yaxis.set_major_formatter(
        FuncFormatter(lambda value, _: f"{number(value, min(digits, 2))}%")
    )
    name_plot(fall, look, "Drawdown", at_top=False)
    for axes in (money, fall):
        axes.set_xlim(times[0] - margin, times[-1])
    locator = DATES.AutoDateLocator(minticks=3, maxticks=8)
    fall.xaxis.set_major_locator(locator)
    fall.xaxis.set_major_formatter(DATES.ConciseDateFormatter(locator, show_offset=False))
    money.xaxis.set_major_locator(locator)
    money.set_xticklabels([])
    put_tags(money, look, [Tag(last, number(last, 2), colour)])
    share = last / first - 1 if first > 0 else 0.0
    about = f"{number(last - first, 2)} {chart.quote}"
    headline(figure, look, f"{share:+.2%}" if first > 0 else about, about, good=last >= first)
    return figure
