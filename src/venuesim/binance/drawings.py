"""Market events as the streams write them."""

from venuesim.binance.floor import Floor
from venuesim.binance.klines import closes_ms
from venuesim.binance.market import levels_text
from venuesim.binance.tape import Window
from venuesim.binance.words import symbol_of
from venuesim.candles import Candle
from venuesim.exchange import Ticked
from venuesim.instruments import Instrument
from venuesim.units import text

Json = dict[str, object]


def trade(floor: Floor, symbol: str, tick: Ticked) -> Json:
    return {
        "e": "trade",
        "E": floor.now_ms,
        "s": symbol,
        "t": tick.number,
        "p": text(tick.price),
        "q": text(tick.quantity),
        "T": tick.at_ms,
        "m": not tick.buyer_took,
        "M": True,
    }


def aggregate_trade(floor: Floor, symbol: str, tick: Ticked) -> Json:
    return {
        "e": "aggTrade",
        "E": floor.now_ms,
        "s": symbol,
        "a": tick.number,
        "p": text(tick.price),
        "q": text(tick.quantity),
        "f": tick.number,
        "l": tick.number,
        "T": tick.at_ms,
        "m": not tick.buyer_took,
        "M": True,
    }


def kline(floor: Floor, symbol: str, interval: str, candle: Candle, *, closed: bool) -> Json:
    return {
        "e": "kline",
        "E": floor.now_ms,
        "s": symbol,
        "k": {
            "t": candle.opened_ms,
            "T": closes_ms(interval, candle.opened_ms),
            "s": symbol,
            "i": interval,
            "f": candle.first_trade,
            "L": candle.last_trade,
            "o": text(candle.open),
            "c": text(candle.close),
            "h": text(candle.high),
            "l": text(candle.low),
            "v": text(candle.volume),
            "n": candle.trades,
            "x": closed,
            "q": text(candle.amount),
            "V": text(candle.taker_volume),
            "Q": text(candle.taker_amount),
            "B": "0",
        },
    }


def mini_ticker(floor: Floor, instrument: Instrument) -> Json:
    now = floor.now_ms
    window = floor.tape.day(instrument.name, now)
    return {
        "e": "24hrMiniTicker",
        "E": now,
        "s": symbol_of(instrument),
        "c": text(window.last),
        "o": text(window.open),
        "h": text(window.high),
        "l": text(window.low),
        "v": text(window.volume),
        "q": text(window.amount),
    }


def _numbers(window: Window) -> Json:
    return {
        "o": text(window.open),
        "h": text(window.high),
        "l": text(window.low),
        "v": text(window.volume),
        "q": text(window.amount),
        "O": window.opened_ms,
        "C": window.closed_ms,
        "F": window.first_trade,
        "L": window.last_trade,
        "n": window.trades,
    }


def ticker(floor: Floor, instrument: Instrument) -> Json:
    now, name = floor.now_ms, instrument.name
    window, ladder = floor.tape.day(name, now), floor.tape.ladder(name)
    last = floor.tape.last_trade(name)
    (bid, bid_quantity), (ask, ask_quantity) = ladder.bids[0], ladder.asks[0]
    return {
        "e": "24hrTicker",
        "E": now,
        "s": symbol_of(instrument),
        "p": text(window.change),
        "P": window.percent,
        "w": text(window.average),
        "x": text(window.before),
        "c": text(window.last),
        "Q": text(last.quantity if last else 0),
        "b": text(bid),
        "B": text(bid_quantity),
        "a": text(ask),
        "A": text(ask_quantity),
    } | _numbers(window)


def window_ticker(floor: Floor, instrument: Instrument, word: str, length_ms: int) -> Json:
    now = floor.now_ms
    start = now - length_ms
    window = floor.tape.window(instrument.name, start - start % 60_000, now)
    return {
        "e": f"{word}Ticker",
        "E": now,
        "s": symbol_of(instrument),
        "p": text(window.change),
        "P": window.percent,
        "w": text(window.average),
        "c": text(window.last),
    } | _numbers(window)


def book_ticker(floor: Floor, instrument: Instrument) -> Json:
    ladder = floor.tape.ladder(instrument.name)
    (bid, bid_quantity), (ask, ask_quantity) = ladder.bids[0], ladder.asks[0]
    return {
        "u": ladder.number,
        "s": symbol_of(instrument),
        "b": text(bid),
        "B": text(bid_quantity),
        "a": text(ask),
        "A": text(ask_quantity),
    }


def partial_book(floor: Floor, instrument: Instrument, levels: int) -> Json:
    ladder = floor.tape.ladder(instrument.name)
    return {
        "lastUpdateId": ladder.number,
        "bids": levels_text(ladder.bids[:levels]),
        "asks": levels_text(ladder.asks[:levels]),
    }


def average_price(floor: Floor, instrument: Instrument) -> Json:
    last = floor.tape.last_trade(instrument.name)
    return {
        "e": "avgPrice",
        "E": floor.now_ms,
        "s": symbol_of(instrument),
        "i": "5m",
        "w": text(floor.tape.average_price(instrument.name)),
        "T": last.at_ms if last else floor.now_ms,
    }
