"""Closed bars are delivered once and in order, whatever a stream and its gaps do."""

from datetime import datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from tests.makers import BTC, MINUTE, START, bar
from tradefleet.domain.market import Bar, Quote, Stream, Timeframe
from tradefleet.venue import BarSeen, PriceSeen
from tradefleet.venues._ccxt.bars import ASKING, OVERDUE, BarTracker
from tradefleet.venues._ccxt.inbox import PRICES_MAX, Inbox, thinned

HALF = timedelta(seconds=30)
STREAM = Stream("binance", BTC, Timeframe(60))


def tracker(since: datetime = START + HALF) -> BarTracker:
    return BarTracker(MINUTE, since)


def minutes(bars: object) -> list[int]:
    return [int((each.opened_at - START) / MINUTE) for each in bars]  # type: ignore[attr-defined]


def test_a_closed_bar_is_delivered_once():
    kept = tracker()
    assert minutes(kept.told(bar(50, 0), True)) == [0]
    assert minutes(kept.told(bar(50, 0), True)) == []
    assert minutes(kept.told(bar(50, 1), True)) == [1]


def test_a_bar_that_closed_before_we_looked_is_not_ours():
    kept = tracker()
    assert minutes(kept.told(bar(50, -1), True)) == []
    assert minutes(kept.fetched([bar(50, -2), bar(50, -1)], START + MINUTE)) == []


def test_a_bar_after_a_gap_waits_for_those_before_it():
    kept = tracker()
    kept.told(bar(50, 0), True)
    now = START + 4 * MINUTE
    assert minutes(kept.told(bar(50, 3), True)) == []
    assert kept.ask_from() <= now
    assert kept.missing(now) == 3
    assert minutes(kept.fetched([bar(50, n) for n in range(4)], now)) == [1, 2, 3]
    assert minutes(kept.told(bar(50, 3), True)) == []


def test_the_first_bar_may_be_missing_as_well():
    kept = tracker()
    assert minutes(kept.told(bar(50, 1), True)) == []
    assert minutes(kept.fetched([bar(50, 0), bar(50, 1)], START + 2 * MINUTE)) == [0, 1]


def test_a_bar_that_is_still_open_is_not_delivered_even_if_it_is_fetched():
    kept = tracker()
    assert minutes(kept.told(bar(50, 0), False)) == []
    assert minutes(kept.fetched([bar(50, 0), bar(50, 1)], START + MINUTE)) == [0]


def test_where_no_close_is_told_the_next_bar_closes_the_one_before():
    kept = tracker()
    assert minutes(kept.told(bar(50, 0), None)) == []
    assert minutes(kept.told(bar(51, 0), None)) == []
    (closed,) = kept.told(bar(52, 1), None)
    assert (minutes([closed]), closed.close) == ([0], Decimal(51))


def test_a_bar_that_was_told_before_a_silence_is_not_closed_by_the_word_after_it():
    kept = tracker()
    kept.told(bar(50, 0), None)
    kept.began_anew()
    assert minutes(kept.told(bar(50, 1), None)) == []
    assert minutes(kept.fetched([bar(59, 0)], START + MINUTE)) == [0]


def test_a_bar_that_is_not_told_is_asked_for_shortly_after_its_close():
    kept = tracker(START)
    assert kept.ask_from() == START + MINUTE + OVERDUE
    kept.told(bar(50, 0), True)
    assert kept.ask_from() == START + 2 * MINUTE + OVERDUE


def test_a_bar_that_cannot_be_had_is_asked_for_ever_more_seldom():
    kept = tracker(START)
    now, waits = START + 5 * MINUTE, []
    for _ in range(9):
        assert kept.fetched([], now) == []
        waits.append((kept.ask_from() - now).total_seconds())
        now = kept.ask_from()
    assert waits == [ASKING.wait(n) for n in range(1, 10)]
    assert waits[-1] == 60
    assert minutes(kept.fetched([bar(50, 0)], now)) == [0]


@given(
    st.lists(
        st.tuples(st.integers(0, 30), st.sampled_from(["told", "fetched", "anew"])), max_size=60
    )
)
def test_whatever_comes_in_whatever_order_no_bar_is_delivered_twice_or_skipped(events):
    kept, delivered, clock = tracker(), list[int](), 0
    for minute, kind in events:
        if kind == "anew":
            kept.began_anew()
        elif kind == "told":
            clock = max(clock, minute + 1)
            delivered += minutes(kept.told(bar(50, minute), True))
        else:
            found = [bar(50, each) for each in range(clock)]
            delivered += minutes(kept.fetched(found, START + clock * MINUTE))
    assert delivered == list(range(len(delivered)))


# ---- what waits for its reader


def price(value: int, second: int = 0) -> PriceSeen:
    return PriceSeen(BTC, Quote(Decimal(value), START + timedelta(seconds=second)))


def closed(minute: int) -> BarSeen:
    made: Bar = bar(50, minute)
    return BarSeen(STREAM, made)


def test_what_waits_is_taken_once_prices_before_bars():
    inbox = Inbox()
    inbox.bar(closed(0))
    inbox.price(price(5))
    inbox.price(price(6))
    assert inbox.take() == [price(5), price(6), closed(0)]
    assert inbox.take() == []


def test_prices_that_pile_up_keep_their_extremes_and_the_last():
    inbox = Inbox()
    for second, value in enumerate([100, 90, 110, *[100] * 50]):
        inbox.price(price(value, second))
    taken = [each.quote.price for each in inbox.take() if isinstance(each, PriceSeen)]
    assert len(taken) <= PRICES_MAX
    assert {90, 110} <= set(taken)
    assert taken[-1] == 100
    assert taken.index(Decimal(90)) < taken.index(Decimal(110))


@given(st.lists(st.integers(1, 1000), min_size=1))
def test_thinned_prices_reach_as_low_and_as_high_and_end_the_same(values):
    prices = [price(value, second) for second, value in enumerate(values)]
    kept = [int(each.quote.price) for each in thinned(prices)]
    assert (min(kept), max(kept), kept[-1]) == (min(values), max(values), values[-1])
    assert len(kept) <= 3
    times = [each.quote.at for each in thinned(prices)]
    assert times == sorted(times)


async def test_a_reader_is_woken_by_news_and_by_whoever_wants_it_to_look():
    inbox = Inbox()
    inbox.wake()
    await inbox.waited()
    assert inbox.take() == []
    inbox.price(price(5))
    await inbox.waited()
    assert len(inbox.take()) == 1
