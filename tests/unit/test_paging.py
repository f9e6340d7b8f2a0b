"""Cursors lead back to where they were made, and whatever else is given is refused."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradefleet.domain.errors import Refused
from tradefleet.domain.market import Symbol
from tradefleet.domain.paging import PAGE_MAX, Cursor, Page, page_of

AT = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)


@given(
    st.datetimes(timezones=st.just(UTC)),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1),
)
def test_a_cursor_leads_back_to_its_place(at, id):
    assert Cursor.parse(str(Cursor(at, id))) == Cursor(at, id)


@pytest.mark.parametrize(
    "text",
    ["x", "%%%", "ä", "MjAyNg", "MjAyNi0wMS0wMSB4", "", "MjAyNi0wMS0wMVQwMDowMDowMCswMDowMA"],
)
def test_what_is_no_cursor_is_refused(text):
    with pytest.raises(Refused, match="no cursor"):
        Cursor.parse(text)


@given(st.text())
def test_any_text_is_a_cursor_or_refused(text):
    try:
        assert Cursor.parse(text).at.tzinfo is not None
    except Refused as refusal:
        assert "no cursor" in str(refusal)


def test_a_page_begins_where_the_cursor_says():
    btc, place = Symbol("BTC", "USDT"), Cursor(AT, "o1")
    assert page_of(5) == Page(limit=5)
    assert page_of(5, str(place), AT, btc) == Page(limit=5, before=place, since=AT, symbol=btc)


@pytest.mark.parametrize("limit", [-1, 0, PAGE_MAX + 1])
def test_a_page_is_neither_empty_nor_too_long(limit):
    with pytest.raises(Refused, match=f"1 to {PAGE_MAX}"):
        page_of(limit)
