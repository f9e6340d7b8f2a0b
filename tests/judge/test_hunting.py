"""What is spoiled on purpose is found: each naive policy, and mutants of every part."""

import pytest

from judge import mutants, naive
from judge.hunting import MUTANT_NAMES, POLICY_NAMES, hunt_mutant, hunt_policy
from judge.verdict import judge
from tradefleet.runtime.accounts import AccountLane
from tradefleet.runtime.host import Host


def test_there_are_twenty_mutants_and_four_naive_policies():
    assert len(set(MUTANT_NAMES)) == 20
    assert len(set(POLICY_NAMES)) == 4


@pytest.mark.parametrize("venue", ["kraken", "bybit"])
@pytest.mark.parametrize("name", POLICY_NAMES)
def test_each_naive_policy_is_found_by_what_it_holds(name, venue):
    found = hunt_policy(name, seed=3, venue=venue)
    assert found.is_found, f"{name} was taken for a careful one"


def test_the_same_seed_lets_a_policy_leave_the_same_behind():
    policy = naive.POLICIES[0]
    first, second = naive.run(policy, 5), naive.run(policy, 5)
    assert first.journals == second.journals
    assert judge(first).hashes == judge(second).hashes


# One of every kind; `make judge` hunts all twenty.
@pytest.mark.parametrize("name", ["no-epoch", "send-again", "no-fee", "never-sent", "kept-apart"])
def test_a_mutant_is_found_within_ten_seconds(name):
    found = hunt_mutant(name)
    assert found.is_found, f"{name} survived {found.worlds} worlds"


def test_a_mutant_leaves_nothing_behind_in_the_service():
    before = (Host.arm, AccountLane._ask, Host.add)
    for mutant in mutants.MUTANTS:
        with mutant.at_work():
            pass
    assert (Host.arm, AccountLane._ask, Host.add) == before
