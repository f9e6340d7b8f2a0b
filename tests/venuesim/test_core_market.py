"""Where prices come from: candles are exact, recordings are played to the unit, walks repeat."""

import gzip
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from venuesim import candles as keeping
from venuesim.candles import INTERVALS, Candle, Candles, opening
from venuesim.clock import ManualClock, RealClock
from venuesim.exchange import Exchange, Ticked
from venuesim.instruments import LISTINGS, Listing, pair
from venuesim.market import FIRST_TRADE, PAST_BARS, Playing, Synthetic
from venuesim.orders import Kind, NewOrder, Side
from venuesim.recorded import (
    BadRecording,
    Recorded,
    Recording,
    fit_to_clock,
    listed,
    parse_time,
    read_recording,
)
from venuesim.running import place_for
from venuesim.units import text, units
from venuesim.wire import Place

START = datetime(2018, 1, 12, tzinfo=UTC)
START_MS = round(START.timestamp() * 1000)
MINUTE = 60_000
NAME = "ETH/BTC"


# ------------------------------------------------------------- candles


def tick(
    at_ms: int, price: int, quantity: int = 1, number: int = 1, *, buys: bool = True
) -> Ticked:
    return Ticked(NAME, price, quantity, buys, at_ms, number)


def naive(ticks: Sequence[Ticked], interval: int) -> list[Candle]:
    """Return candles as one would write them down by hand."""
    groups: dict[int, list[Ticked]] = {}
    for each in ticks:
        groups.setdefault(opening(each.at_ms, interval), []).append(each)
    return [
        Candle(
            opened_ms=opened_ms,
            open=group[0].price,
            high=max(each.price for each in group),
            low=min(each.price for each in group),
            close=group[-1].price,
            volume=sum(each.quantity for each in group),
            amount=sum(each.quantity * each.price // 10**8 for each in group),
            taker_volume=sum(each.quantity for each in group if each.buyer_took),
            taker_amount=sum(
                each.quantity * each.price // 10**8 for each in group if each.buyer_took
            ),
            trades=len(group),
            first_trade=group[0].number,
            last_trade=group[-1].number,
        )
        for opened_ms, group in groups.items()
    ]


def random_ticks(count: int, seconds: int) -> list[Ticked]:
    dice = random.Random(5)
    times = sorted(dice.randrange(seconds * 1000) for _ in range(count))
    return [
        tick(START_MS + at, 10**8 * dice.randrange(1, 9), dice.randrange(1, 99), n + 1,
             buys=dice.random() < 0.5)
        for n, at in enumerate(times)
    ]  # fmt: skip


@pytest.mark.parametrize("interval", INTERVALS)
def test_candles_of_every_interval_are_what_one_would_write_down_by_hand(interval):
    ticks, candles = random_ticks(3000, 3 * 86400), Candles()
    for each in ticks:
        candles.hear(each)
    assert candles.history(NAME, interval, limit=10_000) == naive(ticks, interval)


def test_a_week_begins_on_monday():
    at = datetime.fromtimestamp(opening(START_MS, 604800) / 1000, UTC)
    assert (at.weekday(), at.hour) == (0, 0)


def test_a_listener_hears_every_change_and_once_that_it_is_over():
    candles, heard = Candles(), []
    candles.listeners.append(
        lambda symbol, interval, candle, closed: (
            heard.append((candle.opened_ms - START_MS, candle.close, closed))
            if interval == 60
            else None
        )
    )
    candles.hear(tick(START_MS + 1, 5))
    candles.hear(tick(START_MS + 2, 6))
    candles.close_until(START_MS + MINUTE - 1)
    candles.close_until(START_MS + MINUTE)
    candles.close_until(START_MS + MINUTE + 1)
    candles.hear(tick(START_MS + MINUTE + 5, 7))
    assert heard == [(0, 5, False), (0, 6, False), (0, 6, True), (MINUTE, 7, False)]


def test_who_listens_to_one_interval_hears_of_that_one_until_he_listens_no_more():
    candles, heard = Candles(), []
    stop = candles.listen(NAME, 300, lambda *said: heard.append(said[:2]))
    candles.hear(tick(START_MS, 5))
    stop()
    candles.hear(tick(START_MS + 1, 5))
    assert heard == [(NAME, 300)]


def test_of_a_stalled_pair_candles_grow_without_a_word():
    candles, heard = Candles(stalled={NAME}), []
    candles.listeners.append(lambda *said: heard.append(said))
    candles.hear(tick(START_MS, 5))
    candles.close_until(START_MS + MINUTE)
    assert not heard
    assert candles.history(NAME, 60)[0].close == 5


def test_history_is_cut_by_time_and_by_number():
    candles = Candles()
    for minute in range(10):
        candles.hear(tick(START_MS + minute * MINUTE, minute + 1))

    def closes(**wish: int | bool) -> list[int]:
        return [candle.close for candle in candles.history(NAME, 60, **wish)]

    begin, end = START_MS + 2 * MINUTE, START_MS + 7 * MINUTE
    assert closes(limit=3) == [8, 9, 10]
    assert closes(start_ms=begin, end_ms=end) == [3, 4, 5, 6, 7, 8]
    assert closes(start_ms=begin, end_ms=end, limit=2) == [7, 8]
    assert closes(start_ms=begin, end_ms=end, limit=2, latest=False) == [3, 4]
    assert closes(start_ms=begin + 1, end_ms=end - 1) == [4, 5, 6, 7]


def test_only_so_many_candles_are_kept(monkeypatch):
    monkeypatch.setattr(keeping, "KEPT", 5)
    candles = Candles()
    for minute in range(20):
        candles.hear(tick(START_MS + minute * MINUTE, 1))
    assert len(candles.history(NAME, 60)) == 5


# ------------------------------------------------------------- recordings


def bars(
    count: int = 40, seconds: int = 300, gaps: Sequence[int] = (7, 8)
) -> list[tuple[str, ...]]:
    """Return rows of a recording: with gaps, flat bars, no volume, and as fine as can be."""
    dice, rows, close = random.Random(3), [], units("0.09")
    for number in range(count):
        opened = close
        prices = [max(1, opened + dice.randrange(-90_000, 90_000)) for _ in range(3)]
        close = opened if number % 9 == 4 else prices[-1]
        inside = [opened, close] if number % 9 == 4 else [opened, *prices]
        volume = 0 if number % 9 == 4 else dice.randrange(1, 10**12)
        if number not in gaps:
            at = START + timedelta(seconds=seconds * number)
            row = (at.isoformat(), *map(text, (opened, max(inside), min(inside), close, volume)))
            rows.append(row)
    return rows


def saved(folder: Path, rows: Sequence[tuple[str, ...]], name: str = "ETH_BTC-5m.csv.gz") -> Path:
    path = folder / name
    lines = "\n".join(["opened_at,open,high,low,close,volume", *map(",".join, rows)]) + "\n"
    path.write_bytes(gzip.compress(lines.encode()) if name.endswith("gz") else lines.encode())
    return path


def place_of(recording: Recording, now_ms: int) -> tuple[Place, Recorded, ManualClock]:
    clock = ManualClock(now_ms)
    place = place_for("binance", clock=clock, instruments=listed([recording]), prices=False)
    played = Recorded(place, recording)
    Playing(clock, [played]).start()
    return place, played, clock


def as_rows(candles: Sequence[Candle]) -> list[tuple[str, ...]]:
    return [
        (
            datetime.fromtimestamp(candle.opened_ms / 1000, UTC).isoformat(),
            *map(text, (candle.open, candle.high, candle.low, candle.close, candle.volume)),
        )
        for candle in candles
    ]


@pytest.mark.parametrize("name", ["ETH_BTC-5m.csv.gz", "ETH_BTC-5m.csv"])
@pytest.mark.parametrize("before", [0, 1, 12 * 300, 12 * 300 + 100, 39 * 300])
def test_recorded_bars_come_out_as_candles_to_the_last_unit_wherever_the_clock_begins(
    tmp_path, name, before
):
    recording = read_recording(saved(tmp_path, bars(), name))
    assert (recording.symbol, recording.seconds) == (NAME, 300)
    place, _, clock = place_of(recording, START_MS + before * 1000)
    for seconds in (1, 60, 301, 3000, 40 * 300):
        clock.set(max(clock.now_ms(), START_MS + seconds * 1000))
    assert as_rows(place.candles.history(NAME, 300)) == bars()


def test_history_and_what_is_played_make_the_same_candles_of_other_intervals(tmp_path):
    recording = read_recording(saved(tmp_path, bars(200, gaps=(50,))))
    end = START_MS + 200 * 300_000
    played, *_, clock = place_of(recording, START_MS)
    clock.set(end)
    remembered, *_ = place_of(recording, end)
    half, *_, clock = place_of(recording, START_MS + 100 * 300_000 + 1234)
    clock.set(end)
    for interval in (1, 60, 180, 900, 3600, 86400, 604800):
        wanted = played.candles.history(NAME, interval)
        assert remembered.candles.history(NAME, interval) == wanted
        assert half.candles.history(NAME, interval) == wanted
    assert played.exchange.prices[NAME] == remembered.exchange.prices[NAME]
    assert played.exchange.ticks[NAME] == remembered.exchange.ticks[NAME]


def test_a_bar_is_played_open_low_high_close_at_its_own_times(tmp_path):
    rows = bars(3, gaps=())
    place, played, clock = place_of(read_recording(saved(tmp_path, rows)), START_MS)
    heard: list[tuple[int, str, int]] = []

    def hear(happening: object) -> None:
        if isinstance(happening, Ticked):
            heard.append((happening.at_ms, text(happening.price), place.clock.now_ms()))

    place.exchange.listeners.append(hear)
    clock.set(START_MS + 299_999)
    _, opened, high, low, close, _ = rows[0]
    assert [price for _, price, _ in heard] == [opened, low, high, close]
    assert [at - START_MS for at, _, _ in heard] == [0, 100_000, 200_000, 299_999]
    assert all(at == now for at, _, now in heard)
    assert played.next_ms() == START_MS + 300_000


def test_an_order_is_filled_at_the_time_of_the_bar_that_reaches_it(tmp_path):
    rows = bars(3, gaps=())
    recording = read_recording(saved(tmp_path, rows))
    place, _, clock = place_of(recording, START_MS)
    clock.set(START_MS)
    place.exchange.open_account("alice")
    place.exchange.deposit("alice", "BTC", units("10"))
    low = units(rows[0][3])
    order = place.exchange.place(
        "alice",
        NewOrder(symbol=NAME, side=Side.BUY, kind=Kind.LIMIT, quantity=units("1"), price=low),
    )
    clock.set(START_MS + 86_400_000)
    assert order.trades[0].at_ms == START_MS + 100_000


def test_a_recorded_pair_is_listed_as_finely_as_it_was_recorded(tmp_path):
    rows = [("2018-01-12T00:00:00Z", "0.09828605", "0.1", "0.09", "0.0994766", "1.5"),
            ("2018-01-12T00:05:00Z", "0.1", "0.1", "0.09", "0.099", "2")]  # fmt: skip
    found = {each.instrument.name: each for each in listed([read_recording(saved(tmp_path, rows))])}
    assert found[NAME].instrument.price_decimals == 8
    assert found[NAME].price == units("0.09828605")
    assert len(found) == len(LISTINGS)
    other = saved(tmp_path, rows, "NEO_BTC-5m.csv")
    made = next(each for each in listed([read_recording(other)]) if each.instrument.base == "NEO")
    assert (made.instrument.step, made.instrument.quantity_decimals) == (units("0.1"), 1)


def test_a_running_clock_plays_the_bars_from_now_on_with_their_past_before_now(tmp_path):
    recording = read_recording(saved(tmp_path, bars(40, gaps=(7, 30))))
    exchange = Exchange(clock=RealClock(), instruments={})
    now_ms = exchange.clock.now_ms()
    moved = fit_to_clock(recording, exchange, 60)
    assert (moved.seconds, len(moved.bars)) == (60, 38)
    begin = now_ms - now_ms % MINUTE
    assert moved.bars[19].opened_ms in (begin, begin + MINUTE)
    steps = [b.opened_ms - a.opened_ms for a, b in pairwise(moved.bars)]
    assert sorted(set(steps)) == [MINUTE, 2 * MINUTE]
    assert [bar.close for bar in moved.bars] == [bar.close for bar in recording.bars]
    with pytest.raises(BadRecording, match="a venue has"):
        fit_to_clock(recording, exchange, 61)


def test_recorded_trades_are_played_one_by_one(tmp_path):
    path = tmp_path / "ETH_BTC-trades.csv"
    path.write_text(
        "timestamp,id,side,price,amount\n"
        f"{START_MS + 20},1,sell,0.05,1\n{START_MS + 10},2,buy,0.06,2.5\n"
        f"{START_MS + MINUTE},3,sell,0.055,1\n"
    )
    place, _, clock = place_of(read_recording(path), START_MS)
    clock.set(START_MS + 30)
    (candle,) = place.candles.history(NAME, 60)
    assert (candle.open, candle.close, candle.volume) == tuple(map(units, ("0.06", "0.05", "3.5")))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("ETH_BTC-5m.csv", "a,b\n1,2\n", "begins with neither"),
        ("ETH_BTC-5m.csv", "", "begins with neither"),
        ("bars.csv", "", "names no pair"),
        ("ETH_BTC-5m.csv", "opened_at,open,high,low,close,volume\n", "fewer than two"),
        ("ETH_BTC-5m.csv", "opened_at,open,high,low,close,volume\nx,1,1,1,1,1\n", "isoformat"),
        (
            "ETH_BTC-5m.csv",
            "opened_at,open,high,low,close,volume\n2018-01-12T00:00:00Z,nan,1,1,1,1\n",
            "not a finite number",
        ),
        (
            "ETH_BTC-5m.csv",
            "opened_at,open,high,low,close,volume\n2018-01-12T00:05:00Z,1,1,1,1,1\n"
            "2018-01-12T00:00:00Z,1,1,1,1,1\n",
            "not in the order",
        ),
        (
            "ETH_BTC-5m.csv",
            "opened_at,open,high,low,close,volume\n2018-01-12T00:00:00,1,1,1,1,1\n",
            "no time zone",
        ),
    ],
)
def test_a_file_that_is_no_recording_is_refused_in_words(tmp_path, name, content, words):
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(BadRecording, match=words):
        read_recording(path)


def test_a_file_that_is_not_there_or_torn_is_refused_in_words(tmp_path):
    with pytest.raises(BadRecording, match="cannot be read"):
        read_recording(tmp_path / "ETH_BTC-5m.csv")
    path = saved(tmp_path, bars())
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(BadRecording, match="cannot be read"):
        read_recording(path)


def test_a_time_without_a_zone_is_utc():
    assert parse_time("2018-01-12") == parse_time("2018-01-12T01:00:00+01:00") == START_MS


# ------------------------------------------------------------- walks


def walked(seed: int, seconds: float, listings: Sequence[Listing] = LISTINGS[:3]) -> Place:
    """Return a place whose prices have walked for so many seconds."""
    clock = ManualClock(START_MS + 12_345)
    place = place_for("binance", clock=clock, instruments=listings, prices=False)
    Playing(clock, [Synthetic(place, listings, seed)]).start()
    clock.set(clock.now_ms() + int(seconds * 1000))
    return place


def test_a_walk_repeats_with_its_seed_and_differs_with_another():
    once, again, other = walked(1, 120), walked(1, 120), walked(2, 120)
    for symbol in once.exchange.prices:
        for interval in (60, 300, 3600):
            wanted = once.candles.history(symbol, interval)
            assert again.candles.history(symbol, interval) == wanted
            assert other.candles.history(symbol, interval) != wanted


def test_a_walk_of_one_pair_does_not_depend_on_the_others():
    alone = walked(1, 60, LISTINGS[1:2])
    assert alone.exchange.prices["ETH/USDT"] == walked(1, 60).exchange.prices["ETH/USDT"]


@pytest.mark.parametrize("interval", [1, 60, 180, 300, 900, 1800, 3600, 14400, 86400])
def test_a_walk_has_a_past_of_every_interval_without_a_gap(interval):
    place = walked(1, 30)
    candles = place.candles.history("BTC/USDT", interval, limit=10_000)
    assert len(candles) >= PAST_BARS / 3
    for before, after in pairwise(candles):
        assert after.opened_ms - before.opened_ms == interval * 1000
        is_past = after.opened_ms + interval * 1000 <= place.candles.began_ms
        assert after.open == before.close or not is_past
        assert before.low <= min(before.open, before.close)
        assert before.high >= max(before.open, before.close)
        assert before.last_trade + 1 == after.first_trade
        assert before.volume > 0


def test_the_past_joins_the_present_in_one_candle_whenever_it_is_asked_for():
    early, late = walked(1, 0), walked(1, 0)
    early.candles.history("BTC/USDT", 60)
    for place in (early, late):
        clock = place.clock
        assert isinstance(clock, ManualClock)
        clock.set(clock.now_ms() + 100_000)
    wanted = early.candles.history("BTC/USDT", 60, limit=10_000)
    assert late.candles.history("BTC/USDT", 60, limit=10_000) == wanted
    at = next(n for n, candle in enumerate(wanted) if candle.last_trade > FIRST_TRADE)
    assert wanted[at].first_trade < FIRST_TRADE
    assert wanted[at].opened_ms == START_MS


def test_nobody_is_told_that_a_candle_of_the_past_is_over():
    place = walked(1, 0)
    heard: list[int] = []
    place.candles.listen(
        "BTC/USDT", 60, lambda *said: heard.append(said[2].opened_ms) if said[3] else None
    )
    place.candles.close_until(place.clock.now_ms())
    assert heard == []
    assert isinstance(place.clock, ManualClock)
    place.clock.set(START_MS + MINUTE)
    place.candles.close_until(place.clock.now_ms())
    assert heard == [START_MS]


def test_prices_stay_on_the_tick_and_quantities_on_the_step_and_moods_change():
    place = walked(3, 600, LISTINGS)
    moved = 0
    for listing in LISTINGS:
        candles = place.candles.history(listing.instrument.name, 60, limit=60)
        for candle in candles:
            assert candle.close % listing.instrument.tick == 0
            assert candle.volume % listing.instrument.step == 0
        moved += candles[0].close != candles[-1].close
    assert moved > len(LISTINGS) / 2


def test_a_price_that_somebody_moved_is_where_the_walk_goes_on():
    place = walked(1, 10)
    place.exchange.tick("BTC/USDT", units("50000"))
    assert isinstance(place.clock, ManualClock)
    place.clock.set(place.clock.now_ms() + 1000)
    assert units("49000") < place.exchange.prices["BTC/USDT"] < units("51000")


def test_after_a_long_sleep_of_the_machine_a_walk_leaves_out_what_was_due():
    clock = ManualClock(START_MS)
    place = place_for("binance", clock=clock, instruments=[LISTINGS[0]], prices=False)
    walk = Synthetic(place, [LISTINGS[0]], 1)
    walk.skip_to(START_MS + 3_600_000)
    walk.play()
    assert place.exchange.ticks["BTC/USDT"] == FIRST_TRADE + 1
    assert place.candles.history("BTC/USDT", 60, limit=1)[0].opened_ms == START_MS + 3_600_000


def test_an_exchange_ticks_cheaply_when_nobody_waits_or_listens():
    exchange = Exchange(
        clock=ManualClock(0), instruments={"BTC/USDT": pair("BTC/USDT", "1", "1", "1")}
    )
    for price in range(1, 1000):
        exchange.tick("BTC/USDT", price)
    assert not exchange._levels
