"""Parameters: what is read exactly, and what is refused with its name and its cure."""

from dataclasses import dataclass
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradefleet.domain.errors import Refused
from tradefleet.domain.money import money_context
from tradefleet.indicators.parameters import choice, describe, number, read


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    period: int = number(14, "bars of the average", 2, 500)
    height: float = number(0.5, "how high", 0, 10)
    size: Decimal = number(Decimal("0.10"), "share of the balance", 0.0001, 1)
    steps: tuple[Decimal, ...] = number((Decimal(1), Decimal(2)), "steps", 0, 9)
    smoothing: str = choice("simple", "kind of average", ("simple", "wilder"))


def refusal_of(**texts):
    with pytest.raises(Refused) as refused:
        read(Sample, texts)
    return str(refused.value)


def test_what_is_not_given_has_its_default():
    assert read(Sample, {}) == Sample()


def test_each_kind_is_read_exactly():
    texts = {
        "period": "21",
        "height": " 1e-3 ",
        "size": "0.30",
        "steps": "1, 2.5,.75",
        "smoothing": "wilder",
    }
    sample = read(Sample, texts)
    assert sample == Sample(
        period=21,
        height=0.001,
        size=Decimal("0.3"),
        steps=(Decimal(1), Decimal("2.5"), Decimal("0.75")),
        smoothing="wilder",
    )
    assert type(sample.period) is int
    assert str(sample.size) == "0.30"


def test_bounds_are_allowed_themselves_and_decimals_compare_inside_the_money_context():
    with money_context():
        assert read(Sample, {"size": "0.0001"}).size == Decimal("0.0001")
        assert read(Sample, {"size": "1"}).size == 1


def test_they_are_listed_as_a_person_would_write_them():
    assert describe(Sample) == {
        "period": ("14", "bars of the average"),
        "height": ("0.5", "how high"),
        "size": ("0.10", "share of the balance"),
        "steps": ("1,2", "steps"),
        "smoothing": ("simple", "kind of average"),
    }
    assert (
        read(Sample, {name: default for name, (default, _) in describe(Sample).items()}) == Sample()
    )


def test_an_unknown_name_is_refused_with_those_like_it_and_all_there_are():
    text = refusal_of(perod="3")
    assert "'perod'" in text
    assert "did you mean period?" in text
    assert "period, height, size, steps, smoothing" in text


def test_an_unknown_name_like_no_other_is_refused_with_all_there_are():
    text = refusal_of(**{"Ω" * 10_000: "3"})
    assert "did you mean" not in text
    assert "all: period, height" in text
    assert len(text) < 200


@pytest.mark.parametrize(
    "text",
    ["", "x", "nan", "inf", "-inf", "1e99", "1e999999999", "14.0", "14.5", "1e1", "0x10", "1_4",
     "1", "501", "-14", "--14", "٣٤", "9" * 5000, "14 15", "None", "True"],
)  # fmt: skip
def test_what_is_no_whole_number_in_bounds_is_refused(text):
    refused = refusal_of(period=text)
    assert refused.startswith("period must be a whole number from 2 to 500, not '")
    assert len(refused) < 120


@pytest.mark.parametrize("name", ["height", "size", "steps"])
@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "nan",
        "sNaN",
        "inf",
        "-Infinity",
        "1e99",
        "-0.1",
        "11",
        "1,,2",
        "0,5;",
        "1e",
        "٣",
        ",",
    ],
)
def test_what_is_no_number_in_bounds_is_refused(name, text):
    assert f"{name} must be a number from " in refusal_of(**{name: text})


def test_a_list_has_a_limit():
    assert refusal_of(steps="1," * 20 + "1") == "steps has 21 numbers; the most is 10."


def test_a_word_must_be_one_of_the_choices():
    assert refusal_of(smoothing="Wilder") == "smoothing must be simple or wilder, not 'Wilder'."


@given(st.dictionaries(st.sampled_from(list(describe(Sample))), st.text()))
def test_any_text_is_read_or_refused(texts):
    try:
        sample = read(Sample, texts)
    except Refused:
        return
    assert 2 <= sample.period <= 500
    assert 0 <= sample.height <= 10
    assert all(0 <= step <= 9 for step in sample.steps)
