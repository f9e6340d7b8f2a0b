"""/listpairs: show your pairs, their balances and whether they trade."""

from dataclasses import dataclass
from decimal import Decimal

from tradefleet.command import CommandSpec, Context, Reply
from tradefleet.drawing import money, status_text


@dataclass(frozen=True, slots=True)
class ListPairs:
    pass


@dataclass(frozen=True, slots=True)
class Pair:
    """One pair of the list."""

    symbol: str
    exchange: str
    status: str
    balance: Decimal


@dataclass(frozen=True, slots=True)
class Pairs:
    pairs: tuple[Pair, ...]


async def list_pairs(request: ListPairs, context: Context) -> Reply:
    bots = await context.bots()
    lines = [f"📊 Your Trading Pairs ({len(bots)})"]
    for number, bot in enumerate(bots, 1):
        lines += [
            f"{number}. {bot.symbol} {status_text(bot.status)}",
            f"   Balance: {money(bot.allocation, bot.symbol.quote)}",
        ]
    data = Pairs(
        tuple(Pair(str(bot.symbol), bot.venue, bot.status.value, bot.allocation) for bot in bots)
    )
    return Reply(text="\n".join(lines), data=data)


COMMAND = CommandSpec(
    name="listpairs",
    summary="Show all your pairs",
    usage="/listpairs",
    example="/listpairs",
    request=ListPairs,
    handler=list_pairs,
    group="Setup",
    place=4,
)
