"""The market as everybody may see it: pairs, prices, candles, trades, the book."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta

from venuesim.bybit.ask import DAY_MS, Ask, Memory, PublicTrade, Said
from venuesim.bybit.depth import DEEPEST, Level
from venuesim.bybit.errors import Refused
from venuesim.bybit.rows import PUBLIC_IDS, SEQUENCE, Row, symbol
from venuesim.bybit.trading import AWAY, DERIVATIVES
from venuesim.candles import Candle
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
}
QUARTER = 900  # seconds; the last day is told from its quarters of hours
QUARTERS = 97
GROUPED = ("W", "M")  # made of days
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
    quarters = memory.place.candles.kept[one.name, QUARTER][-QUARTERS:]
    candles = [candle for candle in quarters if candle.opened_ms >= since]
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
    """Show candles, the latest first."""
    word = category(ask, "linear")
    if word != "spot":
        raise Refused(10001, text="Not supported symbols")
    one, interval = ask.instrument(), ask.needed("interval")
    start, end = ask.whole("start", 0), ask.whole("end", 0)
    limit = ask.limit(200, 1000)
    found = candles_of(ask.memory, one.name, interval)
    found = [c for c in found if c.opened_ms >= start and (not end or c.opened_ms <= end)]
    chosen = found[:limit] if start and not end else found[-limit:]
    rows = [candle_row(candle) for candle in reversed(chosen)]
    return Said(result={"category": word, "symbol": symbol(one), "list": rows})


def candles_of(memory: Memory, name: str, interval: str) -> Sequence[Candle]:
    """Return a pair's candles, oldest first; weeks begin on Monday, months on the first."""
    if interval in INTERVALS:
        return memory.place.candles.kept[name, INTERVALS[interval]]
    if interval not in GROUPED:
        raise Refused(10001, text="Invalid period!")
    return grouped(memory.place.candles.kept[name, INTERVALS["D"]], opens(interval))


def opens(interval: str) -> Callable[[datetime], datetime]:
    """Return what tells the first day of the week or month a day is in."""
    if interval == "W":
        return lambda day: day - timedelta(days=day.weekday())
    return lambda day: day.replace(day=1)


def grouped(days: Iterable[Candle], first: Callable[[datetime], datetime]) -> list[Candle]:
    longer: list[Candle] = []
    for day in days:
        date = first(datetime.fromtimestamp(day.opened_ms // 1000, UTC))
        opened = int(date.timestamp()) * 1000
        if not longer or longer[-1].opened_ms != opened:
            longer.append(
                Candle(opened_ms=opened, open=day.open, high=day.high, low=day.low, close=day.close)
            )
        candle = longer[-1]
        candle.high, candle.low = max(candle.high, day.high), min(candle.low, day.low)
        candle.close = day.close
        candle.volume += day.volume
        candle.amount += day.amount
    return longer


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
