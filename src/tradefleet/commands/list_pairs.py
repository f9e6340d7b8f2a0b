"""/listpairs: show your pairs, their balances and whether they trade, and what they share."""

from dataclasses import dataclass
from decimal import Decimal

from tradefleet.command import FIRST_PAIRS, NO_PAIRS, CommandSpec, Context, Reply, Route
from tradefleet.drawing import count, money, positions_text, status_text


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
    universe: str = ""


@dataclass(frozen=True, slots=True)
class SharedBalance:
    """A universe: what its pairs share, and how many positions they may have."""

    name: str
    asset: str
    balance: Decimal
    positions_max: int | None
    pairs: int


@dataclass(frozen=True, slots=True)
class Pairs:
    pairs: tuple[Pair, ...]
    universes: tuple[SharedBalance, ...] = ()


async def list_pairs(request: ListPairs, context: Context) -> Reply:
    bots, universes = await context.store.bots(), await context.universes()
    if not bots:
        return Reply(text=NO_PAIRS, steps=FIRST_PAIRS, data=Pairs(()))
    items, pairs = [], []
    for number, bot in enumerate(bots, 1):
        universe = universes.get(bot.universe_id)
        own = money(bot.allocation, bot.symbol.quote)
        balance = own if universe is None else f"shared in universe {universe.name}"
        items.append(f"{number}. {bot.symbol} {status_text(bot.status)}\n   Balance: {balance}")
        name = universe.name if universe else ""
        pairs.append(Pair(str(bot.symbol), bot.venue, bot.status.value, bot.allocation, name))
    shared = []
    for universe in universes.values():
        size = sum(bot.universe_id == universe.id for bot in bots)
        items.append(
            f"🌐 {universe.name}: {count(size, 'pair')}, {positions_text(universe)}\n"
            f"   Balance: {money(universe.allocation, universe.asset)}"
        )
        most = universe.positions_max
        shared.append(SharedBalance(universe.name, universe.asset, universe.allocation, most, size))
    text = "\n".join([f"📊 Your Trading Pairs ({len(bots)})", *items])
    return Reply(text=text, items=tuple(items), data=Pairs(tuple(pairs), tuple(shared)))


COMMAND = CommandSpec(
    name="listpairs",
    summary="Show all your pairs",
    usage="/listpairs",
    example="/listpairs",
    request=ListPairs,
    handler=list_pairs,
    group="Setup",
    place=4,
    refreshes=True,
    route=Route("GET", "/bots"),
    data=Pairs,
)
