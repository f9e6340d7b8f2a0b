"""Orders at the simulated Kraken: what is taken and refused, look-ups, ledger, batches, timers."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.venuesim.kraken_asking import Client, Kraken, simulated_kraken
from tests.venuesim.rig import START_MS
from venuesim.kraken.account import PAGE
from venuesim.kraken.ids import made, number_of
from venuesim.units import text, units

START = START_MS / 1000
TXID = re.compile(r"O[A-Z2-7]{5}-[A-Z2-7]{5}-[A-Z2-7]{6}")
NEVER = "OAAAAA-AAAAA-AAAAAA"

# What the rows have, as Kraken's documents show them.
OPEN_KEYS = {
    "refid", "userref", "status", "opentm", "starttm", "expiretm", "descr", "vol", "vol_exec",
    "cost", "fee", "price", "stopprice", "limitprice", "misc", "oflags",
}  # fmt: skip
CLOSED_KEYS = OPEN_KEYS | {"closetm", "reason"}
DESCR_KEYS = {
    "pair", "aclass", "type", "ordertype", "price", "price2", "leverage", "order", "close",
}  # fmt: skip
TRADE_KEYS = {
    "ordertxid", "postxid", "pair", "aclass", "time", "type", "ordertype", "tradeordertype",
    "price", "cost", "fee", "vol", "margin", "leverage", "misc", "trade_id", "maker",
}  # fmt: skip
LEDGER_KEYS = {
    "refid", "time", "type", "subtype", "aclass", "asset", "amount", "fee", "balance",
}  # fmt: skip


@pytest.fixture
def venue() -> Kraken:
    return simulated_kraken()


@pytest.fixture
def alice(venue: Kraken) -> Client:
    return venue.client()


def in_seconds(venue: Kraken, seconds: float) -> str:
    return datetime.fromtimestamp(venue.clock.now_ms() / 1000 + seconds, UTC).isoformat()


# ------------------------------------------------------------------------- ids


def test_an_id_is_made_from_a_number_and_leads_back_to_it():
    ids = {made("O", number): number for number in range(1, 3000)}
    assert len(ids) == 2999
    assert all(TXID.fullmatch(txid) for txid in ids)
    assert all(number_of("O", txid) == number for txid, number in ids.items())
    assert number_of("T", made("O", 5)) is None


@pytest.mark.parametrize("wrong", ["", "O", "abc", "O1AAAA-AAAAA-AAAAAA", "OAAAAAAAAAA-AAAAA-AA"])
def test_what_is_no_id_has_no_number(wrong: str):
    assert number_of("O", wrong) is None


# --------------------------------------------------------------- what is placed


def test_a_placed_order_is_described_and_has_an_id(venue: Kraken, alice: Client):
    answer = alice.answer("AddOrder", alice.order(volume="1.25", cl_ord_id="first"))
    told = json.loads(answer.body)
    assert told["error"] == []
    assert told["result"]["descr"] == {"order": "buy 1.25000000 XBTUSD @ limit 60000.0"}
    assert TXID.fullmatch(told["result"]["txid"][0])
    assert answer.order is not None
    assert (answer.client_id, answer.order.client_id) == ("first", "first")
    without = json.loads(venue.desk.without_id(answer).body)
    assert without == {"error": [], "result": {"descr": told["result"]["descr"]}}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "buy 0.50000000 XBTUSD @ limit 60000.0"),
        ({"ordertype": "market", "price": None}, "buy 0.50000000 XBTUSD @ market"),
        (
            {"type": "sell", "ordertype": "stop-loss"},
            "sell 0.50000000 XBTUSD @ stop loss 60000.0",
        ),
        (
            {"type": "sell", "ordertype": "stop-loss-limit", "price2": "59900"},
            "sell 0.50000000 XBTUSD @ stop loss 60000.0 -> limit 59900.0",
        ),
        (
            {"type": "sell", "ordertype": "take-profit", "price": "70000"},
            "sell 0.50000000 XBTUSD @ take profit 70000.0",
        ),
        (
            {"type": "buy", "ordertype": "take-profit-limit", "price2": "60100"},
            "buy 0.50000000 XBTUSD @ take profit 60000.0 -> limit 60100.0",
        ),
    ],
)
def test_every_type_of_order_is_put_in_words(alice: Client, changes: Any, words: str):
    order = alice.order(**changes)
    assert alice.ask("AddOrder", order, validate="true") == {"descr": {"order": words}}
    assert alice.ask("AddOrder", order)["descr"] == {"order": words}


def test_an_order_that_is_only_checked_leaves_no_trace(alice: Client):
    told = alice.ask("AddOrder", alice.order(), validate="true")
    assert told == {"descr": {"order": "buy 0.50000000 XBTUSD @ limit 60000.0"}}
    assert alice.ask("OpenOrders") == {"open": {}}
    wrong = alice.order(volume="1000", validate="1")
    assert alice.refusal("AddOrder", wrong) == "EOrder:Insufficient funds"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"volume": "2"}, "EOrder:Insufficient funds"),
        ({"type": "sell", "volume": "2.5"}, "EOrder:Insufficient funds"),
        ({"volume": "0.00004"}, "EOrder:Order minimum not met"),
        ({"volume": "0.00005", "price": "9000"}, "EOrder:Cost minimum not met"),
        ({"volume": "0"}, "EGeneral:Invalid arguments:volume"),
        ({"volume": "-1"}, "EGeneral:Invalid arguments:volume"),
        ({"volume": "0.000000001"}, "EGeneral:Invalid arguments:volume"),
        ({"volume": "much"}, "EGeneral:Invalid arguments:volume"),
        ({"volume": None}, "EGeneral:Invalid arguments:volume"),
        ({"price": None}, "EGeneral:Invalid arguments:price"),
        ({"price": "-1"}, "EOrder:Invalid price:price must be a price, not a distance"),
        ({"price": "+5"}, "EOrder:Invalid price:price must be a price, not a distance"),
        ({"price": "#5%"}, "EOrder:Invalid price:price must be a price, not a distance"),
        (
            {"price": "60000.05"},
            "EOrder:Invalid price:XBT/USD price can only be specified up to 1 decimals.",
        ),
        ({"pair": "XBTGOLD"}, "EQuery:Unknown asset pair"),
        ({"pair": None}, "EGeneral:Invalid arguments:pair"),
        ({"type": "hold"}, "EGeneral:Invalid arguments:type"),
        ({"ordertype": "iceberg"}, "EGeneral:Invalid arguments:ordertype"),
        ({"ordertype": "trailing-stop"}, "EGeneral:Invalid arguments:ordertype"),
        ({"ordertype": "stop-loss-limit"}, "EGeneral:Invalid arguments:price2"),
        ({"timeinforce": "GTD"}, "EGeneral:Invalid arguments:timeinforce"),
        ({"oflags": "fcib,fciq"}, "EGeneral:Invalid arguments:oflags"),
        ({"oflags": "fast"}, "EGeneral:Invalid arguments:oflags"),
        ({"oflags": "viqc"}, "EGeneral:Invalid arguments:oflags"),
        ({"oflags": "post", "ordertype": "market"}, "EGeneral:Invalid arguments:oflags"),
        ({"oflags": "post", "price": "66000"}, "EOrder:Post only order"),
        ({"leverage": "5"}, "EGeneral:Invalid arguments:leverage"),
        ({"expiretm": "+60"}, "EGeneral:Invalid arguments:expiretm"),
        ({"starttm": "+60"}, "EGeneral:Invalid arguments:starttm"),
        ({"displayvol": "0.1"}, "EGeneral:Invalid arguments:displayvol"),
        ({"close[ordertype]": "limit"}, "EGeneral:Invalid arguments:close[ordertype]"),
        ({"userref": "seven"}, "EGeneral:Invalid arguments:userref"),
        ({"userref": str(2**31)}, "EGeneral:Invalid arguments:userref"),
        ({"userref": "7", "cl_ord_id": "mine"}, "EGeneral:Invalid arguments:cl_ord_id"),
        ({"trigger": "index"}, "EGeneral:Invalid arguments:trigger"),
        ({"validate": "perhaps"}, "EGeneral:Invalid arguments:validate"),
    ],
)
def test_what_is_wrong_with_an_order_is_told_in_krakens_words(
    alice: Client, changes: Any, error: str
):
    assert alice.refusal("AddOrder", alice.order(**changes)) == error
    assert alice.ask("OpenOrders") == {"open": {}}
    assert alice.ask("BalanceEx")["ZUSD"]["hold_trade"] == "0.0000"


def test_a_price_off_the_step_is_told_from_one_with_too_many_decimals():
    venue = simulated_kraken()
    coarse = replace(venue.exchange.instruments["BTC/USD"], tick=units("0.5"))
    venue.exchange.instruments["BTC/USD"] = coarse
    alice = venue.client()
    assert alice.refusal("AddOrder", alice.order(price="60000.3")) == (
        "EOrder:Tick size check failed"
    )


@pytest.mark.parametrize(
    "name",
    [
        "6d1b345e-2821-40e2-ad83-4ecb18a06876",
        "da8e4ad59b78481c93e589746b0cf91f",
        "arb-20240509-00010",
        "a",
    ],
)
def test_a_clients_name_for_an_order_is_a_uuid_or_short(alice: Client, name: str):
    txid = alice.place(cl_ord_id=name)
    assert alice.row(txid)["cl_ord_id"] == name
    assert list(alice.ask("OpenOrders", cl_ord_id=name)["open"]) == [txid]


@pytest.mark.parametrize(
    "name",
    ["x" * 19, "6d1b345e-2821-40e2-ad83-4ecb18a0687", "g" * 32, "naïve", "two\nlines"],
)
def test_any_other_name_is_refused(alice: Client, name: str):
    refused = alice.refusal("AddOrder", alice.order(cl_ord_id=name))
    assert refused == "EGeneral:Invalid arguments:cl_ord_id"


def test_a_name_is_free_again_when_its_order_is_over(alice: Client):
    first = alice.place(cl_ord_id="mine")
    refused = alice.refusal("AddOrder", alice.order(cl_ord_id="mine"))
    assert refused == "EGeneral:Invalid arguments:cl_ord_id not unique"
    alice.ask("CancelOrder", cl_ord_id="mine")
    second = alice.place(cl_ord_id="mine")
    assert first != second
    assert list(alice.ask("OpenOrders", cl_ord_id="mine")["open"]) == [second]
    assert list(alice.ask("ClosedOrders", cl_ord_id="mine")["closed"]) == [first]


def test_a_user_reference_may_be_shared(alice: Client):
    first, second = alice.place(userref="-7"), alice.place(userref="-7")
    alice.place(userref="8")
    assert set(alice.ask("OpenOrders", userref=-7)["open"]) == {first, second}
    assert alice.row(first)["userref"] == -7
    assert alice.ask("CancelOrder", txid="-7") == {"count": 2}


def test_arguments_may_come_as_json(alice: Client):
    order: dict[str, Any] = alice.order(volume=0.5, price=60000.1, validate=False, userref=7)
    (txid,) = alice.ask("AddOrder", order, as_json=True)["txid"]
    row = alice.row(txid)
    assert (row["vol"], row["descr"]["price"], row["userref"]) == ("0.50000000", "60000.1", 7)


# ------------------------------------------------------------------- the deadline


@pytest.mark.parametrize(
    ("seconds", "error"),
    [
        (-1, "EService:Deadline elapsed"),
        (0, "EService:Deadline elapsed"),
        (1, "EGeneral:Invalid arguments:deadline"),
        (61, "EGeneral:Invalid arguments:deadline"),
    ],
)
def test_a_deadline_is_between_two_and_sixty_seconds_ahead(
    venue: Kraken, alice: Client, seconds: float, error: str
):
    order = alice.order(deadline=in_seconds(venue, seconds))
    assert alice.refusal("AddOrder", order) == error


def test_an_order_in_time_is_taken_and_the_same_order_late_is_not(venue: Kraken, alice: Client):
    order = alice.order(deadline=in_seconds(venue, 5))
    alice.ask("AddOrder", order)
    venue.later(5)
    assert alice.refusal("AddOrder", order) == "EService:Deadline elapsed"
    assert len(alice.ask("OpenOrders")["open"]) == 1


@pytest.mark.parametrize("wrong", ["tomorrow", "2026-11-21T12:00:10", "1795262410"])
def test_a_deadline_is_a_time_with_its_zone(alice: Client, wrong: str):
    refused = alice.refusal("AddOrder", alice.order(deadline=wrong))
    assert refused == "EGeneral:Invalid arguments:deadline"


# ------------------------------------------------------------------ look-ups


def test_an_open_order_is_shown_as_in_krakens_documents(alice: Client):
    txid = alice.place(volume="1.25", userref="45326")
    row = alice.ask("OpenOrders")["open"][txid]
    assert set(row) == OPEN_KEYS
    assert set(row["descr"]) == DESCR_KEYS
    assert row == {
        "refid": None,
        "userref": 45326,
        "status": "open",
        "opentm": START,
        "starttm": 0,
        "expiretm": 0,
        "descr": {
            "pair": "XBTUSD",
            "aclass": "forex",
            "type": "buy",
            "ordertype": "limit",
            "price": "60000.0",
            "price2": "0",
            "leverage": "none",
            "order": "buy 1.25000000 XBTUSD @ limit 60000.0",
            "close": "",
        },
        "vol": "1.25000000",
        "vol_exec": "0.00000000",
        "cost": "0.00000",
        "fee": "0.00000",
        "price": "0.00000",
        "stopprice": "0.00000",
        "limitprice": "0.00000",
        "misc": "",
        "oflags": "fciq",
    }


def test_a_filled_order_is_closed_with_its_trades_cost_and_fee(venue: Kraken, alice: Client):
    txid = alice.place(ordertype="market", price=None, volume="0.001")
    row = alice.row(txid, trades="true")
    assert set(row) == CLOSED_KEYS | {"trades"}
    ask = venue.public("Ticker", pair="XBTUSD")["XXBTZUSD"]["a"][0]
    cost = units(ask) // 1000
    fee = round(cost * 4 // 1000, -4)
    assert (row["status"], row["reason"]) == ("closed", None)
    assert (row["vol"], row["vol_exec"]) == ("0.00100000", "0.00100000")
    assert row["price"] == ask
    assert row["cost"] == text(cost, 5)
    assert abs(units(row["fee"]) - fee) <= 10_000
    assert row["descr"]["price"] == "0"
    (trade_id,) = row["trades"]
    trade = alice.ask("QueryTrades", txid=trade_id)[trade_id]
    assert set(trade) == TRADE_KEYS
    assert (trade["cost"], trade["fee"]) == (row["cost"], row["fee"])
    assert "trades" not in alice.row(txid)


def test_an_order_trades_in_parts_and_each_is_a_trade_of_its_own():
    venue = simulated_kraken(fill_parts=3)
    alice = venue.client()
    txid = alice.place(ordertype="market", price=None, volume="0.003")
    assert len(alice.row(txid, trades="true")["trades"]) == 3
    rows = alice.ask("TradesHistory")["trades"]
    assert {row["ordertxid"] for row in rows.values()} == {txid}
    assert sum(units(row["vol"]) for row in rows.values()) == units("0.003")
    assert len({row["trade_id"] for row in rows.values()}) == 3


def test_a_waiting_order_trades_as_the_maker_at_its_own_price(venue: Kraken, alice: Client):
    txid = alice.place(volume="0.1")
    venue.tick("BTC/USD", "59900")
    row = alice.row(txid)
    assert (row["status"], row["price"]) == ("closed", "60000.00000")
    assert (row["cost"], row["fee"]) == ("6000.00000", "15.00000")  # 0.25 %
    (trade,) = alice.ask("TradesHistory")["trades"].values()
    assert trade["maker"] is True
    assert trade["ordertype"] == "limit"


def test_an_instant_order_that_finds_nobody_is_expired(alice: Client):
    txid = alice.place(timeinforce="IOC")
    row = alice.row(txid)
    assert (row["status"], row["vol_exec"]) == ("expired", "0.00000000")
    taken = alice.row(alice.place(timeinforce="ioc", price="70000", volume="0.01"))
    assert taken["status"] == "closed"


def test_a_stop_waits_holds_its_money_and_sells_when_the_price_falls(venue: Kraken, alice: Client):
    txid = alice.place(type="sell", ordertype="stop-loss", volume="2", trigger="index")
    row = alice.row(txid)
    assert (row["status"], row["trigger"], row["stopprice"]) == ("open", "index", "0.00000")
    assert alice.ask("BalanceEx")["XXBT"]["hold_trade"] == "2.0000000000"
    venue.tick("BTC/USD", "60500")
    assert alice.row(txid)["status"] == "open"
    venue.tick("BTC/USD", "59900")
    row = alice.row(txid)
    assert (row["status"], row["misc"]) == ("closed", "stopped")
    assert row["stopprice"] == "60000.00000"
    assert alice.ask("Balance")["XXBT"] == "0.0000000000"


def test_a_stop_already_reached_sells_at_once(venue: Kraken, alice: Client):
    order = alice.order(type="sell", ordertype="stop-loss", price="70000", volume="0.1")
    alice.ask("AddOrder", order, validate="true")
    (txid,) = alice.ask("AddOrder", order)["txid"]
    row = alice.row(txid)
    assert (row["status"], row["descr"]["ordertype"], row["misc"]) == (
        "closed", "stop-loss", "stopped",
    )  # fmt: skip


def test_a_profit_limit_waits_on_the_book_once_it_is_touched(venue: Kraken, alice: Client):
    txid = alice.place(
        type="sell", ordertype="take-profit-limit", price="70000", price2="71000", volume="0.1"
    )
    venue.tick("BTC/USD", "70100")
    row = alice.row(txid)
    assert (row["status"], row["misc"]) == ("open", "touched")
    assert (row["stopprice"], row["limitprice"]) == ("70000.00000", "71000.00000")
    venue.tick("BTC/USD", "71000")
    assert alice.row(txid)["status"] == "closed"


def test_a_market_buy_can_be_given_in_quote(alice: Client):
    txid = alice.place(ordertype="market", price=None, volume="650", oflags="viqc")
    row = alice.row(txid)
    assert row["oflags"] == "fciq,viqc"
    assert units("649") < units(row["cost"]) <= units("650")


def test_a_cancelled_order_says_who_asked_for_it(venue: Kraken, alice: Client):
    txid = alice.place()
    venue.later(5)
    assert alice.ask("CancelOrder", txid=txid) == {"count": 1}
    row = alice.ask("ClosedOrders")["closed"][txid]
    assert set(row) == CLOSED_KEYS
    assert (row["status"], row["reason"]) == ("canceled", "User requested")
    assert (row["opentm"], row["closetm"]) == (START, START + 5)
    assert alice.ask("BalanceEx")["ZUSD"]["hold_trade"] == "0.0000"


def test_what_is_not_open_cannot_be_cancelled(venue: Kraken, alice: Client):
    txid = alice.place()
    bob = venue.client("bob")
    assert bob.refusal("CancelOrder", txid=txid) == "EOrder:Unknown order"
    alice.ask("CancelOrder", txid=txid)
    for name in (txid, NEVER, "mine"):
        assert alice.refusal("CancelOrder", txid=name) == "EOrder:Unknown order"
    assert alice.refusal("CancelOrder", cl_ord_id="mine") == "EOrder:Unknown order"
    assert alice.refusal("CancelOrder") == "EGeneral:Invalid arguments:txid"


def test_orders_of_others_are_not_found(venue: Kraken, alice: Client):
    txid, bob = alice.place(), venue.client("bob")
    assert bob.ask("QueryOrders", txid=txid) == {}
    assert bob.ask("OpenOrders") == {"open": {}}
    assert alice.ask("QueryOrders", txid=f"{txid},{NEVER}").keys() == {txid}
    assert alice.refusal("QueryOrders", txid="mine") == "EOrder:Invalid order"
    assert alice.refusal("QueryOrders") == "EGeneral:Invalid arguments:txid"
    assert alice.refusal("QueryOrders", txid=",".join([NEVER] * 51)) == (
        "EGeneral:Invalid arguments:txid"
    )


def test_closed_orders_are_found_by_when_they_were_opened_or_closed(venue: Kraken, alice: Client):
    txid = alice.place()
    venue.later(100)
    alice.ask("CancelOrder", txid=txid)

    def found(**values: Any) -> bool:
        return txid in alice.ask("ClosedOrders", **values)["closed"]

    assert found(start=START - 1, end=START)
    assert not found(start=START - 1, end=START, closetime="close")
    assert not found(start=START, closetime="open")  # after start
    assert found(start=START, closetime="close")
    assert found(start=START, end=START + 100)
    assert not found(start=START + 100)
    assert found(end=START + 100, closetime="close")  # up to and with end
    later = alice.place()
    alice.ask("CancelOrder", txid=later)
    assert not found(start=later)
    assert found(end=txid)
    assert alice.refusal("ClosedOrders", closetime="noon") == (
        "EGeneral:Invalid arguments:closetime"
    )
    assert alice.refusal("ClosedOrders", start="noon") == "EGeneral:Invalid arguments:start"
    assert alice.refusal("ClosedOrders", start=NEVER) == "EGeneral:Invalid arguments:start"


def test_long_lists_come_in_pages_the_latest_first(venue: Kraken):
    venue.exchange.open_orders_max = 1000
    alice = venue.client()
    txids = []
    for _ in range(PAGE + 5):
        venue.later(1)
        txids.append(alice.place(ordertype="market", price=None, volume="0.0001"))
    latest = list(reversed(txids))
    first = alice.ask("ClosedOrders")
    assert (list(first["closed"]), first["count"]) == (latest[:PAGE], PAGE + 5)
    second = alice.ask("ClosedOrders", ofs=PAGE, without_count="true")
    assert list(second["closed"]) == latest[PAGE:]
    assert "count" not in second
    trades = alice.ask("TradesHistory")
    assert [row["ordertxid"] for row in trades["trades"].values()] == latest[:PAGE]
    assert trades["count"] == PAGE + 5
    rest = alice.ask("TradesHistory", ofs=PAGE)["trades"]
    assert [row["ordertxid"] for row in rest.values()] == latest[PAGE:]
    assert alice.ask("Ledgers")["count"] == 2 * (PAGE + 5) + 2
    assert alice.refusal("TradesHistory", ofs=-1) == "EGeneral:Invalid arguments:ofs"


def test_trades_are_found_between_two_times_or_two_trades(venue: Kraken, alice: Client):
    ids = []
    for _ in range(3):
        venue.later(10)
        alice.place(ordertype="market", price=None, volume="0.001")
        ids.append(next(iter(alice.ask("TradesHistory")["trades"])))

    def found(**values: Any) -> list[str]:
        return list(reversed(alice.ask("TradesHistory", **values)["trades"]))

    assert found(start=START + 10) == ids[1:]
    assert found(end=START + 20) == ids[:2]
    assert found(start=f"{START + 10.5:.1f}", end=f"{START + 20.5:.1f}") == [ids[1]]
    assert found(start=ids[0], end=ids[1]) == [ids[1]]
    assert found(type="closed position") == []
    assert list(alice.ask("QueryTrades", txid=f"{ids[2]},{ids[0]}")) == [ids[2], ids[0]]
    assert alice.refusal("TradesHistory", type="good") == "EGeneral:Invalid arguments:type"
    assert alice.refusal("QueryTrades") == "EGeneral:Invalid arguments:txid"


def test_fresh_orders_and_trades_can_be_late_in_look_ups(venue: Kraken, alice: Client):
    venue.place.lag_ms = 5000
    waiting = alice.place(cl_ord_id="mine")
    filled = alice.place(ordertype="market", price=None, volume="0.001")
    for _ in range(2):
        assert alice.ask("OpenOrders") == {"open": {}}
        assert alice.ask("OpenOrders", cl_ord_id="mine") == {"open": {}}
        assert alice.ask("ClosedOrders")["closed"] == {}
        assert alice.ask("QueryOrders", txid=f"{waiting},{filled}") == {}
        assert alice.ask("TradesHistory")["trades"] == {}
        assert {row["type"] for row in alice.ask("Ledgers")["ledger"].values()} <= {"deposit"}
        venue.later(2.4)
    venue.later(1)
    assert list(alice.ask("OpenOrders", cl_ord_id="mine")["open"]) == [waiting]
    assert list(alice.ask("ClosedOrders")["closed"]) == [filled]
    assert len(alice.ask("TradesHistory")["trades"]) == 1
    assert alice.refusal("AddOrder", alice.order(cl_ord_id="mine")).endswith("not unique")


# ---------------------------------------------------------- balances and the ledger


def test_balances_have_the_decimals_of_their_asset(alice: Client):
    alice.place(volume="0.5")
    assert alice.ask("Balance") == {"XXBT": "2.0000000000", "ZUSD": "100000.0000"}
    assert alice.ask("BalanceEx") == {
        "XXBT": {"balance": "2.0000000000", "hold_trade": "0.0000000000"},
        "ZUSD": {"balance": "100000.0000", "hold_trade": "30120.0000"},  # and its fee
    }


def test_what_an_account_is_worth_is_told_in_any_asset(alice: Client):
    dollars = alice.ask("TradeBalance")
    assert set(dollars) == {"eb", "tb", "m", "uv", "n", "c", "v", "e", "mf"}
    assert (dollars["eb"], dollars["m"]) == ("230000.0000", "0.0000")
    assert alice.ask("TradeBalance", asset="XBT")["eb"] == "3.5384"
    assert alice.refusal("TradeBalance", asset="GOLD") == "EQuery:Unknown asset"


def test_a_trade_is_two_entries_and_every_balance_follows_from_the_one_before(
    venue: Kraken, alice: Client
):
    alice.place(ordertype="market", price=None, volume="0.1")
    venue.later(10)
    alice.place(ordertype="market", type="sell", price=None, volume="0.05", oflags="fcib")
    venue.exchange.deposit("alice", "USD", units("-100"))
    entries = list(reversed(alice.ask("Ledgers")["ledger"].values()))
    assert all(set(entry) == LEDGER_KEYS for entry in entries)
    assert [(entry["type"], entry["asset"]) for entry in entries] == [
        ("deposit", "ZUSD"), ("deposit", "XXBT"), ("trade", "ZUSD"), ("trade", "XXBT"),
        ("trade", "XXBT"), ("trade", "ZUSD"), ("withdrawal", "ZUSD"),
    ]  # fmt: skip
    balances = {"ZUSD": 0, "XXBT": 0}
    for entry in entries:
        asset = entry["asset"]
        digits = 4 if asset == "ZUSD" else 10
        assert all(len(entry[k].split(".")[1]) == digits for k in ("amount", "fee", "balance"))
        change = units(entry["amount"].rstrip("0")) - units(entry["fee"].rstrip("0"))
        balances[asset] += change
        assert units(entry["balance"].rstrip("0")) == balances[asset]
    book = alice.ask("Balance")
    assert {asset: units(amount.rstrip("0")) for asset, amount in book.items()} == balances


def test_a_fee_wished_in_base_is_paid_in_base_and_told_in_quote(alice: Client):
    bought = alice.place(ordertype="market", price=None, volume="0.1", oflags="fcib")
    assert alice.ask("Balance")["XXBT"] == "2.0996000000"  # 0.4 % of 0.1
    row = alice.row(bought)
    assert row["oflags"] == "fcib"
    assert units(row["fee"]) == pytest.approx(units(row["cost"]) * 0.004, abs=20_000)
    in_base = next(iter(alice.ask("Ledgers", asset="XBT", type="trade")["ledger"].values()))
    assert (in_base["amount"], in_base["fee"]) == ("0.1000000000", "0.0004000000")
    in_quote = next(iter(alice.ask("Ledgers", asset="ZUSD", type="trade")["ledger"].values()))
    assert in_quote["fee"] == "0.0000"


def test_a_fee_in_base_that_is_not_there_is_paid_in_quote(venue: Kraken):
    bob = venue.client("bob", BTC="1")
    bob.place(ordertype="market", type="sell", price=None, volume="1", oflags="fcib")
    assert bob.ask("Balance")["XXBT"] == "0.0000000000"
    (entry,) = bob.ask("Ledgers", asset="USD")["ledger"].values()
    assert units(entry["fee"]) > 0


def test_entries_are_found_by_id_by_trade_and_by_time(venue: Kraken, alice: Client):
    venue.later(10)
    alice.place(ordertype="market", price=None, volume="0.001")
    (trade,) = alice.ask("TradesHistory", ledgers="true")["trades"].values()
    assert len(trade["ledgers"]) == 2
    found = alice.ask("QueryLedgers", id=",".join(trade["ledgers"]))
    assert set(found) == set(trade["ledgers"])
    (trade_id,) = alice.ask("TradesHistory")["trades"]
    assert {entry["refid"] for entry in found.values()} == {trade_id}
    assert alice.ask("Ledgers", start=START)["count"] == 2
    assert alice.ask("Ledgers", end=START)["count"] == 2
    assert alice.ask("Ledgers", type="deposit", asset="XBT")["count"] == 1
    assert alice.refusal("Ledgers", asset="GOLD") == "EQuery:Unknown asset"
    assert alice.refusal("Ledgers", type="gift") == "EGeneral:Invalid arguments:type"
    assert alice.refusal("QueryLedgers") == "EGeneral:Invalid arguments:id"


def test_the_volume_of_a_month_and_its_fees_are_told(venue: Kraken, alice: Client):
    alice.place(volume="0.1", price="70000")
    told = alice.ask("TradeVolume", pair="XBTUSD")
    assert told["currency"] == "ZUSD"
    assert units(told["volume"]) == units(alice.ask("TradesHistory")["trades"].popitem()[1]["cost"])
    assert told["fees"] == {
        "XXBTZUSD": {
            "fee": "0.4000",
            "minfee": "0.0500",
            "maxfee": "0.4000",
            "nextfee": "0.3500",
            "nextvolume": "10000.0000",
            "tiervolume": "0.0000",
        }
    }
    assert told["fees_maker"]["XXBTZUSD"]["fee"] == "0.2500"
    venue.later(31 * 86400)
    assert alice.ask("TradeVolume") == {"currency": "ZUSD", "volume": "0.0000"}


# ------------------------------------------------------- amend, edit, batches, timer


def test_an_amended_order_keeps_its_id_and_its_name(alice: Client):
    txid = alice.place(cl_ord_id="mine", volume="0.5")
    told = alice.ask("AmendOrder", txid=txid, limit_price="61000", order_qty="0.6")
    assert set(told) == {"amend_id"}
    row = alice.row(txid)
    assert (row["descr"]["price"], row["vol"], row["misc"]) == (
        "61000.0", "0.60000000", "amended",
    )  # fmt: skip
    assert alice.ask("BalanceEx")["ZUSD"]["hold_trade"] == "36746.4000"
    again = alice.ask("AmendOrder", cl_ord_id="mine", order_qty="0.1")
    assert again["amend_id"] != told["amend_id"]
    assert alice.row(txid)["vol"] == "0.10000000"


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"limit_price": "66000", "post_only": "true"}, "EOrder:Post only order"),
        ({"order_qty": "10"}, "EOrder:Insufficient funds"),
        ({"order_qty": "0.00001"}, "EOrder:Order minimum not met"),
        ({"trigger_price": "59000"}, "EGeneral:Invalid arguments:trigger_price"),
        ({}, "EGeneral:Invalid arguments"),
        ({"limit_price": "1.23"}, "EOrder:Invalid price:XBT/USD price can only be specified up"),
    ],
)
def test_an_amendment_that_cannot_be_leaves_the_order_as_it_was(
    alice: Client, values: Any, error: str
):
    txid = alice.place()
    before = alice.row(txid)
    assert alice.refusal("AmendOrder", txid=txid, **values).startswith(error)
    assert alice.row(txid) == before


def test_only_an_open_order_of_ones_own_can_be_amended(venue: Kraken, alice: Client):
    txid, bob = alice.place(), venue.client("bob")
    assert bob.refusal("AmendOrder", txid=txid, order_qty="1") == "EOrder:Unknown order"
    assert alice.refusal("AmendOrder", order_qty="1") == "EGeneral:Invalid arguments:txid"


def test_a_stops_trigger_can_be_moved(venue: Kraken, alice: Client):
    txid = alice.place(type="sell", ordertype="stop-loss", volume="1")
    alice.ask("AmendOrder", txid=txid, trigger_price="64000")
    venue.tick("BTC/USD", "63900")
    assert alice.row(txid)["status"] == "closed"


def test_an_order_amended_to_what_is_filled_is_cancelled(venue: Kraken):
    venue.exchange.fill_parts = 2
    alice = venue.client()
    txid = alice.place(volume="0.1")
    order = venue.exchange.accounts["alice"].live[number_of("O", txid) or 0]
    venue.exchange._fill(order, order.request.price, units("0.04"), maker=True)
    alice.ask("AmendOrder", txid=txid, order_qty="0.04")
    row = alice.row(txid)
    assert (row["status"], row["vol_exec"], row["misc"]) == (
        "canceled", "0.04000000", "partial,amended",
    )  # fmt: skip


def test_an_edited_order_is_a_new_one(alice: Client):
    old = alice.place(volume="0.5", userref="7")
    told = alice.ask("EditOrder", txid=old, pair="XBTUSD", price="61000", volume="0.4")
    assert told["status"] == "ok"
    assert (told["originaltxid"], told["orders_cancelled"]) == (old, 1)
    assert told["descr"] == {"order": "buy 0.40000000 XBTUSD @ limit 61000.0"}
    assert alice.row(old)["status"] == "canceled"
    new = alice.row(told["txid"])
    assert (new["descr"]["price"], new["userref"]) == ("61000.0", 7)
    assert alice.refusal("EditOrder", txid=old, pair="XBTUSD") == "EOrder:Unknown order"


def test_a_batch_is_placed_order_by_order(venue: Kraken, alice: Client):
    good, dear = alice.order(), alice.order(volume="1000")
    orders = [{k: v for k, v in one.items() if k != "pair"} for one in (good, dear, good)]
    answer = alice.answer("AddOrderBatch", {"pair": "XBTUSD", "orders": orders}, as_json=True)
    told = json.loads(answer.body)["result"]["orders"]
    assert [set(row) for row in told] == [{"txid", "descr"}, {"error"}, {"txid", "descr"}]
    assert told[1]["error"] == "EOrder:Insufficient funds"
    assert isinstance(told[0]["txid"], str)
    assert answer.order is not None
    assert len(alice.ask("OpenOrders")["open"]) == 2
    without = json.loads(venue.desk.without_id(answer).body)["result"]["orders"]
    assert [set(row) for row in without] == [{"descr"}, {"error"}, {"descr"}]


def test_a_batch_with_an_order_that_cannot_be_read_places_none(alice: Client):
    orders = [alice.order(), alice.order(type="hold")]
    values = {"pair": "XBTUSD", "orders": orders}
    refused = alice.refusal("AddOrderBatch", values, as_json=True)
    assert refused == "EGeneral:Invalid arguments:type"
    assert alice.ask("OpenOrders") == {"open": {}}
    for wrong in ([], [alice.order()], [alice.order()] * 16, "many", [1, 2]):
        values = {"pair": "XBTUSD", "orders": wrong}
        refused = alice.refusal("AddOrderBatch", values, as_json=True)
        assert refused == "EGeneral:Invalid arguments:orders"


def test_a_batch_may_come_as_a_form_and_be_only_checked(alice: Client):
    form = {
        f"orders[{number}][{name}]": value
        for number in range(2)
        for name, value in alice.order().items()
        if name != "pair"
    }
    told = alice.ask("AddOrderBatch", {"pair": "XBTUSD", "validate": "true", **form})
    assert [set(row) for row in told["orders"]] == [{"descr"}, {"descr"}]
    assert alice.ask("OpenOrders") == {"open": {}}


def test_several_orders_are_cancelled_at_once(venue: Kraken, alice: Client):
    bob = venue.client("bob")
    bob.place()
    first, _, third = alice.place(), alice.place(cl_ord_id="mine"), alice.place()
    told = alice.ask(
        "CancelOrderBatch", {"orders": [first, NEVER], "cl_ord_ids": ["mine"]}, as_json=True
    )
    assert told == {"count": 2}
    assert list(alice.ask("OpenOrders")["open"]) == [third]
    assert alice.ask("CancelAll") == {"count": 1}
    assert alice.ask("CancelAll") == {"count": 0}
    assert len(bob.ask("OpenOrders")["open"]) == 1
    assert alice.refusal("CancelOrderBatch") == "EGeneral:Invalid arguments:orders"


def test_orders_are_cancelled_when_the_alarm_is_not_put_off(venue: Kraken, alice: Client):
    bob = venue.client("bob")
    bob.place()
    txid = alice.place()
    assert alice.ask("CancelAllOrdersAfter", timeout=60) == {
        "currentTime": "2026-11-21T12:00:00Z",
        "triggerTime": "2026-11-21T12:01:00Z",
    }
    venue.later(59)
    alice.ask("CancelAllOrdersAfter", timeout=60)
    venue.later(59)
    assert alice.row(txid)["status"] == "open"
    venue.later(1)
    venue.tick("BTC/USD", "65000")
    assert alice.row(txid)["status"] == "canceled"
    assert len(bob.ask("OpenOrders")["open"]) == 1


def test_the_alarm_can_be_taken_back(venue: Kraken, alice: Client):
    txid = alice.place()
    alice.ask("CancelAllOrdersAfter", timeout=60)
    assert alice.ask("CancelAllOrdersAfter", timeout=0)["triggerTime"] == "0"
    venue.later(3600)
    assert alice.row(txid)["status"] == "open"
    for wrong in ("", "-1", "soon", "100000"):
        refused = alice.refusal("CancelAllOrdersAfter", timeout=wrong)
        assert refused == "EGeneral:Invalid arguments:timeout"


def test_a_pair_without_a_price_yet_cannot_be_traded():
    venue = simulated_kraken(prices=False)
    alice = venue.client()
    assert alice.refusal("AddOrder", alice.order()) == "EService:Unavailable"
