"""Plays a world from its seed, apart from whatever else this process does."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from judge.evidence import Evidence
from judge.world import menu
from judge.world.ground import World
from judge.world.loop import run_virtual
from judge.world.size import Size, hostile
from tradefleet.runtime import node

KINDS_OF_A_SEED = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What became of a world: its evidence, what it counted, and what no test of ours expects."""

    evidence: Evidence
    counts: Mapping[str, int]
    deaths: Sequence[str]
    journal_hash: str
    seconds: float  # of its own time
    carried: int  # calls to the venue


def kinds_of(seed: int, count: int = KINDS_OF_A_SEED) -> Sequence[str]:
    """Return the kinds of faults that have their season in a seed's world: they go round."""
    kinds = menu.KINDS
    return tuple(kinds[(seed * count + place) % len(kinds)] for place in range(count))


def play(seed: int, venue: str, *, size: Size | None = None) -> Played:
    """Play a world once."""
    given = size or hostile(kinds_of(seed))

    async def main() -> Played:
        world = World(seed, venue, given)
        evidence = await world.run()
        for machine in world.machines:
            if machine.process is not None:
                machine.process.kill()
        return Played(
            evidence=evidence,
            counts=dict(world.counts),
            deaths=tuple(world.deaths),
            journal_hash=world.venue.journal.hash,
            seconds=world.loop.time(),
            carried=world.network.carried,
        )

    with in_silence():
        return run_virtual(main())


def run(seed: int, venue: str, *, size: Size | None = None) -> Evidence:
    """Play a world once and return what it left behind."""
    return play(seed, venue, size=size).evidence


def spare_nothing() -> None:
    """Leave the collector as it is: nodes come and go here by the hundred."""


@contextmanager
def in_silence() -> Iterator[None]:
    """Keep logs quiet, and the collector as it is, while worlds are played."""
    spares, disabled = node.spare_the_collector, logging.root.manager.disable
    node.spare_the_collector = spare_nothing
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        node.spare_the_collector = spares
        logging.disable(disabled)
