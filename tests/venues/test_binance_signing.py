"""What we sign for Binance is, byte for byte, what ccxt signs for the same request."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.makers import BTC
from tests.venues.rig import armed, resting
from tradefleet.domain.credentials import Credentials, Secret
from tradefleet.domain.market import Side, Symbol, TradingRules
from tradefleet.domain.order import Order, OrderKind, Purpose
from tradefleet.domain.user import Mode
from tradefleet.venues._ccxt.amounts import to_ms
from tradefleet.venues._ccxt.calls import Call
from tradefleet.venues._ccxt.encoding import encoded
from tradefleet.venues._ccxt.library import exchange_class
from tradefleet.venues._ccxt.listings import Listing
from tradefleet.venues.binance import ACCOUNT, RESTRICTIONS, Binance

AT = datetime(2026, 11, 21, 12, 0, 0, 123000, tzinfo=UTC)
KEY = Credentials(api_key=Secret("k" * 64), api_secret=Secret("s" * 64))
BINANCE = Binance()
LISTING = Listing(
    symbol=BTC,
    id="BTCUSDT",
    stream_id="btcusdt",
    rules=TradingRules(price_tick=Decimal("0.01"), quantity_step=Decimal("0.00001")),
    kinds=frozenset({"MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT"}),
)
ONLY_LIMITS = Listing(
    symbol=BTC, id="BTCUSDT", stream_id="btcusdt", rules=LISTING.rules, kinds=frozenset({"LIMIT"})
)
ODD = Listing(
    symbol=Symbol("A1", "USDT"), id="币安人生USDT", stream_id="币安人生usdt", rules=LISTING.rules
)
BUY = armed("0.01", at=AT)
SELL = armed("12.30000000", at=AT, purpose=Purpose.EXIT, kind=OrderKind.STOP, price=Decimal(1))
STOP = resting("49123.456", at=AT)
LIST = {"symbol": "BTCUSDT", "startTime": "1", "endTime": "86400001", "limit": "1000"}


@pytest.fixture(scope="module")
def theirs() -> Any:
    kind, _ = exchange_class("binance")
    exchange = kind({"apiKey": "k" * 64, "secret": "s" * 64, "options": {"recvWindow": 5000}})
    exchange.nonce = lambda: to_ms(AT)
    return exchange


def get(path: str, **params: str) -> Call:
    return Call(method="GET", api="private", path=path, params=params)


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(BINANCE.create(BUY, LISTING), id="buy"),
        pytest.param(BINANCE.create(SELL, LISTING), id="sell"),
        pytest.param(BINANCE.create(STOP, LISTING), id="stop"),
        pytest.param(BINANCE.create(STOP, ONLY_LIMITS), id="stop with a limit"),
        pytest.param(BINANCE.create(BUY, ODD), id="a symbol that is not ASCII"),
        pytest.param(BINANCE.cancel(BUY, LISTING), id="cancel"),
        pytest.param(get("/order", symbol="BTCUSDT", origClientOrderId=BUY.id), id="look-up"),
        pytest.param(get("/openOrders"), id="all open orders"),
        pytest.param(get("/allOrders", **LIST), id="orders"),
        pytest.param(get("/myTrades", symbol="BTCUSDT", orderId="7", fromId="8"), id="trades"),
        pytest.param(ACCOUNT, id="account"),
        pytest.param(RESTRICTIONS, id="rights"),
    ],
)
def test_a_request_is_signed_as_ccxt_signs_it(theirs, call):
    url = BINANCE.addresses(Mode.LIVE).rest[call.api]
    mine = BINANCE.sign(call, url, KEY, to_ms(AT))
    other = theirs.sign(call.path[1:], [call.api], call.method, dict(call.params))
    assert mine.method == other["method"]
    assert mine.url == other["url"]
    assert dict(mine.headers) == other["headers"]
    assert mine.body == (other["body"].encode() if other["body"] else None)


@pytest.mark.parametrize("mode", [Mode.LIVE, Mode.TESTNET])
def test_the_addresses_are_those_of_ccxt(theirs, mode):
    urls = theirs.urls["api" if mode is Mode.LIVE else "test"]
    for name, url in BINANCE.addresses(mode).rest.items():
        assert url == urls.get(name, "")


def body_of(order: Order, listing: Listing = LISTING) -> dict[str, str]:
    wire = BINANCE.sign(BINANCE.create(order, listing), "https://x", KEY, to_ms(AT))
    assert wire.body is not None
    return dict(part.split("=") for part in wire.body.decode().split("&"))


def test_an_order_carries_our_id_and_the_time_that_was_written_down():
    sent = body_of(BUY)
    assert sent["newClientOrderId"] == BUY.id
    assert sent["timestamp"] == str(to_ms(AT)) == "1795262400123"
    assert sent["recvWindow"] == "5000"
    assert BUY.deadline == AT + timedelta(milliseconds=int(sent["recvWindow"]))


@pytest.mark.parametrize("kind", [OrderKind.MARKET, OrderKind.STOP, OrderKind.TARGET])
@pytest.mark.parametrize("side", list(Side))
def test_what_we_fire_ourselves_is_a_market_order_for_base(kind, side):
    sent = body_of(armed("0.01000", at=AT, kind=kind, side=side, price=Decimal(5)))
    assert (sent["type"], sent["side"], sent["quantity"]) == ("MARKET", side.upper(), "0.01")
    assert not sent.keys() & {"price", "stopPrice", "timeInForce", "quoteOrderQty"}


def test_a_resting_stop_waits_at_the_venue_for_its_price_at_a_tick():
    sent = body_of(STOP)
    assert (sent["type"], sent["side"], sent["stopPrice"]) == ("STOP_LOSS", "SELL", "49123.46")
    assert not sent.keys() & {"price", "timeInForce"}


def test_where_a_stop_needs_a_limit_it_is_far_below():
    sent = body_of(STOP, ONLY_LIMITS)
    assert sent["type"] == "STOP_LOSS_LIMIT"
    assert (sent["stopPrice"], sent["price"], sent["timeInForce"]) == (
        "49123.46",
        "44211.11",
        "GTC",
    )


@pytest.mark.parametrize(
    ("quantity", "text"),
    [("1E-7", "0.0000001"), ("100", "100"), ("1E+3", "1000"), ("0.10", "0.1"), ("20.0", "20")],
)
def test_a_quantity_is_written_without_exponent(quantity, text):
    assert body_of(armed(quantity, at=AT))["quantity"] == text


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({}, ""),
        ({"a": "1", "b": "x-_.~Z"}, "a=1&b=x-_.~Z"),
        ({"a": "1=2"}, "a=1%3D2"),
        ({"a": "1&b=2"}, "a=1%26b%3D2"),
        ({"a": "é +/"}, "a=%C3%A9%20%2B%2F"),
        ({"a": ""}, "a="),
    ],
)
def test_parameters_are_quoted_where_they_must_be(params, text):
    assert encoded(params) == text


def test_a_request_does_not_show_itself():
    shown = repr(BINANCE.sign(ACCOUNT, "https://x", KEY, to_ms(AT)))
    assert "k" * 64 not in shown
    assert "signature" not in shown
