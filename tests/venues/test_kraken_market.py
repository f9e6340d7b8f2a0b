"""Kraken's market as everybody sees it: rules, bars of the past, and what its streams tell."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.makers import BTC, ETH, RULES
from tests.venues.kraken_rig import World, world
from tests.venues.rig import adapter
from tests.venuesim.rig import START, until
from tradefleet.domain.errors import Refused, VenueUnavailable
from tradefleet.domain.market import Bar, Stream, Symbol, Timeframe
from tradefleet.domain.user import Mode
from tradefleet.engine.pace import Priority
from tradefleet.runtime.real_world import RealClock
from tradefleet.venue import BarSeen, PriceSeen
from tradefleet.venues import kraken
from tradefleet.venues._ccxt import lines
from tradefleet.venues._ccxt.dialect import BarTold, Followed, Joined, Left, StreamNotes, Traded
from tradefleet.venues._ccxt.environment import Asker
from tradefleet.venues._ccxt.listings import Listing
from tradefleet.venues.kraken import TIMEFRAMES, Kraken
from venuesim.faults import Fault, FaultKind

MINUTE = timedelta(minutes=1)
M1 = Timeframe(60)
BTC_1M = Stream("kraken", BTC, M1)
ETH_1M = Stream("kraken", ETH, M1)
KRAKEN = Kraken(RealClock())


# ---- rules


async def test_the_rules_are_the_venues_own():
    async with world() as at:
        rules = await at.ours.venue.market.rules(BTC)
        instrument = at.sim.exchange.instruments["BTC/USDT"]
        assert (rules.price_tick * 10**8, rules.quantity_step * 10**8) == (
            instrument.tick,
            instrument.step,
        )
        assert (rules.notional_min, rules.quantity_min, rules.fee) == (
            Decimal("0.5"),
            Decimal("0.00005"),
            Decimal("0.004"),
        )


@pytest.mark.parametrize(
    ("symbol", "id", "stream_id"),
    [
        ("BTC/USD", "XBTUSD", "BTC/USD"),
        ("DOGE/USD", "XDGUSD", "DOGE/USD"),
        ("ETH/BTC", "ETHXBT", "ETH/BTC"),
        ("USDT/USD", "USDTUSD", "USDT/USD"),
        ("XRP/ETH", "XRPETH", "XRP/ETH"),
    ],
)
async def test_a_pair_is_found_by_our_name_whatever_the_venue_calls_it(symbol, id, stream_id):
    async with world() as at:
        book = await at.ours.venue.side(Mode.LIVE).environment.book()
        found = book.by_symbol[Symbol.parse(symbol)]
        assert (found.id, found.stream_id) == (id, stream_id)


async def test_something_else_of_the_same_name_is_not_taken_for_the_pair():
    """Kraken also lists what is no coin at all, under names with more to them."""
    async with world() as at:
        body = {
            "error": [],
            "result": {
                "XXBTZUSD": pair(),
                "XBTUSD:BTNL": {**pair(), "altname": "XBTUSD:BTNL", "ordermin": "5"},
            },
        }
        told = Fault(kind=FaultKind.STATUS, status=200, body=json.dumps(body))
        at.sim.faults.once(fault=told, action="market", skip=1)
        rules = await at.ours.venue.market.rules(Symbol("BTC", "USD"))
        assert rules.quantity_min == Decimal("0.00005")


def pair() -> dict[str, Any]:
    return {
        "altname": "XBTUSD",
        "wsname": "XBT/USD",
        "base": "XXBT",
        "quote": "ZUSD",
        "pair_decimals": 1,
        "lot_decimals": 8,
        "ordermin": "0.00005",
        "costmin": "0.5",
        "tick_size": "0.1",
        "status": "online",
    }


async def test_a_pair_that_is_not_traded_is_refused_with_a_hint():
    async with world() as at:
        with pytest.raises(Refused, match=r"Kraken does not trade BTC/DAI; did you mean BTC/US"):
            await at.ours.venue.market.rules(Symbol("BTC", "DAI"))


async def test_a_halted_market_is_refused_in_the_venues_words():
    async with world() as at:
        at.sim.place.maintenance = "cancel_only"
        with pytest.raises(Refused, match=r"Kraken has halted BTC/USDT \(it says cancel_only\)"):
            await at.ours.venue.market.rules(BTC)


async def test_a_venue_that_is_not_there_is_unavailable():
    async with adapter("http://127.0.0.1:9", "ws://127.0.0.1:9", of=kraken) as ours:
        with pytest.raises(VenueUnavailable):
            await ours.venue.market.rules(BTC)


@pytest.mark.parametrize(
    ("ours", "offset"),
    [
        ("0.000", "0"),
        ("0.999", "0"),
        ("1.000", "0"),
        ("1.300", "-0.3"),
        ("-0.200", "0.2"),
        ("-3.000", "3"),
        ("4.000", "-3"),
    ],
)
async def test_a_time_in_whole_seconds_says_no_more_than_it_does(ours, offset, monkeypatch):
    """Kraken cuts its time to seconds: only what lies outside of that second is a difference."""
    async with world(manual=True) as at:
        environment = at.ours.venue.side(Mode.LIVE).environment
        clock = environment.clock
        base = clock.now()
        monkeypatch.setattr(
            type(clock), "now", lambda self: base + timedelta(seconds=float(ours)), raising=True
        )
        monkeypatch.setattr(type(clock), "monotonic", lambda self: 0.0)
        found = await environment.measure_clock()
        assert found == timedelta(seconds=float(offset))


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


async def test_a_bar_that_is_not_committed_yet_is_not_of_the_past():
    """The clock may say that it is closed: the venue's word counts."""
    async with world(manual=True) as at:
        trade_on(at, 3)
        body = {
            "error": [],
            "result": {
                "XBTUSDT": [
                    [at_(n), "50000.0", "50001.0", "49999.0", "50000.5", "50000.1", "0.5", 3]
                    for n in (0, 1, 2)
                ],
                "last": at_(1),
            },
        }
        await at.ours.venue.market.rules(BTC)
        told = Fault(kind=FaultKind.STATUS, status=200, body=json.dumps(body))
        at.sim.faults.once(fault=told, action="market")
        bars = await at.ours.venue.market.history(BTC_1M, before=START + 3 * MINUTE, count=5)
        assert [bar.opened_at for bar in bars] == [START, START + MINUTE]


def at_(minute: int) -> int:
    return int((START + minute * MINUTE).timestamp())


async def test_the_past_reaches_as_far_as_the_venue_keeps_it():
    async with world(manual=True) as at:
        trade_on(at, 900, first=10000)
        await at.ours.venue.market.rules(BTC)
        before = at.sim.server.calls["market"]
        bars = await at.ours.venue.market.history(BTC_1M, before=START + 900 * MINUTE, count=800)
        assert [bar.close for bar in bars] == list(range(10181, 10900))
        assert at.sim.server.calls["market"] - before <= 2


@pytest.mark.parametrize(("length", "word"), list(TIMEFRAMES.items()))
async def test_every_timeframe_is_one_of_the_venues(length, word):
    async with world(manual=True) as at:
        at.tick("50000")
        at.later(days=15)
        at.tick("50001")
        stream = Stream("kraken", BTC, Timeframe(int(length.total_seconds())))
        now = at.ours.venue.clock.now()
        bars = await at.ours.venue.market.history(stream, before=now, count=2)
        assert bars
        assert all(bar.opened_at + length <= now for bar in bars)


async def test_a_timeframe_the_venue_has_not_is_refused():
    async with world() as at:
        stream = Stream("kraken", BTC, Timeframe.parse("3m"))
        with pytest.raises(Refused, match=r"Kraken has no bars of 3m; choose one of 1m, 5m, 15m"):
            await at.ours.venue.market.history(stream, before=START, count=1)


async def test_the_last_price_is_that_of_the_ticker():
    async with world() as at:
        at.tick("50123.4")
        environment = at.ours.venue.side(Mode.LIVE).environment
        book = await environment.book()
        errand = Asker(environment=environment).errand(Priority.READ, book)
        price = await environment.dialect.last_price(errand, book.by_symbol[BTC])
        assert price == Decimal("50123.4")


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

    def told(self, symbol: Symbol = BTC) -> list[Decimal]:
        return [each.quote.price for each in self.prices if each.symbol == symbol]

    def last(self, symbol: Symbol = BTC) -> Decimal | None:
        found = self.told(symbol)
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
        await until(lambda: len(at.desk.feeds.topics) >= 2 * len(streams))
        yield heard
        task.cancel()


async def test_prices_are_told_as_they_are_traded():
    async with world(manual=True) as at, hearing(at, BTC_1M, ETH_1M) as heard:
        for price in ("50001", "50002.5", "49999.9"):
            at.tick(price)
        at.tick("3000", "ETH/USDT")
        await until(lambda: heard.last() == Decimal("49999.9") and heard.last(ETH) == 3000)
        assert Decimal("50002.5") in heard.told()
        assert heard.prices[-1].quote.at == START


async def test_a_bar_is_told_as_soon_as_the_next_one_begins_and_once_only():
    async with world(manual=True) as at, hearing(at, BTC_1M) as heard:
        at.sim.faults.once(
            fault=Fault(kind=FaultKind.MESSAGE_DUPLICATED), containing="ohlc", times=100
        )
        for price in ("50001", "50009", "49990", "50002"):
            at.tick(price)
        await until(lambda: heard.last() == 50002)
        assert heard.bars == []
        at.later(minutes=1)
        at.tick("50003")
        await until(lambda: bool(heard.bars))
        assert heard.bars == [
            BarSeen(
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
        ]
        (committed,) = await at.ours.venue.market.history(BTC_1M, before=START + MINUTE, count=1)
        assert heard.bars[0].bar == committed


async def test_bars_in_which_nobody_trades_are_asked_for_and_stand_still():
    async with world(manual=True) as at, hearing(at, BTC_1M) as heard:
        at.tick("50001")
        await until(lambda: heard.last() == 50001)
        for _ in range(3):
            at.later(minutes=1)
        at.later(seconds=3)
        await until(lambda: len(heard.bars) == 3)
        assert heard.closes() == [50001, 50001, 50001]
        assert [each.bar.volume for each in heard.bars] == [Decimal("0.1"), 0, 0]
        at.tick("50005")
        at.later(minutes=1)
        at.tick("50006")
        await until(lambda: len(heard.bars) == 4)
        assert heard.closes()[-1] == 50005
        assert heard.opened() == [START + n * MINUTE for n in range(4)]


async def test_bars_that_closed_while_the_stream_was_away_come_with_it_and_no_old_price_does(
    monkeypatch,
):
    monkeypatch.setattr(lines, "BACKOFF", replace(lines.BACKOFF, first=0.2))
    async with world(manual=True) as at, hearing(at, BTC_1M) as heard:
        trade_on(at, 1)
        at.tick("50001")
        await until(lambda: len(heard.bars) == 1)
        for outlet in list(at.sim.server.streams):
            outlet.cut()
        await until(lambda: not at.sim.server.streams)
        heard.prices.clear()
        at.later(minutes=1)
        trade_on(at, 4, first=50002)
        at.later(seconds=3)
        await until(lambda: len(heard.bars) == 6)
        trade_on(at, 2, first=50006)
        at.tick("50008")
        await until(lambda: len(heard.bars) == 8)
        assert heard.closes() == list(range(50000, 50008))
        assert heard.opened() == [START + n * MINUTE for n in range(8)]
        assert min(heard.told()) == 50005  # the last before it came back


async def test_a_snapshot_fills_the_gap_without_a_question(monkeypatch):
    monkeypatch.setattr(lines, "BACKOFF", replace(lines.BACKOFF, first=0.2))
    async with world(manual=True) as at, hearing(at, BTC_1M) as heard:
        trade_on(at, 1)
        at.tick("50001")
        await until(lambda: len(heard.bars) == 1)
        for outlet in list(at.sim.server.streams):
            outlet.cut()
        await until(lambda: not at.sim.server.streams)
        asked = at.sim.server.calls["market"]
        at.later(minutes=1)
        for price in range(50002, 50005):
            at.tick(str(price))
            if price < 50004:
                at.later(minutes=1)
        at.sim.faults.once(fault=Fault(kind=FaultKind.STATUS, status=503), action="market", times=9)
        await until(lambda: len(heard.bars) == 4)
        assert heard.closes() == [50000, 50001, 50002, 50003]
        assert at.sim.server.calls["market"] - asked <= 1


async def test_a_pair_of_which_the_streams_are_silent_goes_on_by_questions():
    async with world(manual=True) as at, hearing(at, BTC_1M, ETH_1M) as heard:
        at.sim.exchange.stalled.add("BTC/USDT")
        for minute in range(2):
            at.tick(str(50000 + minute))
            at.tick(str(3000 + minute), "ETH/USDT")
            at.later(minutes=1)
        at.later(seconds=3)
        await until(lambda: len(heard.closes(ETH_1M)) == 2)
        assert heard.closes(ETH_1M) == [3000, 3001]


async def test_two_readers_hear_the_same():
    async with (
        world(manual=True) as at,
        hearing(at, BTC_1M) as first,
        hearing(at, BTC_1M) as second,
    ):
        await until(lambda: len(at.sim.server.streams) == 2)
        await until(lambda: all(len(each) == 2 for each in at.desk.feeds.topics.values()))
        trade_on(at, 1)
        at.tick("50001")
        await until(lambda: first.closes() == second.closes() == [50000])


# ---- the words of the streams


def listing(name: str) -> Listing:
    return Listing(symbol=BTC, id=name, stream_id=name, rules=RULES)


def test_subscriptions_name_a_hundred_pairs_at_once():
    wanted = [
        Followed(listing(f"COIN{number}/USD"), M1, "1")
        for number in range(KRAKEN.topics_per_stream)
    ]
    sayings = [json.loads(text)["params"] for text in KRAKEN.subscribe(wanted)]
    assert {len(each["symbol"]) for each in sayings} == {100, 50}
    for channel in ("ohlc", "trade"):
        names = [n for each in sayings if each["channel"] == channel for n in each["symbol"]]
        assert names == [each.listing.stream_id for each in wanted]


def test_two_timeframes_of_a_pair_share_its_prices():
    wanted = [Followed(listing("BTC/USD"), M1, "1"), Followed(listing("BTC/USD"), M1, "60")]
    sayings = [json.loads(text)["params"] for text in KRAKEN.subscribe(wanted)]
    pair = {"symbol": ["BTC/USD"]}
    assert sayings == [
        {"channel": "ohlc", "interval": 1, "snapshot": True} | pair,
        {"channel": "ohlc", "interval": 60, "snapshot": True} | pair,
        {"channel": "trade", "snapshot": False} | pair,
    ]


def row(minute: int, close: float, symbol: str = "BTC/USD", interval: int = 1) -> dict[str, Any]:
    begin = datetime(2023, 10, 4, 16, minute, tzinfo=UTC)
    return {
        "symbol": symbol,
        "open": 27500.0,
        "high": 27600.1,
        "low": 27499.9,
        "close": close,
        "trades": 7,
        "volume": 0.12345678,
        "vwap": 27550.0,
        "interval_begin": f"{begin:%Y-%m-%dT%H:%M:%S}.000000000Z",
        "interval": interval,
        "timestamp": f"{begin + MINUTE:%Y-%m-%dT%H:%M:%S}.000000Z",
    }


def ohlc(kind: str, *rows: dict[str, Any]) -> list[Traded | BarTold]:
    message = {
        "channel": "ohlc",
        "type": kind,
        "timestamp": "2023-10-04T16:26:30.524394914Z",
        "data": list(rows),
    }
    return list(KRAKEN.told(json.loads(json.dumps(message))))


TOLD_AT = datetime(2023, 10, 4, 16, 26, 30, 524394, tzinfo=UTC)


def test_the_messages_of_the_documents_are_understood():
    message = {
        "channel": "trade",
        "type": "update",
        "data": [
            {
                "symbol": "MATIC/USD",
                "side": "sell",
                "price": 0.5117,
                "qty": 40.0,
                "ord_type": "market",
                "trade_id": 4665906,
                "timestamp": "2023-09-25T07:49:37.708706Z",
            }
        ],
    }
    (told,) = KRAKEN.told(message)
    at = datetime(2023, 9, 25, 7, 49, 37, 708706, tzinfo=UTC)
    assert told == Traded("MATIC/USD", Decimal("0.5117"), at)
    (told,) = ohlc("update", row(26, 27600.1))
    assert isinstance(told, BarTold)
    assert (told.stream_id, told.word, told.is_closed, told.at) == ("BTC/USD", "1", None, TOLD_AT)
    assert told.bar == Bar(
        datetime(2023, 10, 4, 16, 26, tzinfo=UTC),
        Decimal("27500.0"),
        Decimal("27600.1"),
        Decimal("27499.9"),
        Decimal("27600.1"),
        Decimal("0.12345678"),
    )


def test_of_a_snapshot_the_last_close_is_the_price_and_the_other_bars_are_closed():
    first, *bars = ohlc("snapshot", row(26, 27503.0), row(24, 27501.0), row(25, 27502.0))
    assert first == Traded("BTC/USD", Decimal("27503.0"), TOLD_AT)
    assert all(isinstance(each, BarTold) for each in bars)
    found = [(b.bar.opened_at.minute, b.is_closed) for b in bars if isinstance(b, BarTold)]
    assert found == [(24, True), (25, True), (26, None)]


def test_a_snapshot_of_two_pairs_has_a_last_bar_of_each():
    told = ohlc("snapshot", row(25, 27501.0), row(26, 27502.0), row(25, 27503.0, "ETH/USD"))
    assert [each.price for each in told if isinstance(each, Traded)] == [27502, 27503]
    assert [each.is_closed for each in told if isinstance(each, BarTold)] == [True, None, None]


def test_an_update_that_ends_one_bar_and_begins_the_next_is_taken_in_their_order():
    told = ohlc("update", row(26, 27502.0), row(25, 27501.0))
    assert [b.bar.opened_at.minute for b in told if isinstance(b, BarTold)] == [25, 26]


@pytest.mark.parametrize(
    "message",
    [
        {"channel": "heartbeat"},
        {"channel": "status", "type": "update", "data": [{"system": "online"}]},
        {"method": "pong", "time_in": "x", "time_out": "x"},
        {"method": "subscribe", "success": True, "result": {"channel": "ohlc"}},
    ],
)
def test_other_messages_tell_nothing(message):
    assert list(KRAKEN.told(message)) == []
    if message.get("method") != "subscribe":
        assert list(KRAKEN.bell(message, StreamNotes())) == []


def test_a_subscription_that_is_refused_is_in_the_log(caplog):
    error = "Currency pair not supported BTC/DAI"
    assert list(KRAKEN.told({"method": "subscribe", "success": False, "error": error})) == []
    assert error in caplog.text


async def test_a_pair_the_streams_do_not_know_does_not_silence_the_others():
    async with world(manual=True) as at:
        environment = at.ours.venue.side(Mode.LIVE).environment
        book = await environment.book()
        strange = replace(book.by_symbol[ETH], stream_id="ETH/NONE")
        environment.listings = replace(book, by_symbol={**book.by_symbol, ETH: strange})
        heard = Heard()

        async def listen() -> None:
            async for event in at.ours.venue.market.events([BTC_1M, ETH_1M]):
                if isinstance(event, PriceSeen):
                    heard.prices.append(event)

        async with asyncio.TaskGroup() as beside:
            task = beside.create_task(listen())
            await until(lambda: len(at.desk.feeds.topics) == 2)
            at.tick("50001")
            await until(lambda: heard.last() == 50001)
            task.cancel()


def test_an_account_that_is_subscribed_already_is_heard_like_one_that_just_was():
    answer = {"method": "subscribe", "success": False, "error": "Already subscribed"}
    other = {**answer, "error": "Invalid token"}
    assert list(KRAKEN.bell(answer, StreamNotes())) == [Joined("")]
    assert list(KRAKEN.bell(other, StreamNotes())) == [Left("", "Invalid token")]
