"""/why: the chain signal → guards → order → fill of a trade, or why a pair does not trade now."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from tradefleet.command import TRADES_MAX, CommandSpec, Context, Reply, Route
from tradefleet.domain.bot import BotSpec
from tradefleet.domain.effects import Decided
from tradefleet.domain.errors import NotThere, Refused
from tradefleet.domain.ids import BotId
from tradefleet.domain.market import Symbol
from tradefleet.domain.order import Fill, Order
from tradefleet.domain.position import Trade
from tradefleet.drawing import moment, money, price, quantity, status_text

SHOWN = 10  # latest things said of a pair
LOOKED_AT = 1000  # orders and decisions of the bot that are searched for those of a trade


@dataclass(frozen=True, slots=True)
class Why:
    target: str


@dataclass(frozen=True, slots=True)
class Step:
    """One link of the chain: kind is signal, guards, order, fill or trade."""

    at: datetime
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """Of one trade (its id) or of a pair (""), oldest step first."""

    symbol: str
    trade_id: str
    steps: tuple[Step, ...]


async def why(request: Why, context: Context) -> Reply:
    target = request.target
    if target.isascii() and target.isdigit() and len(target) <= 6:
        return await explain_trade(await numbered_trade(int(target), context), context)
    trades = await context.store.trades(limit=TRADES_MAX) if "-" in target else ()
    trade = next((trade for trade in trades if trade.id == target), None)
    if trade:
        return await explain_trade(trade, context)
    try:
        symbol = Symbol.parse(target)
    except Refused:
        raise NotThere("Name a pair, like /why BTC/USDT, or a number of /trades.") from None
    bots = await context.bots(symbol)
    return await explain_pair(bots[0], context)


async def numbered_trade(number: int, context: Context) -> Trade:
    """Return the trade that /trades shows under a number."""
    trades = await context.store.trades(limit=max(number, 1))
    if not 1 <= number <= len(trades):
        raise NotThere(f"There is no trade {number}; /trades lists them, the newest is 1.")
    return trades[-number]


async def explain_trade(trade: Trade, context: Context) -> Reply:
    """Show everything from the signal that opened a trade to the fill that closed it."""
    orders = [
        order
        for order in await context.store.orders(trade.bot_id, limit=LOOKED_AT)
        if order.decided_at <= trade.closed_at
    ]
    fills = [
        fill
        for fill in await context.store.fills([order.id for order in orders])
        if trade.opened_at <= fill.filled_at <= trade.closed_at
    ]
    orders = [order for order in orders if any(fill.order_id == order.id for fill in fills)]
    decided = {order.decided_at for order in orders}
    steps = await steps_said(trade.bot_id, decided, context)
    steps += [step for order in orders for step in steps_of(order, fills)]
    quote = trade.symbol.quote
    result = f"closed by {trade.exit_reason}, PnL {money(trade.pnl, quote)}"
    steps.append(Step(trade.closed_at, "trade", result))
    header = f"🔎 Why {trade.symbol}, trade {trade.id}"
    return drawn(header, Explanation(str(trade.symbol), trade.id, in_order(steps)))


async def steps_said(bot_id: BotId, decided: set[datetime], context: Context) -> list[Step]:
    """Return what the strategy and the guards said at the moments orders were decided."""
    steps = [
        Step(said.at, "guards", said_text(said))
        for said in await context.store.decisions(bot_id, limit=LOOKED_AT)
        if said.at in decided
    ]
    bot = next((bot for bot in await context.store.bots() if bot.id == bot_id), None)
    if bot:
        steps += [
            Step(note.at, "signal", f"{note.kind}: {note.text}")
            for note in await context.store.signal_notes(bot.group, limit=LOOKED_AT)
            if note.at in decided
        ]
    return steps


def said_text(said: Decided) -> str:
    """Write what became of a signal: "denied by daily_loss: …", "entered: …"."""
    by = f" by {said.guard}" if said.guard else ""
    return f"{said.outcome}{by}: {said.reason}"


def steps_of(order: Order, fills: Iterable[Fill]) -> list[Step]:
    """Return an order and its fills as steps."""
    quote = order.symbol.quote
    trigger = f" at {price(order.price, quote)}" if order.price is not None else ""
    what = f"{order.side} {quantity(order.quantity)} {order.symbol.base} {order.kind}{trigger}"
    steps = [Step(order.decided_at, "order", f"{what} ({order.reason}): {order.state}")]
    for fill in fills:
        if fill.order_id == order.id:
            cost = f"{quantity(fill.quantity)} at {price(fill.price, quote)}"
            fee = money(fill.fee_quote, quote)
            steps.append(Step(fill.filled_at, "fill", f"{fill.side} {cost}, fee {fee}"))
    return steps


async def explain_pair(bot: BotSpec, context: Context) -> Reply:
    """Show what was last said of a pair: by its strategy, and by the guards of its bot."""
    notes = await context.store.signal_notes(bot.group, limit=SHOWN)
    decisions = await context.store.decisions(bot.id, limit=SHOWN)
    steps = [Step(note.at, "signal", f"{note.kind}: {note.text}") for note in notes]
    steps += [Step(said.at, "guards", said_text(said)) for said in decisions]
    header = f"🔎 Why {bot.symbol}: {status_text(bot.status)}"
    if universe := (await context.universes()).get(bot.universe_id):
        header += f"\nUniverse {universe.name}: of the entries of one bar the best come first."
    if bot.note:
        header += f"\n{bot.note}"
    if not steps:
        header += "\nNothing was decided yet; the first decision falls at the close of a bar."
    return drawn(header, Explanation(str(bot.symbol), "", in_order(steps)))


ORDER_OF_KINDS = ("signal", "guards", "order", "fill", "trade")


def in_order(steps: list[Step]) -> tuple[Step, ...]:
    return tuple(sorted(steps, key=lambda step: (step.at, ORDER_OF_KINDS.index(step.kind))))


def drawn(header: str, data: Explanation) -> Reply:
    rows = tuple((moment(step.at), step.kind, step.text) for step in data.steps)
    return Reply(text=header, columns=("Time", "Step", "What"), rows=rows, data=data)


COMMAND = CommandSpec(
    name="why",
    summary="Why a pair traded, or did not",
    usage="/why <symbol|trade>",
    example="/why BTC/USDT",
    request=Why,
    handler=why,
    place=9,
    route=Route("GET", "/trades/{target}/why"),
    more_routes=(Route("GET", "/bots/{target}/why"),),
    data=Explanation,
)
