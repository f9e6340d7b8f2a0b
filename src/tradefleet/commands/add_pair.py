"""/addpair: give one pair its own bot and its own balance.

The very first pair of a user is answered with its details, every later one with a line: the
source of these words shows both. Nobody who did not connect an exchange is sent away: paper
needs no keys, so a paper account is opened and the reply says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from tradefleet.command import CommandSpec, Context, Reply, is_called, names_of
from tradefleet.domain.bot import BotSpec
from tradefleet.domain.errors import Refused
from tradefleet.domain.ids import BotId
from tradefleet.domain.ledger import EXTERNAL, FREE, LedgerEntry, place_of
from tradefleet.domain.market import Symbol, Timeframe
from tradefleet.domain.money import UNIT, round_down
from tradefleet.domain.user import Account, Mode
from tradefleet.drawing import count, money

PAPER = "paper"


@dataclass(frozen=True, slots=True)
class AddPair:
    symbol: Symbol
    balance: Decimal
    exchange: str = ""
    strategy: str = "apex"
    timeframe: str = "5m"
    params: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PairAdded:
    """A bot as added."""

    bot_id: str
    symbol: str
    exchange: str
    mode: str
    balance: Decimal
    strategy: str
    timeframe: str
    params: Mapping[str, str]


async def add_pair(request: AddPair, context: Context) -> Reply:
    check_strategy(request, context)
    timeframe = Timeframe.parse(request.timeframe)
    balance = round_down(request.balance, UNIT)
    account, opened = await choose_account(request.exchange.lower(), context)
    rules = await context.catalog.rules(account.venue, request.symbol)
    if balance < rules.notional_min:
        least = money(rules.notional_min, request.symbol.quote)
        raise Refused(f"The balance is below {account.venue}'s smallest order, {least}.")
    await check_place(request.symbol, account, context)
    is_first = not await context.store.entries()
    bot = BotSpec(
        id=BotId(context.ids.new()),
        user_id=context.user.id,
        account_id=account.id,
        venue=account.venue,
        symbol=request.symbol,
        timeframe=timeframe,
        strategy=request.strategy,
        allocation=balance,
        params=dict(request.params),
    )
    await context.store.add_bot(bot)
    await allocate(bot, account, context)
    lines = [f"✅ Trading Pair Added: {bot.symbol}"]
    if is_first:
        lines = [
            "✅ Trading Pair Added",
            f"Symbol: {bot.symbol}",
            f"Exchange: {bot.venue}",
            f"Balance: {money(balance, bot.symbol.quote)}",
        ]
    if opened:
        lines.append(f"📝 I opened a {account.venue} account for it: no real money is at risk.")
    return Reply(text="\n".join(lines), data=added(bot, account))


def check_strategy(request: AddPair, context: Context) -> None:
    """Refuse a strategy there is not, or parameters it does not allow."""
    strategies = context.catalog.strategies
    if request.strategy not in strategies:
        choices = ", ".join(sorted(strategies))
        raise Refused(f"There is no strategy {request.strategy!r}; choose one of: {choices}.")
    strategies[request.strategy].build(request.params)


async def choose_account(exchange: str, context: Context) -> tuple[Account, bool]:
    """Return the account to trade in, and whether it was opened for this."""
    venues = context.catalog.venues
    accounts = await context.accounts()
    if exchange and exchange.partition(":")[0] not in venues:
        choices = ", ".join(sorted(venues))
        raise Refused(f"I do not know the exchange {exchange!r}; choose one of: {choices}.")
    found = [account for account in accounts if is_called(account, exchange)]
    if len(found) == 1:
        return found[0], False
    if found:
        names = " or ".join(names_of(found))
        raise Refused(f"You are connected to several exchanges; add {names} at the end.")
    venue = venues.get(exchange.partition(":")[0] or PAPER)
    if venue is None or venue.needs_keys:
        name = exchange.partition(":")[0] or "<exchange>"
        raise Refused(f"Connect the exchange first: /connect {name} <api_key> <secret>")
    return await context.open_account(venue), True


async def check_place(symbol: Symbol, account: Account, context: Context) -> None:
    """Refuse a pair that is there already, and one more than the tier allows."""
    bots = await context.store.bots()
    if any(bot.symbol == symbol and bot.account_id == account.id for bot in bots):
        raise Refused(f"You already have {symbol} on {account.venue}; remove it first.")
    tier = context.tier
    if len(bots) >= tier.bots:
        raise Refused(
            f"Your {tier.name} tier allows {count(tier.bots, 'trading pair')}, "
            f"and you have {len(bots)}. Remove one with /removepair first."
        )


async def allocate(bot: BotSpec, account: Account, context: Context) -> None:
    """Book the bot's balance; a paper account is given it first, at its venue too."""
    moves = [("allocation", FREE, place_of(bot.id))]
    if account.mode is Mode.PAPER:
        moves.insert(0, ("deposit", EXTERNAL, FREE))
    for kind, source, target in moves:
        entry = LedgerEntry.of_transfer(
            id=f"{kind}:{bot.id}",
            user_id=bot.user_id,
            account_id=account.id,
            kind=kind,
            at=context.clock.now(),
            asset=bot.symbol.quote,
            amount=bot.allocation,
            source=source,
            target=target,
        )
        await context.store.book(entry)
    await context.store.ask_host(
        "allocate",
        {
            "account_id": account.id,
            "bot_id": bot.id,
            "asset": bot.symbol.quote,
            "amount": str(bot.allocation),
        },
    )


def added(bot: BotSpec, account: Account) -> PairAdded:
    return PairAdded(
        bot_id=bot.id,
        symbol=str(bot.symbol),
        exchange=bot.venue,
        mode=account.mode.value,
        balance=bot.allocation,
        strategy=bot.strategy,
        timeframe=str(bot.timeframe),
        params=bot.params,
    )


COMMAND = CommandSpec(
    name="addpair",
    summary="Add trading pair",
    usage="/addpair <symbol> <balance> [exchange]",
    options="strategy=ema_cross timeframe=1m, and the strategy's parameters, like fast=9",
    example="/addpair BTC/USDT 1000",
    request=AddPair,
    handler=add_pair,
    group="Setup",
    place=3,
    changes=True,
)
