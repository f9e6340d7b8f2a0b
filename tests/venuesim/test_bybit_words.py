"""What the simulated Bybit says has the keys, types and number formats of the public documents."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.venuesim.bybit_asking import Venue, venue

DECIMAL = re.compile(r"-?\d+(\.\d+)?")
TIME = re.compile(r"1[78]\d{11}")


def words(text: str) -> set[str]:
    return set(text.split())


# Of the documents' examples and tables, what belongs to spot.
ORDER = words(
    """orderId orderLinkId blockTradeId symbol price qty side isLeverage positionIdx orderStatus
    cancelType rejectReason avgPrice leavesQty leavesValue cumExecQty cumExecValue cumExecFee
    timeInForce orderType stopOrderType orderIv triggerPrice takeProfit stopLoss tpTriggerBy
    slTriggerBy triggerDirection triggerBy lastPriceOnCreated reduceOnly closeOnTrigger smpType
    smpGroup smpOrderId tpLimitPrice slLimitPrice placeType createdTime updatedTime cumFeeDetail
    marketUnit ocoTriggerBy basePrice"""
)
SLIPPAGE = {"slippageToleranceType", "slippageTolerance"}
RPI = {"rpiTakerAccess", "rpiMatchedQty"}
EXECUTION = words(
    """symbol orderType underlyingPrice orderLinkId side indexPrice orderId stopOrderType leavesQty
    execTime feeCurrency isMaker execFee feeRate execId tradeIv blockTradeId markPrice execPrice
    markIv orderQty orderPrice execValue execType execQty closedSize extraFees seq"""
)
COIN = words(
    """availableToBorrow bonus accruedInterest availableToWithdraw totalOrderIM equity
    totalPositionMM usdValue spotHedgingQty unrealisedPnl collateralSwitch borrowAmount
    totalPositionIM walletBalance cumRealisedPnl locked marginCollateral coin spotBorrow
    colRes"""
)
WALLET = words(
    """totalEquity accountIMRate accountIMRateByMp totalMarginBalance totalInitialMargin
    totalInitialMarginByMp accountType totalAvailableBalance accountMMRate accountMMRateByMp
    totalPerpUPL totalWalletBalance accountLTV totalMaintenanceMargin totalMaintenanceMarginByMp
    coin"""
)
KEY = words(
    """id note apiKey readOnly secret permissions ips type deadlineDay expiredAt createdAt unified
    uta userID inviterID vipLevel mktMakerLevel affiliateID rsaPublicKey isMaster parentUid kycLevel
    kycRegion userIDInt64 inviterIDInt64 affiliateIDInt64"""
)
RIGHTS = words(
    """ContractTrade Spot Wallet Options Derivatives CopyTrading BlockTrade Exchange NFT Affiliate
    Earn FiatP2P FiatConvertBroker FiatGlobalPay FiatBitPay BitCard ByXPost"""
)
ACCOUNT = words(
    """marginMode updatedTime unifiedMarginStatus dcpStatus timeWindow smpGroup isMasterTrader
    spotHedgingStatus"""
)
LOG = words(
    """transSubType id symbol side funding orderLinkId orderId fee change cashFlow transactionTime
    type feeRate bonusChange size qty cashBalance currency category tradePrice tradeId
    extraFees"""
)
PAIR = words(
    """symbolId symbol baseCoin quoteCoin innovation status marginTrading stTag lotSizeFilter
    priceFilter riskParameters symbolType xstockMultiplier"""
)
LOT = words(
    """basePrecision quotePrecision minOrderQty maxOrderQty minOrderAmt maxOrderAmt maxLimitOrderQty
    maxMarketOrderQty postOnlyMaxLimitOrderSize"""
)
TICKER = words(
    """symbol bid1Price bid1Size ask1Price ask1Size lastPrice prevPrice24h price24hPcnt highPrice24h
    lowPrice24h turnover24h volume24h usdIndexPrice"""
)
CHAIN = words(
    """chainType confirmation withdrawFee depositMin withdrawMin chain chainDeposit chainWithdraw
    minAccuracy withdrawPercentageFee contractAddress safeConfirmNumber withdrawMax"""
)
STATUS = words("""id title state begin end href serviceTypes product uidSuffix maintainType env""")
STREAM_KEYS = {"topic", "type", "ts", "data"}
STREAM_ORDER = (
    ORDER - {"basePrice"} | SLIPPAGE | RPI | {"category", "closedPnl", "feeCurrency"}
)  # fmt: skip
STREAM_EXECUTION = EXECUTION | {"category", "isLeverage", "marketUnit", "execPnl"}
FAST = words(
    """category symbol execId execPrice execQty orderId isMaker orderLinkId side execTime
    seq"""
)


@pytest.fixture
def bybit() -> Venue:
    """A venue where a market order was filled and a limit order waits."""
    at = venue()
    at.tick("65000")
    at.placed(orderType="Market", qty="650", price=None, orderLinkId="filled")
    at.placed(orderLinkId="waiting")
    return at


Asking = Callable[[Venue], Any]


def first(path: str, **words: str) -> Asking:
    """Return what asks a private path for a list and takes its first row."""

    def ask(at: Venue) -> Any:
        return at.get(path, **words)["result"]["list"][0]

    return ask


def result(path: str, **words: str) -> Asking:
    return lambda at: at.get(path, **words)["result"]


def public(path: str, **words: str) -> Asking:
    return lambda at: at.public(path, **words)["result"]


SPOT = {"category": "spot"}
PAIRED = {"category": "spot", "symbol": "BTCUSDT"}
COINS = "asset/transfer/query-account-coins-balance"
ONE_COIN = "asset/transfer/query-account-coin-balance"
UNIFIED = {"accountType": "UNIFIED", "coin": "USDT"}
DOCUMENTED: dict[str, tuple[Asking, set[str]]] = {
    "realtime": (result("order/realtime", **SPOT), {"list", "nextPageCursor", "category"}),
    "open order": (first("order/realtime", **SPOT), ORDER | SLIPPAGE),
    "history": (result("order/history", **SPOT), {"list", "nextPageCursor", "category"}),
    "past order": (first("order/history", **SPOT), ORDER | SLIPPAGE | RPI | {"extraFees"}),
    "executions": (result("execution/list", **SPOT), {"list", "nextPageCursor", "category"}),
    "execution": (first("execution/list", **SPOT), EXECUTION),
    "wallet": (first("account/wallet-balance", **UNIFIED), WALLET),
    "coin": (lambda at: first("account/wallet-balance", **UNIFIED)(at)["coin"][0], COIN),
    "account": (result("account/info"), ACCOUNT),
    "fee": (first("account/fee-rate", **PAIRED), {"symbol", "takerFeeRate", "makerFeeRate"}),
    "log": (result("account/transaction-log"), {"list", "nextPageCursor"}),
    "log line": (first("account/transaction-log"), LOG),
    "settings": (
        result("account/user-setting-config"),
        {"lpaSpot", "lpaPerp", "deltaEnable", "smsef", "fmsef"},
    ),
    "withdrawable": (
        result("account/withdrawal", coinName="USDT"),
        {"availableWithdrawal", "availableWithdrawalMap"},
    ),
    "key": (result("user/query-api"), KEY),
    "rights": (lambda at: at.get("user/query-api")["result"]["permissions"], RIGHTS),
    "coins": (result(COINS, **UNIFIED), {"memberId", "accountType", "balance"}),
    "one coin": (
        result(ONE_COIN, **UNIFIED),
        {"accountType", "bizType", "accountId", "memberId", "balance"},
    ),
    "coin balance": (
        lambda at: at.get(ONE_COIN, **UNIFIED)["result"]["balance"],
        {"coin", "walletBalance", "transferBalance", "bonus", "transferSafeAmount"}
        | {"ltvTransferSafeAmount"},
    ),
    "coin described": (
        lambda at: at.get("asset/coin/query-info", coin="BTC")["result"]["rows"][0],
        {"name", "coin", "remainAmount", "chains"},
    ),
    "chain": (
        lambda at: at.get("asset/coin/query-info", coin="BTC")["result"]["rows"][0]["chains"][0],
        CHAIN,
    ),
    "time": (public("market/time"), {"timeSecond", "timeNano"}),
    "pairs": (public("market/instruments-info", **SPOT), {"category", "list"}),
    "pair": (lambda at: public("market/instruments-info", **PAIRED)(at)["list"][0], PAIR),
    "lots": (
        lambda at: public("market/instruments-info", **PAIRED)(at)["list"][0]["lotSizeFilter"],
        LOT,
    ),
    "ticker": (lambda at: public("market/tickers", **PAIRED)(at)["list"][0], TICKER),
    "kline": (public("market/kline", **PAIRED, interval="1"), {"category", "symbol", "list"}),
    "book": (public("market/orderbook", **PAIRED), {"s", "a", "b", "ts", "u", "seq", "cts"}),
    "public trade": (
        lambda at: public("market/recent-trade", **PAIRED)(at)["list"][0],
        {"execId", "symbol", "price", "size", "side", "time", "isBlockTrade", "isRPITrade", "seq"},
    ),
    "announcements": (public("announcements/index", locale="en-US"), {"total", "list"}),
}


@pytest.mark.parametrize("name", DOCUMENTED)
def test_an_answer_has_the_keys_of_the_documents(bybit, name):
    ask, keys = DOCUMENTED[name]
    assert set(ask(bybit)) == keys


def test_the_status_page_has_the_keys_of_the_documents(bybit):
    bybit.place.maintenance = "ongoing"
    assert set(public("system/status")(bybit)["list"][0]) == STATUS


TEXTS_OF_NUMBERS = {
    "open order": {"price", "qty", "leavesQty", "leavesValue", "cumExecQty", "cumExecFee"},
    "execution": {"execFee", "execPrice", "execQty", "execValue", "feeRate", "leavesQty"},
    "coin": {"equity", "walletBalance", "locked", "usdValue", "borrowAmount", "bonus"},
    "wallet": WALLET - {"accountType", "coin"},
    "log line": {"cashFlow", "change", "fee", "cashBalance", "qty", "feeRate"},
    "ticker": TICKER - {"symbol"},
    "lots": LOT,
    "fee": {"takerFeeRate", "makerFeeRate"},
}


@pytest.mark.parametrize("name", TEXTS_OF_NUMBERS)
def test_amounts_are_decimal_numbers_written_as_text(bybit, name):
    row = DOCUMENTED[name][0](bybit)
    for key in TEXTS_OF_NUMBERS[name]:
        assert isinstance(row[key], str) and DECIMAL.fullmatch(row[key]), key


def test_times_are_milliseconds_as_text_in_rows_and_as_numbers_in_envelopes(bybit):
    order, trade = (DOCUMENTED[name][0](bybit) for name in ("open order", "execution"))
    for text in (order["createdTime"], order["updatedTime"], trade["execTime"]):
        assert TIME.fullmatch(text)
    assert type(bybit.get("account/info")["time"]) is int
    assert type(public("market/orderbook", **PAIRED)(bybit)["ts"]) is int


def test_ids_are_long_numbers_as_text(bybit):
    order, trade = (DOCUMENTED[name][0](bybit) for name in ("open order", "execution"))
    assert re.fullmatch(r"\d{19}", order["orderId"])
    assert re.fullmatch(r"21\d{17}", trade["execId"])
    assert type(trade["seq"]) is int and type(order["positionIdx"]) is int


def test_a_kline_is_seven_texts(bybit):
    (row,) = public("market/kline", **PAIRED, interval="60")(bybit)["list"]
    assert [type(cell) for cell in row] == [str] * 7
    assert row[1:] == ["65000", "65000", "65000", "65000", "0.1", "6500"]


def test_private_messages_have_the_keys_of_the_documents(bybit):
    heard = bybit.signed_in("order", "execution", "execution.fast", "wallet")
    bybit.placed(price="65000")
    for topic, keys in (("order", STREAM_ORDER), ("execution", STREAM_EXECUTION)):
        message = heard.of(topic)[-1]
        assert set(message) == {"id", "topic", "creationTime", "data"}
        assert set(message["data"][0]) == keys
    fast = heard.of("execution.fast")[-1]
    assert (set(fast), set(fast["data"][0])) == ({"topic", "creationTime", "data"}, FAST)
    wallet = heard.of("wallet")[-1]["data"][0]
    assert (set(wallet), set(wallet["coin"][0])) == (WALLET, COIN)


def test_public_messages_have_the_keys_of_the_documents(bybit):
    heard = bybit.stream("/v5/public/spot")
    topics = ["tickers.BTCUSDT", "publicTrade.BTCUSDT", "kline.1.BTCUSDT", "orderbook.50.BTCUSDT"]
    heard.say(op="subscribe", args=topics)
    bybit.tick("64900")
    ticker, trade, kline, book = (heard.of(topic)[-1] for topic in topics)
    assert (set(ticker), set(ticker["data"])) == (
        STREAM_KEYS | {"cs"},
        TICKER - {"bid1Price", "bid1Size", "ask1Price", "ask1Size"},
    )
    assert (set(trade), set(trade["data"][0])) == (
        STREAM_KEYS,
        {"T", "s", "S", "v", "p", "i", "BT", "RPI", "seq"},
    )
    assert (set(kline), set(kline["data"][0])) == (
        STREAM_KEYS,
        words("start end interval open close high low volume turnover confirm timestamp"),
    )
    assert (set(book), set(book["data"])) == (STREAM_KEYS | {"cts"}, {"s", "b", "a", "u", "seq"})
    assert list(book)[:3] == ["topic", "ts", "type"]  # spot says ts before type
