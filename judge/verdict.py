"""Judges a run by what it left behind: every counter that must be zero, counts, times, coverage.

A stranger to the engine: it reads the venues' journals, the final database and the diary.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from judge.case import Case
from judge.checks import CHECKS
from judge.checks.promises import PROTECTED_WITHIN_S
from judge.coverage import Coverage
from judge.evidence import Evidence
from judge.finding import COUNTERS
from judge.finding import Finding as Finding
from judge.liveness import MEASURED, Spread, Times, measured, percentile_of

ANYWHERE = "anywhere"  # the point of a crash that was drawn by the clock
FINDINGS_KEPT = 1000  # of a verdict over many runs; counters count all


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one run, or many, came to.

    counters: all that must be zero, by name. counted: how much was tried, by what; what it is
    split by is a mapping. seconds: how often each time was measured, for liveness.
    """

    counters: Mapping[str, int]
    ledger_diff: Mapping[str, int] = field(default_factory=dict)  # units by asset
    counted: Mapping[str, int | Mapping[str, int]] = field(default_factory=dict)
    seconds: Mapping[str, Times] = field(default_factory=dict)
    coverage: Coverage = field(default_factory=Coverage)
    findings: Sequence[Finding] = ()
    hashes: Mapping[str, str] = field(default_factory=dict)  # by venue, of its whole journal

    @property
    def is_clean(self) -> bool:
        """Say whether all that must be zero is zero; coverage is for many runs to fill."""
        return not any(self.counters.values())

    @property
    def liveness(self) -> Mapping[str, Spread]:
        return {name: Spread.of(self.seconds.get(name, {})) for name in MEASURED}

    def number(self, name: str) -> int:
        """Return a count, summed up when it is split."""
        value = self.counted.get(name, 0)
        return value if isinstance(value, int) else sum(value.values())


def judge(evidence: Evidence) -> Verdict:
    """Return the verdict on what a run left behind."""
    case = Case.of(evidence)
    findings = [finding for check in CHECKS for finding in check(case)]
    findings.sort(key=lambda finding: (finding.at_ms, finding.counter, finding.orders))
    counters = dict.fromkeys(COUNTERS, 0)
    by_asset: Counter[str] = Counter()
    for finding in findings:
        counters[finding.counter] += finding.amount
        if finding.counter == "ledger_diff_units":
            by_asset[finding.asset] += finding.amount
    return Verdict(
        counters=counters,
        ledger_diff=dict(by_asset),
        counted=counted(case),
        seconds=measured(case),
        coverage=Coverage.of(evidence),
        findings=findings,
        hashes={venue: journal.hash for venue, journal in case.journals.items()},
    )


def counted(case: Case) -> dict[str, int | Mapping[str, int]]:
    """Count what was tried."""
    trades = sum(len(order.trades) for order in case.accepted)
    faults = Counter(str(each.fields["fault"]) for each in case.happened("fault"))
    crashes = Counter(str(each.fields["point"] or ANYWHERE) for each in case.happened("crash"))
    takeovers, zombies = _takeovers(case)
    return {
        "orders": len(case.accepted),
        "intents": len(case.evidence.database.orders),
        "fills": trades,
        "calls": sum(len(journal.calls) for journal in case.journals.values()),
        "positions": sum(1 for o in case.accepted if o.side == "buy" and o.trades),
        "manual": sum(1 for _ in case.happened("manual")),
        "kills": sum(1 for _ in case.happened("kill")),
        "takeovers": takeovers,
        "zombies": zombies,
        "faults": dict(faults),
        "crashes": dict(crashes),
    }


def _takeovers(case: Case) -> tuple[int, int]:
    """Return how often a user went to another host, and how often the old one still lived."""
    owner: dict[str, str] = {}
    dead: set[str] = set()
    takeovers = zombies = 0
    for each in case.happened("lease", "crash", "recovered"):
        host = str(each.fields.get("host", ""))
        if each.kind == "crash":
            dead.add(host)
        elif each.kind == "recovered":
            dead.discard(host)
        else:
            user = str(each.fields["user_id"])
            dead.discard(host)  # who takes a lease lives
            before = owner.get(user)
            if before is not None and before != host:
                takeovers += 1
                zombies += bool(each.fields.get("zombie", before not in dead))
            owner[user] = host
    return takeovers, zombies


def merged(verdicts: Iterable[Verdict]) -> Verdict:
    """Put the verdicts of many runs together."""
    every = list(verdicts)
    counters = dict.fromkeys(COUNTERS, 0)
    by_asset: Counter[str] = Counter()
    seconds: dict[str, Counter[float]] = {name: Counter() for name in MEASURED}
    for one in every:
        for name, value in one.counters.items():
            counters[name] += value
        by_asset.update(one.ledger_diff)
        for name in MEASURED:
            seconds[name].update(one.seconds.get(name, {}))
    counts = _summed(one.counted for one in every)
    bare = seconds["unprotected"].copy()
    positions = counts.get("positions", 0)
    bare[0.0] += max(0, (positions if isinstance(positions, int) else 0) - bare.total())
    beyond = percentile_of(bare, 99) - PROTECTED_WITHIN_S
    counters["unprotected_seconds"] = max(1, round(beyond)) if beyond > 0 else 0
    findings = [finding for one in every for finding in one.findings]
    return Verdict(
        counters=counters,
        ledger_diff=dict(by_asset),
        counted=counts,
        seconds=seconds,
        coverage=Coverage.merged(one.coverage for one in every),
        findings=findings[:FINDINGS_KEPT],
    )


def _summed(
    every: Iterable[Mapping[str, int | Mapping[str, int]]],
) -> dict[str, int | Mapping[str, int]]:
    plain: Counter[str] = Counter()
    split: dict[str, Counter[str]] = {}
    for one in every:
        for name, value in one.items():
            if isinstance(value, int):
                plain[name] += value
            else:
                split.setdefault(name, Counter()).update(value)
    return {**plain, **{name: dict(sorted(parts.items())) for name, parts in split.items()}}
