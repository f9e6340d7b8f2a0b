"""/removepair: take a pair off the list; its balance goes back to the account, its trades stay."""

from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal

from tradefleet.command import CommandSpec, Context, Reply, names_of
from tradefleet.domain.bot import BotSpec, BotStatus
from tradefleet.domain.errors import Refused
from tradefleet.domain.ledger import FREE, LedgerEntry, place_of
from tradefleet.domain.market import Symbol
from tradefleet.drawing import money


@dataclass(frozen=True, slots=True)
class RemovePair:
    symbol: Symbol
    exchange: str = ""


@dataclass(frozen=True, slots=True)
class PairRemoved:
    """The bot that was removed, and what went back to its account, by asset."""

    bot_id: str
    symbol: str
    exchange: str
    returned: dict[str, Decimal]


async def remove_pair(request: RemovePair, context: Context) -> Reply:
    bots = await context.bots(request.symbol, request.exchange)
    if len(bots) > 1:
        accounts = {account.id: account for account in await context.store.accounts()}
        names = names_of([accounts[bot.account_id] for bot in bots])
        choices = " or ".join(f"/removepair {request.symbol} {name}" for name in names)
        raise Refused(f"You trade {request.symbol} on several exchanges; say which: {choices}")
    bot = bots[0]
    await check_idle(bot, context)
    returned = await give_back(bot, context)
    await context.store.remove_bot(bot.id)
    await context.store.ask_host("bot_changed", {"bot_id": bot.id})
    amounts = " and ".join(money(amount, asset) for asset, amount in returned.items())
    text = f"🗑️ Trading Pair Removed: {bot.symbol}"
    if amounts:
        text += f"\n{amounts} went back to your {bot.venue} account."
    return Reply(text=text, data=PairRemoved(bot.id, str(bot.symbol), bot.venue, returned))


async def check_idle(bot: BotSpec, context: Context) -> None:
    """Refuse to remove a bot that trades, holds a position or has an order on its way."""
    cannot = f"⚠️ Cannot remove {bot.symbol} while"
    if bot.status is BotStatus.RUNNING:
        raise Refused(f"{cannot} trading is active.\nUse /stop_trading {bot.symbol} first.")
    if (await context.store.memories())[bot.id].position:
        raise Refused(f"{cannot} a position is open.\nUse /forceexit {bot.symbol} first.")
    if any(order.is_working for order in await context.store.orders(bot.id)):
        raise Refused(f"{cannot} an order is on its way.\nTry again in a moment.")


async def give_back(bot: BotSpec, context: Context) -> dict[str, Decimal]:
    """Book everything the bot owns back to its account; return it by asset."""
    owned: dict[str, Decimal] = defaultdict(Decimal)
    place = place_of(bot.id)
    for entry in await context.store.entries(bot.account_id):
        for posting in entry.postings:
            if posting.place == place:
                owned[posting.asset] += posting.amount
    returned = {asset: amount for asset, amount in owned.items() if amount}
    for asset, amount in returned.items():
        entry = LedgerEntry.of_transfer(
            id=f"release:{bot.id}:{asset}",
            user_id=bot.user_id,
            account_id=bot.account_id,
            kind="allocation",
            at=context.clock.now(),
            asset=asset,
            amount=amount,
            source=place,
            target=FREE,
        )
        await context.store.book(entry)
    return returned


COMMAND = CommandSpec(
    name="removepair",
    summary="Remove trading pair",
    usage="/removepair <symbol> [exchange]",
    example="/removepair BTC/USDT",
    request=RemovePair,
    handler=remove_pair,
    group="Setup",
    place=5,
    changes=True,
)
