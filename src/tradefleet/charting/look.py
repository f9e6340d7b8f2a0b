"""How every picture looks: colours, sizes, numbers, and labels that do not cover one another."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from tradefleet.domain.chart import Theme

SIZE, DPI = (9.6, 6.0), 133  # 1276 x 798: what phones are shown without being scaled down
LEFT, RIGHT = 0.022, 0.87
PLOT = (LEFT, 0.235, RIGHT - LEFT, 0.615)  # left, bottom, width, height as parts of the whole
BELOW = (LEFT, 0.075, RIGHT - LEFT, 0.135)
TAG_GAP = 0.049  # of the plot's height, from one label to the next
SMALL, NORMAL, LARGE = 8.0, 9.5, 16.0  # points


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The colours of a theme."""

    ground: str
    grid: str
    text: str
    dim: str
    up: str
    down: str
    entry: str
    exit: str
    line: str
    on_tag: str = "#ffffff"


LOOKS = {
    Theme.DARK: Look(
        ground="#10151d",
        grid="#1f2937",
        text="#e8edf4",
        dim="#8b98a9",
        up="#26a69a",
        down="#ef5350",
        entry="#4da3ff",
        exit="#ffb74d",
        line="#4da3ff",
    ),
    Theme.LIGHT: Look(
        ground="#ffffff",
        grid="#e8ecf1",
        text="#18212d",
        dim="#677383",
        up="#0a8f7c",
        down="#e0333f",
        entry="#1769e0",
        exit="#c26a12",
        line="#1769e0",
    ),
}


@dataclass(frozen=True, slots=True)
class Tag:
    """A label at the right edge: at a value, or just outside of the plot where that is."""

    value: float
    text: str
    colour: str


def new_figure(look: Look, title: str, subtitle: str) -> Figure:
    figure = Figure(figsize=SIZE, dpi=DPI, facecolor=look.ground)
    FigureCanvasAgg(figure)
    figure.text(LEFT, 0.935, title, color=look.text, size=LARGE, weight="bold", va="center")
    figure.text(LEFT, 0.885, subtitle, color=look.dim, size=NORMAL, va="center")
    return figure


def headline(figure: Figure, look: Look, text: str, about: str, *, good: bool) -> None:
    """Write the one figure people look for first, and what it is about below it."""
    colour = look.up if good else look.down
    right: Any = {"va": "center", "ha": "right"}
    figure.text(RIGHT, 0.935, text, color=colour, size=LARGE, weight="bold", **right)
    figure.text(RIGHT, 0.885, about, color=look.dim, size=NORMAL, **right)


def name_plot(axes: Axes, look: Look, name: str, *, at_top: bool) -> None:
    """Write what a plot shows into its corner."""
    place, edge = (0.9, "top") if at_top else (0.12, "bottom")
    box: Any = {"boxstyle": "round,pad=0.2", "facecolor": look.ground, "edgecolor": "none"}
    axes.text(
        0.005, place, name, color=look.dim, size=SMALL, va=edge, transform=axes.transAxes, bbox=box
    )


def new_axes(figure: Figure, look: Look, place: tuple[float, float, float, float]) -> Axes:
    axes = figure.add_axes(place, facecolor=look.ground)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.spines["right"].set_visible(True)
    axes.spines["right"].set_color(look.grid)
    axes.yaxis.tick_right()
    axes.grid(visible=True, color=look.grid, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=look.dim, labelsize=SMALL, length=0, pad=5)
    return axes


def set_numbers(axes: Axes, span: float, *, ticks: int = 7, cents: bool = False) -> None:
    """Write numbers with as many decimals as tell them apart; cents: two, if not none."""
    digits = decimals(span)
    digits = min(digits, 1) * 2 if cents else digits
    axes.yaxis.set_major_locator(MaxNLocator(nbins=ticks, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value, digits)))


def decimals(span: float) -> int:
    """Return the decimals that tell values apart that are so far from one another."""
    digits = 0
    while digits < 8 and span < 40 * 10**-digits:
        digits += 1
    return digits


def number(value: float, digits: int) -> str:
    text = f"{value:,.{digits}f}"
    return text.removeprefix("-") if not text.strip("-0.,") else text


def short(value: float) -> str:
    """Write a large number shortly: 12.3k, 4.5M."""
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def put_tags(axes: Axes, look: Look, tags: Sequence[Tag]) -> None:
    """Write labels beside the right edge, apart from one another, the lowest first."""
    low, high = axes.get_ylim()
    places: list[tuple[float, Tag]] = []
    for tag in sorted(tags, key=lambda tag: tag.value):
        place = min(max((tag.value - low) / (high - low), 0.0), 1.0)
        if places:
            place = max(place, places[-1][0] + TAG_GAP)
        places.append((place, tag))
    top = 1.0 + TAG_GAP / 2
    for index in range(len(places) - 1, -1, -1):  # what grew over the top is pushed down again
        place, tag = places[index]
        places[index] = (min(place, top), tag)
        top = places[index][0] - TAG_GAP
    for place, tag in places:
        beyond = " ↑" if tag.value > high else " ↓" if tag.value < low else ""
        options: Any = {"boxstyle": "round,pad=0.28", "facecolor": tag.colour, "edgecolor": "none"}
        axes.annotate(
            tag.text + beyond,
            xy=(1.0, place),
            xycoords="axes fraction",
            xytext=(5, 0),
            textcoords="offset points",
            color=look.on_tag,
            size=SMALL,
            weight="bold",
            va="center",
            bbox=options,
            annotation_clip=False,
            zorder=10,
        )


def png_of(figure: Figure) -> bytes:
    out = BytesIO()
    figure.savefig(out, format="png", facecolor=figure.get_facecolor())
    return out.getvalue()
