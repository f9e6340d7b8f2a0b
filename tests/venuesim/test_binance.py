"""Trading on the simulated Binance: parameters, filters, orders, lists, fees and look-ups."""

import pytest

from tests.venuesim.binance_asking import PAIR, Venue, refused, venue
from venuesim.clock import ManualClock
from venuesim.units import text, units

POOR = (-2010, "Account has insufficient balance for requested action.")


def missing(name: str) -> tuple[int, str]:
    return -1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."


def unneeded(name: str) -> tuple[int, str]:
    return -1106, f"Parameter '{name}' sent when not required."


def illegal(name: str, legal: str) -> tuple[int, str]:
    return -1100, f"Illegal characters found in parameter '{name}'; legal range is '{legal}'."


DECIMAL = r"^([0-9]{1,20})(\.[0-9]{1,20})?$"
LONG = "^[0-9]{1,20}$"
CLIENT_ID = r"^[\.A-Z\:/a-z0-9_-]{1,36}$"
SYMBOL = r"^[\w\-._&&[^a-z]]{1,50}$"
STOP_OR_TRAIL = (
    -1102,
    "Param 'stopPrice' or 'trailingDelta' must be sent, but both were empty/null!",
)


@pytest.fixture
def sim() -> Venue:
    made = venue()
    made.tick("65000")  # bid 64996.75, ask 65003.26
    return made


# ------------------------------------------------------------------ parameters


@pytest.mark.parametrize(
    ("kind", "words", "answer"),
    [
        ("LIMIT", {"symbol": None}, missing("symbol")),
        ("LIMIT", {"symbol": "btcusdt"}, illegal("symbol", SYMBOL)),
        ("LIMIT", {"symbol": "NOPE"}, (-1121, "Invalid symbol.")),
        ("LIMIT", {"side": "BOTH"}, (-1117, "Invalid side.")),
        ("ICEBERG", {}, (-1116, "Invalid orderType.")),
        ("LIMIT", {"timeInForce": None}, missing("timeInForce")),
        ("LIMIT", {"timeInForce": "GTD"}, (-1115, "Invalid timeInForce.")),
        ("LIMIT", {"price": None}, missing("price")),
        ("LIMIT", {"quantity": None}, missing("quantity")),
        ("LIMIT", {"quantity": ""}, (-1105, "Parameter 'quantity' was empty.")),
        ("LIMIT", {"quantity": "-1"}, illegal("quantity", DECIMAL)),
        ("LIMIT", {"quantity": "1e-05"}, illegal("quantity", DECIMAL)),
        ("LIMIT", {"price": "60,000"}, illegal("price", DECIMAL)),
        ("LIMIT", {"quantity": "0"}, (-1013, "Invalid quantity.")),
        ("LIMIT", {"price": "0.00"}, (-1013, "Invalid price.")),
        (
            "LIMIT",
            {"quantity": "0.000000001"},
            (-1111, "Parameter 'quantity' has too much precision."),
        ),
        ("LIMIT", {"price": "123456789012"}, (-1108, "Parameter 'price' overflowed.")),
        ("LIMIT", {"newClientOrderId": "x" * 37}, illegal("newClientOrderId", CLIENT_ID)),
        ("LIMIT", {"newClientOrderId": "a b"}, illegal("newClientOrderId", CLIENT_ID)),
        ("LIMIT", {"stopPrice": "60000"}, unneeded("stopPrice")),
        ("LIMIT", {"quoteOrderQty": "10"}, unneeded("quoteOrderQty")),
        (
            "LIMIT",
            {"newOrderRespType": "SHORT"},
            (-1130, "Data sent for parameter 'newOrderRespType' is not valid."),
        ),
        (
            "LIMIT",
            {"strategyType": "999999"},
            (-1134, "`strategyType` was less than 1000000."),
        ),
        ("MARKET", {"price": "60000"}, unneeded("price")),
        ("MARKET", {"timeInForce": "GTC"}, unneeded("timeInForce")),
        ("MARKET", {"quoteOrderQty": "100"}, unneeded("quoteOrderQty")),
        (
            "MARKET",
            {"quantity": None},
            (
                -1102,
                "Param 'quantity' or 'quoteOrderQty' must be sent, but both were empty/null!",
            ),
        ),
        ("STOP_LOSS", {}, STOP_OR_TRAIL),
        ("STOP_LOSS_LIMIT", {"timeInForce": "GTC", "price": "1"}, STOP_OR_TRAIL),
        ("STOP_LOSS", {"stopPrice": "1", "price": "1"}, unneeded("price")),
        ("LIMIT_MAKER", {"price": "60000", "timeInForce": "GTC"}, unneeded("timeInForce")),
        ("LIMIT_MAKER", {}, missing("price")),
        (
            "TAKE_PROFIT",
            {"trailingDelta": "100"},
            (-1013, "Trailing stop orders are not supported for this symbol."),
        ),
        (
            "LIMIT",
            {"colour": "red"},
            (
                -1104,
                "Not all sent parameters were read; read '8' parameter(s) but was sent '9'.",
            ),
        ),
    ],
)
def test_an_order_with_a_wrong_parameter_is_refused_in_the_venues_words(sim, kind, words, answer):
    assert refused(sim.order(kind, **words)) == answer
    assert sim.last.status == 400
    assert not sim.place.exchange.accounts["alice"].orders


@pytest.mark.parametrize(
    ("path", "words", "answer"),
    [
        ("time", {"x": 1}, (-1101, "Too many parameters; expected '0' and received '1'.")),
        ("depth", {}, missing("symbol")),
        ("depth", {"symbol": "NOPE"}, (-1121, "Invalid symbol.")),
        ("depth", {"symbol": PAIR, "limit": "x"}, illegal("limit", LONG)),
        (
            "trades",
            {"symbol": PAIR, "fromId": 1},
            (
                -1104,
                "Not all sent parameters were read; read '1' parameter(s) but was sent '2'.",
            ),
        ),
        ("klines", {"symbol": PAIR, "interval": "7m"}, (-1120, "Invalid interval.")),
        ("klines", {"symbol": PAIR}, missing("interval")),
        (
            "ticker/price",
            {"symbol": PAIR, "symbols": '["BTCUSDT"]'},
            (-1128, "Combination of optional parameters invalid."),
        ),
        (
            "ticker/24hr",
            {"symbols": '["BTCUSDT","BTCUSDT"]'},
            (-1151, "Symbol is present multiple times in the list."),
        ),
        ("ticker", {}, missing("symbol")),
        (
            "aggTrades",
            {"symbol": PAIR, "fromId": 1, "startTime": 1},
            (-1128, "Combination of optional parameters invalid."),
        ),
    ],
)
def test_a_question_with_a_wrong_parameter_is_refused_in_the_venues_words(sim, path, words, answer):
    assert refused(sim.ask(path, **words)) == answer


def test_a_parameter_sent_twice_is_refused(sim):
    call = sim.signed("GET", "openOrders", symbol=PAIR)
    told = sim.send(
        type(call)(
            method="GET", path=call.path, query=f"symbol={PAIR}&{call.query}", headers=call.headers
        )
    )
    assert refused(told) == (-1101, "Duplicate values for a parameter detected.")


# --------------------------------------------------------------------- filters


@pytest.mark.parametrize(
    ("kind", "words", "name"),
    [
        ("LIMIT", {"price": "60000.001"}, "PRICE_FILTER"),
        ("LIMIT", {"price": "1000000.01"}, "PRICE_FILTER"),
        ("LIMIT", {"price": "12999.99"}, "PERCENT_PRICE_BY_SIDE"),
        ("LIMIT", {"price": "325000.01"}, "PERCENT_PRICE_BY_SIDE"),
        ("LIMIT", {"quantity": "0.000015"}, "LOT_SIZE"),
        ("LIMIT", {"quantity": "0.000001"}, "LOT_SIZE"),
        ("LIMIT", {"quantity": "1000000001"}, "LOT_SIZE"),
        ("LIMIT", {"quantity": "0.00008"}, "NOTIONAL"),
        ("LIMIT", {"quantity": "151"}, "NOTIONAL"),
        ("LIMIT", {"icebergQty": "0.00009"}, "ICEBERG_PARTS"),
        ("MARKET", {"quantity": "0.00007"}, "NOTIONAL"),
        ("MARKET", {"quantity": None, "quoteOrderQty": "4.99"}, "NOTIONAL"),
        ("STOP_LOSS", {"side": "SELL", "stopPrice": "60000.001"}, "PRICE_FILTER"),
    ],
)
def test_an_order_that_breaks_a_filter_is_refused_by_its_name(sim, kind, words, name):
    assert refused(sim.order(kind, **words)) == (-1013, f"Filter failure: {name}")


def test_no_more_orders_wait_on_a_symbol_than_the_filters_say(sim):
    for number in range(5):
        sim.order("STOP_LOSS", "SELL", stopPrice=str(60000 - number))
    told = sim.order("STOP_LOSS", "SELL", stopPrice="50000")
    assert refused(told) == (-2010, "Filter failure: MAX_NUM_ALGO_ORDERS")
    assert refused(sim.oco()) == (-2010, "Filter failure: MAX_NUM_ALGO_ORDERS")
    sim.place.limits = False
    for number in range(195):
        sim.order(price=str(50000 + number), quantity="0.0002")
    assert refused(sim.order(quantity="0.0002")) == (-2010, "Filter failure: MAX_NUM_ORDERS")
    sim.tick("3000", "ETH/USDT")
    told = sim.order(symbol="ETHUSDT", price="2900", quantity="0.01")
    assert told["status"] == "NEW"


# ------------------------------------------------------------- single orders


def test_a_limit_order_waits_and_fills_at_its_own_price(sim):
    told = sim.order()
    assert (told["status"], told["price"], told["origQty"]) == (
        "NEW", "60000.00000000", "0.01000000",
    )  # fmt: skip
    assert sim.has("USDT") == (units("9400"), units("600"))
    sim.tick("59990")
    told = sim.get("order", symbol=PAIR, orderId=told["orderId"])
    assert (told["status"], told["cummulativeQuoteQty"]) == ("FILLED", "600.00000000")
    (trade,) = sim.get("myTrades", symbol=PAIR)
    assert (trade["price"], trade["isMaker"], trade["isBuyer"]) == ("60000.00000000", True, True)
    assert sim.has("USDT") == (units("9400"), 0)


def test_a_market_order_takes_at_once_and_tells_its_fills(sim):
    sim.place.exchange.fill_parts = 3
    told = sim.order("MARKET")
    assert (told["status"], told["executedQty"]) == ("FILLED", "0.01000000")
    assert [fill["qty"] for fill in told["fills"]] == ["0.00333000", "0.00333000", "0.00334000"]
    assert {fill["price"] for fill in told["fills"]} == {"65003.26000000"}
    assert told["cummulativeQuoteQty"] == "650.03260000"
    trades = sim.get("myTrades", symbol=PAIR, orderId=told["orderId"])
    assert [trade["id"] for trade in trades] == [fill["tradeId"] for fill in told["fills"]]


def test_a_market_order_may_name_what_it_spends(sim):
    told = sim.order("MARKET", quantity=None, quoteOrderQty="100")
    assert (told["origQuoteOrderQty"], told["origQty"]) == ("100.00000000", "0.00153000")
    assert told["cummulativeQuoteQty"] == "99.45498780"
    told = sim.order("MARKET", "SELL", quantity=None, quoteOrderQty="100")
    assert (told["executedQty"], told["status"]) == ("0.00153000", "FILLED")


def test_fees_come_off_what_is_received(sim):
    bought = sim.order("MARKET")
    assert [(fill["commission"], fill["commissionAsset"]) for fill in bought["fills"]] == [
        ("0.00001000", "BTC")
    ]
    assert sim.has("BTC")[0] == units("1.00999")
    sold = sim.order("MARKET", "SELL")
    assert [(fill["commission"], fill["commissionAsset"]) for fill in sold["fills"]] == [
        ("0.64996750", "USDT")
    ]
    assert sim.has("USDT")[0] == units("10000") - units("650.0326") + units("649.3175325")


def test_fees_are_paid_in_a_third_asset_while_there_is_some(sim):
    book = sim.place.exchange.accounts["alice"]
    book.fee_from, book.fee_asset = "third", "BNB"
    sim.place.exchange.deposit("alice", "BNB", units("0.0015"))
    (fill,) = sim.order("MARKET")["fills"]
    assert (fill["commission"], fill["commissionAsset"]) == ("0.00108338", "BNB")
    (fill,) = sim.order("MARKET")["fills"]  # not enough of it left
    assert (fill["commission"], fill["commissionAsset"]) == ("0.00001000", "BTC")


def test_an_order_nobody_can_pay_is_refused_and_leaves_no_trace(sim):
    assert refused(sim.order("MARKET", quantity="1")) == POOR
    assert refused(sim.order(quantity="1")) == POOR
    assert refused(sim.order("MARKET", "SELL", quantity="2")) == POOR
    assert sim.get("allOrders", symbol=PAIR) == []


def test_an_id_is_its_orders_alone_while_it_is_open(sim):
    sim.order(newClientOrderId="mine")
    assert refused(sim.order(newClientOrderId="mine")) == (-2010, "Duplicate order sent.")
    sim.tick("60000")
    second = sim.order(newClientOrderId="mine")
    assert second["status"] == "NEW"
    told = sim.get("order", symbol=PAIR, origClientOrderId="mine")
    assert told["orderId"] == second["orderId"]


def test_an_order_without_an_id_is_given_one(sim):
    first, second = sim.order()["clientOrderId"], sim.order()["clientOrderId"]
    assert len(first) == 22 and first.isalnum() and first != second
    assert sim.get("order", symbol=PAIR, origClientOrderId=first)["clientOrderId"] == first


def test_a_maker_only_order_that_would_take_is_refused(sim):
    told = sim.order("LIMIT_MAKER", price="65003.26")
    assert refused(told) == (-2010, "Order would immediately match and take.")
    assert sim.order("LIMIT_MAKER", price="65003.25", newOrderRespType="FULL")["status"] == "NEW"


@pytest.mark.parametrize(
    ("kind", "side", "stop"),
    [
        ("STOP_LOSS", "SELL", "65000"),
        ("STOP_LOSS", "BUY", "65000"),
        ("TAKE_PROFIT", "SELL", "64999"),
        ("TAKE_PROFIT", "BUY", "65001"),
    ],
)
def test_a_stop_on_the_wrong_side_of_the_market_is_refused(sim, kind, side, stop):
    told = sim.order(kind, side, stopPrice=stop)
    assert refused(told) == (-2010, "Order would trigger immediately.")


@pytest.mark.parametrize(
    ("kind", "side", "stop", "price"),
    [
        ("STOP_LOSS", "SELL", "64000", "63999"),
        ("STOP_LOSS", "BUY", "66000", "66001"),
        ("TAKE_PROFIT", "SELL", "66000", "66001"),
        ("TAKE_PROFIT", "BUY", "64000", "63999"),
    ],
)
def test_a_triggered_order_trades_at_the_market(sim, kind, side, stop, price):
    number = sim.order(kind, side, stopPrice=stop)["orderId"]
    told = sim.get("order", symbol=PAIR, orderId=number)
    assert (told["status"], told["isWorking"], told["workingTime"]) == ("NEW", False, -1)
    sim.later(1000)
    sim.tick(price)
    told = sim.get("order", symbol=PAIR, orderId=number)
    assert (told["status"], told["type"], told["stopPrice"]) == ("FILLED", kind, f"{stop}.00000000")
    assert (told["isWorking"], told["workingTime"]) == (True, sim.clock.now_ms())


def test_a_triggered_limit_order_waits_at_its_price(sim):
    number = sim.order(
        "STOP_LOSS_LIMIT", "SELL", stopPrice="64000", price="64500", timeInForce="GTC"
    )["orderId"]
    sim.tick("63990")
    told = sim.get("order", symbol=PAIR, orderId=number)
    assert (told["status"], told["isWorking"]) == ("NEW", True)
    sim.tick("64500")
    assert sim.get("order", symbol=PAIR, orderId=number)["status"] == "FILLED"


@pytest.mark.parametrize(
    ("lifetime", "reason"),
    [("IOC", "UNFILLED_IOC_QUANTITY_EXPIRED"), ("FOK", "UNFILLED_FOK_ORDER_EXPIRED")],
)
def test_an_order_of_an_instant_expires_when_it_cannot_trade(sim, lifetime, reason):
    told = sim.order(timeInForce=lifetime)
    assert (told["status"], told["expiryReason"], told["fills"]) == ("EXPIRED", reason, [])
    assert sim.has("USDT") == (units("10000"), 0)
    assert sim.order(timeInForce=lifetime, price="66000")["status"] == "FILLED"


def test_checking_an_order_places_none(sim):
    words = {"symbol": PAIR, "side": "BUY", "type": "MARKET"}
    assert sim.post("order/test", **words, quantity="0.01") == {}
    assert refused(sim.post("order/test", **words, quantity="1")) == POOR
    assert sim.get("allOrders", symbol=PAIR) == []


# -------------------------------------------------------------------- cancels


def test_a_cancelled_order_gives_back_what_it_held(sim):
    number = sim.order()["orderId"]
    told = sim.delete("order", symbol=PAIR, orderId=number)
    assert (told["status"], told["executedQty"]) == ("CANCELED", "0.00000000")
    assert sim.has("USDT") == (units("10000"), 0)
    assert sim.get("openOrders") == []


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ({"orderId": 99}, (-2011, "Unknown order sent.")),
        ({"origClientOrderId": "other"}, (-2011, "Unknown order sent.")),
        ({"symbol": "ETHUSDT", "origClientOrderId": "mine"}, (-2011, "Unknown order sent.")),
        (
            {},
            (
                -1102,
                "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!",
            ),
        ),
        (
            {"origClientOrderId": "mine", "cancelRestrictions": "ONLY_PARTIALLY_FILLED"},
            (-2011, "Order was not canceled due to cancel restrictions."),
        ),
        (
            {"origClientOrderId": "mine", "cancelRestrictions": "NEVER"},
            (-1145, "Invalid cancelRestrictions"),
        ),
    ],
)
def test_what_cannot_be_cancelled_is_said(sim, words, answer):
    sim.order(newClientOrderId="mine")
    assert refused(sim.delete("order", **{"symbol": PAIR, **words})) == answer
    assert len(sim.get("openOrders")) == 1


def test_an_order_that_is_over_is_unknown_to_a_cancel(sim):
    number = sim.order("MARKET")["orderId"]
    told = sim.delete("order", symbol=PAIR, orderId=number)
    assert refused(told) == (-2011, "Unknown order sent.")


def test_all_orders_of_a_symbol_are_cancelled_together(sim):
    sim.order(), sim.order()
    sim.oco()
    sim.order(symbol="ETHUSDT", price="3000")
    told = sim.delete("openOrders", symbol=PAIR)
    assert [one.get("contingencyType", "") for one in told] == ["", "", "OCO"]
    assert [order["symbol"] for order in sim.get("openOrders")] == ["ETHUSDT"]
    assert refused(sim.delete("openOrders", symbol=PAIR)) == (-2011, "Unknown order sent.")


def test_a_replacement_stops_where_the_cancel_fails_unless_told_otherwise(sim):
    words = {
        "symbol": PAIR, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01",
        "price": "61000", "cancelOrderId": 99,
    }  # fmt: skip
    told = sim.post("order/cancelReplace", cancelReplaceMode="STOP_ON_FAILURE", **words)
    assert (sim.last.status, told["code"]) == (400, -2022)
    assert told["data"]["newOrderResult"] == "NOT_ATTEMPTED"
    assert sim.get("openOrders") == []
    told = sim.post("order/cancelReplace", cancelReplaceMode="ALLOW_FAILURE", **words)
    assert (sim.last.status, told["code"]) == (409, -2021)
    assert told["data"]["cancelResult"] == "FAILURE"
    assert told["data"]["newOrderResponse"]["status"] == "NEW"
    words |= {"cancelOrderId": told["data"]["newOrderResponse"]["orderId"], "quantity": "1"}
    told = sim.post("order/cancelReplace", cancelReplaceMode="STOP_ON_FAILURE", **words)
    assert (sim.last.status, told["code"]) == (409, -2021)
    assert told["data"]["newOrderResponse"]["code"] == -2010
    assert sim.get("openOrders") == []


# ---------------------------------------------------------------------- lists


def test_an_oco_holds_once_what_both_legs_need(sim):
    told = sim.oco()
    assert [order["type"] for order in told["orderReports"]] == ["STOP_LOSS", "LIMIT_MAKER"]
    assert told["orderReports"][0]["orderListId"] == told["orderListId"]
    assert sim.has("BTC") == (units("0.99"), units("0.01"))
    sim.oco("BUY")
    assert sim.has("USDT") == (units("9300"), units("700"))


@pytest.mark.parametrize(
    ("price", "filled", "expired"), [("60000", 0, 1), ("70000", 1, 0)], ids=["stop", "limit"]
)
def test_the_leg_that_trades_ends_the_other(sim, price, filled, expired):
    orders = sim.oco()["orders"]
    sim.tick(price)
    told = [sim.get("order", symbol=PAIR, orderId=one["orderId"]) for one in orders]
    assert told[filled]["status"] == "FILLED"
    assert (told[expired]["status"], told[expired]["expiryReason"]) == ("EXPIRED", "OCO_TRIGGER")
    assert sim.has("BTC") == (units("0.99"), 0)
    (done,) = sim.get("allOrderList")
    assert (done["listStatusType"], done["listOrderStatus"]) == ("ALL_DONE", "ALL_DONE")
    assert sim.get("openOrderList") == []


@pytest.mark.parametrize("leg", [0, 1])
def test_cancelling_one_leg_cancels_the_list(sim, leg):
    told = sim.oco()
    number = told["orders"][leg]["orderId"]
    told = sim.delete("order", symbol=PAIR, orderId=number)
    assert told["listOrderStatus"] == "ALL_DONE"
    assert [one["status"] for one in told["orderReports"]] == ["CANCELED", "CANCELED"]
    assert sim.has("BTC") == (units("1"), 0)


def test_a_list_is_found_and_cancelled_by_either_name(sim):
    number = sim.oco(listClientOrderId="pair")["orderListId"]
    assert sim.get("orderList", orderListId=number)["listClientOrderId"] == "pair"
    assert sim.get("orderList", origClientOrderId="pair")["orderListId"] == number
    assert refused(sim.oco(listClientOrderId="pair")) == (-2010, "Duplicate order sent.")
    assert sim.get("orderList", orderListId=99)["code"] == -2013
    told = sim.delete("orderList", symbol=PAIR, listClientOrderId="pair")
    assert told["listStatusType"] == "ALL_DONE"
    told = sim.delete("orderList", symbol=PAIR, listClientOrderId="pair")
    assert refused(told) == (-2011, "Unknown order sent.")


def test_an_oco_may_be_placed_by_its_old_names(sim):
    told = sim.post(
        "order/oco", symbol=PAIR, side="SELL", quantity="0.01", price="70000", stopPrice="60000",
        stopLimitPrice="59900", stopLimitTimeInForce="GTC", limitClientOrderId="up",
        stopClientOrderId="down",
    )  # fmt: skip
    assert [(one["clientOrderId"], one["type"]) for one in told["orderReports"]] == [
        ("down", "STOP_LOSS_LIMIT"),
        ("up", "LIMIT_MAKER"),
    ]


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ({"abovePrice": None}, missing("abovePrice")),
        ({"quantity": None}, missing("quantity")),
        ({"belowPrice": "59000"}, unneeded("belowPrice")),
        ({"belowType": "LIMIT"}, (-1158, "Order type not supported in OCO.")),
        (
            {"belowType": "LIMIT_MAKER", "belowStopPrice": None, "belowPrice": "60000"},
            (-1168, "At least one OCO order must be contingent."),
        ),
        (
            {"abovePrice": "64000"},
            (-2010, "The relationship of the prices for the orders is not correct."),
        ),
        (
            {
                "aboveType": "STOP_LOSS", "abovePrice": None, "aboveStopPrice": "70000",
                "belowType": "TAKE_PROFIT",
            },
            (-1197, "A stop loss order in a sell OCO must be below."),
        ),
        ({"quantity": "3"}, POOR),
    ],
)  # fmt: skip
def test_an_oco_that_does_not_fit_is_refused_whole(sim, words, answer):
    assert refused(sim.oco(**words)) == answer
    assert sim.get("openOrders") == []
    assert sim.has("BTC") == (units("1"), 0)


# -------------------------------------------------------------------- look-ups


def test_an_order_is_found_by_its_id_or_its_clients_and_both_must_fit(sim):
    number = sim.order(newClientOrderId="mine")["orderId"]
    assert sim.get("order", symbol=PAIR, origClientOrderId="mine")["orderId"] == number
    told = sim.get("order", symbol=PAIR, orderId=number, origClientOrderId="other")
    assert refused(told) == (-2039, "Client order ID is not correct for this order ID.")
    for words in ({"orderId": 99}, {"origClientOrderId": "other"}):
        told = sim.get("order", symbol=PAIR, **words)
        assert refused(told) == (-2013, "Order does not exist.")
    assert sim.get("order", symbol="ETHUSDT", orderId=number)["code"] == -2013


def test_what_is_fresh_is_hidden_from_look_ups_while_the_venue_lags(sim):
    sim.place.lag_ms = 3000
    number = sim.order("MARKET", newClientOrderId="mine")["orderId"]
    sim.order(newClientOrderId="open")
    listed = sim.oco(listClientOrderId="pair")["orderListId"]
    hidden = [
        sim.get("order", symbol=PAIR, orderId=number)["code"],
        sim.get("openOrders"),
        sim.get("allOrders", symbol=PAIR),
        sim.get("myTrades", symbol=PAIR),
        sim.get("orderList", orderListId=listed)["code"],
    ]
    assert hidden == [-2013, [], [], [], -2013]
    told = sim.delete("order", symbol=PAIR, origClientOrderId="open")
    assert told["status"] == "CANCELED"  # the matching engine knows it
    sim.later(3000)
    assert sim.get("order", symbol=PAIR, origClientOrderId="mine")["status"] == "FILLED"
    assert len(sim.get("allOrders", symbol=PAIR)) == 4
    assert len(sim.get("myTrades", symbol=PAIR)) == 1


def test_orders_are_listed_from_an_id_or_a_time_on(sim):
    numbers = []
    for _ in range(4):
        numbers.append(sim.order("MARKET", quantity="0.001")["orderId"])
        sim.later(1000)

    def ids(**words: object) -> list[int]:
        return [one["orderId"] for one in sim.get("allOrders", symbol=PAIR, **words)]

    start = sim.clock.now_ms() - 4000
    assert ids() == numbers
    assert ids(limit=2) == numbers[2:]
    assert ids(orderId=numbers[1], limit=2) == numbers[1:3]
    assert ids(startTime=start + 1000, limit=2) == numbers[1:3]
    assert ids(endTime=start + 1000) == numbers[:2]


def test_trades_are_listed_by_order_by_id_and_by_time(sim):
    sim.place.exchange.fill_parts = 2
    orders = [sim.order("MARKET", quantity="0.001")["orderId"] for _ in range(2)]
    sim.later(1000)
    orders.append(sim.order("MARKET", "SELL", quantity="0.001")["orderId"])
    all_of_them = [trade["id"] for trade in sim.get("myTrades", symbol=PAIR)]

    def ids(**words: object) -> list[int]:
        return [one["id"] for one in sim.get("myTrades", symbol=PAIR, **words)]

    assert len(all_of_them) == 6
    assert ids(limit=1) == all_of_them[-1:]
    assert ids(orderId=orders[1]) == all_of_them[2:4]
    assert ids(fromId=all_of_them[3]) == all_of_them[3:]
    assert ids(orderId=orders[1], fromId=all_of_them[3]) == all_of_them[3:4]
    assert ids(startTime=sim.clock.now_ms()) == all_of_them[4:]
    assert ids(endTime=sim.clock.now_ms() - 1) == all_of_them[:4]


@pytest.mark.parametrize("path", ["myTrades", "allOrders"])
def test_no_more_than_a_day_is_asked_for_at_once(sim, path):
    now, day = sim.clock.now_ms(), 86_400_000
    assert sim.get(path, symbol=PAIR, startTime=now - day, endTime=now) == []
    told = sim.get(path, symbol=PAIR, startTime=now - day - 1, endTime=now)
    assert refused(told) == (-1127, "More than 24 hours between startTime and endTime.")


@pytest.mark.parametrize("words", [{"fromId": 1, "startTime": 1}, {"orderId": 1, "endTime": 1}])
def test_trades_are_not_asked_for_by_id_and_time(sim, words):
    told = sim.get("myTrades", symbol=PAIR, **words)
    assert refused(told) == (-1128, "Combination of optional parameters invalid.")


# ------------------------------------------------------------------ market data


def test_klines_have_no_holes_and_come_from_a_time_or_up_to_one(sim):
    begun = sim.clock.now_ms()
    sim.later(180_000)
    sim.tick("65100")
    rows = sim.ask("klines", symbol=PAIR, interval="1m")
    assert [row[0] for row in rows] == [begun + minute * 60_000 for minute in range(4)]
    assert [row[4] for row in rows] == [f"{close}.00000000" for close in (65000,) * 3 + (65100,)]
    assert [row[8] for row in rows] == [1, 0, 0, 1]
    some = sim.ask("klines", symbol=PAIR, interval="1m", startTime=begun + 1, limit=2)
    assert some == rows[1:3]
    some = sim.ask("klines", symbol=PAIR, interval="1m", endTime=begun + 119_999, limit=1)
    assert some == rows[1:2]


@pytest.mark.parametrize(
    ("interval", "opened"),
    [
        ("8h", "2026-11-21T08:00"),
        ("1d", "2026-11-21T00:00"),
        ("1w", "2026-11-16T00:00"),
        ("1M", "2026-11-01T00:00"),
    ],
)
def test_klines_of_every_interval_open_when_the_venues_do(sim, interval, opened):
    from datetime import UTC, datetime

    (row,) = sim.ask("klines", symbol=PAIR, interval=interval)
    assert datetime.fromtimestamp(row[0] / 1000, UTC).isoformat()[:16] == opened
    assert row[5] == "0.10000000"


def test_a_month_ends_with_its_last_millisecond(sim):
    (row,) = sim.ask("klines", symbol=PAIR, interval="1M")
    sim.later(row[6] - sim.clock.now_ms())
    sim.tick("66000")
    assert len(sim.ask("klines", symbol=PAIR, interval="1M")) == 1
    sim.later(1)
    sim.tick("67000")
    rows = sim.ask("klines", symbol=PAIR, interval="1M")
    assert [one[4] for one in rows] == ["66000.00000000", "67000.00000000"]


def test_a_day_ticker_looks_back_a_day(sim):
    sim.later(3_600_000)
    sim.tick("66000", quantity="0.3")
    told = sim.ask("ticker/24hr", symbol=PAIR)
    assert (told["openPrice"], told["lastPrice"], told["count"]) == (
        "65000.00000000", "66000.00000000", 2,
    )  # fmt: skip
    assert (told["priceChange"], told["priceChangePercent"]) == ("1000.00000000", "1.538")
    assert (told["volume"], told["weightedAvgPrice"]) == ("0.40000000", "65750.00000000")
    sim.later(86_400_000 - 3_599_000)
    assert sim.ask("ticker/24hr", symbol=PAIR)["openPrice"] == "66000.00000000"
    told = sim.ask("ticker", symbol=PAIR, windowSize="1h")
    assert (told["count"], told["lastPrice"]) == (0, "66000.00000000")


def test_the_average_price_weighs_five_minutes(sim):
    sim.tick("66000", quantity="0.3")
    assert sim.ask("avgPrice", symbol=PAIR)["price"] == "65750.00000000"
    sim.later(300_000)
    sim.tick("70000")
    assert sim.ask("avgPrice", symbol=PAIR)["price"] == "70000.00000000"


def test_trades_are_listed_from_an_id_on(sim):
    for price in range(65001, 65005):
        sim.tick(str(price))
    assert [trade["id"] for trade in sim.ask("trades", symbol=PAIR, limit=2)] == [4, 5]
    told = sim.ask("historicalTrades", symbol=PAIR, fromId=2, limit=2)
    assert [trade["id"] for trade in told] == [2, 3]
    assert [trade["a"] for trade in sim.ask("aggTrades", symbol=PAIR, fromId=4)] == [4, 5]


def test_a_market_without_a_price_has_no_book(sim):
    bare = venue(prices=False)
    told = bare.ask("depth", symbol=PAIR)
    assert refused(told) == (-1112, "No orders on book for symbol.")
    assert bare.ask("ticker/price") == []
    assert refused(bare.order("MARKET"))[0] == -2010
    assert isinstance(sim.clock, ManualClock)


def test_the_best_prices_are_those_at_which_orders_trade(sim):
    best = sim.ask("ticker/bookTicker", symbol=PAIR)
    exchange = sim.place.exchange
    assert best["bidPrice"] == text(exchange.bid("BTC/USDT"))
    assert sim.order("MARKET")["fills"][0]["price"] == best["askPrice"]
