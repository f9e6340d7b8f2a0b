"""Who may ask the simulated Binance: signatures, times, keys, rights, limits and maintenance."""

import json
import random
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.venuesim.binance_asking import PAIR, Venue, refused, signature, venue
from venuesim.binance import make_key
from venuesim.binance.api_socket import METHODS, OWN_METHODS
from venuesim.binance.desk import BinanceDesk
from venuesim.binance.routes import ROUTES
from venuesim.clock import ManualClock
from venuesim.instruments import Listing, pair
from venuesim.keys import Key
from venuesim.orders import Status
from venuesim.running import place_for
from venuesim.units import units
from venuesim.wire import Call

NOT_VALID = (-1022, "Signature for this request is not valid.")
NO_RIGHT = (-2015, "Invalid API-key, IP, or permissions for action.")
LATE = (-1021, "Timestamp for this request is outside of the recvWindow.")
EARLY = (-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
# Of the public documents' examples of signing.
EXAMPLE_KEY = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
EXAMPLE_SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
EXAMPLE = (
    "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000"
    "&timestamp=1499827319559"
)
EXAMPLE_SIGNATURE = "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"
API_EXAMPLE = {
    "symbol": "BTCUSDT",
    "side": "SELL",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.01000000",
    "price": "52000.00",
    "recvWindow": 100,
    "timestamp": 1645423376532,
    "apiKey": EXAMPLE_KEY,
    "signature": "aa1b5712c094bc4e57c05a1a5c1fd8d88dcd628338ea863fec7b88e59fe2db24",
}


@pytest.fixture
def sim() -> Venue:
    return venue()


def example(moment_ms: int, listing: Listing) -> Venue:
    """Return the venue of the documents' examples, at their time."""
    clock = ManualClock(moment_ms)
    place = place_for("binance", clock=clock, instruments=[listing])
    spoken = BinanceDesk(place)
    place.exchange.open_account("alice")
    for asset in ("BTC", "USDT"):
        place.exchange.deposit("alice", asset, units("100"))
    key = Key(
        api_key=EXAMPLE_KEY, secret=EXAMPLE_SECRET, account="alice", permissions={"read", "trade"}
    )
    return Venue(clock, place, spoken, place.keys.add(key))


# ------------------------------------------------------------------ signatures


@pytest.mark.parametrize(
    ("query", "body"),
    [
        (f"{EXAMPLE}&signature={EXAMPLE_SIGNATURE}", ""),
        ("", f"{EXAMPLE}&signature={EXAMPLE_SIGNATURE}"),
        (f"{EXAMPLE}&signature={EXAMPLE_SIGNATURE.upper()}", ""),
        (f"signature={EXAMPLE_SIGNATURE}&{EXAMPLE}", ""),
        (EXAMPLE, f"signature={EXAMPLE_SIGNATURE}"),
    ],
)
def test_the_documents_example_of_a_signature_is_valid_wherever_it_stands(query, body):
    sim = example(1499827319559, Listing(pair("LTC/BTC", "0.0001", "0.01", "0.01"), units("0.1")))
    headers = {"x-mbx-apikey": EXAMPLE_KEY}
    told = sim.send(
        Call(method="POST", path="/api/v3/order", query=query, body=body.encode(), headers=headers)
    )
    assert refused(told) == (-1013, "Filter failure: NOTIONAL")  # 0.1 BTC, not 5: it came through


def test_query_and_form_are_signed_one_after_the_other(sim):
    form = f"quantity=0.01&price=60000&timestamp={sim.clock.now_ms()}"
    query = f"symbol={PAIR}&side=BUY&type=LIMIT&timeInForce=GTC"
    sign = signature(sim.key.secret, query + form)
    told = sim.send(
        Call(
            method="POST", path="/api/v3/order", query=query,
            body=f"{form}&signature={sign}".encode(), headers={"x-mbx-apikey": sim.key.api_key},
        )
    )  # fmt: skip
    assert told["status"] == "NEW"


def test_where_query_and_form_name_a_parameter_the_query_counts(sim):
    query = f"symbol={PAIR}&timestamp={sim.clock.now_ms()}"
    form = "symbol=ETHUSDT&side=BUY&type=MARKET&quantity=0.01"
    sign = signature(sim.key.secret, query + form)
    told = sim.send(
        Call(
            method="POST", path="/api/v3/order", query=query,
            body=f"{form}&signature={sign}".encode(), headers={"x-mbx-apikey": sim.key.api_key},
        )
    )  # fmt: skip
    assert told["symbol"] == PAIR


def test_the_documents_example_of_a_socket_signature_is_valid():
    sim = example(
        1645423376532, Listing(pair("BTC/USDT", "0.01", "0.00001", "0.00001"), units("50000"))
    )
    answer = sim.open_api().ask("order.place", **API_EXAMPLE)
    assert (answer["status"], answer["result"]["price"]) == (200, "52000.00000000")


def test_another_secret_or_another_payload_is_refused(sim):
    wrong = Key(api_key=sim.key.api_key, secret="x" * 64, account="alice", permissions=set())
    assert refused(sim.get("account", wrong)) == NOT_VALID
    assert sim.last.status == 400
    call = sim.signed("GET", "openOrders", symbol=PAIR)
    changed = call.query.replace(PAIR, "ETHUSDT")
    told = sim.send(Call(method="GET", path=call.path, query=changed, headers=call.headers))
    assert refused(told) == NOT_VALID


def test_what_is_signed_is_what_was_sent_so_it_must_have_been_encoded_before(sim):
    raw = f"symbol={PAIR}&origClientOrderId=a:b&timestamp={sim.clock.now_ms()}"
    sign = signature(sim.key.secret, raw)
    told = sim.send(
        Call(
            method="GET", path="/api/v3/order",
            query=f"{raw.replace(':', '%3A')}&signature={sign}",
            headers={"x-mbx-apikey": sim.key.api_key},
        )
    )  # fmt: skip
    assert refused(told) == NOT_VALID


def test_time_and_signature_must_be_there(sim):
    headers = {"x-mbx-apikey": sim.key.api_key}
    told = sim.send(Call(method="GET", path="/api/v3/account", headers=headers))
    assert refused(told) == (
        -1102,
        "Mandatory parameter 'timestamp' was not sent, was empty/null, or malformed.",
    )
    query = f"timestamp={sim.clock.now_ms()}"
    told = sim.send(Call(method="GET", path="/api/v3/account", query=query, headers=headers))
    assert refused(told) == (
        -1102,
        "Mandatory parameter 'signature' was not sent, was empty/null, or malformed.",
    )


# ----------------------------------------------------------------------- times


@pytest.mark.parametrize(
    ("at", "window", "answer"),
    [
        (-5000, None, None),
        (-5001, None, LATE),
        (-59_000, "60000", None),
        (-60_001, "60000", LATE),
        (-6000, "6000.346", None),
        (-6001, "6000.346", LATE),
        (999, None, None),
        (1000, None, EARLY),
        (
            0,
            "60001",
            (-1102, "'recvWindow' contains unexpected value. Cannot be greater than 60000."),
        ),
    ],
)
def test_a_request_counts_within_its_window_and_not_from_the_future(sim, at, window, answer):
    words = {"recvWindow": window} if window else {}
    told = sim.send(sim.signed("GET", "account", at=at, **words))
    assert (None if sim.last.status == 200 else refused(told)) == answer


def test_a_time_may_count_microseconds(sim):
    raw = urlencode({"timestamp": sim.clock.now_ms() * 1000})
    query = f"{raw}&signature={signature(sim.key.secret, raw)}"
    headers = {"x-mbx-apikey": sim.key.api_key}
    sim.send(Call(method="GET", path="/api/v3/account", query=query, headers=headers))
    assert sim.last.status == 200


def test_a_request_that_is_late_on_the_way_is_refused_when_it_arrives(sim):
    call = sim.signed(
        "POST", "order", symbol=PAIR, side="BUY", type="MARKET", quantity="0.01", recvWindow=2000
    )
    sim.later(2001)
    assert refused(sim.send(call)) == LATE
    assert not sim.place.exchange.accounts["alice"].orders


# ------------------------------------------------------------ keys and rights


@pytest.mark.parametrize("api_key", ["", "short", "x" * 63, "!" * 64])
def test_a_key_of_another_form_is_refused(sim, api_key):
    call = sim.signed("GET", "account")
    told = sim.send(
        Call(method="GET", path=call.path, query=call.query, headers={"x-mbx-apikey": api_key})
    )
    assert (sim.last.status, *refused(told)) == (401, -2014, "API-key format invalid.")


def test_a_key_nobody_made_and_one_taken_away_are_refused(sim):
    stranger = Key(api_key="x" * 64, secret="y" * 64, account="alice", permissions={"read"})
    assert refused(sim.get("account", stranger)) == NO_RIGHT
    assert sim.last.status == 401
    sim.key.revoked = True
    assert refused(sim.get("account")) == NO_RIGHT


def test_a_key_bound_to_an_address_names_the_one_it_was_used_from(sim):
    key = make_key(sim.place, "alice", {"read", "trade"}, ("10.0.0.1",))
    assert refused(sim.get("account", key)) == (
        -2015,
        "Invalid API-key, IP, or permissions for action, request ip: 127.0.0.1",
    )
    sim.ip = "10.0.0.1"
    assert "balances" in sim.get("account", key)


def test_a_key_without_the_right_to_trade_reads_and_no_more(sim):
    reader = make_key(sim.place, "alice", {"read"}, ())
    assert "balances" in sim.get("account", reader)
    told = sim.post("order", reader, symbol=PAIR, side="BUY", type="MARKET", quantity="0.01")
    assert refused(told) == NO_RIGHT
    assert refused(sim.delete("openOrders", reader, symbol=PAIR)) == NO_RIGHT


def test_a_key_bound_to_no_address_loses_its_right_to_trade_after_ninety_days(sim):
    told = sim.get("/sapi/v1/account/apiRestrictions")
    assert told["tradingAuthorityExpirationTime"] == sim.clock.now_ms() + 90 * 86_400_000
    sim.later(90 * 86_400_000)
    assert refused(sim.order("MARKET")) == NO_RIGHT
    assert sim.get("/sapi/v1/account/apiRestrictions")["enableSpotAndMarginTrading"] is False


def test_a_key_says_what_it_may_do():
    sim = venue(("read",))
    told = sim.get("/sapi/v1/account/apiRestrictions")
    assert {name for name, value in told.items() if value is True} == {"enableReading"}
    key = make_key(sim.place, "alice", {"read", "trade", "withdraw", "transfer"}, ("127.0.0.1",))
    told = sim.get("/sapi/v1/account/apiRestrictions", key)
    assert {name for name, value in told.items() if value is True} == {
        "ipRestrict", "enableReading", "enableSpotAndMarginTrading", "enableWithdrawals",
        "enableInternalTransfer", "permitsUniversalTransfer",
    }  # fmt: skip
    assert "tradingAuthorityExpirationTime" not in told


def test_nobody_withdraws_without_the_right_to():
    sim = venue(("read", "trade"))
    words = {"coin": "USDT", "address": "there", "amount": "1"}
    assert refused(sim.post("/sapi/v1/capital/withdraw/apply", **words)) == NO_RIGHT


def test_keys_look_like_the_venues_and_depend_on_the_seed():
    one, other = venue(seed=1).key, venue(seed=2).key
    assert len(one.api_key) == len(one.secret) == 64
    assert (one.api_key + one.secret).isalnum()
    assert one.api_key == venue(seed=1).key.api_key != other.api_key


def test_nobody_sees_what_is_anothers(sim):
    sim.place.exchange.open_account("bob")
    sim.place.exchange.deposit("bob", "USDT", units("1000"))
    bob = make_key(sim.place, "bob", {"read", "trade"}, ())
    number = sim.order(newClientOrderId="hers")["orderId"]
    assert sim.get("openOrders", bob) == []
    assert sim.get("order", bob, symbol=PAIR, orderId=number)["code"] == -2013
    assert sim.delete("order", bob, symbol=PAIR, origClientOrderId="hers")["code"] == -2011
    assert sim.post(
        "order", bob, symbol=PAIR, side="BUY", type="LIMIT", timeInForce="GTC", quantity="0.01",
        price="60000", newClientOrderId="hers",
    )["status"] == "NEW"  # fmt: skip


# ---------------------------------------------------------------------- limits


def test_every_answer_tells_the_weight_its_address_has_used(sim):
    sim.ask("time")
    assert sim.last.headers["X-MBX-USED-WEIGHT-1M"] == "1"
    sim.ask("depth", symbol=PAIR, limit=500)
    assert sim.last.headers["X-MBX-USED-WEIGHT-1M"] == "26"
    sim.get("account")
    assert sim.last.headers["X-MBX-USED-WEIGHT-1M"] == "46"
    sim.get("/sapi/v1/capital/config/getall")
    assert sim.last.headers == {"X-SAPI-USED-IP-WEIGHT-1M": "10"}
    sim.ip = "10.0.0.2"
    sim.ask("ping")
    assert sim.last.headers["X-MBX-USED-WEIGHT-1M"] == "1"
    sim.later(60_000)
    sim.ip = "127.0.0.1"
    sim.ask("ping")
    assert sim.last.headers["X-MBX-USED-WEIGHT-1M"] == "1"


@pytest.mark.parametrize(
    ("path", "words", "weight"),
    [
        ("exchangeInfo", {}, 20),
        ("depth", {"symbol": PAIR, "limit": 100}, 5),
        ("depth", {"symbol": PAIR, "limit": 5000}, 250),
        ("trades", {"symbol": PAIR}, 25),
        ("klines", {"symbol": PAIR, "interval": "1m"}, 2),
        ("ticker/24hr", {"symbol": PAIR}, 2),
        ("ticker/24hr", {}, 80),
        ("ticker/price", {}, 4),
        ("ticker/bookTicker", {"symbol": PAIR}, 2),
        ("ticker", {"symbols": '["BTCUSDT","ETHUSDT"]'}, 8),
    ],
)
def test_a_request_weighs_what_the_documents_say(sim, path, words, weight):
    sim.ask(path, **words)
    assert sim.last.headers["X-MBX-USED-WEIGHT-1M"] == str(weight)


def test_orders_and_cancels_that_succeed_weigh_nothing_and_those_that_fail_do(sim):
    number = sim.order()["orderId"]
    assert sim.last.headers["X-MBX-USED-WEIGHT-1M"] == "0"
    sim.delete("order", symbol=PAIR, orderId=number)
    assert sim.last.headers["X-MBX-USED-WEIGHT-1M"] == "0"
    sim.delete("order", symbol=PAIR, orderId=number)
    assert sim.last.headers["X-MBX-USED-WEIGHT-1M"] == "1"


def test_too_much_weight_is_429_and_going_on_is_a_ban_that_grows(sim):
    sim.later(15_000)  # into the minute
    for _ in range(75):
        sim.ask("ticker/24hr")
    assert sim.last.status == 200
    told = sim.ask("ping")
    assert (sim.last.status, sim.last.headers["Retry-After"]) == (429, "45")
    assert refused(told) == (
        -1003,
        "Too much request weight used; current limit is 6000 request weight per 1 MINUTE. "
        "Please use WebSocket Streams for live updates to avoid polling the API.",
    )
    for _ in range(10):
        told = sim.ask("ping")
    until = sim.clock.now_ms() + 120_000
    assert (sim.last.status, sim.last.headers["Retry-After"]) == (418, "120")
    assert refused(told) == (
        -1003,
        f"Way too much request weight used; IP banned until {until}. "
        "Please use WebSocket Streams for live updates to avoid bans.",
    )
    sim.later(119_999)
    assert refused(sim.order("MARKET"))[0] == -1003  # everybody at that address
    sim.later(1)
    sim.ask("ping")
    assert sim.last.status == 200
    for _ in range(100):
        sim.ask("ticker/24hr")
    assert int(sim.last.headers["Retry-After"]) > 120


def test_an_address_that_waits_out_its_429_is_served_again(sim):
    for _ in range(76):
        sim.ask("ticker/24hr")
    assert sim.last.status == 429
    sim.later(60_000)
    sim.ask("ping")
    assert sim.last.status == 200


def test_orders_that_wait_are_counted_and_limited(sim):
    for number in range(100):
        sim.order(price=str(50000 + number), quantity="0.0002")
    assert sim.last.headers["X-MBX-ORDER-COUNT-10S"] == "100"
    assert sim.last.headers["X-MBX-ORDER-COUNT-1D"] == "100"
    told = sim.order(quantity="0.0002")
    assert (sim.last.status, *refused(told)) == (
        429, -1015, "Too many new orders; current limit is 100 orders per 10 SECOND.",
    )  # fmt: skip
    assert sim.last.headers["Retry-After"] == "10"
    sim.later(10_000)
    sim.order(quantity="0.0002")
    assert sim.last.headers["X-MBX-ORDER-COUNT-10S"] == "1"
    assert sim.get("rateLimit/order")[1]["count"] == 101


def test_orders_that_trade_are_not_counted_and_a_maker_gets_more_back(sim):
    for _ in range(3):
        sim.order("MARKET", quantity="0.001")
    assert sim.last.headers["X-MBX-ORDER-COUNT-10S"] == "0"
    for price in (60000, 60001, 60002, 60003, 60004, 60005, 60006):
        sim.order(price=price, quantity="0.001")
    sim.tick("60006")
    assert [limit["count"] for limit in sim.get("rateLimit/order")] == [2, 2]


def test_without_limits_nothing_is_counted(sim):
    sim.place.limits = False
    for _ in range(200):
        sim.ask("ticker/24hr")
    for number in range(120):
        sim.order(price=str(50000 + number), quantity="0.0001")
    assert sim.last.status == 200


# ----------------------------------------------------------------- maintenance


def test_in_maintenance_everything_is_refused_but_asking_for_the_state(sim):
    sim.order()
    sim.place.maintenance = "system_maintenance"
    for told in (sim.ask("time"), sim.get("account"), sim.order("MARKET")):
        assert (sim.last.status, *refused(told)) == (503, 1, "System is under maintenance.")
    told = sim.send(Call(method="GET", path="/sapi/v1/system/status"))
    assert told == {"status": 1, "msg": "system_maintenance"}
    answer = sim.open_api().ask("ping")
    assert (answer["status"], answer["error"]["code"]) == (503, 1)
    sim.place.maintenance = ""
    assert len(sim.get("openOrders")) == 1


@pytest.mark.parametrize("word", ["HALT", "BREAK", "CANCEL_ONLY"])
def test_while_markets_are_closed_orders_are_refused_and_cancelled(sim, word):
    number = sim.order()["orderId"]
    sim.place.maintenance = word
    assert {symbol["status"] for symbol in sim.ask("exchangeInfo")["symbols"]} == {word}
    assert refused(sim.order("MARKET")) == (-1013, "Market is closed.")
    assert sim.delete("order", symbol=PAIR, orderId=number)["status"] == "CANCELED"


# ------------------------------------------------------------------ the wire


@pytest.mark.parametrize(
    ("method", "path", "about"),
    [
        ("POST", "/api/v3/order", "create"),
        ("POST", "/api/v3/orderList/oco", "create"),
        ("DELETE", "/api/v3/order", "cancel"),
        ("GET", "/api/v3/order", "order"),
        ("GET", "/api/v3/openOrders", "orders"),
        ("GET", "/api/v3/myTrades", "trades"),
        ("GET", "/api/v3/account", "balance"),
        ("GET", "/sapi/v1/account/apiRestrictions", "key"),
        ("GET", "/api/v3/klines", "market"),
        ("GET", "/api/v3/time", "time"),
        ("POST", "/api/v3/userDataStream", "stream"),
        ("GET", "/nowhere", "other"),
    ],
)
def test_a_call_is_named_by_what_it_is_about(sim, method, path, about):
    assert sim.desk.action(Call(method=method, path=path)) == about


def test_a_host_written_into_the_path_is_passed_over(sim):
    assert "serverTime" in sim.send(Call(method="GET", path="/api.binance.com/api/v3/time"))


def test_an_answer_says_whose_it_is_and_which_order_was_made(sim):
    sim.order(newClientOrderId="mine")
    answer = sim.last
    assert (answer.account, answer.client_id) == ("alice", "mine")
    assert answer.order is not None and answer.order.status is Status.OPEN
    sim.order(newClientOrderId="mine")
    assert (sim.last.account, sim.last.client_id, sim.last.order) == ("alice", "mine", None)
    sim.ask("time")
    assert sim.last.account == ""


def test_a_reply_can_forget_the_ids_of_what_it_made(sim):
    told: dict[str, Any] = sim.order()
    forgot = json.loads(sim.desk.without_id(sim.last).body)
    assert told.keys() - forgot.keys() == {"orderId", "orderListId"}
    sim.oco()
    assert b"orderId" not in sim.desk.without_id(sim.last).body


ODD = [
    "", "0", "-1", "1e9", "9" * 19, "9" * 20, "9" * 30, "0.00000001", "1.5", "BTCUSDT", "NOPE",
    "\u00e9", "\ud800", "%", "[]", '["BTCUSDT"]', '["x', "null", "true", "GTC", "FOK", "IOC",
    "LIMIT", "MARKET", "STOP_LOSS", "TAKE_PROFIT_LIMIT", "LIMIT_MAKER", "BUY", "SELL", "FULL",
    "1m", "1M", "0.01", "60000", "70000", "1000", "1001",
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_whatever_is_sent_is_answered(sim, method, path):
    sim.place.limits = False
    sim.tick("65000")
    sim.order(), sim.oco()
    draw = random.Random(f"{method} {path}")
    takes = ROUTES[method, path].takes
    for _ in range(60):
        names = [name for name in takes if draw.random() < 0.7]
        words = {name: draw.choice(ODD) for name in names}
        if "symbol" in words and draw.random() < 0.8:
            words["symbol"] = PAIR
        raw = urlencode(words | {"timestamp": sim.clock.now_ms()}, errors="replace")
        raw += f"&signature={signature(sim.key.secret, raw)}"
        sim.send(
            Call(
                method=method, path=path, query=raw, headers={"x-mbx-apikey": sim.key.api_key},
            )
        )  # fmt: skip
        assert sim.last.status in (200, 400, 401, 409)
    book = sim.place.exchange.accounts["alice"]
    assert all(amount >= 0 for held in (book.free, book.locked) for amount in held.values())


@pytest.mark.parametrize("path", ["/ws-api/v3", "/ws"])
def test_whatever_is_said_on_a_socket_is_answered(sim, path):
    stream, draw = sim.open(path), random.Random(path)
    methods = [*METHODS, *OWN_METHODS, "SUBSCRIBE", "LIST_SUBSCRIPTIONS", "", None, 7]
    for _ in range(500):
        params = {draw.choice(["symbol", "apiKey", "timestamp", "x"]): draw.choice(ODD)}
        asked = {"id": draw.choice([1, "x", None, 1.5, "\ud800"]), "method": draw.choice(methods),
                 "params": draw.choice([params, [draw.choice(ODD)], None, 3, "x"])}  # fmt: skip
        stream.take()
        stream.socket.heard(json.dumps(asked))
        assert len(stream.messages) == 1


def test_a_path_nobody_knows_is_not_found(sim):
    assert sim.desk.handle(Call(method="GET", path="/api/v9/x")).status == 404
