"""/forceexit: close the position of one pair, or of all, at the market now."""

from dataclasses import dataclass

from tradefleet.command import CommandSpec, Context, Reply, Route
from tradefleet.domain.errors import NotThere, Refused
from tradefleet.domain.market import Symbol

ALL = "all"


@dataclass(frozen=True, slots=True)
class ForceExit:
    target: str


@dataclass(frozen=True, slots=True)
class ExitsAsked:
    """Symbols whose position is being closed."""

    symbols: tuple[str, ...]


async def force_exit(request: ForceExit, context: Context) -> Reply:
    symbol = None if request.target.lower() == ALL else named(request.target)
    bots = await context.bots(symbol)
    memories = await context.store.memories()
    busy = {order.bot_id for order in await context.store.orders() if order.is_working}
    holding = [bot for bot in bots if memories[bot.id].position or bot.id in busy]
    if not holding:
        where = f" on {symbol}" if symbol else ""
        raise NotThere(f"You have no open position{where}.")
    for bot in holding:
        await context.store.ask_host("force_exit", {"bot_id": bot.id})
    symbols = tuple(str(bot.symbol) for bot in holding)
    text = f"🛑 Closing now at the market: {', '.join(symbols)}\nI will tell you when it is done."
    return Reply(text=text, data=ExitsAsked(symbols))


def named(target: str) -> Symbol:
    """Read a pair; whatever is none names nothing that is there."""
    try:
        return Symbol.parse(target)
    except Refused as refusal:
        raise NotThere(str(refusal)) from None


COMMAND = CommandSpec(
    name="forceexit",
    summary="Close a position at the market now",
    usage="/forceexit <symbol|all>",
    example="/forceexit BTC/USDT",
    request=ForceExit,
    handler=force_exit,
    group="Trading",
    place=5,
    aliases=("fx",),
    dangerous=True,
    changes=True,
    is_exit=True,
    route=Route("POST", "/positions/{target}/exit"),
    data=ExitsAsked,
)
