"""Says a verdict: tables for a terminal, JSON with stable keys for everything else."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import orjson

from judge.coverage import Coverage
from judge.finding import COUNTERS, Finding
from judge.verdict import Verdict

FINDINGS_SHOWN = 20
EMPTY_SHOWN = 200  # empty cells in the JSON
MAIN = ("orders", "fills", "intents", "calls", "takeovers", "zombies", "kills", "manual")


# ------------------------------------------------------------------------ JSON


def as_json(verdict: Verdict, **more: object) -> bytes:
    """Return a verdict as JSON; more goes first, such as the seeds and the seconds it took."""
    return orjson.dumps({**more, **plain(verdict)}, option=orjson.OPT_INDENT_2)


def plain(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict as plain values."""
    coverage = verdict.coverage
    return {
        "is_clean": verdict.is_clean,
        **verdict.counted,
        "must_be_zero": dict(verdict.counters),
        "ledger_diff_units": dict(sorted(verdict.ledger_diff.items())),
        "liveness_seconds": {name: asdict(spread) for name, spread in verdict.liveness.items()},
        "coverage": {
            "cells": len(coverage.cells),
            "hit": len(coverage.cells) - len(coverage.empty),
            "fewest": coverage.fewest,
            "crashes": coverage.total,
            "empty": [list(cell) for cell in coverage.empty[:EMPTY_SHOWN]],
            "matrix": matrix(coverage),
        },
        "findings": [asdict(finding) for finding in verdict.findings],
        "hashes": dict(verdict.hashes),
    }


def matrix(coverage: Coverage) -> dict[str, dict[str, dict[str, int]]]:
    """Return the hits by venue, fault kind and crash point."""
    table: dict[str, dict[str, dict[str, int]]] = {}
    for point, kind, venue in coverage.cells:
        hits = coverage.hits.get((point, kind, venue), 0)
        table.setdefault(venue, {}).setdefault(kind, {})[point] = hits
    return table


# ---------------------------------------------------------------------- tables


def table(rows: Iterable[Sequence[object]], *, indent: str = "  ") -> list[str]:
    """Return rows with their columns aligned: numbers right, words left; the first is a header."""
    cells = [[f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row] for row in rows]
    if not cells:
        return []
    widths = [max(len(row[number]) for row in cells) for number in range(len(cells[0]))]
    lines = []
    for row in cells:
        shown = [
            cell.rjust(width) if number and _is_number(cell) else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append((indent + "  ".join(shown)).rstrip())
    return lines


def _is_number(cell: str) -> bool:
    return cell[:1].isdigit() or cell[:1] in ".-"


def told(verdict: Verdict) -> str:
    """Return a verdict as text for a terminal."""
    parts = [
        _counts(verdict),
        _times(verdict),
        _zeros(verdict),
        _covered(verdict.coverage),
        _found(verdict.findings),
    ]
    word = "CLEAN" if verdict.is_clean else "NOT CLEAN"
    gap = "" if verdict.coverage.is_full else f"; {len(verdict.coverage.empty)} cells were not hit"
    return "\n\n".join("\n".join(part) for part in [*parts, [f"{word}{gap}"]] if part)


def _counts(verdict: Verdict) -> list[str]:
    faults, crashes = verdict.counted.get("faults", {}), verdict.counted.get("crashes", {})
    lines = ["What was tried"]
    lines += table([(name, verdict.number(name)) for name in MAIN if verdict.number(name)])
    for title, split in (("Faults", faults), ("Crashes", crashes)):
        if isinstance(split, Mapping) and split:
            rows: list[tuple[object, ...]] = [(title, verdict.number(title.lower()))]
            rows += [(f"  {kind}", number) for kind, number in sorted(split.items())]
            lines += table(rows)
    return lines


def _times(verdict: Verdict) -> list[str]:
    words = {
        "unknown": "an order in doubt",
        "recovery": "from crash to run again",
        "unprotected": "a position without a stop",
    }
    rows: list[tuple[object, ...]] = [("Seconds", "times", "p50", "p99", "longest")]
    for name, spread in verdict.liveness.items():
        if spread.count:
            times = (f"{spread.p50:.1f}", f"{spread.p99:.1f}", f"{spread.max:.1f}")
            rows.append((words[name], spread.count, *times))
    return table(rows, indent="") if len(rows) > 1 else []


def _zeros(verdict: Verdict) -> list[str]:
    rows: list[tuple[object, ...]] = []
    for name in COUNTERS:
        value = verdict.counters.get(name, 0)
        rows.append((name, value, "" if not value else "<-- must be 0"))
    lines = ["Must be zero", *table(rows)]
    if verdict.ledger_diff:
        split = ", ".join(f"{a} {n:,}" for a, n in sorted(verdict.ledger_diff.items()))
        lines.append(f"  (ledger_diff_units by asset: {split})")
    return lines


def _covered(coverage: Coverage) -> list[str]:
    """Return one table for each venue: how often a crash at a point met a kind of fault."""
    lines: list[str] = []
    for venue, kinds in matrix(coverage).items():
        points = coverage.points
        rows: list[tuple[object, ...]] = [(f"Crashes at {venue}", *points)]
        rows += [
            (kind, *(hits.get(point, 0) or "." for point in points)) for kind, hits in kinds.items()
        ]
        lines += [*table(rows, indent=""), ""]
    return lines[:-1]


def _found(findings: Sequence[Finding]) -> list[str]:
    if not findings:
        return []
    lines = [f"Found ({len(findings)})"]
    for finding in findings[:FINDINGS_SHOWN]:
        names = f" [{', '.join(finding.orders[:3])}]" if finding.orders else ""
        where = f"{finding.account_id}: " if finding.account_id else ""
        lines.append(f"  {finding.counter}: {where}{finding.text}{names}")
    if len(findings) > FINDINGS_SHOWN:
        lines.append(f"  … and {len(findings) - FINDINGS_SHOWN} more")
    return lines
