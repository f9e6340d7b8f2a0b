"""The simulated Bybit's streams: who hears what, in which order, and what they are answered."""

from typing import Any

import pytest

from tests.venuesim.bybit_asking import Listening, Venue, venue
from venuesim.bybit import make_key

SPOT = "/v5/public/spot"
PRIVATE = "/v5/private"
TRADE = "/v5/trade"


@pytest.fixture
def bybit() -> Venue:
    return venue()


@pytest.fixture
def public(bybit: Venue) -> Listening:
    return bybit.stream(SPOT)


# ------------------------------------------------------------------ public


def test_subscribing_is_answered_with_the_number_of_the_request(public):
    answer = public.say(op="subscribe", req_id="7", args=["publicTrade.BTCUSDT"])
    conn_id = answer.pop("conn_id")
    assert answer == {"success": True, "ret_msg": "subscribe", "req_id": "7", "op": "subscribe"}
    assert len(conn_id.partition("-")[0]) == 20
    plain = public.say(op="ping")
    assert plain == {"success": True, "ret_msg": "pong", "conn_id": conn_id, "op": "ping"}
    assert public.say(op="ping", req_id=8)["req_id"] == "8"


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (["tickers.NOPEUSDT"], "Invalid symbol :[tickers.NOPEUSDT]"),
        (["tickers.btcusdt"], "Invalid symbol :[tickers.btcusdt]"),
        (["orderbook.30.BTCUSDT"], "error:handler not found,topic:orderbook.30.BTCUSDT"),
        (["kline.7.BTCUSDT"], "error:handler not found,topic:kline.7.BTCUSDT"),
        (["order"], "error:handler not found,topic:order"),
        ([f"tickers.{n}" for n in range(11)], "args size >10"),
    ],
)
def test_a_topic_that_is_not_there_is_refused_with_all_it_came_with(bybit, public, args, text):
    answer = public.say(op="subscribe", args=["publicTrade.ETHUSDT", *args][-11:])
    assert (answer["success"], answer["ret_msg"]) == (False, text)
    bybit.tick("3200", "ETH/USDT")
    assert public.of("publicTrade.ETHUSDT") == []


def test_a_topic_is_subscribed_once_until_it_is_let_go(bybit, public):
    topic = "publicTrade.BTCUSDT"
    assert public.say(op="subscribe", args=[topic])["success"] is True
    again = public.say(op="subscribe", args=[topic])
    assert again["ret_msg"] == f"error:already subscribed,topic:{topic}"
    bybit.tick("65001")
    assert public.say(op="unsubscribe", req_id="2", args=[topic])["success"] is True
    bybit.tick("65002")
    assert [message["data"][0]["p"] for message in public.of(topic)] == ["65001"]
    assert public.say(op="subscribe", args=[topic])["success"] is True


def test_what_is_no_operation_or_no_json_is_answered_and_the_stream_stays(public):
    assert public.say(op="nope")["ret_msg"] == "error:invalid op"
    public.socket.heard("hello")
    assert public.messages[-1]["ret_msg"].startswith("Failed to decode incoming data")
    assert public.say(op="ping")["ret_msg"] == "pong"


def test_a_closed_stream_hears_nothing_more(bybit, public):
    public.say(op="subscribe", args=["publicTrade.BTCUSDT"])
    public.socket.closed()
    before = len(public.messages)
    bybit.tick("65001")
    assert len(public.messages) == before
    assert bybit.desk.feeds.listeners == {}


def test_a_ticker_comes_at_once_and_with_every_trade_as_a_snapshot(bybit, public):
    public.say(op="subscribe", args=["tickers.BTCUSDT"])
    bybit.tick("65500")
    first, second = public.of("tickers.BTCUSDT")
    assert (first["type"], first["data"]["lastPrice"]) == ("snapshot", "65000")
    assert (second["type"], second["data"]["lastPrice"]) == ("snapshot", "65500")
    assert second["cs"] > first["cs"]


def applied(book: dict[str, dict[str, str]], data: dict[str, Any]) -> None:
    for side in ("b", "a"):
        for price, size in data[side]:
            if size == "0":
                del book[side][price]
            else:
                book[side][price] = size


def test_snapshot_and_deltas_of_a_book_add_up_to_the_book_of_the_look_up(bybit, public):
    public.say(op="subscribe", args=["orderbook.50.BTCUSDT"])
    for price in ("65000.07", "65000.02", "65000.31", "64000", "64000"):
        bybit.tick(price)
    messages = public.of("orderbook.50.BTCUSDT")
    assert [m["type"] for m in messages] == ["snapshot", "delta", "delta", "delta", "delta"]
    assert [m["data"]["u"] - messages[0]["data"]["u"] for m in messages] == [0, 1, 2, 3, 4]
    book: dict[str, dict[str, str]] = {"b": {}, "a": {}}
    for message in messages:
        applied(book, message["data"])
    asked = {"category": "spot", "symbol": "BTCUSDT", "limit": 50}
    whole = bybit.public("market/orderbook", **asked)["result"]
    assert book == {side: dict(whole[side]) for side in ("b", "a")}
    assert whole["u"] == messages[-1]["data"]["u"]
    assert len(messages[1]["data"]["b"]) < 50  # only what changed


def test_the_best_bid_and_ask_come_as_snapshots_and_again_when_it_is_quiet(bybit, public):
    topic = "orderbook.1.BTCUSDT"
    public.say(op="subscribe", args=[topic])
    bybit.tick("65001")
    assert [m["type"] for m in public.of(topic)] == ["snapshot", "snapshot"]
    for _ in range(3):
        bybit.later(1000)
        public.socket.beat(bybit.clock.now_ms())
    repeated = public.of(topic)
    assert len(repeated) == 3
    assert repeated[-1]["data"]["u"] == repeated[-2]["data"]["u"]


def test_a_candle_is_told_while_it_grows_and_confirmed_when_it_is_over(bybit, public):
    topic = "kline.1.BTCUSDT"
    public.say(op="subscribe", args=[topic])
    bybit.tick("65000")
    bybit.later(30_000)
    bybit.tick("65100")
    bybit.later(30_000)
    bybit.tick("65050")
    rows = [message["data"][0] for message in public.of(topic)]
    assert [(row["close"], row["confirm"]) for row in rows] == [
        ("65000", False),
        ("65100", False),
        ("65100", True),
        ("65050", False),
    ]
    assert rows[0]["end"] == rows[0]["start"] + 59_999
    assert (rows[2]["volume"], rows[2]["turnover"]) == ("0.2", "13010")
    late = bybit.stream(SPOT)
    late.say(op="subscribe", args=[topic, "kline.W.BTCUSDT", "kline.M.BTCUSDT"])
    assert late.of(topic)[0]["data"][0]["close"] == "65050"
    bybit.tick("65060")
    week, month = (late.of(f"kline.{word}.BTCUSDT")[-1]["data"][0] for word in "WM")
    assert (week["close"], month["close"], week["volume"]) == ("65060", "65060", "0.4")
    assert month["end"] == 1796083199999  # 2026-11-30 23:59:59.999


def test_of_a_stalled_pair_no_stream_says_anything_and_look_ups_do(bybit, public):
    topics = [f"{kind}.BTCUSDT" for kind in ("tickers", "publicTrade", "kline.1", "orderbook.1")]
    public.say(op="subscribe", args=topics)
    bybit.place.exchange.stalled.add("BTC/USDT")
    before = len(public.messages)
    bybit.tick("65500")
    bybit.later(10_000)
    public.socket.beat(bybit.clock.now_ms())
    assert len(public.messages) == before
    asked = {"category": "spot", "symbol": "BTCUSDT"}
    ticker = bybit.public("market/tickers", **asked)["result"]["list"][0]
    trades = bybit.public("market/recent-trade", **asked)["result"]["list"]
    assert ticker["lastPrice"] == trades[0]["price"] == "65500"
    bybit.place.exchange.stalled.clear()
    bybit.tick("65600")
    assert [message["topic"] for message in public.messages[before:]] == [
        "kline.1.BTCUSDT", "publicTrade.BTCUSDT", "tickers.BTCUSDT", "orderbook.1.BTCUSDT",
    ]  # fmt: skip


def test_a_message_to_many_is_the_same_for_each(bybit):
    listeners = [bybit.stream(SPOT) for _ in range(3)]
    for one in listeners:
        one.say(op="subscribe", args=["publicTrade.BTCUSDT", "tickers.BTCUSDT"])
    bybit.tick("65001")
    heard = [one.messages[2:] for one in listeners]
    assert heard[0] == heard[1] == heard[2]
    assert len(heard[0]) == 2


def test_streams_of_other_markets_open_and_have_nothing(bybit):
    other = bybit.stream("/v5/public/linear")
    answer = other.say(op="subscribe", args=["tickers.BTCUSDT"])
    assert (answer["success"], answer["ret_msg"]) == (False, "Invalid symbol :[tickers.BTCUSDT]")


def test_maintenance_is_told_on_the_status_stream(bybit):
    bybit.place.maintenance = "ongoing"
    status = bybit.stream("/v5/public/misc/status")
    status.say(op="subscribe", args=["system.status"])
    assert status.of("system.status")[0]["data"][0]["state"] == "ongoing"


# ------------------------------------------------------------------ private


def test_signing_in_opens_the_private_topics(bybit):
    private = bybit.stream(PRIVATE)
    before = private.say(op="subscribe", args=["order"])
    assert (before["success"], before["ret_msg"]) == (False, "Request not authorized")
    answer = private.say(op="auth", args=bybit.auth())
    assert (answer["success"], answer["ret_msg"], answer["op"]) == (True, "", "auth")
    assert "req_id" not in answer
    answer = private.say(op="subscribe", req_id="3", args=["order", "execution.spot", "wallet"])
    assert (answer["success"], answer["ret_msg"], answer["req_id"]) == (True, "", "3")
    pong = private.say(op="ping", req_id="4")
    assert (pong["op"], pong["args"]) == ("pong", [str(bybit.clock.now_ms())])
    unknown = private.say(op="subscribe", args=["orders"])
    assert unknown["ret_msg"] == "error:handler not found,topic:orders"


def test_a_bad_sign_in_says_why_and_opens_nothing(bybit):
    private = bybit.stream(PRIVATE)
    key, expires, sign = bybit.auth()

    def refused(args: list[Any]) -> str:
        answer = private.say(op="auth", args=args)
        assert (answer["success"], answer["op"]) == (False, "auth")
        return str(answer["ret_msg"])

    assert refused([key, expires, "0" * 64]) == "Invalid sign"
    assert refused([key, bybit.clock.now_ms(), sign]) == "Params Error"
    assert refused([key, "soon", sign]) == "Params Error"
    assert refused([key]) == "Params Error"
    assert refused(["unknown", expires, sign]) == "API key is invalid."
    bybit.key.ips = ("10.0.0.1",)
    assert refused([key, expires, sign]).startswith("Unmatched IP")
    assert private.say(op="subscribe", args=["order"])["success"] is False


def test_an_orders_life_is_told_execution_first_then_order_then_wallet(bybit):
    heard = bybit.signed_in("order", "execution", "execution.fast", "wallet")
    order_id = bybit.placed(orderLinkId="mine")
    bybit.tick("63000")
    topics = [message["topic"] for message in heard.messages[2:]]
    assert topics == ["wallet", "order", "execution", "execution.fast", "order", "wallet"]
    orders = [message["data"][0] for message in heard.of("order")]
    assert [row["orderStatus"] for row in orders] == ["New", "Filled"]
    assert {row["orderId"] for row in orders} == {order_id}
    (trade,) = [message["data"][0] for message in heard.of("execution")]
    assert (trade["execPrice"], trade["isMaker"], trade["leavesQty"]) == (
        "64000.00",
        True,
        "0.00000",
    )
    fast = heard.of("execution.fast")[0]["data"][0]
    assert (fast["execId"], fast["orderLinkId"]) == (trade["execId"], "")
    locked, after = (message["data"][0]["coin"] for message in heard.of("wallet"))
    assert {coin["coin"]: coin["locked"] for coin in locked} == {"BTC": "0", "USDT": "640"}
    assert {coin["coin"]: coin["walletBalance"] for coin in after} == {
        "BTC": "1.00999",
        "USDT": "9360",
    }


def test_a_conditional_order_is_told_untriggered_new_and_filled(bybit):
    heard = bybit.signed_in("order")
    bybit.placed(side="Sell", orderFilter="tpslOrder", triggerPrice="60000", price="60500")
    bybit.tick("60000")
    bybit.tick("60500")
    statuses = [message["data"][0]["orderStatus"] for message in heard.of("order")]
    assert statuses == ["Untriggered", "New", "Filled"]


def test_a_topic_of_a_category_says_its_own_name(bybit):
    heard = bybit.signed_in("order.spot", "execution.fast.spot")
    bybit.placed(price="65000")
    topics = {message["topic"] for message in heard.messages[2:]}
    assert topics == {"order.spot", "execution.fast.spot"}


def test_money_paid_in_is_told_and_nobody_hears_of_anothers(bybit):
    heard = bybit.signed_in("wallet", "order")
    make_key(bybit.place, "bob", {"read", "trade"})
    bybit.place.exchange.deposit("bob", "USDT", 10**8)
    assert heard.messages[2:] == []
    bybit.place.exchange.deposit("alice", "ETH", 10**8)
    (message,) = heard.of("wallet")
    assert [coin["coin"] for coin in message["data"][0]["coin"]] == ["BTC", "ETH", "USDT"]


def test_the_stream_of_a_revoked_key_falls_silent(bybit):
    heard = bybit.signed_in("order", "wallet")
    order_id = bybit.placed()
    before = len(heard.messages)
    bybit.key.revoked = True
    bybit.tick("64000")
    assert bybit.place.exchange.accounts["alice"].trades
    bybit.place.exchange.deposit("alice", "ETH", 10**8)
    assert [m["data"][0]["orderId"] for m in heard.of("order")] == [order_id]
    assert len(heard.messages) == before
    assert heard.say(op="subscribe", args=["execution"])["success"] is False


def test_a_closed_private_stream_is_forgotten(bybit):
    heard = bybit.signed_in("order")
    heard.socket.closed()
    bybit.placed()
    assert heard.of("order") == []
    assert not bybit.desk.notices.sockets


# ------------------------------------------------------------------ order entry


def entry(bybit: Venue) -> Listening:
    return bybit.signed_in(path=TRADE)


def header(bybit: Venue, **words: Any) -> dict[str, Any]:
    return {"X-BAPI-TIMESTAMP": str(bybit.clock.now_ms())} | words


LIMIT = {
    "category": "spot",
    "symbol": "BTCUSDT",
    "side": "Buy",
    "orderType": "Limit",
    "qty": "0.01",
    "price": "64000",
}


def test_orders_are_created_amended_and_cancelled_over_the_order_entry(bybit):
    bybit.place.limits = True
    trading = entry(bybit)
    answer = trading.say(reqId="1", op="order.create", header=header(bybit), args=[LIMIT])
    assert list(answer) == [
        "reqId", "retCode", "retMsg", "op", "data", "retExtInfo", "header", "connId",
    ]  # fmt: skip
    assert (answer["retCode"], answer["retMsg"]) == (0, "OK")
    assert (answer["header"]["X-Bapi-Limit"], answer["header"]["X-Bapi-Limit-Status"]) == (
        "20",
        "19",
    )
    order_id = answer["data"]["orderId"]
    named = {"category": "spot", "symbol": "BTCUSDT", "orderId": order_id}
    amended = trading.say(op="order.amend", header=header(bybit), args=[named | {"qty": "0.02"}])
    assert (amended["retCode"], "reqId" in amended) == (0, False)
    assert bybit.shown(order_id)["qty"] == "0.02000"
    assert trading.say(op="order.cancel", header=header(bybit), args=[named])["retCode"] == 0
    gone = trading.say(op="order.cancel", header=header(bybit), args=[named])
    assert (gone["retCode"], gone["retMsg"], gone["data"]) == (170213, "Order does not exist.", {})


def test_the_order_entry_refuses_as_http_does_and_in_words_of_its_own(bybit):
    trading = bybit.stream(TRADE)

    def code(**words: Any) -> int:
        return int(trading.say(header=header(bybit), **words)["retCode"])

    assert code(op="order.create", args=[LIMIT]) == 10003
    assert trading.say(op="auth", args=["a", "b"])["retCode"] == 10001
    key, expires, _ = bybit.auth()
    assert trading.say(op="auth", args=[key, expires, "0"])["retCode"] == 10004
    assert trading.say(op="auth", args=bybit.auth())["retCode"] == 0
    assert trading.say(op="auth", args=bybit.auth())["retCode"] == 20001
    assert code(op="order.nothing", args=[]) == 10404
    assert code(op="order.create", reqId="1", args=[LIMIT | {"qty": "9"}]) == 170131
    assert code(op="order.create", reqId="1", args=[LIMIT]) == 20006
    assert code(op="order.create", args=[]) == 10001
    late = header(bybit, **{"X-BAPI-TIMESTAMP": "1"})
    assert trading.say(op="order.create", header=late, args=[LIMIT])["retCode"] == 10002
    assert trading.say(op="ping")["op"] == "pong"
    bybit.place.maintenance_of["alice"] = "ongoing"
    assert code(op="order.create", args=[LIMIT]) == 10016
    assert bybit.place.maintenance == ""
    bybit.key.permissions.discard("trade")
    assert code(op="order.create", args=[LIMIT]) == 10005
