"""The report: complete in itself, safe against what is written in it, right in its figures."""

import json
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tradefleet.domain.errors import Refused
from tradefleet.domain.ids import AccountId, BotId, UserId
from tradefleet.domain.market import Bar, Symbol, Timeframe
from tradefleet.domain.position import Trade
from tradefleet.simulation.generated import generated_bars
from tradefleet.simulation.metrics import measure
from tradefleet.surfaces.cli import report_series, report_tables
from tradefleet.surfaces.cli.report import PAGE, report_page, write_report
from tradefleet.surfaces.cli.report_series import chart_data
from tradefleet.surfaces.cli.report_tables import duration, figures_of, money, written

FIVE_MINUTES = Timeframe(300)
BARS = generated_bars(300, timeframe=FIVE_MINUTES)


def trade(pnl: str, opened: int, closed: int, reason: str = "stop") -> Trade:
    return Trade(
        id=f"{opened}",
        user_id=UserId("first_user"),
        account_id=AccountId("paper"),
        bot_id=BotId("bot"),
        symbol=Symbol("BTC", "USDT"),
        opened_at=BARS[opened].opened_at,
        closed_at=BARS[closed].opened_at,
        quantity=Decimal("0.01"),
        entry_price=BARS[opened].open,
        exit_price=BARS[closed].open,
        gross_pnl=Decimal(pnl) + 1,
        fees=Decimal(1),
        exit_reason=reason,
    )


TRADES = [
    trade("12.5", 10, 20, "target_3"),
    trade("-7", 30, 31),
    trade("-1", 40, 48),
    trade("0", 50, 50),
]


def equity_of(bars: list[Bar]) -> list[tuple[datetime, Decimal]]:
    return [(bar.opened_at + FIVE_MINUTES.delta, 1000 + bar.close / 100) for bar in bars]


def page(title: str = "EMA cross", trades: list[Trade] = TRADES, bars: list[Bar] = BARS) -> str:
    equity = equity_of(bars)
    metrics = measure(trades, equity, bars).as_json()
    return report_page(title=title, bars=bars, trades=trades, equity=equity, metrics=metrics)


class Seen(HTMLParser):
    """The elements of a page: what is open at the end, and everything that points elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in {"meta", "link", "img", "br"}:
            self.open.append(tag)
        given = dict(attrs)
        self.loads += [v or "" for k, v in attrs if k in {"src", "srcset", "data", "action"}]
        self.loads += [given.get("href") or ""] * (tag == "link")
        self.ids += [given["id"] or ""] if "id" in given else []

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_well_formed_and_loads_nothing():
    seen = Seen()
    seen.feed(page())
    assert seen.open == []
    assert seen.loads == []
    assert {"chart", "legend", "theme", "fit", "run"} <= set(seen.ids)
    assert "default-src 'none'" in page()


def test_the_data_of_the_chart_is_in_the_page():
    found = re.search(r'<script id="run" type="application/json">(.*?)</script>', page(), re.S)
    assert found is not None
    data = json.loads(found[1])
    assert data == json.loads(json.dumps(chart_data(BARS, TRADES, equity_of(BARS))))


@pytest.mark.parametrize("title", ["<script>alert(1)</script>", "a & b", "{{data}}", '"'])
def test_what_is_written_in_a_report_cannot_become_part_of_the_page(title):
    evil = [trade("1", 1, 2, reason="</script><b>")]
    html = page(title=title, trades=evil)
    assert "<script>alert" not in html
    assert "<b>" not in html.split("LightweightCharts")[0]
    assert html.count("</script>") == 3
    seen = Seen()
    seen.feed(html)
    assert seen.open == []


def test_candles_equity_and_trades_stand_at_their_places():
    data = chart_data(BARS, TRADES, equity_of(BARS))
    candles = data["candles"]
    assert len({len(column) for column in candles.values()}) == 1
    assert data["seconds"] == 300
    assert data["digits"] == 2
    assert candles["time"][0] == int(BARS[0].opened_at.timestamp())
    assert candles["high"][7] == BARS[7].numbers[1]
    assert candles["equity"][7] == float(1000 + BARS[7].close / 100)
    assert candles["market"][0] == candles["equity"][0]
    assert candles["drawdown"][0] == 0
    assert min(candles["drawdown"]) < 0
    assert (data["trades"][0]["from"], data["trades"][0]["to"]) == (10, 20)
    assert [mark["won"] for mark in data["trades"]] == [True, False, False, False]


def test_a_long_run_is_drawn_in_fewer_candles_that_keep_their_extremes(monkeypatch):
    monkeypatch.setattr(report_series, "CANDLES_MAX", 70)
    data = chart_data(BARS, TRADES, equity_of(BARS))
    candles = data["candles"]
    assert len(candles["time"]) == 60
    assert data["seconds"] == 1500
    first = BARS[:5]
    assert candles["open"][0] == first[0].numbers[0]
    assert candles["close"][0] == first[4].numbers[3]
    assert candles["high"][0] == max(bar.numbers[1] for bar in first)
    assert candles["low"][0] == min(bar.numbers[2] for bar in first)
    assert candles["equity"][0] == float(1000 + first[4].close / 100)
    assert data["trades"][0]["from"] == 2
    assert "5 drawn as one candle" in page()


def test_a_gap_or_an_equity_that_starts_late_leaves_candles_empty():
    bars = [BARS[0], BARS[1], BARS[5]]
    candles = chart_data(bars, [], equity_of(BARS[1:2]))["candles"]
    assert candles["equity"] == [None, float(1000 + BARS[1].close / 100), None]


def test_one_bar_and_no_trade_make_a_report():
    html = page(trades=[], bars=BARS[:1])
    assert "No trade was closed." in html
    assert "How trades ended" not in html


def test_the_tables_say_what_happened():
    html = page()
    assert html.count('data-outcome="won"') == 1
    assert html.count('data-outcome="lost"') == 2
    assert html.count('data-outcome="even"') == 1
    assert '<span class="reason">target_3</span></td><td>1</td><td>100 %</td>' in html
    assert '<td class="down">-8.00</td>' in html
    assert "of 4 trades" in html


def test_very_many_trades_are_cut_and_the_page_says_so(monkeypatch):
    monkeypatch.setattr(report_tables, "ROWS_MAX", 3)
    html = page()
    assert "The first 3 of 4 trades." in html
    assert html.count("data-outcome=") == 3


def test_the_report_is_written_or_refused_with_the_cure(tmp_path: Path):
    given = {"title": "t", "trades": [], "metrics": {}}
    write_report(tmp_path / "r.html", bars=BARS, equity=equity_of(BARS), **given)
    assert (tmp_path / "r.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    with pytest.raises(Refused, match="cannot be written"):
        write_report(tmp_path / "no" / "r.html", bars=BARS, equity=equity_of(BARS), **given)
    with pytest.raises(Refused, match="nothing to report"):
        write_report(tmp_path / "r.html", bars=[], equity=[], **given)


def test_the_chart_library_names_its_licence():
    text = (PAGE / "lightweight-charts.js").read_text(encoding="utf-8")
    assert "Licensed under Apache License 2.0" in text[:400]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("1234567.891", "1,234,567.89"),
        ("0.12345678", "0.1235"),
        ("-0.00030824", "-0.0003082"),
        ("0.000000004", "0.00"),
        ("0", "0.00"),
        ("0.5", "0.50"),
    ],
)
def test_money_is_short(value, text):
    assert money(Decimal(value)) == text


def test_prices_show_the_figures_that_count():
    assert figures_of(Decimal("78673.02000044")) == "78,673.02"
    assert figures_of(Decimal("0.10441057")) == "0.10441057"
    assert figures_of(Decimal("0.5")) == "0.50"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (90, "1 min 30 s"),
        (3900, "1 h 5 min"),
        (90_000, "1 d 1 h"),
    ],
)
def test_durations_are_written_in_two_units(seconds, text):
    assert duration(timedelta(seconds=seconds)) == text


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (None, "money", "—"),
        ("-1.5", "signed", "-1.50 %"),
        ("1234.5", "signed", "+1,234.50 %"),
        ("3", "percent", "3.00 %"),
        ("0.526", "ratio", "0.53"),
        (7, "count", "7"),
        ("2026-01-01T17:10:00Z", "time", "2026-01-01 17:10"),
        ("2026-01-01T00:00:15Z", "time", "2026-01-01 00:00:15"),
        (5400, "seconds", "1 h 30 min"),
    ],
)
def test_a_figure_is_written_by_its_kind(value, kind, text):
    assert written(value, kind) == text


def test_bars_that_start_anywhere_keep_their_times():
    start = datetime(2026, 1, 1, 0, 0, 15, tzinfo=UTC)
    bars = [Bar(start, *[Decimal("0.5")] * 4, Decimal(0))]
    assert chart_data(bars, [], [(start, Decimal(1))])["candles"]["time"] == [1767225615]
