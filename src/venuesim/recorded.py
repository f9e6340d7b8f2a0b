"""A market that plays what was recorded: bars or single trades from CSV files, to the last unit.

Bars have the columns opened_at,open,high,low,close,volume; trades timestamp,id,side,price,amount
(timestamp in milliseconds). A file's name begins with its pair: ETH_BTC-5m.csv.gz.
"""

import csv
import gzip
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from venuesim.candles import INTERVALS, Candle, gathered
from venuesim.clock import ManualClock
from venuesim.exchange import Exchange
from venuesim.instruments import LISTINGS, Instrument, Listing
from venuesim.units import UNITS, times, units
from venuesim.wire import Place

BAR_COLUMNS = ("opened_at", "open", "high", "low", "close", "volume")
TRADE_COLUMNS = ("timestamp", "id", "side", "price", "amount")
HISTORY_BARS = 1500  # of a recording, before now, when it is played from now on
SHORTER_BARS = 1500  # whose trades are kept in candles of shorter intervals, too
ROWS_MAX = 5_000_000


class BadRecording(ValueError):
    """A file is no recording, and the message says why."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One recorded interval in units."""

    opened_ms: int
    open: int
    high: int
    low: int
    close: int
    volume: int


@dataclass(frozen=True, slots=True)
class Print:
    """One trade of the market."""

    at_ms: int
    price: int
    quantity: int


@dataclass(frozen=True, slots=True)
class Recording:
    """What one file holds: bars of so many seconds, or trades when seconds is 0."""

    symbol: str
    seconds: int
    bars: Sequence[Bar] = ()
    prints: Sequence[Print] = ()

    @property
    def first_ms(self) -> int:
        return self.bars[0].opened_ms if self.bars else self.prints[0].at_ms

    def relabelled(self, seconds: int, now_ms: int, history: int = HISTORY_BARS) -> "Recording":
        """Return the bars as bars of so many seconds of which that many end now.

        Of a shorter recording half is history. What was missing is missing again.
        """
        if not self.bars:
            raise BadRecording("only bars can be given other times, and these are trades")
        pivot = self.bars[min(history, len(self.bars) // 2)].opened_ms
        length, begin_ms = seconds * 1000, now_ms - now_ms % (seconds * 1000)
        bars = [
            replace(
                bar, opened_ms=begin_ms + (bar.opened_ms - pivot) // (self.seconds * 1000) * length
            )
            for bar in self.bars
        ]
        return Recording(self.symbol, seconds, bars)


def read_recording(path: Path, symbol: str = "") -> Recording:
    """Return what a file holds; BadRecording when it is not to be understood."""
    symbol = symbol or symbol_of(path)
    try:
        rows = csv.reader(io.StringIO(_text(path)))
        columns = tuple(next(rows, ()))
        if columns == BAR_COLUMNS:
            return _recorded_bars(symbol, rows)
        if columns == TRADE_COLUMNS:
            prints = [Print(int(at), units(price), units(size)) for at, _, _, price, size in rows]
            return Recording(symbol, 0, prints=sorted(prints, key=lambda each: each.at_ms))
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise BadRecording(f"{path.name} cannot be read: {error}") from error
    except BadRecording:
        raise
    except ValueError as error:
        raise BadRecording(f"{path.name}: {error}") from error
    raise BadRecording(
        f"{path.name} begins with neither {','.join(BAR_COLUMNS)} nor {','.join(TRADE_COLUMNS)}"
    )


def symbol_of(path: Path) -> str:
    """Return the pair that a file's name begins with."""
    base, _, quote = path.name.partition("-")[0].partition("_")
    if not (base.isalnum() and quote.isalnum()):
        raise BadRecording(f"{path.name} names no pair; say --symbol ETH/BTC")
    return f"{base}/{quote}"


def _text(path: Path) -> str:
    raw = path.read_bytes()
    return (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode()


def _recorded_bars(symbol: str, rows: Iterable[list[str]]) -> Recording:
    bars = []
    for at, *figures in rows:
        opened = datetime.fromisoformat(at)
        if opened.tzinfo is None:
            raise BadRecording(f"{at} names no time zone")
        bars.append(Bar(round(opened.timestamp() * 1000), *map(units, figures)))
    gaps = Counter(after.opened_ms - before.opened_ms for before, after in pairwise(bars))
    if not gaps:
        raise BadRecording("fewer than two bars")
    if min(gaps) <= 0:
        raise BadRecording("bars are not in the order of time")
    return Recording(symbol, min(gaps) // 1000, bars)


def four_trades(bar: Bar, length_ms: int) -> Iterator[Print]:
    """Return trades at a bar's open, low, high and close whose volumes add up to the bar's."""
    part = bar.volume // 4
    yield Print(bar.opened_ms, bar.open, part)
    yield Print(bar.opened_ms + length_ms // 3, bar.low, part)
    yield Print(bar.opened_ms + 2 * length_ms // 3, bar.high, part)
    yield Print(bar.opened_ms + length_ms - 1, bar.close, bar.volume - 3 * part)


@dataclass(slots=True)
class Recorded:
    """Plays one recording: what lies before the clock's time is history, the rest comes."""

    place: Place
    recording: Recording
    _prints: list[Print] = field(init=False)
    _at: int = 0

    def __post_init__(self) -> None:
        exchange, now_ms = self.place.exchange, self.place.clock.now_ms()
        self.place.candles.began_ms = now_ms
        symbol, length = self.recording.symbol, self.recording.seconds * 1000
        over = [bar for bar in self.recording.bars if bar.opened_ms + length <= now_ms]
        self._prints = list(self.recording.prints) + [
            each for bar in self.recording.bars[len(over) :] for each in four_trades(bar, length)
        ]
        if over:
            candles = candles_of(over, length)
            exchange.ticks[symbol] = candles[-1].last_trade
            exchange.prices[symbol] = over[-1].close
            self.place.candles.remember(symbol, self.recording.seconds, candles)
            self._remember_shorter(over, candles[-1].last_trade, length)
        elif self._prints:
            exchange.prices[symbol] = self._prints[0].price
        while (due := self.next_ms()) is not None and due < now_ms:
            self.play()

    def _remember_shorter(self, over: Sequence[Bar], last_trade: int, length_ms: int) -> None:
        """Put the trades of the latest bars that are over into candles of shorter intervals."""
        latest = over[-SHORTER_BARS:]
        skipped = last_trade - 4 * len(latest)
        trades = [
            replace(
                each, first_trade=each.first_trade + skipped, last_trade=each.last_trade + skipped
            )
            for each in trades_of(latest, length_ms)
        ]
        for interval in self.place.candles.intervals:
            if interval * 1000 < length_ms:
                self.place.candles.remember_as(self.recording.symbol, interval, trades)

    def next_ms(self) -> int | None:
        return self._prints[self._at].at_ms if self._at < len(self._prints) else None

    def play(self) -> None:
        each = self._prints[self._at]
        self._at += 1
        self.place.exchange.tick(self.recording.symbol, each.price, each.quantity, each.at_ms)


def candles_of(bars: Iterable[Bar], length_ms: int) -> list[Candle]:
    """Return bars as the candles that their four trades would have made."""
    return gathered(trades_of(bars, length_ms), length_ms // 1000)


def trades_of(bars: Iterable[Bar], length_ms: int) -> Iterator[Candle]:
    """Yield each trade of bars as a candle of its own."""
    number, before = 0, 0
    for bar in bars:
        for each in four_trades(bar, length_ms):
            number += 1
            amount = times(each.quantity, each.price)
            was_bought = each.price >= (before or each.price)
            before = each.price
            yield Candle(
                opened_ms=each.at_ms,
                open=each.price,
                high=each.price,
                low=each.price,
                close=each.price,
                volume=each.quantity,
                amount=amount,
                taker_volume=each.quantity if was_bought else 0,
                taker_amount=amount if was_bought else 0,
                trades=1,
                first_trade=number,
                last_trade=number,
            )


def listed(
    recordings: Iterable[Recording], listings: Iterable[Listing] = LISTINGS
) -> list[Listing]:
    """Return the listings with the recorded pairs among them, as finely as they were recorded."""
    found = {listing.instrument.name: listing for listing in listings}
    for recording in recordings:
        found[recording.symbol] = _listing_of(recording, found.get(recording.symbol))
    return list(found.values())


def _listing_of(recording: Recording, known: Listing | None) -> Listing:
    bars, prints = recording.bars, recording.prints
    prices = [p for b in bars for p in (b.open, b.high, b.low, b.close)]
    prices += [each.price for each in prints]
    sizes = [bar.volume for bar in bars] + [each.quantity for each in prints]
    tick = _grain(prices, known.instrument.tick if known else UNITS)
    base, _, quote = recording.symbol.partition("/")
    instrument = known.instrument if known else _made_up(base, quote, _grain(sizes, UNITS), prices)
    decimals = next(d for d in range(9) if tick % 10 ** (8 - d) == 0)
    return Listing(replace(instrument, tick=tick, price_decimals=decimals), prices[0])


def _grain(amounts: Iterable[int], coarsest: int) -> int:
    """Return the largest power of ten that every amount is a multiple of."""
    grain = coarsest
    for amount in amounts:
        while amount % grain:
            grain //= 10
    return grain


def _made_up(base: str, quote: str, step: int, prices: Sequence[int]) -> Instrument:
    """Return an instrument for a pair nobody listed; its least order is worth very little."""
    return Instrument(
        base=base,
        quote=quote,
        tick=1,
        step=step,
        quantity_min=step,
        notional_min=max(1, min(times(step * 10, max(prices)), 5 * UNITS)),
        quantity_decimals=next(d for d in range(9) if step % 10 ** (8 - d) == 0),
    )


def fit_to_clock(recording: Recording, exchange: Exchange, bar_seconds: int) -> Recording:
    """Return a recording with times a clock can play: its own for one set by hand, else from now.

    BadRecording when the bars of a running clock have no length that candles have.
    """
    if isinstance(exchange.clock, ManualClock):
        return recording
    seconds = bar_seconds or recording.seconds
    if seconds not in INTERVALS:
        raise BadRecording(
            f"bars of {seconds} seconds; a venue has {', '.join(map(str, INTERVALS))}"
        )
    return recording.relabelled(seconds, exchange.clock.now_ms())


def parse_time(text: str) -> int:
    """Return milliseconds since 1970 of a time as people write it; UTC unless it says otherwise."""
    at = datetime.fromisoformat(text)
    return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
