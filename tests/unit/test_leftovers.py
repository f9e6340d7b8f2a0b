"""A test that fails does not make another one fail."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTS = """
import gc
import socket


def test_one_fails_and_leaves_open_what_it_would_have_closed():
    opened = socket.socket()
    itself = [opened]
    itself.append(itself)  # only the collector frees it
    assert opened is None
    opened.close()


def test_one_is_innocent():
    gc.collect()


def test_one_leaves_something_open_and_fails_by_that():
    itself = [socket.socket()]
    itself.append(itself)
    del itself
    gc.collect()
"""


@pytest.mark.parametrize("plugin, failed", [("", 3), ("tests.leftovers", 2)])
def test_what_a_failing_test_leaves_open_is_no_later_tests_fault(tmp_path, plugin, failed):
    (tmp_path / "test_three.py").write_text(TESTS)
    chosen = ["-p", plugin] if plugin else []
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", *chosen],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"{failed} failed" in done.stdout, done.stdout
