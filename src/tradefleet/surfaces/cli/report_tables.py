"""The figures and tables of a report as HTML, readable without JavaScript."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from html import escape

from tradefleet.domain.money import ZERO
from tradefleet.domain.position import Trade
from tradefleet.surfaces.cli.report_series import place_of

ROWS_MAX = 5_000
NOTHING = "—"
Figures = Mapping[str, object]

# The name of a figure, how it is written, and what it means where that is not plain.
CARDS = (
    ("return_pct", "Return", "signed", "profit"),
    ("market_change_pct", "Market", "signed", None),
    ("max_drawdown_pct", "Deepest drawdown", "percent", "max_drawdown"),
    ("profit_factor", "Profit factor", "ratio", None),
    ("win_rate_pct", "Won", "percent", "trades"),
    ("sharpe", "Sharpe", "ratio", None),
)
GROUPS = (
    (
        "Result",
        (
            ("start_equity", "Start", "money", ""),
            ("final_equity", "End", "money", "Open position included, at the last close"),
            ("profit", "Profit", "money", ""),
            ("total_fees", "Fees paid", "money", "Of the closed trades"),
            ("annual_return_pct", "A year", "signed", "Daily returns, compounded over 365 days"),
            ("cagr_pct", "CAGR", "signed", "Compound annual growth from first to last bar"),
            ("exposure_pct", "In the market", "percent", "Share of bars with a position"),
        ),
    ),
    (
        "Risk",
        (
            ("max_drawdown", "Deepest drawdown", "money", "In quote, from peak to trough"),
            ("drawdown_started_at", "began", "time", ""),
            ("drawdown_trough_at", "was deepest", "time", ""),
            ("drawdown_recovered_at", "was made good", "time", ""),
            ("volatility_pct", "Volatility a year", "percent", ""),
            ("sharpe", "Sharpe", "ratio", "Yearly return / volatility, no risk-free rate"),
            ("sortino", "Sortino", "ratio", "Yearly return / deviation of losing days"),
            ("calmar", "Calmar", "ratio", "Yearly return / deepest drawdown"),
        ),
    ),
    (
        "Trades",
        (
            ("trades", "Closed", "count", ""),
            ("expectancy", "Mean profit", "money", "Expectancy: what a trade brings on average"),
            ("average_win", "Mean win", "money", ""),
            ("average_loss", "Mean loss", "money", ""),
            ("best_trade_pct", "Best", "signed", ""),
            ("worst_trade_pct", "Worst", "signed", ""),
            ("longest_losing_streak", "Most losses in a row", "count", ""),
            ("average_duration", "Mean time held", "seconds", ""),
            ("sqn", "System quality", "ratio", "SQN: sqrt(trades) * mean / deviation of profits"),
        ),
    ),
)


def cards(figures: Figures) -> str:
    parts = []
    for name, label, kind, more in CARDS:
        value = figures.get(name)
        tone = _tone(value) if kind == "signed" else ""
        below = ""
        if more == "trades":
            below = f"of {written(figures.get(more), 'count')} trades"
        elif more:
            below = written(figures.get(more), "money")
        parts.append(
            f'<div class="card"><div class="name">{label}</div>'
            f'<div class="value {tone}">{written(value, kind)}</div>'
            f'<div class="more">{below or "&nbsp;"}</div></div>'
        )
    return "\n".join(parts)


def groups(figures: Figures) -> str:
    return "\n".join(
        f'<div class="group"><h2>{title}</h2><dl>{_lines(figures, lines)}</dl></div>'
        for title, lines in GROUPS
    )


def _lines(figures: Figures, lines: Sequence[tuple[str, str, str, str]]) -> str:
    return "".join(
        f"<div><dt>{_explained(label, meaning)}</dt>"
        f'<dd class="{_tone(figures.get(name)) if kind == "signed" else ""}">'
        f"{written(figures.get(name), kind)}</dd></div>"
        for name, label, kind, meaning in lines
        if name in figures
    )


def _explained(label: str, meaning: str) -> str:
    return f'<abbr title="{escape(meaning)}">{label}</abbr>' if meaning else label


def reasons_table(trades: Sequence[Trade]) -> str:
    """Return what each kind of exit brought; nothing without trades."""
    by_reason: defaultdict[str, list[Decimal]] = defaultdict(list)
    for trade in trades:
        by_reason[trade.exit_reason].append(trade.pnl)
    if not by_reason:
        return ""
    totals = {reason: sum(profits, ZERO) for reason, profits in by_reason.items()}
    widest = max(map(abs, totals.values())) or Decimal(1)
    rows = "".join(
        f'<tr><td class="text"><span class="reason">{escape(reason)}</span></td>'
        f"<td>{len(by_reason[reason])}</td>"
        f"<td>{Decimal(100) * sum(p > 0 for p in by_reason[reason]) / len(by_reason[reason]):.0f} %"
        f"</td>"
        f'<td class="{_tone(total)}">{money(total)}</td>'
        f'<td class="text" style="width:45%"><span class="share {_tone(total)}" '
        f'style="width:{abs(total) / widest * 100:.1f}%"></span></td></tr>'
        for reason, total in sorted(totals.items(), key=lambda item: -item[1])
    )
    return (
        '<section class="panel" aria-labelledby="reasons-title"><div class="bar">'
        '<h2 id="reasons-title">How trades ended</h2></div><div class="scroll"><table>'
        '<thead><tr><th class="text">Exit</th><th>Trades</th><th>Won</th><th>Profit</th>'
        f'<th class="text"></th></tr></thead><tbody>{rows}</tbody></table></div></section>'
    )


def trades_table(trades: Sequence[Trade], opened: Sequence[datetime]) -> str:
    """Return the trades, each with the candles it spans; opened: when each candle begins."""
    if not trades:
        return '<p class="empty">No trade was closed.</p>'
    shown = trades[:ROWS_MAX]
    left = len(trades) - len(shown)
    note = f'<p class="empty">The first {ROWS_MAX} of {len(trades)} trades.</p>' if left else ""
    heads = ("#", "Opened", "Held", "Entry", "Exit", "Quantity", "Fees", "Profit", "%", "Ended by")
    head = "".join(
        f'<th aria-sort="none"{" class=text" if name in TEXT_HEADS else ""}>{name}</th>'
        for name in heads
    )
    rows = "\n".join(_row(number, trade, opened) for number, trade in enumerate(shown))
    return (
        f'{note}<div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


TEXT_HEADS = ("Opened", "Ended by")


def _row(number: int, trade: Trade, opened: Sequence[datetime]) -> str:
    held = trade.closed_at - trade.opened_at
    tone = _tone(trade.pnl)
    outcome = {"up": "won", "down": "lost"}.get(tone, "even")
    cells = (
        f"<td>{number + 1}</td>"
        f'<td class="text">{trade.opened_at:%Y-%m-%d %H:%M}</td>'
        f'<td data-key="{held.total_seconds():.0f}">{duration(held)}</td>'
        f'<td data-key="{trade.entry_price}">{figures_of(trade.entry_price)}</td>'
        f'<td data-key="{trade.exit_price}">{figures_of(trade.exit_price)}</td>'
        f'<td data-key="{trade.quantity}">{figures_of(trade.quantity)}</td>'
        f'<td data-key="{trade.fees}">{money(trade.fees)}</td>'
        f'<td data-key="{trade.pnl}" class="{tone}">{money(trade.pnl)}</td>'
        f'<td data-key="{trade.pnl_percentage:.8f}" class="{tone}">{trade.pnl_percentage:+.2f}</td>'
        f'<td class="text"><span class="reason">{escape(trade.exit_reason)}</span></td>'
    )
    return (
        f'<tr data-index="{number}" data-outcome="{outcome}" '
        f'data-from="{place_of(trade.opened_at, opened)}" '
        f'data-to="{place_of(trade.closed_at, opened)}">{cells}</tr>'
    )


# ---- how a value is written


def written(value: object, kind: str) -> str:
    """Return a figure as people read it; value as Metrics.as_json gives it."""
    if value is None:
        return NOTHING
    match kind:
        case "money":
            return money(Decimal(str(value)))
        case "percent":
            return f"{Decimal(str(value)):,.2f} %"
        case "signed":
            return f"{Decimal(str(value)):+,.2f} %"
        case "ratio":
            return f"{Decimal(str(value)):,.2f}"
        case "seconds":
            return duration(timedelta(seconds=int(str(value))))
        case "time":
            return escape(str(value)).replace("T", " ").removesuffix("Z").removesuffix(":00")
        case _:
            return escape(str(value))


def money(value: Decimal) -> str:
    """Return an amount with two decimals; below 1 with four figures that count."""
    return figures_of(value, 4) if ZERO < abs(value) < 1 else f"{value:,.2f}"


def figures_of(value: Decimal, count: int = 8) -> str:
    """Return a number with so many figures that count, at least two and at most 8 decimals."""
    decimals = min(max(count - 1 - value.adjusted(), 2), 8)
    whole, point, part = f"{value:,.{decimals}f}".partition(".")
    return whole + point + part.rstrip("0").ljust(2, "0")


def duration(length: timedelta) -> str:
    seconds = int(length.total_seconds())
    for unit, name, smaller, smaller_name in (
        (86_400, "d", 3600, "h"),
        (3600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if seconds >= unit:
            rest = seconds % unit // smaller
            return f"{seconds // unit} {name}" + (f" {rest} {smaller_name}" if rest else "")
    return f"{seconds} s"


def _tone(value: object) -> str:
    if value is None or Decimal(str(value)) == 0:
        return ""
    return "up" if Decimal(str(value)) > 0 else "down"
