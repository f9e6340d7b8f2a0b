"""A backtest as one HTML file: chart, figures and trades, complete in itself.

Nothing is loaded from anywhere, so the file can be mailed, archived and opened without a
network; its own content security policy forbids every request. The chart is drawn by
TradingView Lightweight Charts (Apache-2.0), of which report_page/ holds an unchanged copy.
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape
from importlib.resources import files
from pathlib import Path

from tradefleet.domain.errors import Refused
from tradefleet.domain.market import Bar, Timeframe
from tradefleet.domain.money import money_context
from tradefleet.domain.position import Trade
from tradefleet.surfaces.cli import report_tables
from tradefleet.surfaces.cli.report_series import (
    Equity,
    bar_length,
    bars_per_candle,
    chart_data,
)

PAGE = files("tradefleet.surfaces.cli") / "report_page"


def write_report(
    path: Path,
    *,
    title: str,
    bars: Sequence[Bar],
    trades: Sequence[Trade],
    equity: Equity,
    metrics: Mapping[str, object],
) -> None:
    """Write the report of a backtest; metrics as Metrics.as_json gives them."""
    if not bars or not equity:
        raise Refused("There is nothing to report: the backtest had no bars.")
    page = report_page(title=title, bars=bars, trades=trades, equity=equity, metrics=metrics)
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise Refused(
            f"The report cannot be written to {path}: {error.strerror}; "
            "name a file in a directory that exists and that you may write to."
        ) from None


def report_page(
    *,
    title: str,
    bars: Sequence[Bar],
    trades: Sequence[Trade],
    equity: Equity,
    metrics: Mapping[str, object],
) -> str:
    """Return the report as one HTML document."""
    with money_context():
        opened = [bar.opened_at for bar in bars[:: bars_per_candle(bars)]]
        parts = {
            "title": escape(title),
            "about": _about(bars),
            "cards": report_tables.cards(metrics),
            "groups": report_tables.groups(metrics),
            "reasons": report_tables.reasons_table(trades),
            "trades": report_tables.trades_table(trades, opened),
            "data": _script_safe(chart_data(bars, trades, equity)),
            "style": _piece("page.css"),
            "script": _piece("page.js"),
            "library": _piece("lightweight-charts.js"),
        }
    return re.sub(r"\{\{(\w+)\}\}", lambda hole: parts[hole[1]], _piece("page.html"))


def _piece(name: str) -> str:
    return (PAGE / name).read_text(encoding="utf-8")


def _script_safe(data: object) -> str:
    """Return data as JSON that cannot end the script element it stands in."""
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")


def _about(bars: Sequence[Bar]) -> str:
    timeframe = Timeframe(max(1, int(bar_length(bars).total_seconds())))
    size = bars_per_candle(bars)
    drawn = f", {size} drawn as one candle" if size > 1 else ""
    return (
        f"{_day(bars[0].opened_at)} to {_day(bars[-1].opened_at)} UTC · "
        f"{len(bars):,} bars of {timeframe}{drawn}"
    )


def _day(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}"
