"""/buy: buy now at the market, for an amount, a quantity, or with all that is free."""

from dataclasses import dataclass
from decimal import Decimal

from tradefleet.by_hand import Ask, OrderAsked, ask_money, order_by_hand
from tradefleet.command import CommandSpec, Context, Question, Reply, Route
from tradefleet.domain.errors import Refused
from tradefleet.domain.limits import MAINTENANCE, Halt
from tradefleet.domain.market import Side, Symbol


@dataclass(frozen=True, slots=True)
class Buy:
    """amount in quote, fee included; quantity in base."""

    symbol: Symbol
    amount: Decimal | None = None
    exchange: str = ""
    quantity: Decimal | None = None


async def ask(request: Buy, context: Context) -> Question | None:
    return await ask_money(context, request.exchange)


async def buy(request: Buy, context: Context) -> Reply:
    for switch in await context.store.switches():
        if switch.scope_id == MAINTENANCE and switch.halt is not Halt.RUN:
            raise Refused(f"🛠️ {switch.reason} Nothing new is bought now; selling goes on.")
    return await order_by_hand(
        Ask(
            side=Side.BUY,
            symbol=request.symbol,
            exchange=request.exchange,
            amount=request.amount,
            quantity=request.quantity,
        ),
        context,
    )


COMMAND = CommandSpec(
    name="buy",
    summary="Buy now at the market",
    usage="/buy <symbol> [amount] [exchange]",
    options="quantity=0.0003 in place of the amount; without either, all that is free",
    example="/buy BTC/USDC 30",
    request=Buy,
    handler=buy,
    asks=ask,
    group="Trading",
    place=6,
    dangerous=True,
    changes=True,
    opens=True,
    route=Route("POST", "/trade/buy"),
    data=OrderAsked,
)
