"""What tests of hosts and nodes share."""

import pytest

from tradefleet.runtime import node


@pytest.fixture(autouse=True)
def unfrozen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A node that starts freezes all that other tests left; thawing that again slows the rest."""
    monkeypatch.setattr(node, "spare_the_collector", lambda: None)
