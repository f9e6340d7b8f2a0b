"""What we sign for Kraken is, byte for byte, what ccxt signs for the same request and number."""

from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

import pytest

from tests.makers import BTC
from tests.venues.rig import armed, resting
from tradefleet.domain.credentials import Credentials, Secret
from tradefleet.domain.errors import BrokenInvariant
from tradefleet.domain.market import Side, Symbol, TradingRules
from tradefleet.domain.order import Order, OrderKind
from tradefleet.domain.user import Mode
from tradefleet.runtime.real_world import RealClock
from tradefleet.venues._ccxt.calls import Call
from tradefleet.venues._ccxt.library import exchange_class
from tradefleet.venues._ccxt.listings import Listing
from tradefleet.venues.kraken import Kraken, private

AT = datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=UTC)
NUMBER = 1_795_262_400_123_456
KEY = Credentials(
    api_key=Secret("k" * 56), api_secret=Secret(b64encode(b"a secret of Kraken" * 4).decode())
)


class AtClock(RealClock):
    """Stands still."""

    def now(self) -> datetime:
        return AT


KRAKEN = Kraken(AtClock())
LISTING = Listing(
    symbol=BTC,
    id="XBTUSDT",
    stream_id="BTC/USDT",
    rules=TradingRules(price_tick=Decimal("0.1"), quantity_step=Decimal("1e-8")),
    names=frozenset({"XBTUSDT", "XBT/USDT", "BTC/USDT"}),
)
BUY = armed("0.01", at=AT)
SELL = armed("12.30000000", at=AT, side=Side.SELL, kind=OrderKind.STOP, price=Decimal(1))
STOP = resting("49123.456", at=AT)


@pytest.fixture(scope="module")
def theirs() -> Any:
    kind, _ = exchange_class("kraken")
    exchange = kind({"apiKey": KEY.api_key.reveal(), "secret": KEY.api_secret.reveal()})
    exchange.incrementing_nonce = lambda: NUMBER
    return exchange


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(KRAKEN.create(BUY, LISTING), id="buy"),
        pytest.param(KRAKEN.create(SELL, LISTING), id="sell"),
        pytest.param(KRAKEN.create(STOP, LISTING), id="stop"),
        pytest.param(KRAKEN.cancel(BUY, LISTING), id="cancel"),
        pytest.param(private("OpenOrders", {"cl_ord_id": BUY.id}), id="look-up"),
        pytest.param(private("QueryTrades", {"txid": "TA-B-C,TD-E-F"}), id="several"),
        pytest.param(private("TradesHistory", {"start": "1", "ofs": "50"}), id="next page"),
        pytest.param(private("BalanceEx"), id="balances"),
        pytest.param(private("GetApiKeyInfo"), id="rights"),
    ],
)
def test_a_request_is_signed_as_ccxt_signs_it(theirs, call):
    url = KRAKEN.addresses(Mode.LIVE).rest[call.api]
    mine = KRAKEN.sign(call, url, KEY, NUMBER)
    _, _, kind, method = call.path.split("/")
    other = theirs.sign(method, [kind], call.method, dict(call.params))
    assert mine.method == other["method"]
    assert mine.url == other["url"]
    assert dict(mine.headers) == other["headers"]
    assert mine.body == other["body"].encode()


def test_the_addresses_are_those_of_ccxt(theirs):
    for name, url in KRAKEN.addresses(Mode.LIVE).rest.items():
        assert url == theirs.urls["api"][name]


def test_the_documented_example_has_the_documented_signature():
    secret = (
        "kQH5HW/8p1uGOVjbgWA7FunAmGO8lsSUXNsu3eow76sz84Q18fWxnyRzBHCd3pd5nE9qa99HAZtuZuj6F1huXg=="
    )
    key = Credentials(api_key=Secret("k"), api_secret=Secret(secret))
    params = {
        "ordertype": "limit",
        "pair": "XBTUSD",
        "price": "37500",
        "type": "buy",
        "volume": "1.25",
    }
    call = Call(method="POST", api="private", path="/0/private/AddOrder", params=params)
    wire = KRAKEN.sign(call, "https://api.kraken.com", key, 1616492376594)
    assert wire.headers["API-Sign"] == (
        "4/dpxb3iT4tp/ZCVEwSnEsLxx0bqyhLpdfOpc6fn7OR8+UClSV5n9E6aSS8MPtnRfp32bAb0nmbRn6H8ndwLUQ=="
    )


def test_the_path_is_signed_as_the_venue_sees_it_wherever_it_is_reached():
    mine = KRAKEN.sign(private("BalanceEx"), "https://api.kraken.com", KEY, NUMBER)
    elsewhere = KRAKEN.sign(private("BalanceEx"), "http://proxy.example/kraken", KEY, NUMBER)
    assert elsewhere.url == "http://proxy.example/kraken/0/private/BalanceEx"
    assert elsewhere.headers == mine.headers


def sent(order: Order, listing: Listing = LISTING) -> dict[str, str]:
    wire = KRAKEN.sign(KRAKEN.create(order, listing), "https://x", KEY, NUMBER)
    assert wire.body is not None
    return dict(parse_qsl(wire.body.decode(), strict_parsing=True))


def test_an_order_carries_our_id_and_the_deadline_that_was_written_down():
    told = sent(BUY)
    assert told["nonce"] == str(NUMBER)
    assert (told["cl_ord_id"], len(told["cl_ord_id"])) == (BUY.id, 32)
    assert told["deadline"] == "2026-11-21T12:00:05.123Z"
    elsewhere = timezone(timedelta(hours=5, minutes=30))
    assert BUY.deadline is not None
    moved = replace(BUY, deadline=BUY.deadline.astimezone(elsewhere))
    assert sent(moved)["deadline"] == told["deadline"]
    assert "userref" not in told  # the two exclude each other


@pytest.mark.parametrize("kind", [OrderKind.MARKET, OrderKind.STOP, OrderKind.TARGET])
@pytest.mark.parametrize("side", list(Side))
def test_what_we_fire_ourselves_is_a_market_order_with_its_fee_in_quote(kind, side):
    told = sent(armed("0.01000", at=AT, kind=kind, side=side, price=Decimal(5)))
    assert (told["ordertype"], told["type"], told["volume"]) == ("market", side, "0.01")
    assert (told["pair"], told["oflags"]) == ("XBTUSDT", "fciq")
    assert not told.keys() & {"price", "price2", "trigger", "leverage", "validate"}


def test_a_resting_stop_waits_for_its_price_at_a_tick():
    told = sent(STOP)
    assert (told["ordertype"], told["type"], told["price"]) == ("stop-loss", "sell", "49123.5")


def test_a_stop_that_buys_is_not_made():
    with pytest.raises(BrokenInvariant):
        KRAKEN.create(resting("49123", at=AT, side=Side.BUY), LISTING)


def test_an_order_without_a_deadline_is_not_made():
    with pytest.raises(BrokenInvariant):
        KRAKEN.create(replace(BUY, deadline=None), LISTING)


@pytest.mark.parametrize(
    ("quantity", "text"),
    [("1E-7", "0.0000001"), ("100", "100"), ("1E+3", "1000"), ("0.10", "0.1"), ("20.0", "20")],
)
def test_a_quantity_is_written_without_exponent(quantity, text):
    assert sent(armed(quantity, at=AT))["volume"] == text


@pytest.mark.parametrize(
    ("age", "cost"),
    [(0, 8), (4.9, 8), (5, 6), (10, 5), (15, 4), (44, 4), (45, 2), (90, 1), (299, 1), (300, 0)],
)
def test_a_cancel_costs_the_more_the_younger_the_order_is(age, cost):
    order = armed("0.01", at=AT - timedelta(seconds=age))
    assert KRAKEN.cancel(order, LISTING).costs == {"pair:XBTUSDT": cost}
    assert KRAKEN.create(order, LISTING).costs == {"pair:XBTUSDT": 1}


def test_a_request_does_not_show_itself():
    shown = repr(KRAKEN.sign(private("BalanceEx"), "https://x", KEY, NUMBER))
    assert "k" * 56 not in shown
    assert "Sign" not in shown


def test_a_secret_that_is_none_is_still_signed_with_so_that_the_venue_names_it():
    wrong = Credentials(api_key=Secret("k" * 56), api_secret=Secret("no base64!"))
    assert KRAKEN.sign(private("BalanceEx"), "https://x", wrong, NUMBER).headers["API-Sign"]


# ---- pairs

MARKET = {
    "id": "XXBTZUSD",
    "taker": 0.004,
    "info": {
        "altname": "XBTUSD",
        "wsname": "XBT/USD",
        "pair_decimals": 1,
        "lot_decimals": 8,
        "ordermin": "0.00005",
        "costmin": "0.5",
        "tick_size": "0.1",
        "status": "online",
    },
}


def test_a_pair_has_the_venues_steps_and_leasts_and_all_of_its_names():
    found = KRAKEN.listing(Symbol("BTC", "USD"), MARKET)
    assert found.rules == TradingRules(
        price_tick=Decimal("0.1"),
        quantity_step=Decimal("0.00000001"),
        notional_min=Decimal("0.5"),
        quantity_min=Decimal("0.00005"),
        fee=Decimal("0.004"),
    )
    assert (found.id, found.stream_id) == ("XBTUSD", "BTC/USD")
    assert found.names == {"XBTUSD", "XXBTZUSD", "XBT/USD", "BTC/USD"}


@pytest.mark.parametrize(
    ("wsname", "stream_id"),
    [
        ("XBT/EUR", "BTC/EUR"),
        ("XDG/USD", "DOGE/USD"),
        ("ETH/XBT", "ETH/BTC"),
        ("LUNA/USD", "LUNA/USD"),
        ("XXBT/USD", "XXBT/USD"),
    ],
)
def test_the_streams_have_two_codes_of_their_own(wsname, stream_id):
    info = {**MARKET["info"], "wsname": wsname}  # type: ignore[dict-item]
    assert KRAKEN.listing(BTC, {**MARKET, "info": info}).stream_id == stream_id


@pytest.mark.parametrize("status", ["cancel_only", "post_only", "limit_only", "reduce_only"])
def test_only_a_pair_that_is_online_is_traded(status):
    info = {**MARKET["info"], "status": status}  # type: ignore[dict-item]
    found = KRAKEN.listing(BTC, {**MARKET, "info": info})
    assert (found.is_active, found.status) == (False, status)


def test_where_the_list_tells_no_fee_the_highest_is_taken():
    assert KRAKEN.listing(BTC, {**MARKET, "taker": None}).rules.fee == Decimal("0.004")
