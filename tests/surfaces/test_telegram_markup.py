"""Any reply becomes messages that Telegram takes, and nothing of it is lost."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.surfaces.bot_api import visible
from tradefleet.command import Reply
from tradefleet.surfaces.telegram.markup import PHONE_WIDTH, parts, plain_parts, table_lines
from tradefleet.surfaces.telegram.words import read_message, split

signs = st.one_of(
    st.sampled_from("<>&\"'🙂 \n\t\u200d日ü"),
    st.characters(exclude_categories=["Cs"], exclude_characters="\x00"),
)
texts = st.text(signs, max_size=300)
long_texts = st.builds(lambda text, times: text * times, texts, st.integers(1, 60))


def seen(html):
    return visible({"text": html, "parse_mode": "HTML"})


@settings(deadline=None, max_examples=60)
@given(long_texts, st.lists(st.tuples(texts, texts), max_size=40))
def test_every_part_is_taken_and_together_they_say_everything(text, rows):
    reply = Reply(text=text, columns=("a", "b"), rows=tuple(rows))
    shown = "".join(map(seen, parts(reply)))
    letters = "".join(shown.split())
    assert "".join(text.split()) in letters
    for row in rows:
        for cell in row:
            assert "".join(cell.split()) in letters


@given(st.text(max_size=50))
def test_any_text_at_all_can_be_said(text):
    for html in plain_parts(text):
        html.encode("utf-16-le", "replace")
        assert html


def test_a_line_is_cut_at_a_space_if_one_is_near():
    first, second = plain_parts("word " * 1000)
    assert first.endswith("word")
    assert second.startswith(" word")
    assert [len(page) for page in plain_parts("x" * 9000)] == [4084, 4084, 832]


def test_an_entity_is_never_cut():
    for page in plain_parts("&" * 5000):
        assert set(page.split("&amp;")) == {""}


def test_nothing_to_say_is_said_shortly():
    assert parts(Reply(text=" \n ")) == ["Done."]


def test_a_wide_table_is_drawn_as_cards():
    wide = ("x" * PHONE_WIDTH, "-1.00")
    assert (
        table_lines(("name", "profit"), [wide, wide])
        == [
            f"name:   {wide[0]}",
            "profit: -1.00",
            "",
        ]
        * 2
    )
    assert table_lines(("a",), []) == []
    assert table_lines((), [("a", "b\nc")]) == ["a  b c"]


def test_a_table_that_goes_on_is_opened_and_closed_in_each_part():
    rows = tuple((str(n), "cell") for n in range(2000))
    for page in parts(Reply(text="t", columns=("n", "c"), rows=rows)):
        assert page.count("<pre>") == page.count("</pre>") == 1


@given(st.text(signs, max_size=60))
def test_words_are_never_lost(text):
    words = split(text)
    assert all(words)
    kept = {letter for word in words for letter in word}
    assert {c for c in text if c.isalnum()} <= kept


def test_how_quotes_are_read():
    for text, words in [
        ('a "b c" d', ("a", "b c", "d")),
        ("note='b c' d", ("note=b c", "d")),
        ("it's 5 o'clock", ("it's", "5", "o'clock")),
        ('"open b', ('"open', "b")),
        ('"a"b "c', ('"a"b', '"c')),
        ('"a"b c"', ('a"b c',)),
        ("„a b“ “c d” ‘e f’ «g h»", ("a b", "c d", "e f", "g h")),  # noqa: RUF001
        ("", ()),
        (" \n\t ", ()),
    ]:
        assert split(text) == words, text


def test_what_is_a_command():
    for text, name, to, words in [
        ("/Status@FleetBot a", "status", "fleetbot", ("a",)),
        ("/", "", "", ("/",)),
        ("status", "", "", ("status",)),
        ("", "", "", ()),
        ("/@x", "", "x", ()),
    ]:
        spoken = read_message(text)
        assert (spoken.name, spoken.to, spoken.words) == (name, to, words)
