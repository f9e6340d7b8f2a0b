"""The synthetic market as a venue: history and live events tell one story, whatever the clock."""

from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest

from tradefleet.domain.errors import Refused
from tradefleet.domain.market import Bar, Stream, Symbol, Timeframe
from tradefleet.simulation.synthetic import price_at
from tradefleet.venue import BarSeen, MarketData, MarketEvent, PriceSeen
from tradefleet.venues._synthetic_market import (
    BARS_CAUGHT_UP_MAX,
    HISTORY_MAX,
    PRICES_CAUGHT_UP_MAX,
    SyntheticMarket,
)

START = datetime(2026, 1, 1, 12, 0, 3, 400_000, tzinfo=UTC)
SECOND = timedelta(seconds=1)
BTC, ETH = Symbol("BTC", "USDT"), Symbol("ETH", "USDT")
FAST = Stream("paper", BTC, Timeframe(15))
SLOW = Stream("paper", BTC, Timeframe(60))
OTHER = Stream("paper", ETH, Timeframe(60))


@dataclass
class PlayedClock:
    """A clock that moves only in sleep; jumps are added to the sleeps, in order."""

    time: datetime = START
    jumps: list[timedelta] = field(default_factory=list)
    sleeps: list[float] = field(default_factory=list)

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return (self.time - START).total_seconds()

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.time += timedelta(seconds=seconds)
        if self.jumps:
            self.time += self.jumps.pop(0)


async def seen(
    market: SyntheticMarket, *streams: Stream, until: datetime, most: int = 10_000
) -> list[MarketEvent]:
    """The events until one is as late as `until`."""
    found: list[MarketEvent] = []
    async with aclosing(market.events(streams)) as events:
        async for event in events:
            found.append(event)
            if time_of(event) >= until or len(found) >= most:
                break
    return found


def time_of(event: MarketEvent) -> datetime:
    match event:
        case PriceSeen(quote=quote):
            return quote.at
        case BarSeen(stream, bar):
            return bar.opened_at + stream.timeframe.delta


def bars_in(events: list[MarketEvent], stream: Stream) -> list[Bar]:
    return [e.bar for e in events if isinstance(e, BarSeen) and e.stream == stream]


def prices_in(events: list[MarketEvent]) -> list[PriceSeen]:
    return [event for event in events if isinstance(event, PriceSeen)]


def later(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


async def test_a_price_comes_at_every_whole_second():
    clock = PlayedClock()
    events = await seen(SyntheticMarket(clock=clock), FAST, until=later(8))
    prices = prices_in(events)
    assert [p.quote.at.second for p in prices] == [4, 5, 6, 7, 8, 9, 10, 11, 12]
    assert all(p.quote.at.microsecond == 0 for p in prices)
    assert all(p.quote.price == price_at(1, BTC, p.quote.at) for p in prices)
    assert clock.sleeps[:2] == [0.6, 1.0]


async def test_a_bar_comes_right_after_the_price_it_closed_with():
    market = SyntheticMarket(clock=PlayedClock())
    events = await seen(market, FAST, SLOW, OTHER, until=later(58))
    at = datetime(2026, 1, 1, 12, 1, tzinfo=UTC)
    last = [event for event in events if time_of(event) == at]
    assert [type(event) for event in last[:3]] == [PriceSeen, PriceSeen, BarSeen]
    assert [price.symbol for price in prices_in(last)] == [BTC, ETH]
    assert bars_in(events, FAST)[-1].close == prices_in(last)[0].quote.price
    assert len(bars_in(events, FAST)) == 4


async def test_history_and_live_bars_agree_without_gap_or_repeat():
    clock = PlayedClock()
    market = SyntheticMarket(clock=clock, seed=7)
    before = await market.history(FAST, before=clock.now(), count=10)
    live = bars_in(await seen(market, FAST, until=later(120)), FAST)
    both = [*before, *live]
    assert all(b.opened_at - a.opened_at == 15 * SECOND for a, b in pairwise(both))
    again = await market.history(FAST, before=clock.now(), count=len(both))
    assert list(again)[-len(live) :] == live


async def test_history_holds_only_bars_that_are_closed_and_opened_before():
    market = SyntheticMarket(clock=PlayedClock())
    minute = START.replace(second=0, microsecond=0)
    for before, last in [
        (START, minute - 60 * SECOND),
        (START + timedelta(days=1), minute - 60 * SECOND),
        (minute, minute - 60 * SECOND),
        (minute - SECOND, minute - 60 * SECOND),
        (minute - 60 * SECOND, minute - 120 * SECOND),
    ]:
        bars = await market.history(SLOW, before=before, count=3)
        assert [bar.opened_at for bar in bars] == [last - n * 60 * SECOND for n in (2, 1, 0)]
    assert await market.history(SLOW, before=START, count=0) == []


async def test_a_long_history_lets_others_have_their_turn_and_has_a_limit():
    clock = PlayedClock()
    market = SyntheticMarket(clock=clock)
    bars = await market.history(Stream("paper", BTC, Timeframe(3600)), before=START, count=30)
    assert len(bars) == 30
    assert clock.sleeps == [0, 0, 0]
    assert len(await market.history(FAST, before=START, count=10**9)) == HISTORY_MAX
    weeks = Stream("paper", BTC, Timeframe.parse("9999w"))
    assert len(await market.history(weeks, before=later(10**10), count=10)) == 0


async def test_after_a_pause_every_bar_and_the_last_prices_are_made_up_for():
    clock = PlayedClock(jumps=[timedelta(minutes=10)])
    events = await seen(SyntheticMarket(clock=clock), FAST, SLOW, until=later(601))
    assert len(bars_in(events, FAST)) == 40
    assert len(bars_in(events, SLOW)) == 10
    assert len(prices_in(events)) == PRICES_CAUGHT_UP_MAX + 1
    assert [time_of(event) for event in events] == sorted(time_of(event) for event in events)


async def test_after_a_very_long_pause_only_the_latest_bars_are_made_up_for():
    clock = PlayedClock(jumps=[timedelta(days=30)])
    events = await seen(SyntheticMarket(clock=clock), FAST, until=later(30 * 86400 + 1))
    bars = bars_in(events, FAST)
    assert len(bars) == BARS_CAUGHT_UP_MAX
    assert later(30 * 86400) - bars[-1].opened_at < 30 * SECOND


async def test_a_clock_set_back_repeats_no_bar():
    clock = PlayedClock(jumps=[SECOND * 0] * 20 + [timedelta(minutes=-1)])
    events = await seen(SyntheticMarket(clock=clock), FAST, until=later(40))
    opened = [bar.opened_at for bar in bars_in(events, FAST)]
    assert len(opened) == len(set(opened)) == 2
    assert len(prices_in(events)) > 90


async def test_a_sleep_that_ends_early_yields_nothing_twice_and_never_spins():
    clock = PlayedClock(jumps=[timedelta(seconds=-0.0005)] * 30)
    events = await seen(SyntheticMarket(clock=clock), FAST, until=later(10))
    times = [time_of(event) for event in prices_in(events)]
    assert times == sorted(set(times))
    assert min(clock.sleeps) >= 0.001
    assert len(clock.sleeps) < 60


async def test_prices_may_come_more_often_or_more_rarely():
    clock = PlayedClock()
    market = SyntheticMarket(clock=clock, tick=timedelta(seconds=5))
    prices = prices_in(await seen(market, FAST, until=later(20)))
    assert [p.quote.at.second for p in prices] == [5, 10, 15, 20, 25]


async def test_the_rules_fit_what_is_traded():
    market: MarketData = SyntheticMarket(clock=PlayedClock())
    btc = await market.rules(BTC)
    assert (btc.price_tick, btc.quantity_step) == (Decimal("0.01"), Decimal("0.00001"))
    assert (btc.notional_min, btc.fee) == (Decimal(5), Decimal("0.001"))
    cross = await market.rules(Symbol("ETH", "BTC"))
    assert Decimal("0.00005") < cross.notional_min < Decimal("0.0001")
    (bar,) = await market.history(Stream("paper", BTC, Timeframe(60)), before=START, count=1)
    assert bar.close % btc.price_tick == 0
    assert bar.volume % btc.quantity_step == 0


@pytest.mark.parametrize("pair", ["ETH/BTC", "SOL/USDC", "BTC/EUR", "EURUSD", "USDJPY", "XAUUSD"])
async def test_many_pairs_are_traded(pair):
    assert await SyntheticMarket(clock=PlayedClock()).rules(Symbol.parse(pair))


@pytest.mark.parametrize(
    ("pair", "hint"),
    [
        ("BTD/USDT", "did you mean BTC/USDT"),
        ("ETHE/BTC", "did you mean ETH/BTC"),
        ("BTC/USDD", "did you mean BTC/USD"),
        ("SOL/TRX", "did you mean SOL/USDT?"),
        ("QQQQQQ/USDT", "try BTC/USDT"),
        ("USDC/USDT", "try BTC/USDT"),
        ("BTC/USDT:USDT", "spot only; write BTC/USDT instead"),
    ],
)
async def test_a_pair_that_is_not_traded_is_refused_with_what_comes_near(pair, hint):
    market = SyntheticMarket(clock=PlayedClock())
    stream = Stream("paper", Symbol.parse(pair), Timeframe(60))
    with pytest.raises(Refused, match=hint):
        await market.rules(stream.symbol)
    with pytest.raises(Refused, match=hint):
        await market.history(stream, before=START, count=1)
    with pytest.raises(Refused, match=hint):
        await seen(market, stream, until=later(1))


async def test_a_timeframe_that_cannot_be_drawn_is_refused_at_once():
    stream = Stream("paper", BTC, Timeframe(7))
    with pytest.raises(Refused, match="multiples of 5s"):
        await seen(SyntheticMarket(clock=PlayedClock()), stream, until=later(1))
