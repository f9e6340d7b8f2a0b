"""Writes the judge's tables into docs/order-safety.md: what it counts, what runs came to.

    python -m judge.figures "one process"=run.json "several processes"=l2.json

Each file is what a run wrote as JSON. What is shown of it is kept in docs/order-safety.json, so
that a test can hold the page against it; without arguments the page is drawn anew from that.
"""

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import orjson

from judge.finding import COUNTERS

Run: TypeAlias = Mapping[str, Any]
ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "order-safety.md"
KEPT = ROOT / "docs" / "order-safety.json"
HOLE = re.compile(r"(<!-- judge: (\w+) -->\n).*?(<!-- end of \2 -->)", re.DOTALL)
SHOWN = (
    "seeds",
    "seconds",
    "cpu_seconds",
    "virtual_seconds",
    "network_faults",
    "is_clean",
    "orders",
    "fills",
    "calls",
    "takeovers",
    "zombies",
    "kills",
    "manual",
    "faults",
    "crashes",
    "must_be_zero",
    "liveness_seconds",
    "mutants",
    "naive",
)
COVERED = ("cells", "hit", "fewest")
NONE = "-"


def kept(run: Run) -> dict[str, Any]:
    """Return what is kept of a run: no findings, no matrix, no hashes."""
    found = {name: run[name] for name in SHOWN if name in run}
    if "seeds" in found and not isinstance(found["seeds"], int):
        found["seeds"] = len(found["seeds"])
    for name in ("mutants", "naive"):
        if name in found:
            found[name] = {key: found[name][key] for key in ("tried", "found")}
    covered = run.get("coverage", {})
    return found | {"coverage": {name: covered[name] for name in COVERED if name in covered}}


def drawn(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a table in Markdown, the first row being its head."""
    lines = [rows[0], ["---"] * len(rows[0]), *rows[1:]]
    return ["| " + " | ".join(line) + " |" for line in lines]


def counters(runs: Mapping[str, Run]) -> list[str]:
    return drawn([("Counter", "Counts"), *((f"`{name}`", text) for name, text in COUNTERS.items())])


def figures(runs: Mapping[str, Run]) -> list[str]:
    """Return what the last runs came to, one column each."""
    if not runs:
        return ["No run is recorded yet: `python -m judge.figures NAME=FILE` records one."]
    head = ("", *runs)
    rows = [(title, *(say(run) for run in runs.values())) for title, say in ROWS.items()]
    return drawn([head, *(row for row in rows if any(cell != NONE for cell in row[1:]))])


def _number(name: str) -> Callable[[Run], str]:
    def say(run: Run) -> str:
        value = run.get(name)
        if isinstance(value, Mapping):
            value = sum(value.values())
        if value is None:
            return NONE
        return f"{value:,}" if isinstance(value, int) else f"{value:,.0f}"

    return say


def _hours(run: Run) -> str:
    return f"{run['virtual_seconds'] / 3600:,.1f}" if run.get("virtual_seconds") else NONE


def _kinds(name: str) -> Callable[[Run], str]:
    return lambda run: str(len(run[name])) if run.get(name) else NONE


def _covered(run: Run) -> str:
    covered = run.get("coverage") or {}
    if not covered.get("cells"):
        return NONE
    return f"{covered['hit']:,} of {covered['cells']:,}, each {covered['fewest']} times or more"


def _zero(run: Run) -> str:
    values = run.get("must_be_zero")
    if values is None:
        return NONE
    wrong = [f"`{name}` {value:,}" for name, value in values.items() if value]
    return ", ".join(wrong) or f"0 in all {len(values)}"


def _times(name: str) -> Callable[[Run], str]:
    def say(run: Run) -> str:
        spread = run.get("liveness_seconds", {}).get(name, {})
        if not spread.get("count"):
            return NONE
        return " / ".join(f"{spread[part]:.1f}" for part in ("p50", "p99", "max"))

    return say


def _found(name: str) -> Callable[[Run], str]:
    def say(run: Run) -> str:
        value = run.get(name)
        return f"{value['found']} of {value['tried']}" if value else NONE

    return say


ROWS: Mapping[str, Callable[[Run], str]] = {
    "seeds": _number("seeds"),
    "seconds it took": _number("seconds"),
    "CPU seconds it took, of all processes": _number("cpu_seconds"),
    "made-up hours that passed": _hours,
    "orders accepted": _number("orders"),
    "trades": _number("fills"),
    "requests": _number("calls"),
    "faults": _number("faults"),
    "of these, of the network": _number("network_faults"),
    "kinds of faults": _kinds("faults"),
    "crashes": _number("crashes"),
    "takeovers": _number("takeovers"),
    "of these from a host that still lived": _number("zombies"),
    "kill switches": _number("kills"),
    "orders placed by hand": _number("manual"),
    "cells (crash point, fault, venue) hit": _covered,
    "**what must be zero**": _zero,
    "an order in doubt, p50 / p99 / longest in s": _times("unknown"),
    "from crash to run again, in s": _times("recovery"),
    "a position without a stop, in s": _times("unprotected"),
    "faults put in on purpose that were found": _found("mutants"),
    "unsafe policies that were found": _found("naive"),
}
BLOCKS: Mapping[str, Callable[[Mapping[str, Run]], list[str]]] = {
    "counters": counters,
    "figures": figures,
}


def filled(page: str, runs: Mapping[str, Run]) -> str:
    """Return a page with its blocks as they are to be."""
    return HOLE.sub(
        lambda hole: "\n".join([hole[1].rstrip(), *BLOCKS[hole[2]](runs), hole[3]]), page
    )


def recorded(path: Path = KEPT) -> dict[str, Run]:
    """Return the runs the page shows, by name."""
    if not path.exists():
        return {}
    runs: dict[str, Run] = orjson.loads(path.read_bytes())
    return runs


def record(runs: Mapping[str, Run], *, path: Path = KEPT, page: Path = PAGE) -> None:
    """Keep these runs in place of those of the same names, and draw the page."""
    every = {**recorded(path), **{name: kept(run) for name, run in runs.items()}}
    path.write_bytes(orjson.dumps(every, option=orjson.OPT_INDENT_2) + b"\n")
    page.write_text(filled(page.read_text(), every))


def main(words: Sequence[str]) -> int:
    runs = {}
    for word in words:
        name, _, file = word.partition("=")
        if not file:
            sys.stderr.write(
                'say which run it is: python -m judge.figures "one process"=run.json\n'
            )
            return 2
        runs[name] = orjson.loads(Path(file).read_bytes())
    record(runs)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
