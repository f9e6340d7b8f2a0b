"""Rival entries are ranked by score, then strength, then name."""

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.makers import BTC, ETH
from tradefleet.domain.market import Symbol
from tradefleet.domain.signal import Entry
from tradefleet.engine.universe import ranked

SOL = Symbol("SOL", "USDT")


def entry(score: int, strength: float = 0.0) -> Entry:
    return Entry(Decimal(90), Decimal("0.05"), score, strength, ())


def test_score_beats_strength_and_strength_beats_the_name():
    rivals = [
        (BTC, entry(3, 0.9)),
        (SOL, entry(4, 0.1)),
        (ETH, entry(4, 0.1)),
        (Symbol("XRP", "USDT"), entry(4, 0.2)),
    ]

    assert [str(symbol) for symbol, _ in ranked(rivals)] == [
        "XRP/USDT",
        "ETH/USDT",
        "SOL/USDT",
        "BTC/USDT",
    ]


def test_nothing_ranks_to_nothing():
    assert ranked([]) == []


@settings(deadline=None)
@given(st.permutations([(BTC, entry(3)), (ETH, entry(3)), (SOL, entry(4)), (SOL, entry(2))]))
def test_the_order_of_coming_does_not_matter(rivals):
    assert [s.base for s, _ in ranked(iter(rivals))] == ["SOL", "BTC", "ETH", "SOL"]
