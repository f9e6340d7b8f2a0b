"""/config: what your pairs run with, or everything about one of them."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from decimal import Decimal

from tradefleet.command import CommandSpec, Context, Reply, Route
from tradefleet.domain.bot import BotSpec
from tradefleet.domain.limits import RiskLimits, Tier
from tradefleet.domain.market import Symbol
from tradefleet.domain.universe import UniverseSpec
from tradefleet.drawing import account_name, count, money, percent, positions_text

COLUMNS = ("Pair", "Account", "Strategy", "Timeframe", "Balance", "Changed")


@dataclass(frozen=True, slots=True)
class Config:
    symbol: Symbol | None = None


@dataclass(frozen=True, slots=True)
class PairConfig:
    """params: every parameter of the strategy as it is used.

    universe: which one's balance the pair shares, "" where the balance is its own.
    """

    symbol: str
    account: str
    strategy: str
    timeframe: str
    balance: Decimal
    params: Mapping[str, str]
    universe: str = ""


@dataclass(frozen=True, slots=True)
class Configuration:
    """limits: the user's own or the default ones, by name; a limit that is off is not there."""

    tier: str
    limits: Mapping[str, str]
    pairs: tuple[PairConfig, ...]


async def config(request: Config, context: Context) -> Reply:
    bots = await context.bots(request.symbol) if request.symbol else await context.store.bots()
    accounts = {account.id: account_name(account) for account in await context.store.accounts()}
    universes = await context.universes()
    limits = limits_shown((await context.store.limits()) or RiskLimits.default())
    data = Configuration(
        tier=context.user.tier,
        limits=limits,
        pairs=tuple(
            configured(bot, accounts[bot.account_id], universes.get(bot.universe_id), context)
            for bot in bots
        ),
    )
    if len(bots) == 1 and request.symbol:
        return one_pair(bots[0], data, universes.get(bots[0].universe_id), context)
    lines = ["⚙️ Configuration", f"Tier: {tier_text(context.tier)}", "Limits:"]
    lines += [f"  {name}: {value}" for name, value in limits.items()]
    lines += [f"🌐 {universe_text(universe)}" for universe in universes.values()]
    rows = tuple(
        (
            pair.symbol,
            pair.account,
            pair.strategy,
            pair.timeframe,
            pair.universe or money(pair.balance, bot.symbol.quote),
            ", ".join(f"{name}={value}" for name, value in bot.params.items()) or "-",
        )
        for bot, pair in zip(bots, data.pairs, strict=True)
    )
    return Reply(text="\n".join(lines), columns=COLUMNS, rows=rows, data=data)


def universe_text(universe: UniverseSpec) -> str:
    balance = money(universe.allocation, universe.asset)
    return f"Universe {universe.name}: {balance} shared, {positions_text(universe)}"


def one_pair(
    bot: BotSpec, data: Configuration, universe: UniverseSpec | None, context: Context
) -> Reply:
    """Show one pair with every parameter of its strategy."""
    pair = data.pairs[0]
    balance = f"Balance: {money(pair.balance, bot.symbol.quote)}"
    lines = [
        f"⚙️ {pair.symbol}",
        f"Account: {pair.account}",
        f"Strategy: {pair.strategy}",
        f"Timeframe: {pair.timeframe}",
        universe_text(universe) if universe else balance,
    ]
    meanings = context.catalog.strategies[bot.strategy].parameters
    rows = tuple(
        (name, changed(pair.params[name], default), meaning)
        for name, (default, meaning) in meanings.items()
    )
    columns = ("Parameter", "Value", "Meaning")
    return Reply(text="\n".join(lines), columns=columns, rows=rows, data=data)


def changed(value: str, default: str) -> str:
    return value if value == default else f"{value} (not {default})"


def tier_text(tier: Tier) -> str:
    return (
        f"{tier.name} ({count(tier.bots, 'trading pair')}, "
        f"{count(tier.open_positions, 'open position')}, "
        f"{tier.entries_per_day} entries a day)"
    )


def configured(
    bot: BotSpec, account: str, universe: UniverseSpec | None, context: Context
) -> PairConfig:
    known = context.catalog.strategies.get(bot.strategy)
    defaults = {name: text for name, (text, _) in known.parameters.items()} if known else {}
    return PairConfig(
        symbol=str(bot.symbol),
        account=account,
        strategy=bot.strategy,
        timeframe=str(bot.timeframe),
        balance=bot.allocation,
        params=defaults | dict(bot.params),
        universe=universe.name if universe else "",
    )


def limits_shown(limits: RiskLimits) -> dict[str, str]:
    """Return the limits that are on: "daily loss share" as 5.00%."""
    shown = {}
    for each in fields(limits):
        value = getattr(limits, each.name)
        if value is None or value == frozenset():
            continue
        name = each.name.removesuffix("_max").replace("_", " ")
        if name.endswith(" share"):
            name, value = name.removesuffix(" share"), percent(value)
        shown[name.capitalize()] = (
            ", ".join(sorted(value)) if isinstance(value, frozenset) else str(value)
        )
    return shown


COMMAND = CommandSpec(
    name="config",
    summary="View configuration",
    usage="/config [symbol]",
    example="/config",
    request=Config,
    handler=config,
    place=2,
    route=Route("GET", "/config"),
    more_routes=(Route("GET", "/bots/{symbol}/config"),),
    data=Configuration,
)
