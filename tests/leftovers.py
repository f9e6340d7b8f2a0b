"""What a failing test leaves open is thrown away before the next test, which is not blamed for it.

A failure skips whatever the test would have closed. Its frames live on in the traceback, and what
they hold would complain during some later, innocent test: warnings are errors here.
"""

import gc
import sys
import warnings
from collections.abc import Generator

import pytest

FAILED = pytest.StashKey[bool]()
FOR_A_DEBUGGER = ("last_type", "last_value", "last_traceback", "last_exc")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        item.stash[FAILED] = True
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    done = yield
    if item.stash.get(FAILED, False):
        throw_away()
    return done


def throw_away() -> None:
    """Let go of the last failure, and of all that only it held, without a word."""
    told, sys.unraisablehook = sys.unraisablehook, lambda unraisable: None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for name in FOR_A_DEBUGGER:
                if hasattr(sys, name):
                    delattr(sys, name)
            gc.collect()
    finally:
        sys.unraisablehook = told
