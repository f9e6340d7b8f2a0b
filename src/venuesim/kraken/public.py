"""Kraken's public calls: time, assets, pairs and what the market does."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from venuesim.candles import Candle, merge
from venuesim.kraken.arguments import number, whole, word, words
from venuesim.kraken.errors import bad
from venuesim.kraken.fees import schedule
from venuesim.kraken.floor import Floor
from venuesim.kraken.market import Level, mark_ns
from venuesim.kraken.names import Pair
from venuesim.kraken.numbers import moment
from venuesim.units import UNITS, rounded, short, text

INTERVALS = (1, 5, 15, 30, 60, 240, 1440, 10080, 21600)  # minutes
DAY = 1440
FROM_DAYS = (10080, 21600)  # put together from days
BARS_MAX = 720
TRADES_MAX = 1000
LEVELS_MAX = 500
LEVELS = 100
NANO_MARK = 10**14  # a number above this is no count of seconds

Values = Mapping[str, object]
SUBSETS = {
    "info": None,
    "leverage": ("leverage_buy", "leverage_sell"),
    "fees": ("fees", "fees_maker", "fee_volume_currency"),
    "margin": ("margin_call", "margin_stop"),
}


def time(floor: Floor, values: Values) -> object:
    at = datetime.fromtimestamp(floor.now_ms // 1000, UTC)
    return {
        "unixtime": floor.now_ms // 1000,
        "rfc1123": at.strftime("%a, %d %b %y %H:%M:%S +0000"),
    }


def system_status(floor: Floor, values: Values) -> object:
    return {"status": floor.status, "timestamp": moment(floor.place.clock.now_ns(), 0)}


def assets(floor: Floor, values: Values) -> object:
    wanted = words(values, "asset")
    found = [floor.names.find_asset(name) for name in wanted] or floor.names.assets()
    return {
        asset.key: {
            "aclass": "currency",
            "altname": asset.altname,
            "decimals": asset.decimals,
            "display_decimals": asset.display_decimals,
            "collateral_value": 1,
            "status": "enabled",
        }
        for asset in found
    }


def asset_pairs(floor: Floor, values: Values) -> object:
    subset = word(values, "info", "info")
    if subset not in SUBSETS:
        raise bad("info")
    keys = SUBSETS[subset]
    return {
        key: {
            name: value
            for name, value in pair_row(pair, floor.status).items()
            if keys is None or name in keys
        }
        for key, pair in _pairs(floor, values)
    }


def _pairs(floor: Floor, values: Values) -> list[tuple[str, Pair]]:
    """Return the pairs asked for, or all, each with what it is called in the answer."""
    wanted = words(values, "pair")
    found = [_called(name, floor.names.find(name)) for name in wanted]
    return found or [(pair.key, pair) for pair in floor.names.pairs()]


def _called(name: str, pair: Pair) -> tuple[str, Pair]:
    """Return what a pair is called in an answer: as it was asked for, if that had a slash."""
    return (name.upper() if "/" in name else pair.key), pair


def _pair(floor: Floor, values: Values) -> tuple[str, Pair]:
    wanted = words(values, "pair")
    if len(wanted) != 1:
        raise bad("pair")
    return _called(wanted[0], floor.names.find(wanted[0]))


def pair_row(pair: Pair, status: str) -> dict[str, object]:
    instrument = pair.instrument
    return {
        "altname": pair.altname,
        "wsname": pair.wsname,
        "aclass_base": "currency",
        "base": pair.base.key,
        "aclass_quote": "currency",
        "quote": pair.quote.key,
        "lot": "unit",
        "cost_decimals": pair.cost_decimals,
        "pair_decimals": pair.price_decimals,
        "lot_decimals": pair.lot_decimals,
        "lot_multiplier": 1,
        "leverage_buy": [],
        "leverage_sell": [],
        "fees": schedule(instrument, maker=False),
        "fees_maker": schedule(instrument, maker=True),
        "fee_volume_currency": "ZUSD",
        "margin_call": 80,
        "margin_stop": 40,
        "ordermin": short(instrument.quantity_min),
        "costmin": short(instrument.notional_min),
        "tick_size": short(instrument.tick),
        "status": status,
        "execution_venue": "international",
    }


def ticker(floor: Floor, values: Values) -> object:
    rows = {key: _ticker_row(floor, pair) for key, pair in _pairs(floor, values)}
    return {key: row for key, row in rows.items() if row is not None}


def _ticker_row(floor: Floor, pair: Pair) -> dict[str, object] | None:
    book = floor.market.book(pair.symbol, 1)
    last = floor.market.last_price(pair.symbol)
    if last is None:
        return None
    today, day = floor.market.today(pair.symbol), floor.market.last_day(pair.symbol)
    ticks = floor.market.ticks[pair.symbol]

    def price(value: int) -> str:
        return text(value, pair.cost_decimals)

    def best(level: Level) -> list[str]:
        lots = max(1, level.quantity // UNITS)
        return [price(level.price), str(lots), f"{lots}.000"]

    return {
        "a": best(book.asks[0]),
        "b": best(book.bids[0]),
        "c": [price(last), text(ticks[-1].quantity if ticks else 0)],
        "v": [text(today.volume), text(day.volume)],
        "p": [price(today.average), price(day.average)],
        "t": [today.trades, day.trades],
        "l": [price(today.low), price(day.low)],
        "h": [price(today.high), price(day.high)],
        "o": price(today.open),
    }


def ohlc(floor: Floor, values: Values) -> object:
    """Return at most 720 bars: those opened after since, and always the one still running."""
    key, pair = _pair(floor, values)
    minutes = whole(values, "interval", 1)
    if minutes not in INTERVALS:
        raise bad("interval")
    bars = _bars(floor, pair.symbol, minutes)[-BARS_MAX:]
    since = whole(values, "since", -1)
    committed = bars[-2].opened_ms // 1000 if len(bars) > 1 else 0
    shown = [bar for bar in bars[:-1] if bar.opened_ms > since * 1000] + bars[-1:]
    return {key: [_bar_row(bar, pair) for bar in shown], "last": committed}


def _bars(floor: Floor, symbol: str, minutes: int) -> list[Candle]:
    """Return the bars up to now without a gap: where nothing was traded the price stands still."""
    found, step = bars_of(floor, symbol, minutes, BARS_MAX), minutes * 60_000
    bars: list[Candle] = []
    for candle in found:
        if bars:
            bars += _still(bars[-1], candle.opened_ms, step)
        bars.append(candle)
    if bars:
        bars += _still(bars[-1], floor.now_ms - floor.now_ms % step + step, step)
    return bars


def bars_of(floor: Floor, symbol: str, minutes: int, limit: int) -> list[Candle]:
    """Return the latest bars there are, oldest first; long ones are put together from days."""
    candles = floor.place.candles
    if minutes not in FROM_DAYS:
        return list(candles.history(symbol, minutes * 60, limit=limit))
    days = minutes // DAY
    return _joined(candles.history(symbol, DAY * 60, limit=limit * days), minutes)[-limit:]


def _still(last: Candle, until_ms: int, step: int) -> list[Candle]:
    """Return bars without trades that fill the time between two."""
    starts = range(last.opened_ms + step, until_ms, step)
    price = last.close
    return [
        Candle(opened_ms=start, open=price, high=price, low=price, close=price)
        for start in starts[-BARS_MAX:]
    ]


def _joined(days: Sequence[Candle], minutes: int) -> list[Candle]:
    """Return bars of several days, counted from 1970, so that a week begins on a Thursday."""
    bars: list[Candle] = []
    for day in days:
        opened_ms = day.opened_ms - day.opened_ms % (minutes * 60_000)
        if bars and bars[-1].opened_ms == opened_ms:
            merge(bars[-1], day)
        else:
            bars.append(replace(day, opened_ms=opened_ms))
    return bars


def average(candle: Candle) -> int:
    """Return a bar's price weighted by volume, zero when nothing was traded."""
    return rounded(candle.amount * UNITS, candle.volume) if candle.volume else 0


def _bar_row(candle: Candle, pair: Pair) -> list[object]:
    prices = (candle.open, candle.high, candle.low, candle.close, average(candle))
    shown = [text(price, pair.price_decimals) for price in prices]
    return [candle.opened_ms // 1000, *shown, text(candle.volume), candle.trades]


def depth(floor: Floor, values: Values) -> object:
    key, pair = _pair(floor, values)
    count = whole(values, "count", LEVELS)
    if not 1 <= count <= LEVELS_MAX:
        raise bad("count")
    book, now = floor.market.book(pair.symbol, count), floor.now_ms // 1000

    def row(level: Level) -> list[object]:
        return [text(level.price, pair.cost_decimals), text(level.quantity, 3), now]

    return {
        key: {
            "asks": [row(level) for level in book.asks],
            "bids": [row(level) for level in book.bids],
        }
    }


def trades(floor: Floor, values: Values) -> object:
    key, pair = _pair(floor, values)
    count = whole(values, "count", TRADES_MAX)
    if not 1 <= count <= TRADES_MAX:
        raise bad("count")
    since = _since_ns(values)
    ticks = [tick for tick in floor.market.ticks[pair.symbol] if mark_ns(tick) > since]
    ticks = ticks[:count] if since else ticks[-count:]
    rows = [
        [
            text(tick.price, pair.cost_decimals),
            text(tick.quantity),
            mark_ns(tick) // 1000 / 1_000_000,
            "b" if tick.buyer_took else "s",
            "m",
            "",
            tick.number,
        ]
        for tick in ticks
    ]
    last = mark_ns(ticks[-1]) if ticks else since or floor.place.clock.now_ns()
    return {key: rows, "last": str(last)}


def _since_ns(values: Values) -> int:
    """Return since in nanoseconds: it is given in those or in seconds."""
    given = number(values, "since") // UNITS if word(values, "since") else 0
    return given if given > NANO_MARK else given * 1_000_000_000


def spread(floor: Floor, values: Values) -> object:
    key, pair = _pair(floor, values)
    since = whole(values, "since", -1)
    rows = [
        [
            at_ms // 1000,
            text(bid, pair.cost_decimals),
            text(ask, pair.cost_decimals),
        ]
        for at_ms, bid, ask in floor.market.spreads[pair.symbol]
        if at_ms // 1000 >= since
    ]
    return {key: rows, "last": floor.now_ms // 1000}
