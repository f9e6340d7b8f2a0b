"""The simulated Kraken's streams: subscriptions, books with checksums, executions, requests."""

import json
import re
from decimal import Decimal
from typing import Any
from zlib import crc32

import pytest

from tests.venuesim.kraken_asking import Client, Kraken, Stream, simulated_kraken
from venuesim.kraken.access import TOKEN_S
from venuesim.units import units

MICROSECONDS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
NANOSECONDS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z")
NEVER = "OAAAAA-AAAAA-AAAAAA"

# What the rows have, as Kraken's documents show them.
TICKER_KEYS = {
    "symbol", "bid", "bid_qty", "ask", "ask_qty", "last", "volume", "vwap", "low", "high",
    "change", "change_pct", "timestamp",
}  # fmt: skip
TRADE_KEYS = {"symbol", "side", "price", "qty", "ord_type", "trade_id", "timestamp"}
BAR_KEYS = {
    "symbol", "open", "high", "low", "close", "trades", "volume", "vwap", "interval_begin",
    "interval", "timestamp",
}  # fmt: skip
BOOK_KEYS = {"symbol", "bids", "asks", "checksum", "timestamp"}
PAIR_KEYS = {
    "symbol", "base", "quote", "status", "qty_precision", "qty_increment", "price_precision",
    "cost_precision", "marginable", "has_index", "cost_min", "tick_size", "price_increment",
    "qty_min",
}  # fmt: skip
PENDING_KEYS = {
    "order_id", "order_userref", "symbol", "order_qty", "cum_cost", "time_in_force", "exec_type",
    "side", "order_type", "limit_price_type", "limit_price", "stop_price", "order_status",
    "fee_usd_equiv", "fee_ccy_pref", "timestamp",
}  # fmt: skip
NEW_KEYS = {"timestamp", "order_status", "exec_type", "order_userref", "order_id"}
EXECUTION_KEYS = {
    "order_id", "order_userref", "exec_id", "exec_type", "trade_id", "symbol", "side",
    "last_qty", "last_price", "liquidity_ind", "cost", "order_type", "timestamp", "order_status",
    "cum_qty", "cum_cost", "avg_price", "fee_usd_equiv", "fees",
}  # fmt: skip
OVER_KEYS = NEW_KEYS | {"cum_qty", "cum_cost", "fee_usd_equiv", "avg_price"}
MOVEMENT_KEYS = {
    "ledger_id", "ref_id", "timestamp", "type", "asset", "asset_class", "category",
    "wallet_type", "wallet_id", "amount", "fee", "balance",
}  # fmt: skip


@pytest.fixture
def venue() -> Kraken:
    return simulated_kraken()


@pytest.fixture
def alice(venue: Kraken) -> Client:
    return venue.client()


def subscribed(venue: Kraken, channel: str, **params: Any) -> Stream:
    """Return a public stream after its subscription, all that was said so far forgotten."""
    stream = venue.stream()
    stream.say("subscribe", {"channel": channel, "symbol": ["BTC/USD"], **params})
    assert [m["success"] for m in stream.new() if "success" in m] == [True]
    return stream


def beat(venue: Kraken, stream: Stream) -> None:
    assert stream.socket is not None
    stream.socket.beat(venue.clock.now_ms())


# ------------------------------------------------------------- the connection


@pytest.mark.parametrize("path", ["/v2", "/ws.kraken.com/v2", "/kraken/ws-auth.kraken.com/v2/"])
def test_a_stream_opens_at_v2_whatever_host_is_named_before_it(venue: Kraken, path: str):
    (status,) = venue.stream(path).new()
    (data,) = status.pop("data")
    assert status == {"channel": "status", "type": "update"}
    assert set(data) == {"version", "system", "api_version", "connection_id"}
    assert (data["system"], data["api_version"]) == ("online", "v2")


@pytest.mark.parametrize("path", ["/", "/ws", "/v1", "/v2/more"])
def test_there_is_no_stream_anywhere_else(venue: Kraken, path: str):
    assert venue.desk.connect(path, "", print, "127.0.0.1") is None


def test_every_connection_has_a_number_of_its_own(venue: Kraken):
    numbers = {venue.stream().new()[0]["data"][0]["connection_id"] for _ in range(3)}
    assert len(numbers) == 3


def test_a_ping_is_answered_with_its_number(venue: Kraken):
    stream = venue.stream()
    stream.new()
    stream.say("ping", req_id=101)
    (pong,) = stream.new()
    assert set(pong) == {"method", "req_id", "time_in", "time_out"}
    assert (pong["method"], pong["req_id"]) == ("pong", 101)
    assert MICROSECONDS.fullmatch(pong["time_in"])
    stream.say("ping")
    assert "req_id" not in stream.new()[0]


def test_a_heartbeat_comes_each_second_in_which_nothing_else_does(venue: Kraken):
    idle, stream = venue.stream(), subscribed(venue, "ticker")
    idle.new()
    for _ in range(2):
        beat(venue, stream)
        beat(venue, idle)
    assert stream.new() == [{"channel": "heartbeat"}]
    assert idle.new() == []
    venue.tick("BTC/USD", "65000")
    beat(venue, stream)
    assert [m["channel"] for m in stream.new()] == ["ticker"]


def test_a_new_mode_of_the_venue_is_told_once(venue: Kraken):
    stream = venue.stream()
    stream.new()
    venue.place.maintenance = "maintenance"
    beat(venue, stream)
    beat(venue, stream)
    assert [row["system"] for row in stream.rows("status")] == ["maintenance"]
    venue.place.maintenance = ""
    beat(venue, stream)
    assert [row["system"] for row in stream.rows("status")] == ["online"]


@pytest.mark.parametrize("text", ["hello", "[1]", "{}", '{"method":"sing"}', '{"method":7}'])
def test_what_makes_no_sense_is_answered_with_an_error(venue: Kraken, text: str):
    stream = venue.stream()
    stream.new()
    assert stream.socket is not None
    stream.socket.heard(text)
    (answer,) = stream.new()
    assert answer["success"] is False
    assert answer["error"] in ("Malformed request", "Unsupported method")


# --------------------------------------------------------- public subscriptions


def test_each_pair_of_a_subscription_has_an_answer_of_its_own(venue: Kraken):
    stream = venue.stream()
    stream.new()
    params = {"channel": "ticker", "symbol": ["BTC/USD", "BTC/GOLD", "ETH/USD"]}
    stream.say("subscribe", params, req_id=7)
    answers = [m for m in stream.new() if "method" in m]
    assert [m["req_id"] for m in answers] == [7, 7, 7]
    assert answers[0]["result"] == {
        "channel": "ticker", "event_trigger": "trades", "snapshot": True, "symbol": "BTC/USD",
    }  # fmt: skip
    assert answers[1]["error"] == "Currency pair not supported BTC/GOLD"
    assert (answers[1]["success"], answers[1]["symbol"]) == (False, "BTC/GOLD")
    assert answers[2]["success"] is True


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({"channel": "ticker", "event_trigger": "moon"}, "Invalid event_trigger"),
        ({"channel": "book", "depth": 7}, "Subscription depth not supported"),
        ({"channel": "ohlc", "interval": 7}, "Subscription ohlc interval not supported"),
        ({"channel": "ohlc", "interval": "x"}, "EGeneral:Invalid arguments:interval"),
        ({"channel": "weather"}, "Unsupported channel: weather"),
        ({"channel": "ticker", "symbol": []}, "Symbol(s) not found"),
        ({"channel": ""}, "Malformed request"),
    ],
)
def test_what_cannot_be_subscribed_to_is_refused(venue: Kraken, params: Any, error: str):
    stream = venue.stream()
    stream.new()
    stream.say("subscribe", {"symbol": ["BTC/USD"], **params})
    assert [(m["success"], m["error"]) for m in stream.new()] == [(False, error)]


@pytest.mark.parametrize("channel", ["ticker", "trade", "book", "ohlc", "instrument"])
def test_a_subscription_is_made_once_and_ended_once(venue: Kraken, channel: str):
    stream = subscribed(venue, channel)
    params = {"channel": channel, "symbol": ["BTC/USD"]}
    stream.say("subscribe", params)
    assert stream.new()[0]["error"] == "Already subscribed"
    stream.say("unsubscribe", params, req_id=3)
    (answer,) = stream.new()
    assert (answer["method"], answer["success"], answer["req_id"]) == ("unsubscribe", True, 3)
    assert answer["result"]["channel"] == channel
    stream.say("unsubscribe", params)
    assert stream.new()[0]["error"] == "Subscription Not Found"
    venue.tick("BTC/USD", "65000")
    assert stream.new() == []


def test_a_closed_stream_is_told_nothing_more(venue: Kraken, alice: Client):
    stream = alice.stream()
    for channel in ("ticker", "trade", "book", "ohlc"):
        stream.ask("subscribe", channel=channel, symbol=["BTC/USD"])
    for channel in ("executions", "balances"):
        stream.ask("subscribe", channel=channel)
    stream.new()
    assert stream.socket is not None
    stream.socket.closed()
    alice.place(ordertype="market", price=None)
    venue.tick("BTC/USD", "65000")
    assert stream.new() == []
    feeds = venue.desk.feeds
    assert (feeds.topics, feeds.private, feeds.books, feeds.bars) == ({}, {}, {}, {})


def test_a_ticker_is_told_at_once_and_at_every_trade(venue: Kraken):
    stream = venue.stream()
    stream.say("subscribe", {"channel": "ticker", "symbol": ["BTC/USD"]})
    (first,) = stream.rows("ticker", "snapshot")
    assert set(first) == TICKER_KEYS
    assert first["last"] == 65000
    venue.tick("BTC/USD", "64000", "2")
    venue.tick("ETH/USD", "3000")
    (row,) = stream.rows("ticker")
    assert set(row) == TICKER_KEYS
    assert (row["symbol"], row["last"], row["volume"]) == ("BTC/USD", 64000, 2)
    assert row["bid"] < 64000 < row["ask"]
    venue.tick("BTC/USD", "64640", "1")
    (row,) = stream.rows("ticker")
    assert (row["change"], row["change_pct"]) == (640, 1.0)
    assert (row["low"], row["high"]) == (64000, 64640)


def test_trades_are_told_from_the_subscription_on_or_with_the_latest_before(venue: Kraken):
    venue.tick("BTC/USD", "65000")
    quiet = subscribed(venue, "trade")
    asked = venue.stream()
    asked.say("subscribe", {"channel": "trade", "symbol": ["BTC/USD"], "snapshot": True})
    (first,) = asked.rows("trade", "snapshot")
    assert set(first) == TRADE_KEYS
    venue.tick("BTC/USD", "64000", "0.25")
    venue.tick("BTC/USD", "64000", "0")  # a price without a trade
    for stream in (quiet, asked):
        (row,) = stream.rows("trade")
        assert set(row) == TRADE_KEYS
        assert (row["side"], row["price"], row["qty"]) == ("sell", 64000, 0.25)
        assert row["trade_id"] == first["trade_id"] + 1
        assert MICROSECONDS.fullmatch(row["timestamp"])


def test_bars_are_told_while_they_run(venue: Kraken):
    venue.tick("BTC/USD", "65000")
    stream = venue.stream()
    params = {"channel": "ohlc", "symbol": ["BTC/USD"], "interval": 5}
    stream.say("subscribe", params)
    answer = next(m for m in stream.new() if m.get("method") == "subscribe")
    assert answer["result"] == {
        "channel": "ohlc", "interval": 5, "snapshot": True, "symbol": "BTC/USD",
        "warnings": ["timestamp is deprecated, use interval_begin"],
    }  # fmt: skip
    venue.tick("BTC/USD", "65100", "0.3")
    (message,) = stream.new()
    assert set(message) == {"channel", "type", "timestamp", "data"}
    assert NANOSECONDS.fullmatch(message["timestamp"])
    (row,) = message["data"]
    assert set(row) == BAR_KEYS
    assert (row["open"], row["high"], row["close"], row["trades"]) == (65000, 65100, 65100, 2)
    assert (row["volume"], row["vwap"]) == (0.4, 65075)
    assert row["interval_begin"] == "2026-11-21T12:00:00.000000000Z"
    assert row["timestamp"] == "2026-11-21T12:05:00.000000Z"
    venue.later(300)
    assert stream.new() == []  # a bar is over when the next begins
    venue.tick("BTC/USD", "65200")
    (row,) = stream.rows("ohlc")
    assert (row["interval_begin"], row["trades"]) == ("2026-11-21T12:05:00.000000000Z", 1)


@pytest.mark.parametrize("minutes", [10080, 21600])
def test_long_bars_are_told_as_rest_tells_them(venue: Kraken, minutes: int):
    venue.tick("BTC/USD", "65000")
    stream = subscribed(venue, "ohlc", interval=minutes)
    venue.later(86400)
    venue.tick("BTC/USD", "66000")
    (row,) = stream.rows("ohlc")
    bar = venue.public("OHLC", pair="XBTUSD", interval=minutes)["XXBTZUSD"][-1]
    assert [row["open"], row["high"], row["low"], row["close"]] == [float(p) for p in bar[1:5]]
    assert row["trades"] == bar[7]


def test_instruments_are_told_with_assets_and_pairs(venue: Kraken):
    stream = venue.stream()
    stream.say("subscribe", {"channel": "instrument"}, req_id=79)
    answer, message = stream.new()[1:]
    assert answer["result"] == {
        "channel": "instrument", "snapshot": True,
        "warnings": ["tick_size is deprecated, use price_increment"],
    }  # fmt: skip
    assert (message["channel"], message["type"]) == ("instrument", "snapshot")
    pairs = {row["symbol"]: row for row in message["data"]["pairs"]}
    assert all(set(row) == PAIR_KEYS for row in pairs.values())
    bitcoin = pairs["BTC/USD"]
    assert (bitcoin["qty_precision"], bitcoin["price_precision"]) == (8, 1)
    assert (bitcoin["price_increment"], bitcoin["qty_min"]) == (0.1, 0.00005)
    assets = {row["id"]: row for row in message["data"]["assets"]}
    assert {"BTC", "USD", "DOGE"} <= set(assets)
    assert assets["USD"]["precision"] == 4
    venue.place.maintenance = "cancel_only"
    beat(venue, stream)
    update = next(m for m in stream.new() if m["channel"] == "instrument")
    assert {row["status"] for row in update["data"]["pairs"]} == {"cancel_only"}


# ------------------------------------------------------------------- the book


class ClientsBook:
    """A book as a client keeps it, after Kraken's guide."""

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self.sides: dict[str, dict[Decimal, Decimal]] = {"bids": {}, "asks": {}}

    def take(self, row: dict[str, Any]) -> None:
        for side, levels in self.sides.items():
            for level in row[side]:
                levels.pop(level["price"], None)
                if level["qty"]:
                    levels[level["price"]] = level["qty"]
            for price in self.ordered(side)[self.depth :]:
                del levels[price]

    def ordered(self, side: str) -> list[Decimal]:
        return sorted(self.sides[side], reverse=side == "bids")

    @property
    def checksum(self) -> int:
        digits = ""
        for side in ("asks", "bids"):
            for price in self.ordered(side)[:10]:
                for number in (price, self.sides[side][price]):
                    digits += str(number).replace(".", "").lstrip("0")
        return crc32(digits.encode())


@pytest.mark.parametrize("depth", [10, 25])
def test_a_client_who_keeps_the_book_has_the_checksum_of_every_update(venue: Kraken, depth: int):
    stream, book = venue.stream(), ClientsBook(depth)
    stream.say("subscribe", {"channel": "book", "symbol": ["BTC/USD"], "depth": depth})
    prices = ["64999.9", "65001.3", "64950", "65400", "65400", "64000.1", "65000"]
    kinds = []
    for price in [None, *prices]:
        if price is not None:
            venue.tick("BTC/USD", price)
        for text in stream.texts:
            message = json.loads(text, parse_float=Decimal)
            if message.get("channel") == "book":
                (row,) = message["data"]
                assert set(row) == BOOK_KEYS
                book.take(row)
                assert row["checksum"] == book.checksum
                kinds.append(message["type"])
        stream.new()
        assert len(book.sides["bids"]) == len(book.sides["asks"]) == depth
        assert book.ordered("bids")[0] < book.ordered("asks")[0]
    assert kinds == ["snapshot"] + ["update"] * 6  # a price that did not move changes nothing


def test_who_comes_later_has_the_same_book(venue: Kraken):
    early = subscribed(venue, "book")
    venue.tick("BTC/USD", "64000")
    early.new()
    late = venue.stream()
    late.say("subscribe", {"channel": "book", "symbol": ["BTC/USD"]})
    (whole,) = late.rows("book", "snapshot")
    venue.tick("BTC/USD", "64500")
    (one,), (other,) = early.rows("book"), late.rows("book")
    assert one == other
    assert one["checksum"] != whole["checksum"]


# ------------------------------------------------------------ private channels


def test_a_private_channel_needs_a_token_and_a_right(venue: Kraken, alice: Client):
    reader = venue.client("reader", permissions=("create-ws-token",))
    stream = reader.stream()
    stream.new()
    stream.ask("subscribe", channel="executions")
    assert stream.new()[0]["error"] == "EAccount:Invalid permissions"
    stream.token = "invented"
    stream.ask("subscribe", channel="balances")
    assert stream.new()[0]["error"] == "ESession:Invalid session"
    stream.say("subscribe", {"channel": "balances"})
    assert stream.new()[0]["error"] == "ESession:Invalid session"
    nobody = venue.client("nobody", permissions=("query-funds",))
    assert nobody.refusal("GetWebSocketsToken") == "EGeneral:Permission denied"


def test_the_public_address_has_no_private_channels(venue: Kraken, alice: Client):
    stream = venue.stream("/ws.kraken.com/v2")
    stream.new()
    stream.token = alice.ask("GetWebSocketsToken")["token"]
    stream.ask("subscribe", channel="executions")
    stream.ask("cancel_all")
    for answer in stream.new():
        assert answer["error"].startswith("Private data and trading are unavailable")


def test_a_token_opens_streams_for_a_while_and_then_only_its_own(venue: Kraken, alice: Client):
    told = alice.ask("GetWebSocketsToken")
    assert (len(told["token"]), told["expires"]) == (43, TOKEN_S)
    used, late = alice.stream(), venue.stream("/v2")
    late.token = used.token
    used.ask("subscribe", channel="balances")
    venue.later(TOKEN_S)
    used.new(), late.new()
    used.ask("subscribe", channel="executions")
    assert used.new()[0]["success"] is True
    late.ask("subscribe", channel="executions")
    assert late.new()[0]["error"] == "ESession:Invalid session"


def test_a_revoked_key_is_told_nothing_more(venue: Kraken, alice: Client):
    stream, bob = alice.stream(), venue.client("bob").stream()
    for one in (stream, bob):
        one.ask("subscribe", channel="balances")
        one.new()
    alice.key.revoked = True
    venue.exchange.deposit("alice", "USD", units("1"))
    venue.exchange.deposit("bob", "USD", units("1"))
    assert stream.new() == []
    assert len(bob.rows("balances")) == 1
    stream.ask("cancel_all")
    assert stream.new()[0]["error"] == "ESession:Invalid session"


def test_executions_begin_with_open_orders_and_on_request_with_fills(venue: Kraken, alice: Client):
    alice.place(ordertype="market", price=None, volume="0.01")
    waiting = alice.place(cl_ord_id="mine")
    stop = alice.place(type="sell", ordertype="stop-loss", volume="0.1", trigger="index")
    stream = alice.stream()
    stream.new()
    stream.say("subscribe", {"channel": "executions", "token": stream.token, "snap_trades": True})
    answer, orders, fills = stream.new()
    assert answer["result"] == {
        "channel": "executions", "maxratecount": 125, "snap_orders": True, "snap_trades": True,
    }  # fmt: skip
    assert (orders["type"], orders["sequence"]) == ("snapshot", 1)
    assert [(row["order_id"], row["exec_type"]) for row in orders["data"]] == [
        (waiting, "new"), (stop, "pending_new"),
    ]  # fmt: skip
    assert orders["data"][0]["cl_ord_id"] == "mine"
    assert orders["data"][1]["triggers"] == {
        "reference": "index", "price": 60000.0, "price_type": "static", "status": "untriggered",
    }  # fmt: skip
    assert (fills["type"], fills["sequence"]) == ("snapshot", 2)
    assert [row["exec_type"] for row in fills["data"]] == ["trade"]
    plain = alice.stream()
    plain.new()
    plain.ask("subscribe", channel="executions", snap_orders=False)
    assert [m["method"] for m in plain.new()] == ["subscribe"]


def test_the_life_of_an_order_is_told_step_by_step(venue: Kraken, alice: Client):
    stream = alice.stream()
    stream.ask("subscribe", channel="executions")
    stream.new()
    txid = alice.place(volume="0.1", cl_ord_id="mine")
    venue.tick("BTC/USD", "59000")
    messages = stream.new()
    assert [m["sequence"] for m in messages] == [2, 3, 4, 5]
    pending, new, traded, filled = (m["data"][0] for m in messages)
    assert pending["exec_type"] == pending["order_status"] == "pending_new"
    assert set(pending) >= PENDING_KEYS
    assert set(new) == NEW_KEYS | {"cl_ord_id"}
    assert new["exec_type"] == new["order_status"] == "new"
    assert set(traded) == EXECUTION_KEYS | {"cl_ord_id"}
    assert (traded["exec_type"], traded["order_status"]) == ("trade", "partially_filled")
    assert (traded["last_qty"], traded["last_price"], traded["cost"]) == (0.1, 60000, 6000)
    assert traded["liquidity_ind"] == "m"
    assert traded["fees"] == [{"asset": "USD", "qty": 15.0}]
    assert set(filled) == OVER_KEYS | {"cl_ord_id"}
    assert filled["exec_type"] == filled["order_status"] == "filled"
    assert (filled["cum_qty"], filled["avg_price"], filled["fee_usd_equiv"]) == (0.1, 60000, 15)
    assert {m["data"][0]["order_id"] for m in messages} == {txid}
    assert {m["data"][0]["cl_ord_id"] for m in messages} == {"mine"}
    trade_ids = alice.ask("TradesHistory")["trades"]
    assert list(trade_ids) == [traded["exec_id"]]
    assert trade_ids[traded["exec_id"]]["trade_id"] == traded["trade_id"]


def test_partial_fills_add_up(venue: Kraken):
    venue.exchange.fill_parts = 2
    alice = venue.client()
    stream = alice.stream()
    stream.ask("subscribe", channel="executions")
    stream.new()
    alice.place(ordertype="market", price=None, volume="0.3")
    rows = [row for row in stream.rows("executions") if row["exec_type"] == "trade"]
    assert [row["cum_qty"] for row in rows] == [0.15, 0.3]
    assert rows[1]["cum_cost"] == pytest.approx(rows[0]["cost"] + rows[1]["cost"])
    assert {row["liquidity_ind"] for row in rows} == {"t"}


def test_cancels_expiries_triggers_and_amendments_are_told(venue: Kraken, alice: Client):
    stream = alice.stream()
    stream.ask("subscribe", channel="executions")
    stream.new()
    txid = alice.place()
    alice.ask("AmendOrder", txid=txid, limit_price="61000")
    alice.ask("CancelOrder", txid=txid)
    alice.place(timeinforce="IOC")
    rows = stream.rows("executions")
    assert [row["exec_type"] for row in rows] == [
        "pending_new", "new", "amended", "canceled", "pending_new", "new", "expired",
    ]  # fmt: skip
    assert (rows[2]["limit_price"], rows[2]["amended"]) == (61000, True)
    assert rows[3]["reason"] == rows[3]["cancel_reason"] == "User requested"
    assert set(rows[3]) == OVER_KEYS | {"reason", "cancel_reason"}
    assert rows[6]["order_status"] == "expired"
    alice.place(type="sell", ordertype="stop-loss-limit", price2="59000", volume="0.1")
    assert [row["exec_type"] for row in stream.rows("executions")] == ["pending_new"]
    venue.tick("BTC/USD", "58000")
    (live,) = stream.rows("executions")
    assert (live["exec_type"], live["order_status"]) == ("new", "new")
    assert live["triggers"]["status"] == "triggered"
    assert live["triggers"]["last_price"] == 58000


def test_balances_begin_with_what_there_is_and_follow_the_ledger(venue: Kraken, alice: Client):
    stream = alice.stream()
    stream.new()
    stream.ask("subscribe", channel="balances")
    answer, first = stream.new()
    assert answer["result"] == {"channel": "balances", "snapshot": True}
    assert (first["type"], first["sequence"]) == ("snapshot", 1)
    assert first["data"][0] == {
        "asset": "BTC", "asset_class": "currency", "balance": 2.0,
        "wallets": [{"type": "spot", "id": "main", "balance": 2.0}],
    }  # fmt: skip
    alice.place(type="sell", ordertype="market", price=None, volume="0.5")
    venue.exchange.deposit("alice", "BTC", units("1"))
    messages = stream.new()
    assert [m["sequence"] for m in messages] == [2, 3, 4]
    rows = [m["data"][0] for m in messages]
    assert all(set(row) == MOVEMENT_KEYS for row in rows)
    assert [(row["asset"], row["type"]) for row in rows] == [
        ("BTC", "trade"), ("USD", "trade"), ("BTC", "deposit"),
    ]  # fmt: skip
    assert (rows[0]["amount"], rows[0]["balance"]) == (-0.5, 1.5)
    assert rows[1]["balance"] == pytest.approx(100000 + rows[1]["amount"] - rows[1]["fee"])
    assert rows[0]["ref_id"] == rows[1]["ref_id"]
    entry = alice.ask("QueryLedgers", id=rows[1]["ledger_id"])[rows[1]["ledger_id"]]
    assert float(entry["balance"]) == rows[1]["balance"]


def test_nobody_hears_of_anothers_orders_and_money(venue: Kraken, alice: Client):
    stream = venue.client("bob").stream()
    for channel in ("executions", "balances"):
        stream.ask("subscribe", channel=channel)
    stream.new()
    alice.place(ordertype="market", price=None)
    assert stream.new() == []


def test_a_private_subscription_is_made_once_and_ended_once(venue: Kraken, alice: Client):
    stream = alice.stream()
    stream.ask("subscribe", channel="executions")
    stream.new()
    stream.ask("subscribe", channel="executions")
    assert stream.new()[0]["error"] == "Already subscribed"
    stream.ask("unsubscribe", channel="executions")
    assert stream.new()[0]["result"] == {"channel": "executions"}
    alice.place()
    stream.ask("unsubscribe", channel="executions")
    assert [m["error"] for m in stream.new()] == ["Subscription Not Found"]


# ------------------------------------------------------------ orders on a stream


def test_an_order_can_be_placed_amended_and_cancelled_on_a_stream(venue: Kraken, alice: Client):
    stream = alice.stream()
    stream.new()
    order = {
        "order_type": "limit", "side": "buy", "order_qty": 0.5, "symbol": "BTC/USD",
        "limit_price": 60000.5, "token": stream.token, "cl_ord_id": "mine",
        "time_in_force": "gtc", "post_only": True, "fee_preference": "quote",
    }  # fmt: skip
    stream.say("add_order", order, req_id=5)
    (answer,) = stream.new()
    assert (answer["method"], answer["req_id"], answer["success"]) == ("add_order", 5, True)
    txid = answer["result"]["order_id"]
    assert answer["result"] == {"order_id": txid, "cl_ord_id": "mine"}
    row = alice.row(txid)
    assert (row["descr"]["price"], row["vol"], row["oflags"]) == (
        "60000.5", "0.50000000", "fciq,post",
    )  # fmt: skip
    stream.ask("amend_order", order_id=txid, limit_price=59000, order_qty=0.4)
    amended = stream.new()[0]["result"]
    assert (set(amended), amended["order_id"]) == ({"amend_id", "order_id"}, txid)
    assert alice.row(txid)["vol"] == "0.40000000"
    second = alice.place(userref="7")
    stream.ask("cancel_order", order_id=[txid, NEVER], order_userref=[7])
    answers = stream.new()
    assert [a["success"] for a in answers] == [True, False, True]
    assert answers[0]["result"] == {"order_id": txid, "cl_ord_id": "mine"}
    assert answers[1]["error"] == "EOrder:Unknown order"
    assert answers[2]["result"] == {"order_id": second}
    alice.place(cl_ord_id="other")
    stream.ask("cancel_order", cl_ord_id=["other"])
    assert stream.new()[0]["result"]["cl_ord_id"] == "other"
    alice.place()
    stream.ask("cancel_all")
    assert stream.new()[0]["result"] == {"count": 1}


def test_stops_and_orders_in_quote_can_be_placed_on_a_stream(alice: Client):
    stream = alice.stream()
    stream.new()
    stream.ask(
        "add_order", order_type="stop-loss-limit", side="sell", order_qty=0.1, symbol="BTC/USD",
        triggers={"price": 60000, "reference": "index"}, limit_price=59900, order_userref=9,
    )  # fmt: skip
    told = stream.new()[0]["result"]
    assert told["order_userref"] == 9
    row = alice.row(told["order_id"])
    assert (row["descr"]["price"], row["descr"]["price2"]) == ("60000.0", "59900.0")
    assert (row["trigger"], row["userref"]) == ("index", 9)
    stream.ask(
        "add_order", order_type="market", side="buy", cash_order_qty=650, symbol="BTC/USD",
        fee_preference="base",
    )  # fmt: skip
    told = stream.new()[0]["result"]
    assert alice.row(told["order_id"])["oflags"] == "fcib,viqc"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"order_qty": 1000}, "EOrder:Insufficient funds"),
        ({"symbol": "BTC/GOLD"}, "EQuery:Unknown asset pair"),
        ({"price": 5}, "Unsupported field: 'price' for the given msg type: add order"),
        ({"conditional": {"order_type": "limit"}}, "EGeneral:Invalid arguments:conditional"),
        ({"margin": True}, "EGeneral:Invalid arguments:margin"),
        ({"limit_price_type": "pct"}, "EGeneral:Invalid arguments:limit_price_type"),
        ({"fee_preference": "gold"}, "EGeneral:Invalid arguments:fee_preference"),
        ({"order_type": "stop-loss"}, "EGeneral:Invalid arguments:triggers"),
        ({"deadline": "2026-11-21T11:59:59Z"}, "EService:Deadline elapsed"),
        ({"deadline": "2026-11-21T12:00:00.400Z"}, "EGeneral:Invalid arguments:deadline"),
        ({"post_only": True, "limit_price": 70000}, "EOrder:Post only order"),
    ],
)
def test_an_order_that_cannot_be_is_refused_on_a_stream(alice: Client, changes: Any, error: str):
    stream = alice.stream()
    stream.new()
    order = {
        "order_type": "limit", "side": "buy", "order_qty": 0.5, "symbol": "BTC/USD",
        "limit_price": 60000, **changes,
    }  # fmt: skip
    stream.ask("add_order", **order)
    (answer,) = stream.new()
    assert (answer["method"], answer["success"], answer["error"]) == ("add_order", False, error)
    assert alice.ask("OpenOrders") == {"open": {}}


def test_an_order_only_checked_on_a_stream_has_no_id(alice: Client):
    stream = alice.stream()
    stream.new()
    stream.ask(
        "add_order", order_type="limit", side="buy", order_qty=0.5, symbol="BTC/USD",
        limit_price=60000, validate=True, deadline="2026-11-21T12:00:01Z",
    )  # fmt: skip
    assert stream.new()[0]["result"] == {"order_id": ""}
    assert alice.ask("OpenOrders") == {"open": {}}


def test_a_key_that_only_reads_changes_nothing_on_a_stream(venue: Kraken):
    reader = venue.client("reader", permissions=("read",))
    stream = reader.stream()
    stream.new()
    for method in ("add_order", "amend_order", "cancel_order", "cancel_all"):
        stream.ask(method)
        assert stream.new()[0]["error"] == "EAccount:Invalid permissions"
    venue.place.maintenance = "maintenance"
    stream.ask("cancel_all")
    assert stream.new()[0]["error"] == "EService:Unavailable"


def test_the_mode_of_one_account_is_that_of_its_requests_alone(venue: Kraken, alice: Client):
    mine, bobs = alice.stream(), venue.client("bob").stream()
    venue.place.maintenance_of["alice"] = "maintenance"
    for stream in (mine, bobs):
        stream.new()
        stream.ask("cancel_all")
    assert mine.new()[0]["error"] == "EService:Unavailable"
    assert bobs.new()[0]["result"] == {"count": 0}
    assert venue.place.maintenance == ""


def test_the_alarm_can_be_set_on_a_stream_and_rings_at_the_beat(venue: Kraken, alice: Client):
    stream = alice.stream()
    stream.new()
    alice.place()
    stream.ask("cancel_all_orders_after", timeout=60)
    assert stream.new()[0]["result"]["triggerTime"] == "2026-11-21T12:01:00Z"
    venue.later(60)
    beat(venue, stream)
    assert alice.ask("OpenOrders") == {"open": {}}
