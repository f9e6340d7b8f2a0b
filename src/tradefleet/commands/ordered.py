"""/ordered: what became of an order by hand, the latest one unless it is named."""

from dataclasses import dataclass

from tradefleet.by_hand import Outcome, outcome_of
from tradefleet.command import CommandSpec, Context, Reply, Route
from tradefleet.domain.market import Symbol
from tradefleet.drawing import money, price, quantity


@dataclass(frozen=True, slots=True)
class Ordered:
    request: str = ""


async def ordered(request: Ordered, context: Context) -> Reply:
    found = await outcome_of(request.request, context)
    return Reply(text=told(found), data=found)


def told(found: Outcome) -> str:
    symbol = Symbol.parse(found.symbol)
    if found.status == "refused":
        return f"❌ {symbol}: nothing was traded. {found.reason}"
    if found.status == "waiting":
        return f"⏳ {symbol}: your order waits for its turn."
    verb = "bought" if found.side == "buy" else "sold"
    if not found.quantity:
        return f"⏳ {symbol}: your order is at the exchange."
    what = f"{quantity(found.quantity)} {symbol.base} at {price(found.price, symbol.quote)}"
    costs = f"{money(found.cost, symbol.quote)}, fee {price(found.fee, symbol.quote)}"
    sign = "✅" if found.status == "done" else "⏳"
    return f"{sign} {symbol}: {verb} {what}: {costs}"


COMMAND = CommandSpec(
    name="ordered",
    summary="What became of your order by hand",
    usage="/ordered [request]",
    example="/ordered",
    request=Ordered,
    handler=ordered,
    group="Trading",
    place=8,
    route=Route("GET", "/trade/ordered"),
    data=Outcome,
)
