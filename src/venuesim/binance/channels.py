"""Public streams: what each of them says, and when; one writing serves all who listen.

A stream with a period speaks at once when its last word is old enough, and otherwise when the
next beat comes.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import orjson

from venuesim.binance import drawings
from venuesim.binance.floor import Floor
from venuesim.binance.klines import MADE_OF, latest
from venuesim.binance.market import WINDOWS, levels_text
from venuesim.binance.tape import Ladder, Level
from venuesim.binance.words import INTERVALS, symbol_of
from venuesim.candles import Candle
from venuesim.exchange import Happening, Ticked
from venuesim.instruments import Instrument

Json = dict[str, object]
Listener = Callable[[str, str], None]  # takes the stream's name and an event as JSON
BOOK = re.compile(r"depth(5|10|20)?(?:@(100|1000)ms)?")
WINDOW_WORDS = ("1h", "4h", "1d")
QUIET_MS = 900  # after which a book that nobody moved stirs by itself


@dataclass(slots=True)
class Channel:
    """One stream. draw: what it says now, None for nothing; period_ms: 0 says it at once.

    greets: somebody new hears what is so, even when nothing changes.
    """

    name: str
    period_ms: int
    draw: Callable[[], object | None]
    greets: bool = True
    listeners: dict[object, Listener] = field(default_factory=dict)
    _new: set[object] = field(default_factory=set)
    _said_ms: int = 0
    _changed: bool = False

    def join(self, who: object, listener: Listener) -> None:
        self.listeners[who] = listener
        if self.greets:
            self._new.add(who)

    def leave(self, who: object) -> None:
        self.listeners.pop(who, None)
        self._new.discard(who)

    def change(self, now_ms: int) -> None:
        """Hear that what the stream is about changed."""
        self._changed = True
        if now_ms - self._said_ms >= self.period_ms:
            self.speak(now_ms)

    def speak(self, now_ms: int) -> None:
        """Say what has not been said."""
        if not self._changed or not self.listeners:
            return
        self._changed, self._said_ms = False, now_ms
        event = self.draw()
        if event is not None:
            self.say(event)

    def say(self, event: object) -> None:
        raw = orjson.dumps(event).decode()
        self._new.clear()
        for listener in list(self.listeners.values()):
            listener(self.name, raw)

    def beat(self, who: object, now_ms: int) -> None:
        """Serve one listener's beat: what changed goes to all, what is so to the new."""
        self.speak(now_ms)
        if who in self._new:
            event = self.draw()
            if event is not None:
                self._new.discard(who)
                self.listeners[who](self.name, orjson.dumps(event).decode())


@dataclass(slots=True)
class BookChanges:
    """What a stream of changes to the book has said so far."""

    floor: Floor
    instrument: Instrument
    said: Ladder | None = None

    def __call__(self) -> Json | None:
        ladder, before = self.floor.tape.ladder(self.instrument.name), self.said
        self.said = ladder
        if before is None or before.number == ladder.number:
            return None
        return {
            "e": "depthUpdate",
            "E": self.floor.now_ms,
            "s": symbol_of(self.instrument),
            "U": before.number + 1,
            "u": ladder.number,
            "b": levels_text(_changed(before.bids, ladder.bids)),
            "a": levels_text(_changed(before.asks, ladder.asks)),
        }


def _changed(before: tuple[Level, ...], after: tuple[Level, ...]) -> list[Level]:
    """Return the levels that are other than they were; a quantity of zero takes one away."""
    old, new = dict(before), dict(after)
    gone = [(price, 0) for price in old if price not in new]
    return [(price, size) for price, size in after if old.get(price) != size] + gone


@dataclass(slots=True)
class Hub:
    """All public streams anybody listens to; made when first asked for."""

    floor: Floor
    channels: dict[str, Channel] = field(default_factory=dict)
    _by_symbol: defaultdict[str, list[Channel]] = field(default_factory=lambda: defaultdict(list))
    _everybody: list[Channel] = field(default_factory=list)
    _books: dict[str, int] = field(default_factory=dict)  # symbols whose book is heard, and since
    _news: set[str] = field(default_factory=set)  # symbols traded since tickers of all were told
    _opened: dict[str, Candle] = field(default_factory=dict)  # by stream, of made-up intervals

    # ------------------------------------------------------------- opening

    def join(self, name: str, who: object, listener: Listener) -> Channel | None:
        """Let somebody hear a stream; None when there is none of that name."""
        channel = self.channels.get(name) or self._open(name)
        if channel is not None:
            channel.join(who, listener)
        return channel

    def _open(self, name: str) -> Channel | None:
        head, _, kind = name.partition("@")
        if head.startswith("!"):
            return self._open_for_all(name, head, kind)
        instrument = self.floor.symbols.get(head.upper())
        if instrument is None or head != head.lower():
            return None
        channel = self._open_kline(name, instrument, kind) or self._open_plain(
            name, instrument, kind
        )
        if channel is not None:
            self.channels[name] = channel
        return channel

    def _open_plain(self, name: str, instrument: Instrument, kind: str) -> Channel | None:
        floor, book = self.floor, BOOK.fullmatch(kind)
        made: Channel | None = None
        tickers: Mapping[str, tuple[int, Callable[[], Json]]] = {
            "miniTicker": (1000, partial(drawings.mini_ticker, floor, instrument)),
            "ticker": (1000, partial(drawings.ticker, floor, instrument)),
            "avgPrice": (1000, partial(drawings.average_price, floor, instrument)),
            "bookTicker": (0, partial(drawings.book_ticker, floor, instrument)),
            **{
                f"ticker_{word}": (
                    1000,
                    partial(drawings.window_ticker, floor, instrument, word, WINDOWS[word]),
                )
                for word in WINDOW_WORDS
            },
        }
        if kind in ("trade", "aggTrade"):
            made = Channel(name, 0, lambda: None, greets=False)
            self.channels[name] = made
            return made  # told trade by trade
        if kind in tickers:
            period, draw = tickers[kind]
            made = Channel(name, period, self._priced(instrument, draw))
        elif book and book[1]:
            draw_book = partial(drawings.partial_book, floor, instrument, int(book[1]))
            made = Channel(name, int(book[2] or 1000), self._priced(instrument, draw_book))
        elif book:
            changes = BookChanges(floor, instrument)
            if instrument.name in floor.place.exchange.prices:
                changes()
            made = Channel(
                name, int(book[2] or 1000), self._priced(instrument, changes), greets=False
            )
        if made is not None:
            self._by_symbol[instrument.name].append(made)
            if book or kind == "bookTicker":
                self._books.setdefault(instrument.name, floor.now_ms)
        return made

    def _priced(self, instrument: Instrument, draw: Callable[[], object]) -> Callable[[], object]:
        """Say nothing about a market that has no price yet."""
        prices = self.floor.place.exchange.prices
        return lambda: draw() if instrument.name in prices else None

    def _open_kline(self, name: str, instrument: Instrument, kind: str) -> Channel | None:
        word, _, interval = kind.partition("_")
        if word != "kline" or interval not in INTERVALS:
            return None

        def draw() -> object | None:
            candle = latest(self.floor.place.candles, instrument.name, interval)
            if candle is None:
                return None
            symbol = symbol_of(instrument)
            return drawings.kline(self.floor, symbol, interval, candle, closed=False)

        channel = Channel(name, 1000 if interval == "1s" else 2000, draw)
        self._listen(channel, instrument.name, interval)
        return channel

    def _listen(self, channel: Channel, symbol: str, interval: str) -> None:
        """Follow the candles of an interval, or those that it is put together of."""

        def hear(_: str, seconds: int, candle: Candle, closed: bool) -> None:
            if not channel.listeners:
                return
            if interval in MADE_OF:
                if not closed:
                    self._follow_made(channel, symbol, interval)
            elif closed:
                self._say_closed(channel, symbol, interval, candle)
            else:
                channel.change(self.floor.now_ms)

        smaller = MADE_OF[interval][0] if interval in MADE_OF else interval
        self.floor.place.candles.listen(symbol, INTERVALS[smaller] // 1000, hear)

    def _open_for_all(self, name: str, head: str, kind: str) -> Channel | None:
        if kind != "arr":
            return None
        floor, draw = self.floor, None
        if head == "!miniTicker":
            draw = partial(drawings.mini_ticker, floor)
        elif head == "!ticker":
            draw = partial(drawings.ticker, floor)
        elif head.startswith("!ticker_") and head[8:] in WINDOW_WORDS:
            word = head[8:]
            draw = partial(self._windowed, word)
        if draw is None:
            return None
        channel = Channel(name, 1000, partial(self._all_that_traded, draw))
        self.channels[name] = channel
        self._everybody.append(channel)
        return channel

    def _windowed(self, word: str, instrument: Instrument) -> Json:
        return drawings.window_ticker(self.floor, instrument, word, WINDOWS[word])

    def _all_that_traded(self, draw: Callable[[Instrument], Json]) -> list[Json] | None:
        """Return the tickers of pairs that traded lately; all of them when none did."""
        exchange = self.floor.place.exchange
        names = self._news or exchange.prices
        return [draw(exchange.instruments[name]) for name in names] or None

    # ------------------------------------------------------------- hearing

    def hear(self, happening: Happening) -> None:
        if not isinstance(happening, Ticked):
            return
        now, name = self.floor.now_ms, happening.symbol
        if happening.quantity:
            self._tell_trade(happening)
        for channel in self._by_symbol.get(name, ()):
            channel.change(now)
        if name in self._books:
            self._books[name] = now
        if self._everybody:
            self._news = {name}
            for channel in self._everybody:
                channel.change(now)

    def _tell_trade(self, tick: Ticked) -> None:
        symbol = symbol_of(self.floor.place.exchange.instruments[tick.symbol])
        for kind, draw in (("trade", drawings.trade), ("aggTrade", drawings.aggregate_trade)):
            channel = self.channels.get(f"{symbol.lower()}@{kind}")
            if channel is not None and channel.listeners:
                channel.say(draw(self.floor, symbol, tick))

    def _follow_made(self, channel: Channel, symbol: str, interval: str) -> None:
        """Follow an interval that is put together: it closes when the next one opens."""
        candle = latest(self.floor.place.candles, symbol, interval)
        before = self._opened.get(channel.name)
        if candle is None:
            return
        if before is not None and before.opened_ms != candle.opened_ms:
            self._say_closed(channel, symbol, interval, before)
        self._opened[channel.name] = candle
        channel.change(self.floor.now_ms)

    def _say_closed(self, channel: Channel, symbol: str, interval: str, candle: Candle) -> None:
        word = symbol_of(self.floor.place.exchange.instruments[symbol])
        channel.say(drawings.kline(self.floor, word, interval, candle, closed=True))

    def beat(self, now_ms: int) -> None:
        """Let the books stir that somebody hears and that nobody moved for a while."""
        for name, since in self._books.items():
            if now_ms - since >= QUIET_MS and name not in self.floor.place.exchange.stalled:
                self._books[name] = now_ms
                self.floor.tape.stir(name)
                for channel in self._by_symbol[name]:
                    if "@depth" in channel.name or channel.name.endswith("@bookTicker"):
                        channel.change(now_ms)
