"""/adduniverse: let several pairs trade from one balance, the best signals first.

A list of pairs, one stake and a number of positions that may be open at once: what other bots
call a pair list with its maximum of open trades. Said again with the same name it adds pairs,
money, or both.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from tradefleet.command import CommandSpec, Context, Question, Reply, Route
from tradefleet.domain.bot import BotSpec
from tradefleet.domain.errors import Refused
from tradefleet.domain.ids import BotId, UniverseId
from tradefleet.domain.ledger import place_of_universe
from tradefleet.domain.market import Symbol, Timeframe
from tradefleet.domain.money import UNIT, ZERO, round_down
from tradefleet.domain.universe import UniverseSpec
from tradefleet.domain.user import Account
from tradefleet.drawing import count, money, positions_text

MAIN = "main"
NAME = re.compile(r"[a-z0-9_-]{1,20}")
STRATEGY, TIMEFRAME = "apex", "5m"  # of a new universe that is told no other


@dataclass(frozen=True, slots=True)
class AddUniverse:
    """positions: how many may be open at once, 0 for as many as the limits allow."""

    symbols: str
    balance: Decimal | None = None
    exchange: str = ""
    name: str = MAIN
    positions: int | None = None
    strategy: str = ""
    timeframe: str = ""
    params: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Way:
    """What all pairs of a universe trade by."""

    strategy: str
    timeframe: Timeframe
    params: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class UniverseAdded:
    """A universe as it is now, and the pairs that were added to it."""

    universe_id: str
    name: str
    exchange: str
    mode: str
    asset: str
    balance: Decimal
    positions_max: int | None
    pairs: tuple[str, ...]
    added: tuple[str, ...]
    strategy: str
    timeframe: str


async def ask(request: AddUniverse, context: Context) -> Question | None:
    """Return the question what a real account holds: the universe gets a part of it."""
    if request.balance is None:
        return None
    return await context.question_of_money(request.exchange.lower())


async def add_universe(request: AddUniverse, context: Context) -> Reply:
    symbols = symbols_of(request.symbols)
    account, opened = await context.account_for(request.exchange.lower())
    known = await find_universe(request.name, account, context)
    members = await members_of(known, context)
    way = way_of(request, members, context)
    await context.check_place(symbols, account)
    universe = await universe_of(request, known, symbols, account, context)
    if request.balance is not None:
        await context.check_money(account, universe.asset, round_down(request.balance, UNIT))
    await context.store.save_universe(universe)
    for symbol in symbols:
        await context.store.add_bot(member(symbol, way, universe, account, context))
    await give(request.balance, universe, account, context)
    pairs = [*(bot.symbol for bot in members), *symbols]
    lines = [
        f"🌐 Universe {'Extended' if known else 'Added'}: {universe.name}",
        f"Pairs: {', '.join(map(str, pairs))}",
        f"Exchange: {account.venue}",
        f"Balance: {money(universe.allocation, universe.asset)}, shared by "
        + count(len(pairs), "pair"),
        f"Positions: {positions_text(universe)}",
    ]
    if opened:
        lines.append(f"📝 I opened a {account.venue} account for it: no real money is at risk.")
    data = UniverseAdded(
        universe_id=universe.id,
        name=universe.name,
        exchange=account.venue,
        mode=account.mode.value,
        asset=universe.asset,
        balance=universe.allocation,
        positions_max=universe.positions_max,
        pairs=tuple(map(str, pairs)),
        added=tuple(map(str, symbols)),
        strategy=way.strategy,
        timeframe=str(way.timeframe),
    )
    return Reply(text="\n".join(lines), data=data)


def symbols_of(text: str) -> list[Symbol]:
    """Return the pairs of a list with commas, each once; all count their money in one currency."""
    names = [name for name in text.split(",") if name.strip()]
    symbols = list(dict.fromkeys(map(Symbol.parse, names)))
    if not symbols:
        raise Refused("Name the pairs with commas between them, like BTC/USDT,ETH/USDT.")
    if len({symbol.quote for symbol in symbols}) > 1:
        quotes = ", ".join(dict.fromkeys(symbol.quote for symbol in symbols))
        raise Refused(f"The pairs of a universe share one balance; these count in {quotes}.")
    return symbols


async def find_universe(name: str, account: Account, context: Context) -> UniverseSpec | None:
    """Return the universe of that name in an account, if there is one."""
    if not NAME.fullmatch(name.lower()):
        raise Refused("A universe's name has up to 20 letters, digits, - and _.")
    for universe in await context.store.universes():
        if (universe.account_id, universe.name) == (account.id, name.lower()):
            return universe
    return None


async def members_of(universe: UniverseSpec | None, context: Context) -> list[BotSpec]:
    if universe is None:
        return []
    return [bot for bot in await context.store.bots() if bot.universe_id == universe.id]


def way_of(request: AddUniverse, members: Sequence[BotSpec], context: Context) -> Way:
    """Return what the pairs trade by: what was said, or what the universe trades by already."""
    like = members[0] if members else None
    strategy = request.strategy or (like.strategy if like else STRATEGY)
    params = request.params or (like.params if like and like.strategy == strategy else {})
    timeframe = Timeframe.parse(request.timeframe or (str(like.timeframe) if like else TIMEFRAME))
    if like is not None and timeframe != like.timeframe:
        raise Refused(f"The universe scans bars of {like.timeframe}: all its pairs have the same.")
    context.catalog.check_strategy(strategy, params)
    return Way(strategy, timeframe, dict(params))


def member(
    symbol: Symbol, way: Way, universe: UniverseSpec, account: Account, context: Context
) -> BotSpec:
    return BotSpec(
        id=BotId(context.ids.new()),
        user_id=context.user.id,
        account_id=account.id,
        venue=account.venue,
        symbol=symbol,
        timeframe=way.timeframe,
        strategy=way.strategy,
        allocation=ZERO,
        params=way.params,
        universe_id=universe.id,
    )


async def universe_of(
    request: AddUniverse,
    known: UniverseSpec | None,
    symbols: Sequence[Symbol],
    account: Account,
    context: Context,
) -> UniverseSpec:
    """Return the universe as it is to be; refuse symbols and amounts that cannot be traded."""
    quote = symbols[0].quote
    universe = known or UniverseSpec(
        id=UniverseId(context.ids.new()),
        user_id=context.user.id,
        account_id=account.id,
        name=request.name.lower(),
        asset=quote,
        allocation=ZERO,
    )
    if universe.asset != quote:
        raise Refused(f"The universe {universe.name} counts in {universe.asset}, not in {quote}.")
    least = min([(await context.catalog.rules(account.venue, s)).notional_min for s in symbols])
    allocation = universe.allocation + round_down(request.balance or ZERO, UNIT)
    if allocation < least or allocation == ZERO:
        raise Refused(
            f"The balance is below {account.venue}'s smallest order, {money(least, quote)}."
        )
    most = universe.positions_max if request.positions is None else request.positions or None
    return replace(universe, allocation=allocation, positions_max=most)


async def give(
    balance: Decimal | None, universe: UniverseSpec, account: Account, context: Context
) -> None:
    """Book what is new of the universe's balance, and let its host know."""
    amount, place = round_down(balance or ZERO, UNIT), place_of_universe(universe.id)
    if amount:
        cause = f"{universe.id}:{context.ids.new()}"
        await context.allocate(account, place, universe.asset, amount, cause)
    payload = {
        "account_id": account.id,
        "universe_id": universe.id,
        "asset": universe.asset,
        "amount": str(amount),
    }
    await context.store.ask_host("allocate", payload)


COMMAND = CommandSpec(
    name="adduniverse",
    summary="Let several pairs share one balance, the best signals first",
    usage="/adduniverse <symbols> <balance> [exchange]",
    options="positions=3 name=main strategy=ema_cross timeframe=1m, and the strategy's parameters",
    example="/adduniverse BTC/USDT,ETH/USDT,SOL/USDT 1000 positions=2",
    request=AddUniverse,
    handler=add_universe,
    asks=ask,
    group="Setup",
    place=8,
    changes=True,
    opens=True,
    route=Route("POST", "/universes"),
    data=UniverseAdded,
)
