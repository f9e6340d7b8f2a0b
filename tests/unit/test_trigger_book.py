"""The book of triggers names exactly those whose level the price has reached."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradefleet.engine.trigger_book import Hit, TriggerBook


def book(*levels: tuple[str, int | None, int | None]) -> TriggerBook:
    made = TriggerBook()
    for bot, stop, target in levels:
        made.set(bot, number(stop), number(target))
    return made


def number(level: int | None) -> Decimal | None:
    return None if level is None else Decimal(level)


def test_an_empty_book_has_no_best_and_no_hits():
    empty = TriggerBook()

    assert (empty.best_stop, empty.best_target, len(empty)) == (None, None, 0)
    assert empty.hits(Decimal(1)) == []


def test_the_best_are_the_highest_stop_and_the_lowest_target():
    made = book(("a", 90, 120), ("b", 95, 110), ("c", 80, 130))

    assert (made.best_stop, made.best_target, len(made)) == (95, 110, 3)


def test_a_bots_stop_is_known_until_it_is_taken_away():
    made = book(("a", 90, 120))

    assert (made.stop_of("a"), made.stop_of("b")) == (90, None)
    made.clear("a")
    assert made.stop_of("a") is None


def test_a_price_between_the_best_hits_nothing():
    assert book(("a", 90, 110)).hits(Decimal(100)) == []


@pytest.mark.parametrize(("price", "kind"), [(90, "stop"), (110, "target")])
def test_touching_a_level_is_enough(price, kind):
    assert book(("a", 90, 110)).hits(Decimal(price)) == [("a", kind, Decimal(price))]


def test_a_fall_names_the_highest_stop_first_and_equals_as_they_came():
    made = book(("low", 80, None), ("second", 90, None), ("first", 95, None), ("third", 90, None))

    assert [hit.bot_id for hit in made.hits(Decimal(70))] == ["first", "second", "third", "low"]


def test_a_rise_names_the_lowest_target_first_and_equals_as_they_came():
    made = book(("far", None, 130), ("second", None, 120), ("first", None, 110), ("too", None, 120))

    assert [hit.bot_id for hit in made.hits(Decimal(130))] == ["first", "second", "too", "far"]


def test_a_bot_is_named_once_and_its_stop_counts():
    crossed = book(("a", 100, 90), ("b", None, 95))

    assert crossed.hits(Decimal(96)) == [
        Hit("a", "stop", Decimal(100)),
        Hit("b", "target", Decimal(95)),
    ]


def test_a_hit_stays_until_its_owner_acts():
    made = book(("a", 90, None))

    assert made.hits(Decimal(80)) == made.hits(Decimal(80)) != []

    made.set("a", Decimal(70), None)
    assert made.hits(Decimal(80)) == []


def test_clearing_forgets_both_levels():
    made = book(("a", 90, 110))
    made.clear("a")
    made.clear("never seen")

    assert (made.best_stop, made.best_target, len(made)) == (None, None, 0)


def test_a_level_that_stays_the_same_keeps_its_place():
    made = book(("a", 90, 110), ("b", 90, 110))
    made.set("a", Decimal("90.0"), Decimal(120))

    assert [hit.bot_id for hit in made.hits(Decimal(90))] == ["a", "b"]
    assert made.hits(Decimal(110)) == [("b", "target", 110)]


def test_the_path_of_a_bar_is_swept_down_and_up():
    made = book(("a", 90, 110), ("b", 95, 105))

    assert made.stops_down_to(Decimal(92)) == [(95, "b")]
    assert made.stops_down_to(Decimal(96)) == []
    assert made.targets_up_to(Decimal(110)) == [(105, "b"), (110, "a")]
    assert made.targets_up_to(Decimal(104)) == []


level = st.one_of(st.none(), st.integers(1, 12))
actions = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.integers(0, 6), level, level),
        st.tuples(st.just("clear"), st.integers(0, 6)),
        st.tuples(st.just("price"), st.integers(0, 13)),
    ),
    max_size=60,
)


class Rows:
    """The same book as two plain lists in the order of coming."""

    def __init__(self) -> None:
        self.rows: dict[str, list[tuple[str, int]]] = {"stop": [], "target": []}

    def set(self, bot, stop, target):
        for kind, new in (("stop", stop), ("target", target)):
            rows = self.rows[kind]
            if (bot, new) in rows:
                continue
            rows[:] = [row for row in rows if row[0] != bot]
            if new is not None:
                rows.append((bot, new))

    def hits(self, price):
        stops = [(b, "stop", v) for b, v in self.rows["stop"] if v >= price]
        stops.sort(key=lambda hit: -hit[2])
        gone = {bot for bot, _, _ in stops}
        targets = [(b, "target", v) for b, v in self.rows["target"] if v <= price and b not in gone]
        return stops + sorted(targets, key=lambda hit: hit[2])


@settings(deadline=None)
@given(actions)
def test_the_book_says_what_a_plain_list_says(steps):
    made, plain = TriggerBook(), Rows()
    for name, *given_ in steps:
        if name == "set":
            bot, stop, target = given_
            made.set(f"b{bot}", number(stop), number(target))
            plain.set(f"b{bot}", stop, target)
        elif name == "clear":
            made.clear(f"b{given_[0]}")
            plain.set(f"b{given_[0]}", None, None)
        else:
            assert made.hits(Decimal(given_[0])) == plain.hits(given_[0])
        assert made.best_stop == max((v for _, v in plain.rows["stop"]), default=None)
        assert made.best_target == min((v for _, v in plain.rows["target"]), default=None)
        assert len(made) == len({bot for rows in plain.rows.values() for bot, _ in rows})
