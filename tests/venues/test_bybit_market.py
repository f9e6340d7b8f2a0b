"""Bybit's market as everybody sees it: rules, bars of the past, and what its streams tell."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from tests.makers import BTC, ETH, RULES
from tests.venues.bybit_rig import World, world
from tests.venues.rig import adapter
from tests.venuesim.rig import START, until
from tradefleet.domain.errors import Refused, VenueUnavailable
from tradefleet.domain.market import Bar, Stream, Symbol, Timeframe
from tradefleet.domain.user import Mode
from tradefleet.engine.pace import Priority
from tradefleet.venue import BarSeen, PriceSeen
from tradefleet.venues import bybit
from tradefleet.venues._ccxt import lines
from tradefleet.venues._ccxt.dialect import BarTold, Followed, Traded
from tradefleet.venues._ccxt.environment import Asker
from tradefleet.venues._ccxt.listings import Listing
from tradefleet.venues.bybit import TIMEFRAMES, Bybit
from venuesim.faults import Fault, FaultKind

pytestmark = pytest.mark.usefixtures("short_pauses")

MINUTE = timedelta(minutes=1)
M1 = Timeframe(60)
BTC_1M = Stream("bybit", BTC, M1)
ETH_1M = Stream("bybit", ETH, M1)


# ---- rules


async def test_the_rules_are_the_venues_own():
    async with world() as at:
        rules = await at.ours.venue.market.rules(BTC)
        instrument = at.sim.exchange.instruments["BTC/USDT"]
        assert (rules.price_tick * 10**8, rules.quantity_step * 10**8, rules.notional_min) == (
            instrument.tick,
            instrument.step,
            5,
        )
        assert rules.fee == Decimal("0.001")


async def test_a_pair_that_is_not_traded_is_refused_with_a_hint():
    async with world() as at:
        with pytest.raises(Refused, match=r"Bybit does not trade BTC/DAI; did you mean BTC/US"):
            await at.ours.venue.market.rules(Symbol("BTC", "DAI"))


@pytest.mark.parametrize(("status", "active"), [("Trading", True), ("PreLaunch", False)])
def test_only_what_is_trading_is_traded(status, active):
    info = {
        "symbol": "BTCUSDT",
        "status": status,
        "lotSizeFilter": {"basePrecision": "0.000001", "minOrderAmt": "5"},
        "priceFilter": {"tickSize": "0.1"},
    }
    found = Bybit().listing(BTC, {"info": info, "taker": 0.001})
    assert (found.is_active, found.rules.quantity_step) == (active, Decimal("0.000001"))


async def test_a_venue_that_is_not_there_is_unavailable():
    async with adapter("http://127.0.0.1:9", "ws://127.0.0.1:9", of=bybit) as ours:
        with pytest.raises(VenueUnavailable):
            await ours.venue.market.rules(BTC)


async def test_the_venues_time_is_read_to_the_millisecond():
    async with world(manual=True) as at:
        environment = at.ours.venue.side(Mode.LIVE).environment
        assert await environment.measure_clock() <= timedelta(0)
        dialect = environment.dialect
        told = {"timeSecond": "1688639403", "timeNano": "1688639403423213947"}
        assert dialect.time_of(told).microsecond == 423_000


# ---- the past


def trade_on(at: World, minutes: int, first: int = 50000) -> None:
    """Trade once a minute, one dollar higher each time, from the start of a minute on."""
    for number in range(minutes):
        at.tick(str(first + number))
        at.later(minutes=1)


async def test_the_past_is_of_closed_bars_alone_oldest_first():
    async with world(manual=True) as at:
        trade_on(at, 5)
        at.tick("60000")
        at.later(seconds=59)
        bars = await at.ours.venue.market.history(BTC_1M, before=START + 9 * MINUTE, count=3)
        assert [bar.close for bar in bars] == [50002, 50003, 50004]
        assert [bar.opened_at for bar in bars] == [START + n * MINUTE for n in (2, 3, 4)]
        assert bars[0].volume == Decimal("0.1")
        at.later(seconds=1)
        bars = await at.ours.venue.market.history(BTC_1M, before=START + 9 * MINUTE, count=1)
        assert [bar.close for bar in bars] == [60000]


async def test_the_past_ends_before_the_time_that_is_asked_for():
    async with world(manual=True) as at:
        trade_on(at, 5)
        bars = await at.ours.venue.market.history(BTC_1M, before=START + 2 * MINUTE, count=10)
        assert [bar.opened_at for bar in bars] == [START, START + MINUTE]


async def test_more_than_a_page_of_the_past_is_read_page_by_page():
    async with world(manual=True) as at:
        trade_on(at, 2300, first=10000)
        before = at.sim.server.calls["market"]
        bars = await at.ours.venue.market.history(BTC_1M, before=START + 2300 * MINUTE, count=2200)
        assert [bar.close for bar in bars] == list(range(10100, 12300))
        assert at.sim.server.calls["market"] - before == 4  # the list of markets, three pages


@pytest.mark.parametrize(("length", "word"), list(TIMEFRAMES.items()))
async def test_every_timeframe_is_one_of_the_venues(length, word):
    async with world(manual=True) as at:
        at.tick("50000")
        at.later(days=15)
        at.tick("50001")
        stream = Stream("bybit", BTC, Timeframe(int(length.total_seconds())))
        now = at.ours.venue.clock.now()
        bars = await at.ours.venue.market.history(stream, before=now, count=2)
        assert bars
        assert all(bar.opened_at + length <= now for bar in bars)


async def test_a_timeframe_the_venue_has_not_is_refused():
    async with world() as at:
        stream = Stream("bybit", BTC, Timeframe.parse("15s"))
        with pytest.raises(Refused, match=r"Bybit has no bars of 15s; choose one of 1m, 3m, 5m"):
            await at.ours.venue.market.history(stream, before=START, count=1)


async def test_the_last_price_is_that_of_the_ticker():
    async with world() as at:
        at.tick("50123.45")
        environment = at.ours.venue.side(Mode.LIVE).environment
        book = await environment.book()
        errand = Asker(environment=environment).errand(Priority.READ, book)
        price = await environment.dialect.last_price(errand, book.by_symbol[BTC])
        assert price == Decimal("50123.45")


# ---- the present


@dataclass(slots=True)
class Heard:
    """What was told, in order."""

    bars: list[BarSeen] = field(default_factory=list)
    prices: list[PriceSeen] = field(default_factory=list)

    def opened(self, stream: Stream = BTC_1M) -> list[datetime]:
        return [each.bar.opened_at for each in self.bars if each.stream == stream]

    def closes(self, stream: Stream = BTC_1M) -> list[Decimal]:
        return [each.bar.close for each in self.bars if each.stream == stream]

    def last(self, symbol: Symbol = BTC) -> Decimal | None:
        found = [each.quote.price for each in self.prices if each.symbol == symbol]
        return found[-1] if found else None


@asynccontextmanager
async def hearing(at: World, *streams: Stream) -> AsyncIterator[Heard]:
    """Follow streams; the venue's streams are open when this begins."""
    heard = Heard()

    async def listen() -> None:
        async for event in at.ours.venue.market.events(streams):
            if isinstance(event, BarSeen):
                heard.bars.append(event)
            else:
                heard.prices.append(event)

    async with asyncio.TaskGroup() as beside:
        task = beside.create_task(listen())
        await until(lambda: len(at.desk.feeds.listeners) >= 2 * len(streams))
        yield heard
        task.cancel()


async def test_prices_are_told_as_they_are_traded():
    async with world(manual=True) as at, hearing(at, BTC_1M, ETH_1M) as heard:
        for price in ("50001", "50002.5", "49999.99"):
            at.tick(price)
        at.tick("3000", "ETH/USDT")
        await until(lambda: heard.last() == Decimal("49999.99") and heard.last(ETH) == 3000)
        assert Decimal("50002.5") in [each.quote.price for each in heard.prices]
        assert heard.prices[-1].quote.at == START


async def test_a_bar_is_told_once_it_is_closed_and_once_only():
    async with world(manual=True) as at, hearing(at, BTC_1M) as heard:
        at.sim.faults.once(
            fault=Fault(kind=FaultKind.MESSAGE_DUPLICATED),
            containing="kline",
            times=100,
        )
        for price in ("50001", "50009", "49990", "50002"):
            at.tick(price)
        assert heard.bars == []
        at.later(minutes=1)
        at.tick("50003")
        await until(lambda: bool(heard.bars))
        at.later(minutes=1)
        await until(lambda: len(heard.bars) == 2)  # said by the venue though nobody traded
        assert heard.bars[0] == BarSeen(
            BTC_1M,
            Bar(
                START,
                Decimal(50001),
                Decimal(50009),
                Decimal(49990),
                Decimal(50002),
                Decimal("0.4"),
            ),
        )
        assert heard.closes() == [50002, 50003]


async def test_bars_that_closed_while_the_stream_was_away_are_fetched(monkeypatch):
    monkeypatch.setattr(lines, "BACKOFF", replace(lines.BACKOFF, first=0.2))
    async with world(manual=True) as at, hearing(at, BTC_1M) as heard:
        trade_on(at, 1)
        at.tick("50001")
        await until(lambda: len(heard.bars) == 1)
        for outlet in list(at.sim.server.streams):
            outlet.cut()
        await until(lambda: not at.sim.server.streams)
        at.later(minutes=1)
        trade_on(at, 4, first=50002)
        await until(lambda: len(heard.bars) == 6)
        trade_on(at, 2, first=50006)
        at.tick("50008")
        await until(lambda: len(heard.bars) == 8)
        assert heard.closes() == list(range(50000, 50008))
        assert heard.opened() == [START + n * MINUTE for n in range(8)]


async def test_a_bar_whose_closing_word_is_lost_is_fetched():
    async with world(manual=True) as at, hearing(at, BTC_1M) as heard:
        at.tick("50001")
        lost = Fault(kind=FaultKind.MESSAGE_DROPPED)
        at.sim.faults.once(fault=lost, containing='"confirm":true')
        at.later(minutes=1)
        at.tick("50002")
        await until(lambda: heard.last() == 50002)
        assert heard.bars == []
        at.later(seconds=3)
        await until(lambda: bool(heard.bars))
        assert heard.closes() == [50001]


async def test_a_pair_of_which_the_streams_are_silent_goes_on_by_questions():
    async with world(manual=True) as at, hearing(at, BTC_1M, ETH_1M) as heard:
        at.sim.exchange.stalled.add("BTC/USDT")
        for minute in range(2):
            at.tick(str(50000 + minute))
            at.tick(str(3000 + minute), "ETH/USDT")
            at.later(minutes=1)
        at.later(seconds=3)
        await until(lambda: len(heard.bars) == 4)
        assert heard.closes() == [50000, 50001]
        assert heard.closes(ETH_1M) == [3000, 3001]


async def test_two_readers_hear_the_same():
    async with (
        world(manual=True) as at,
        hearing(at, BTC_1M) as first,
        hearing(at, BTC_1M) as second,
    ):
        await until(lambda: len(at.sim.server.streams) == 2)
        listening = at.desk.feeds.listeners
        await until(lambda: all(len(each) == 2 for each in listening.values()))
        trade_on(at, 1)
        at.tick("50001")
        await until(lambda: first.closes() == second.closes() == [50000])


# ---- the words of the streams


def listing(name: str) -> Listing:
    return Listing(symbol=BTC, id=name, stream_id=name, rules=RULES)


def test_topics_are_asked_for_ten_at_a_time_and_fit_a_connection():
    dialect = Bybit()
    wanted = [
        Followed(listing(f"COIN{number:03}LONGUSDT"), M1, "1")
        for number in range(dialect.topics_per_stream)
    ]
    sayings = [json.loads(text) for text in dialect.subscribe(wanted)]
    assert {said["op"] for said in sayings} == {"subscribe"}
    assert max(len(said["args"]) for said in sayings) == 10
    names = [name for said in sayings for name in said["args"]]
    assert len(set(names)) == len(names) == 200
    assert sum(len(name) + 3 for name in names) < 21_000


def test_two_timeframes_of_a_pair_share_its_prices():
    wanted = [Followed(listing("BTCUSDT"), M1, "1"), Followed(listing("BTCUSDT"), M1, "D")]
    (text,) = Bybit().subscribe(wanted)
    assert json.loads(text)["args"] == ["kline.1.BTCUSDT", "kline.D.BTCUSDT", "publicTrade.BTCUSDT"]


def test_the_messages_of_the_documents_are_understood():
    trade = {
        "topic": "publicTrade.BTCUSDT",
        "type": "snapshot",
        "ts": 1672304486868,
        "data": [
            {"T": 1672304486865, "s": "BTCUSDT", "S": "Buy", "v": "0.001", "p": "16578.50"},
            {"T": 1672304486866, "s": "BTCUSDT", "S": "Sell", "v": "0.002", "p": "16578.40"},
        ],
    }
    told = list(Bybit().told(trade))
    assert [each.price for each in told if isinstance(each, Traded)] == [
        Decimal("16578.50"),
        Decimal("16578.40"),
    ]
    kline = {
        "topic": "kline.5.BTCUSDT",
        "data": [
            {
                "start": 1672324800000,
                "end": 1672325099999,
                "interval": "5",
                "open": "16649.5",
                "close": "16677",
                "high": "16677",
                "low": "16608",
                "volume": "2.081",
                "turnover": "34666.4005",
                "confirm": False,
                "timestamp": 1672324988882,
            }
        ],
        "ts": 1672324988882,
        "type": "snapshot",
    }
    (bar,) = Bybit().told(kline)
    assert isinstance(bar, BarTold)
    assert (bar.stream_id, bar.word, bar.is_closed) == ("BTCUSDT", "5", False)
    assert (bar.bar.close, bar.bar.volume) == (16677, Decimal("2.081"))


@pytest.mark.parametrize(
    "message",
    [
        {"success": True, "ret_msg": "subscribe", "conn_id": "x", "op": "subscribe"},
        {"success": True, "ret_msg": "pong", "conn_id": "x", "op": "ping"},
        {"topic": "tickers.BTCUSDT", "data": {"lastPrice": "1"}},
    ],
)
def test_what_is_no_price_and_no_bar_tells_nothing(message):
    assert list(Bybit().told(message)) == []


def test_a_subscription_that_is_refused_is_in_the_log(caplog):
    told = {"success": False, "ret_msg": "Invalid symbol :[kline.1.XUSDT]", "op": "subscribe"}
    assert list(Bybit().told(told)) == []
    assert "Invalid symbol" in caplog.text


@pytest.mark.parametrize(
    ("mode", "host"), [(Mode.LIVE, "bybit.com"), (Mode.TESTNET, "-testnet.bybit.com")]
)
def test_the_testnet_has_addresses_of_its_own(mode, host):
    found = Bybit().addresses(mode)
    assert set(found.rest.values()) == {f"https://api{'.' if mode is Mode.LIVE else ''}{host}"}
    assert found.public_stream.endswith(f"{host}/v5/public/spot")
    assert found.private_stream.endswith(f"{host}/v5/private")
    assert found.private_stream.startswith("wss://stream")
