"""New orders: what a client may ask for, and how it gets to the matching engine."""

from dataclasses import dataclass

from venuesim.binance import reports
from venuesim.binance.denials import Denied, missing, neither, refused, unneeded
from venuesim.binance.filters import check
from venuesim.binance.floor import Ask, Reply
from venuesim.binance.parameters import Parameters
from venuesim.binance.words import KINDS, LIFETIMES, RESPONSES, SIDES, STP_MODES
from venuesim.exchange import MILLION
from venuesim.orders import Lifetime, NewOrder, Order, Refusal
from venuesim.units import UNITS, text

Json = dict[str, object]
STRATEGY_TYPE_MIN = 1_000_000
# What each type of order must have; "quantity" may be quoteOrderQty for MARKET.
NEEDS = {
    "LIMIT": ("timeInForce", "quantity", "price"),
    "MARKET": ("quantity",),
    "STOP_LOSS": ("quantity", "stopPrice"),
    "STOP_LOSS_LIMIT": ("timeInForce", "quantity", "price", "stopPrice"),
    "TAKE_PROFIT": ("quantity", "stopPrice"),
    "TAKE_PROFIT_LIMIT": ("timeInForce", "quantity", "price", "stopPrice"),
    "LIMIT_MAKER": ("quantity", "price"),
}
TAKES_ICEBERG = ("LIMIT", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT", "LIMIT_MAKER")
BY_TYPE = ("timeInForce", "quoteOrderQty", "price", "stopPrice", "icebergQty", "trailingDelta")


@dataclass(frozen=True, slots=True)
class Wish:
    """An order as a client asked for it, and how it wants to hear of it."""

    request: NewOrder
    response: str
    iceberg: int = 0


# -------------------------------------------------------------- single orders


def read_wish(ask: Ask) -> Wish:
    """Read a new order; Denied for whatever is wrong with its parameters."""
    sent = ask.sent
    instrument = ask.floor.instrument(sent.symbol())
    side = sent.choice("side", SIDES, Denied(-1117, "Invalid side."))
    kind_word = sent.text("type")
    if kind_word not in KINDS:
        raise Denied(-1116, "Invalid orderType.")
    _check_shape(sent, kind_word)
    lifetime = Lifetime.GTC
    if sent.has("timeInForce"):
        lifetime = sent.choice("timeInForce", LIFETIMES, Denied(-1115, "Invalid timeInForce."))
    quantity, quote_quantity = sent.amount("quantity"), sent.amount("quoteOrderQty")
    price, stop_price = sent.amount("price"), sent.amount("stopPrice")
    iceberg = sent.amount("icebergQty")
    _check_amounts(sent)
    if iceberg and lifetime is not Lifetime.GTC:
        raise Denied(-1013, "Unsupported order combination")
    if iceberg > quantity:
        raise Denied(-1013, "IcebergQty exceeds QTY.")
    tags = tags_of(sent, kind_word, iceberg)
    request = NewOrder(
        symbol=instrument.name,
        side=side,
        kind=KINDS[kind_word],
        quantity=quantity,
        quote_quantity=quote_quantity,
        price=price,
        stop_price=stop_price,
        lifetime=lifetime,
        client_id=sent.client_id("newClientOrderId") or ask.floor.drawn_word(),
        post_only=kind_word == "LIMIT_MAKER",
        tags=tags,
    )
    fuller = kind_word in ("MARKET", "LIMIT")
    response = sent.one_of("newOrderRespType", RESPONSES) or ("FULL" if fuller else "ACK")
    return Wish(request, response, iceberg)


def _check_shape(sent: Parameters, kind_word: str) -> None:
    """Hold an order to the parameters its type must and may have."""
    if sent.has("trailingDelta"):
        raise Denied(-1013, "Trailing stop orders are not supported for this symbol.")
    if sent.has("pegPriceType"):
        raise Denied(-1013, "Pegged orders are not supported for this symbol.")
    needs = NEEDS[kind_word]
    for name in BY_TYPE:
        may = name in needs or (name == "icebergQty" and kind_word in TAKES_ICEBERG)
        if kind_word == "MARKET" and name == "quoteOrderQty":
            may = not sent.has("quantity")
        if sent.has(name) and not may:
            raise unneeded(name)
    for name in needs:
        if name == "stopPrice" and not sent.has(name):
            raise neither("stopPrice", "trailingDelta")
        if name == "quantity" and kind_word == "MARKET":
            if not sent.has("quantity") and not sent.has("quoteOrderQty"):
                raise neither("quantity", "quoteOrderQty")
        elif not sent.has(name):
            raise missing(name)


def _check_amounts(sent: Parameters) -> None:
    for name, word in (
        ("quantity", "quantity"),
        ("quoteOrderQty", "quoteOrderQty"),
        ("price", "price"),
        ("stopPrice", "stopPrice"),
    ):
        if sent.has(name) and not sent.amount(name):
            raise Denied(-1013, f"Invalid {word}.")


def tags_of(sent: Parameters, kind_word: str, iceberg: int, prefix: str = "") -> dict[str, str]:
    """Return what the venue says again of an order."""
    tags = {"type": kind_word}
    strategy = f"{prefix}StrategyId" if prefix else "strategyId"
    strategy_type = f"{prefix}StrategyType" if prefix else "strategyType"
    if (number := sent.long(strategy)) is not None:
        tags["strategyId"] = str(number)
    if (number := sent.long(strategy_type)) is not None:
        if number < STRATEGY_TYPE_MIN:
            raise Denied(-1134, "`strategyType` was less than 1000000.")
        tags["strategyType"] = str(number)
    if mode := sent.one_of("selfTradePreventionMode", STP_MODES):
        tags["stp"] = mode
    if iceberg:
        tags["iceberg"] = str(iceberg)
    return tags


def send(ask: Ask, wish: Wish) -> Order:
    """Send an order on to the matching engine."""
    floor = ask.floor
    check_rate(ask, 1)
    check(floor, ask.account, wish.request, iceberg=wish.iceberg)
    floor.counts.add(ask.account.name, 1, ask.now_ms)
    try:
        return floor.place.exchange.place(ask.account.name, wish.request)
    except Refusal as refusal:  # cancel-and-replace says it inside its own answer
        floor.counts.add(ask.account.name, -1, ask.now_ms)
        raise refused(refusal) from None


def check_rate(ask: Ask, orders: int) -> None:
    if ask.floor.place.limits:
        ask.floor.counts.check(ask.account.name, orders, ask.now_ms)


def new_order(ask: Ask) -> Reply:
    wish = read_wish(ask)
    order = send(ask, wish)
    return Reply(body=reports.placed(order, wish.response), order=order, client_id=order.client_id)


def check_order(ask: Ask) -> Reply:
    """Check an order and forget it."""
    compute = ask.sent.flag("computeCommissionRates")
    wish = read_wish(ask)
    check(ask.floor, ask.account, wish.request, iceberg=wish.iceberg)
    ask.floor.place.exchange.test(ask.account.name, wish.request)
    if not compute:
        return Reply(body={})
    instrument = ask.floor.place.exchange.instruments[wish.request.symbol]
    rates = {
        "maker": text(instrument.maker_fee * UNITS // MILLION),
        "taker": text(instrument.taker_fee * UNITS // MILLION),
    }
    nothing = {"maker": text(0), "taker": text(0)}
    return Reply(
        body={
            "standardCommissionForOrder": rates,
            "specialCommissionForOrder": nothing,
            "taxCommissionForOrder": nothing,
            "discount": discount(ask),
        }
    )


def discount(ask: Ask) -> Json:
    """Say what paying fees in another asset saves; here it saves nothing."""
    pays = ask.account.fee_from == "third" and bool(ask.account.fee_asset)
    return {
        "enabledForAccount": pays,
        "enabledForSymbol": True,
        "discountAsset": ask.account.fee_asset or "BNB",
        "discount": text(UNITS),
    }
