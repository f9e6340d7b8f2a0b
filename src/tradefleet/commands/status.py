"""/status: how all pairs, or one, stand: equity, profit and loss, and what forbids entries.

One pair is shown with its balance and its equity, several with a line each: the source of
these words shows both.
"""

from dataclasses import dataclass
from decimal import Decimal

from tradefleet.command import CommandSpec, Context, Reply
from tradefleet.domain.bot import BotMemory, BotSpec
from tradefleet.domain.limits import Halt, Scope
from tradefleet.domain.market import Symbol
from tradefleet.drawing import halt_texts, moment, money, pnl, status_text


@dataclass(frozen=True, slots=True)
class Status:
    symbol: Symbol | None = None


@dataclass(frozen=True, slots=True)
class PairStatus:
    """One pair; money in its quote, pnl net of fees with the open position at the last price."""

    symbol: str
    exchange: str
    status: str
    note: str
    balance: Decimal
    equity: Decimal
    pnl: Decimal
    has_position: bool


@dataclass(frozen=True, slots=True)
class Overview:
    """halts: what forbids new entries now."""

    pairs: tuple[PairStatus, ...]
    halts: tuple[str, ...]


async def status(request: Status, context: Context) -> Reply:
    bots = await context.bots(request.symbol)
    memories = await context.store.memories()
    halts = await halts_of(context)
    lines = [f"📊 Your Trading Pairs ({len(bots)})"]
    for number, bot in enumerate(bots, 1):
        lines.append(f"{number}. {bot.symbol} {status_text(bot.status)}")
        lines += [f"   {line}" for line in money_lines(bot, memories[bot.id], alone=len(bots) == 1)]
        lines += [f"   {bot.note}"] if bot.note else []
    data = Overview(tuple(standing(bot, memories[bot.id]) for bot in bots), halts)
    return Reply(text="\n".join([*lines, *halts]), data=data)


def money_lines(bot: BotSpec, memory: BotMemory, *, alone: bool) -> list[str]:
    quote = bot.symbol.quote
    equity = f"Equity: {money(memory.equity, quote)}"
    result = f"PnL: {pnl(memory.equity - bot.allocation, bot.allocation, quote)}"
    if alone:
        return [f"Balance: {money(bot.allocation, quote)} → {equity}", result]
    return [f"{equity} | {result}"]


def standing(bot: BotSpec, memory: BotMemory) -> PairStatus:
    return PairStatus(
        symbol=str(bot.symbol),
        exchange=bot.venue,
        status=bot.status.value,
        note=bot.note,
        balance=bot.allocation,
        equity=memory.equity,
        pnl=memory.equity - bot.allocation,
        has_position=memory.position is not None,
    )


async def halts_of(context: Context) -> tuple[str, ...]:
    """Say what forbids new entries: switches that are on, and the user's guard."""
    found = []
    for switch in await context.store.switches():
        if switch.halt is Halt.RUN:
            continue
        whose = {Scope.PLATFORM: "All trading is stopped", Scope.USER: "Paused"}
        text = whose.get(switch.scope, f"One {switch.scope} is stopped")
        found.append(f"⏸️ {text} since {moment(switch.changed_at)}: {switch.reason}")
    guard = await context.store.guard()
    found += [f"🚧 {text}" for text in halt_texts(guard, context.clock.now())]
    return tuple(found)


COMMAND = CommandSpec(
    name="status",
    summary="Check status (all pairs or specific)",
    usage="/status [symbol]",
    example="/status",
    request=Status,
    handler=status,
    place=1,
)
