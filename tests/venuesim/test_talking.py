"""A client's script that never ends is ended, and the test says how far it came."""

import sys
from pathlib import Path

import pytest

from tests.venuesim.rig import simulated
from tests.venuesim.talking import told_by


async def test_a_client_that_waits_for_ever_is_ended_and_named():
    async with simulated("bybit") as sim:
        with pytest.raises(AssertionError, match=r"silent\.py was still running .* \['started'\]"):
            await told_by(Path(sys.executable), "silent.py", sim, {}, patience_s=1)
