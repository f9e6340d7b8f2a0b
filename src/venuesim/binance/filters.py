"""The filters of each symbol: as exchangeInfo lists them, and as orders are held to them."""

from collections.abc import Iterable

from venuesim.binance.denials import Denied, filter_failure
from venuesim.binance.floor import Ask, Floor, Reply
from venuesim.binance.limits import RATE_LIMITS
from venuesim.binance.words import KINDS, STP_MODES, price_max, symbol_of
from venuesim.exchange import Account
from venuesim.instruments import Instrument
from venuesim.orders import Kind, NewOrder, Side
from venuesim.units import UNITS, text, times

ICEBERG_PARTS = 100
PRICE_UP, PRICE_DOWN = 5, "0.2"  # of the average price, on both sides
AVERAGE_MINUTES = 5
NOTIONAL_MAX = 9_000_000 * UNITS
ORDERS_MAX = 200  # open on a symbol
ALGO_ORDERS_MAX = 5
LISTS_MAX = 20
HALTED = ("HALT", "BREAK", "CANCEL_ONLY")


def symbol_filters(instrument: Instrument) -> list[dict[str, object]]:
    up, down = str(PRICE_UP), PRICE_DOWN
    return [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": text(instrument.tick),
            "maxPrice": text(price_max(instrument)),
            "tickSize": text(instrument.tick),
        },
        {
            "filterType": "LOT_SIZE",
            "minQty": text(instrument.quantity_min),
            "maxQty": text(instrument.quantity_max),
            "stepSize": text(instrument.step),
        },
        {"filterType": "ICEBERG_PARTS", "limit": ICEBERG_PARTS},
        {
            "filterType": "MARKET_LOT_SIZE",
            "minQty": text(0),
            "maxQty": text(instrument.quantity_max),
            "stepSize": text(0),
        },
        {
            "filterType": "PERCENT_PRICE_BY_SIDE",
            "bidMultiplierUp": up,
            "bidMultiplierDown": down,
            "askMultiplierUp": up,
            "askMultiplierDown": down,
            "avgPriceMins": AVERAGE_MINUTES,
        },
        {
            "filterType": "NOTIONAL",
            "minNotional": text(instrument.notional_min),
            "applyMinToMarket": True,
            "maxNotional": text(NOTIONAL_MAX),
            "applyMaxToMarket": False,
            "avgPriceMins": AVERAGE_MINUTES,
        },
        {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": ORDERS_MAX},
        {"filterType": "MAX_NUM_ORDER_LISTS", "maxNumOrderLists": LISTS_MAX},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": ALGO_ORDERS_MAX},
    ]


def symbol_status(floor: Floor) -> str:
    return floor.place.maintenance if floor.place.maintenance in HALTED else "TRADING"


def _symbol_rules(floor: Floor, instrument: Instrument, *, sets: bool) -> dict[str, object]:
    return {
        "symbol": symbol_of(instrument),
        "status": symbol_status(floor),
        "baseAsset": instrument.base,
        "baseAssetPrecision": 8,
        "quoteAsset": instrument.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": sorted(KINDS),
        "icebergAllowed": True,
        "ocoAllowed": True,
        "otoAllowed": False,
        "opoAllowed": False,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": False,
        "cancelReplaceAllowed": True,
        "amendAllowed": False,
        "pegInstructionsAllowed": False,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": symbol_filters(instrument),
        "permissions": [],
        "permissionSets": [["SPOT"]] if sets else [],
        "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
        "allowedSelfTradePreventionModes": list(STP_MODES),
    }


def exchange_rules(ask: Ask) -> Reply:
    floor, sent = ask.floor, ask.sent
    symbols = sent.symbols()
    permissions, status = sent.optional("permissions"), sent.optional("symbolStatus")
    sets = sent.flag("showPermissionSets", True)
    chosen: Iterable[Instrument] = floor.symbols.values()
    if sent.has("symbol"):
        if symbols is not None or permissions or status:
            raise Denied(-1128, "Combination of optional parameters invalid.")
        chosen = [floor.instrument(sent.symbol())]
    elif symbols is not None:
        if permissions or status:
            raise Denied(-1128, "Combination of optional parameters invalid.")
        chosen = [floor.instrument(symbol) for symbol in symbols]
    elif (permissions and "SPOT" not in permissions) or (status and status != symbol_status(floor)):
        chosen = []
    return Reply(
        body={
            "timezone": "UTC",
            "serverTime": ask.now_ms,
            "rateLimits": RATE_LIMITS,
            "exchangeFilters": [],
            "symbols": [_symbol_rules(floor, instrument, sets=sets) for instrument in chosen],
        }
    )


# ------------------------------------------------------------------- checks


def check(floor: Floor, book: Account, request: NewOrder, *, iceberg: int = 0) -> None:
    """Hold an order to its symbol's filters as the API does before the matching engine."""
    instrument = floor.place.exchange.instruments[request.symbol]
    if symbol_status(floor) != "TRADING":
        raise Denied(-1013, "Market is closed.")
    for price in (request.price, request.stop_price):
        if price and (price % instrument.tick or price > price_max(instrument)):
            raise filter_failure("PRICE_FILTER")
    average = floor.tape.average_price(request.symbol)
    if request.kind.has_limit and not (average // PRICE_UP <= request.price <= average * PRICE_UP):
        raise filter_failure("PERCENT_PRICE_BY_SIDE")
    _check_quantity(instrument, request, iceberg)
    _check_notional(instrument, request, average)
    check_counts(book, [request])


def _check_quantity(instrument: Instrument, request: NewOrder, iceberg: int) -> None:
    for quantity in (request.quantity, iceberg):
        if quantity and (
            quantity < instrument.quantity_min
            or quantity > instrument.quantity_max
            or quantity % instrument.step
        ):
            raise filter_failure("LOT_SIZE")
    if iceberg and -(-request.quantity // iceberg) > ICEBERG_PARTS:
        raise filter_failure("ICEBERG_PARTS")


def _check_notional(instrument: Instrument, request: NewOrder, average: int) -> None:
    market = request.kind is Kind.MARKET
    price = request.price or request.stop_price or average
    notional = request.quote_quantity or times(request.quantity, price)
    if notional < instrument.notional_min or (not market and notional > NOTIONAL_MAX):
        raise filter_failure("NOTIONAL")


def check_counts(book: Account, requests: list[NewOrder]) -> None:
    """Hold an account to how many orders it may have open; the matching engine's own check."""
    if len(book.live) + len(requests) <= ALGO_ORDERS_MAX:
        return
    symbol = requests[0].symbol
    live = [order for order in book.live.values() if order.symbol == symbol]
    if len(live) + len(requests) > ORDERS_MAX:
        raise filter_failure("MAX_NUM_ORDERS", -2010)
    algo = sum(request.kind.triggers for request in requests)
    if algo and algo + sum(order.kind.triggers for order in live) > ALGO_ORDERS_MAX:
        raise filter_failure("MAX_NUM_ALGO_ORDERS", -2010)


def oco_prices_fit(limit: NewOrder, stop: NewOrder, last: int) -> bool:
    """Say whether the two legs of an OCO lie on either side of the market."""
    near = limit.price or limit.stop_price
    if limit.side is Side.SELL:
        return near > last > stop.stop_price
    return near < last < stop.stop_price
