"""Weeks and months: without gaps, without overlaps, the newest first."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tradefleet.domain.periods import months, weeks

MOMENTS = st.integers(946_684_800, 4_102_444_800).map(lambda n: datetime.fromtimestamp(n, UTC))


@given(MOMENTS, st.integers(1, 30))
def test_periods_follow_one_another_and_the_first_holds_now(now, number):
    for found in (weeks(now, number), months(now, number)):
        assert len(found) == number
        assert found[0].holds(now)
        assert all(a.since == b.until for a, b in pairwise(found))
        assert not found[0].holds(found[0].until)
    assert all(each.day.weekday() == 0 for each in weeks(now, number))
    assert all(each.day.day == 1 for each in months(now, number))


def test_the_turn_of_a_year():
    now = datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert [each.day for each in months(now, 3)] == [
        date(2026, 1, 1),
        date(2025, 12, 1),
        date(2025, 11, 1),
    ]
    assert weeks(now, 1)[0].day == date(2025, 12, 29)
    assert weeks(now, 1)[0].until - weeks(now, 1)[0].since == timedelta(days=7)
