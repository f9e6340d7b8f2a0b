"""Market data as REST gives it: book, trades, klines and tickers."""

from collections.abc import Callable, Iterable

from venuesim.binance.denials import Denied, bad_combination, missing
from venuesim.binance.floor import Ask, Floor, Reply
from venuesim.binance.klines import klines as klines_of
from venuesim.binance.klines import row
from venuesim.binance.parameters import Parameters
from venuesim.binance.tape import Window, amount_of
from venuesim.binance.words import DAY_MS, INTERVALS, symbol_of
from venuesim.exchange import Ticked
from venuesim.instruments import Instrument
from venuesim.units import text

Json = dict[str, object]
SYMBOLS_MAX = 100  # of a request for windows of several symbols
WINDOWS = {
    **{f"{number}m": number * 60_000 for number in range(1, 60)},
    **{f"{number}h": number * 3_600_000 for number in range(1, 24)},
    **{f"{number}d": number * DAY_MS for number in range(1, 8)},
}


def ping(ask: Ask) -> Reply:
    return Reply(body={})


def server_time(ask: Ask) -> Reply:
    return Reply(body={"serverTime": ask.now_ms})


def priced(ask: Ask) -> Instrument:
    """Return the instrument asked for, which has a market by now."""
    instrument = ask.floor.instrument(ask.sent.symbol())
    if instrument.name not in ask.floor.place.exchange.prices:
        raise Denied(-1112, "No orders on book for symbol.")
    return instrument


def levels_text(levels: Iterable[tuple[int, int]]) -> list[list[str]]:
    return [[text(price), text(quantity)] for price, quantity in levels]


def depth(ask: Ask) -> Reply:
    instrument = priced(ask)
    limit = ask.sent.limit(100, 5000)
    ladder = ask.floor.tape.ladder(instrument.name)
    return Reply(
        body={
            "lastUpdateId": ladder.number,
            "bids": levels_text(ladder.bids[:limit]),
            "asks": levels_text(ladder.asks[:limit]),
        }
    )


# -------------------------------------------------------------------- trades


def _trade(tick: Ticked) -> Json:
    return {
        "id": tick.number,
        "price": text(tick.price),
        "qty": text(tick.quantity),
        "quoteQty": text(amount_of(tick)),
        "time": tick.at_ms,
        "isBuyerMaker": not tick.buyer_took,
        "isBestMatch": True,
    }


def recent_trades(ask: Ask) -> Reply:
    instrument = ask.floor.instrument(ask.sent.symbol())
    trades = ask.floor.tape.trades[instrument.name]
    return Reply(body=[_trade(tick) for tick in list(trades)[-ask.sent.limit() :]])


def historical_trades(ask: Ask) -> Reply:
    instrument = ask.floor.instrument(ask.sent.symbol())
    limit, from_id = ask.sent.limit(), ask.sent.long("fromId")
    trades = list(ask.floor.tape.trades[instrument.name])
    if from_id is None:
        found = trades[-limit:]
    else:
        found = [tick for tick in trades if tick.number >= from_id][:limit]
    return Reply(body=[_trade(tick) for tick in found])


def aggregate_trades(ask: Ask) -> Reply:
    """Return trades; in this market every trade is its own aggregate."""
    sent = ask.sent
    instrument = ask.floor.instrument(sent.symbol())
    limit, from_id = sent.limit(), sent.long("fromId")
    start, end = sent.moment("startTime"), sent.moment("endTime")
    if from_id is not None and (start is not None or end is not None):
        raise bad_combination()
    found = [
        tick
        for tick in ask.floor.tape.trades[instrument.name]
        if (from_id is None or tick.number >= from_id)
        and (start is None or tick.at_ms >= start)
        and (end is None or tick.at_ms <= end)
    ]
    forward = from_id is not None or start is not None
    return Reply(
        body=[
            {
                "a": tick.number,
                "p": text(tick.price),
                "q": text(tick.quantity),
                "f": tick.number,
                "l": tick.number,
                "T": tick.at_ms,
                "m": not tick.buyer_took,
                "M": True,
            }
            for tick in (found[:limit] if forward else found[-limit:])
        ]
    )


# -------------------------------------------------------------------- klines


def klines(ask: Ask) -> Reply:
    sent = ask.sent
    instrument = ask.floor.instrument(sent.symbol())
    interval = sent.text("interval")
    if interval not in INTERVALS:
        raise Denied(-1120, "Invalid interval.")
    if sent.has("timeZone") and sent.text("timeZone") not in ("0", "0:00", "00:00", "+0"):
        raise Denied(-1130, "Data sent for parameter 'timeZone' is not valid.")
    found = klines_of(
        ask.floor.place.candles,
        instrument.name,
        interval,
        start_ms=sent.moment("startTime"),
        end_ms=sent.moment("endTime"),
        limit=sent.limit(),
    )
    return Reply(body=[row(candle, interval) for candle in found])


def average_price(ask: Ask) -> Reply:
    instrument = priced(ask)
    last = ask.floor.tape.last_trade(instrument.name)
    return Reply(
        body={
            "mins": 5,
            "price": text(ask.floor.tape.average_price(instrument.name)),
            "closeTime": last.at_ms if last else ask.now_ms,
        }
    )


# ------------------------------------------------------------------- tickers


def _for_symbols(ask: Ask, write: Callable[[Floor, Instrument, int], Json]) -> Reply:
    """Return one symbol's, some symbols' or all symbols' tickers."""
    floor, sent = ask.floor, ask.sent
    sent.one_of("symbolStatus", ("TRADING", "HALT", "BREAK"))
    symbols = sent.symbols()
    if sent.has("symbol"):
        if symbols is not None:
            raise bad_combination()
        return Reply(body=write(floor, priced(ask), ask.now_ms))
    chosen = (
        list(floor.symbols.values())
        if symbols is None
        else [floor.instrument(symbol) for symbol in symbols]
    )
    known = floor.place.exchange.prices
    return Reply(body=[write(floor, one, ask.now_ms) for one in chosen if one.name in known])


def _window_numbers(window: Window) -> Json:
    return {
        "openPrice": text(window.open),
        "highPrice": text(window.high),
        "lowPrice": text(window.low),
        "lastPrice": text(window.last),
        "volume": text(window.volume),
        "quoteVolume": text(window.amount),
        "openTime": window.opened_ms,
        "closeTime": window.closed_ms,
        "firstId": window.first_trade,
        "lastId": window.last_trade,
        "count": window.trades,
    }


def _changes(window: Window) -> Json:
    return {
        "priceChange": text(window.change),
        "priceChangePercent": window.percent,
        "weightedAvgPrice": text(window.average),
    }


def _day_ticker(floor: Floor, instrument: Instrument, now_ms: int) -> Json:
    window = floor.tape.day(instrument.name, now_ms)
    ladder = floor.tape.ladder(instrument.name)
    last = floor.tape.last_trade(instrument.name)
    numbers = _window_numbers(window)
    del numbers["lastPrice"]
    (bid, bid_quantity), (ask, ask_quantity) = ladder.bids[0], ladder.asks[0]
    return (
        {"symbol": symbol_of(instrument)}
        | _changes(window)
        | {
            "prevClosePrice": text(window.before),
            "lastPrice": text(window.last),
            "lastQty": text(last.quantity if last else 0),
            "bidPrice": text(bid),
            "bidQty": text(bid_quantity),
            "askPrice": text(ask),
            "askQty": text(ask_quantity),
        }
        | numbers
    )


def _mini_ticker(floor: Floor, instrument: Instrument, now_ms: int) -> Json:
    window = floor.tape.day(instrument.name, now_ms)
    return {"symbol": symbol_of(instrument)} | _window_numbers(window)


def day_ticker(ask: Ask) -> Reply:
    mini = ask.sent.one_of("type", ("FULL", "MINI")) == "MINI"
    return _for_symbols(ask, _mini_ticker if mini else _day_ticker)


def price_ticker(ask: Ask) -> Reply:
    return _for_symbols(
        ask,
        lambda floor, one, now: {
            "symbol": symbol_of(one),
            "price": text(floor.place.exchange.price(one.name)),
        },
    )


def _book_ticker(floor: Floor, instrument: Instrument, now_ms: int) -> Json:
    ladder = floor.tape.ladder(instrument.name)
    (bid, bid_quantity), (ask, ask_quantity) = ladder.bids[0], ladder.asks[0]
    return {
        "symbol": symbol_of(instrument),
        "bidPrice": text(bid),
        "bidQty": text(bid_quantity),
        "askPrice": text(ask),
        "askQty": text(ask_quantity),
    }


def book_ticker(ask: Ask) -> Reply:
    return _for_symbols(ask, _book_ticker)


def _window_ticker(ask: Ask, start_ms: int, end_ms: int) -> Reply:
    sent = ask.sent
    symbols = sent.symbols()
    if not sent.has("symbol") and symbols is None:
        raise missing("symbol")
    if symbols is not None and len(symbols) > SYMBOLS_MAX:
        raise Denied(-1101, "Too many symbols sent.")
    mini = sent.one_of("type", ("FULL", "MINI")) == "MINI"

    def write(floor: Floor, instrument: Instrument, now_ms: int) -> Json:
        window = floor.tape.window(instrument.name, start_ms, end_ms)
        changes = {} if mini else _changes(window)
        return {"symbol": symbol_of(instrument)} | changes | _window_numbers(window)

    return _for_symbols(ask, write)


def rolling_ticker(ask: Ask) -> Reply:
    length = WINDOWS.get(ask.sent.optional("windowSize") or "1d")
    if length is None:
        raise Denied(-1130, "Data sent for parameter 'windowSize' is not valid.")
    start = ask.now_ms - length
    return _window_ticker(ask, start - start % 60_000, ask.now_ms)


def trading_day_ticker(ask: Ask) -> Reply:
    start = ask.now_ms - ask.now_ms % DAY_MS
    return _window_ticker(ask, start, start + DAY_MS - 1)


# ------------------------------------------------------------------- weights


def depth_weight(sent: Parameters) -> int:
    limit = sent.sent.get("limit", "100")
    number = int(limit) if limit.isdecimal() and len(limit) < 9 else 100
    return next(
        weight for most, weight in ((100, 5), (500, 25), (1000, 50), (10**9, 250)) if number <= most
    )


def day_ticker_weight(sent: Parameters) -> int:
    if sent.has("symbol"):
        return 2
    if not sent.has("symbols"):
        return 80
    count = sent.sent["symbols"].count(",") + 1
    return 2 if count <= 20 else 40 if count <= 100 else 80


def ticker_weight(sent: Parameters) -> int:
    return 2 if sent.has("symbol") else 4


def window_weight(sent: Parameters) -> int:
    count = sent.sent.get("symbols", "").count(",") + 1
    return min(200, 4 * count)
