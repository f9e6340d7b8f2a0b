"""Plays a world from its seed, apart from whatever else this process does."""

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from judge.evidence import Evidence
from judge.world import menu, rules
from judge.world.clocks import WorldClock
from judge.world.ground import World
from judge.world.keeping import Keeping
from judge.world.loop import run_virtual
from judge.world.memory import MemoryKeeping
from judge.world.size import Size, hostile
from judge.world.sqlite import SqliteKeeping, empty_database, without_threads
from tradefleet.runtime import node

VENUES = tuple(rules.ALL)
KINDS_OF_A_SEED = 4
SEEDS_OF_A_RUN = 4_000  # windows of runs do not overlap
SINGLE_FROM = 2_000
ORDERS = 505  # of a world, at least
ORDERS_SQLITE = 100
SQLITE_EVERY = 11  # one in so many worlds stands on SQLite, which takes five times as long


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What became of a world: its evidence, what it counted, and what no test of ours expects."""

    evidence: Evidence
    counts: Mapping[str, int]
    deaths: Sequence[str]
    journal_hash: str
    seconds: float  # of its own time
    carried: int  # calls to the venue
    settled: bool  # whether all was over, and the ledger right, when it ended


def group_of(seed: int) -> int:
    """Return the number of a seed's group: so many seeds as there are venues have one plan."""
    return seed // len(VENUES)


def is_single(seed: int) -> bool:
    """Say whether a seed's world has one season and ends after it: such worlds fill gaps."""
    return seed % SEEDS_OF_A_RUN >= SINGLE_FROM


def is_on_sqlite(seed: int) -> bool:
    return not is_single(seed) and group_of(seed) % SQLITE_EVERY == SQLITE_EVERY - 1


def kinds_of(seed: int) -> Sequence[str]:
    """Return the kinds of faults that have their season in a seed's world: they go round."""
    group = group_of(seed)
    if is_single(seed):
        return (menu.KINDS[group % len(menu.KINDS)],)
    first = (group - group // SQLITE_EVERY) * KINDS_OF_A_SEED  # those on SQLite play few
    count = 1 if is_on_sqlite(seed) else KINDS_OF_A_SEED
    return tuple(menu.KINDS[(first + place) % len(menu.KINDS)] for place in range(count))


def size_of(seed: int) -> Size:
    """Return how large and how hostile a seed's world is."""
    size = hostile(kinds_of(seed))
    if is_single(seed):
        return size
    if is_on_sqlite(seed):
        return replace(size, orders=ORDERS_SQLITE, store="sqlite")
    return replace(size, orders=ORDERS)


def play(seed: int, venue: str, *, size: Size | None = None) -> Played:
    """Play a world once."""
    given = size or size_of(seed)

    async def main() -> Played:
        keeping = await kept_in(given.store)
        world = World(seed, venue, given, keeping)
        try:
            evidence = await world.run()
        finally:
            await world.end()
            await keeping.close()
        return Played(
            evidence=evidence,
            counts=dict(world.counts),
            deaths=tuple(world.deaths),
            journal_hash=world.venue.journal.hash,
            seconds=world.loop.time(),
            carried=world.network.carried,
            settled=world.settled,
        )

    if given.store == "sqlite":
        empty_database()  # made outside of the world's time
    with in_silence(), without_threads():
        return run_virtual(main())


async def kept_in(store: str) -> Keeping:
    """Open an empty database of a kind."""
    clock = WorldClock(asyncio.get_running_loop())
    if store == "sqlite":
        return await SqliteKeeping.opened(clock, empty_database())
    return MemoryKeeping(clock)


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
