"""Who goes through a venue's door next, and what is left for those who matter more."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradefleet.domain.errors import BrokenInvariant, VenueUnavailable
from tradefleet.domain.ids import UserId
from tradefleet.engine.pace import Allowance, Priority
from tradefleet.engine.turns import Door, Reading, Waiting

ALICE, BOB, CAROL = UserId("alice"), UserId("bob"), UserId("carol")
P = Priority
TEN = Allowance(limit=10, period=10, usable=10, burst=10, rate=1)
SLOW = Allowance(limit=4, period=1, usable=4, burst=4, rate=1)


class Crowd:
    """A door, and a note of who went through it in which order."""

    def __init__(self, address: Allowance = TEN, **limits: int) -> None:
        keyed = {"counter": (SLOW,), "pair": (SLOW,)}
        self.door = Door(address=(address,), keyed=keyed, **limits)
        self.went: list[str] = []
        self.refused: dict[str, Exception] = {}
        self.now = 0.0

    def ask(
        self,
        name: str,
        priority: Priority = P.READ,
        user: UserId = ALICE,
        weight: float = 1,
        **keyed: float,
    ) -> Waiting | None:
        costs = {**({"weight": weight} if weight else {}), **keyed}
        waiting = self.door.ask(self.now, user, user, priority, costs)
        if waiting is None:
            self.went.append(name)
            return None

        def tell(error: Exception | None) -> None:
            if error is None:
                self.went.append(name)
            else:
                self.refused[name] = error

        waiting.tell = tell
        return waiting

    def empty(self, tokens: float = 0) -> None:
        """Leave so many tokens of the address."""
        self.door.weight.spend(self.now, 10 - tokens)

    def play(self, seconds: float) -> None:
        until = self.now + seconds
        while (due := self.door.due()) is not None and due <= until:
            self.now = max(due, self.now)
            self.door.advance(self.now)
            after = self.door.due()
            assert after is None or after > self.now
        self.now = until


# -------------------------------------------------------------------------- priorities


def test_who_matters_more_goes_first_whenever_they_came():
    crowd = Crowd()
    crowd.empty()
    for priority in reversed(P):
        crowd.ask(priority.name, priority)
    crowd.play(60)
    assert crowd.went == [p.name for p in P]


def test_reads_leave_half_of_the_budget_for_exits():
    crowd = Crowd()
    for number in range(20):
        crowd.ask(f"read {number}")
    assert len(crowd.went) == 5
    for number in range(5):
        assert crowd.ask(f"exit {number}", P.EXIT) is None


def test_nobody_who_shares_with_others_waits_for_ever():
    crowd = Crowd()
    crowd.empty()
    for number in range(200):
        for priority in (P.RECONCILIATION, P.ENTRY, P.READ):
            crowd.ask(priority.name, priority, UserId(f"user {number}"))
    crowd.play(105)
    counts = {name: crowd.went.count(name) for name in set(crowd.went)}
    assert counts == {"RECONCILIATION": 60, "ENTRY": 30, "READ": 10}


def test_whoever_waited_for_nothing_has_saved_nothing_up():
    crowd = Crowd()
    crowd.empty()
    for number in range(100):
        crowd.ask("look", P.RECONCILIATION, UserId(f"user {number}"))
    crowd.play(65)
    for number in range(100):
        crowd.ask("read", P.READ, UserId(f"user {number}"))
    crowd.play(14)
    assert crowd.went[-14:].count("read") <= 3


def test_an_exit_overtakes_what_waits_already():
    crowd = Crowd()
    crowd.empty(3)
    crowd.ask("read")
    assert crowd.ask("exit", P.EXIT) is None


def test_a_read_does_not_overtake_an_exit_that_waits():
    crowd = Crowd()
    crowd.empty(0)
    crowd.ask("exit", P.EXIT, weight=10)
    crowd.ask("look", P.PROTECTIVE, BOB)
    crowd.ask("read", P.READ, BOB)
    assert crowd.went == []


def test_a_request_heavier_than_the_whole_budget_waits_for_a_full_one():
    crowd = Crowd()
    crowd.empty(0)
    crowd.ask("heavy", P.EXIT, weight=25)
    crowd.play(9.9)
    assert crowd.went == []
    crowd.play(0.2)
    assert crowd.went == ["heavy"]


# ---------------------------------------------------------------------------- fairness


def test_users_take_turns_however_much_one_of_them_asks():
    crowd = Crowd()
    crowd.empty(0)
    for number in range(100):
        crowd.ask(f"alice {number}")
    crowd.ask("bob 0", user=BOB)
    crowd.ask("carol 0", user=CAROL)
    crowd.play(9)
    assert crowd.went == ["alice 0", "bob 0", "carol 0", "alice 1"]


def test_a_user_is_served_in_the_order_asked():
    crowd = Crowd()
    crowd.empty()
    names = [str(number) for number in range(20)]
    for name in names:
        crowd.ask(name)
    crowd.play(100)
    assert crowd.went == names


# -------------------------------------------------------------------------------- keys


def test_a_key_without_tokens_holds_up_nobody_else():
    crowd = Crowd()
    for number in range(10):
        crowd.ask(f"alice {number}", P.RECONCILIATION, weight=0, counter=1)
    assert crowd.went == ["alice 0", "alice 1"]
    crowd.ask("bob", P.RECONCILIATION, BOB, counter=1)
    crowd.ask("pair", P.RECONCILIATION, weight=0, **{"pair:XBTUSD": 1})
    assert crowd.went[2:] == ["bob", "pair"]
    crowd.play(3)
    assert crowd.went[4:] == ["alice 2", "alice 3", "alice 4"]


def test_each_pair_has_a_budget_of_its_own():
    crowd = Crowd()
    for pair in ("XBTUSD", "ETHUSD"):
        for _ in range(4):
            assert crowd.ask(pair, P.EXIT, weight=0, **{f"pair:{pair}": 1}) is None
        assert crowd.ask(pair, P.EXIT, weight=0, **{f"pair:{pair}": 1}) is not None


def test_nothing_of_a_key_is_used_up_while_the_address_has_nothing():
    """All go or none: or a burst of what was paid for long ago would leave at once."""
    crowd = Crowd()
    crowd.empty(-20)
    for number in range(10):
        crowd.ask(f"exit {number}", P.EXIT, weight=0.01, counter=1)
    crowd.play(19.9)
    assert crowd.went == []
    crowd.play(0.2)
    assert len(crowd.went) == 4
    crowd.play(2)
    assert len(crowd.went) == 6


def test_what_is_promised_to_an_exit_is_left_to_it():
    crowd = Crowd()
    crowd.empty(0)
    crowd.ask("exit", P.EXIT, weight=9, counter=3)
    crowd.ask("look", P.RECONCILIATION, weight=0, counter=1)
    assert crowd.went == []
    crowd.play(30)
    assert crowd.went == ["exit", "look"]


def test_an_exit_may_have_what_was_promised_to_a_look_up():
    crowd = Crowd()
    crowd.empty(0)
    crowd.ask("look", P.RECONCILIATION, counter=2)
    crowd.ask("exit", P.EXIT, weight=0, counter=4)
    assert crowd.went == ["exit"]
    crowd.play(30)
    assert crowd.went == ["exit", "look"]


def test_who_lost_what_was_promised_keeps_the_place():
    crowd = Crowd()
    crowd.empty(0)
    for number in range(2):
        crowd.ask(f"look {number}", P.RECONCILIATION, counter=1)
    crowd.ask("look 2", P.RECONCILIATION, counter=1)
    crowd.door.learn(0, ALICE, Reading("counter", 1, used=20))
    crowd.play(100)
    assert crowd.went == ["look 0", "look 1", "look 2"]


def test_a_request_may_need_several_budgets_of_its_key():
    crowd = Crowd()
    crowd.ask("first", P.EXIT, counter=4)
    crowd.ask("both", P.EXIT, counter=1, **{"pair:XBTUSD": 1})
    assert crowd.went == ["first"]
    crowd.play(1)
    assert crowd.went == ["first", "both"]


def test_a_budget_nobody_knows_is_a_slip_of_ours():
    with pytest.raises(BrokenInvariant, match="no budget 'postage'"):
        Crowd().ask("read", postage=1)


def test_budgets_that_are_as_good_as_new_are_let_go():
    crowd = Crowd(budgets_max=10)
    for number in range(10):
        crowd.ask("look", P.EXIT, UserId(f"user {number}"), weight=0, counter=1)
    crowd.play(50)
    crowd.ask("busy", P.EXIT, BOB, weight=0, counter=4)
    crowd.ask("waits", P.EXIT, BOB, weight=0, counter=1)
    for number in range(60):
        crowd.ask("look", P.EXIT, UserId(f"later {number}"), weight=0, counter=0.001)
        crowd.now += 0.01
        assert len(crowd.door._budgets) <= 12
    crowd.play(10)
    assert "waits" in crowd.went


# ------------------------------------------------------------------------------ leaving


def test_who_leaves_makes_room_for_the_next_at_once():
    crowd = Crowd()
    crowd.empty(4)
    heavy = crowd.ask("heavy", P.EXIT, weight=9)
    crowd.ask("light", P.EXIT, BOB, weight=2)
    assert heavy is not None
    crowd.door.leave(heavy)
    crowd.door.leave(heavy)
    crowd.play(0)
    assert crowd.went == ["light"]
    assert len(crowd.door) == 0
    assert crowd.door.due() is None


def test_who_leaves_a_gate_or_the_line_gives_back_what_was_promised():
    crowd = Crowd()
    crowd.empty(0)
    before_the_door = crowd.ask("one", P.EXIT, counter=4)
    crowd.ask("two", P.EXIT, counter=4)
    assert before_the_door is not None
    crowd.door.leave(before_the_door)
    at_the_gate = crowd.ask("three", P.EXIT, counter=1)
    assert at_the_gate is not None
    crowd.door.leave(at_the_gate)
    crowd.play(1.1)
    assert crowd.went == ["two"]
    last = crowd.ask("four", P.EXIT, BOB, weight=0, counter=4) or crowd.ask(
        "five", P.EXIT, BOB, weight=0, counter=1
    )
    assert last is not None
    crowd.door.leave(last)
    crowd.play(10)
    assert crowd.went == ["two", "four"]


def test_one_user_may_not_fill_the_waiting_room():
    crowd = Crowd(waiting_per_user=3)
    crowd.empty(0)
    for number in range(3):
        crowd.ask(f"alice {number}")
    with pytest.raises(VenueUnavailable, match="3 requests of this user wait"):
        crowd.ask("alice 3")
    crowd.ask("bob", user=BOB)
    crowd.ask("exit", P.EXIT)


def test_in_a_full_waiting_room_the_least_and_last_makes_room():
    crowd = Crowd(waiting_max=3)
    crowd.empty(0)
    crowd.ask("entry", P.ENTRY)
    crowd.ask("read 0", P.READ)
    crowd.ask("read 1", P.READ, BOB)
    with pytest.raises(VenueUnavailable, match="3 requests wait already"):
        crowd.ask("read 2", P.READ, CAROL)
    crowd.ask("exit", P.EXIT)
    assert list(crowd.refused) == ["read 1"]
    crowd.ask("look", P.RECONCILIATION)
    assert list(crowd.refused) == ["read 1", "read 0"]
    with pytest.raises(VenueUnavailable):
        crowd.ask("entry 2", P.ENTRY, CAROL)
    assert crowd.door.waiting() == {
        **dict.fromkeys(P, 0),
        P.EXIT: 1,
        P.RECONCILIATION: 1,
        P.ENTRY: 1,
    }


# ----------------------------------------------------------------------- the venue's word


def test_nobody_goes_through_a_closed_door():
    crowd = Crowd()
    crowd.door.close(10)
    crowd.door.close(5)
    crowd.ask("exit", P.EXIT)
    crowd.ask("keyed", P.EXIT, BOB, weight=0, counter=1)
    crowd.ask("both", P.EXIT, CAROL, counter=1)
    crowd.door.advance(9)
    assert crowd.went == []
    assert crowd.door.due() == 10
    crowd.play(10.1)
    assert sorted(crowd.went) == ["both", "exit", "keyed"]


def test_everybody_can_be_told_that_it_is_in_vain():
    crowd = Crowd()
    crowd.empty(0)
    crowd.ask("one", P.EXIT, counter=1)
    crowd.ask("two")
    crowd.door.refuse_all(lambda: VenueUnavailable("banned"))
    assert sorted(crowd.refused) == ["one", "two"]
    assert len(crowd.door) == 0


def test_a_held_budget_grants_nothing_for_a_while():
    crowd = Crowd()
    crowd.door.hold(0, ALICE, {"weight": 1, "counter": 1}, 20)
    crowd.ask("look", P.EXIT, counter=1)
    assert crowd.ask("plain", P.EXIT) is None
    crowd.play(19)
    assert crowd.went == ["plain"]
    crowd.play(2)
    assert crowd.went == ["plain", "look"]


def test_without_a_key_the_addresss_own_budget_is_held():
    crowd = Crowd()
    crowd.door.hold(0, "", {"weight": 1}, 20)
    crowd.ask("exit", P.EXIT)
    crowd.play(19)
    assert crowd.went == []


def test_a_hold_of_seconds_does_not_cost_what_may_be_used_in_a_day():
    allowances = (Allowance.windowed(200_000, 86_400), Allowance.windowed(100, 10))
    door = Door(address=(TEN,), keyed={"orders": allowances})
    door.hold(0, ALICE, {"weight": 1, "orders": 1}, 10)
    costs = {"orders": 1.0}
    assert door.budget(0, ALICE, "orders").wait(0, 1, P.EXIT) == pytest.approx(10)
    assert door.ask(15, ALICE, ALICE, P.ENTRY, costs) is None


def test_what_others_use_behind_the_same_address_is_learned():
    crowd = Crowd()
    crowd.door.learn(0, "", Reading("weight", 10, used=8))
    assert [crowd.ask("exit", P.EXIT) is None for _ in range(3)] == [True, True, False]


def test_a_limit_that_is_used_up_is_left_alone_until_it_counts_anew():
    crowd = Crowd()
    crowd.door.learn(0, "", Reading("weight", 10, used=10, resets_in=7))
    crowd.ask("exit", P.EXIT)
    crowd.play(6.9)
    assert crowd.went == []
    crowd.play(0.2)
    assert crowd.went == ["exit"]


def test_a_limit_of_another_span_says_nothing_of_this_one():
    crowd = Crowd()
    crowd.door.learn(0, "", Reading("weight", 3600, used=10, resets_in=7))
    assert crowd.ask("exit", P.EXIT) is None


def test_a_limit_that_was_changed_is_learned_with_what_is_taken_of_it():
    crowd = Crowd()
    assert crowd.ask("one", P.EXIT, counter=1) is None
    crowd.door.learn(0, ALICE, Reading("counter", 1, used=1, limit=8))
    assert [crowd.ask("more", P.EXIT, counter=1) is None for _ in range(8)] == [True] * 7 + [False]
    crowd.door.learn(0, ALICE, Reading("counter", 1, used=8, limit=8))
    crowd.play(0.6)
    assert len(crowd.went) == 9


# --------------------------------------------------------------------------- properties


@settings(max_examples=200, deadline=None)
@given(
    requests=st.lists(
        st.tuples(
            st.sampled_from(list(P)),
            st.sampled_from([ALICE, BOB, CAROL]),
            st.integers(0, 6),  # weight
            st.integers(0, 3),  # counter
            st.floats(0, 3),  # seconds since the one before
            st.booleans(),  # leaves soon after
        ),
        max_size=60,
    )
)
def test_no_window_holds_more_than_is_allowed_and_everybody_goes_in_the_end(requests):
    crowd = Crowd(Allowance.windowed(10, 10, share=1, at_once=0.6))
    taken: list[tuple[float, float]] = []
    counted: dict[UserId, list[tuple[float, float]]] = {ALICE: [], BOB: [], CAROL: []}
    left = expected = 0
    for number, (priority, user, weight, counter, pause, leaves) in enumerate(requests):
        if not weight and not counter:
            continue
        crowd.play(pause)
        costs = {"counter": counter} if counter else {}
        waiting = crowd.ask(str(number), priority, user, weight, **costs)
        expected += 1
        if waiting is None:
            taken.append((crowd.now, weight))
            counted[user].append((crowd.now, counter))
            continue

        def tell(error, user=user, weight=weight, counter=counter):
            assert error is None
            taken.append((crowd.now, weight))
            counted[user].append((crowd.now, counter))

        waiting.tell = tell
        if leaves:
            crowd.door.leave(waiting)
            left += 1
    crowd.play(1000)
    assert len(taken) == expected - left
    assert len(crowd.door) == 0
    for start, _ in taken:
        assert sum(w for at, w in taken if start <= at < start + 10) <= 10 + 6
    for mine in counted.values():
        for start, _ in mine:
            assert sum(n for at, n in mine if start <= at < start + 1) <= 5 + 1e-6


def test_a_gate_that_two_have_left_lets_the_third_through():
    crowd = Crowd()
    crowd.ask("first", counter=4)
    second, third = crowd.ask("second", counter=4), crowd.ask("third", counter=4)
    crowd.ask("fourth", counter=1)
    for waiting in (second, third):
        assert waiting is not None
        crowd.door.leave(waiting)
    assert crowd.went == ["first"]
    crowd.play(4)
    assert crowd.went == ["first", "fourth"]
