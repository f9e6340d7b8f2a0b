"""Recorded bars: what is read exactly, and what is refused with its line and cure."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal, localcontext

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradefleet.domain.errors import Refused
from tradefleet.domain.market import Bar, Timeframe
from tradefleet.simulation.recorded import count_gaps, read_bars

FIVE_MINUTES = Timeframe(300)
HEADER = "opened_at,open,high,low,close,volume"
ROW = "2018-01-10T04:55:00Z,0.0984,0.0994766,0.09828605,0.0994766,1820.544474"
NEXT = "2018-01-10T05:00:00Z,0.09946999,0.0997238,0.099,0.09969,0"
FIRST_BAR = Bar(
    datetime(2018, 1, 10, 4, 55, tzinfo=UTC),
    Decimal("0.0984"),
    Decimal("0.0994766"),
    Decimal("0.09828605"),
    Decimal("0.0994766"),
    Decimal("1820.544474"),
)


def read(*lines: str, timeframe: Timeframe = FIVE_MINUTES) -> list[Bar]:
    return read_bars(lines, timeframe)


def refusal_of(*lines: str) -> str:
    with pytest.raises(Refused) as refused:
        read(*lines)
    return str(refused.value)


def at(time: str) -> str:
    return f"{time},1,2,1,2,3"


def priced(numbers: str) -> str:
    return f"2018-01-10T04:55:00Z,{numbers}"


# ---- what is read


def test_a_bar_is_read_exactly_as_written_with_the_same_numbers_as_floats():
    (bar,) = read(HEADER, ROW)
    assert bar == FIRST_BAR
    assert bar.numbers == FIRST_BAR.numbers
    assert str(bar.low) == "0.09828605"


def test_columns_are_found_by_name_in_any_order_and_others_are_ignored():
    lines = [
        "Close, volume ,trades,opened_at,low,high,open",
        "0.0994766,1820.544474,n/a,2018-01-10T04:55:00Z,0.09828605,0.0994766,0.0984",
    ]
    assert read(*lines) == [FIRST_BAR]


def test_a_byte_order_mark_blank_lines_windows_line_ends_and_quotes_change_nothing():
    quoted = ",".join(f'"{field}"' for field in ROW.split(","))
    lines = ["\ufeff\r\n", f"{HEADER}\r\n", "\r\n", f"{quoted}\r\n", "  \n", NEXT]
    assert read(*lines) == read(HEADER, ROW, NEXT)
    assert read("\ufeff" + HEADER, ROW) == [FIRST_BAR]


@pytest.mark.parametrize(
    "time",
    [
        "2018-01-10T04:55:00Z",
        "2018-01-10 04:55:00+00:00",
        "2018-01-10T06:55:00+02:00",
        " 2018-01-09T23:55-05:00 ",
        "1515560100",
        "1515560100.0",
        "1515560100000",
        "1515560100000000",
    ],
)
def test_a_time_is_iso_8601_with_a_zone_or_a_count_since_1970(time):
    (bar,) = read(HEADER, at(time))
    assert bar.opened_at == FIRST_BAR.opened_at
    assert bar.opened_at.tzinfo is UTC


def test_what_others_did_to_the_decimal_context_changes_no_digit():
    with localcontext() as context:
        context.prec = 3
        assert read(HEADER, ROW) == [FIRST_BAR]


prices = st.decimals("1e-8", "1e6", allow_nan=False, places=8)


@settings(deadline=None)
@given(st.lists(prices, min_size=4, max_size=4), st.decimals(0, "1e9", places=8))
def test_whatever_bar_is_written_is_read_back(four, volume):
    low, open_, close, high = sorted(four)
    (bar,) = read(HEADER, priced(f"{open_},{high},{low},{close},{volume}"))
    written = Bar(FIRST_BAR.opened_at, open_, high, low, close, volume)
    assert bar == written
    assert bar.numbers == written.numbers


def test_gaps_are_counted_by_place_not_by_missing_bar():
    times = ["00:00", "00:05", "00:20", "00:25", "00:31"]
    bars = read(HEADER, *(at(f"2018-01-10T{time}:00Z") for time in times))
    assert count_gaps(bars, FIVE_MINUTES) == 2
    assert count_gaps(bars[:1], FIVE_MINUTES) == 0


def test_a_hundred_thousand_bars_are_read_in_order():
    start = 1515560100
    bars = read(HEADER, *(at(str(start + 300 * i)) for i in range(100_000)))
    assert len(bars) == 100_000
    assert bars[-1].opened_at - bars[0].opened_at == timedelta(seconds=300 * 99_999)


# ---- what is refused


def test_an_empty_file_and_one_without_bars_are_refused():
    assert HEADER in refusal_of()
    assert HEADER in refusal_of("\n", "\r\n")
    assert "no bars" in refusal_of(HEADER, "\n")


def test_missing_columns_are_named():
    text = refusal_of("opened_at,open,high,last", ROW)
    assert text.startswith("Line 1 ")
    assert "missing: low, close, volume." in text
    assert "missing: opened_at" in refusal_of(ROW)
    assert "separated by commas" in refusal_of(HEADER.replace(",", ";"), ROW)


def test_a_column_named_twice_is_refused():
    assert "names close twice" in refusal_of(HEADER + ",close", ROW + ",1")


@pytest.mark.parametrize("row", [ROW + ",1", "2018-01-10T04:55:00Z,1,2,1", "1,5"])
def test_a_row_with_more_or_fewer_fields_than_the_header_is_refused(row):
    assert refusal_of(HEADER, "", row).startswith("Line 3 has ")


@pytest.mark.parametrize(
    ("times", "says"),
    [
        (("2018-01-10T04:55:00Z", "2018-01-10T04:55:00Z"), "twice; remove one"),
        (("2018-01-10T04:55:00Z", "2018-01-10T04:50:00Z"), "sort the file"),
        (
            ("2018-01-10T04:55:00Z", "2018-01-10T04:56:00Z"),
            "opens 60 s after the bar before, less than the timeframe of 5m; name the file's own",
        ),
    ],
)
def test_bars_out_of_place_are_refused_with_their_line(times, says):
    text = refusal_of(HEADER, *map(at, times))
    assert text.startswith("Line 3: the bar of 2018-01-10T04:5")
    assert says in text


@pytest.mark.parametrize(
    "time",
    ["", "yesterday", "2018-13-10T00:00:00Z", "-1", "nan", "inf", "1e300", "99999999999999999999"],
)
def test_a_time_that_is_none_is_refused(time):
    assert "Line 2: opened_at" in refusal_of(HEADER, at(time))


def test_a_time_outside_the_calendar_is_refused():
    assert "is not a time" in refusal_of(HEADER, at("0001-01-01T00:00:00+05:00"))


@pytest.mark.parametrize("time", ["2018-01-10T04:55:00", "2018-01-10"])
def test_a_time_without_zone_is_refused_with_the_cure(time):
    assert "write Z after it" in refusal_of(HEADER, at(time))


@pytest.mark.parametrize(
    ("numbers", "says"),
    [
        ("2,1,3,2,0", "high 1 is below low 3"),
        ("5,4,3,3,0", "open or close is outside low 3 … high 4"),
        ("3,4,3,2,0", "open or close is outside"),
        ("3,4,3,4.000000000000000000001,0", "open or close is outside"),
        ("0,1,0,1,0", "a price is zero"),
        ("1,1,0,1,0", "not above zero"),
        ("1,1,-1,1,0", "not above zero"),
        ("1,1,1,1,-0.5", "volume -0.5 is negative"),
        ("1,1,1,1,-1e-400", "volume -1E-400 is negative"),
        ("nan,1,1,1,1", "not a finite number"),
        ("1,1,1,1,nan", "not a finite number"),
        ("1,inf,1,1,1", "not a finite number"),
        ("1,1,1,1,Infinity", "not a finite number"),
        ("1,1e400,1,1,1", "out of the range"),
        ("1,1,1e-400,1,1", "out of the range"),
        ("1,1,1,1,1e400", "out of the range"),
        ("1e16,1e16,1e16,1e16,1", "out of the range"),
    ],
)
def test_a_bar_that_cannot_be_is_refused_with_its_line_and_cure(numbers, says):
    text = refusal_of(HEADER, priced(numbers))
    assert text.startswith("Line 2: ")
    assert says in text
    assert text.endswith("correct the line or remove it.")


@pytest.mark.parametrize(
    ("numbers", "name"),
    [
        ("x,1,1,1,1", "open 'x'"),
        ("1,,1,1,1", "high ''"),
        ("1,1,1 2,1,1", "low '1 2'"),
        ("1,1,1,snan,1", "close 'snan'"),
        ("1,1,1,1,0e99999999999999999999", "volume '0e99999999999999999999'"),
    ],
)
def test_what_is_no_number_is_refused_with_its_column(numbers, name):
    assert f"Line 2: {name} is not a number" in refusal_of(HEADER, priced(numbers))


def test_a_nul_byte_is_refused_wherever_it_stands():
    assert "Line 3 holds a NUL byte" in refusal_of(HEADER, ROW, NEXT.replace("05", "0\x005"))
    assert "Line 1 holds a NUL byte" in refusal_of("\0\0\0")


def test_an_open_quote_is_refused_and_swallows_no_line():
    assert "Line 2 has a quote" in refusal_of(HEADER, '"' + ROW, NEXT)


@settings(deadline=None)
@given(st.lists(st.text(), max_size=5))
def test_whatever_the_lines_hold_they_are_read_or_refused(lines):
    try:
        read(HEADER, *lines)
    except Refused as refused:
        assert str(refused)
