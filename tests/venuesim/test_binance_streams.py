"""The simulated Binance's streams: market data, accounts' events and the WebSocket API."""

import json
from typing import Any

import pytest

from tests.venuesim.binance_asking import HOST, PAIR, Venue, signature, venue
from tests.venuesim.test_binance_words import ACCOUNT, CANCELLED, FULL, QUERIED, check
from venuesim.binance import make_key
from venuesim.keys import Key
from venuesim.units import units
from venuesim.wire import Call

TRADE = "e:t E:m s:t t:i p:d q:d T:m m:b M:b"
AGGREGATE = "e:t E:m s:t a:i p:d q:d f:i l:i T:m m:b M:b"
KLINE = """t:m T:m s:t i:t f:i L:i o:d c:d h:d l:d v:d n:i x:b q:d V:d Q:d B:t"""
MINI = "e:t E:m s:t c:d o:d h:d l:d v:d q:d"
NUMBERS = "o:d h:d l:d v:d q:d O:m C:m F:i L:i n:i"
TICKER = f"e:t E:m s:t p:d P:t w:d x:d c:d Q:d b:d B:d a:d A:d {NUMBERS}"
WINDOW = f"e:t E:m s:t p:d P:t w:d c:d {NUMBERS}"
BOOK_TICKER = "u:i s:t b:d B:d a:d A:d"
AVERAGE = "e:t E:m s:t i:t w:d T:m"
CHANGES = "e:t E:m s:t U:i u:i b:l a:l"
REPORT = """e:t E:m s:t c:t S:t o:t f:t q:d p:d P:d F:d g:i C:t x:t X:t r:t i:i l:d z:d L:d n:t
    N:n T:m t:i I:i w:b m:b M:b O:m Z:d Y:d Q:d V:t"""
WORKING = f"{REPORT} W:m"
FILLED = WORKING.replace("n:t", "n:d").replace("N:n", "N:t")
POSITION = "e:t E:m u:m B:l"


@pytest.fixture
def sim() -> Venue:
    made = venue()
    made.tick("65000")
    made.later(10_000)
    return made


# --------------------------------------------------------------- connections


def test_a_raw_stream_says_events_as_they_are(sim):
    stream = sim.open("/ws/btcusdt@trade")
    sim.tick("65001", quantity="0.25")
    (event,) = stream.messages
    check(event, TRADE)
    assert (event["e"], event["s"], event["p"], event["q"], event["m"]) == (
        "trade", PAIR, "65001.00000000", "0.25000000", False,
    )  # fmt: skip


def test_combined_streams_say_which_one_speaks(sim):
    stream = sim.open("/stream", "streams=btcusdt@trade/btcusdt@aggTrade")
    sim.tick("64999")
    assert [message["stream"] for message in stream.messages] == [
        "btcusdt@trade",
        "btcusdt@aggTrade",
    ]
    check(stream.messages[1]["data"], AGGREGATE)
    assert stream.messages[1]["data"]["m"] is True


@pytest.mark.parametrize(
    "path",
    [
        "/ws/btcusdt@trade",
        f"{HOST}/ws/btcusdt@trade",
        "/ws/ethusdt@trade/btcusdt@trade",
        f"{HOST}/stream",
        "/ws/btcusdt%40trade",
    ],
)
def test_a_stream_is_found_behind_whatever_host_stands_in_the_path(sim, path):
    stream = sim.open(path, "streams=btcusdt@trade" if path.endswith("stream") else "")
    sim.tick("65001")
    assert [event["s"] for event in stream.events("trade")] == [PAIR]


@pytest.mark.parametrize("path", ["/", "/api/v3/time", "/nowhere"])
def test_there_is_no_stream_elsewhere(sim, path):
    assert sim.desk.connect(path, "", lambda text: None, sim.ip) is None


def test_streams_are_subscribed_listed_and_left(sim):
    stream = sim.open("/ws/0")
    assert stream.say("SUBSCRIBE", "btcusdt@trade", "ethusdt@trade", number=7) == {
        "result": None,
        "id": 7,
    }
    listed = stream.say("LIST_SUBSCRIPTIONS", number="x")
    assert listed == {"result": ["0", "btcusdt@trade", "ethusdt@trade"], "id": "x"}
    assert stream.say("UNSUBSCRIBE", "btcusdt@trade")["result"] is None
    sim.tick("65001")
    assert stream.events() == []
    sim.tick("3201", "ETH/USDT")
    assert len(stream.events("trade")) == 1
    stream.socket.closed()
    sim.tick("3202", "ETH/USDT")
    assert len(stream.events("trade")) == 1


def test_a_connection_can_begin_to_say_which_stream_speaks(sim):
    stream = sim.open("/ws/btcusdt@trade")
    assert stream.say("GET_PROPERTY", "combined")["result"] is False
    assert stream.say("SET_PROPERTY", "combined", True)["result"] is None
    sim.tick("65001")
    assert stream.messages[-1]["stream"] == "btcusdt@trade"


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("{", 3, "Invalid JSON"),
        ("[]", 2, "Invalid request"),
        ('{"id": 1}', 2, "missing field `method`"),
        ('{"method": "SUBSCRIB", "id": 1}', 2, "unknown variant `SUBSCRIB`"),
        ('{"method": "SUBSCRIBE", "params": [1], "id": 1}', 2, "Invalid request"),
        ('{"method": "SUBSCRIBE", "params": [], "id": 1.5}', 2, "request ID must be"),
        ('{"method": "GET_PROPERTY", "params": ["colour"], "id": 1}', 0, "Unknown property"),
        ('{"method": "SET_PROPERTY", "params": ["combined", 1], "id": 1}', 1, "expected Boolean"),
    ],
)
def test_a_message_that_makes_no_sense_is_told_so(sim, text, code, said):
    stream = sim.open("/ws")
    stream.socket.heard(text)
    assert stream.messages[0]["code"] == code
    assert said in stream.messages[0]["msg"]


def test_no_connection_hears_more_streams_than_there_may_be(sim):
    stream = sim.open("/ws")
    names = [f"x{number}@trade" for number in range(1025)]
    assert "too many" in stream.say("SUBSCRIBE", *names)["msg"]
    assert stream.say("SUBSCRIBE", *names[:1024])["result"] is None


# --------------------------------------------------------------- market data


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("btcusdt@miniTicker", MINI),
        ("btcusdt@ticker", TICKER),
        ("btcusdt@ticker_1h", WINDOW),
        ("btcusdt@bookTicker", BOOK_TICKER),
        ("btcusdt@avgPrice", AVERAGE),
        ("btcusdt@depth5", "lastUpdateId:i bids:l asks:l"),
        ("btcusdt@depth20@100ms", "lastUpdateId:i bids:l asks:l"),
        ("btcusdt@depth", CHANGES),
        ("btcusdt@depth@100ms", CHANGES),
        ("!miniTicker@arr", MINI),
        ("!ticker_4h@arr", WINDOW),
    ],
)
def test_a_stream_is_written_as_in_the_documents(sim, name, shape):
    stream = sim.open("/ws/" + name)
    sim.tick("65010")
    (event,) = stream.messages
    check(event[0] if isinstance(event, list) else event, shape)


def test_a_kline_stream_says_when_a_kline_is_over(sim):
    stream = sim.open("/ws/btcusdt@kline_1m")
    sim.tick("65010")
    sim.later(49_999)
    sim.tick("65020")
    sim.later(1)
    sim.place.candles.close_until(sim.clock.now_ms())
    sim.later(2000)
    sim.tick("65030")
    klines = [event["k"] for event in stream.events("kline")]
    check(klines[0], KLINE)
    assert [(kline["x"], kline["c"]) for kline in klines] == [
        (False, "65010.00000000"),
        (False, "65020.00000000"),
        (True, "65020.00000000"),
        (False, "65030.00000000"),
    ]
    assert klines[3]["t"] == klines[2]["T"] + 1


def test_a_kline_of_eight_hours_is_over_when_the_next_begins(sim):
    stream = sim.open("/ws/btcusdt@kline_8h")
    sim.tick("65010")
    sim.later(4 * 3_600_000)
    sim.tick("65020")
    assert [kline["k"]["x"] for kline in stream.events()] == [False, True, False]
    assert stream.events()[1]["k"]["c"] == "65010.00000000"


def test_a_stream_with_a_period_keeps_it_and_misses_nothing(sim):
    stream = sim.open("/ws/btcusdt@miniTicker")
    for price in (65010, 65020, 65030):
        sim.tick(str(price))
    assert [event["c"] for event in stream.messages] == ["65010.00000000"]
    stream.socket.beat(sim.clock.now_ms())
    assert [event["c"] for event in stream.messages] == ["65010.00000000", "65030.00000000"]
    sim.later(1000)
    stream.socket.beat(sim.clock.now_ms())
    assert len(stream.messages) == 2  # nothing changed


def test_who_comes_to_a_quiet_market_hears_at_the_next_beat_what_is_so(sim):
    first, second = sim.open("/ws/btcusdt@ticker"), sim.open("/ws/btcusdt@kline_1m")
    for stream in (first, second):
        stream.socket.beat(sim.clock.now_ms())
        stream.socket.beat(sim.clock.now_ms())
    assert first.messages[0]["c"] == "65000.00000000"
    assert second.messages[0]["k"]["c"] == "65000.00000000"
    assert len(first.messages) == len(second.messages) == 1


def applied(book: dict[str, Any], event: dict[str, Any]) -> None:
    for side, changed in (("bids", event["b"]), ("asks", event["a"])):
        levels = dict(book[side])
        for price, quantity in changed:
            levels[price] = quantity
            if quantity == "0.00000000":
                del levels[price]
        book[side] = sorted(levels.items(), key=lambda level: float(level[0]))


def test_a_book_kept_by_its_changes_is_the_venues(sim):
    stream = sim.open("/ws/btcusdt@depth@100ms")
    sim.later(100)
    sim.tick("65010")
    book = sim.ask("depth", symbol=PAIR, limit=5000)
    assert book["lastUpdateId"] == stream.messages[-1]["u"]
    for price in ("65300", "64000.01", "65010", "65010"):
        sim.tick(price)
        sim.later(100)
    stream.socket.beat(sim.clock.now_ms())
    first, *_ = later = stream.messages[1:]
    assert first["U"] == book["lastUpdateId"] + 1
    for event in later:
        assert event["U"] == book["lastUpdateId"] + 1
        book["lastUpdateId"] = event["u"]
        applied(book, event)
    now = sim.ask("depth", symbol=PAIR, limit=5000)
    assert book["lastUpdateId"] == now["lastUpdateId"]
    assert dict(book["bids"]) == dict(now["bids"])
    assert dict(book["asks"]) == dict(now["asks"])


def test_a_book_that_is_heard_stirs_by_itself_once_a_second(sim):
    stream = sim.open("/stream", "streams=btcusdt@depth/btcusdt@bookTicker")
    for _ in range(3):
        sim.later(1000)
        stream.socket.beat(sim.clock.now_ms())
    names = [message["stream"] for message in stream.messages]
    assert names.count("btcusdt@depth") == 3
    best = [message["data"]["b"] for message in stream.messages if "Ticker" in message["stream"]]
    assert set(best) == {"64996.75000000"}


def test_a_stalled_pair_is_silent_while_its_orders_trade(sim):
    stream = sim.open("/ws/btcusdt@trade/btcusdt@kline_1m/btcusdt@bookTicker")
    sim.order()
    sim.place.exchange.stalled.add("BTC/USDT")
    sim.tick("60000")
    sim.later(1000)
    stream.socket.beat(sim.clock.now_ms())
    assert [event["c"] for event in stream.events() if "c" in event] == []
    assert sim.get("openOrders") == []
    sim.place.exchange.stalled.clear()
    sim.tick("60010")
    assert len(stream.events("trade")) == 1


# --------------------------------------------------- an account's events


def kinds(events: list[Any]) -> list[str]:
    return [event.get("x", event["e"]) for event in events]


def test_an_orders_life_is_told_with_balances(sim):
    stream = sim.subscribed()
    number = sim.order(newClientOrderId="mine")["orderId"]
    assert all(message["subscriptionId"] == 0 for message in stream.messages)
    report, position = stream.events()
    check(report, WORKING)
    assert (report["c"], report["x"], report["X"], report["i"], report["w"]) == (
        "mine", "NEW", "NEW", number, True,
    )  # fmt: skip
    check(position, POSITION)
    assert {"a": "USDT", "f": "9400.00000000", "l": "600.00000000"} in position["B"]
    stream.take()
    sim.later(1000)
    sim.tick("59999")
    report, position = stream.events()
    check(report, FILLED)
    assert (report["x"], report["X"], report["l"], report["L"], report["z"]) == (
        "TRADE", "FILLED", "0.01000000", "60000.00000000", "0.01000000",
    )  # fmt: skip
    assert (report["n"], report["N"], report["m"]) == ("0.00001000", "BTC", True)
    assert (report["Z"], report["Y"], report["t"]) == ("600.00000000", "600.00000000", 5001)
    assert position["B"][0] == {"a": "BTC", "f": "1.00999000", "l": "0.00000000"}


def test_a_cancel_bears_its_own_name_and_the_orders(sim):
    stream = sim.subscribed()
    number = sim.order(newClientOrderId="mine")["orderId"]
    stream.take()
    sim.delete("order", symbol=PAIR, orderId=number, newClientOrderId="away")
    report = stream.events("executionReport")[0]
    check(report, WORKING)
    assert (report["x"], report["c"], report["C"], report["w"]) == (
        "CANCELED", "away", "mine", False,
    )  # fmt: skip


def test_several_fills_are_told_one_by_one_with_rising_numbers(sim):
    sim.place.exchange.fill_parts = 3
    stream = sim.subscribed()
    sim.order("MARKET")
    reports = stream.events("executionReport")
    assert [report["X"] for report in reports] == [
        "NEW", "PARTIALLY_FILLED", "PARTIALLY_FILLED", "FILLED",
    ]  # fmt: skip
    assert [report["z"] for report in reports][1:] == ["0.00333000", "0.00666000", "0.01000000"]
    numbers = [report["I"] for report in reports]
    assert numbers == sorted(set(numbers))


def test_a_triggered_stop_is_told_again_as_new_and_working(sim):
    stream = sim.subscribed()
    sim.order("STOP_LOSS", "SELL", stopPrice="64000")
    sim.tick("63999")
    reports = stream.events("executionReport")
    assert [(report["x"], report["w"]) for report in reports] == [
        ("NEW", False),
        ("NEW", True),
        ("TRADE", False),
    ]
    assert "W" not in reports[0]
    assert (reports[1]["W"], reports[1]["P"]) == (sim.clock.now_ms(), "64000.00000000")


def test_an_order_that_expires_says_why(sim):
    stream = sim.subscribed()
    sim.order(timeInForce="IOC")
    report = stream.events("executionReport")[-1]
    check(report, f"{WORKING} eR:t")
    assert (report["x"], report["eR"]) == ("EXPIRED", "UNFILLED_IOC_QUANTITY_EXPIRED")


def test_a_list_is_told_when_it_begins_and_when_it_is_done(sim):
    stream = sim.subscribed()
    number = sim.oco(listClientOrderId="pair")["orderListId"]
    (begun,) = stream.events("listStatus")
    check(begun, "e:t E:m s:t g:i c:t l:t L:t r:t C:t T:m O:l")
    assert (begun["g"], begun["C"], begun["l"]) == (number, "pair", "EXEC_STARTED")
    stream.take()
    sim.tick("70000")
    told = [kind for kind in kinds(stream.events()) if kind != "outboundAccountPosition"]
    assert told == ["EXPIRED", "listStatus", "TRADE"]
    assert stream.events("executionReport")[0]["eR"] == "OCO_TRIGGER"
    assert stream.events("listStatus")[0]["L"] == "ALL_DONE"


def test_cancelling_a_list_is_told_of_both_legs(sim):
    stream = sim.subscribed()
    sim.oco()
    stream.take()
    sim.delete("openOrders", symbol=PAIR)
    told = [kind for kind in kinds(stream.events()) if kind != "outboundAccountPosition"]
    assert told == ["CANCELED", "CANCELED", "listStatus"]


def test_money_paid_in_and_out_is_told(sim):
    stream = sim.subscribed()
    sim.place.exchange.deposit("alice", "USDT", units("5"))
    sim.place.exchange.deposit("alice", "USDT", -units("7"))
    first, _, second, position = stream.events()
    check(first, "e:t E:m a:t d:d T:m")
    assert (first["d"], second["d"]) == ("5.00000000", "-7.00000000")
    assert position["B"] == [{"a": "USDT", "f": "9998.00000000", "l": "0.00000000"}]


def test_nobody_hears_what_is_anothers(sim):
    stream = sim.subscribed()
    sim.place.exchange.open_account("bob")
    sim.place.exchange.deposit("bob", "USDT", units("1000"))
    sim.order("MARKET") and stream.take()
    key = make_key(sim.place, "bob", {"read", "trade"}, ())
    sim.post("order", key, symbol=PAIR, side="BUY", type="MARKET", quantity="0.01")
    assert stream.messages == []


# ----------------------------------------------------------------- listen keys


def listen(sim: Venue, method: str = "POST", key: Key | None = None, **words: str) -> Any:
    query = "&".join(f"{name}={word}" for name, word in words.items())
    headers = {"x-mbx-apikey": (key or sim.key).api_key}
    return sim.send(
        Call(method=method, path="/api/v3/userDataStream", query=query, headers=headers)
    )


def test_a_listen_key_hears_an_account_until_an_hour_after_it_was_kept(sim):
    name = listen(sim)["listenKey"]
    assert len(name) == 64 and listen(sim)["listenKey"] == name
    raw, combined = sim.open(f"/ws/{name}"), sim.open("/stream", f"streams={name}")
    sim.order("MARKET")
    assert kinds(raw.messages)[:2] == ["NEW", "outboundAccountPosition"]
    assert combined.messages[0]["stream"] == name
    raw.take()
    sim.later(3_599_999)
    assert listen(sim, "PUT", listenKey=name) == {}
    sim.later(3_599_999)
    raw.socket.beat(sim.clock.now_ms())
    assert raw.messages == []
    sim.later(1)
    raw.socket.beat(sim.clock.now_ms())
    assert raw.take() == [{"e": "listenKeyExpired", "E": sim.clock.now_ms(), "listenKey": name}]
    sim.order("MARKET")
    assert raw.messages == []


def test_a_listen_key_is_closed_by_its_owner_alone(sim):
    name = listen(sim)["listenKey"]
    sim.place.exchange.open_account("bob")
    bob = make_key(sim.place, "bob", {"read"}, ())
    for method in ("PUT", "DELETE"):
        told = listen(sim, method, bob, listenKey=name)
        assert (told["code"], told["msg"]) == (-1125, "This listenKey does not exist.")
    assert listen(sim, "DELETE", listenKey=name) == {}
    assert listen(sim, "PUT", listenKey=name)["code"] == -1125
    told = listen(sim, listenKey=name, x="1")
    assert told["code"] == -1101


# ---------------------------------------------------------- the WebSocket API


def test_a_request_by_socket_is_answered_with_limits_unless_they_are_not_wanted(sim):
    stream = sim.open_api()
    answer = stream.ask("time")
    assert answer == {
        "id": "7",
        "status": 200,
        "result": {"serverTime": sim.clock.now_ms()},
        "rateLimits": [
            {
                "rateLimitType": "REQUEST_WEIGHT",
                "interval": "MINUTE",
                "intervalNum": 1,
                "limit": 6000,
                "count": 3,  # connecting weighs two
            }
        ],
    }
    assert "rateLimits" not in stream.ask("time", returnRateLimits=False)
    params = sim.params(symbol=PAIR, returnRateLimits="false")
    assert stream.ask("openOrders.status", **params) == {"id": "7", "status": 200, "result": []}
    quiet = sim.open_api("returnRateLimits=false")
    assert "rateLimits" not in quiet.ask("ping")
    assert "rateLimits" in quiet.ask("ping", returnRateLimits=True)


def test_the_api_answers_behind_whatever_host_stands_in_the_path(sim):
    stream = sim.open("/ws/ws-api.binance.com:443/ws-api/v3")
    assert stream.ask("v3/ping")["result"] == {}


@pytest.mark.parametrize(
    ("method", "words", "shape"),
    [
        ("depth", {"symbol": PAIR, "limit": 5}, "lastUpdateId:i bids:l asks:l"),
        ("ticker.price", {"symbol": PAIR}, "symbol:t price:d"),
        ("avgPrice", {"symbol": PAIR}, "mins:i price:d closeTime:m"),
    ],
)
def test_market_data_is_the_same_by_socket(sim, method, words, shape):
    check(sim.open_api().ask(method, **words)["result"], shape)


def test_orders_are_placed_looked_up_and_cancelled_by_socket(sim):
    stream = sim.open_api()
    placed = stream.ask(
        "order.place",
        **sim.params(
            symbol=PAIR, side="BUY", type="LIMIT", timeInForce="GTC", price="60000",
            quantity="0.01", newClientOrderId="mine",
        ),
    )  # fmt: skip
    check(placed["result"], FULL)
    assert [limit["rateLimitType"] for limit in placed["rateLimits"]] == [
        "ORDERS", "ORDERS", "REQUEST_WEIGHT",
    ]  # fmt: skip
    looked = stream.ask("order.status", **sim.params(symbol=PAIR, origClientOrderId="mine"))
    check(looked["result"], QUERIED)
    opened = stream.ask("openOrders.status", **sim.params())
    assert opened["result"] == [looked["result"]]
    cancelled = stream.ask("order.cancel", **sim.params(symbol=PAIR, origClientOrderId="mine"))
    check(cancelled["result"], CANCELLED)
    check(stream.ask("account.status", **sim.params())["result"], ACCOUNT)
    assert sim.get("openOrders") == []


def test_numbers_are_signed_as_they_are_written(sim):
    stream, key = sim.open_api(), sim.key
    now = sim.clock.now_ms()
    payload = (
        f"apiKey={key.api_key}&price=60000.10&quantity=0.0100&recvWindow=5000&side=BUY"
        f"&symbol={PAIR}&timeInForce=GTC&timestamp={now}&type=LIMIT"
    )
    params = (
        f'{{"apiKey":"{key.api_key}","price":60000.10,"quantity":0.0100,"recvWindow":5000,'
        f'"side":"BUY","symbol":"{PAIR}","timeInForce":"GTC","timestamp":{now},"type":"LIMIT",'
        f'"signature":"{signature(key.secret, payload)}"}}'
    )
    stream.socket.heard(f'{{"id":null,"method":"order.place","params":{params}}}')
    answer = stream.messages[-1]
    assert (answer["id"], answer["result"]["price"]) == (None, "60000.10000000")


def test_a_refusal_by_socket_has_the_status_it_has_on_rest(sim):
    stream = sim.open_api()
    answer = stream.ask("order.status", **sim.params(symbol=PAIR, orderId="99"))
    assert (answer["status"], answer["error"]) == (
        400, {"code": -2013, "msg": "Order does not exist."},
    )  # fmt: skip
    params = sim.params(symbol=PAIR) | {"symbol": "ETHUSDT"}
    assert stream.ask("openOrders.status", **params)["error"]["code"] == -1022
    assert stream.ask("openOrders.status")["status"] == 401
    assert stream.ask("nothing")["error"]["code"] == -1020
    for _ in range(100):
        answer = stream.ask("ticker.24hr")
    assert answer["status"] == 418
    assert answer["error"]["data"]["retryAfter"] == sim.clock.now_ms() + 120_000


@pytest.mark.parametrize("text", ["{", "[]", '"x"', '{"id": 1, "params": []x}', "\x00"])
def test_what_is_no_request_is_told_so(sim, text):
    stream = sim.open_api()
    stream.socket.heard(text)
    assert stream.messages[0]["error"] == {"code": -1135, "msg": "Invalid JSON Request"}


@pytest.mark.parametrize("number", [1.5, [], True, 10**30])
def test_an_id_that_is_none_is_refused(sim, number):
    stream = sim.open_api()
    stream.socket.heard(json.dumps({"id": number, "method": "ping"}))
    assert (stream.messages[0]["id"], stream.messages[0]["status"]) == (None, 400)


def test_a_session_cannot_be_opened_with_the_keys_there_are(sim):
    stream = sim.open_api()
    answer = stream.ask("session.logon", **sim.params())
    assert answer["error"] == {"code": -4056, "msg": "HMAC_SHA256 API key is not supported."}
    assert stream.ask("userDataStream.subscribe")["status"] == 401
    told = stream.ask("session.status")["result"]
    assert (told["apiKey"], told["userDataStream"]) == (None, False)


def test_a_connection_hears_several_accounts_once_each(sim):
    sim.place.exchange.open_account("bob")
    sim.place.exchange.deposit("bob", "USDT", units("1000"))
    bob = make_key(sim.place, "bob", {"read", "trade"}, ())
    stream = sim.subscribed()
    method = "userDataStream.subscribe.signature"
    assert stream.ask(method, **sim.params())["error"]["code"] == -2035
    assert stream.ask(method, **sim.params(bob))["result"] == {"subscriptionId": 1}
    assert stream.ask("session.subscriptions")["result"] == [
        {"subscriptionId": 0},
        {"subscriptionId": 1},
    ]
    assert stream.ask("session.status")["result"]["userDataStream"] is True
    stream.take()
    sim.post("order", bob, symbol=PAIR, side="BUY", type="MARKET", quantity="0.01")
    assert {message["subscriptionId"] for message in stream.messages} == {1}
    stream.take()
    assert stream.ask("userDataStream.unsubscribe", subscriptionId=1)["result"] == {}
    assert stream.messages[0] == {
        "subscriptionId": 1,
        "event": {"e": "eventStreamTerminated", "E": sim.clock.now_ms()},
    }
    assert stream.ask("userDataStream.unsubscribe", subscriptionId=1)["error"]["code"] == -2036
    stream.take()
    sim.order("MARKET")
    assert {message["subscriptionId"] for message in stream.messages} == {0}


def test_who_loses_his_key_hears_no_more(sim):
    stream = sim.subscribed()
    sim.key.revoked = True
    stream.socket.beat(sim.clock.now_ms())
    assert stream.events("eventStreamTerminated")
    stream.take()
    sim.tick("60000")
    sim.place.exchange.deposit("alice", "USDT", units("1"))
    assert stream.messages == []


def test_a_connection_that_is_gone_is_told_nothing(sim):
    stream = sim.subscribed()
    stream.socket.closed()
    sim.order("MARKET")
    assert stream.messages == []
