"""The simulated Bybit's requests: who may ask what, how an order lives, what look-ups show."""

import hashlib
import hmac
import json

import pytest

from tests.venuesim.bybit_asking import Venue, told, venue
from venuesim.bybit import make_key
from venuesim.bybit.signature import signed
from venuesim.wire import Call

DAY_MS = 86_400_000
WALLET = {"accountType": "UNIFIED"}


@pytest.fixture
def bybit() -> Venue:
    return venue()


def codes(bybit: Venue, **words: str | None) -> tuple[int, str]:
    answer = bybit.order(**words)
    assert (answer["result"], answer["retExtInfo"]) == ({}, {}) or answer["retCode"] == 0
    return answer["retCode"], answer["retMsg"]


# ------------------------------------------------------------------ who may ask


def test_a_signed_request_is_served_in_the_envelope_of_the_venue(bybit):
    answer = bybit.get("account/wallet-balance", **WALLET)
    assert list(answer) == ["retCode", "retMsg", "result", "retExtInfo", "time"]
    assert (answer["retCode"], answer["retMsg"], answer["retExtInfo"]) == (0, "OK", {})
    assert answer["time"] == bybit.clock.now_ms()


def test_a_request_is_signed_over_time_key_window_and_query_with_hmac_sha256(bybit):
    now = bybit.clock.now_ms()
    origin = f"{now}{bybit.key.api_key}20000category=spot&symbol=BTCUSDT"
    sign = hmac.new(bybit.key.secret.encode(), origin.encode(), hashlib.sha256).hexdigest()
    bybit.headers = {"x-bapi-recv-window": "20000", "x-bapi-sign": sign}
    assert bybit.get("order/realtime", category="spot", symbol="BTCUSDT")["retCode"] == 0
    assert bybit.get("order/realtime", category="spot", symbol="ETHUSDT")["retCode"] == 10004


@pytest.mark.parametrize(
    ("ahead_ms", "code"), [(-5000, 0), (-5001, 10002), (999, 0), (1000, 10002)]
)
def test_a_timestamp_is_good_from_recv_window_ago_until_a_second_ahead(bybit, ahead_ms, code):
    stamp = bybit.clock.now_ms() + ahead_ms
    bybit.headers = {"x-bapi-timestamp": str(stamp)}
    answer = bybit.get("account/wallet-balance", **WALLET)
    assert answer["retCode"] == code
    if code:
        assert answer["retMsg"] == (
            "invalid request, please check your server timestamp or recv_window param. "
            f"req_timestamp[{stamp}],server_timestamp[{bybit.clock.now_ms()}],recv_window[5000]"
        )


def test_a_wrong_signature_is_told_what_it_should_have_signed_and_no_secret(bybit):
    bybit.headers = {"x-bapi-sign": "0" * 64}
    answer = bybit.call("GET", "/v5/account/wallet-balance", **WALLET)
    now = bybit.clock.now_ms()
    said = f"error sign! origin_string[{now}{bybit.key.api_key}5000accountType=UNIFIED]"
    assert (told(answer)["retCode"], told(answer)["retMsg"]) == (10004, said)
    assert answer.account == ""
    assert bybit.key.secret.encode() not in answer.body


@pytest.mark.parametrize("missing", ["x-bapi-api-key", "x-bapi-timestamp", "x-bapi-sign"])
def test_a_private_request_without_its_headers_is_an_empty_401(bybit, missing):
    headers = {"x-bapi-api-key": "k", "x-bapi-timestamp": "1", "x-bapi-sign": "s"}
    headers.pop(missing)
    call = Call(method="GET", path="/v5/account/info", headers=headers)
    assert (bybit.desk.handle(call).status, bybit.desk.handle(call).body) == (401, b"")


def test_unknown_revoked_expired_and_foreign_keys_have_each_their_own_answer(bybit):
    key = make_key(bybit.place, "alice", {"read"})

    def code() -> tuple[int, str]:
        answer = bybit.get("account/info", key)
        return answer["retCode"], answer["retMsg"]

    assert code() == (0, "OK")
    key.ips = ("10.0.0.1",)
    assert code() == (10010, "Unmatched IP, please check your API key's bound IP addresses.")
    key.ips = ()
    bybit.later(90 * DAY_MS)
    assert code() == (33004, "Your api key has expired.")
    key.expires_ms = None
    key.revoked = True
    assert code() == (10003, "API key is invalid.")
    bybit.headers = {"x-bapi-api-key": "unknown"}
    assert code() == (10003, "API key is invalid.")


def test_a_key_that_may_only_read_cannot_order_and_its_rights_say_so(bybit):
    key = make_key(bybit.place, "alice", {"read"})
    refused = bybit.post("order/create", key, category="spot")
    assert refused["retCode"] == 10005
    assert refused["retMsg"] == "Permission denied, please check your API key permissions."
    rights = bybit.get("user/query-api", key)["result"]
    assert (rights["readOnly"], rights["permissions"]["Spot"]) == (1, ["SpotTrade"])
    assert rights["permissions"]["Wallet"] == []


def test_a_key_says_its_rights_addresses_and_days_by_the_venues_words(bybit):
    rights = bybit.get("user/query-api")["result"]
    assert (rights["readOnly"], rights["permissions"]["Spot"]) == (0, ["SpotTrade"])
    assert (rights["ips"], rights["deadlineDay"]) == (["127.0.0.1"], -2)
    assert rights["expiredAt"] == "1970-01-01T00:00:00Z"
    assert (rights["uta"], rights["unified"], rights["isMaster"], rights["type"]) == (1, 0, True, 1)
    free = make_key(bybit.place, "alice", {"read", "withdraw", "transfer"})
    rights = bybit.get("user/query-api", free)["result"]
    assert (rights["readOnly"], rights["permissions"]["Spot"]) == (0, [])
    assert rights["permissions"]["Wallet"] == ["AccountTransfer", "SubMemberTransfer", "Withdraw"]
    assert (rights["ips"], rights["deadlineDay"]) == (["*"], 90)
    assert rights["expiredAt"] == "2027-02-19T12:00:00Z"


def test_keys_look_as_the_venues_do_and_come_out_the_same_in_every_run():
    first, again = venue().key, venue().key
    assert (len(first.api_key), len(first.secret)) == (18, 36)
    assert first.api_key.isalnum() and first.secret.isalnum()
    assert (first.api_key, first.secret) == (again.api_key, again.secret)
    assert first.secret not in repr(venue().desk.handle(Call(method="GET", path="/v5/x")))


# ------------------------------------------------------------------ how often


def test_the_twenty_first_order_of_a_second_is_too_many_and_headers_count_down(bybit):
    bybit.place.limits = True
    asked = {"category": "spot", "symbol": "NONE", "side": "Buy", "orderType": "Limit", "qty": "1"}
    answers = [bybit.call("POST", "/v5/order/create", **asked) for _ in range(21)]
    left = [answer.headers["X-Bapi-Limit-Status"] for answer in answers]
    assert left == [str(n) for n in range(19, -1, -1)] + ["0"]
    assert {answer.headers["X-Bapi-Limit"] for answer in answers} == {"20"}
    assert (told(answers[-1])["retCode"], told(answers[-1])["retMsg"]) == (
        10006,
        "Too many visits!",
    )
    reset = int(answers[-1].headers["X-Bapi-Limit-Reset-Timestamp"])
    assert reset == bybit.clock.now_ms() + 1000
    assert bybit.get("account/info")["retCode"] == 0  # every path counts for itself
    bybit.later(1000)
    assert bybit.post("order/create", **asked)["retCode"] == 170121


def test_another_account_has_limits_of_its_own(bybit):
    bybit.place.limits = True
    other = make_key(bybit.place, "bob", {"read"})
    for _ in range(6):
        answer = bybit.get("account/fee-rate", category="spot")
    assert answer["retCode"] == 10006
    assert bybit.get("account/fee-rate", other, category="spot")["retCode"] == 0


def test_an_address_that_asks_too_often_is_shut_out_for_ten_minutes(bybit):
    bybit.place.limits = True
    asked = Call(method="GET", path="/v5/market/time")
    statuses = [bybit.desk.handle(asked).status for _ in range(600)]
    assert set(statuses) == {200}
    banned = bybit.desk.handle(asked)
    assert (banned.status, banned.body) == (403, b"access too frequent")
    elsewhere = Call(method="GET", path="/v5/market/time", ip="127.0.0.2")
    assert bybit.desk.handle(elsewhere).status == 200
    bybit.later(10 * 60_000 - 1)
    assert bybit.desk.handle(asked).status == 403
    bybit.later(1)
    assert bybit.desk.handle(asked).status == 200


def test_a_pace_below_the_limit_is_never_shut_out(bybit):
    bybit.place.limits = True
    asked = Call(method="GET", path="/v5/market/time")
    for _ in range(1500):
        bybit.later(9)
        assert bybit.desk.handle(asked).status == 200


def test_in_maintenance_private_requests_fail_and_the_status_page_says_why(bybit):
    assert bybit.public("system/status")["result"]["list"] == []
    bybit.place.maintenance = "ongoing"
    assert bybit.get("account/info")["retCode"] == 10016
    assert bybit.order()["retCode"] == 10016
    assert bybit.public("market/tickers", category="spot")["retCode"] == 0
    (row,) = bybit.public("system/status")["result"]["list"]
    assert (row["state"], row["product"]) == ("ongoing", [2])


def test_in_maintenance_of_trading_alone_orders_are_refused_and_cancels_are_not(bybit):
    order = bybit.placed()
    bybit.place.maintenance = "no_trading"
    assert bybit.order()["retCode"] == 110066
    assert bybit.cancel(order)["retCode"] == 0


def test_a_path_the_venue_has_not_is_an_empty_404(bybit):
    answer = bybit.desk.handle(Call(method="GET", path="/v5/order/create"))
    assert (answer.status, answer.body) == (404, b"")


def test_a_path_may_begin_with_the_name_of_the_original_host(bybit):
    answer = bybit.desk.handle(Call(method="GET", path="/api.bybit.com/v5/market/time"))
    assert told(answer)["result"]["timeSecond"] == str(bybit.clock.now_ms() // 1000)
    assert bybit.desk.connect("/stream.bybit.com/v5/public/spot", "", print, "") is not None
    assert bybit.desk.connect("/v5/public/futures", "", print, "") is None


@pytest.mark.parametrize(
    ("method", "path", "query", "action"),
    [
        ("POST", "order/create", "", "create"),
        ("POST", "order/cancel", "", "cancel"),
        ("GET", "order/realtime", "category=spot", "orders"),
        ("GET", "order/realtime", "category=spot&orderLinkId=a", "order"),
        ("GET", "order/history", "orderId=1", "order"),
        ("GET", "execution/list", "orderId=1", "trades"),
        ("GET", "account/wallet-balance", "", "balance"),
        ("GET", "user/query-api", "", "key"),
        ("GET", "market/time", "", "time"),
        ("GET", "market/kline", "", "market"),
        ("GET", "nothing", "", "other"),
    ],
)
def test_a_request_is_named_by_what_it_is_about(bybit, method, path, query, action):
    call = Call(method=method, path=f"/api.bybit.com/v5/{path}", query=query)
    assert bybit.desk.action(call) == action


# ------------------------------------------------------------------ how an order lives


def test_an_order_is_accepted_found_and_filled_and_pays_its_fee_from_what_it_got(bybit):
    answer = bybit.order(orderLinkId="first")
    assert list(answer["result"]) == ["orderId", "orderLinkId"]
    order_id = answer["result"]["orderId"]
    assert answer["result"]["orderLinkId"] == "first"
    assert bybit.balance("USDT") == ("10000", "640")
    row = bybit.shown(order_id)
    assert (row["orderStatus"], row["avgPrice"], row["leavesQty"]) == ("New", "", "0.01000")
    assert (row["price"], row["qty"], row["leavesValue"]) == (
        "64000.00",
        "0.01000",
        "640.00000000",
    )
    bybit.tick("63999")
    row = bybit.shown(order_id)
    assert (row["orderStatus"], row["avgPrice"]) == ("Filled", "64000")
    assert (row["cumExecQty"], row["cumExecValue"]) == ("0.01000", "640.00000000")
    assert (row["cumExecFee"], row["cumFeeDetail"]) == ("0.00001", {"BTC": "0.00001"})
    assert (row["leavesQty"], row["leavesValue"]) == ("0.00000", "0.00000000")
    assert bybit.balance("USDT") == ("9360", "0")
    assert bybit.balance("BTC") == ("1.00999", "0")
    (trade,) = bybit.get("execution/list", category="spot")["result"]["list"]
    assert (trade["execPrice"], trade["execQty"]) == ("64000.00", "0.01000")
    assert (trade["execFee"], trade["feeCurrency"], trade["feeRate"]) == ("0.00001", "BTC", "0.001")
    assert (trade["isMaker"], trade["orderLinkId"]) == (True, "first")


def test_a_sell_pays_its_fee_in_quote(bybit):
    bybit.placed(side="Sell", orderType="Market", qty="0.01", price=None)
    (trade,) = bybit.get("execution/list", category="spot")["result"]["list"]
    assert (trade["execFee"], trade["feeCurrency"]) == ("0.65", "USDT")
    assert bybit.balance("USDT") == ("10649.35", "0")


def test_a_market_buy_takes_its_quantity_in_quote_unless_told_otherwise(bybit):
    bought = bybit.shown(bybit.placed(orderType="Market", qty="650", price=None))
    assert (bought["cumExecQty"], bought["qty"]) == ("0.01000", "650.00000")
    assert (bought["marketUnit"], bought["timeInForce"]) == ("quoteCoin", "IOC")
    assert (bought["orderStatus"], bought["price"]) == ("Filled", "0")
    by_coin = {"orderType": "Market", "qty": "0.02", "price": None, "marketUnit": "baseCoin"}
    bought = bybit.shown(bybit.placed(**by_coin))
    assert (bought["cumExecQty"], bought["qty"]) == ("0.02000", "0.02000")
    sold = bybit.shown(
        bybit.placed(
            side="Sell", orderType="Market", qty="1300", price=None, marketUnit="quoteCoin"
        )
    )
    assert sold["cumExecQty"] == "0.02000"


def test_a_market_buy_whose_quote_does_not_come_out_even_ends_partially_filled(bybit):
    row = bybit.shown(bybit.placed(orderType="Market", qty="100", price=None))
    assert row["orderStatus"] == "PartiallyFilledCanceled"
    assert row["rejectReason"] == "EC_CancelForNoFullFill"
    assert (row["cumExecQty"], row["cumExecValue"]) == ("0.00153", "99.45000000")
    assert row["leavesValue"] == "0.55000000"


def test_without_an_id_of_the_client_the_number_after_the_orders_is_its_link(bybit):
    answer = bybit.order()["result"]
    assert int(answer["orderLinkId"]) == int(answer["orderId"]) + 1
    found = bybit.get("order/realtime", category="spot", orderLinkId=answer["orderLinkId"])
    assert [row["orderId"] for row in found["result"]["list"]] == [answer["orderId"]]


def test_an_order_link_id_is_taken_once_and_for_ever(bybit):
    order_id = bybit.placed(orderLinkId="once")
    assert codes(bybit, orderLinkId="once") == (170141, "Duplicate clientOrderId.")
    bybit.cancel(order_id)
    bybit.later(30 * DAY_MS)
    assert codes(bybit, orderLinkId="once") == (170141, "Duplicate clientOrderId.")


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        ({"symbol": "NOPEUSDT"}, 170121, "Invalid symbol."),
        ({"side": "buy"}, 170117, "Invalid side."),
        ({"orderType": "Stop"}, 170116, "Invalid orderType."),
        ({"timeInForce": "GTD"}, 170115, "Invalid timeInForce."),
        ({"timeInForce": "RPI"}, 170355, None),
        ({"qty": "0.000001"}, 170137, "Order quantity has too many decimals."),
        ({"qty": "0.0000000001"}, 170137, "Order quantity has too many decimals."),
        ({"qty": "0"}, 170136, "Order quantity lower than the minimum."),
        ({"qty": "2000000000"}, 170124, "Order amount too large."),
        ({"qty": "0.00005"}, 170140, "Order value exceeded lower limit."),
        ({"price": "64000.001"}, 170134, "Order price has too many decimals."),
        ({"qty": "0.2"}, 170131, "Insufficient balance."),
        ({"price": "68250.01"}, 170193, "Buy order price cannot be higher than 68250USDT."),
        (
            {"side": "Sell", "price": "61749.99"},
            170194,
            "Sell order price cannot be lower than 61750USDT.",
        ),
        ({"qty": "-1"}, 10001, "Request parameter error."),
        ({"qty": "abc"}, 10001, "Request parameter error."),
        ({"qty": 0.01}, 10001, "Request parameter error."),
        (
            {"price": None},
            10001,
            "Missing some parameters that must be filled in, please check again",
        ),
        ({"side": None}, 10001, None),
        ({"category": "linear"}, 10001, "params error: symbol invalid"),
        ({"category": "futures"}, 10001, "Illegal category"),
        ({"orderLinkId": "a b"}, 170130, "Data sent for paramter 'orderLinkId' is not valid."),
        ({"orderLinkId": "x" * 37}, 170130, "Data sent for paramter 'orderLinkId' is not valid."),
        ({"orderFilter": "OcoOrder"}, 170201, "Invalid orderFilter parameter."),
        ({"orderFilter": "StopOrder"}, 170202, "Please enter the TP/SL price."),
        ({"triggerPrice": "60000"}, 170130, "Data sent for paramter 'triggerPrice' is not valid."),
        ({"isLeverage": 1}, 170036, None),
        ({"orderType": "Market", "qty": "4.99"}, 170140, "Order value exceeded lower limit."),
        ({"orderType": "Market", "qty": "10001"}, 170131, "Insufficient balance."),
        (
            {"orderType": "Market", "qty": "10", "takeProfit": "70000", "tpOrderType": "Market"},
            170227,
            "This feature is not supported.",
        ),
    ],
)
def test_what_the_venue_does_not_take_has_its_own_code_and_text(bybit, words, code, text):
    answer = bybit.order(**words)
    assert answer["retCode"] == code
    assert text in (None, answer["retMsg"])
    assert answer["result"] == {}
    assert bybit.place.exchange.accounts["alice"].orders == {}
    assert bybit.balance("USDT") == ("10000", "0")


def test_at_most_five_hundred_orders_are_open(bybit):
    for _ in range(500):
        bybit.placed(qty="0.0002", price="30000")
    assert codes(bybit, qty="0.0002", price="30000") == (
        170810,
        "Cannot exceed maximum of 500 conditional, TP/SL and active orders.",
    )


def test_a_post_only_order_that_would_take_is_accepted_and_rejected_afterwards(bybit):
    told_of = bybit.signed_in("order")
    row = bybit.shown(bybit.placed(timeInForce="PostOnly", price="65000", orderLinkId="maker"))
    assert (row["orderStatus"], row["rejectReason"]) == (
        "Rejected",
        "EC_PostOnlyWillTakeLiquidity",
    )
    assert (row["timeInForce"], row["cumExecQty"]) == ("PostOnly", "0.00000")
    assert [m["data"][0]["orderStatus"] for m in told_of.of("order")] == ["Rejected"]
    assert bybit.balance("USDT") == ("10000", "0")
    assert codes(bybit, orderLinkId="maker")[0] == 170141
    poor = venue({"USDT": "1"})
    assert codes(poor, timeInForce="PostOnly", price="65000")[0] == 170131


def test_orders_for_an_instant_end_when_nobody_takes_them(bybit):
    now = bybit.shown(bybit.placed(timeInForce="IOC"))
    assert (now["orderStatus"], now["rejectReason"]) == ("Cancelled", "EC_NoImmediateQtyToFill")
    whole = bybit.shown(bybit.placed(timeInForce="FOK"))
    assert (whole["orderStatus"], whole["rejectReason"]) == (
        "Cancelled",
        "EC_CancelForNoFullFill",
    )
    taken = bybit.shown(bybit.placed(timeInForce="FOK", price="65000"))
    assert taken["orderStatus"] == "Filled"


def test_a_cancel_is_by_either_id_frees_what_was_locked_and_works_once(bybit):
    order_id = bybit.placed(orderLinkId="mine")
    asked = {"category": "spot", "symbol": "BTCUSDT"}
    answer = bybit.post("order/cancel", **asked, orderLinkId="mine")
    assert (answer["retCode"], answer["result"]) == (
        0,
        {"orderId": order_id, "orderLinkId": "mine"},
    )
    row = bybit.shown(order_id)
    assert (row["orderStatus"], row["cancelType"], row["rejectReason"]) == (
        "Cancelled",
        "CancelByUser",
        "EC_PerCancelRequest",
    )
    assert bybit.balance("USDT") == ("10000", "0")
    again = bybit.post("order/cancel", **asked, orderLinkId="mine")
    assert (again["retCode"], again["retMsg"]) == (170213, "Order does not exist.")
    assert bybit.post("order/cancel", **asked)["retCode"] == 10001


def test_nobody_cancels_or_sees_anothers_order(bybit):
    order_id = bybit.placed(orderLinkId="mine")
    bob = make_key(bybit.place, "bob", {"read", "trade"})
    asked = {"category": "spot", "symbol": "BTCUSDT", "orderId": order_id}
    assert bybit.post("order/cancel", bob, **asked)["retCode"] == 170213
    found = bybit.get("order/realtime", bob, category="spot", orderId=order_id)
    assert found["result"]["list"] == []
    assert bybit.shown(order_id)["orderStatus"] == "New"


def test_all_open_orders_of_a_pair_are_cancelled_at_once(bybit):
    first = bybit.placed()
    bybit.placed(symbol="ETHUSDT", qty="0.1", price="3100")
    stop = bybit.placed(side="Sell", orderFilter="tpslOrder", triggerPrice="60000", price="59000")
    asked = {"category": "spot", "symbol": "BTCUSDT"}
    answer = bybit.post("order/cancel-all", **asked)["result"]
    assert ([row["orderId"] for row in answer["list"]], answer["success"]) == ([first], "1")
    answer = bybit.post("order/cancel-all", **asked, orderFilter="tpslOrder")["result"]
    assert [row["orderId"] for row in answer["list"]] == [stop]
    answer = bybit.post("order/cancel-all", category="spot", baseCoin="ETH")["result"]
    assert len(answer["list"]) == 1


def test_an_amended_order_keeps_its_ids_and_trades_by_its_new_price(bybit):
    order_id = bybit.placed(orderLinkId="mine")
    asked = {"category": "spot", "symbol": "BTCUSDT", "orderLinkId": "mine"}
    answer = bybit.post("order/amend", **asked, price="63000", qty="0.02")
    assert answer["result"] == {"orderId": order_id, "orderLinkId": "mine"}
    row = bybit.shown(order_id)
    assert (row["price"], row["qty"], row["orderStatus"]) == ("63000.00", "0.02000", "New")
    assert bybit.balance("USDT") == ("10000", "1260")
    assert bybit.post("order/amend", **asked, qty="10")["retCode"] == 170131
    assert bybit.post("order/amend", **asked, price="63000.001")["retCode"] == 170134
    bybit.tick("63500")
    assert bybit.shown(order_id)["orderStatus"] == "New"
    assert bybit.post("order/amend", **asked, price="63500")["retCode"] == 0
    assert bybit.shown(order_id)["orderStatus"] == "Filled"
    assert bybit.post("order/amend", **asked, price="63000")["retCode"] == 170213


def test_a_conditional_order_locks_nothing_until_it_triggers(bybit):
    order_id = bybit.placed(
        side="Sell", orderType="Market", price=None, orderFilter="StopOrder", triggerPrice="60000"
    )
    row = bybit.shown(order_id)
    assert (row["orderStatus"], row["stopOrderType"]) == ("Untriggered", "Stop")
    assert row["triggerPrice"] == "60000.00"
    assert bybit.balance("BTC") == ("1", "0")
    bybit.tick("60000")
    row = bybit.shown(order_id)
    assert (row["orderStatus"], row["avgPrice"]) == ("Filled", "60000")
    assert bybit.balance("BTC") == ("0.99", "0")


def test_a_conditional_order_is_rejected_when_its_money_is_gone_at_the_trigger(bybit):
    order_id = bybit.placed(
        side="Sell", qty="1", price="60000", orderFilter="StopOrder", triggerPrice="60000"
    )
    bybit.placed(side="Sell", orderType="Market", qty="0.5", price=None)
    bybit.tick("60000")
    assert bybit.shown(order_id)["orderStatus"] == "Rejected"
    assert bybit.balance("BTC") == ("0.5", "0")


def test_a_tpsl_order_locks_at_once_and_waits_for_its_trigger_from_either_side(bybit):
    stop = bybit.placed(side="Sell", orderFilter="tpslOrder", triggerPrice="60000", price="59900")
    profit = bybit.placed(
        side="Sell", orderFilter="tpslOrder", orderType="Market", price=None, triggerPrice="70000"
    )
    assert bybit.balance("BTC") == ("1", "0.02")
    bybit.tick("70000")
    assert bybit.shown(profit)["orderStatus"] == "Filled"
    assert bybit.shown(stop)["orderStatus"] == "Untriggered"
    assert bybit.cancel(stop)["retCode"] == 170213  # of another filter than Order
    assert bybit.cancel(stop, orderFilter="tpslOrder")["retCode"] == 0
    assert bybit.shown(stop)["orderStatus"] == "Deactivated"
    assert bybit.balance("BTC") == ("0.99", "0")


def test_take_profit_and_stop_loss_of_a_limit_order_are_placed_when_it_is_filled(bybit):
    bybit.placed(
        takeProfit="70000", stopLoss="60000", tpOrderType="Market", slOrderType="Limit",
        slLimitPrice="59900",
    )  # fmt: skip
    bybit.tick("64000")
    rows = bybit.get("order/realtime", category="spot")["result"]["list"]
    assert [(row["orderType"], row["triggerPrice"], row["qty"]) for row in rows] == [
        ("Limit", "60000.00", "0.00999"),
        ("Market", "70000.00", "0.00999"),
    ]
    assert {row["stopOrderType"] for row in rows} == {"BidirectionalTpslOrder"}
    bybit.tick("70000")
    assert bybit.get("order/realtime", category="spot")["result"]["list"] == []
    assert bybit.balance("BTC") == ("1", "0")


@pytest.mark.parametrize(
    "words",
    [
        {"takeProfit": "63000", "tpOrderType": "Market"},
        {"stopLoss": "64500", "slOrderType": "Market"},
        {"takeProfit": "70000", "tpOrderType": "Limit"},
        {"takeProfit": "abc", "tpOrderType": "Market"},
    ],
)
def test_a_take_profit_or_stop_loss_that_makes_no_sense_is_refused(bybit, words):
    assert codes(bybit, **words)[0] == 170130


def test_an_order_is_traded_in_parts_and_its_average_is_of_all_of_them(bybit):
    bybit.place.exchange.fill_parts = 3
    told_of = bybit.signed_in("order", "execution")
    order_id = bybit.placed(side="Sell", orderType="Market", price=None)
    trades = bybit.get("execution/list", category="spot", orderId=order_id)["result"]["list"]
    assert [row["leavesQty"] for row in trades] == ["0.00000", "0.00334", "0.00667"]
    statuses = [message["data"][0]["orderStatus"] for message in told_of.of("order")]
    assert statuses == ["New", "PartiallyFilled", "PartiallyFilled", "Filled"]
    assert len(told_of.of("execution")) == 3


# ------------------------------------------------------------------ what look-ups show


def test_open_orders_come_newest_first_page_by_page(bybit):
    placed = []
    for _ in range(5):
        bybit.later(10)
        placed.append(bybit.placed())
    seen, cursor = [], ""
    for _ in range(3):
        page = bybit.get("order/realtime", category="spot", limit=2, cursor=cursor)["result"]
        seen += [row["orderId"] for row in page["list"]]
        cursor = page["nextPageCursor"]
    assert seen == placed[::-1]
    assert bybit.get("order/realtime", category="spot", cursor=cursor)["result"]["list"] == []


def test_closed_orders_are_shown_when_asked_for_until_the_venue_restarts(bybit):
    order_id = bybit.placed(orderLinkId="mine")
    bybit.cancel(order_id)
    open_only = bybit.get("order/realtime", category="spot", symbol="BTCUSDT")
    assert open_only["result"]["list"] == []
    closed = bybit.get("order/realtime", category="spot", openOnly=1)["result"]["list"]
    assert [row["orderId"] for row in closed] == [order_id]
    still_open = bybit.placed()
    bybit.desk.restart()
    gone = bybit.get("order/realtime", category="spot", orderLinkId="mine")
    assert gone["result"]["list"] == []
    assert bybit.shown(still_open)["orderStatus"] == "New"
    kept = bybit.get("order/history", category="spot", orderLinkId="mine")["result"]["list"]
    assert [row["orderStatus"] for row in kept] == ["Cancelled"]


def test_look_ups_know_a_new_order_and_its_trades_only_after_the_lag(bybit):
    bybit.place.lag_ms = 3000
    order_id = bybit.placed(price="65000", orderLinkId="late")

    def seen() -> list[int]:
        asked = {"category": "spot", "orderLinkId": "late"}
        paths = ("order/realtime", "order/history", "execution/list")
        return [len(bybit.get(path, **asked)["result"]["list"]) for path in paths]

    assert seen() == [0, 0, 0]
    bybit.later(2999)
    assert seen() == [0, 0, 0]
    bybit.later(1)
    assert seen() == [1, 1, 1]
    assert bybit.shown(order_id)["orderStatus"] == "Filled"


def test_history_keeps_what_was_filled_and_forgets_what_was_not_after_a_day(bybit):
    cancelled = bybit.placed()
    bybit.cancel(cancelled)
    filled = bybit.placed(price="65000")
    open_one = bybit.placed()

    def history(**words: object) -> list[str]:
        rows = bybit.get("order/history", category="spot", **words)["result"]["list"]
        return [row["orderId"] for row in rows]

    assert set(history()) == {cancelled, filled}
    assert open_one not in history()
    bybit.later(DAY_MS)
    assert history() == [filled]
    assert history(orderId=cancelled) == []
    bybit.later(7 * DAY_MS)
    assert history() == []
    assert history(startTime=bybit.clock.now_ms() - 8 * DAY_MS) == [filled]
    assert history(orderId=filled) == [filled]


@pytest.mark.parametrize("path", ["order/history", "execution/list"])
def test_a_window_of_more_than_seven_days_is_refused(bybit, path):
    now = bybit.clock.now_ms()
    answer = bybit.get(path, category="spot", startTime=now - 8 * DAY_MS, endTime=now)
    assert (answer["retCode"], answer["retMsg"]) == (
        10001,
        "The time range between startTime and endTime cannot exceed 7 days",
    )
    old = bybit.get(path, category="spot", startTime=now - 731 * DAY_MS)
    assert (old["retCode"], old["retMsg"]) == (10001, "Can't query order earlier than 2 years")


def test_executions_come_latest_first_page_by_page_and_by_window(bybit):
    for _ in range(3):
        bybit.later(1000)
        bybit.placed(price="65000", qty="0.001")
    first = bybit.get("execution/list", category="spot", limit=2)["result"]
    rest = bybit.get("execution/list", category="spot", limit=2, cursor=first["nextPageCursor"])
    times = [int(row["execTime"]) for row in first["list"] + rest["result"]["list"]]
    assert (len(times), times) == (3, sorted(times, reverse=True))
    since = bybit.get("execution/list", category="spot", startTime=times[1])["result"]["list"]
    assert [int(row["execTime"]) for row in since] == times[:2]
    assert bybit.get("execution/list", category="spot", symbol="ETHUSDT")["result"]["list"] == []


def test_the_log_of_the_wallet_says_every_change_and_adds_up(bybit):
    bybit.placed(price="65000")
    rows = bybit.get("account/transaction-log", accountType="UNIFIED")["result"]["list"]
    assert [row["type"] for row in rows] == ["TRADE", "TRADE", "TRANSFER_IN", "TRANSFER_IN"]
    base, quote = rows[0], rows[1]
    assert (base["currency"], base["cashFlow"], base["fee"]) == ("BTC", "0.01", "0.00001")
    assert (base["change"], base["cashBalance"]) == ("0.00999", "1.00999")
    assert (quote["currency"], quote["cashFlow"], quote["fee"]) == ("USDT", "-650", "0")
    assert quote["cashBalance"] == "9350"
    only = bybit.get("account/transaction-log", currency="USDT", limit=1)["result"]
    more = bybit.get("account/transaction-log", currency="USDT", cursor=only["nextPageCursor"])
    assert [row["type"] for row in more["result"]["list"]] == ["TRANSFER_IN"]


def test_the_wallet_adds_up_to_dollars_and_shows_what_is_locked(bybit):
    bybit.placed()
    wallet = bybit.get("account/wallet-balance", **WALLET)["result"]["list"][0]
    assert (wallet["totalEquity"], wallet["totalAvailableBalance"]) == ("75000", "74360")
    assert [coin["coin"] for coin in wallet["coin"]] == ["BTC", "USDT"]
    refused = bybit.get("account/wallet-balance", accountType="SPOT")
    assert refused["retCode"] == 10001


def test_the_unified_balance_is_asked_for_coin_by_coin(bybit):
    bybit.placed()
    path = "asset/transfer/query-account-coins-balance"
    rows = bybit.get(path, accountType="UNIFIED", coin="USDT,BTC")["result"]["balance"]
    assert [(row["coin"], row["walletBalance"], row["transferBalance"]) for row in rows] == [
        ("USDT", "10000", "9360"),
        ("BTC", "1", "1"),
    ]
    assert bybit.get(path, accountType="UNIFIED")["retCode"] == 10001
    assert bybit.get(path, accountType="FUND", coin="USDT")["result"]["balance"] == [
        {"coin": "USDT", "transferBalance": "0", "walletBalance": "0", "bonus": ""}
    ]


def test_the_answer_to_a_create_can_lose_its_id_and_nothing_else(bybit):
    asked = {"category": "spot", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit"}
    answer = bybit.call("POST", "/v5/order/create", **asked, qty="0.01", price="64000")
    assert answer.order is not None and answer.account == "alice"
    lost = bybit.desk.without_id(answer)
    assert told(lost) == {**told(answer), "result": {}}
    assert lost.order is answer.order


def test_a_refused_create_still_names_its_account_and_the_clients_id(bybit):
    asked = {"category": "spot", "symbol": "NOPE", "orderLinkId": "mine"}
    answer = bybit.call("POST", "/v5/order/create", **asked)
    assert (answer.account, answer.client_id, answer.order) == ("alice", "mine", None)


# ------------------------------------------------------------------ the market


def test_the_market_is_told_as_ticker_book_trades_and_candles(bybit):
    for price in ("65000", "65010", "64990"):
        bybit.tick(price)
        bybit.later(30_000)
    ticker = bybit.public("market/tickers", category="spot", symbol="BTCUSDT")["result"]["list"][0]
    assert (ticker["lastPrice"], ticker["highPrice24h"], ticker["lowPrice24h"]) == (
        "64990",
        "65010",
        "64990",
    )
    assert (ticker["volume24h"], ticker["price24hPcnt"]) == ("0.3", "-0.0001")
    book = bybit.public("market/orderbook", category="spot", symbol="BTCUSDT", limit=3)["result"]
    assert [level[0] for level in book["b"]] == ["64990", "64989.99", "64989.98"]
    assert [level[0] for level in book["a"]] == ["64990", "64990.01", "64990.02"]
    trades = bybit.public("market/recent-trade", category="spot", symbol="BTCUSDT", limit=2)
    assert [(t["price"], t["side"]) for t in trades["result"]["list"]] == [
        ("64990", "Sell"),
        ("65010", "Buy"),
    ]
    asked = {"category": "spot", "symbol": "BTCUSDT", "interval": "1"}
    rows = bybit.public("market/kline", **asked)["result"]["list"]
    assert [row[1:6] for row in rows] == [
        ["64990", "64990", "64990", "64990", "0.1"],
        ["65000", "65010", "65000", "65010", "0.2"],
    ]
    assert bybit.public("market/kline", **asked, limit=1)["result"]["list"] == rows[:1]
    later = bybit.public("market/kline", **asked, start=rows[1][0], limit=1)["result"]["list"]
    assert later == rows[1:]


def test_where_nothing_was_traded_there_are_flat_candles_of_the_last_price(bybit):
    began = bybit.clock.now_ms()
    bybit.tick("65000")
    bybit.later(4 * 60_000)
    bybit.tick("65100")

    def candles(**words: int) -> list[list[str]]:
        asked = {"category": "spot", "symbol": "BTCUSDT", "interval": "1", **words}
        rows = bybit.public("market/kline", **asked)["result"]["list"]
        return [[str((int(row[0]) - began) // 60_000), row[1], row[5]] for row in rows]

    flat = [[str(minute), "65000", "0"] for minute in (3, 2, 1)]
    everything = [["4", "65100", "0.1"], *flat, ["0", "65000", "0.1"]]
    assert candles() == everything
    assert candles(limit=2) == everything[:2]
    assert candles(start=began + 60_001, limit=2) == everything[1:3]
    assert candles(start=began + 60_000, end=began + 179_999) == everything[2:4]
    assert candles(end=began - 1) == []


def test_weeks_begin_on_monday_and_months_on_the_first(bybit):
    for _ in range(12):  # from Saturday the 21st on
        bybit.tick("65000")
        bybit.later(DAY_MS)

    def opened(interval: str) -> list[str]:
        asked = {"category": "spot", "symbol": "BTCUSDT", "interval": interval}
        rows = bybit.public("market/kline", **asked)["result"]["list"]
        return [f"{int(row[0]) // DAY_MS} {row[5]}" for row in rows]

    monday, month = 20780, 20758  # days since 1970 of 2026-11-23 and 2026-11-01
    assert opened("W") == [f"{monday + 7} 0.3", f"{monday} 0.7", f"{monday - 7} 0.2"]
    assert opened("M") == [f"{month + 30} 0.2", f"{month} 1"]


@pytest.mark.parametrize(
    ("path", "words", "text"),
    [
        ("tickers", {"category": "spot", "symbol": "NOPE"}, "Not supported symbols"),
        ("tickers", {"category": "futures"}, "params error: Category is invalid"),
        ("kline", {"category": "spot", "symbol": "BTCUSDT", "interval": "7"}, "Invalid period!"),
        (
            "orderbook",
            {"category": "spot"},
            "Missing some parameters that must be filled in, please check again",
        ),
    ],
)
def test_what_the_market_has_not_is_refused(bybit, path, words, text):
    answer = bybit.public(f"market/{path}", **words)
    assert (answer["retCode"], answer["retMsg"], answer["result"]) == (10001, text, {})


@pytest.mark.parametrize("category", ["linear", "inverse", "option"])
def test_the_other_markets_are_there_and_empty(bybit, category):
    for words in ({}, {"status": "PreLaunch"}, {"baseCoin": "BTC"}):
        answer = bybit.public("market/instruments-info", category=category, **words)
        assert answer["result"] == {"category": category, "list": [], "nextPageCursor": ""}
    assert bybit.public("market/tickers", category=category)["result"]["list"] == []
    assert bybit.get("order/realtime", category=category)["result"]["list"] == []


def test_a_pair_without_a_price_has_no_ticker_and_takes_no_order():
    bybit = venue(prices=False)
    assert bybit.public("market/tickers", category="spot")["result"]["list"] == []
    assert codes(bybit)[0] == 170151


def test_bodies_that_are_no_json_objects_are_refused(bybit):
    for body in (b"[1]", b"{", b"null"):
        now = str(bybit.clock.now_ms())
        text = f"{now}{bybit.key.api_key}5000{body.decode()}"
        headers = {
            "x-bapi-api-key": bybit.key.api_key, "x-bapi-timestamp": now,
            "x-bapi-sign": signed(bybit.key.secret, text),
        }  # fmt: skip
        call = Call(method="POST", path="/v5/order/create", body=body, headers=headers)
        assert json.loads(bybit.desk.handle(call).body)["retCode"] == 10001
