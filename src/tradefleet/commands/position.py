"""/position: what is held now, where its stop and targets stand, and what it would bring."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from tradefleet.command import FIRST_PAIRS, NO_PAIRS, CommandSpec, Context, Reply, Route
from tradefleet.domain import position as domain
from tradefleet.domain.bot import BotSpec
from tradefleet.domain.market import Symbol
from tradefleet.drawing import moment, pnl, price, quantity


@dataclass(frozen=True, slots=True)
class Position:
    symbol: Symbol | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenPosition:
    """targets: (price, quantity) still waiting; pnl: of the whole trade, net of the fees so far."""

    symbol: str
    exchange: str
    opened_at: datetime
    quantity: Decimal
    entry_price: Decimal
    last_price: Decimal
    stop: Decimal
    stop_kind: str
    targets: tuple[tuple[Decimal, Decimal], ...]
    pnl: Decimal


@dataclass(frozen=True, slots=True)
class Positions:
    positions: tuple[OpenPosition, ...]


async def position(request: Position, context: Context) -> Reply:
    if request.symbol is None and not await context.store.bots():
        return Reply(text=NO_PAIRS, steps=FIRST_PAIRS, data=Positions(()))
    bots = await context.bots(request.symbol)
    memories = await context.store.memories()
    found: list[OpenPosition] = []
    items: list[str] = []
    for bot in bots:
        memory = memories[bot.id]
        if memory.position is None:
            continue
        held = memory.position
        last = held.entry_price if memory.last_price is None else memory.last_price
        found.append(opened(bot, held, last))
        items.append("\n".join(drawn(len(found), bot, held, last)))
    if not found:
        where = f" on {request.symbol}" if request.symbol else ""
        return Reply(text=f"📈 No open position{where}.", data=Positions(()))
    header = f"📈 Open Positions ({len(found)})"
    text = "\n".join([header, *items])
    return Reply(text=text, items=tuple(items), data=Positions(tuple(found)))


def opened(bot: BotSpec, held: domain.Position, last: Decimal) -> OpenPosition:
    return OpenPosition(
        symbol=str(bot.symbol),
        exchange=bot.venue,
        opened_at=held.opened_at,
        quantity=held.quantity,
        entry_price=held.entry_price,
        last_price=last,
        stop=held.stop,
        stop_kind=held.stop_kind,
        targets=held.targets,
        pnl=held.result(last),
    )


def drawn(number: int, bot: BotSpec, held: domain.Position, last: Decimal) -> list[str]:
    quote = bot.symbol.quote
    stop = f"{price(held.stop, quote)} ({held.stop_kind})" if held.stop else "none"
    targets = ", ".join(price(level, quote) for level, _ in held.targets) or "none left"
    return [
        f"{number}. {bot.symbol} long {quantity(held.quantity)} {bot.symbol.base}",
        f"   Opened: {moment(held.opened_at)}",
        f"   Entry: {price(held.entry_price, quote)} → Now: {price(last, quote)}",
        f"   Stop: {stop} | Targets: {targets}",
        f"   PnL: {pnl(held.result(last), held.bought, quote)}",
    ]


COMMAND = CommandSpec(
    name="position",
    summary="See current position",
    usage="/position [symbol]",
    example="/position",
    request=Position,
    handler=position,
    place=4,
    refreshes=True,
    route=Route("GET", "/positions"),
    more_routes=(Route("GET", "/positions/{symbol}"),),
    data=Positions,
)
