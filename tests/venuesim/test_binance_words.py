"""What the simulated Binance says has the keys, types and number formats of the documents."""

import re
from typing import Any

import pytest

from tests.venuesim.binance_asking import PAIR, Venue, venue
from venuesim.instruments import LISTINGS
from venuesim.units import units
from venuesim.wire import Call

DECIMAL = re.compile(r"-?\d+\.\d{8}")
KINDS = {
    "d": lambda value: isinstance(value, str) and DECIMAL.fullmatch(value) is not None,
    "i": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "b": lambda value: isinstance(value, bool),
    "t": lambda value: isinstance(value, str),
    "n": lambda value: value is None,
    "l": lambda value: isinstance(value, list),
    "o": lambda value: isinstance(value, dict),
    "m": lambda value: isinstance(value, int) and 1_700_000_000_000 < value < 1_900_000_000_000,
}


def check(told: Any, shape: str) -> None:
    """Compare an object with `key:kind …`: all keys, no other, and each value of its kind.

    d: a decimal with eight digits after the point, i: a number, m: a time in milliseconds.
    """
    wanted = dict(part.split(":") for part in shape.split())
    assert list(told) == list(wanted) or set(told) == set(wanted), set(told) ^ set(wanted)
    wrong = {key: told[key] for key, kind in wanted.items() if not KINDS[kind](told[key])}
    assert not wrong


# Of the documents' examples; what is said only of some orders stands in the tests.
ACK = "symbol:t orderId:i orderListId:i clientOrderId:t transactTime:m"
AMOUNTS = """price:d origQty:d executedQty:d origQuoteOrderQty:d cummulativeQuoteQty:d status:t
    timeInForce:t type:t side:t"""
RESULT = f"{ACK} {AMOUNTS} workingTime:m selfTradePreventionMode:t"
FULL = f"{RESULT} fills:l"
FILL = "price:d qty:d commission:d commissionAsset:t tradeId:i"
CANCELLED = f"""symbol:t origClientOrderId:t orderId:i orderListId:i clientOrderId:t transactTime:m
    {AMOUNTS} selfTradePreventionMode:t"""
QUERIED = """symbol:t orderId:i orderListId:i clientOrderId:t price:d origQty:d executedQty:d
    cummulativeQuoteQty:d status:t timeInForce:t type:t side:t stopPrice:d icebergQty:d time:m
    updateTime:m isWorking:b workingTime:m origQuoteOrderQty:d selfTradePreventionMode:t"""
TRADE = """symbol:t id:i orderId:i orderListId:i price:d qty:d quoteQty:d commission:d
    commissionAsset:t time:m isBuyer:b isMaker:b isBestMatch:b"""
LIST = """orderListId:i contingencyType:t listStatusType:t listOrderStatus:t listClientOrderId:t
    transactionTime:m symbol:t orders:l"""
ACCOUNT = """makerCommission:i takerCommission:i buyerCommission:i sellerCommission:i
    commissionRates:o canTrade:b canWithdraw:b canDeposit:b brokered:b requireSelfTradePrevention:b
    preventSor:b updateTime:i accountType:t balances:l permissions:l uid:i"""
RATES = "maker:d taker:d buyer:d seller:d"
SYMBOL = """symbol:t status:t baseAsset:t baseAssetPrecision:i quoteAsset:t quotePrecision:i
    quoteAssetPrecision:i baseCommissionPrecision:i quoteCommissionPrecision:i orderTypes:l
    icebergAllowed:b ocoAllowed:b otoAllowed:b opoAllowed:b quoteOrderQtyMarketAllowed:b
    allowTrailingStop:b cancelReplaceAllowed:b amendAllowed:b pegInstructionsAllowed:b
    isSpotTradingAllowed:b isMarginTradingAllowed:b filters:l permissions:l permissionSets:l
    defaultSelfTradePreventionMode:t allowedSelfTradePreventionModes:l"""
FILTERS = {
    "PRICE_FILTER": "minPrice:d maxPrice:d tickSize:d",
    "LOT_SIZE": "minQty:d maxQty:d stepSize:d",
    "ICEBERG_PARTS": "limit:i",
    "MARKET_LOT_SIZE": "minQty:d maxQty:d stepSize:d",
    "PERCENT_PRICE_BY_SIDE": """bidMultiplierUp:t bidMultiplierDown:t askMultiplierUp:t
        askMultiplierDown:t avgPriceMins:i""",
    "NOTIONAL": """minNotional:d applyMinToMarket:b maxNotional:d applyMaxToMarket:b
        avgPriceMins:i""",
    "MAX_NUM_ORDERS": "maxNumOrders:i",
    "MAX_NUM_ORDER_LISTS": "maxNumOrderLists:i",
    "MAX_NUM_ALGO_ORDERS": "maxNumAlgoOrders:i",
}
PRICES = """openPrice:d highPrice:d lowPrice:d lastPrice:d volume:d quoteVolume:d openTime:m
    closeTime:m firstId:i lastId:i count:i"""
CHANGES = "priceChange:d priceChangePercent:t weightedAvgPrice:d"
DAY = f"""symbol:t {CHANGES} prevClosePrice:d lastQty:d bidPrice:d bidQty:d askPrice:d
    askQty:d {PRICES}"""
MARKET: list[tuple[str, dict[str, Any], str]] = [
    ("time", {}, "serverTime:m"),
    ("exchangeInfo", {}, "timezone:t serverTime:m rateLimits:l exchangeFilters:l symbols:l"),
    ("depth", {"symbol": PAIR}, "lastUpdateId:i bids:l asks:l"),
    (
        "trades",
        {"symbol": PAIR},
        "id:i price:d qty:d quoteQty:d time:m isBuyerMaker:b isBestMatch:b",
    ),
    (
        "historicalTrades",
        {"symbol": PAIR},
        "id:i price:d qty:d quoteQty:d time:m isBuyerMaker:b isBestMatch:b",
    ),
    ("aggTrades", {"symbol": PAIR}, "a:i p:d q:d f:i l:i T:m m:b M:b"),
    ("avgPrice", {"symbol": PAIR}, "mins:i price:d closeTime:m"),
    ("ticker/24hr", {"symbol": PAIR}, DAY),
    ("ticker/24hr", {}, DAY),
    ("ticker/24hr", {"symbol": PAIR, "type": "MINI"}, f"symbol:t {PRICES}"),
    ("ticker/tradingDay", {"symbol": PAIR}, f"symbol:t {CHANGES} {PRICES}"),
    ("ticker", {"symbols": f'["{PAIR}"]'}, f"symbol:t {CHANGES} {PRICES}"),
    ("ticker/price", {"symbol": PAIR}, "symbol:t price:d"),
    ("ticker/price", {}, "symbol:t price:d"),
    ("ticker/bookTicker", {"symbol": PAIR}, "symbol:t bidPrice:d bidQty:d askPrice:d askQty:d"),
]


@pytest.fixture
def sim() -> Venue:
    made = venue()
    made.tick("65000")
    made.tick("65010.5")
    return made


# ------------------------------------------------------------------- market data


@pytest.mark.parametrize(("path", "words", "shape"), MARKET)
def test_market_data_is_written_as_in_the_documents(sim, path, words, shape):
    told = sim.ask(path, **words)
    check(told[0] if isinstance(told, list) else told, shape)


def test_a_symbol_tells_its_rules_and_filters(sim):
    told = sim.ask("exchangeInfo", symbol=PAIR)
    (symbol,) = told["symbols"]
    check(symbol, SYMBOL)
    for one in symbol["filters"]:
        check(one, f"filterType:t {FILTERS[one['filterType']]}")
    assert {one["filterType"] for one in symbol["filters"]} == FILTERS.keys()
    assert [limit["rateLimitType"] for limit in told["rateLimits"]] == [
        "REQUEST_WEIGHT", "ORDERS", "ORDERS", "RAW_REQUESTS",
    ]  # fmt: skip
    check(told["rateLimits"][0], "rateLimitType:t interval:t intervalNum:i limit:i")


def test_filters_tell_the_steps_of_each_pair(sim):
    told = {symbol["symbol"]: symbol for symbol in sim.ask("exchangeInfo")["symbols"]}
    assert len(told) == len(LISTINGS)
    for listing in LISTINGS:
        pair = listing.instrument
        price, lot = told[pair.base + pair.quote]["filters"][:2]
        assert units(price["tickSize"]) == pair.tick
        assert (units(lot["stepSize"]), units(lot["minQty"])) == (pair.step, pair.quantity_min)


def test_exchange_rules_can_be_asked_for_some_symbols(sim):
    asked = '["ETHUSDT","BTCUSDT"]'
    told = sim.ask("exchangeInfo", symbols=asked, showPermissionSets="false")
    assert [symbol["symbol"] for symbol in told["symbols"]] == ["ETHUSDT", "BTCUSDT"]
    assert told["symbols"][0]["permissionSets"] == []
    assert sim.ask("exchangeInfo", symbolStatus="HALT")["symbols"] == []


def test_a_kline_is_a_row_of_twelve(sim):
    (row,) = sim.ask("klines", symbol=PAIR, interval="1h")
    kinds = ["m", *"dddd", "d", "m", "d", "i", "d", "d", "t"]
    assert [KINDS[kind](value) for kind, value in zip(kinds, row, strict=True)] == [True] * 12
    assert row[1:5] == ["65000.00000000", "65010.50000000", "65000.00000000", "65010.50000000"]
    assert (row[6] - row[0], row[8], row[11]) == (3_599_999, 2, "0")


def test_book_levels_are_pairs_best_first(sim):
    book = sim.ask("depth", symbol=PAIR, limit=20)
    bids, asks = ([float(price) for price, _ in book[side]] for side in ("bids", "asks"))
    assert len(bids) == len(asks) == 20
    assert bids == sorted(bids, reverse=True) and asks == sorted(asks) and bids[0] < asks[0]
    assert all(DECIMAL.fullmatch(text) for level in book["bids"] for text in level)


# --------------------------------------------------------------------- orders


def test_a_limit_order_is_told_in_full_and_in_the_documents_order_of_keys(sim):
    told = sim.order()
    check(told, FULL)
    assert list(told)[: len(ACK.split())] == [part.split(":")[0] for part in ACK.split()]
    assert told["fills"] == []


@pytest.mark.parametrize(("word", "shape"), [("ACK", ACK), ("RESULT", RESULT), ("FULL", FULL)])
def test_the_reply_to_an_order_comes_as_short_as_it_is_wanted(sim, word, shape):
    check(sim.order("MARKET", newOrderRespType=word), shape)


def test_orders_that_wait_for_a_trigger_are_acknowledged_only(sim):
    check(sim.order("STOP_LOSS", "SELL", stopPrice="60000"), ACK)
    check(sim.order("LIMIT_MAKER", price="60000"), ACK)


def test_a_fill_tells_price_fee_and_trade(sim):
    for fill in sim.order("MARKET")["fills"]:
        check(fill, FILL)


def test_what_only_some_orders_have_is_told_of_those_only(sim):
    told = sim.order(
        "STOP_LOSS_LIMIT", "SELL", timeInForce="GTC", price="59000", stopPrice="60000",
        icebergQty="0.001", strategyId="7", strategyType="1000000", newOrderRespType="RESULT",
    )  # fmt: skip
    some = "stopPrice:d icebergQty:d strategyId:i strategyType:i"
    check(told, f"{RESULT.replace('workingTime:m', 'workingTime:i')} {some}")
    assert told["workingTime"] == -1
    check(
        sim.get("order", symbol=PAIR, orderId=told["orderId"]),
        f"{QUERIED.replace('workingTime:m', 'workingTime:i')} strategyId:i strategyType:i",
    )
    told = sim.order(timeInForce="IOC")
    assert (told["status"], told["expiryReason"]) == ("EXPIRED", "UNFILLED_IOC_QUANTITY_EXPIRED")


def test_cancelling_tells_both_names(sim):
    number = sim.order(newClientOrderId="mine")["orderId"]
    told = sim.delete("order", symbol=PAIR, orderId=number, newClientOrderId="away")
    check(told, CANCELLED)
    assert (told["origClientOrderId"], told["clientOrderId"]) == ("mine", "away")


def test_a_look_up_tells_all_of_an_order(sim):
    number = sim.order()["orderId"]
    check(sim.get("order", symbol=PAIR, orderId=number), QUERIED)
    check(sim.get("openOrders")[0], QUERIED)
    check(sim.get("allOrders", symbol=PAIR)[0], QUERIED)
    sim.order("MARKET")
    check(sim.get("myTrades", symbol=PAIR)[0], TRADE)


def test_a_list_tells_its_orders(sim):
    told = sim.oco()
    check(told, f"{LIST} orderReports:l")
    stop, limit = told["orderReports"]
    check(stop, f"{RESULT.replace('workingTime:m', 'workingTime:i')} stopPrice:d")
    check(limit, RESULT)
    for order in told["orders"]:
        check(order, "symbol:t orderId:i clientOrderId:t")
    check(sim.get("openOrderList")[0], LIST)
    told = sim.delete("orderList", symbol=PAIR, orderListId=told["orderListId"])
    check(told, f"{LIST} orderReports:l")


def test_cancelling_and_replacing_tells_both(sim):
    number = sim.order()["orderId"]
    told = sim.post(
        "order/cancelReplace", symbol=PAIR, side="BUY", type="LIMIT", timeInForce="GTC",
        quantity="0.01", price="61000", cancelReplaceMode="STOP_ON_FAILURE", cancelOrderId=number,
    )  # fmt: skip
    check(told, "cancelResult:t newOrderResult:t cancelResponse:o newOrderResponse:o")
    check(told["cancelResponse"], CANCELLED)
    check(told["newOrderResponse"], FULL)


# --------------------------------------------------------------------- account


def test_an_account_tells_balances_and_rates(sim):
    told = sim.get("account")
    check(told, ACCOUNT)
    check(told["commissionRates"], RATES)
    for balance in told["balances"]:
        check(balance, "asset:t free:d locked:d")
    held = sim.get("account", omitZeroBalances="true")["balances"]
    assert {balance["asset"] for balance in held} == {"BTC", "USDT"}


def test_fees_counts_and_filters_are_told(sim):
    told = sim.get("account/commission", symbol=PAIR)
    check(told, "symbol:t standardCommission:o specialCommission:o taxCommission:o discount:o")
    check(told["standardCommission"], RATES)
    check(told["discount"], "enabledForAccount:b enabledForSymbol:b discountAsset:t discount:d")
    shape = "rateLimitType:t interval:t intervalNum:i limit:i count:i"
    for limit in sim.get("rateLimit/order"):
        check(limit, shape)
    check(sim.get("myFilters", symbol=PAIR), "exchangeFilters:l symbolFilters:l assetFilters:l")
    told = sim.post(
        "order/test", symbol=PAIR, side="BUY", type="MARKET", quantity="0.01",
        computeCommissionRates="true",
    )  # fmt: skip
    check(
        told,
        """standardCommissionForOrder:o specialCommissionForOrder:o taxCommissionForOrder:o
        discount:o""",
    )


def test_the_wallet_is_written_as_in_the_documents(sim):
    check(
        sim.get("/sapi/v1/account/apiRestrictions"),
        """ipRestrict:b createTime:m enableReading:b enableSpotAndMarginTrading:b
        enableWithdrawals:b enableInternalTransfer:b permitsUniversalTransfer:b
        enableVanillaOptions:b enableMargin:b enableFutures:b enablePortfolioMarginTrading:b
        enableFixApiTrade:b enableFixReadOnly:b tradingAuthorityExpirationTime:m""",
    )
    coin = sim.get("/sapi/v1/capital/config/getall")[0]
    check(
        coin,
        """coin:t depositAllEnable:b free:d freeze:d ipoable:d ipoing:d isLegalMoney:b locked:d
        name:t networkList:l storage:d trading:b withdrawAllEnable:b withdrawing:d""",
    )
    assert sim.get("/sapi/v1/asset/tradeFee", symbol=PAIR) == [
        {"symbol": PAIR, "makerCommission": "0.001", "takerCommission": "0.001"}
    ]
    assert sim.get("/sapi/v1/account/status") == {"data": "Normal"}
    assert {one["asset"]: one["free"] for one in sim.post("/sapi/v3/asset/getUserAsset")} == {
        "USDT": "10000.00000000",
        "BTC": "1.00000000",
    }


def test_deposits_and_withdrawals_are_listed(sim):
    sim.place.exchange.deposit("alice", "USDT", units("12.5"))
    sim.place.exchange.deposit("alice", "BTC", -units("0.25"))
    first, *_ = sim.get("/sapi/v1/capital/deposit/hisrec", coin="USDT")
    assert (first["amount"], first["coin"], first["status"]) == ("12.5", "USDT", 1)
    (gone,) = sim.get("/sapi/v1/capital/withdraw/history")
    assert (gone["amount"], gone["coin"], gone["status"]) == ("0.25", "BTC", 6)


@pytest.mark.parametrize(
    "path",
    ["/sapi/v1/margin/allPairs", "/sapi/v1/margin/allAssets", "/sapi/v1/margin/isolated/allPairs"],
)
def test_there_is_no_margin_trading(sim, path):
    assert sim.send(Call(method="GET", path=path)) == []


@pytest.mark.parametrize("path", ["/fapi/v1/exchangeInfo", "/dapi/v1/exchangeInfo"])
def test_there_are_no_futures(sim, path):
    assert sim.send(Call(method="GET", path=path))["symbols"] == []
