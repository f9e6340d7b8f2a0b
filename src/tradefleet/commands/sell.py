"""/sell: sell now at the market what no pair owns, bought here or not."""

from dataclasses import dataclass
from decimal import Decimal

from tradefleet.by_hand import Ask, OrderAsked, ask_money, order_by_hand
from tradefleet.command import CommandSpec, Context, Question, Reply, Route
from tradefleet.domain.market import Side, Symbol


@dataclass(frozen=True, slots=True)
class Sell:
    """quantity in base; amount: so much of it as is worth that, in quote."""

    symbol: Symbol
    quantity: Decimal | None = None
    exchange: str = ""
    amount: Decimal | None = None


async def ask(request: Sell, context: Context) -> Question | None:
    return await ask_money(context, request.exchange)


async def sell(request: Sell, context: Context) -> Reply:
    return await order_by_hand(
        Ask(
            side=Side.SELL,
            symbol=request.symbol,
            exchange=request.exchange,
            amount=request.amount,
            quantity=request.quantity,
        ),
        context,
    )


COMMAND = CommandSpec(
    name="sell",
    summary="Sell now at the market",
    usage="/sell <symbol> [quantity] [exchange]",
    options="amount=30 in place of the quantity; without either, all that no pair owns",
    example="/sell BTC/USDC 0.0003",
    request=Sell,
    handler=sell,
    asks=ask,
    group="Trading",
    place=7,
    dangerous=True,
    changes=True,
    is_exit=True,
    route=Route("POST", "/trade/sell"),
    data=OrderAsked,
)
