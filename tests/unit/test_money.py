"""Money is exact, rounds by rule, and survives a decimal context that others have changed."""

import decimal
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradefleet.domain.errors import BrokenInvariant, Refused
from tradefleet.domain.money import (
    MONEY,
    from_float,
    money_context,
    parse_amount,
    round_down,
    round_to_tick,
    show,
    to_unit,
)


@pytest.fixture(params=["ordinary", "hostile"])
def context(request):
    """The global decimal context as Python has it, and as a careless library may leave it."""
    if request.param == "ordinary":
        yield
        return
    with decimal.localcontext() as hostile:
        hostile.prec = 5
        hostile.rounding = decimal.ROUND_UP
        yield


# ---- reading what a person wrote


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1000", "1000"),
        (" 0.5 ", "0.5"),
        ("1_000.25", "1000.25"),
        ("1e3", "1000"),
        ("+7", "7"),
        (".5", "0.5"),
        ("0.00000001", "0.00000001"),
        ("1000000000000000", "1e15"),
        ("123456789.12345678", "123456789.12345678"),
        ("\uff11\uff10\uff10", "100"),  # full-width digits, as phones in East Asia write them
        ("\u0661\u0662", "12"),  # Arabic-Indic digits
    ],
)
def test_an_amount_is_read_exactly(context, text, value):
    assert parse_amount(text) == Decimal(value)


@pytest.mark.parametrize(
    ("text", "cure"),
    [
        ("", "not a number"),
        ("_", "not a number"),
        ("ten", "not a number"),
        ("1,000", "not a number"),
        ("1000 USDT", "not a number"),
        ("0x10", "not a number"),
        ("1" * 5 + "e", "not a number"),
        ("NaN", "finite"),
        ("sNaN", "finite"),
        ("inf", "finite"),
        ("-Infinity", "finite"),
        ("-1", "above zero"),
        ("0", "above zero"),
        ("-0", "above zero"),
        ("0.000", "above zero"),
        ("1e30", "too large; the most is 1000000000000000"),
        ("1e999999", "too large"),
        ("1000000000000000.00000001", "too large"),
        ("0.000000009", "too small; the least is 0.00000001"),
        ("1e-999999", "too small"),
        ("0.123456789", "more than 8 decimals"),
        ("1." + "3" * 400, "more than 8 decimals"),
    ],
)
def test_what_is_no_amount_is_refused_with_the_cure(context, text, cure):
    with pytest.raises(Refused, match=cure):
        parse_amount(text)


def test_a_refusal_calls_the_amount_by_its_name():
    with pytest.raises(Refused, match="write the allocation like 1000"):
        parse_amount("much", "allocation")


@settings(deadline=None)
@given(st.decimals(min_value="1e-8", max_value="1e15", places=8))
def test_an_amount_shown_is_read_back(value):
    assert parse_amount(show(value)) == value


# ---- rounding


@pytest.mark.parametrize(
    ("value", "step", "result"),
    [
        ("1.23456789", "0.001", "1.234"),
        ("-1.23456789", "0.001", "-1.234"),
        ("0.3", "0.1", "0.3"),
        ("123456789.99", "1", "123456789"),
        ("7", "2.5", "5"),
    ],
)
def test_quantities_are_rounded_towards_zero(context, value, step, result):
    assert round_down(Decimal(value), Decimal(step)) == Decimal(result)


@pytest.mark.parametrize(
    ("value", "tick", "result"),
    [("0.125", "0.01", "0.12"), ("0.135", "0.01", "0.14"), ("98765.4321", "0.01", "98765.43")],
)
def test_prices_are_rounded_half_to_even(context, value, tick, result):
    assert round_to_tick(Decimal(value), Decimal(tick)) == Decimal(result)


@pytest.mark.parametrize(
    ("value", "result"),
    [("0.000000005", "0"), ("0.000000015", "2e-8"), ("123456789.123456785", "123456789.12345678")],
)
def test_what_is_booked_has_eight_decimals(context, value, result):
    assert to_unit(Decimal(value)) == Decimal(result)


amounts = st.decimals(min_value="-1e12", max_value="1e12", allow_nan=False, places=10)
steps = st.sampled_from(["1e-8", "0.001", "0.05", "1", "2.5", "25"]).map(Decimal)


@settings(deadline=None)
@given(amounts, steps)
def test_rounding_lands_on_a_step_and_not_far_away(value, step):
    with money_context():
        down, near = round_down(value, step), round_to_tick(value, step)
        assert down % step == near % step == 0
        assert abs(value - near) <= step / 2
        assert 0 <= abs(value) - abs(down) < step


@settings(deadline=None)
@given(amounts, steps)
def test_the_global_context_changes_no_result(value, step):
    ours = round_down(value, step), round_to_tick(value, step), to_unit(value), show(value)
    with decimal.localcontext(prec=5, rounding=decimal.ROUND_CEILING):
        theirs = round_down(value, step), round_to_tick(value, step), to_unit(value), show(value)
    assert ours == theirs


# ---- showing and computing


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("0", "0.00000000"),
        ("-0", "0.00000000"),
        ("-0.000000001", "0.00000000"),
        ("-0.00123456", "-0.00123456"),
        ("1E+3", "1000.00000000"),
        ("0.1", "0.10000000"),
    ],
)
def test_an_amount_is_shown_with_eight_decimals_and_no_negative_zero(context, value, text):
    assert show(Decimal(value)) == text


def test_a_computed_float_becomes_money_with_ten_digits():
    assert from_float(0.1 + 0.2) == Decimal("0.3")
    assert from_float(12345.678912345) == Decimal("12345.67891")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_no_money_is_made_of_what_is_no_number(value):
    with pytest.raises(BrokenInvariant, match="no money"):
        from_float(value)


def test_inside_our_context_sums_are_exact_and_floats_are_forbidden(context):
    with money_context():
        assert Decimal("1e15") + Decimal("1e-8") - Decimal("1e15") == Decimal("1e-8")
        with pytest.raises(decimal.FloatOperation):
            Decimal(0.5)  # noqa: RUF032
    assert MONEY.prec == 50
