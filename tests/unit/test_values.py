"""A value changed in a few fields is the same as if it had been replaced."""

from dataclasses import replace
from decimal import Decimal

import pytest

from tests.makers import order
from tradefleet.domain.values import changed, updated


def test_changing_is_replacing():
    before = order()
    after = changed(before, filled=Decimal(1), note="half")

    assert after == replace(before, filled=Decimal(1), note="half")
    assert type(after) is type(before)
    assert (before.filled, before.note) == (0, "")


def test_a_field_that_is_not_there_cannot_be_changed():
    with pytest.raises(TypeError, match=r"Order has not all of the fields \['fill'\]"):
        changed(order(), fill=Decimal(1))


def test_a_value_that_is_so_already_stays_the_same_object():
    before = order()

    assert updated(before, filled=Decimal("0.0"), note=before.note) is before
    assert updated(before, filled=before.filled, note="half") == replace(before, note="half")
    with pytest.raises(TypeError, match="Order has not all of the fields"):
        updated(before, fill=Decimal(1))
