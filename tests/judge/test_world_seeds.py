"""Worlds that found a fault of the service, kept so that none of them comes back.

Each was seen to fail with the old behaviour and to be clean without it.
"""

import pytest

from judge import world
from judge.verdict import judge
from judge.world import Size, menu

KEPT = {
    "balances were never compared again once an order that was asked back proved absent": (
        1,
        "kraken",
        Size(users=3, kinds=(menu.REQUEST_LOST, menu.LOOKUP_LAG), seconds=(60, 200), users_max=2),
    ),
    "an entry that waited its turn while a kill switch was thrown left after it": (
        1,
        "bybit",
        Size(users=3, kinds=(menu.ANSWER_LOST,), kill_every=6, seconds=(150, 200), users_max=2),
    ),
    "an order that was taken back before it was sent set its bot aside": (
        3,
        "binance",
        Size(users=3, kinds=(menu.ANSWER_LOST,), seconds=(30, 60), users_max=2),
    ),
    "an entry whose send the database had lost lapsed before the venue was asked": (
        24,
        "kraken",
        Size(users=4, kinds=(menu.FAILOVER,), seconds=(120, 180), users_max=3),
    ),
}


@pytest.mark.parametrize("fault", KEPT)
def test_a_world_that_once_found_a_fault_finds_it_no_more(fault):
    seed, venue, size = KEPT[fault]
    played = world.play(seed, venue, size=size)
    verdict = judge(played.evidence)
    assert verdict.is_clean, verdict.findings[:3]
    assert played.settled and not played.deaths
