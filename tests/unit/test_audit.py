"""What audit lines prove: every edit is found, and nothing else is complained of."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from tradefleet.domain.audit import (
    FAULTS_KEPT,
    KEYLESS,
    NO_KEYS,
    PLAIN,
    ChainKeys,
    ChainWalk,
    Entry,
    Fault,
    Head,
    Written,
    Wrong,
    change_in_words,
    detail_text,
    digest_of,
    entry_of,
    erased_in,
    hash_of,
    in_words,
    moment_text,
    next_line,
    plain_hash_of,
)
from tradefleet.domain.ids import UserId

START = datetime(2026, 1, 1, tzinfo=UTC)
OLD, NEW = b"o" * 32, b"n" * 32
KEYS = ChainKeys("new", {"new": NEW, "old": OLD})
BEFORE = ChainKeys("old", {"old": OLD})


def chain(user_id: str = "alice", count: int = 12, keys: ChainKeys = KEYS) -> list[Written]:
    lines: list[Written] = []
    for number in range(count):
        add(lines, user_id, BEFORE if number < count // 3 and keys is KEYS else keys)
    return lines


def add(lines: list[Written], user_id: str, keys: ChainKeys = KEYS) -> None:
    number = len(lines)
    last = Head(UserId(user_id), lines[-1].number, lines[-1].hash) if lines else None
    line = next_line(
        keys,
        last,
        user_id=user_id,
        at=START + timedelta(seconds=number),
        actor=user_id,
        role="user",
        surface="api",
        request_id=f"r{number}",
        action="set",
        detail=detail_text({"number": number, "symbol": "BTC/USDT"}),
    )
    lines.append(line)


def plain_chain(user_id: str, count: int) -> list[Written]:
    """Lines as they were written before there were keys."""
    lines: list[Written] = []
    for number in range(1, count + 1):
        line = Written(
            user_id=user_id,
            number=number,
            at=moment_text(START + timedelta(seconds=number)),
            actor=user_id,
            role="",
            surface="",
            request_id="",
            action="set",
            detail='{"z": "1.5", "a": [1, null, "ü"]}',
            digest="",
            key_id=PLAIN,
            previous=lines[-1].hash if lines else "",
            hash="",
        )
        lines.append(line._replace(hash=plain_hash_of(line)))
    return lines


def walked(lines: list[Written], erased: tuple[str, ...] = (), keys: ChainKeys = KEYS) -> ChainWalk:
    ordered = sorted(lines, key=lambda line: line.number)
    walk = ChainWalk(ordered[0].user_id if ordered else "alice", keys, erased)
    for line in ordered:
        walk.take(line)
    walk.end()
    return walk


def faults(lines: list[Written], **more: object) -> list[Fault]:
    return walked(lines, **more).faults  # type: ignore[arg-type]


def found(lines: list[Written]) -> list[tuple[str, int, int]]:
    return [(fault.wrong.value, fault.number, fault.last) for fault in faults(lines)]


def forged(line: Written, **changes: object) -> Written:
    """A line as somebody would write it who knows everything but the key."""
    line = line._replace(**changes)  # type: ignore[arg-type]
    line = line._replace(digest=digest_of(b"", line.user_id, line.actor, line.detail))
    return line._replace(hash=hash_of(b"", line, line.number))


# ---- as it was written


@pytest.mark.parametrize("count", [0, 1, 12])
def test_a_chain_as_it_was_written_is_right_over_a_rotation_of_keys(count):
    assert faults(chain(count=count)) == []


def test_chains_without_keys_are_right_where_there_are_none():
    assert faults(chain(keys=NO_KEYS), keys=NO_KEYS) == []


def test_lines_from_before_there_were_keys_are_right_once_they_are_anchored():
    lines = plain_chain("alice", 3)
    assert found(lines) == [("weak", 1, 3)], "anybody could have written them"
    add(lines, "alice")
    assert faults(lines) == []


# ---- what was done to it

EDITS = ("at", "actor", "role", "surface", "request_id", "action", "detail", "digest")
EDITED = (*EDITS, "key_id", "previous", "hash")


@pytest.mark.parametrize("column", EDITED)
@pytest.mark.parametrize("place", [0, 5, 11], ids=["first", "middle", "last"])
def test_a_change_of_any_column_is_found_and_its_line_named(column, place):
    lines = chain()
    lines[place] = lines[place]._replace(**{column: getattr(lines[place], column) + "x"})
    assert ("changed", place + 1, place + 1) in found(lines)
    lines = chain()
    lines[place] = forged(lines[place], detail="{}", key_id=KEYLESS)
    assert [(n, last) for _, n, last in found(lines)] == [(place + 1, place + 1)]


def test_a_removed_line_is_named_wherever_it_stood_but_at_the_end():
    lines = chain()
    assert found(lines[1:]) == [("removed", 1, 1)]
    assert found([*lines[:3], *lines[6:]]) == [("removed", 4, 6)]
    assert found(lines[:-1]) == [], "that is what checkpoints are for"


def test_lines_that_changed_places_are_named_with_the_places_they_had():
    lines = chain()
    lines[3], lines[7] = lines[3]._replace(number=8), lines[7]._replace(number=4)
    assert sorted(found(lines)) == [("moved", 4, 4), ("moved", 8, 8)]
    texts = {fault.number: fault.text for fault in faults(lines)}
    assert texts == {4: "was written as line 8", 8: "was written as line 4"}


def test_an_added_line_is_told_from_those_it_pushed_aside():
    lines = chain()
    new = forged(lines[4], action="withdraw")
    pushed = [line._replace(number=line.number + 1) for line in lines[4:]]
    told = found([*lines[:4], new, *pushed])
    assert [each for each in told if each[0] == "added"] == [("added", 5, 5)]
    assert {each[0] for each in told} == {"added", "moved"}
    assert found([*lines, forged(lines[11], number=13)]) == [("changed", 13, 13)]
    copy = lines[4]._replace(number=13)
    assert ("changed", 13, 13) in found([*lines, copy])


def test_a_copy_that_takes_anothers_place_is_found():
    lines = chain()
    lines[6] = lines[4]._replace(number=7)
    assert ("changed", 7, 7) in found(lines)
    # Two lines of one number can be read where the database has lost its rules.
    assert ("added", 5, 5) in found([*lines[:6], lines[4], *lines[7:]])


def test_two_pasts_that_are_put_together_do_not_fit():
    one, other = chain(), chain()[:5]
    add(other, "alice", ChainKeys("new", {"new": NEW}))
    for number in range(6, 12):
        line = other[-1]
        head = Head(UserId("alice"), line.number, line.hash)
        other.append(
            next_line(
                KEYS,
                head,
                user_id="alice",
                at=START,
                actor="alice",
                role="user",
                surface="api",
                request_id="",
                action="other",
                detail=detail_text({"number": number}),
            )
        )
    assert found([*one[:8], *other[8:]]) == [("replaced", 9, 9)]


def test_a_line_of_another_user_does_not_pass():
    lines = chain()
    lines[5] = chain("bob")[5]._replace(user_id="alice")
    assert found(lines) == [("changed", 6, 6)]


def test_a_line_without_a_key_after_one_with_a_key_does_not_pass():
    lines = chain()
    weak = [*lines]
    add(weak, "alice", NO_KEYS)
    assert found(weak) == [("changed", 13, 13)]
    plain = plain_chain("alice", 1)[0]._replace(number=13, previous=lines[-1].hash)
    assert found([*lines, plain._replace(hash=plain_hash_of(plain))]) == [("changed", 13, 13)]


def test_a_whole_chain_written_anew_without_the_key_is_found():
    assert ("weak", 1, 12) in found(chain(keys=NO_KEYS))
    assert ("weak", 1, 5) in found(plain_chain("alice", 5))


def test_lines_from_before_there_were_keys_are_held_together_by_the_anchor():
    lines = plain_chain("alice", 6)
    add(lines, "alice")
    for column, value in (("action", "x"), ("detail", "{"), ("role", "admin"), ("previous", "")):
        edited = [*lines]
        edited[2] = edited[2]._replace(**{column: value})
        assert ("changed", 3, 3) in found(edited), column
    swapped = [*lines]
    swapped[2], swapped[3] = lines[3]._replace(number=3), lines[2]._replace(number=4)
    assert found(swapped)
    assert ("removed", 3, 3) in found([*lines[:2], *lines[3:]])


def test_a_key_that_is_not_there_is_named():
    told = faults(chain(), keys=ChainKeys("new", {"new": NEW}))
    assert [fault.number for fault in told] == [1, 2, 3, 4]
    assert "names the key 'old', which is not among those" in str(told[0])


# ---- erased users

GONE = '{"erased": "erased-0123"}'


def test_of_an_erased_line_all_else_is_still_proven():
    lines = [
        line._replace(user_id="erased-0123", actor="erased-0123", detail=GONE) for line in chain()
    ]
    assert faults(lines, erased=("erased-0123",)) == []
    assert Wrong.CHANGED in {fault.wrong for fault in faults(lines)}, "nobody says so"
    lines[4] = lines[4]._replace(action="nothing")
    assert [fault.number for fault in faults(lines, erased=("erased-0123",))] == [5]


def test_an_erased_line_from_before_there_were_keys_keeps_its_place():
    lines = [line._replace(detail=GONE) for line in plain_chain("alice", 3)]
    add(lines, "alice")
    assert faults(lines, erased=("erased-0123",)) == []
    assert faults(lines)


@pytest.mark.parametrize(
    ("detail", "pseudonym"),
    [(GONE, "erased-0123"), ('{"erased":1,"b":2}', ""), ('{"erased', ""), ('["erased"]', "")],
)
def test_what_says_that_it_was_erased_says_nothing_else(detail, pseudonym):
    assert erased_in(detail) == pseudonym


# ---- many edits, at random

SEED, ROUNDS = 20261122, 10_000


def edited(chance: random.Random, lines: list[Written], other: list[Written]) -> list[Written]:
    """Return a chain after one edit by somebody who has the database and not the key."""
    lines, at = [*lines], chance.randrange(len(lines))
    line = lines[at]
    match chance.randrange(7):
        case 0:
            column = chance.choice(EDITED)
            value = getattr(line, column)
            cut = chance.randrange(len(value) + 1)
            lines[at] = line._replace(**{column: value[:cut] + chance.choice("0aZ") + value[cut:]})
        case 1:
            lines[at] = forged(line, detail=detail_text({"n": chance.random()}))
        case 2:
            gone = chance.randrange(len(lines) - 1)  # the last one is the checkpoint's
            del lines[gone]
        case 3:
            to = (at + chance.randrange(1, len(lines))) % len(lines)
            lines[at] = lines[to]._replace(number=line.number)
            lines[to] = line._replace(number=to + 1)
        case 4:
            pushed = [each._replace(number=each.number + 1) for each in lines[at:]]
            lines = [*lines[:at], forged(line, action="withdraw"), *pushed]
        case 5:
            lines.append(forged(lines[-1], number=len(lines) + 1))
        case _:
            lines[at] = other[chance.randrange(len(other))]._replace(
                user_id=line.user_id, number=line.number
            )
    return lines


def test_ten_thousand_random_edits_are_all_found():
    chance = random.Random(SEED)
    lines, other = chain(count=10), chain("bob", 10)
    missed = [round for round in range(ROUNDS) if not faults(edited(chance, lines, other))]
    assert missed == []


def test_a_chain_of_which_nothing_is_right_is_not_kept_in_memory():
    walk = ChainWalk("alice", KEYS, ())
    (line,) = chain(count=1)
    for number in range(1, FAULTS_KEPT + 12):
        walk.take(line._replace(number=number, hash="x"))
    walk.end()
    assert (len(walk.odd), len(walk.faults), walk.more) == (FAULTS_KEPT, FAULTS_KEPT, 12)


def test_places_far_away_are_not_tried_for_ever():
    lines = chain(count=6)
    head = Head(UserId("alice"), 9_000, lines[-1].hash)
    far = next_line(
        KEYS,
        head,
        user_id="alice",
        at=START,
        actor="alice",
        role="",
        surface="",
        request_id="",
        action="x",
        detail="{}",
    )
    odd = lines[3]._replace(number=7, hash="x")
    assert ("removed", 8, 9000) in found([*lines, odd, far])


# ---- for people


def test_a_line_is_read_as_it_was_said():
    text = detail_text({"amount": "1.5"}, [{"what": "pair", "id": "b", "before": None}], "1.2.3.4")
    line = chain(count=1)[0]._replace(detail=text)
    entry = entry_of(line)
    assert (entry.asked, entry.address, entry.at) == ({"amount": "1.5"}, "1.2.3.4", START)
    assert entry.changed == ({"what": "pair", "id": "b", "before": None},)
    old = entry_of(plain_chain("alice", 1)[0])
    assert (old.asked["z"], old.changed, old.address) == ("1.5", (), "")
    assert entry_of(line._replace(detail=GONE)).asked == {"erased": "erased-0123"}


def test_a_line_in_words_says_what_changed_from_what_to_what():
    change = {"what": "user", "id": "bob", "before": {"tier": "free"}, "after": {"tier": "premium"}}
    new = {"what": "pair", "id": "b1", "before": None, "after": {"symbol": "BTC/USDT"}}
    entry = Entry(
        number=1,
        at=START,
        actor="alice",
        role="admin",
        surface="api",
        request_id="",
        action="tier",
        asked={"user": "bob", "reason": ""},
        changed=(change, new),
        address="",
    )
    assert in_words(entry) == (
        "tier user=bob reason=-; user bob: tier free → premium; pair b1: - → there"
    )
    assert change_in_words({**new, "before": {}, "after": 3}) == "pair b1: there → 3"
    assert len(in_words(replace_asked(entry, {"text": "x" * 500}))) == 160


def replace_asked(entry: Entry, asked: dict[str, str]) -> Entry:
    return Entry(
        number=entry.number,
        at=entry.at,
        actor=entry.actor,
        role=entry.role,
        surface=entry.surface,
        request_id=entry.request_id,
        action=entry.action,
        asked=asked,
        changed=(),
        address="",
    )


def test_a_fault_names_whose_line_it_is():
    assert str(Fault(Wrong.REMOVED, "alice", 3, 5, "gone")) == (
        "the chain of alice, lines 3 to 5: gone"
    )
    assert str(Fault(Wrong.CHANGED, "", 3, 3, "odd")) == "the service's own chain, line 3: odd"
