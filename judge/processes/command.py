"""L2 as a command: runs on one database or both, prints what came of it, says what was missed."""

import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from judge import report
from judge.processes.running import LEASE_TTL, Ran, Size, run_whole
from judge.verdict import Verdict, judge

DATABASES: Mapping[str, Sequence[str]] = {
    "sqlite": ("sqlite",),
    "postgres": ("postgres",),
    "both": ("sqlite", "postgres"),
}
SECONDS = 60.0
# What a run of a minute is to have tried, by database; a shorter one so much less.
LEAST: Mapping[str, Mapping[str, int]] = {
    "sqlite": {"orders": 3000, "kills": 50},
    "postgres": {"orders": 3000, "kills": 50, "zombies": 20},
}
# On a file one host trades at a time, and a third of its core was idle: its bots signal more often.
SIZES: Mapping[str, Size] = {"sqlite": Size(period=3), "postgres": Size()}
SHORTENED = (
    f"shortened for the run: leases of {LEASE_TTL} s, the shortest setting (30 s as it comes);"
    " bars of a quarter of a second"
)
UNLIMITED = "venues and governor count no rates here; Binance is sent no create twice"

Say = Callable[[str], None]


def play(seconds: float, seed: int, database: str, file: Path | None, say: Say) -> int:
    """Run L2 on a database, or both; return 0 when nothing is wrong and enough was tried."""
    told: dict[str, Any] = {"shortened": SHORTENED, "unlimited": UNLIMITED}
    bad = False
    say(SHORTENED)
    say(UNLIMITED)
    for name in DATABASES[database]:
        say(f"{name}, seed {seed}")
        ran = run_whole(seconds, seed, name, SIZES[name], say=say)
        verdict = judge(ran.evidence)
        say(report.told(verdict))
        for text, value in ran.figures.items():
            say(f"{text}: {value}")
        wrong = [*misses(name, seconds, tried(ran, verdict)), *faults(ran)]
        for text in wrong:
            say(f"{name}: {text}")
        bad = bad or bool(wrong) or not verdict.is_clean
        told[name] = {
            **orjson.loads(report.as_json(verdict, seed=seed)),
            "figures": ran.figures,
            "tried": tried(ran, verdict),
            "missed": wrong,
        }
    if file is not None:
        file.write_bytes(orjson.dumps(told, option=orjson.OPT_INDENT_2, default=str))
    return int(bad)


def tried(ran: Ran, verdict: Verdict) -> Mapping[str, int]:
    """Return what counts: orders that venues accepted, kills, and hosts that were overtaken."""
    return {
        "orders": verdict.number("orders"),
        "kills": int(ran.figures["kills"]),
        "zombies": int(ran.figures["zombies"]),
    }


def misses(database: str, seconds: float, found: Mapping[str, int]) -> list[str]:
    """Say what was tried less often than a run of so many seconds is to try it."""
    share = min(1.0, seconds / SECONDS)
    return [
        f"only {found[name]} {name}, and {round(least * share)} are the least"
        for name, least in LEAST[database].items()
        if found[name] < round(least * share)
    ]


def faults(ran: Ran) -> list[str]:
    """Say what no counter has: money that differs, and what did not come to rest."""
    figures = ran.figures
    found = []
    if figures["balances that differ"]:
        found.append(f"{figures['balances that differ']} balances differ from the venue's")
    if figures["left unsettled"]:
        found.append(f"it did not come to rest: {figures['left unsettled']}")
    if hanging := figures.get(f"stopped with code {-signal.SIGKILL}"):
        found.append(f"{hanging} hosts did not end when they were asked to")
    if figures["bots set aside"]:
        found.append(f"bots hit faults of ours: {figures['bots set aside']}")
    return found
