"""Sends the judge after what was spoiled on purpose: mutants of the service, and naive policies.

A mutant counts as found when its world is not clean and the same world without it is.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import count

from judge import naive, world
from judge.mutants import MUTANTS, SMALL, Mutant
from judge.naive import POLICIES, Policy
from judge.verdict import judge
from judge.world.size import Size

PATIENCE_S = 10.0  # of CPU time, for one prey
SMALL_SEEDS = 2  # that a mutant is looked for in small worlds, which cost a fourth


@dataclass(frozen=True, slots=True, kw_only=True)
class Prey:
    """What was hunted, and what came of it; counters: what gave it away, empty when nothing did."""

    name: str
    text: str
    seed: int = 0
    venue: str = ""
    worlds: int = 0
    seconds: float = 0.0  # of CPU time, until it was found or given up
    counters: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_found(self) -> bool:
        return bool(self.counters)


def hunt_mutant(name: str, patience: float = PATIENCE_S, first: int = 1) -> Prey:
    """Play spoiled worlds, from a first seed on, until one of them gives the mutant away."""
    mutant = next(mutant for mutant in MUTANTS if mutant.name == name)
    began = time.process_time()
    for worlds, (seed, venue, size) in enumerate(grounds(mutant, first), 1):
        found = given_away(mutant, seed, venue, size)
        seconds = time.process_time() - began
        if found or seconds > patience:
            return Prey(
                name=name,
                text=mutant.text,
                seed=seed,
                venue=venue,
                worlds=worlds,
                seconds=seconds,
                counters=found,
            )
    raise AssertionError("seeds do not end")


def grounds(mutant: Mutant, first: int) -> Iterator[tuple[int, str, Size | None]]:
    """Return the worlds a mutant is looked for in, without end: the cheap ones first."""
    for seed in count(first):
        usual = SMALL if seed < first + SMALL_SEEDS else None
        for venue in mutant.venues:
            yield seed, venue, mutant.size or usual


def given_away(mutant: Mutant, seed: int, venue: str, size: Size | None) -> Mapping[str, int]:
    """Return what is wrong in a spoiled world and in order without the mutant."""
    with mutant.at_work():
        found = judge(world.run(seed, venue, size=size)).counters
    wrong = {name: value for name, value in found.items() if value}
    return wrong if wrong and is_clean(seed, venue, size) else {}


@cache
def is_clean(seed: int, venue: str, size: Size | None) -> bool:
    """Say whether nothing is wrong in a world that nobody spoiled; many mutants share one."""
    return judge(world.run(seed, venue, size=size)).is_clean


def hunt_policy(name: str, seed: int = 1, venue: str = "binance") -> Prey:
    """Let the bots of a naive policy trade, and judge what they leave behind by exposure."""
    policy: Policy = next(policy for policy in POLICIES if policy.name == name)
    began = time.process_time()
    counters = judge(naive.run(policy, seed, venue)).counters
    wrong = {name: value for name, value in counters.items() if value}
    return Prey(
        name=name,
        text=policy.text,
        seed=seed,
        venue=venue,
        worlds=1,
        seconds=time.process_time() - began,
        counters=wrong if wrong.get("exposure_violations") else {},
    )


MUTANT_NAMES: Sequence[str] = tuple(mutant.name for mutant in MUTANTS)
POLICY_NAMES: Sequence[str] = tuple(policy.name for policy in POLICIES)
Hunt = Callable[[str], Prey]
