"""/addpair: give one pair its own bot and its own balance.

The very first pair of a user is answered with its details, every later one with a line: the
source of these words shows both. Nobody who did not connect an exchange is sent away: paper
needs no keys, so a paper account is opened and the reply says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from tradefleet.command import STATUS, CommandSpec, Context, Question, Reply, Route, Step
from tradefleet.domain.bot import BotSpec
from tradefleet.domain.errors import Refused
from tradefleet.domain.ids import BotId
from tradefleet.domain.ledger import place_of
from tradefleet.domain.market import Symbol, Timeframe
from tradefleet.domain.money import UNIT, round_down
from tradefleet.domain.user import Account
from tradefleet.drawing import account_name, money


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


async def ask(request: AddPair, context: Context) -> Question | None:
    """Return the question what a real account holds: the pair gets a part of it."""
    return await context.question_of_money(request.exchange.lower())


async def add_pair(request: AddPair, context: Context) -> Reply:
    context.catalog.check_strategy(request.strategy, request.params)
    timeframe = Timeframe.parse(request.timeframe)
    balance = round_down(request.balance, UNIT)
    account, opened = await context.account_for(request.exchange.lower())
    rules = await context.catalog.rules(account.venue, request.symbol)
    if balance < rules.notional_min:
        least = money(rules.notional_min, request.symbol.quote)
        raise Refused(f"The balance is below {account.venue}'s smallest order, {least}.")
    await context.check_place([request.symbol], account)
    left = await context.check_money(account, request.symbol.quote, balance)
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
    if left is not None:
        lines.append(f"Left on {account_name(account)}: {money(left, bot.symbol.quote)}")
    if opened:
        lines.append(f"📝 I opened a {account.venue} account for it: no real money is at risk.")
    return Reply(
        text="\n".join(lines),
        data=added(bot, account),
        steps=(Step(f"🚀 Start {bot.symbol}", f"/start_trading {bot.symbol}"), STATUS),
    )


async def allocate(bot: BotSpec, account: Account, context: Context) -> None:
    """Book the bot's balance, and let its host know."""
    asset, amount = bot.symbol.quote, bot.allocation
    await context.allocate(account, place_of(bot.id), asset, amount, bot.id)
    payload = {"account_id": account.id, "bot_id": bot.id, "asset": asset, "amount": str(amount)}
    await context.store.ask_host("allocate", payload)


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
    asks=ask,
    group="Setup",
    place=3,
    changes=True,
    opens=True,
    route=Route("POST", "/bots"),
    data=PairAdded,
)
