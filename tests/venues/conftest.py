"""What tests of adapters share."""

import pytest
from aiohttp import ClientWSTimeout

from tradefleet.engine.pace import Backoff
from tradefleet.venues._ccxt import bells, lines, market


@pytest.fixture
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """What follows a pause of a stream does so, only sooner."""
    monkeypatch.setattr(bells, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(bells, "AGAIN", Backoff(0.1, 2.0, 120.0))
    monkeypatch.setattr(lines, "TALK_SECONDS", 0.02)
    monkeypatch.setattr(lines, "BACKOFF", Backoff(0.1, 2.0, 60.0))
    monkeypatch.setattr(lines, "CLOSING", ClientWSTimeout(ws_close=0.05))
    monkeypatch.setattr(market, "LOOK_SECONDS", 0.05)
