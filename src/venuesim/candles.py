"""Candles of every pair and interval, built from the market's trades."""

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter

from venuesim.exchange import Happening, Ticked
from venuesim.units import times

INTERVALS = (1, 60, 180, 300, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 604800)  # seconds
KEPT = 10_000  # candles of a pair and interval
WEEK = 604800
# The epoch was a Thursday, a week of trading begins on Monday.
WEEK_BEGINS_MS = 4 * 86400 * 1000


@dataclass(slots=True, kw_only=True)
class Candle:
    """One interval's trading, in units; volume in base, amount in quote."""

    opened_ms: int
    open: int
    high: int
    low: int
    close: int
    volume: int = 0
    amount: int = 0
    taker_volume: int = 0
    taker_amount: int = 0
    trades: int = 0
    first_trade: int = 0
    last_trade: int = 0


Listener = Callable[[str, int, Candle, bool], None]  # symbol, interval in s, candle, closed
Past = Callable[[str, int], Sequence[Candle]]  # symbol, interval in s → candles, oldest first
opened = attrgetter("opened_ms")


def opening(at_ms: int, interval: int) -> int:
    """Return when the candle of an interval in seconds opened that a time falls into."""
    length = interval * 1000
    if interval == WEEK:
        return (at_ms - WEEK_BEGINS_MS) // length * length + WEEK_BEGINS_MS
    return at_ms - at_ms % length


def merge(into: Candle, later: Candle) -> None:
    """Add what came later within the same interval to a candle."""
    into.high, into.low = max(into.high, later.high), min(into.low, later.low)
    into.close = later.close
    into.volume += later.volume
    into.amount += later.amount
    into.taker_volume += later.taker_volume
    into.taker_amount += later.taker_amount
    into.trades += later.trades
    into.last_trade = later.last_trade or into.last_trade


def gathered(candles: Iterable[Candle], interval: int) -> list[Candle]:
    """Return candles of a longer interval made of shorter ones, all of them new."""
    longer: list[Candle] = []
    for candle in candles:
        opened_ms = opening(candle.opened_ms, interval)
        if longer and longer[-1].opened_ms == opened_ms:
            merge(longer[-1], candle)
        else:
            longer.append(replace(candle, opened_ms=opened_ms))
    return longer


@dataclass(slots=True, kw_only=True)
class Candles:
    """Feed it an exchange's happenings; an interval without trades has no candle.

    listeners hear every change of every candle; listen() asks for one pair and interval only.
    stalled: pairs of which listeners hear nothing. past: gives the candles from before the first
    trade heard, when somebody asks for the pair and interval first. began_ms: of candles that
    were over by then nobody is told.
    """

    intervals: tuple[int, ...] = INTERVALS
    kept: defaultdict[tuple[str, int], list[Candle]] = field(
        default_factory=lambda: defaultdict(list)
    )
    listeners: list[Listener] = field(default_factory=list)
    stalled: set[str] = field(default_factory=set)
    past: Past | None = None
    began_ms: int = 0
    _closed: dict[tuple[str, int], int] = field(default_factory=dict)
    _listening: defaultdict[tuple[str, int], list[Listener]] = field(
        default_factory=lambda: defaultdict(list)
    )
    _listeners_of: Counter[str] = field(default_factory=Counter)  # by pair
    _recalled: set[tuple[str, int]] = field(default_factory=set)

    def hear(self, happening: Happening) -> None:
        if isinstance(happening, Ticked):
            self._take(happening)

    def listen(self, symbol: str, interval: int, listener: Listener) -> Callable[[], None]:
        """Hear of one pair's candles of one interval; call what is returned to hear no more."""
        self._recall(symbol, interval)
        listening = self._listening[symbol, interval]
        listening.append(listener)
        self._listeners_of[symbol] += 1

        def stop() -> None:
            listening.remove(listener)
            self._listeners_of[symbol] -= 1

        return stop

    def history(
        self,
        symbol: str,
        interval: int,
        *,
        start_ms: int = 0,
        end_ms: int | None = None,
        limit: int = 500,
        latest: bool = True,
    ) -> Sequence[Candle]:
        """Return candles opened in [start, end], oldest first, the one still open included.

        latest: of more than limit, the latest ones; otherwise the first after start.
        """
        self._recall(symbol, interval)
        candles = self.kept[symbol, interval]
        first = bisect_left(candles, start_ms, key=opened) if start_ms else 0
        after = len(candles) if end_ms is None else bisect_right(candles, end_ms, key=opened)
        if latest:
            first = max(first, after - limit)
        else:
            after = min(after, first + limit)
        return candles[first:after]

    def close_until(self, now_ms: int) -> None:
        """Tell the listeners of candles whose interval is over though nothing was traded since."""
        for (symbol, interval), candles in list(self.kept.items()):
            if candles and candles[-1].opened_ms + interval * 1000 <= now_ms:
                self._tell_closed(symbol, interval, candles[-1])

    def remember(self, symbol: str, seconds: int, candles: Sequence[Candle]) -> None:
        """Put candles of before the first trade under every interval they fit into, untold."""
        for interval in self.intervals:
            if interval % seconds == 0:
                self.remember_as(symbol, interval, candles)

    def remember_as(self, symbol: str, interval: int, candles: Iterable[Candle]) -> None:
        """Put candles of before the first trade under one interval, untold."""
        self._put_before(symbol, interval, gathered(candles, interval))

    def _recall(self, symbol: str, interval: int) -> None:
        if self.past is None or (symbol, interval) in self._recalled:
            return
        self._recalled.add((symbol, interval))
        self._put_before(symbol, interval, self.past(symbol, interval))

    def _put_before(self, symbol: str, interval: int, past: Sequence[Candle]) -> None:
        """Set candles before those there are; where they meet in one interval they are one."""
        candles, older = self.kept[symbol, interval], list(past)
        if candles and older and older[-1].opened_ms == candles[0].opened_ms:
            met = older.pop()
            candles[0].open, candles[0].first_trade = met.open, met.first_trade
            close, last = candles[0].close, candles[0].last_trade
            merge(candles[0], met)
            candles[0].close, candles[0].last_trade = close, last
        candles[:0] = older
        if len(candles) > KEPT:
            del candles[:-KEPT]
        if candles and candles[-1].opened_ms + interval * 1000 <= self.began_ms:
            self._closed[symbol, interval] = candles[-1].opened_ms

    def _take(self, tick: Ticked) -> None:
        """Add a trade to the open candle of every interval, and tell of each."""
        symbol, at_ms, price, quantity = tick.symbol, tick.at_ms, tick.price, tick.quantity
        amount, taken = times(quantity, price), tick.buyer_took
        kept, heard = self.kept, self._is_heard(symbol)
        for interval in self.intervals:
            candles = kept[symbol, interval]
            candle = candles[-1] if candles else None
            if candle is None or candle.opened_ms + interval * 1000 <= at_ms:
                candle = self._begin(candles, interval, tick)
            elif price > candle.high:
                candle.high = price
            elif price < candle.low:
                candle.low = price
            candle.close = price
            candle.volume += quantity
            candle.amount += amount
            if taken:
                candle.taker_volume += quantity
                candle.taker_amount += amount
            candle.trades += 1
            candle.last_trade = tick.number
            if heard:
                self._tell((symbol, interval), candle, closed=False)

    def _begin(self, candles: list[Candle], interval: int, tick: Ticked) -> Candle:
        if candles:
            self._tell_closed(tick.symbol, interval, candles[-1])
        price = tick.price
        candle = Candle(
            opened_ms=opening(tick.at_ms, interval),
            open=price,
            high=price,
            low=price,
            close=price,
            first_trade=tick.number,
        )
        candles.append(candle)
        if len(candles) > KEPT:
            del candles[:-KEPT]
        return candle

    def _is_heard(self, symbol: str) -> bool:
        """Say whether anybody may have to be told of a pair's candles."""
        return bool(self.listeners or self._listeners_of[symbol]) and symbol not in self.stalled

    def _tell_closed(self, symbol: str, interval: int, candle: Candle) -> None:
        """Say once that a candle is over."""
        if self._closed.get((symbol, interval)) == candle.opened_ms:
            return
        self._closed[symbol, interval] = candle.opened_ms
        self._tell((symbol, interval), candle, closed=True)

    def _tell(self, key: tuple[str, int], candle: Candle, *, closed: bool) -> None:
        listening = self._listening.get(key)
        if (not listening and not self.listeners) or key[0] in self.stalled:
            return
        for listener in (*self.listeners, *(listening or ())):
            listener(*key, candle, closed)
