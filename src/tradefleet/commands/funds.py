"""/funds: how much of an asset may be traded by hand, and how much pairs hold."""

from dataclasses import dataclass
from decimal import Decimal

from tradefleet.by_hand import ENVIRONMENTS, account_seen, ask_money, free_and_locked
from tradefleet.command import CommandSpec, Context, Question, Reply, Route
from tradefleet.domain.errors import Refused
from tradefleet.domain.market import CODE
from tradefleet.drawing import money


@dataclass(frozen=True, slots=True)
class Funds:
    asset: str = "USDC"
    exchange: str = ""


@dataclass(frozen=True, slots=True)
class AssetFunds:
    """free: what no pair owns; locked: what pairs count on."""

    environment: str
    asset: str
    free: Decimal
    locked: Decimal


async def ask(request: Funds, context: Context) -> Question | None:
    return await ask_money(context, request.exchange)


async def funds(request: Funds, context: Context) -> Reply:
    asset = request.asset.upper()
    if not CODE.fullmatch(asset):
        raise Refused("Name an asset like USDC or BTC.")
    account = await account_seen(context, request.exchange)
    free, locked = await free_and_locked(context, account, asset)
    where = "paper" if account is None else account.venue
    text = f"💵 On {where}: {money(free, asset)} is free to trade, {money(locked, asset)} in pairs"
    mode = "paper" if account is None else ENVIRONMENTS[account.mode]
    return Reply(text=text, data=AssetFunds(mode, asset, free, locked))


COMMAND = CommandSpec(
    name="funds",
    summary="What is free to trade by hand",
    usage="/funds [asset] [exchange]",
    example="/funds USDC",
    request=Funds,
    handler=funds,
    asks=ask,
    group="Trading",
    place=9,
    refreshes=True,
    route=Route("GET", "/trade/funds"),
    data=AssetFunds,
)
