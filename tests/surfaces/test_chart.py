"""Charts: what they show, how they are drawn, and what is said where they cannot be."""

import asyncio
import struct
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.doors import BINANCE, PAPER, START, Door, trade
from tests.surfaces.api_rig import app_over, failure, signed, talking
from tradefleet.charting import studio as module
from tradefleet.charting.studio import NoPicture, Studio
from tradefleet.domain.chart import (
    CandleChart,
    EquityChart,
    Level,
    LevelKind,
    Mark,
    MarkKind,
    Span,
    Theme,
)
from tradefleet.domain.errors import Refused, VenueUnavailable
from tradefleet.domain.market import Bar, Stream, Symbol, Timeframe

PNG = b"\x89PNG\r\n\x1a\n"
MINUTE = Timeframe(60)


def bar(number: int, price: int = 100) -> Bar:
    at = START + timedelta(minutes=number)
    low, high = Decimal(price - 1), Decimal(price + 2)
    return Bar(at, Decimal(price), high, low, Decimal(price + 1), Decimal(5))


class Easel:
    """A desk that has bars, and remembers what it was to draw."""

    def __init__(self) -> None:
        self.asked: list[tuple[Stream, int]] = []
        self.drawn: list[tuple[object, Theme]] = []
        self.bars_there: list[Bar] | Exception = [bar(number) for number in range(10)]
        self.refusal: Exception | None = None

    async def bars(self, stream, *, before, count):
        self.asked.append((stream, count))
        if isinstance(self.bars_there, Exception):
            raise self.bars_there
        return self.bars_there[:count]

    async def draw(self, chart, theme):
        self.drawn.append((chart, theme))
        if self.refusal is not None:
            raise self.refusal
        return PNG + str(len(self.drawn)).encode()


@pytest.fixture
async def door():
    easel = Easel()
    it = Door(PAPER, BINANCE, desk=easel)
    it.easel = easel
    await it.ask("/start")
    return it


# ---- what they show


async def test_a_pair_is_drawn_with_what_was_traded_and_is_waited_for(door):
    await trade(door)
    reply = await door.ask("/chart BTC/USDT")
    assert reply.text == (
        "📈 BTC/USDT: $101.00 (1.00% in 10 bars since 2026-01-01T00:00:00Z)\n"
        "   binance · 5m · UTC · long 0.5 BTC · PnL $1.95 (3.90%)\n"
        "   In $100.00, SL $95.00"
    )
    (attachment,) = reply.attachments
    assert (attachment.name, attachment.media_type) == ("btc-usdt.png", "image/png")
    ((chart, theme),) = door.easel.drawn
    assert theme is Theme.DARK
    assert chart.marks == [Mark(MarkKind.ENTRY, START + timedelta(minutes=6), Decimal(100))]
    assert chart.spans == [
        Span(
            START + timedelta(minutes=6),
            Decimal(100),
            START + timedelta(minutes=9),
            Decimal(110),
            True,
        )
    ]
    assert chart.levels == [
        Level(LevelKind.ENTRY, Decimal(100), "In"),
        Level(LevelKind.STOP, Decimal(95), "SL"),
    ]
    (data,) = reply.data.charts
    assert (len(data.candles), data.candles[0].close, data.marks[0].kind) == (
        10,
        Decimal(101),
        "entry",
    )


async def test_a_pair_that_is_not_ones_own_is_drawn_as_paper_sees_it(door):
    reply = await door.ask("/chart ETH/USDT 15m bars=3 theme=LIGHT")
    ((stream, count),) = door.easel.asked
    assert (str(stream), count) == ("paper ETH/USDT 15m", 3)
    assert "no trades in these bars" in reply.text
    assert door.easel.drawn[0][1] is Theme.LIGHT


async def test_without_a_symbol_it_is_equity_by_quote(door):
    with pytest.raises(Refused, match="No closed trades yet"):
        await door.ask("/chart")
    await trade(door)
    reply = await door.ask("/chart")
    assert reply.text == (
        "📈 Equity · USDT: $1006.85\n   1 trade · net $4.90 · win rate 100.00% · max drawdown $0.00"
    )
    ((chart, _),) = door.easel.drawn
    assert [value for _, value in chart.points] == [
        Decimal(1000),
        Decimal("1004.9"),
        Decimal("1006.85"),
    ]
    assert [each.equity for each in reply.data.charts[0].equity] == [
        value for _, value in chart.points
    ]


async def test_theme_none_draws_nothing(door):
    reply = await door.ask("/chart BTC/USDT theme=none")
    assert (reply.attachments, door.easel.drawn) == ((), [])
    assert len(reply.data.charts[0].candles) == 10


async def test_where_no_picture_can_be_drawn_the_reply_says_why(door):
    door.easel.refusal = NoPicture(module.NOT_INSTALLED)
    reply = await door.ask("/chart BTC/USDT")
    assert reply.text.endswith("some.")
    assert "charts extra" in reply.text
    assert reply.attachments == ()


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        ("/chart BTC/USDT theme=pink", "theme must be dark, light or none, not 'pink'."),
        ("/chart BTC/USDT bars=0", "bars must be from 1 to 500."),
        ("/chart BTC/USDT bars=501", "bars must be from 1 to 500."),
        ("/chart BTC/USDT 5x", "'5x' is not a timeframe; write it like 1m, 5m, 1h or 1d."),
    ],
)
async def test_what_cannot_be_drawn_is_refused_before_any_venue_is_asked(door, message, answer):
    assert await door.say(message) == answer
    assert door.easel.asked == []


@pytest.mark.parametrize("bars", [[], VenueUnavailable("closed")])
async def test_a_venue_without_bars_is_named(door, bars):
    door.easel.bars_there = bars
    assert await door.say("/chart BTC/USDT") == (
        "❌ paper tells no bars of BTC/USDT now; try again in a minute."
    )


# ---- how they are drawn


def candles(count: int = 60, **more: object) -> CandleChart:
    given = {"title": "BTC/USDT", "subtitle": "paper", "timeframe": MINUTE}
    return CandleChart(**{**given, "bars": [bar(n, 100 + n % 7) for n in range(count)], **more})


def full() -> CandleChart:
    """Return a chart with everything in it, also what lies outside of its bars."""
    at = [START + timedelta(minutes=minute) for minute in (-5, 10, 30, 30, 70)]
    entries = [Mark(MarkKind.ENTRY, when, Decimal(101)) for when in at]
    exits = [Mark(MarkKind.EXIT, when, Decimal(102), "-$1.00") for when in at[2:]]
    spans = [
        Span(at[0], Decimal(100), at[1], Decimal(103), True),
        Span(at[1], Decimal(103), at[2], Decimal(101), False),
        Span(at[0], Decimal(103), at[0], Decimal(101), False),
    ]
    levels = [
        Level(LevelKind.STOP, Decimal(price), "SL") for price in (1, 99, 100, 101, 102, 103, 500)
    ]
    return candles(marks=[*entries, *exits], spans=spans, levels=levels)


def flat() -> CandleChart:
    one = Decimal(1)
    return candles(bars=[Bar(START, one, one, one, one, Decimal(0))])


def equity(*values: int) -> EquityChart:
    points = [(START + timedelta(hours=n), Decimal(value)) for n, value in enumerate(values)]
    return EquityChart(title="Equity · USDT", subtitle="2 trades", quote="USDT", points=points)


CHARTS = {
    "everything": full(),
    "no trades": candles(title="1000SATS/USDT:USDT"),
    "one bar": candles(1),
    "a bar that never moved": flat(),
    "many days": candles(500, timeframe=Timeframe(86400)),
    "equity": equity(1000, 1010, 990, 1020),
    "equity of nothing": equity(0, 0),
    "equity below nothing": equity(0, -5, 3, *range(100)),
}


@pytest.fixture(scope="module")
def one_studio():
    it = Studio()
    yield it
    it.close()


@pytest.fixture
def studio(one_studio):
    """The studio of this file, as this test's loop may use it."""
    one_studio._turn = asyncio.Lock()
    return one_studio


def size_of(png: bytes) -> tuple[int, int]:
    assert png.startswith(PNG)
    width, height = struct.unpack(">II", png[16:24])
    return width, height


async def test_every_chart_becomes_a_picture_of_its_own(studio):
    pictures = {await studio.draw(chart, Theme.DARK) for chart in CHARTS.values()}
    assert len(pictures) == len(CHARTS)
    for chart in (CHARTS["everything"], CHARTS["equity"]):
        light = await studio.draw(chart, Theme.LIGHT)
        assert light not in pictures
        pictures.add(light)
    assert {size_of(each) for each in pictures} == {(1276, 798)}


async def test_a_process_that_died_is_followed_by_another(studio):
    await studio.draw(CHARTS["equity"], Theme.DARK)
    studio._process.kill()
    studio._process.wait()
    assert size_of(await studio.draw(CHARTS["equity"], Theme.DARK)) == (1276, 798)


async def test_what_cannot_be_drawn_is_told_and_the_next_is_drawn(studio, caplog):
    with pytest.raises(NoPicture, match="could not be drawn"):
        await studio.draw(candles(bars=[]), Theme.DARK)
    assert "charts: EOFError:" in caplog.text
    assert size_of(await studio.draw(CHARTS["one bar"], Theme.LIGHT)) == (1276, 798)


async def test_a_picture_that_takes_too_long_is_broken_off(studio, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.001)
    with pytest.raises(NoPicture, match="could not be drawn"):
        await studio.draw(full(), Theme.DARK)


async def test_no_more_wait_than_allowed(studio, monkeypatch):
    monkeypatch.setattr(module, "WAITING_MAX", 2)
    asked = (studio.draw(CHARTS["one bar"], Theme.DARK) for _ in range(5))
    drawn = await asyncio.gather(*asked, return_exceptions=True)
    assert [isinstance(each, bytes) for each in drawn] == [True, True, False, False, False]
    assert str(drawn[-1]) == module.BUSY


async def test_without_the_extra_it_says_what_is_missing(studio, monkeypatch):
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(NoPicture, match=r"tradefleet\[charts\]"):
        await studio.draw(full(), Theme.DARK)


def test_a_symbol_of_any_kind_names_a_file():
    from tradefleet.commands.chart import file_name

    assert file_name(candles(title=str(Symbol.parse("btc/usdt:usdt")))) == "btc-usdt-usdt"


async def test_pictures_have_places_of_their_own_in_the_api(door):
    async with talking(app_over(door.dispatcher)) as client:
        as_alice = {"headers": signed("alice")}
        picture = await client.get("/api/v1/pictures/BTC-USDT?theme=light&bars=3", **as_alice)
        assert (picture.status_code, picture.headers["content-type"]) == (200, "image/png")
        assert picture.content == PNG + b"1"
        assert (door.easel.drawn[0][1], door.easel.asked[0][1]) == (Theme.LIGHT, 3)
        told = (await client.get("/api/v1/charts/BTC-USDT", **as_alice)).json()
        assert len(told["data"]["charts"][0]["candles"]) == 10
        assert len(door.easel.drawn) == 1
        assert failure(await client.get("/api/v1/pictures/equity", **as_alice)) == (400, "refused")
        door.easel.refusal = NoPicture(module.NOT_INSTALLED)
        missing = await client.get("/api/v1/pictures/BTC-USDT", **as_alice)
        assert failure(missing) == (400, "refused")
        assert (await client.get("/api/v1/pictures/BTC-USDT")).status_code == 401
