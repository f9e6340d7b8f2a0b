"""The benchmark table: ours beside peers and floors, whoever is missing."""

import subprocess
from pathlib import Path

import pytest

from benchmarks import __main__ as table

BACKTEST = {
    "bars": 20_000,
    "ema_cross_bars_per_s": 500_000,
    "ema_cross_trades": 470,
    "apex_bars_per_s": 100_000,
    "floor_apex_bars_per_s": 200_000,
}
OURS = {
    "backtest": BACKTEST,
    "hot-path": {"decision_p99_ms": 40, "floor_decision_p99_ms": 100, "orders": 7},
    "journal": {"intents_per_s": 60_000, "floor_intents_per_s": 50_000},
    "accounts": {
        "mib_per_user": 0.1,
        "floor_mib_per_user": 0.5,
        "resident_mib": 900.0,
        "floor_resident_mib": 700,
    },
    "latency": {"entry_p99_ms": 7.5, "floor_entry_p99_ms": 5, "is_tls": True},
    "orders": {"own_orders_per_s": 9000, "floor_own_orders_per_s": 5000},
    "api": {"p95_ms": 4.5, "floor_p95_ms": 10},
    "live": {"kib_per_client": 31, "floor_kib_per_client": 40},
    "telegram": {"command_p99_ms": 20, "floor_command_p99_ms": 50},
}


@pytest.fixture
def benchmarks(monkeypatch):
    """Run the table over results that are set; peers is what the other engines' process does."""

    def run(capsys, peers, ours=OURS):
        def lines_of(command, **environment):
            if "benchmarks.peers" in command:
                return peers(command)
            if "benchmarks.telegram" in command:
                return [ours["telegram"]]
            return [ours[command[command.index("bench") + 1]]]

        monkeypatch.setattr(table, "lines_of", lines_of)
        monkeypatch.setattr(table, "PEER_PYTHON", Path(__file__))
        monkeypatch.setattr("sys.argv", ["benchmarks", "--quick"])
        code = table.main()
        return code, capsys.readouterr().out

    return run


def test_ours_stand_beside_peers_and_floors(benchmarks, capsys):
    def peers(command):
        return [{"version": "9", "bars_per_s": 25_000, "trades": 470}]

    code, text = benchmarks(capsys, peers)
    assert code == 0
    assert "nautilus_trader 9" in text
    assert "20.0 x" in text
    assert "200,000   MISSED" in text
    assert "100   held" in text
    assert "50,000   held" in text
    assert "0.1           0.5   held" in text
    assert "900.0           700   MISSED" in text
    assert "7.5             5   MISSED" in text
    assert "9,000         5,000   held" in text


@pytest.mark.parametrize(
    "error",
    [table.Failed("no such module"), OSError("gone"), subprocess.TimeoutExpired("peer", 1)],
)
def test_a_missing_peer_is_named_and_fails_nothing(benchmarks, capsys, error):
    def peers(command):
        raise error

    code, text = benchmarks(capsys, peers)
    assert code == 0
    assert text.count("missing: ") == 2


def test_a_failure_of_ours_fails_the_run_but_not_the_others(benchmarks, capsys, monkeypatch):
    class Broken(dict):
        def __missing__(self, name):
            raise table.Failed("it broke")

    ours = Broken({"journal": OURS["journal"]})
    code, text = benchmarks(capsys, lambda command: [], ours)
    assert code == 1
    assert text.count("failed: it broke") == 9
    assert "intents_per_s" in text


def test_a_process_that_fails_gives_its_last_words():
    with pytest.raises(table.Failed, match="No module named nothing_here"):
        table.lines_of([table.sys.executable, "-m", "nothing_here"])
    assert table.lines_of([table.sys.executable, "-c", "print('x\\n{}')"]) == [{}]
