"""Placing, changing and cancelling spot orders."""

import re
from dataclasses import dataclass, replace

from venuesim.bybit.ask import Ask, Said
from venuesim.bybit.attached import attached_tags
from venuesim.bybit.errors import MISSING, Refused, refused
from venuesim.bybit.rows import link_id, number_of, number_of_link, order_id
from venuesim.bybit.signature import NO_TRADING
from venuesim.exchange import Exchange
from venuesim.instruments import Instrument
from venuesim.orders import Kind, Lifetime, NewOrder, Order, Reason, Refusal, Side
from venuesim.units import UNITS, short, text, units

LINK = re.compile(r"[A-Za-z0-9_-]{1,36}")
NUMBER = re.compile(r"\d{1,20}(\.\d{1,20})?")
FILTERS = ("Order", "tpslOrder", "StopOrder")
CANCELLED = (*FILTERS, "OcoOrder", "BidirectionalTpslOrder")
LIFETIMES = {
    "GTC": Lifetime.GTC,
    "PostOnly": Lifetime.GTC,
    "IOC": Lifetime.IOC,
    "FOK": Lifetime.FOK,
}
AWAY = 50_000  # millionths a limit price may be worse than the market: priceLimitRatioX
LATE_REASONS = (Reason.WOULD_TAKE, Reason.FOK_UNFILLED)
DERIVATIVES = ("linear", "inverse", "option")


def spot_only(ask: Ask) -> None:
    """Refuse every category but spot: this account trades nothing else."""
    category = ask.needed("category")
    if category in DERIVATIVES:
        raise Refused(10001, text="params error: symbol invalid")
    if category != "spot":
        raise Refused(10001, text="Illegal category")


def may_trade(ask: Ask) -> None:
    if ask.memory.place.maintenance == NO_TRADING:
        raise Refused(110066)


def amount(ask: Ask, name: str, too_fine: int, default: int | None = None) -> int:
    """Return a positive number that was sent as text, in units."""
    value = ask.words.get(name)
    if (value is None or value == "") and default is not None:
        return default
    if value is None or value == "":
        raise Refused(10001, text=MISSING)
    if not isinstance(value, str) or not NUMBER.fullmatch(value):
        raise Refused(10001)
    try:
        return units(value)
    except ValueError:
        raise Refused(too_fine) from None


def create(ask: Ask) -> Said:
    """Accept an order; that it was accepted is all the answer says."""
    may_trade(ask)
    spot_only(ask)
    instrument = ask.instrument(170121)
    request = new_order(ask, instrument)
    exchange, account = ask.memory.place.exchange, ask.account.name
    try:
        return about(placed(exchange, account, request))
    except Refusal as refusal:
        raise refused(refusal) from refusal


def placed(exchange: Exchange, account: str, request: NewOrder) -> Order:
    """Return the order; what only matching can refuse is accepted first, and ended then."""
    try:
        return exchange.place(account, request)
    except Refusal as refusal:
        if refusal.reason not in LATE_REASONS:
            raise
        exchange.test(account, replace(request, post_only=False, lifetime=Lifetime.GTC))
        return exchange.stillborn(account, request, refusal.reason)


def about(order: Order) -> Said:
    return Said(result=ids(order), order=order, client_id=order.client_id)


def ids(order: Order) -> dict[str, str]:
    return {"orderId": order_id(order.id), "orderLinkId": link_id(order)}


def new_order(ask: Ask, instrument: Instrument) -> NewOrder:
    """Return what is asked for; Refused when it cannot be understood."""
    side = {"Buy": Side.BUY, "Sell": Side.SELL}.get(ask.needed("side"))
    if side is None:
        raise Refused(170117)
    words = ask.needed("orderType")
    if words not in ("Market", "Limit"):
        raise Refused(170116)
    if ask.text("isLeverage", "0") not in ("0", "False", ""):
        raise Refused(170036)
    form = how(ask, instrument, side, limit=words == "Limit")
    link = ask.text("orderLinkId")
    if link and not LINK.fullmatch(link):
        raise Refused(170130, "orderLinkId")
    request = NewOrder(symbol=instrument.name, side=side, kind=form.kind, client_id=link)
    request = sized(ask, instrument, replace(request, price=form.price, stop_price=form.trigger))
    tags = {**request.tags, "filter": form.filter, "last": last_price(ask, instrument)}
    if form.filter != "Order":
        tags["stop"] = "tpslOrder" if form.filter == "tpslOrder" else "Stop"
    if form.kind is Kind.LIMIT:
        check_price(ask, instrument, side, form.price)
    tags |= attached_tags(ask, instrument, side, form.kind, form.price)
    tags |= {name: ask.text(name) for name in ("slippageToleranceType", "slippageTolerance")}
    return replace(
        request,
        lifetime=form.lifetime,
        post_only=form.post_only,
        holds=form.filter != "StopOrder",
        tags={name: value for name, value in tags.items() if value},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How an order trades: its filter, kind, prices and lifetime."""

    filter: str
    kind: Kind
    price: int
    trigger: int
    lifetime: Lifetime
    post_only: bool


def how(ask: Ask, instrument: Instrument, side: Side, *, limit: bool) -> Form:
    filter = ask.text("orderFilter") or "Order"
    if filter not in FILTERS:
        raise Refused(170201)
    trigger = amount(ask, "triggerPrice", 170134, 0)
    if filter != "Order" and not trigger:
        raise Refused(170202)
    if filter == "Order" and trigger:
        raise Refused(170130, "triggerPrice")
    lifetime = ask.text("timeInForce") or "GTC"
    if lifetime == "RPI":
        raise Refused(170355)
    if lifetime not in LIFETIMES:
        raise Refused(170115)
    kind = kind_of(ask, instrument, side, trigger, limit=limit)
    return Form(
        filter=filter,
        kind=kind,
        price=amount(ask, "price", 170134) if limit else 0,
        trigger=trigger,
        lifetime=LIFETIMES[lifetime] if limit else Lifetime.GTC,
        post_only=limit and lifetime == "PostOnly",
    )


def kind_of(ask: Ask, instrument: Instrument, side: Side, trigger: int, *, limit: bool) -> Kind:
    """A spot trigger waits for the price from whichever side the market is on."""
    if not trigger:
        return Kind.LIMIT if limit else Kind.MARKET
    rises = trigger > market_price(ask, instrument)
    if rises == (side is Side.BUY):
        return Kind.STOP_LIMIT if limit else Kind.STOP_MARKET
    return Kind.PROFIT_LIMIT if limit else Kind.PROFIT_MARKET


def sized(ask: Ask, instrument: Instrument, request: NewOrder) -> NewOrder:
    """Read qty: base, or quote for a market buy unless marketUnit says otherwise."""
    if request.kind.has_limit:
        return replace(request, quantity=whole(amount(ask, "qty", 170137), 170136))
    unit = ask.text("marketUnit") or ("quoteCoin" if request.side is Side.BUY else "baseCoin")
    if unit not in ("baseCoin", "quoteCoin"):
        raise Refused(170130, "marketUnit")
    if unit == "baseCoin":
        quantity = whole(amount(ask, "qty", 170137), 170136)
        return replace(request, quantity=quantity, tags={"unit": unit})
    quote = whole(amount(ask, "qty", 170148), 170140)
    if quote % 10 ** (8 - instrument.amount_decimals):
        raise Refused(170148)
    tags = {"unit": unit, "quote": str(quote)}
    if not request.kind.triggers:
        return replace(request, quote_quantity=quote, tags=tags)
    quantity = quote * UNITS // request.stop_price
    quantity -= quantity % instrument.step
    return replace(request, quantity=whole(quantity, 170136), tags=tags)


def whole(quantity: int, too_small: int) -> int:
    if not quantity:
        raise Refused(too_small)
    return quantity


def market_price(ask: Ask, instrument: Instrument) -> int:
    try:
        return ask.memory.place.exchange.price(instrument.name)
    except Refusal as refusal:
        raise refused(refusal) from refusal


def last_price(ask: Ask, instrument: Instrument) -> str:
    return text(market_price(ask, instrument), instrument.price_decimals)


def check_price(ask: Ask, instrument: Instrument, side: Side, price: int) -> None:
    """Refuse a limit price too far on the wrong side of the market."""
    market = market_price(ask, instrument)
    away = market * AWAY // 1_000_000
    if side is Side.BUY and price > market + away:
        raise Refused(170193, f"{short(market + away)}{instrument.quote}")
    if side is Side.SELL and price < market - away:
        raise Refused(170194, f"{short(market - away)}{instrument.quote}")


def named(ask: Ask) -> Order | None:
    """Return the order that orderId names, or else orderLinkId, whatever its state."""
    exchange, account = ask.memory.place.exchange, ask.account.name
    by_id, link = ask.text("orderId"), ask.text("orderLinkId")
    if not by_id and not link:
        raise Refused(10001, text="params error: orderId or orderLinkId is required")
    if by_id:
        number = number_of(by_id)
        return None if number is None else exchange.find(account, order_id=number)
    found = exchange.find(account, client_id=link)
    number = number_of_link(link)
    if found is None and number is not None:
        found = exchange.find(account, order_id=number)
        return found if found is not None and not found.client_id else None
    return found


def live(ask: Ask, instrument: Instrument) -> Order:
    order = named(ask)
    if order is None or not order.is_live or order.symbol != instrument.name:
        raise Refused(170213)
    return order


def fits(order: Order, filter: str) -> bool:
    """Say whether an order is of a filter; one that triggered is an active order too."""
    own = order.request.tags.get("filter", "Order")
    return filter == own or (filter == "Order" and order.triggered)


def cancel(ask: Ask) -> Said:
    spot_only(ask)
    instrument = ask.instrument(170121)
    filter = ask.text("orderFilter") or "Order"
    if filter not in CANCELLED:
        raise Refused(170201)
    order = live(ask, instrument)
    if not fits(order, filter):
        raise Refused(170213)
    ask.memory.place.exchange.cancel(ask.account.name, order)
    return Said(result=ids(order), client_id=order.client_id)


def cancel_all(ask: Ask) -> Said:
    spot_only(ask)
    filter = ask.text("orderFilter") or "Order"
    if filter not in CANCELLED:
        raise Refused(170201)
    wanted = ask.instrument(170121).name if ask.text("symbol") else ""
    coin = "" if wanted else ask.text("baseCoin")
    gone = []
    for order in list(ask.account.live.values()):
        here = wanted in ("", order.symbol) and coin in ("", order.instrument.base)
        if here and fits(order, filter) and order.is_live:
            ask.memory.place.exchange.cancel(ask.account.name, order)
            gone.append(ids(order))
    return Said(result={"list": gone, "success": "1"})


def amend(ask: Ask) -> Said:
    may_trade(ask)
    spot_only(ask)
    instrument = ask.instrument(170121)
    order = live(ask, instrument)
    quantity = amount(ask, "qty", 170137, 0)
    if quantity and quantity < order.filled:
        raise Refused(170313)
    price = amount(ask, "price", 170134, 0) if order.kind.has_limit else 0
    trigger = amount(ask, "triggerPrice", 170134, 0) if order.kind.triggers else 0
    if price and order.kind is Kind.LIMIT:
        check_price(ask, instrument, order.side, price)
    try:
        ask.memory.place.exchange.amend(
            ask.account.name, order, quantity=quantity, price=price, stop_price=trigger
        )
    except Refusal as refusal:
        raise refused(refusal) from refusal
    return Said(result=ids(order), client_id=order.client_id)
