"""/status: how all pairs, or one, stand: equity, profit and loss, and what forbids entries.

One pair is shown with its balance and its equity, several with a line each: the source of
these words shows both.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from tradefleet.command import FIRST_PAIRS, NO_PAIRS, CommandSpec, Context, Reply, Route
from tradefleet.domain.bot import BotMemory, BotSpec
from tradefleet.domain.ids import BotId
from tradefleet.domain.limits import Halt, Scope
from tradefleet.domain.market import Symbol
from tradefleet.domain.money import ZERO
from tradefleet.domain.universe import UniverseSpec
from tradefleet.drawing import count, halt_texts, moment, money, pnl, status_text


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
    universe: str = ""


@dataclass(frozen=True, slots=True)
class UniverseStatus:
    """A universe: all its pairs together; free: what is not in a position, in its asset."""

    name: str
    exchange: str
    asset: str
    balance: Decimal
    equity: Decimal
    pnl: Decimal
    free: Decimal
    positions: int
    positions_max: int | None


@dataclass(frozen=True, slots=True)
class Overview:
    """halts: what forbids new entries now."""

    pairs: tuple[PairStatus, ...]
    halts: tuple[str, ...]
    universes: tuple[UniverseStatus, ...] = ()


async def status(request: Status, context: Context) -> Reply:
    if request.symbol is None and not await context.store.bots():
        return Reply(text=NO_PAIRS, steps=FIRST_PAIRS, data=Overview((), await halts_of(context)))
    bots = await context.bots(request.symbol)
    memories = await context.store.memories()
    halts = await halts_of(context)
    known = await context.universes()
    items = []
    for number, bot in enumerate(bots, 1):
        item = [f"{number}. {bot.symbol} {status_text(bot.status)}"]
        universe = known.get(bot.universe_id)
        alone = len(bots) == 1
        item += [f"   {line}" for line in money_lines(bot, memories[bot.id], universe, alone)]
        item += [f"   {bot.note}"] if bot.note else []
        items.append("\n".join(item))
    shown = {bot.universe_id: known[bot.universe_id] for bot in bots if bot.universe_id}
    every = await context.store.bots()
    universes = tuple(together(universe, every, memories) for universe in shown.values())
    lines = [f"📊 Your Trading Pairs ({len(bots)})", *items]
    lines += [line for universe in universes for line in universe_lines(universe)]
    pairs = [standing(bot, memories[bot.id], known.get(bot.universe_id)) for bot in bots]
    data = Overview(tuple(pairs), halts, universes)
    return Reply(text="\n".join([*lines, *halts]), items=tuple(items), data=data)


def together(
    universe: UniverseSpec, bots: Sequence[BotSpec], memories: Mapping[BotId, BotMemory]
) -> UniverseStatus:
    """Add up the pairs of a universe."""
    members = [bot for bot in bots if bot.universe_id == universe.id]
    own = [memories[bot.id] for bot in members]
    equity = universe.funds + sum((memory.equity for memory in own), ZERO)
    return UniverseStatus(
        name=universe.name,
        exchange=members[0].venue,
        asset=universe.asset,
        balance=universe.allocation,
        equity=equity,
        pnl=equity - universe.allocation,
        free=universe.funds + sum((memory.cash for memory in own), ZERO),
        positions=sum(memory.position is not None for memory in own),
        positions_max=universe.positions_max,
    )


def universe_lines(universe: UniverseStatus) -> list[str]:
    asset, most = universe.asset, universe.positions_max
    positions = (
        count(universe.positions, "position")
        if most is None
        else (f"{universe.positions} of {count(most, 'position')}")
    )
    return [
        f"🌐 Universe {universe.name}: {positions}, {money(universe.free, asset)} free",
        f"   Balance: {money(universe.balance, asset)} → Equity: {money(universe.equity, asset)}",
        f"   PnL: {pnl(universe.pnl, universe.balance, asset)}",
    ]


def money_lines(
    bot: BotSpec, memory: BotMemory, universe: UniverseSpec | None, alone: bool
) -> list[str]:
    quote = bot.symbol.quote
    if universe is not None:
        share = pnl(memory.equity, universe.allocation, quote)
        return [f"PnL: {share} of universe {universe.name}"]
    equity = f"Equity: {money(memory.equity, quote)}"
    result = f"PnL: {pnl(memory.equity - bot.allocation, bot.allocation, quote)}"
    if alone:
        return [f"Balance: {money(bot.allocation, quote)} → {equity}", result]
    return [f"{equity} | {result}"]


def standing(bot: BotSpec, memory: BotMemory, universe: UniverseSpec | None) -> PairStatus:
    return PairStatus(
        symbol=str(bot.symbol),
        exchange=bot.venue,
        status=bot.status.value,
        note=bot.note,
        balance=bot.allocation,
        equity=memory.equity,
        pnl=memory.equity - bot.allocation,
        has_position=memory.position is not None,
        universe=universe.name if universe else "",
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
    refreshes=True,
    route=Route("GET", "/status"),
    more_routes=(Route("GET", "/bots/{symbol}"),),
    data=Overview,
)
