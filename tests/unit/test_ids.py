"""An order's name follows from what the order is, and tells nobody whose it is."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradefleet.domain.errors import BrokenInvariant, ensure
from tradefleet.domain.ids import client_order_id

KEY = b"k" * 32


def name(key=KEY, user="u1", account="a1", bot="b1", seq=1):
    return client_order_id(key, user, account, bot, seq)


def test_the_same_order_has_the_same_name_for_ever():
    # Written down, for a release that changed it would not find its own orders again.
    assert name() == "8371a0a919e4593a8d29cac4a9c3997a"


@pytest.mark.parametrize(
    "other",
    [
        {"key": b"another"},
        {"user": "u2"},
        {"account": "a2"},
        {"bot": "b2"},
        {"seq": 2},
    ],
)
def test_any_other_order_has_another_name(other):
    assert name(**other) != name()


@settings(deadline=None)
@given(st.text(), st.text(), st.text(), st.integers(0))
def test_a_name_is_legal_on_every_venue(user, account, bot, seq):
    assert re.fullmatch(r"[0-9a-f]{32}", name(user=user, account=account, bot=bot, seq=seq))


def test_what_cannot_be_true_is_our_own_bug():
    ensure(True, "fine")
    with pytest.raises(BrokenInvariant, match="two is not one"):
        ensure(False, "two is not one")
