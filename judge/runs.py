"""Plays many worlds on all cores until all was tried that is to be tried, and hunts meanwhile."""

import gc
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeAlias

from judge.hunting import MUTANT_NAMES, POLICY_NAMES, Prey, hunt_mutant, hunt_policy
from judge.verdict import Verdict, judge, merged
from judge.world import menu
from judge.world.playing import (
    SEEDS_OF_A_RUN,
    VENUES,
    is_on_sqlite,
    is_single,
    kinds_of,
    play,
)
from judge.world.sqlite import empty_database
from tradefleet.runtime.real_world import RealClock

WORLDS = 44  # ten for each venue go once through all kinds of faults, and one is on SQLite
LEAST: Mapping[str, int] = {
    "orders": 20_000,
    "network faults": 20_000,
    "crashes": 1_000,
    "zombies": 1_000,
}
ROUNDS_MOST = 60  # worlds that are played for one venue's empty cells, at most
MERGED_AT_ONCE = 50  # verdicts that are kept apart
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

# What can be hunted besides worlds: by the name of the option, who hunts, and after what.
HUNTS: Mapping[str, tuple[Callable[[str], Prey], Sequence[str]]] = {
    "mutants": (hunt_mutant, MUTANT_NAMES),
    "naive": (hunt_policy, POLICY_NAMES),
}


@dataclass(frozen=True, slots=True)
class Played:
    """One world, judged; unexpected: what became of hosts and bots that nothing excuses."""

    seed: int
    venue: str
    verdict: Verdict
    settled: bool
    unexpected: Sequence[str]
    virtual_seconds: float
    hash: str
    process: int
    memory: int  # bytes that are resident in its process


Result: TypeAlias = Played | tuple[str, Prey]


def play_and_judge(seed: int, venue: str) -> Played:
    """Play one world in this process."""
    played = play(seed, venue)
    verdict = judge(played.evidence)
    return Played(
        seed=seed,
        venue=venue,
        verdict=verdict,
        settled=played.settled,
        unexpected=[f"{venue} {seed}: {text}" for text in played.deaths],
        virtual_seconds=played.seconds,
        hash=played.journal_hash,
        process=os.getpid(),
        memory=resident(),
    )


def hunt(kind: str, name: str) -> tuple[str, Prey]:
    hunter, _ = HUNTS[kind]
    return kind, hunter(name)


def resident() -> int:
    """Return how many bytes of this process are resident, 0 where that is not told."""
    told = Path("/proc/self/statm")
    return int(told.read_text().split()[1]) * PAGE_BYTES if told.exists() else 0


def cpu_seconds() -> float:
    """Return the CPU time of this process and of those it waited for."""
    return sum(os.times()[:4])


def spare_the_collectors() -> None:
    """Keep what was imported out of the way of workers' collectors: it lives as long as they."""
    gc.collect()
    gc.freeze()


def venue_of(seed: int, venues: Sequence[str] = VENUES) -> str:
    return venues[seed % len(venues)]


def first_seed(run: int) -> int:
    """Return the first seed of a run: windows of runs do not overlap."""
    return run * SEEDS_OF_A_RUN


@dataclass(slots=True, kw_only=True)
class Campaign:
    """One run of the judge. seconds: how long it goes on at least; worlds: how many at least."""

    first: int
    seconds: float = 0.0
    worlds: int = WORLDS
    venues: Sequence[str] = VENUES
    least: Mapping[str, int] = field(default_factory=lambda: dict(LEAST))
    fills_cells: bool = True
    hunts: Sequence[str] = ()
    verdict: Verdict = field(default_factory=lambda: merged(()))
    preys: dict[str, list[Prey]] = field(default_factory=dict)
    played: int = 0
    seeds: list[int] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    unsettled: list[str] = field(default_factory=list)
    virtual_seconds: float = 0.0
    took: float = 0.0
    cpu: float = 0.0  # seconds, of all processes: what of a busy machine's time was ours
    memory: list[tuple[float, int]] = field(default_factory=list)  # seconds, bytes of all workers
    _fresh: list[Verdict] = field(default_factory=list)
    _resident: dict[int, int] = field(default_factory=dict)
    _tried: Counter[str] = field(default_factory=Counter)
    _filling: dict[int, tuple[str, str]] = field(default_factory=dict)  # seed → venue, kind
    _single: dict[str, Iterator[int]] = field(default_factory=dict)
    _next: dict[str, Iterator[int]] = field(default_factory=dict)
    _given: int = 0
    _clock: RealClock = field(default_factory=RealClock)
    _began: float = 0.0

    def run(self, workers: int, tell: Callable[[str], None] = lambda text: None) -> None:
        """Play, judge and hunt until there is nothing left to try."""
        self._began = self._clock.monotonic()
        used = cpu_seconds()
        empty_database()  # made once, before there are workers
        for venue in self.venues:
            self._next[venue] = self._seeds_of(venue)
            self._single[venue] = filter(is_single, self._seeds_of(venue))
        context = get_context("fork" if hasattr(os, "fork") else "spawn")
        spare_the_collectors()
        with ProcessPoolExecutor(workers, mp_context=context) as pool:
            waiting: set[Future[Result]] = {
                pool.submit(hunt, kind, name) for kind in self.hunts for name in HUNTS[kind][1]
            }
            while True:
                while len(waiting) < 2 * workers and (job := self._job()) is not None:
                    waiting.add(pool.submit(play_and_judge, *job))
                if not waiting:
                    break
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                for future in done:
                    self._take(future.result(), tell)
        self._merge()
        self.took = self._clock.monotonic() - self._began
        self.cpu = cpu_seconds() - used

    # ------------------------------------------------------------------ what next

    def _seeds_of(self, venue: str) -> Iterator[int]:
        """Return a venue's seeds: each is its own, and its group says which faults it has."""
        place = VENUES.index(venue)
        return (self.first // len(VENUES) * len(VENUES) + place + len(VENUES) * n for n in count())

    def _job(self) -> tuple[int, str] | None:
        """Return the next world to play, None when no more is needed."""
        if self._given < self.worlds:
            venue = self.venues[self._given % len(self.venues)]
            return self._give(venue, next(self._next[venue]))
        if self.played < self._given and self.played < self.worlds:
            return None  # what is still empty shows when these are back
        if self.fills_cells and (job := self._for_a_cell()) is not None:
            return job
        behind = any(self.number(name) < least for name, least in self.least.items())
        if behind or self._clock.monotonic() - self._began < self.seconds:
            venue = self.venues[self._given % len(self.venues)]
            return self._give(venue, self._in_memory(venue))
        return None

    def _give(self, venue: str, seed: int) -> tuple[int, str]:
        self._given += 1
        return seed, venue

    def _in_memory(self, venue: str) -> int:
        plain = (seed for seed in self._next[venue] if not is_single(seed))
        return next(seed for seed in plain if not is_on_sqlite(seed))

    def _for_a_cell(self) -> tuple[int, str] | None:
        """Return a world in whose seasons a kind comes that lacks a crash point."""
        self._merge()
        for venue in self.venues:
            empty = [kind for _, kind, there in self.verdict.coverage.empty if there == venue]
            kinds = {kind for kind in empty if (venue, kind) not in self._filling.values()}
            if not kinds or self._tried[venue] >= ROUNDS_MOST:
                continue
            self._tried[venue] += 1
            seed = next(seed for seed in self._single[venue] if kinds & set(kinds_of(seed)))
            self._filling[seed] = venue, kinds_of(seed)[0]
            return self._give(venue, seed)
        return None

    # ------------------------------------------------------------------ what came

    def _take(self, result: Result, tell: Callable[[str], None]) -> None:
        if not isinstance(result, Played):
            kind, prey = result
            self.preys.setdefault(kind, []).append(prey)
            tell(f"{kind}: {prey.name}: {'found' if prey.is_found else 'NOT FOUND'}")
            return
        self.played += 1
        self._filling.pop(result.seed, None)
        self.seeds.append(result.seed)
        self._fresh.append(result.verdict)
        self.virtual_seconds += result.virtual_seconds
        self.unexpected += result.unexpected
        where = f"{result.venue} {result.seed}"
        if not result.settled:
            self.unsettled.append(where)
        self._resident[result.process] = result.memory
        at = self._clock.monotonic() - self._began
        self.memory.append((round(at, 1), sum(self._resident.values())))
        if len(self._fresh) >= MERGED_AT_ONCE:
            self._merge()
        bad = {name: value for name, value in result.verdict.counters.items() if value}
        if bad:
            tell(f"{where}: {bad}")

    def _merge(self) -> None:
        if self._fresh:
            self.verdict = merged([self.verdict, *self._fresh])
            self._fresh.clear()

    def number(self, name: str) -> int:
        """Return how much was tried of something, by its name in LEAST."""
        self._merge()
        if name != "network faults":
            return self.verdict.number(name)
        faults = self.verdict.counted.get("faults", {})
        return (
            sum(faults.get(kind, 0) for kind in menu.NETWORK) if isinstance(faults, Mapping) else 0
        )

    # ---------------------------------------------------------------- the end

    @property
    def misses(self) -> list[str]:
        """Return in words what this run cannot be content with, apart from the verdict."""
        found = [
            f"{name}: {self.number(name):,} of {least:,}"
            for name, least in self.least.items()
            if self.number(name) < least
        ]
        if self.fills_cells and not self.verdict.coverage.is_full:
            found.append(f"{len(self.verdict.coverage.empty)} cells were not hit")
        found += [f"not at rest in the end: {where}" for where in self.unsettled]
        found += [f"unexpected: {text}" for text in self.unexpected]
        found += [
            f"{kind}: {prey.name} was not found"
            for kind, preys in self.preys.items()
            for prey in preys
            if not prey.is_found
        ]
        return found

    @property
    def is_good(self) -> bool:
        return self.verdict.is_clean and not self.misses

    def figures(self) -> dict[str, Any]:
        """Return what goes into the JSON besides the verdict."""
        return {
            "first": self.first,
            "seeds": len(self.seeds),
            "seconds": round(self.took, 1),
            "cpu_seconds": round(self.cpu, 1),
            "virtual_seconds": round(self.virtual_seconds),
            "network_faults": self.number("network faults"),
            "is_good": self.is_good,
            "misses": self.misses,
            **{kind: told_preys(preys) for kind, preys in self.preys.items()},
        }


def told_preys(preys: Sequence[Prey]) -> dict[str, Any]:
    """Return what was found, by name; and what gave it away."""
    return {
        "tried": len(preys),
        "found": sum(prey.is_found for prey in preys),
        "by": {
            prey.name: {"found": prey.is_found, "seconds": round(prey.seconds, 1), **prey.counters}
            for prey in sorted(preys, key=lambda prey: prey.name)
        },
    }


def is_flat(memory: Sequence[tuple[float, int]], within: float = 0.02) -> bool:
    """Say whether memory grew by no more than a share, from the second fourth to the last."""
    fourth = len(memory) // 4
    if fourth < 2:
        return True
    early = sorted(size for _, size in memory[fourth : 2 * fourth])
    late = sorted(size for _, size in memory[-fourth:])
    return late[len(late) // 2] <= early[len(early) // 2] * (1 + within)


def hashes(first: int, worlds: int, workers: int) -> dict[str, str]:
    """Return the hashes of so many worlds' journals, by seed and venue."""
    empty_database()
    seeds = range(first, first + worlds)
    with ProcessPoolExecutor(workers, mp_context=get_context("fork")) as pool:
        every = pool.map(play_and_judge, seeds, map(venue_of, seeds))
        return {f"{played.venue} {played.seed}": played.hash for played in every}
