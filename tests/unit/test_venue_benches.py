"""The benchmarks of real venues, in a small size: they come to figures, and judge them right."""

import json

import pytest
from typer.testing import CliRunner

from tradefleet.domain.errors import BrokenInvariant
from tradefleet.surfaces.cli.app import build_app
from tradefleet.wiring import venue_benches
from tradefleet.wiring.parts import build_parts
from tradefleet.wiring.venue_benches_latency import UNCOUNTED, Move, Request, judged


def bench(*words: str) -> dict[str, object]:
    done = CliRunner().invoke(build_app(build_parts()), ["bench", *words, "--json"])
    assert done.exit_code == 0, done.output
    found: dict[str, object] = json.loads(done.stdout)
    return found


@pytest.mark.slow
def test_connected_accounts_are_measured_in_a_process_of_their_own(monkeypatch):
    monkeypatch.setattr("tradefleet.wiring.venue_benches.SETTLED_AFTER", 0.1)
    monkeypatch.setattr(venue_benches.accounts, "__defaults__", (10,))  # pairs of the venue
    found = bench("accounts", "--users", "3", "--bots", "2", "--symbols", "2")
    assert (found["users"], found["bots"], found["private_connections"]) == (3, 6, 1)
    assert 20 < found["resident_without_users_mib"] < found["resident_mib"] + 20 < 500
    assert 0 < found["ready_cpu_s"] < 60


@pytest.mark.slow
def test_the_way_of_a_signal_is_measured_from_the_venue_to_the_venue():
    found = bench("latency", "--moves", "2", "--tls")
    assert 0 < found["entry_p50_ms"] <= found["entry_p99_ms"] < 5000
    assert 0 < found["exit_p50_ms"] <= found["exit_p99_ms"] < 5000
    assert found["floor_entry_p99_ms"] == found["floor_exit_p99_ms"] == 5


@pytest.mark.slow
def test_orders_are_measured_our_way_and_ccxts_beside_the_bare_wire():
    found = bench("orders", "--orders", "200")
    assert found["bare_orders_per_s"] > found["own_orders_per_s"] > found["ccxt_orders_per_s"] > 0
    assert found["own_orders_per_s"] > found["journaled_orders_per_s"] > 0


MOVES = [
    Move(1_000_000 * number, 1_000_000 * number + 20_000, number % 2 == 0)
    for number in range(UNCOUNTED + 2)
]


def answers(*late_us: int) -> list[Request]:
    """Two accounts: one answers each move after 1 ms, the other so much later."""
    found = []
    for move, late in zip(MOVES, late_us, strict=True):
        found += [Request(move.at_us + 1000, "a"), Request(move.at_us + 1000 + late, "b")]
        found.append(Request(move.at_us + 500_000, "a"))  # what follows does not count
    return found


def test_the_first_and_the_last_order_of_a_move_are_told_apart():
    found = judged(MOVES, answers(9, 9, 2000, 4000), 2)
    assert (found["entry_first_ms"], found["entry_last_ms"]) == (1.0, 3.0)
    assert (found["exit_first_ms"], found["exit_last_ms"]) == (1.0, 5.0)


def test_a_move_that_somebody_did_not_follow_is_no_result():
    missing = [request for request in answers(9, 9, 9, 9) if request.account == "a"]
    with pytest.raises(BrokenInvariant, match="1 of 2 accounts"):
        judged(MOVES, missing, 2)


def test_a_move_that_the_venue_told_before_its_tick_is_not_counted():
    asked = answers(9, 9, 9, 9)
    early = [Request(MOVES[2].bar_us + 5000, "a"), *asked]
    more = [*MOVES, Move(9_000_000, 9_020_000, is_entry=True)]
    found = judged(more, [*early, Request(9_021_000, "a"), Request(9_021_000, "b")], 2)
    assert (found["early"], found["entry_first_ms"]) == (1, 1.0)
