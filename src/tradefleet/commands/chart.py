"""/chart: a pair's candles with what was traded and is waited for, or your equity, as a picture.

What is drawn is read first, then the venue is asked for its bars and the picture is drawn, while
no transaction is open; the handler only hands over what came of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from tradefleet.command import (
    PAPER,
    TRADES_MAX,
    Attachment,
    CommandSpec,
    Context,
    Question,
    Reply,
    Route,
    VenueDesk,
)
from tradefleet.domain.bot import BotMemory, BotSpec
from tradefleet.domain.chart import (
    CandleChart,
    Chart,
    EquityChart,
    Level,
    LevelKind,
    Mark,
    MarkKind,
    Span,
    Theme,
)
from tradefleet.domain.errors import Refused, VenueUnavailable
from tradefleet.domain.market import Bar, Side, Stream, Symbol, Timeframe
from tradefleet.domain.money import MONEY, ZERO
from tradefleet.domain.order import Fill
from tradefleet.domain.performance import Performance, by_quote
from tradefleet.domain.position import Position, Trade
from tradefleet.drawing import count, moment, money, percent, pnl, price, quantity

BARS, BARS_MIN, BARS_MAX = 120, 1, 500
ORDERS_MAX = 400  # of a pair, whose fills are looked for in the picture
FIVE_MINUTES = Timeframe(300)
NO_PICTURE = "none"
NO_BARS = "❌ {venue} tells no bars of {symbol} now; try again in a minute."
NO_TRADES = "📈 No closed trades yet: there is no equity to draw. /chart BTC/USDT draws a pair."


@dataclass(frozen=True, slots=True)
class ChartWanted:
    """No symbol: equity. timeframe "": the pair's own; theme: dark, light, or none: no picture."""

    symbol: Symbol | None = None
    timeframe: str = ""
    bars: int = BARS
    theme: str = "dark"


@dataclass(frozen=True, slots=True)
class Candle:
    opened_at: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


@dataclass(frozen=True, slots=True)
class Marked:
    """Something traded: entry or exit."""

    kind: str
    at: datetime
    price: Decimal


@dataclass(frozen=True, slots=True)
class MarkedLevel:
    """A price that is waited for: entry (where it was opened), stop or target."""

    kind: str
    name: str
    price: Decimal


@dataclass(frozen=True, slots=True)
class EquityPoint:
    at: datetime
    equity: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartData:
    """What a chart shows: candles with their marks and levels, or points of equity."""

    title: str
    candles: tuple[Candle, ...] = ()
    marks: tuple[Marked, ...] = ()
    levels: tuple[MarkedLevel, ...] = ()
    equity: tuple[EquityPoint, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Traded:
    """What the store knows of one pair."""

    bot: BotSpec | None
    memory: BotMemory | None
    trades: Sequence[Trade]
    fills: Sequence[Fill]


# ---- before the transaction


async def ask(request: ChartWanted, context: Context) -> Question:
    """Return the question that fetches the bars and draws the picture."""
    theme = theme_of(request.theme)
    if not BARS_MIN <= request.bars <= BARS_MAX:
        raise Refused(f"bars must be from {BARS_MIN} to {BARS_MAX}.")
    if request.symbol is None:
        charts = await equity_charts(context)

        async def draw_equity(desk: VenueDesk) -> "Drawn":
            return Drawn(charts, [await picture(desk, each, theme) for each in charts])

        return draw_equity
    known = await traded(request.symbol, context)
    stream = await stream_of(request, known.bot, context)
    now = context.clock.now()

    async def draw_candles(desk: VenueDesk) -> "Drawn":
        try:
            bars = await desk.bars(stream, before=now, count=request.bars)
        except VenueUnavailable:
            bars = ()
        if not bars:
            raise Refused(NO_BARS.format(venue=stream.venue, symbol=stream.symbol))
        chart = candle_chart(stream, bars, known)
        return Drawn([chart], [await picture(desk, chart, theme)])

    return draw_candles


def theme_of(word: str) -> Theme | None:
    word = word.lower()
    if word not in (*Theme, NO_PICTURE):
        raise Refused(f"theme must be dark, light or none, not {word[:40]!r}.")
    return None if word == NO_PICTURE else Theme(word)


async def stream_of(request: ChartWanted, bot: BotSpec | None, context: Context) -> Stream:
    """Return which bars to draw: of the user's pair, or of what their paper account would see."""
    assert request.symbol is not None
    timeframe = Timeframe.parse(request.timeframe) if request.timeframe else None
    if bot is not None:
        return Stream(bot.venue, bot.symbol, timeframe or bot.timeframe)
    accounts = await context.accounts()
    venue = accounts[0].venue if accounts else PAPER
    return Stream(venue, request.symbol, timeframe or FIVE_MINUTES)


async def traded(symbol: Symbol, context: Context) -> Traded:
    """Return what is known of the user's first pair of a symbol."""
    bots = [*await context.store.bots(), *await context.store.manual_bots()]
    bot = next((each for each in bots if each.symbol == symbol), None)
    if bot is None:
        return Traded(bot=None, memory=None, trades=(), fills=())
    orders = await context.store.orders(bot.id, limit=ORDERS_MAX)
    filled = [order.id for order in orders if order.filled > 0]
    return Traded(
        bot=bot,
        memory=(await context.store.memories()).get(bot.id),
        trades=await context.store.trades(bot_id=bot.id),
        fills=await context.store.fills(filled) if filled else (),
    )


@dataclass(frozen=True, slots=True)
class Drawn:
    """Charts and their pictures; in place of one that could not be drawn, the reason."""

    charts: Sequence[Chart]
    pictures: Sequence[bytes | str]


async def picture(desk: VenueDesk, chart: Chart, theme: Theme | None) -> bytes | str:
    if theme is None:
        return ""
    try:
        return await desk.draw(chart, theme)
    except Refused as refusal:
        return str(refusal)


# ---- candles


def candle_chart(stream: Stream, bars: Sequence[Bar], known: Traded) -> CandleChart:
    first, quote = bars[0].opened_at, stream.symbol.quote
    held = known.memory.position if known.memory else None
    ended = {trade.closed_at: trade for trade in known.trades}
    marks = [
        Mark(
            MarkKind.ENTRY if fill.side is Side.BUY else MarkKind.EXIT,
            fill.filled_at,
            fill.price,
            result(ended.get(fill.filled_at), fill, quote),
        )
        for fill in known.fills
        if fill.filled_at >= first
    ]
    spans = [
        Span(
            trade.opened_at,
            trade.entry_price,
            trade.closed_at,
            trade.exit_price,
            trade.is_winner,
        )
        for trade in known.trades
        if trade.closed_at >= first
    ]
    said = [stream.venue, str(stream.timeframe), "UTC", standing(held, known, marks, quote)]
    return CandleChart(
        title=str(stream.symbol),
        subtitle=" · ".join(said),
        timeframe=stream.timeframe,
        bars=bars,
        marks=marks,
        spans=spans,
        levels=levels(held),
    )


def result(trade: Trade | None, fill: Fill, quote: str) -> str:
    if trade is None or fill.side is Side.BUY:
        return ""
    sign = "+" if trade.pnl >= 0 else ""
    return f"{sign}{money(trade.pnl, quote)}"


def standing(held: Position | None, known: Traded, marks: Sequence[Mark], quote: str) -> str:
    """Say in a few words how the pair stands."""
    if held is None or known.bot is None or known.memory is None:
        return count(len(marks), "fill") + " in these bars" if marks else "no trades in these bars"
    last = held.entry_price if known.memory.last_price is None else known.memory.last_price
    gain = pnl(held.result(last), held.bought, quote)
    return f"long {quantity(held.quantity)} {known.bot.symbol.base} · PnL {gain}"


def levels(held: Position | None) -> list[Level]:
    """Return where a position was opened, is stopped, and shall be sold."""
    if held is None:
        return []
    found = [Level(LevelKind.ENTRY, held.entry_price, "In")]
    if held.stop > ZERO:
        found.append(Level(LevelKind.STOP, held.stop, "SL"))
    targets = enumerate(held.targets, held.targets_done + 1)
    return found + [Level(LevelKind.TARGET, at, f"T{n}") for n, (at, _) in targets]


# ---- equity


async def equity_charts(context: Context) -> list[EquityChart]:
    """Return a chart for each quote in which trades were closed."""
    trades = await context.store.trades(limit=TRADES_MAX)
    if not trades:
        raise Refused(NO_TRADES)
    balances: dict[str, Decimal] = {}
    standing: dict[str, Decimal] = {}
    memories = await context.store.memories()
    for bot in await context.store.bots():
        quote = bot.symbol.quote
        balances[quote] = balances.get(quote, ZERO) + bot.allocation
        memory = memories.get(bot.id)
        if memory is not None and (held := memory.position) is not None:
            last = held.entry_price if memory.last_price is None else memory.last_price
            standing[quote] = standing.get(quote, ZERO) + held.result(last)
    for universe in await context.store.universes():
        balances[universe.asset] = balances.get(universe.asset, ZERO) + universe.allocation
    now = context.clock.now()
    return [
        equity_chart(quote, found, balances.get(quote, ZERO), standing.get(quote), now)
        for quote, found in by_quote(trades).items()
    ]


def equity_chart(
    quote: str, trades: Sequence[Trade], balance: Decimal, standing: Decimal | None, now: datetime
) -> EquityChart:
    """Return what there was after each trade; at the end what open positions would add."""
    equity = balance
    points = [(trades[0].opened_at, equity)]
    for trade in trades:
        equity += trade.pnl
        points.append((max(trade.closed_at, points[-1][0]), equity))
    if standing is not None and now > points[-1][0]:
        points.append((now, equity + standing))
    measured = Performance.of(trades, balance)
    said = [
        count(len(trades), "trade"),
        f"net {money(measured.pnl, quote)}",
        f"win rate {percent(measured.win_rate)}",
        f"max drawdown {money(measured.drawdown, quote)}",
    ]
    return EquityChart(
        title=f"Equity · {quote}", subtitle=" · ".join(said), quote=quote, points=points
    )


# ---- the reply


async def chart(request: ChartWanted, context: Context) -> Reply:
    drawn = context.answer
    assert isinstance(drawn, Drawn)
    lines = [line for each in drawn.charts for line in told(each)]
    reasons = dict.fromkeys(each for each in drawn.pictures if isinstance(each, str) and each)
    files = tuple(
        Attachment(f"{file_name(each)}.png", "image/png", content)
        for each, content in zip(drawn.charts, drawn.pictures, strict=True)
        if isinstance(content, bytes)
    )
    data = ChartsData(tuple(data_of(each) for each in drawn.charts))
    return Reply(text="\n".join([*lines, *reasons]), attachments=files, data=data)


@dataclass(frozen=True, slots=True)
class ChartsData:
    charts: tuple[ChartData, ...]


def told(chart: Chart) -> list[str]:
    """Say in words what the picture shows."""
    if isinstance(chart, EquityChart):
        last = money(chart.points[-1][1], chart.quote)
        return [f"📈 {chart.title}: {last}", f"   {chart.subtitle}"]
    bars, quote = chart.bars, Symbol.parse(chart.title).quote
    change = MONEY.divide(bars[-1].close - bars[0].open, bars[0].open) if bars[0].open else ZERO
    lines = [
        f"📈 {chart.title}: {price(bars[-1].close, quote)} ({percent(change)} in "
        f"{count(len(bars), 'bar')} since {moment(bars[0].opened_at)})",
        f"   {chart.subtitle}",
    ]
    if chart.levels:
        named = ", ".join(f"{level.name} {price(level.price, quote)}" for level in chart.levels)
        lines.append(f"   {named}")
    return lines


def file_name(chart: Chart) -> str:
    return "".join(sign if sign.isalnum() else "-" for sign in chart.title.lower())


def data_of(chart: Chart) -> ChartData:
    if isinstance(chart, EquityChart):
        points = tuple(EquityPoint(at, value) for at, value in chart.points)
        return ChartData(title=chart.title, equity=points)
    return ChartData(
        title=chart.title,
        candles=tuple(
            Candle(bar.opened_at, bar.open, bar.high, bar.low, bar.close, bar.volume)
            for bar in chart.bars
        ),
        marks=tuple(Marked(mark.kind.value, mark.at, mark.price) for mark in chart.marks),
        levels=tuple(MarkedLevel(each.kind.value, each.name, each.price) for each in chart.levels),
    )


IN_WORDS = (("theme", NO_PICTURE),)

COMMAND = CommandSpec(
    name="chart",
    summary="Draw a pair, or your equity",
    usage="/chart [symbol] [timeframe]",
    options="bars=120 (at most 500), theme=dark, light or none; without a symbol: your equity",
    example="/chart",
    request=ChartWanted,
    handler=chart,
    asks=ask,
    place=5,
    route=Route("GET", "/charts", without=("symbol", "timeframe", "bars"), fixed=IN_WORDS),
    more_routes=(
        Route("GET", "/charts/{symbol}", fixed=IN_WORDS),
        Route("GET", "/pictures/equity", without=("symbol", "timeframe", "bars"), is_picture=True),
        Route("GET", "/pictures/{symbol}", is_picture=True),
    ),
    data=ChartsData,
)
