"""Tiers as an operator writes them."""

import pytest

from tradefleet.domain.errors import Refused
from tradefleet.domain.limits import TIERS
from tradefleet.domain.tiers import tiers_from

NEW = {
    "entries_per_day": 1,
    "open_positions": 1,
    "api_calls_per_minute": 1,
    "bots": 1,
    "signal_channels": 0,
}


def test_a_limit_that_is_written_replaces_the_built_in_one_alone():
    tiers = tiers_from({"premium": {"bots": 20, "custom_strategies": True}})
    assert (tiers["premium"].bots, tiers["premium"].custom_strategies) == (20, True)
    assert tiers["premium"].entries_per_day == TIERS["premium"].entries_per_day
    assert tiers["free"] == TIERS["free"]


def test_a_new_tier_says_all_numbers():
    assert tiers_from({"trial": NEW})["trial"].bots == 1
    with pytest.raises(Refused, match="also say: entries_per_day"):
        tiers_from({"trial": {"bots": 1}})


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ([], "one section per tier"),
        ({"free": 3}, "must be a section"),
        ({"free": {"bot": 3}}, "did you mean bots"),
        ({"free": {"xyzzy": 3}}, "choose from: entries_per_day"),
        ({"free": {"name": "x"}}, "no limit 'name'"),
        ({"free": {"bots": "3"}}, "whole number"),
        ({"free": {"bots": -1}}, "whole number"),
        ({"free": {"bots": True}}, "whole number"),
        ({"free": {"bots": 10_000_000}}, "whole number"),
        ({"free": {"priority": 1}}, "true or false"),
    ],
)
def test_what_cannot_be_is_refused_with_the_cure(written, message):
    with pytest.raises(Refused, match=message):
        tiers_from(written)
