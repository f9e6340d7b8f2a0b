"""SIGTERM, as an orchestrator sends it: out within ten seconds, and what was ordered is done."""

import re
import signal
import time

import pytest
from aiohttp import ClientSession

from tests.e2e.test_serve import chat, service, start, wait_ready

__all__ = ["service"]  # the fixture

STOP_MAX = 10.0  # seconds; the files of deployments allow a little more
DONE_MAX = 30.0
ORDER = re.compile(r"ETH/USDT +buy +market .* (\w+) +[0-9a-f]{32}")


@pytest.mark.slow
async def test_a_stop_with_an_order_and_listeners_is_quick_and_loses_nothing(service):
    process, port, environment, folder = service
    async with ClientSession() as session:
        for _ in range(5):
            await session.ws_connect(f"http://127.0.0.1:{port}/api/v1/ws")
        assert "Ordered" in chat(service, "alice", "--yes", "/buy ETH/USDT 100")
        asked = time.monotonic()
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=STOP_MAX)
    assert time.monotonic() - asked < STOP_MAX
    assert process.returncode == 0
    assert "Stopped; everything is written down." in said
    again = start(folder, environment)
    try:
        wait_ready(again, port)
        deadline = time.monotonic() + DONE_MAX
        states: list[str] = []
        while states != ["done"] and time.monotonic() < deadline:
            states = ORDER.findall(chat(service, "alice", "/orders"))
            assert len(states) <= 1, "ordered once, done once"
        assert states == ["done"]
        again.send_signal(signal.SIGTERM)
        again.communicate(timeout=STOP_MAX)
        assert again.returncode == 0
    finally:
        if again.poll() is None:
            again.kill()
            again.communicate()
