"""Candles of every pair and interval, built from the market's trades."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from venuesim.exchange import Happening, Ticked
from venuesim.units import times

INTERVALS = (1, 60, 180, 300, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 604800)  # seconds
KEPT = 5000  # candles of a pair and interval


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


@dataclass(slots=True, kw_only=True)
class Candles:
    """Feed it an exchange's happenings; an interval without trades has no candle."""

    intervals: tuple[int, ...] = INTERVALS
    kept: defaultdict[tuple[str, int], list[Candle]] = field(
        default_factory=lambda: defaultdict(list)
    )
    listeners: list[Listener] = field(default_factory=list)

    def hear(self, happening: Happening) -> None:
        if isinstance(happening, Ticked):
            for interval in self.intervals:
                self._take(interval, happening)

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
        found = [
            candle
            for candle in self.kept[symbol, interval]
            if candle.opened_ms >= start_ms and (end_ms is None or candle.opened_ms <= end_ms)
        ]
        return found[-limit:] if latest else found[:limit]

    def close_until(self, now_ms: int) -> None:
        """Tell the listeners of candles whose interval is over though nothing was traded since."""
        for (symbol, interval), candles in list(self.kept.items()):
            if candles and candles[-1].opened_ms + interval * 1000 <= now_ms:
                self._tell_closed(symbol, interval, candles[-1])

    def _take(self, interval: int, tick: Ticked) -> None:
        candles = self.kept[tick.symbol, interval]
        opened = tick.at_ms - tick.at_ms % (interval * 1000)
        if not candles or candles[-1].opened_ms < opened:
            if candles:
                self._tell_closed(tick.symbol, interval, candles[-1])
            price = tick.price
            candles.append(
                Candle(
                    opened_ms=opened,
                    open=price,
                    high=price,
                    low=price,
                    close=price,
                    first_trade=tick.number,
                )
            )
            del candles[:-KEPT]
        candle = candles[-1]
        candle.high, candle.low = max(candle.high, tick.price), min(candle.low, tick.price)
        candle.close = tick.price
        amount = times(tick.quantity, tick.price)
        candle.volume += tick.quantity
        candle.amount += amount
        if tick.buyer_took:
            candle.taker_volume += tick.quantity
            candle.taker_amount += amount
        candle.trades += 1
        candle.last_trade = tick.number
        for listener in self.listeners:
            listener(tick.symbol, interval, candle, False)

    _closed: dict[tuple[str, int], int] = field(default_factory=dict)

    def _tell_closed(self, symbol: str, interval: int, candle: Candle) -> None:
        """Say once that a candle is over."""
        if self._closed.get((symbol, interval)) == candle.opened_ms:
            return
        self._closed[symbol, interval] = candle.opened_ms
        for listener in self.listeners:
            listener(symbol, interval, candle, True)
