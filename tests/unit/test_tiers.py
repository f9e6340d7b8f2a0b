"""Tiers as an operator writes them."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tradefleet.domain.errors import Refused
from tradefleet.domain.ids import UserId
from tradefleet.domain.limits import TIERS, RequestLimits
from tradefleet.domain.tiers import WronglyWritten, allowed_to, requests_from, tiers_from
from tradefleet.domain.user import User

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


def test_what_is_wrong_says_its_section_and_its_field():
    with pytest.raises(WronglyWritten) as wrong:
        tiers_from({"free": {"bots": 5}, "premium": {"bots": "many"}})
    assert (wrong.value.section, wrong.value.field) == ("premium", "bots")
    with pytest.raises(WronglyWritten) as wrong:
        tiers_from({"trial": {"bots": 1}})
    assert (wrong.value.section, wrong.value.field) == ("trial", "")


def test_a_tier_names_the_smallest_one_that_has_more():
    assert TIERS["free"].more_of("bots") == " The tier premium has 10."
    assert TIERS["premium"].more_of("bots") == " The tier enterprise has 50."
    assert TIERS["enterprise"].more_of("bots") == ""
    changed = tiers_from({"free": {"bots": 20}, "vast": {**NEW, "bots": 900}})
    assert changed["free"].more_of("bots") == " The tier enterprise has 50."
    assert changed["enterprise"].more_of("bots") == " The tier vast has 900."


def test_request_limits_are_a_section_beside_the_tiers():
    written = {"requests": {"anonymous_per_hour": 7}, "free": {"bots": 1}}
    assert requests_from(written) == RequestLimits(anonymous_per_hour=7)
    assert requests_from({}) == RequestLimits()
    assert set(tiers_from(written)) == set(TIERS)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ([], "one section per tier"),
        ({"requests": 3}, "requests must be a section"),
        ({"requests": {"anonymus_per_hour": 3}}, "did you mean anonymous_per_hour"),
        ({"requests": {"anonymous_per_hour": 0}}, "whole number from 1"),
        ({"requests": {"anonymous_per_hour": True}}, "whole number"),
        ({"requests": {"calls_per_minute_max": 3}}, "no limit 'calls_per_minute_max'"),
    ],
)
def test_request_limits_that_cannot_be_are_refused_with_the_cure(written, message):
    with pytest.raises(WronglyWritten, match=message):
        requests_from(written)


def test_what_the_operator_gave_a_user_wins_over_their_tier():
    alice = User(id=UserId("alice"), username="alice", created_at=datetime(2026, 1, 1, tzinfo=UTC))
    assert allowed_to(alice, TIERS) is TIERS["free"]
    given = allowed_to(replace(alice, overrides={"bots": 7, "of an older version": 3}), TIERS)
    assert given == replace(TIERS["free"], bots=7)
    assert given.more_of("bots") == " The tier premium has 10."
    gone = replace(alice, tier="gone", overrides={"bots": 7})
    assert allowed_to(gone, TIERS) == given, "a tier that is gone leaves nobody without limits"
    assert allowed_to(gone, {}) is None
