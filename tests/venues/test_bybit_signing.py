"""What we sign for Bybit is, byte for byte, what ccxt signs for the same request."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.makers import BTC, RULES
from tests.venues.rig import armed, resting
from tradefleet.domain.credentials import Credentials, Secret
from tradefleet.domain.errors import BrokenInvariant
from tradefleet.domain.market import Side
from tradefleet.domain.order import Order, OrderKind
from tradefleet.domain.user import Mode
from tradefleet.venues._ccxt.amounts import to_ms
from tradefleet.venues._ccxt.library import exchange_class
from tradefleet.venues._ccxt.listings import Listing
from tradefleet.venues.bybit import KEY as RIGHTS
from tradefleet.venues.bybit import WALLET, Bybit, query

AT = datetime(2026, 11, 21, 12, 0, 0, 123000, tzinfo=UTC)
KEY = Credentials(api_key=Secret("k" * 18), api_secret=Secret("s" * 36))
BYBIT = Bybit()
LISTING = Listing(symbol=BTC, id="BTCUSDT", stream_id="BTCUSDT", rules=RULES)
BUY = armed("0.01", at=AT)
SELL = armed("12.30000000", at=AT, side=Side.SELL, kind=OrderKind.STOP, price=Decimal(1))
STOP = resting("49123.456", at=AT)
SPOT = {"category": "spot"}
CURSOR = "1900000000000256000%3A1795262400123%2C1900000000000256000%3A1795262400123"


@pytest.fixture(scope="module")
def theirs() -> Any:
    kind, _ = exchange_class("bybit")
    exchange = kind({"apiKey": "k" * 18, "secret": "s" * 36})
    exchange.options["recvWindow"] = 5000
    exchange.nonce = lambda: to_ms(AT)
    return exchange


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(BYBIT.create(BUY, LISTING), id="buy"),
        pytest.param(BYBIT.create(SELL, LISTING), id="sell"),
        pytest.param(BYBIT.create(STOP, LISTING), id="stop"),
        pytest.param(BYBIT.cancel(BUY, LISTING), id="cancel"),
        pytest.param(BYBIT.cancel(STOP, LISTING), id="cancel a stop"),
        pytest.param(query("/v5/order/realtime", {**SPOT, "orderLinkId": BUY.id}), id="look-up"),
        pytest.param(
            query("/v5/order/history", {**SPOT, "limit": "50", "cursor": CURSOR}), id="next page"
        ),
        pytest.param(query("/v5/execution/list", {**SPOT, "startTime": "1"}), id="trades"),
        pytest.param(WALLET, id="balances"),
        pytest.param(RIGHTS, id="rights"),
    ],
)
def test_a_request_is_signed_as_ccxt_signs_it(theirs, call):
    url = BYBIT.addresses(Mode.LIVE).rest[call.api]
    mine = BYBIT.sign(call, url, KEY, to_ms(AT))
    other = theirs.sign(call.path[1:], [call.api], call.method, dict(call.params))
    other["headers"].pop("Referer", None)  # with which ccxt names itself as the broker
    assert mine.method == other["method"]
    assert mine.url == other["url"]
    assert dict(mine.headers) == other["headers"]
    assert mine.body == (other["body"].encode() if other["body"] else None)


@pytest.mark.parametrize("mode", [Mode.LIVE, Mode.TESTNET])
def test_the_addresses_are_those_of_ccxt(theirs, mode):
    urls = theirs.urls["api" if mode is Mode.LIVE else "test"]
    for name, url in BYBIT.addresses(mode).rest.items():
        assert url == theirs.implode_hostname(urls[name])


def body_of(order: Order) -> dict[str, str]:
    wire = BYBIT.sign(BYBIT.create(order, LISTING), "https://x", KEY, to_ms(AT))
    assert wire.body is not None
    return dict(json.loads(wire.body))


def test_an_order_carries_our_id_and_the_time_that_was_written_down():
    wire = BYBIT.sign(BYBIT.create(BUY, LISTING), "https://x", KEY, to_ms(BUY.sent_at or AT))
    assert wire.headers["X-BAPI-TIMESTAMP"] == str(to_ms(AT)) == "1795262400123"
    assert wire.headers["X-BAPI-RECV-WINDOW"] == "5000"
    assert BUY.deadline == AT + timedelta(milliseconds=5000)
    assert body_of(BUY)["orderLinkId"] == BUY.id


@pytest.mark.parametrize("kind", [OrderKind.MARKET, OrderKind.STOP, OrderKind.TARGET])
@pytest.mark.parametrize("side", list(Side))
def test_what_we_fire_ourselves_is_a_market_order_for_base(kind, side):
    sent = body_of(armed("0.01000", at=AT, kind=kind, side=side, price=Decimal(5)))
    assert (sent["orderType"], sent["side"], sent["qty"]) == ("Market", side.capitalize(), "0.01")
    assert sent["marketUnit"] == "baseCoin"
    assert not sent.keys() & {"price", "triggerPrice", "orderFilter", "isLeverage"}


def test_a_resting_stop_sets_its_coins_apart_and_waits_for_its_price_at_a_tick():
    sent = body_of(STOP)
    assert (sent["orderFilter"], sent["triggerPrice"]) == ("tpslOrder", "49123.46")
    assert (sent["side"], sent["orderType"], sent["marketUnit"]) == ("Sell", "Market", "baseCoin")


def test_a_stop_that_buys_is_not_made():
    with pytest.raises(BrokenInvariant):
        BYBIT.create(resting("49123", at=AT, side=Side.BUY), LISTING)


@pytest.mark.parametrize(
    ("quantity", "text"),
    [("1E-7", "0.0000001"), ("100", "100"), ("1E+3", "1000"), ("0.10", "0.1"), ("20.0", "20")],
)
def test_a_quantity_is_written_without_exponent(quantity, text):
    assert body_of(armed(quantity, at=AT))["qty"] == text


def test_a_request_does_not_show_itself():
    shown = repr(BYBIT.sign(WALLET, "https://x", KEY, to_ms(AT)))
    assert "k" * 18 not in shown
    assert "SIGN" not in shown
