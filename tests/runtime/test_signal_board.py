"""One run of a strategy serves all who follow it, and a new one begins after a fault."""

from decimal import Decimal

import pytest

from tests.bot_rig import enter, leave
from tests.makers import ETH, after_start, bar, spec
from tests.runtime.live_rig import Theatre
from tradefleet.domain.errors import Refused
from tradefleet.domain.ids import BotId
from tradefleet.domain.signal import TradePlan
from tradefleet.runtime.signal_board import NOTES_MAX, SignalBoard


def a_bot(number, **changes):
    return spec(number, **{"strategy": "script", **changes})


@pytest.fixture
def theatre():
    return Theatre()


@pytest.fixture
def board(theatre):
    return SignalBoard({"script": theatre.spec()})


def test_bots_that_follow_the_same_share_one_run(board, theatre):
    group = board.join(a_bot(1))
    assert board.join(a_bot(2)) is group
    assert list(group.followers) == ["b1", "b2"]
    assert len(theatre.built["a"]) == 1
    assert board.by_stream == {group.stream: [group]}


@pytest.mark.parametrize(
    "changes",
    [{"params": {"name": "b"}}, {"symbol": ETH}, {"strategy": "other"}, {"venue": "kraken"}],
    ids=["parameters", "symbol", "strategy", "venue"],
)
def test_bots_that_follow_anything_else_have_a_run_of_their_own(theatre, changes):
    board = SignalBoard({"script": theatre.spec(), "other": theatre.spec()})
    assert board.join(a_bot(1)) is not board.join(a_bot(2, **changes))
    assert len(board.groups) == 2


def test_the_order_of_parameters_makes_no_other_run(board):
    first = board.join(a_bot(1, params={"name": "b", "delay": "0"}))
    assert board.join(a_bot(2, params={"delay": "0", "name": "b"})) is first


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"strategy": "none"}, "There is no strategy 'none'."), ({"params": {"x": "1"}}, "['x']")],
)
def test_what_cannot_be_built_is_refused_and_leaves_nothing_behind(board, changes, said):
    with pytest.raises(Refused, match=said.replace("[", r"\[")):
        board.join(a_bot(1, **changes))
    assert board.groups == {} and board.by_stream == {}


def test_a_run_nobody_follows_is_forgotten(board):
    first, second, other = (
        board.join(a_bot(1)),
        board.join(a_bot(2)),
        board.join(a_bot(3, params={"name": "b"})),
    )
    board.leave(first, BotId("b1"))
    assert list(board.groups.values()) == [first, other]
    board.leave(second, BotId("b2"))
    assert list(board.groups.values()) == [other]
    assert board.by_stream == {other.stream: [other]}
    board.leave(other, BotId("b3"))
    assert board.groups == {} and board.by_stream == {}
    board.leave(other, BotId("b3"))  # once more is harmless


def test_after_a_fault_whoever_joins_begins_a_new_run(board, theatre):
    failed = board.join(a_bot(1))
    board.join(a_bot(2))
    failed.fault = "a bug"
    fresh = board.join(a_bot(1))
    assert fresh is not failed and fresh.fault == ""
    assert list(fresh.followers) == ["b1"]
    assert board.join(a_bot(3)) is fresh
    board.leave(failed, BotId("b1"))
    board.leave(failed, BotId("b2"))
    assert board.by_stream == {fresh.stream: [fresh]}
    assert board.groups == {fresh.key: fresh}


def test_who_only_guards_has_a_group_of_its_own_whose_stream_is_followed(board):
    bot = a_bot(1)
    group = board.guard(bot, TradePlan())
    assert board.by_stream == {bot.stream: [group]}
    assert board.join(a_bot(2)) is not group
    assert group.take(bar(100)) is None and group.trail() is None
    assert group.strategy.bars_needed == 0
    group.note(after_start(minutes=1), None)
    assert board.take_notes() == [], "nothing is said in the name of those who do follow it"
    board.leave(group, bot.id)
    assert list(board.by_stream) == [bot.stream]
    assert board.by_stream[bot.stream] == list(board.groups.values())


def test_a_bar_is_awaited_once_and_in_order(board):
    group = board.join(a_bot(1))
    assert group.awaits(bar(100, 5))
    group.take(bar(100, 5))
    assert not group.awaits(bar(100, 5))
    assert not group.awaits(bar(100, 4))
    assert group.awaits(bar(100, 6))
    group.warming = True
    assert not group.awaits(bar(100, 6))
    group.warming, group.fault = False, "a bug"
    assert not group.awaits(bar(100, 6))


def test_bars_and_signals_are_counted(board, theatre):
    theatre.say(1, enter())
    group = board.join(a_bot(1))
    for minute in range(3):
        group.take(bar(100, minute))
    assert (group.bars, group.signals, group.last_at) == (3, 1, after_start(minutes=2))


def test_notes_say_what_the_strategy_said_of_each_bar(board):
    group = board.join(a_bot(1))
    for minute, signal in enumerate([enter(), leave(), None, enter(exit_reason="cross")]):
        group.note(after_start(minutes=minute), signal)
    notes = board.take_notes()
    assert [(note.kind, note.text) for note in notes] == [
        ("entry", "a test"),
        ("exit", "a test"),
        ("no", "nothing is in the script"),
        ("entry", "a test"),
    ]
    assert {note.group for note in notes} == {a_bot(1).group}
    assert board.take_notes() == []


def test_only_the_latest_notes_are_kept(board):
    group = board.join(a_bot(1))
    for minute in range(NOTES_MAX + 7):
        group.note(after_start(minutes=minute), None)
    notes = board.take_notes()
    assert len(notes) == NOTES_MAX
    assert notes[-1].at == after_start(minutes=NOTES_MAX + 6)


def test_a_plan_that_does_not_trail_is_not_asked_how_far(board):
    group = board.join(a_bot(1))
    group.strategy.trail_distance = lambda: Decimal(3)
    assert group.trail() is None
    group.strategy.plan = TradePlan(trails=True)
    assert group.trail() == 3
