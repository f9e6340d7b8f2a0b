"""Klines of every interval, the odd ones built from smaller ones, and none left out."""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice

from venuesim.binance.words import DAY_MS, INTERVALS
from venuesim.candles import KEPT, Candle, Candles, merge, opening
from venuesim.units import text


def _first_of_month(moment_ms: int) -> int:
    day = datetime.fromtimestamp(moment_ms // 1000, UTC)
    return int(day.replace(day=1, hour=0, minute=0, second=0).timestamp()) * 1000


def _first_of_next_month(opened_ms: int) -> int:
    return _first_of_month(opened_ms + 31 * DAY_MS + DAY_MS // 2)


# Intervals the books have no candles for: what they are made of, and when one opened.
MADE_OF: dict[str, tuple[str, Callable[[int], int]]] = {
    "8h": ("4h", lambda moment: moment - moment % INTERVALS["8h"]),
    "3d": ("1d", lambda moment: moment - moment % INTERVALS["3d"]),
    "1M": ("1d", _first_of_month),
}


def closes_ms(interval: str, opened_ms: int) -> int:
    """Return the last millisecond of a kline."""
    if interval == "1M":
        return _first_of_next_month(opened_ms) - 1
    return opened_ms + INTERVALS[interval] - 1


def opens_ms(interval: str, moment_ms: int) -> int:
    """Return when the kline opened that a moment belongs to."""
    if interval in MADE_OF:
        return MADE_OF[interval][1](moment_ms)
    return opening(moment_ms, INTERVALS[interval] // 1000)


def klines(
    candles: Candles,
    symbol: str,
    interval: str,
    *,
    start_ms: int | None = None,
    end_ms: int | None = None,
    limit: int = 500,
) -> list[Candle]:
    """Return klines opened in [start, end], oldest first, from start or else up to the end.

    Between the first and the last trade an interval without trades has a flat kline.
    """
    known = _known(candles, symbol, interval)
    if not known:
        return []
    last = known[-1].opened_ms
    end = last if end_ms is None else min(end_ms, last)
    if start_ms is None:
        start = max(known[0].opened_ms, end - limit * INTERVALS[interval])
        return list(_walk(known, interval, start, end))[-limit:]
    return list(islice(_walk(known, interval, max(start_ms, known[0].opened_ms), end), limit))


def latest(candles: Candles, symbol: str, interval: str) -> Candle | None:
    """Return the kline that is open, None before the first trade."""
    if interval in MADE_OF:
        known = _known(candles, symbol, interval)
    else:
        known = candles.history(symbol, INTERVALS[interval] // 1000, limit=1)
    return known[-1] if known else None


def row(candle: Candle, interval: str) -> list[object]:
    """Return a kline as REST writes it."""
    return [
        candle.opened_ms,
        text(candle.open),
        text(candle.high),
        text(candle.low),
        text(candle.close),
        text(candle.volume),
        closes_ms(interval, candle.opened_ms),
        text(candle.amount),
        candle.trades,
        text(candle.taker_volume),
        text(candle.taker_amount),
        "0",
    ]


def _known(candles: Candles, symbol: str, interval: str) -> Sequence[Candle]:
    if interval not in MADE_OF:
        return candles.history(symbol, INTERVALS[interval] // 1000, limit=KEPT)
    smaller, opened = MADE_OF[interval]
    made: list[Candle] = []
    for candle in candles.history(symbol, INTERVALS[smaller] // 1000, limit=KEPT):
        at = opened(candle.opened_ms)
        if made and made[-1].opened_ms == at:
            merge(made[-1], candle)
        else:
            made.append(replace(candle, opened_ms=at))
    return made


def _walk(known: Sequence[Candle], interval: str, start_ms: int, end_ms: int) -> Iterator[Candle]:
    """Yield the klines opened in [start, end], of which some have no trades."""
    place = bisect_left(known, start_ms, key=lambda candle: candle.opened_ms)
    before = known[place - 1] if place else known[0]
    opened = opens_ms(interval, start_ms)
    if opened < start_ms:
        opened = closes_ms(interval, opened) + 1
    while opened <= end_ms:
        if place < len(known) and known[place].opened_ms == opened:
            before, place = known[place], place + 1
            yield before
        else:
            yield _flat(before.close, opened)
        opened = closes_ms(interval, opened) + 1


def _flat(price: int, opened_ms: int) -> Candle:
    """Return a kline in which nothing was traded."""
    return Candle(
        opened_ms=opened_ms,
        open=price,
        high=price,
        low=price,
        close=price,
        first_trade=-1,
        last_trade=-1,
    )
