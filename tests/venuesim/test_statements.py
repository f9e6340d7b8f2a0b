"""What the simulated venues write down of money that moves, and who may read it."""

import pytest

from tests.venuesim import bybit_asking
from tests.venuesim.binance_asking import refused
from tests.venuesim.binance_asking import venue as binance
from tests.venuesim.kraken_asking import simulated_kraken
from tests.venuesim.rig import START_MS
from venuesim.bybit import make_key
from venuesim.orders import Kind, NewOrder, Side
from venuesim.units import units

DAY_MS = 86_400_000
DEPOSITS, WITHDRAWALS = "/sapi/v1/capital/deposit/hisrec", "/sapi/v1/capital/withdraw/history"
DUST, DIVIDENDS = "/sapi/v1/asset/dribblet", "/sapi/v1/asset/assetDividend"
LOG = "account/transaction-log"


# ---- Binance


def test_binance_lists_payments_latest_first_page_by_page():
    at = binance()
    for number in range(1, 6):
        at.later(1000)
        at.place.exchange.deposit("alice", "BNB", units(number))
    found = at.get(DEPOSITS, coin="BNB", limit=2)
    assert [row["amount"] for row in found] == ["5", "4"]
    assert [row["amount"] for row in at.get(DEPOSITS, coin="BNB", limit=2, offset=2)] == ["3", "2"]
    assert [row["amount"] for row in at.get(DEPOSITS, coin="BNB", offset=4)] == ["1"]
    assert at.get(DEPOSITS, coin="BNB", status=0) == []
    assert len(at.get(DEPOSITS, coin="BNB", status=1)) == 5
    since = START_MS + 4000
    assert [r["amount"] for r in at.get(DEPOSITS, coin="BNB", startTime=since)] == ["5", "4"]
    assert [r["amount"] for r in at.get(DEPOSITS, coin="BNB", endTime=since)] == [
        "4",
        "3",
        "2",
        "1",
    ]


def test_binance_writes_when_a_withdrawal_was_asked_for_as_a_text():
    at = binance()
    at.later(1500)
    at.place.exchange.deposit("alice", "USDT", -units(3))
    (row,) = at.get(WITHDRAWALS)
    assert (row["amount"], row["status"], row["applyTime"]) == ("3", 6, "2026-11-21 12:00:01")
    assert len(row["id"]) == 32
    assert at.get(WITHDRAWALS, status=3) == []


@pytest.mark.parametrize(
    ("path", "days"), [(DEPOSITS, 90), (WITHDRAWALS, 90), (DUST, 90), (DIVIDENDS, 180)]
)
def test_binance_shows_no_longer_time_at_once(path, days):
    at = binance()
    span = {"startTime": START_MS - days * DAY_MS, "endTime": START_MS}
    assert refused(at.get(path, **span)) == (
        -1127,
        f"More than {days * 24} hours between startTime and endTime.",
    )
    span["startTime"] += 1
    assert "code" not in at.get(path, **span)


@pytest.mark.parametrize("path", [DEPOSITS, WITHDRAWALS, DUST, DIVIDENDS])
def test_binance_tells_payments_only_to_a_key_that_may_read(path):
    at = binance(permissions=("trade",))
    code, _ = refused(at.get(path))
    assert code == -2015


# ---- Bybit


def test_bybits_lines_say_what_is_left_and_add_up():
    at = bybit_asking.venue()
    at.placed(orderType="Market", qty="0.01", marketUnit="baseCoin", price=None)
    at.place.exchange.deposit("alice", "USDT", -units(5))
    rows = at.get(LOG, limit=50)["result"]["list"]
    left: dict[str, int] = {}
    for row in reversed(rows):
        change = units(row["cashFlow"]) - units(row["fee"])
        assert units(row["change"]) == change
        left[row["currency"]] = left.get(row["currency"], 0) + change
    assert left == {each: at.place.exchange.worth("alice", each) for each in ("USDT", "BTC")}
    assert rows[0]["type"] == "TRANSFER_OUT"


def test_a_fee_from_a_third_coin_has_a_line_of_its_own_at_bybit():
    at = bybit_asking.venue({"USDT": "10000", "BTC": "1", "BNB": "5"})
    book = at.place.exchange.accounts["alice"]
    book.fee_from, book.fee_asset = "third", "BNB"
    at.placed(orderType="Market", qty="0.01", marketUnit="baseCoin", price=None)
    rows = at.get(LOG, limit=50, currency="BNB")["result"]["list"]
    (paid,) = [row for row in rows if row["type"] == "TRADE"]
    assert paid["cashFlow"] == "0"
    assert units(paid["fee"]) == -units(paid["change"])
    assert units(5) - units(paid["fee"]) == at.place.exchange.worth("alice", "BNB")


def test_bybits_log_is_for_keys_that_may_read_and_for_a_week_at_once():
    at = bybit_asking.venue()
    blind = make_key(at.place, "alice", {"trade"}, ())
    assert at.get(LOG, blind)["retCode"] == 10005
    span = {"startTime": START_MS - 8 * DAY_MS, "endTime": START_MS}
    assert at.get(LOG, **span)["retCode"] == 10001
    span["startTime"] += DAY_MS
    assert at.get(LOG, **span)["retCode"] == 0


# ---- Kraken


def test_a_fee_from_a_third_asset_has_an_entry_of_nothing_at_kraken():
    at = simulated_kraken()
    alice = at.client(USD="100000", BTC="2", USDT="1000")
    book = at.exchange.accounts["alice"]
    book.fee_from, book.fee_asset = "third", "USDT"
    at.exchange.prices["USDT/USD"] = units(1)
    alice.place(ordertype="market", price=None)
    rows = [row for row in alice.ask("Ledgers")["ledger"].values() if row["type"] == "trade"]
    (fee,) = [row for row in rows if row["asset"] == "USDT"]
    assert units(fee["amount"]) == 0
    assert units(1000) - units(fee["fee"]) == at.exchange.worth("alice", "USDT")
    assert len(rows) == 3
    assert len({row["refid"] for row in rows}) == 1


def test_krakens_ledger_needs_its_right_and_costs_two_calls():
    at = simulated_kraken(limits=True)
    blind = at.client(permissions=("query-funds", "modify-trades"))
    assert blind.refusal("Ledgers") == "EGeneral:Permission denied"
    bob = at.client("bob")
    for _ in range(10):
        bob.ask("Ledgers")
    assert bob.refusal("Ledgers") == "EAPI:Rate limit exceeded"


# ---- their owners, by hand


def test_an_owner_trades_by_hand_while_somebody_listens_at_binance():
    at = binance()
    told = at.subscribed()
    order = NewOrder(symbol="BTC/USDT", side=Side.BUY, kind=Kind.MARKET, quantity=units("0.01"))
    at.place.exchange.place("alice", order)
    assert {event["o"] for event in told.events("executionReport")} == {"MARKET"}
