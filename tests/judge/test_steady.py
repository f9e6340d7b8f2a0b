"""What a steady run is judged by."""

from judge.processes.steady import Watched, wrong

GOOD = {
    "memory grew by": 0.004,
    "error rate": 0.0,
    "health ms p50, p95, max": [2.0, 11.0, 80.0],
    "stopped after s": 0.4,
    "exit code": 0,
    "log files": ["bot-2026-11-22.log", "bot.log", "error.log"],
    "balances that differ": 0,
    "left unsettled": {},
}


def test_memory_is_compared_once_it_is_warm():
    mib = 2**20
    watched = Watched(memory=[50 * mib] * 30 + [100 * mib] * 30 + [103 * mib] * 30)
    watched.health_ms = [1.0] * 95 + [200.0] * 5
    watched.asked, watched.failed["/api/v1/status 503"] = 1000, 2
    figures = watched.figures()
    assert figures["memory MiB, middle third and last"] == [100.0, 103.0]
    assert (figures["memory grew by"], figures["error rate"]) == (0.03, 0.002)
    assert figures["health ms p50, p95, max"] == [1.0, 1.0, 200.0]


def test_each_figure_that_is_not_as_it_should_be_is_told():
    assert wrong(GOOD) == []
    bad = {
        "memory grew by": -0.03,
        "error rate": 0.001,
        "health ms p50, p95, max": [2.0, 100.0, 200.0],
        "stopped after s": 11.0,
        "exit code": 70,
        "log files": ["bot.log"],
        "balances that differ": 1,
        "left unsettled": {"unknown": 1},
    }
    for name, value in bad.items():
        assert len(wrong({**GOOD, name: value})) == 1, name
