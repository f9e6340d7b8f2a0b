"""/removepair: take a pair off the list; its balance goes back to the account, its trades stay.

What a pair of a universe has stays with the universe, until its last pair is removed.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from tradefleet.command import CommandSpec, Context, Reply, Route, is_called, names_of
from tradefleet.domain.bot import BotSpec, BotStatus
from tradefleet.domain.errors import NotThere, Refused
from tradefleet.domain.ids import AccountId
from tradefleet.domain.ledger import FREE, LedgerEntry, place_of, place_of_universe
from tradefleet.domain.market import Symbol
from tradefleet.domain.money import ZERO
from tradefleet.domain.universe import UniverseSpec
from tradefleet.drawing import count, money


@dataclass(frozen=True, slots=True)
class RemovePair:
    symbol: Symbol | None = None
    exchange: str = ""
    universe: str = ""


@dataclass(frozen=True, slots=True)
class PairRemoved:
    """The bot that was removed, and what went back to its account, by asset.

    universe: whose pair it was; what it had in quote is that one's.
    """

    bot_id: str
    symbol: str
    exchange: str
    returned: dict[str, Decimal]
    universe: str = ""


@dataclass(frozen=True, slots=True)
class UniverseRemoved:
    """A universe that was removed with all its pairs, and what went back to its account."""

    name: str
    exchange: str
    pairs: tuple[PairRemoved, ...]
    returned: dict[str, Decimal]


async def remove_pair(request: RemovePair, context: Context) -> Reply:
    if request.universe:
        return await remove_universe(request, context)
    if request.symbol is None:
        raise Refused("Name the pair: /removepair BTC/USDT, or a universe: universe=main")
    bots = await context.bots(request.symbol, request.exchange)
    if len(bots) > 1:
        accounts = {account.id: account for account in await context.store.accounts()}
        names = names_of([accounts[bot.account_id] for bot in bots])
        choices = " or ".join(f"/removepair {request.symbol} {name}" for name in names)
        raise Refused(f"You trade {request.symbol} on several exchanges; say which: {choices}")
    bot = bots[0]
    removed = await remove(bot, context)
    text = f"🗑️ Trading Pair Removed: {bot.symbol}"
    if amounts := amounts_text(removed.returned):
        text += f"\n{amounts} went back to your {bot.venue} account."
    if removed.universe:
        text += await close_empty(bot, context)
    return Reply(text=text, data=removed)


async def remove(bot: BotSpec, context: Context) -> PairRemoved:
    """Remove a bot that is idle, and book what it owns to where it belongs."""
    await check_idle(bot, context)
    universe = (await context.universes()).get(bot.universe_id)
    returned = await give_back(bot, universe, context)
    if universe is not None:
        carried = universe.carried + returned.pop(universe.asset, ZERO)
        await context.store.save_universe(replace(universe, carried=carried))
    await context.store.remove_bot(bot.id)
    await context.store.ask_host("bot_changed", {"bot_id": bot.id})
    name = universe.name if universe else ""
    return PairRemoved(bot.id, str(bot.symbol), bot.venue, returned, name)


async def close_empty(bot: BotSpec, context: Context) -> str:
    """Close the universe a bot has left if it was the last one; say where its balance is."""
    universe = (await context.universes())[bot.universe_id]
    left = [each for each in await context.store.bots() if each.universe_id == universe.id]
    if left:
        return f"\nIts balance stays with the universe {universe.name}, {count(len(left), 'pair')}."
    returned = await close(universe, context)
    return (
        f"\nIt was the last pair of the universe {universe.name}: "
        f"{amounts_text(returned)} went back to your {bot.venue} account."
    )


async def close(universe: UniverseSpec, context: Context) -> dict[str, Decimal]:
    """Remove a universe without pairs; return what goes back to its account."""
    place, returned = place_of_universe(universe.id), {universe.asset: universe.funds}
    await release(universe.id, universe.account_id, place, FREE, returned, context)
    await context.store.remove_universe(universe.id)
    return returned


async def remove_universe(request: RemovePair, context: Context) -> Reply:
    """Remove all pairs of a universe, and give its balance back."""
    accounts = {a.id: a for a in await context.store.accounts() if is_called(a, request.exchange)}
    known = await context.store.universes()
    named = [u for u in known if u.name == request.universe.lower() and u.account_id in accounts]
    if not named:
        names = ", ".join(dict.fromkeys(universe.name for universe in known))
        there = f"your universes: {names}" if names else "/adduniverse makes one"
        raise NotThere(f"You have no universe {request.universe}; {there}.")
    if len(named) > 1:
        called = names_of([accounts[each.account_id] for each in named])
        choices = " or ".join(f"exchange={name}" for name in called)
        raise Refused(f"You have a universe {named[0].name} on several exchanges; add {choices}.")
    bots = [bot for bot in await context.store.bots() if bot.universe_id == named[0].id]
    pairs = tuple([await remove(bot, context) for bot in bots])
    universe = (await context.universes())[named[0].id]
    returned = await close(universe, context)
    venue = accounts[universe.account_id].venue
    text = (
        f"🗑️ Universe Removed: {universe.name}, {count(len(pairs), 'pair')}\n"
        f"{amounts_text(returned)} went back to your {venue} account."
    )
    return Reply(text=text, data=UniverseRemoved(universe.name, venue, pairs, returned))


def amounts_text(amounts: Mapping[str, Decimal]) -> str:
    return " and ".join(money(amount, asset) for asset, amount in amounts.items())


async def check_idle(bot: BotSpec, context: Context) -> None:
    """Refuse to remove a bot that trades, holds a position or has an order on its way."""
    cannot = f"⚠️ Cannot remove {bot.symbol} while"
    if bot.status is BotStatus.RUNNING:
        raise Refused(f"{cannot} trading is active.\nUse /stop_trading {bot.symbol} first.")
    if (await context.store.memories())[bot.id].position:
        raise Refused(f"{cannot} a position is open.\nUse /forceexit {bot.symbol} first.")
    if any(order.is_working for order in await context.store.orders(bot.id)):
        raise Refused(f"{cannot} an order is on its way.\nTry again in a moment.")


async def give_back(
    bot: BotSpec, universe: UniverseSpec | None, context: Context
) -> dict[str, Decimal]:
    """Book everything the bot owns back to its universe or its account; return it by asset."""
    owned: dict[str, Decimal] = defaultdict(Decimal)
    place = place_of(bot.id)
    for entry in await context.store.entries(bot.account_id):
        for posting in entry.postings:
            if posting.place == place:
                owned[posting.asset] += posting.amount
    returned = {asset: amount for asset, amount in owned.items() if amount}
    shared = {a: amount for a, amount in returned.items() if universe and a == universe.asset}
    rest = {a: amount for a, amount in returned.items() if a not in shared}
    await release(bot.id, bot.account_id, place, FREE, rest, context)
    if universe is not None:
        target = place_of_universe(universe.id)
        await release(bot.id, bot.account_id, place, target, shared, context)
    return returned


async def release(
    id: str,
    account_id: AccountId,
    place: str,
    target: str,
    amounts: Mapping[str, Decimal],
    context: Context,
) -> None:
    for asset, amount in amounts.items():
        entry = LedgerEntry.of_transfer(
            id=f"release:{id}:{asset}",
            user_id=context.user.id,
            account_id=account_id,
            kind="allocation",
            at=context.clock.now(),
            asset=asset,
            amount=amount,
            source=place,
            target=target,
        )
        await context.store.book(entry)


COMMAND = CommandSpec(
    name="removepair",
    summary="Remove trading pair",
    usage="/removepair <symbol> [exchange]",
    options="universe=main in place of the symbol, for a universe with all its pairs",
    example="/removepair BTC/USDT",
    request=RemovePair,
    handler=remove_pair,
    group="Setup",
    place=5,
    changes=True,
    route=Route("DELETE", "/bots/{symbol}", without=("universe",)),
    more_routes=(Route("DELETE", "/universes/{universe}", without=("symbol",)),),
    data=PairRemoved | UniverseRemoved,
)
