"""Each counter of the verdict: evidence that trips it, and nothing else; clean evidence, none."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from judge.evidence import Evidence, Happened
from judge.finding import COUNTERS
from judge.verdict import judge, merged
from tests.judge.made import (
    ONE,
    USERS,
    Made,
    journal_again,
    name_of,
    traded,
    with_database,
)
from venuesim.orders import Kind
from venuesim.units import units

Trip = Callable[[], Evidence]


def raised(evidence: Evidence) -> dict[str, int]:
    return {name: value for name, value in judge(evidence).counters.items() if value}


@pytest.mark.parametrize("venue", ["kraken", "binance", "bybit", "mt5"])
@pytest.mark.parametrize("books", [{}, {"fee_from": "received"}, {"fill_parts": 5}])
def test_a_run_that_went_well_trips_nothing(venue, books):
    verdict = judge(traded(venue, **books).end())
    assert verdict.is_clean, verdict.findings
    assert set(verdict.counters) == set(COUNTERS)
    assert verdict.number("orders") == 8
    assert verdict.counted["crashes"] == {"P3": 2}


def test_a_third_asset_that_pays_fees_is_booked_and_trips_nothing():
    made = Made()
    for user in USERS:
        made.deposit(user, "BNB", "1")
        account = made.exchange.accounts[f"{user} there"]
        account.fee_from, account.fee_asset = "third", "BNB"
        made.trade(user, 1, "buy", "0.1")
    assert {fill.fee_asset for fill in made.fills} == {"BNB"}
    assert raised(made.end()) == {}


def test_dust_that_is_left_over_many_times_is_no_exposure():
    made = Made(fee_from="received")
    for seq in range(1, 200, 2):
        made.trade("alice", seq, "buy", "0.1")
        made.trade("alice", seq + 1, "sell", "0.098")
        made.wait(1)
    assert raised(made.end()) == {}


# ------------------------------------------------------------------ exposure


def doubled() -> Evidence:
    """A second entry on top of the first, known to the database and all."""
    made = traded()
    made.trade("alice", 5, "buy", "0.09")
    return made.end()


def ordered_twice() -> Evidence:
    """Two limit buys wait at the same time; neither trades."""
    made = traded()
    for seq in (1, 2):
        order = made.place(
            "bob", 10 + seq, "buy", "0.1", kind=Kind.LIMIT, price=units("2000"), lifetime="gtc"
        )
        made.store("bob", 10 + seq, order)
    return made.end(after_seconds=100)


def offered_twice() -> Evidence:
    """A market sale goes out while the stop for all of it still waits: the owner has more."""
    made = traded()
    made.deposit("alice", "ETH", "1")
    made.trade("alice", 5, "sell", "0.05")
    made.held.clear()
    return made.end()


def oversold() -> Evidence:
    """More is sold than the bots have bought, out of what is the owner's own."""
    made = Made()
    made.deposit("alice", "ETH", "1")
    made.trade("alice", 1, "buy", "0.1")
    made.trade("alice", 2, "sell", "0.2")
    return made.end()


@pytest.mark.parametrize("trip", [doubled, ordered_twice, offered_twice, oversold])
def test_more_than_a_strategy_allows_is_found(trip):
    assert set(raised(trip())) == {"exposure_violations"}


def test_exposure_is_judged_without_any_client_id():
    made = traded()
    first = made.place("alice", 0, "buy", "0.09", name="")
    evidence = made.end()
    found = [f for f in judge(evidence).findings if f.counter == "exposure_violations"]
    assert [finding.orders[0] for finding in found] == [f"number {first.id}"]
    assert found[0].account_id == "alice account"


def test_what_the_owner_buys_and_sells_by_hand_is_no_exposure():
    made = traded()
    made.deposit("alice", "ETH", "1")
    for side in ("buy", "buy", "sell"):
        order = made.place("alice", 0, side, "0.2", name="")
        made.happened("manual", account_id="alice account", order=str(order.id))
        for trade in order.trades:
            made.enter("alice", trade, "external:own")
    assert raised(made.end()) == {}


def test_a_symbol_no_strategy_trades_must_not_be_bought():
    evidence = traded().end()
    owned = [replace(each, contracts=()) for each in evidence.owned]
    assert raised(replace(evidence, owned=owned))["exposure_violations"] == 4


# -------------------------------------------------------------- orders and ids


def test_a_client_id_that_is_accepted_twice_is_found():
    made = Made(fill_parts=1)
    made.trade("alice", 1, "buy", "0.05")
    (trade,) = made.place("alice", 1, "buy", "0.05").trades
    made.book("alice", trade, made.orders[0])
    made.orders[0] = replace(made.orders[0], filled=Decimal("0.1"))
    assert raised(made.end()) == {"duplicate_cid": 1}


def test_two_orders_for_one_decision_are_found():
    made = traded()
    first, second = made.orders[0], made.orders[1]
    made.orders[1] = replace(second, seq=first.seq)
    assert raised(made.end()) == {"double_decision": 1}


@pytest.mark.parametrize(
    "changes", [{"quantity": Decimal("0.2")}, {"side": "sell"}, {"symbol": "BNB/USDT"}]
)
def test_an_order_that_is_not_the_one_that_was_decided_is_found(changes):
    made = traded()
    made.orders[4] = replace(made.orders[4], **changes)
    assert raised(made.end()) == {"altered_orders": 1}


def test_an_order_the_database_does_not_know_is_found():
    made = traded()
    made.orders = [order for order in made.orders if order.state != "open"]
    assert raised(made.end()) == {"orphan_orders": 2}


@pytest.mark.parametrize("state", ["open", "done"])
def test_an_order_the_venue_never_had_is_found(state):
    made = traded()
    never = replace(made.orders[0], id="never there", seq=9, state=state, filled=Decimal(0))
    made.orders.append(never)
    found = raised(made.end())
    assert found.pop("phantom_orders") == 1
    assert set(found) <= {"stuck_intents"}


@pytest.mark.parametrize("state", ["sending", "unknown", "quarantined", "closing", "created"])
def test_an_order_without_an_end_is_found_long_after_the_last_fault(state):
    made = traded()
    waits = replace(made.orders[0], id="nobody knows", seq=9, state=state, filled=Decimal(0))
    made.orders.append(waits)
    found = raised(made.end())
    assert found["stuck_intents"] == 1
    assert set(found) <= {"stuck_intents", "phantom_orders"}


def test_an_order_may_wait_for_an_end_shortly_after_a_fault_and_longer_at_mt5():
    for venue, seconds, stuck in (("binance", 200, 0), ("mt5", 500, 0), ("mt5", 900, 1)):
        made = traded(venue)
        made.orders.append(replace(made.orders[0], id="x", seq=9, state="unknown"))
        assert judge(made.end(seconds)).counters["stuck_intents"] == stuck


def test_an_order_that_is_open_here_and_over_there_is_stuck():
    made = traded()
    stop = made.exchange.find("alice there", client_id=name_of("alice", 4))
    assert stop is not None
    made.exchange.cancel("alice there", stop)
    assert raised(made.end()) == {"stuck_intents": 1}


@pytest.mark.parametrize("state", ["done", "absent", "rejected", "void"])
def test_an_order_that_is_over_here_and_live_there_is_found(state):
    made = traded()
    made.orders = [replace(o, state=state) if o.state == "open" else o for o in made.orders]
    assert raised(made.end()) == {"assumed_final": 2}


@pytest.mark.parametrize("state", ["absent", "rejected", "void"])
def test_an_order_that_traded_though_it_is_held_to_be_nothing_is_found(state):
    made = traded()
    made.orders[0] = replace(made.orders[0], state=state)
    assert raised(made.end()) == {"assumed_final": 1}


def test_an_order_a_venue_numbered_and_then_refused_is_no_orphan_and_no_phantom():
    made = traded("bybit")
    evidence = made.end()

    def refused(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
        stop = next(line for line in lines if line.get("order_kind") == "stop_market")
        told = {**stop, "order": 9999, "client_id": "", "what": "rejected", "status": "canceled"}
        return [*lines[:-1], {**told, "at_ms": lines[-2]["at_ms"]}, lines[-1]]

    assert raised(journal_again(evidence, refused)) == {}


def test_an_order_that_is_done_with_less_than_the_venue_traded_is_found():
    made = traded()
    made.orders[0] = replace(made.orders[0], filled=Decimal("0.05"))
    assert raised(made.end()) == {"closing_mismatch": 1}


# ------------------------------------------------------------------------ money


def test_a_trade_that_is_not_booked_is_found():
    made = traded()
    gone = made.fills.pop(0)
    found = raised(made.end())
    assert found["lost_fills"] == 1
    assert gone.order_id == made.orders[0].id
    assert set(found) == {"lost_fills", "closing_mismatch"}


def test_a_fill_that_is_booked_twice_is_found():
    made = traded()
    made.fills.append(replace(made.fills[0], id="again"))
    assert raised(made.end())["double_fills"] == 1


def test_a_fill_of_nothing_is_found():
    made = traded()
    made.fills.append(replace(made.fills[0], id="T1", order_id="no such order"))
    found = raised(made.end())
    assert found.pop("double_fills") == 1
    assert set(found) == {"fee_diff_units"}  # and its fee is in no entry of the ledger


def test_a_wrong_fee_is_found_to_the_unit():
    made = traded()
    made.fills[0] = replace(made.fills[0], fee=made.fills[0].fee + 7 * ONE)
    # Both against the venue's trade and against the ledger's entry.
    assert raised(made.end()) == {"fee_diff_units": 7 + 7}


def test_a_fee_that_is_in_the_fill_and_not_in_the_ledger_is_found_whatever_makes_up_for_it():
    made = traded()
    (fee,) = {fill.fee for fill in made.fills[:1]}
    made.postings = [
        replace(each, place="external") if each.place == "fees" and each.amount == fee else each
        for each in made.postings
    ]
    assert set(raised(made.end())) == {"fee_diff_units"}


def test_a_fee_in_the_wrong_asset_is_found():
    made = traded()
    fee = made.fills[0].fee
    made.fills[0] = replace(made.fills[0], fee_asset="BNB")
    assert raised(made.end()) == {"fee_diff_units": 3 * int(fee / ONE)}


def test_a_ledger_that_differs_from_the_venue_by_a_unit_is_found_by_asset():
    made = traded()
    made.postings[3] = replace(made.postings[3], amount=made.postings[3].amount + ONE)
    made.postings[2] = replace(made.postings[2], amount=made.postings[2].amount - ONE)
    verdict = judge(made.end())
    assert {n: v for n, v in verdict.counters.items() if v} == {"ledger_diff_units": 1}
    assert verdict.ledger_diff == {"USDT": 1}


def test_money_the_ledger_never_heard_of_is_found():
    made = traded()
    made.exchange.deposit("bob there", "BNB", 5)
    assert raised(made.end()) == {"ledger_diff_units": 5}


def test_an_entry_that_does_not_balance_is_found():
    made = traded()
    at = next(n for n, posting in enumerate(made.postings) if posting.place == "market")
    made.postings[at] = replace(made.postings[at], amount=made.postings[at].amount + ONE)
    assert raised(made.end()) == {"unbalanced_tx": 1}


def test_a_bot_that_counts_on_more_than_its_ledger_place_has_is_found():
    made = traded()
    made.held[0] = replace(made.held[0], quantity=Decimal("0.0901") + ONE)
    assert raised(made.end()) == {"position_diff_units": 1}


def test_money_that_stays_set_apart_is_found():
    made = traded()
    made.happened("reserved", account_id="bob account", bot_id="bob bot", amount="0", order="x")
    made.happened("reserved", account_id="bob account", bot_id="bob bot", amount="12.5", order="x")
    assert raised(made.end()) == {"unreleased_reservations": 1}


# --------------------------------------------------------------------- promises


def after_kill(
    seconds: float, venue: str = "binance", *, on_its_way: bool = False, **kill: object
) -> Evidence:
    """An order that comes so long after a kill switch, armed then or on its way before."""
    made = traded(venue)
    before = made.clock.now_ms()
    made.happened("kill", **{"user_id": "alice", "scope": "user", "mode": "no new", **kill})
    made.wait(seconds)
    order = made.place("alice", 5, "buy", "0.01")
    changes = {"sent_ms": before} if on_its_way else {}
    stored = made.store("alice", 5, order, **changes)
    for trade in order.trades:
        made.book("alice", trade, stored)
    return made.end()


@pytest.mark.parametrize("over", [{}, {"user_id": ""}, {"account_id": "alice account"}])
def test_an_opening_order_after_a_kill_switch_and_its_deadline_is_found(over):
    assert raised(after_kill(6, **over)) == {"kill_violations": 1}


def test_an_order_that_is_armed_after_a_kill_switch_is_found_though_it_comes_in_time():
    assert raised(after_kill(2)) == {"kill_violations": 1}
    assert raised(after_kill(2, on_its_way=True)) == {}


def test_what_a_kill_switch_does_not_forbid_is_not_found():
    for evidence in (
        after_kill(5, on_its_way=True),
        after_kill(6, user_id="bob"),
        after_kill(6, bot_id="bob bot"),
        after_kill(100, "mt5", on_its_way=True),
    ):
        assert raised(evidence) == {}
    made = traded()
    made.happened("kill", user_id="alice", scope="user", mode="no new")
    made.wait(60)
    stop = made.exchange.find("alice there", client_id=name_of("alice", 4))
    assert stop is not None
    made.exchange.cancel("alice there", stop)
    made.orders = [replace(o, state="done") if o.id == stop.client_id else o for o in made.orders]
    made.trade("alice", 5, "sell", "0.05", name=name_of("alice", 5))
    made.happened("released", user_id="alice")
    made.wait(60)
    made.trade("alice", 6, "buy", "0.01", name=name_of("alice", 6))
    made.held.clear()
    assert raised(made.end()) == {}


def of_the_overtaken(seconds: float, venue: str = "binance", **changes: Any) -> Evidence:
    made = traded(venue)
    sent = made.clock.now_ms()
    made.happened("lease", user_id="bob", host="host 2", epoch=3)
    made.wait(seconds)
    order = made.place("bob", 5, "buy", "0.01")
    given = {"sent_ms": sent, "deadline_ms": sent + 500_000, **changes}
    stored = made.store("bob", 5, order, **given)
    for trade in order.trades:
        made.book("bob", trade, stored)
    return made.end()


def test_an_order_of_a_host_that_was_overtaken_long_before_is_found():
    assert raised(of_the_overtaken(6)) == {"fence_violations": 1}
    assert raised(of_the_overtaken(200, "mt5")) == {"fence_violations": 1}


def test_an_order_that_was_on_its_way_at_a_takeover_is_fine_until_its_deadline():
    assert raised(of_the_overtaken(5)) == {}
    assert raised(of_the_overtaken(170, "mt5")) == {}
    assert raised(of_the_overtaken(100, epoch=3)) == {}


def test_an_order_that_is_accepted_after_its_own_deadline_is_found():
    made = traded()
    sent = made.orders[4].sent_ms
    assert sent is not None
    made.orders[4] = replace(made.orders[4], sent_ms=sent - 10_000, deadline_ms=sent - 5_000)
    assert raised(made.end()) == {"fence_violations": 1}


def test_a_wrong_clock_is_borne_with_as_far_as_clocks_can_be_wrong():
    made = traded()
    sent = made.orders[4].sent_ms
    assert sent is not None
    made.orders[4] = replace(made.orders[4], sent_ms=sent - 7_000, deadline_ms=sent - 2_000)
    assert raised(made.end()) == {"fence_violations": 1}
    made.happened("fault", fault="clock skew", account_id="", action="clock")
    made.diary.sort(key=lambda each: each.at_ms)
    assert "fence_violations" not in raised(made.end())


@pytest.mark.parametrize(
    ("counter", "line"),
    [
        ("nonce_errors", {"status": 200, "code": "EAPI:Invalid nonce"}),
        ("bans", {"status": 418, "code": "banned"}),
        ("bans", {"status": 429}),
        ("bans", {"status": 200, "code": "EAPI:Rate limit exceeded"}),
    ],
)
def test_what_a_venue_refuses_for_nonce_or_number_is_found(counter, line):
    made = traded()
    made.call("alice", "balance", **line)
    made.call("alice", "create", status=400, code="insufficient balance")
    assert raised(made.end()) == {counter: 1}


def test_a_nonce_that_the_network_or_a_standstill_made_late_is_no_error_of_ours():
    made = traded()
    refused = {"status": 200, "code": "invalid nonce"}
    for fault in ("request delayed, 20 s", "request duplicated"):
        made.call("alice", "orders", fault=fault, **refused)
    made.happened("frozen", host="host of alice", seconds=30)
    made.wait(30)
    made.happened("thawed", host="host of alice")
    made.wait(1)
    made.call("alice", "orders", **refused)
    assert raised(made.end()) == {}
    made.wait(5)
    made.call("alice", "orders", **refused)
    assert raised(made.end()) == {"nonce_errors": 1}
    late = {"fault": "request delayed", "account_id": "alice account", "action": "order"}
    made.diary.insert(-3, replace(made.diary[-3], kind="fault", fields={**late, "host": "h"}))
    assert raised(made.end()) == {}


def test_positions_without_a_stop_are_found_from_the_99th_percentile_on():
    made = traded()
    made.happened("unprotected", account_id="alice account", symbol="ETH/USDT", seconds=9.0)
    assert raised(made.end()) == {}
    made = traded()
    for user in USERS:
        for _ in range(2):
            made.happened("unprotected", account_id=f"{user} account", symbol="X", seconds=9.0)
    assert raised(made.end()) == {"unprotected_seconds": 4}
    verdict = judge(made.end())
    assert merged([verdict] + [judge(traded().end())] * 200).counters["unprotected_seconds"] == 0
    assert merged([verdict] * 3).counters["unprotected_seconds"] == 4


# ------------------------------------------------------------- owners and secrets


def test_an_order_that_bears_the_id_of_another_owner_is_found():
    made = traded()
    made.place("bob", 0, "buy", "0.002", name=name_of("alice", 1))
    found = raised(made.end())
    assert found["cross_tenant"] == 1
    assert "orphan_orders" not in found


@pytest.mark.parametrize("table", ["orders", "fills", "postings", "held"])
def test_a_row_of_another_owner_is_found(table):
    evidence = traded().end()
    rows = list(getattr(evidence.database, table))
    rows[0] = replace(rows[0], user_id="bob")
    assert "cross_tenant" in raised(with_database(evidence, **{table: rows}))


def test_a_secret_that_got_out_is_found():
    made = traded()
    made.happened("leak", where="the log", of="alice")
    assert raised(made.end()) == {"secret_leaks": 1}
    made = traded()
    made.call("alice", "other", path="/x?key=secret-of-bob-0123456789&y=1")
    assert raised(made.end()) == {"secret_leaks": 1}


# -------------------------------------------------------------------- journals


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: lines[1:],
        lambda lines: lines[:5] + lines[6:],
        lambda lines: [*lines[:5], lines[6], lines[5], *lines[7:]],
        lambda lines: [*lines[:5], {**lines[5], "at_ms": 1}, *lines[6:]],
        lambda lines: [*lines[:5], {k: v for k, v in lines[5].items() if k != "hash"}, *lines[6:]],
    ],
)
def test_a_journal_that_was_changed_is_found(change):
    evidence = traded().end()
    (lines,) = evidence.journals.values()
    assert raised(replace(evidence, journals={"binance": change(list(lines))}))["broken_journals"]


def test_a_venue_without_a_journal_is_found():
    assert raised(replace(traded().end(), journals={}))["broken_journals"] == 1


def test_what_makes_a_takeover_and_a_zombie():
    made = traded()
    made.happened("lease", user_id="alice", host="host 2", epoch=3)  # the host before lives
    made.happened("crash", host="host 2", point="P0", fault="", venue="", account_id="")
    made.happened("lease", user_id="alice", host="host 3", epoch=4)
    verdict = judge(made.end())
    assert (verdict.number("takeovers"), verdict.number("zombies")) == (2, 1)


def test_how_long_recovery_takes_is_from_the_crash_to_the_user_run_again():
    made = traded()
    gone = {"host": "host of alice", "point": "P0", "fault": "", "venue": "", "account_id": ""}
    made.happened("crash", **gone)
    made.wait(20)
    made.happened("lease", user_id="alice", host="host 2", epoch=3)
    made.wait(1.5)
    made.happened("recovered", user_id="alice", host="host 2")
    made.happened("unknown", account_id="alice account", order="x", seconds=3.5)
    liveness = judge(made.end()).liveness
    assert (liveness["recovery"].count, liveness["recovery"].max) == (3, 21.5)
    assert liveness["unknown"].max == 3.5


def test_time_in_doubt_is_read_from_the_journal_where_nobody_tells_it():
    made = traded()
    made.call("alice", "create", client_id="lost", status=0, fault="request lost")
    for seconds in (2, 20):
        made.wait(seconds)
        made.call("alice", "order", client_id="lost")
    made.call("alice", "create", client_id=name_of("bob", 1), status=0, fault="answer lost")
    made.wait(3)
    made.call("alice", "order", client_id=name_of("bob", 1), fault="answer lost", status=200)
    made.wait(1)
    made.call("alice", "order", client_id=name_of("bob", 1))
    made.wait(9)
    made.call("alice", "order", client_id=name_of("bob", 1))
    unknown = judge(made.end()).liveness["unknown"]
    assert (unknown.count, unknown.p50, unknown.max) == (2, 4.0, 22.0)


def test_many_verdicts_add_up():
    one, two = judge(traded().end()), judge(doubled())
    both = merged([one, two])
    assert both.number("orders") == one.number("orders") + two.number("orders")
    assert both.counters["exposure_violations"] == 1
    assert not both.is_clean and one.is_clean
    assert both.counted["faults"] == {"answer lost": 4}
    assert both.coverage.total == 4


def test_a_happening_of_the_future_is_no_error():
    evidence = traded().end()
    evidence.diary = [*evidence.diary, Happened(at_ms=1, kind="a word nobody knows")]
    assert judge(evidence).is_clean
