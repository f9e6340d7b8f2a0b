"""The benchmark of the API: a small run of the whole service, and how it judges what came back."""

import json
from itertools import islice, pairwise

import pytest
from typer.testing import CliRunner

from tradefleet.domain.errors import BrokenInvariant
from tradefleet.surfaces.cli.app import build_app
from tradefleet.wiring import api_benches
from tradefleet.wiring.api_benches_load import Answered, arrivals
from tradefleet.wiring.parts import build_parts


@pytest.mark.slow
def test_the_api_is_measured_over_a_service_of_its_own(monkeypatch):
    monkeypatch.setattr(api_benches, "WARM_SECONDS", 0.5)
    words = ["bench", "api", "--bots", "6", "--per-second", "60", "--seconds", "1.5", "--json"]
    done = CliRunner().invoke(build_app(build_parts()), words)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["bots"], found["users"]) == (6, 2)
    assert 30 < found["requests_per_s"] < 90
    assert 0 < found["p50_ms"] <= found["p95_ms"] <= found["p99_ms"] <= found["max_ms"] < 30_000
    assert (found["floor_p95_ms"], found["floor_p99_ms"]) == (10, 25)


def test_requests_come_at_their_own_times_as_often_as_was_said():
    times = list(islice(arrivals(1000, seed=1), 20_000))
    assert times == sorted(times)
    assert 19 < times[-1] < 21
    waits = [after - before for before, after in pairwise(times)]
    assert 0.34 < sum(wait > 0.001 for wait in waits) / len(waits) < 0.40  # 1/e: they know nothing


def test_a_request_that_was_not_served_is_no_result():
    served = Answered("GET /a", 200, 0.001, 0.0)
    with pytest.raises(BrokenInvariant, match="1 requests were not served"):
        api_benches.judged([served, Answered("GET /a", 503, 0.001, 0.0)], 1)
    with pytest.raises(BrokenInvariant, match="nothing was asked"):
        api_benches.judged([], 1)


def test_reads_and_writes_are_told_apart():
    answered = [Answered("GET /a", 200, n / 1000, 0.0) for n in range(1, 101)]
    found = api_benches.judged([*answered, Answered("POST /b", 200, 0.5, 0.0)], 1)
    assert (found["p95_ms"], found["reading_p99_ms"]) == (95.0, 99.0)
    assert (found["writing_p99_ms"], found["max_ms"]) == (500.0, 500.0)


def test_the_mix_is_a_hundred_requests_and_each_write_has_a_key_of_its_own():
    assert sum(share for share, *_ in api_benches.MIX) == 100
    shots = [api_benches.shot_of(number, ["alice", "bob"], 80) for number in range(2000)]
    writes = [shot.wire for shot in shots if not shot.name.startswith("GET")]
    assert 50 < len(writes) < 150
    assert len({wire.partition(b"Idempotency-Key: ")[2].split()[0] for wire in writes}) == len(
        writes
    )
    assert {shot.name for shot in shots} == {
        f"{verb} {path}" for _, verb, path, _ in api_benches.MIX
    }
