"""A verdict is told: the matrix, the tables, the JSON, and the story of what went wrong."""

import json
from dataclasses import replace
from decimal import Decimal

import pytest

from judge.coverage import Coverage
from judge.finding import COUNTERS
from judge.report import as_json, plain, told
from judge.story import LINES, story
from judge.verdict import judge, merged
from tests.judge.made import Made, name_of, traded


def wrong() -> Made:
    """A run in which alice's bot buys twice, and everything is in the books."""
    made = traded()
    made.happened("fault", fault="answer lost", account_id="alice account", action="create")
    made.call(
        "alice", "create", client_id=name_of("alice", 5), status=0, fault="request lost"
    )  # fmt: skip
    made.trade("alice", 5, "buy", "0.09")
    for _ in range(6):
        made.wait(1)
        made.call("alice", "order", client_id=name_of("alice", 5), fault="answer lost")
    return made


def test_a_cell_of_the_matrix_is_a_crash_at_a_point_after_a_fault_at_a_venue():
    coverage = Coverage.of(traded().end())
    assert len(coverage.cells) == 4
    assert coverage.hits == {("P3", "answer lost", "binance"): 2}
    assert coverage.empty == [
        ("P3", "request lost", "binance"),
        ("P4", "request lost", "binance"),
        ("P4", "answer lost", "binance"),
    ]
    assert (coverage.is_full, coverage.fewest, coverage.total) == (False, 0, 2)


def test_a_crash_with_no_fault_before_it_fills_no_cell():
    made = traded()
    made.happened("crash", host="h", point="P4", fault="", venue="binance", account_id="")
    assert Coverage.of(made.end()).total == 2


def test_the_matrices_of_several_venues_stand_side_by_side():
    every = [Coverage.of(traded(venue).end()) for venue in ("kraken", "mt5", "kraken")]
    both = Coverage.merged(every)
    assert both.venues == ["kraken", "mt5"]
    assert (len(both.cells), len(both.empty)) == (8, 6)
    assert both.hits["P3", "answer lost", "kraken"] == 4
    full = replace(both, hits=dict.fromkeys(both.cells, 25))
    assert (full.is_full, full.fewest) == (True, 25)


def test_the_json_has_every_counter_and_no_surprise():
    verdict = judge(wrong().end())
    data = json.loads(as_json(verdict, seed=7))
    assert next(iter(data)) == "seed"
    assert set(data["must_be_zero"]) == set(COUNTERS)
    assert data["must_be_zero"]["exposure_violations"] == 1
    assert data["orders"] == 9
    assert data["faults"] == {"answer lost": 3}
    assert data["crashes"] == {"P3": 2}
    assert set(data["liveness_seconds"]) == {"unknown", "recovery", "unprotected"}
    assert data["coverage"]["matrix"]["binance"]["answer lost"] == {"P3": 2, "P4": 0}
    assert data["findings"][0]["counter"] == "exposure_violations"
    assert data["is_clean"] is False
    assert set(data["hashes"]) == {"binance"}


def test_the_same_run_has_the_same_hash_and_another_one_has_another():
    first, second = (judge(traded().end()).hashes for _ in range(2))
    assert first == second != judge(wrong().end()).hashes


def test_the_tables_say_what_is_not_zero_and_which_cells_are_empty():
    text = told(judge(wrong().end()))
    (line,) = [line for line in text.splitlines() if "must be 0" in line]
    assert line.split()[:2] == ["exposure_violations", "1"]
    assert "NOT CLEAN; 3 cells were not hit" in text
    assert "Crashes at binance" in text
    clean = told(judge(traded().end()))
    assert "must be 0" not in clean
    assert "\nCLEAN; 3 cells" in clean
    assert all(name in clean for name in COUNTERS)


def test_a_report_over_many_runs_shows_a_few_findings_and_how_many_more():
    many = merged([judge(wrong().end())] * 30)
    text = told(many)
    assert "Found (30)" in text
    assert "and 10 more" in text
    assert plain(many)["orders"] == 270


def test_a_story_is_about_the_order_of_the_first_finding():
    evidence = wrong().end()
    page = story(evidence, judge(evidence))
    text = "\n".join(page)
    assert page[0].startswith("Account alice account at binance, of alice: order #5 is ")
    order = [text.index(part) for part in (
        "decides to buy 0.09 ETH/USDT (entry): order #5",
        "writes down that order #5 is being sent (epoch 2, good for 5 s)",
        "accepts order #5 (order 1009, buy 0.09 ETH/USDT)",
        "order #5 buys 0.045 at 3000",
        "a question after order #5 [answer lost]: binance answers 200 (6 times, until",
        "In the end",
        "VERDICT      exposure_violations: bots hold and have ordered ETH/USDT for 540",
    )]  # fmt: skip
    assert order == sorted(order)
    assert "[request lost]: it never arrives" in text


def test_a_story_tells_crash_lease_and_recovery():
    evidence = wrong().end()
    text = "\n".join(story(evidence, judge(evidence)))
    assert "DIES at P3, after answer lost" in text
    assert "takes the user under epoch 2" in text
    assert "has taken everything up again" in text
    assert "of bob takes" not in text and "bob bot" not in text


def test_the_story_of_a_clean_run_is_of_its_busiest_order():
    made = wrong()
    evidence = made.end()
    owned = [
        replace(each, contracts=[replace(c, cost_max=10**18) for c in each.contracts])
        for each in evidence.owned
    ]
    evidence = replace(evidence, owned=owned)
    verdict = judge(evidence)
    assert verdict.is_clean
    page = story(evidence, verdict)
    assert name_of("alice", 5) in page[0]
    assert page[-1] == "VERDICT      nothing is wrong"


@pytest.mark.parametrize("limit", [8, 20, LINES])
def test_a_story_of_much_is_no_longer_than_a_page_and_keeps_what_matters(limit):
    made = Made()
    for seq in range(1, 100):
        made.trade("alice", seq, "buy" if seq % 2 else "sell", "0.1")
        made.wait(0.3)
        made.happened("fault", fault=f"fault {seq}", account_id="alice account", action="order")
    made.fills.pop(90)
    lost = made.fills[90].order_id
    evidence = made.end()
    page = story(evidence, judge(evidence), lines=limit)
    assert len(page) <= limit
    assert lost in page[0]
    assert any("accepts" in line for line in page)
    assert any("left out" in line for line in page)
    assert any(line.startswith("VERDICT") and "lost_fills" in line for line in page)


def test_a_finding_without_an_order_has_a_story_too():
    made = traded()
    made.happened("leak", where="the log", of="alice")
    made.held[1] = replace(made.held[1], quantity=Decimal(5))
    evidence = made.end()
    verdict = judge(evidence)
    for finding in verdict.findings:
        assert len(story(evidence, verdict, finding=finding)) > 5
    assert "bob" in story(evidence, verdict, finding=verdict.findings[1])[0]
