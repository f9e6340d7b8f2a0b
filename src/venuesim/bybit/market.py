"""The market as everybody may see it: pairs, prices, candles, trades, the book."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from venuesim.bybit.ask import DAY_MS, Ask, Memory, PublicTrade, Said
from venuesim.bybit.depth import DEEPEST, Level
from venuesim.bybit.errors import Refused
from venuesim.bybit.rows import PUBLIC_IDS, SEQUENCE, Row, symbol
from venuesim.bybit.trading import AWAY, DERIVATIVES
from venuesim.candles import KEPT, Candle, merge
from venuesim.instruments import Instrument
from venuesim.orders import Refusal
from venuesim.units import short

INTERVALS = {
    "1": 60,
    "3": 180,
    "5": 300,
    "15": 900,
    "30": 1800,
    "60": 3600,
    "120": 7200,
    "240": 14400,
    "360": 21600,
    "720": 43200,
    "D": 86400,
    "W": 604800,
}
QUARTER = 900  # seconds; the last day is told from its quarters of hours
QUARTERS = 97
DAY = 86400
MONTH = "M"  # made of days
MAINTENANCE = "ongoing"


def category(ask: Ask, default: str = "") -> str:
    word = ask.text("category", default)
    if word != "spot" and word not in DERIVATIVES:
        raise Refused(10001, text="params error: Category is invalid")
    return word


def server_time(ask: Ask) -> Said:
    nanos = ask.memory.place.clock.now_ns()
    return Said(result={"timeSecond": str(nanos // 10**9), "timeNano": str(nanos)})


def instruments(ask: Ask) -> Said:
    """Describe the spot pairs; there are no others, so the other categories are empty."""
    word = category(ask)
    if word != "spot":
        return Said(result={"category": word, "list": [], "nextPageCursor": ""})
    pairs = list(ask.memory.place.exchange.instruments.values())
    wanted = {ask.instrument().name} if ask.text("symbol") else {one.name for one in pairs}
    if ask.text("status", "Trading") != "Trading":
        wanted = set()
    rows = [pair_row(n, one) for n, one in enumerate(pairs, 1) if one.name in wanted]
    return Said(result={"category": word, "list": rows})


def pair_row(number: int, one: Instrument) -> Row:
    return {
        "symbolId": number,
        "symbol": symbol(one),
        "baseCoin": one.base,
        "quoteCoin": one.quote,
        "innovation": "0",
        "status": "Trading",
        "marginTrading": "none",
        "stTag": "0",
        "xstockMultiplier": "1",
        "lotSizeFilter": {
            "basePrecision": short(one.step),
            "quotePrecision": short(10 ** (8 - one.amount_decimals)),
            "minOrderQty": short(one.quantity_min),
            "maxOrderQty": short(one.quantity_max),
            "minOrderAmt": short(one.notional_min),
            "maxOrderAmt": short(one.quantity_max),
            "maxLimitOrderQty": short(one.quantity_max),
            "maxMarketOrderQty": short(one.quantity_max),
            "postOnlyMaxLimitOrderSize": short(one.quantity_max),
        },
        "priceFilter": {"tickSize": short(one.tick)},
        "riskParameters": {
            "priceLimitRatioX": short(AWAY * 100),
            "priceLimitRatioY": short(2 * AWAY * 100),
        },
        "symbolType": "",
    }


def tickers(ask: Ask) -> Said:
    word = category(ask)
    if word != "spot":
        return Said(result={"category": word, "list": []})
    pairs = list(ask.memory.place.exchange.instruments.values())
    chosen = [ask.instrument()] if ask.text("symbol") else pairs
    rows = [ticker_row(ask.memory, one) for one in chosen]
    return Said(result={"category": word, "list": [row for row in rows if row]})


def ticker_row(memory: Memory, one: Instrument) -> Row:
    """Return a pair's ticker; nothing while it has no price."""
    day = day_row(memory, one)
    if not day:
        return {}
    (bids, asks) = memory.depths.sides(one.name, 1)
    return {
        "symbol": symbol(one),
        "bid1Price": short(bids[0][0]),
        "bid1Size": short(bids[0][1]),
        "ask1Price": short(asks[0][0]),
        "ask1Size": short(asks[0][1]),
        **day,
    }


def day_row(memory: Memory, one: Instrument) -> Row:
    """Return the last price and what the last 24 hours were, as ticker and stream say them."""
    exchange = memory.place.exchange
    try:
        last = exchange.price(one.name)
    except Refusal:
        return {}
    since = memory.now_ms - DAY_MS
    candles = memory.place.candles.history(one.name, QUARTER, start_ms=since, limit=QUARTERS)
    first = candles[0].open if candles else last
    in_dollars = one.quote in ("USDT", "USDC")
    return {
        "symbol": symbol(one),
        "lastPrice": short(last),
        "prevPrice24h": short(first),
        "price24hPcnt": percent(last - first, first),
        "highPrice24h": short(max((c.high for c in candles), default=last)),
        "lowPrice24h": short(min((c.low for c in candles), default=last)),
        "turnover24h": short(sum(c.amount for c in candles)),
        "volume24h": short(sum(c.volume for c in candles)),
        "usdIndexPrice": short(last) if in_dollars else "",
    }


def percent(change: int, first: int) -> str:
    """Return a change as a share with four decimals: 0.0068, -0.02."""
    share = short(abs(change) * 10_000 // first * 10_000)
    return f"-{share}" if change < 0 and share != "0" else share


def kline(ask: Ask) -> Said:
    """Show candles, the latest first: up to the end, or so many from the start on."""
    word = category(ask, "linear")
    if word != "spot":
        raise Refused(10001, text="Not supported symbols")
    one, interval = ask.instrument(), ask.needed("interval")
    start, end = ask.whole("start", 0), ask.whole("end", 0)
    limit = ask.limit(200, 1000)
    found = unbroken(known(ask.memory, one.name, interval), interval, start, end, limit)
    rows = [candle_row(candle) for candle in reversed(found)]
    return Said(result={"category": word, "symbol": symbol(one), "list": rows})


def known(memory: Memory, name: str, interval: str, limit: int = KEPT) -> Sequence[Candle]:
    """Return a pair's latest candles in which something was traded, oldest first."""
    if interval == MONTH:
        return months(memory.place.candles.history(name, DAY, limit=KEPT))[-limit:]
    if interval not in INTERVALS:
        raise Refused(10001, text="Invalid period!")
    return memory.place.candles.history(name, INTERVALS[interval], limit=limit)


def months(days: Iterable[Candle]) -> list[Candle]:
    longer: list[Candle] = []
    for day in days:
        date = datetime.fromtimestamp(day.opened_ms // 1000, UTC).replace(day=1)
        opened = int(date.timestamp()) * 1000
        if longer and longer[-1].opened_ms == opened:
            merge(longer[-1], day)
        else:
            longer.append(replace(day, opened_ms=opened))
    return longer


def unbroken(
    candles: Sequence[Candle], interval: str, start: int, end: int, limit: int
) -> list[Candle]:
    """Return at most so many candles opened in a window; where nothing was traded a flat one."""
    if not candles:
        return []
    last = min(end or candles[-1].opened_ms, candles[-1].opened_ms)
    if interval == MONTH:
        found = [candle for candle in candles if start <= candle.opened_ms <= last]
        return found[:limit] if start and not end else found[-limit:]
    length = INTERVALS[interval] * 1000
    first = max(start, candles[0].opened_ms)
    first += (candles[0].opened_ms - first) % length
    last -= (last - candles[0].opened_ms) % length
    if start and not end:
        last = min(last, first + (limit - 1) * length)
    else:
        first = max(first, last - (limit - 1) * length)
    return list(walk(candles, range(first, last + 1, length)))


def walk(candles: Sequence[Candle], opened: range) -> Iterator[Candle]:
    place = bisect_left(candles, opened.start, key=lambda candle: candle.opened_ms)
    close = candles[max(0, place - 1)].close
    for at_ms in opened:
        if candles[place].opened_ms == at_ms:
            yield candles[place]
            close, place = candles[place].close, place + 1
        else:
            yield Candle(opened_ms=at_ms, open=close, high=close, low=close, close=close)


def candle_row(candle: Candle) -> list[str]:
    prices = (candle.open, candle.high, candle.low, candle.close)
    amounts = (*prices, candle.volume, candle.amount)
    return [str(candle.opened_ms), *(short(amount) for amount in amounts)]


def orderbook(ask: Ask) -> Said:
    word = category(ask)
    if word != "spot":
        raise Refused(10001, text="Not supported symbols")
    one, limit = ask.instrument(), ask.limit(1, DEEPEST)
    bids, asks = ask.memory.depths.sides(one.name, limit)
    version, now = ask.memory.depths.versions[one.name], ask.memory.now_ms
    result = {
        "s": symbol(one),
        "a": levels(asks),
        "b": levels(bids),
        "ts": now,
        "u": version,
        "seq": SEQUENCE + version,
        "cts": now,
    }
    return Said(result=result)


def levels(side: Sequence[Level]) -> list[list[str]]:
    return [[short(price), short(size)] for price, size in side]


def recent_trades(ask: Ask) -> Said:
    word = category(ask)
    if word != "spot":
        return Said(result={"category": word, "list": []})
    one, limit = ask.instrument(), ask.limit(60, 60)
    latest = list(reversed(ask.memory.trades[one.name]))[:limit]
    rows = [trade_row(symbol(one), trade) for trade in latest]
    return Said(result={"category": word, "list": rows})


def trade_row(name: str, trade: PublicTrade) -> Row:
    return {
        "execId": str(PUBLIC_IDS + trade.number),
        "symbol": name,
        "price": short(trade.price),
        "size": short(trade.quantity),
        "side": "Buy" if trade.buyer_took else "Sell",
        "time": str(trade.at_ms),
        "isBlockTrade": False,
        "isRPITrade": False,
        "seq": str(SEQUENCE + trade.number),
    }


def announcements(ask: Ask) -> Said:
    ask.needed("locale")
    return Said(result={"total": 0, "list": []})


def system_status(ask: Ask) -> Said:
    rows = status_rows(ask.memory)
    state = ask.text("state")
    return Said(result={"list": [row for row in rows if state in ("", row["state"])]}, text="")


def status_rows(memory: Memory) -> list[Row]:
    """Return the maintenance the venue is in, if it is in one."""
    if not memory.place.maintenance:
        return []
    begin = memory.now_ms - memory.now_ms % 3_600_000
    return [
        {
            "id": f"4d95b2a0-587f-11f0-bcc9-{begin:012x}"[:36],
            "title": "Spot system maintenance",
            "state": MAINTENANCE,
            "begin": str(begin),
            "end": str(begin + 7_200_000),
            "href": "",
            "serviceTypes": [1, 2, 3],
            "product": [2],
            "uidSuffix": [],
            "maintainType": 1,
            "env": 1,
        }
    ]
