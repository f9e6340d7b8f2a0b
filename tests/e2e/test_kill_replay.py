"""A replay killed with SIGKILL and resumed ends exactly as an undisturbed one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "kill_replay.py"


@pytest.mark.parametrize("strategy", ["apex", "ema_cross"])
def test_a_replay_that_is_killed_and_resumed_loses_and_doubles_nothing(strategy):
    words = ["--strategy", strategy, "--kills", "4", "--bars", "1200", "--seed", "11"]
    words += ["--start-up", "1.2", "--alive", "1.2", "--pace", "0.002"]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    verdict = json.loads(done.stdout)
    assert verdict["same_result"] and verdict["same_ledger"] and verdict["ledger_balanced"]
    assert verdict["trades"] > 5
    assert verdict["kills"] >= 1
