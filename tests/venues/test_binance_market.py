"""The public side of Binance's adapter, over real sockets, at a simulated Binance."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal, getcontext
from typing import Any

import pytest

from tests.makers import BTC, ETH
from tests.venues.rig import Adapter, adapter, http, listed, over, teller
from tests.venuesim.rig import simulated, until
from tradefleet.domain.errors import Refused, VenueUnavailable
from tradefleet.domain.market import Stream, Symbol, Timeframe
from tradefleet.domain.user import Mode
from tradefleet.venue import BarSeen, MarketEvent, PriceSeen
from tradefleet.venues.binance import Binance
from venuesim.clock import ManualClock
from venuesim.faults import Fault, FaultKind
from venuesim.running import Running

pytestmark = pytest.mark.usefixtures("short_pauses")

SECOND, MINUTE = Timeframe(1), Timeframe(60)
START = datetime(2026, 11, 21, 12, tzinfo=UTC)


class SimulatedTime:
    """The adapter's clock beside a simulated venue's manual one; sleeping is as in life."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.clock.now_ms() / 1000, UTC)

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(min(seconds, 0.02))


@asynccontextmanager
async def market(**options: Any) -> AsyncIterator[tuple[Running, Adapter, ManualClock]]:
    """A simulated Binance whose time stands still until a test moves it."""
    clock = ManualClock(int(START.timestamp() * 1000))
    async with simulated("binance", clock=clock, **options) as sim:
        time: Any = SimulatedTime(clock)
        async with over(sim, clock=time) as made:
            yield sim, made, clock


def stream(symbol: Symbol = BTC, timeframe: Timeframe = MINUTE) -> Stream:
    return Stream("binance", symbol, timeframe)


# ---- rules


async def test_rules_are_the_venues_own_steps():
    async with market() as (_, made, _clock):
        rules = await made.venue.market.rules(BTC)
        assert (rules.price_tick, rules.quantity_step) == (Decimal("0.01"), Decimal("0.00001"))
        assert (rules.notional_min, rules.fee) == (Decimal(5), Decimal("0.001"))


async def test_the_list_of_markets_is_fetched_once_for_everybody():
    async with market() as (sim, made, _clock):
        await asyncio.gather(*(made.venue.market.rules(symbol) for symbol in [BTC, ETH] * 20))
        link = await made.link(sim.client("a1"))
        await link.balances()
        assert sim.server.calls["market"] == 1


@pytest.mark.parametrize(
    ("symbol", "says"),
    [
        (Symbol("BTC", "USDX"), r"Binance does not trade BTC/USDX; did you mean BTC/US"),
        (Symbol("XYZ", "USDT"), r"Binance does not trade XYZ/USDT"),
        (Symbol("BTC", "USDT", "USDT"), r"it is used for spot here: write BTC/USDT"),
        (Symbol("EUR", "USD", slash=False), r"Binance does not trade EURUSD"),
    ],
)
async def test_a_pair_it_does_not_trade_is_refused_with_what_comes_near(symbol, says):
    async with market() as (_, made, _clock):
        with pytest.raises(Refused, match=says):
            await made.venue.market.rules(symbol)


async def test_a_pair_that_is_halted_is_refused_until_it_trades_again():
    async with market() as (sim, made, clock):
        sim.place.maintenance = "HALT"
        with pytest.raises(Refused, match=r"Binance has halted BTC/USDT \(it says HALT\)"):
            await made.venue.market.rules(BTC)
        sim.place.maintenance = ""
        with pytest.raises(Refused):  # it is not asked again at once
            await made.venue.market.rules(BTC)
        assert await made.venue.market.history(stream(), before=START, count=1) == []
        clock.set(clock.now_ms() + 61_000)
        assert await made.venue.market.rules(BTC)


async def test_reading_the_markets_leaves_the_decimals_of_others_alone():
    before = repr(getcontext())
    async with market() as (_, made, _clock):
        await made.venue.market.rules(BTC)
    assert repr(getcontext()) == before


@pytest.mark.parametrize(
    "answer",
    [
        None,
        http("<html>502</html>", 502),
        http("{}"),
        http('{"symbols":[]}'),
        http('{"symbols":[{"symbol":"BTCUSDT"}]}'),
        http('{"symbols":[{"symbol":"BTCUSDT","baseAsset":"BTC","quoteAsset":"USDT"'),
        http('{"code":-1003,"msg":"Too much request weight used."}', 429),
    ],
)
async def test_a_list_of_markets_that_cannot_be_had_is_nobodys_refusal(answer):
    async with teller(answer) as told, adapter(told.url, "ws://127.0.0.1:9") as made:
        with pytest.raises(VenueUnavailable):
            await made.venue.market.rules(BTC)


# ---- the past


def play(sim: Running, clock: ManualClock, prices: list[str], seconds: int = 60) -> None:
    """Let one trade happen in each bar from now on, in its middle."""
    for price in prices:
        clock.set(clock.now_ms() + seconds * 500)
        sim.tick("BTC/USDT", price)
        clock.set(clock.now_ms() + seconds * 500)


def minute_of(event: BarSeen) -> int:
    return int((event.bar.opened_at - START) / timedelta(minutes=1))


async def test_history_has_the_venues_own_figures_exactly():
    async with market() as (sim, made, clock):
        play(sim, clock, ["65000.01", "65000.02"])
        bars = await made.venue.market.history(stream(), before=START + timedelta(hours=1), count=9)
        assert [bar.opened_at for bar in bars] == [START, START + timedelta(minutes=1)]
        assert [bar.close for bar in bars] == [Decimal("65000.01"), Decimal("65000.02")]
        assert str(bars[0].volume) == "0.10000000"


async def test_history_goes_back_over_pages(monkeypatch):
    async with market() as (sim, made, clock):
        play(sim, clock, [f"{60000 + number}" for number in range(1600)])
        end = START + timedelta(minutes=1600)
        sim.server.calls.clear()
        bars = await made.venue.market.history(stream(), before=end, count=1500)
        assert [bar.close for bar in bars] == [60000 + number for number in range(100, 1600)]
        bars = await made.venue.market.history(stream(), before=end, count=5000)
        assert len(bars) == 1600
        assert [bar.opened_at for bar in bars] == sorted({bar.opened_at for bar in bars})


async def test_history_holds_closed_bars_alone_and_none_from_before_on():
    async with market() as (sim, made, clock):
        play(sim, clock, ["60000", "60001", "60002"])
        clock.set(clock.now_ms() + 20_000)
        sim.tick("BTC/USDT", "60003")
        now = START + timedelta(hours=1)
        bars = await made.venue.market.history(stream(), before=now, count=10)
        assert [bar.close for bar in bars] == [60000, 60001, 60002]
        before = START + timedelta(minutes=2)
        bars = await made.venue.market.history(stream(), before=before, count=10)
        assert [bar.close for bar in bars] == [60000, 60001]
        assert await made.venue.market.history(stream(), before=before, count=0) == []


async def test_a_timeframe_it_lacks_is_refused_with_those_it_has():
    async with market() as (_, made, _clock):
        says = r"no bars of 7m; choose one of 1s, 1m, 3m, .* 1d, 3d, 1w\."
        with pytest.raises(Refused, match=says):
            await made.venue.market.history(stream(timeframe=Timeframe(420)), before=START, count=1)


# ---- the present


class Reader:
    """Reads a market's events beside the test."""

    def __init__(self, made: Adapter, *streams: Stream) -> None:
        self.made = made
        self.streams = streams
        self.seen: list[MarketEvent] = []
        self.failed: Exception | None = None

    async def run(self) -> None:
        try:
            async for event in self.made.venue.market.events(self.streams):
                self.seen.append(event)
        except VenueUnavailable as error:
            self.failed = error

    @property
    def prices(self) -> list[Decimal]:
        return [event.quote.price for event in self.seen if isinstance(event, PriceSeen)]

    @property
    def minutes(self) -> list[int]:
        return [minute_of(event) for event in self.seen if isinstance(event, BarSeen)]


@asynccontextmanager
async def reading(sim: Running, made: Adapter, *streams: Stream) -> AsyncIterator[Reader]:
    reader = Reader(made, *streams)
    before = len(sim.server.streams)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(reader.run())
        streams = sim.server.streams  # the first message on each says that its wish was heard
        await until(
            lambda: (
                reader.failed is not None
                or (len(streams) > before and all(outlet.messages for outlet in streams))
            )
        )
        yield reader
        task.cancel()
    await until(lambda: len(sim.server.streams) <= before)


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch):
    monkeypatch.setattr("tradefleet.venues._ccxt.market.LOOK_SECONDS", 0.02)
    monkeypatch.setattr("tradefleet.venues._ccxt.lines.BACKOFF.__class__.wait", lambda *_: 0.02)


async def test_trades_are_prices_and_bars_come_when_they_close():
    async with market() as (sim, made, clock), reading(sim, made, stream()) as reader:
        play(sim, clock, ["60000.5", "60001", "60002"])
        sim.tick("BTC/USDT", "60003")
        await until(lambda: reader.minutes == [0, 1, 2])
        assert list(dict.fromkeys(reader.prices))[:3] == [Decimal("60000.5"), 60001, 60002]
        bar = next(event.bar for event in reader.seen if isinstance(event, BarSeen))
        assert (bar.close, bar.opened_at) == (Decimal("60000.5"), START)


async def test_several_streams_of_a_symbol_share_its_prices():
    both = (stream(), stream(timeframe=Timeframe(180)), stream(ETH))
    async with market() as (sim, made, clock), reading(sim, made, *both) as reader:
        play(sim, clock, ["60000", "60001", "60002", "60003"])
        await until(lambda: len(reader.minutes) >= 4)
        kinds = {
            (str(event.stream.symbol), str(event.stream.timeframe))
            for event in reader.seen
            if isinstance(event, BarSeen)
        }
        assert kinds == {("BTC/USDT", "1m"), ("BTC/USDT", "3m")}
        assert len(sim.server.streams) == 1


async def test_a_stream_that_is_cut_loses_no_bar_and_repeats_none():
    async with market() as (sim, made, clock), reading(sim, made, stream()) as reader:
        play(sim, clock, ["60000", "60001"])
        await until(lambda: reader.minutes == [0, 1])
        for outlet in list(sim.server.streams):
            outlet.cut()
        play(sim, clock, ["60002", "60003", "60004"])
        await until(lambda: len(sim.server.streams) == 1)
        await asyncio.sleep(0.05)
        play(sim, clock, ["60005", "60006"])
        await until(lambda: 6 in reader.minutes)
        assert reader.minutes == list(range(7))


async def test_bars_go_on_without_a_stream_of_their_own():
    """A stream that says nothing while its connection lives: what closes is asked for."""
    async with market() as (sim, made, clock), reading(sim, made, stream()) as reader:
        play(sim, clock, ["60000"])
        await until(lambda: reader.minutes == [0])
        sim.exchange.stalled.add("BTC/USDT")
        play(sim, clock, ["60001", "60002"])
        clock.set(clock.now_ms() + 3_000)
        await until(lambda: reader.minutes == [0, 1, 2])
        sim.exchange.stalled.clear()
        play(sim, clock, ["60003", "60004"])
        await until(lambda: 4 in reader.minutes)
        assert reader.minutes == list(range(5))


@pytest.mark.parametrize("kind", ["MESSAGE_DROPPED", "MESSAGE_DUPLICATED", "MESSAGES_SWAPPED"])
async def test_messages_that_are_lost_doubled_or_swapped_change_no_bar(kind):
    async with market() as (sim, made, clock), reading(sim, made, stream()) as reader:
        for number in range(12):
            sim.faults.once(fault=Fault(kind=FaultKind[kind]), times=1, skip=number % 3)
            play(sim, clock, [f"{60000 + number}"])
            await asyncio.sleep(0.01)
        sim.faults.clear()
        play(sim, clock, ["60100"])
        clock.set(clock.now_ms() + 3_000)
        await until(lambda: 12 in reader.minutes)
        assert reader.minutes == list(range(13))


async def test_a_reader_that_begins_again_goes_on_where_it_was():
    async with market() as (sim, made, clock):
        async with reading(sim, made, stream()) as reader:
            play(sim, clock, ["60000", "60001"])
            await until(lambda: reader.minutes == [0, 1])
        play(sim, clock, ["60002"])
        async with reading(sim, made, stream(), stream(ETH)) as again:
            clock.set(clock.now_ms() + 3_000)
            await until(lambda: again.minutes == [2])
            play(sim, clock, ["60003"])
            await until(lambda: again.minutes == [2, 3])


async def test_two_readers_get_all_of_it_each():
    async with (
        market() as (sim, made, clock),
        reading(sim, made, stream()) as one,
        reading(sim, made, stream()) as other,
    ):
        play(sim, clock, ["60000", "60001"])
        await until(lambda: one.minutes == other.minutes == [0, 1])
        assert len(sim.server.streams) == 2


async def test_a_stream_it_does_not_have_leaves_the_others_alone(caplog):
    wanted = (stream(), stream(Symbol("XYZ", "USDT")), stream(timeframe=Timeframe(420)))
    async with market() as (sim, made, clock), reading(sim, made, *wanted) as reader:
        play(sim, clock, ["60000"])
        await until(lambda: reader.minutes == [0])
    assert "XYZ/USDT 1m is not followed" in caplog.text
    assert "BTC/USDT 7m is not followed" in caplog.text


async def test_streams_beyond_what_one_connection_carries_have_another(monkeypatch):
    async with market() as (sim, made, clock):
        made.venue.side(Mode.LIVE).environment.dialect = replace(Binance(), topics_per_stream=1)
        async with reading(sim, made, stream(), stream(ETH)) as reader:
            await until(lambda: len(sim.server.streams) == 2)
            play(sim, clock, ["60000"])
            await until(lambda: reader.minutes == [0])


async def test_a_venue_that_is_away_is_unavailable_and_then_followed():
    async with adapter("http://127.0.0.1:9", "ws://127.0.0.1:9") as made:
        reader = Reader(made, stream())
        await reader.run()
        assert "no connection" in str(reader.failed)
        listed(made)
        reader = Reader(made, stream())
        await reader.run()
        assert "no stream of prices: no connection" in str(reader.failed)


async def test_a_reader_that_leaves_leaves_no_connection():
    async with market() as (sim, made, _):
        async with reading(sim, made, stream()):
            assert len(sim.server.streams) == 1
        await until(lambda: not sim.server.streams)
        events = made.venue.market.events([stream()])
        waiting = asyncio.ensure_future(anext(events))
        await until(lambda: len(sim.server.streams) == 1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await until(lambda: not sim.server.streams)
