"""The judge's command line: many fresh worlds, one seed again, the hunts, a soak.

python -m judge                              a run: prints tables, fails on whatever is wrong
python -m judge --mutants --naive            and what was spoiled on purpose must be found
python -m judge --seed 7 --venue kraken --replay      one world again, as a story
python -m judge --hashes 100                 so many worlds twice: the same to the last byte
python -m judge --level 2                    a minute of real processes, on either database
python -m judge --soak 1                     an hour on all cores, with memory over time
"""

import argparse
import os
import secrets
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import orjson

from judge import report, world
from judge.processes.command import DATABASES, SECONDS, play
from judge.runs import HUNTS, WORLDS, Campaign, first_seed, hashes, is_flat
from judge.story import story
from judge.verdict import judge
from judge.world.playing import VENUES

RUNS_MAX = 10**6
HOUR = 3600.0
SOAK_WORLDS = 8


def main(arguments: Sequence[str] | None = None) -> int:
    given = parser().parse_args(arguments)
    if given.level == 2:
        return play(given.seconds or SECONDS, given.seed or 1, given.database, given.json, say)
    if given.seed is not None:
        return one(given)
    if given.list_hashes:
        told = hashes(given.first or 0, given.list_hashes, given.workers)
        sys.stdout.write(orjson.dumps(told).decode())
        return 0
    if given.hashes:
        return twice(given)
    return many(given)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m judge", description=__doc__.split("\n")[0])
    made.add_argument("--seconds", type=float, default=0.0, help="go on for so long at least")
    made.add_argument("--seeds", type=int, default=WORLDS, help="worlds at least")
    made.add_argument("--first", type=int, help="the first seed; else it is drawn, and told")
    made.add_argument("--run", type=int, help="a run's number, from which the first seed follows")
    made.add_argument("--workers", type=int, default=os.cpu_count() or 2)
    made.add_argument("--venue", choices=VENUES, help="only this one")
    made.add_argument("--json", type=Path, help="where the figures go")
    made.add_argument("--seed", type=int, help="play one world")
    made.add_argument("--replay", action="store_true", help="and tell its story")
    made.add_argument("--hashes", type=int, default=0, help="play so many worlds twice")
    made.add_argument("--list-hashes", type=int, default=0, help=argparse.SUPPRESS)
    made.add_argument("--soak", type=float, default=0.0, help="hours on all cores")
    made.add_argument("--level", type=int, choices=(1, 2), default=1, help="2: real processes")
    made.add_argument("--database", choices=tuple(DATABASES), default="both", help="at level 2")
    for kind in HUNTS:
        made.add_argument(f"--{kind}", action="store_true", help=f"hunt {kind}, too")
    return made


# ----------------------------------------------------------------------- one world


def one(given: argparse.Namespace) -> int:
    """Play one world again and say what came of it."""
    venue = given.venue or VENUES[given.seed % len(VENUES)]
    played = world.play(given.seed, venue)
    verdict = judge(played.evidence)
    lines = story(played.evidence, verdict) if given.replay else [report.told(verdict)]
    say(*lines, *([] if given.replay else [f"journal of {venue}: {played.journal_hash}"]))
    for text in played.deaths:
        say(f"unexpected: {text}")
    if given.json:
        given.json.write_bytes(report.as_json(verdict, seed=given.seed, venue=venue))
    return int(not (verdict.is_clean and played.settled and not played.deaths))


# --------------------------------------------------------------------- many worlds


def many(given: argparse.Namespace) -> int:
    """Play fresh worlds, print what came of them, and return 0 when nothing is wrong."""
    soak = bool(given.soak)
    drawn = given.run if given.run is not None else secrets.randbelow(RUNS_MAX)
    campaign = Campaign(
        first=given.first if given.first is not None else first_seed(drawn),
        seconds=given.soak * HOUR if soak else given.seconds,
        worlds=SOAK_WORLDS if soak else given.seeds,
        venues=(given.venue,) if given.venue else VENUES,
        hunts=[kind for kind in HUNTS if getattr(given, kind)],
    )
    if given.venue or given.seeds < WORLDS:
        campaign.least = {}
        campaign.fills_cells = False
    say(f"first seed {campaign.first}, {given.workers} workers")
    campaign.run(given.workers, say)
    verdict = campaign.verdict
    say("", report.told(verdict), "")
    for kind, preys in campaign.preys.items():
        say(f"{kind}: {sum(prey.is_found for prey in preys)} of {len(preys)} found")
    say(
        f"{campaign.played} worlds, {campaign.number('network faults'):,} network faults,"
        f" {campaign.virtual_seconds / HOUR:.1f} virtual hours in {campaign.took:.1f} s"
        f" ({campaign.cpu:.1f} s of CPU, {given.workers} workers)"
    )
    flat = is_flat(campaign.memory) if soak else True
    figures = campaign.figures()
    if soak:
        figures |= {"memory": campaign.memory[:: max(1, len(campaign.memory) // 500)]}
        figures |= {"memory_is_flat": flat}
        say(f"memory {'flat' if flat else 'GROWS'}: {campaign.memory[-1][1] / 1e6:.0f} MB")
    for text in campaign.misses:
        say(text)
    if given.json:
        given.json.write_bytes(report.as_json(verdict, **figures))
    return int(not (campaign.is_good and flat))


def twice(given: argparse.Namespace) -> int:
    """Play worlds in two runs that agree on nothing but their seeds, and compare the journals."""
    first = given.first if given.first is not None else first_seed(secrets.randbelow(RUNS_MAX))
    told = [
        orjson.loads(
            subprocess.run(
                [
                    *(sys.executable, "-m", "judge", "--first", str(first)),
                    *("--list-hashes", str(given.hashes), "--workers", str(given.workers)),
                ],
                env={**os.environ, "PYTHONHASHSEED": str(number)},
                capture_output=True,
                check=True,
            ).stdout
        )
        for number in (1, 2)
    ]
    differ = [name for name, value in told[0].items() if told[1].get(name) != value]
    say(f"first seed {first}: {len(told[0]) - len(differ)} of {given.hashes} worlds are the same")
    for name in differ:
        say(f"differs: {name}")
    return int(bool(differ) or len(told[0]) != given.hashes)


def say(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
