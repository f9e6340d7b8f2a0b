"""What a look at one thing came to: well or not, and the cure."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from tradefleet import alert


class Level(StrEnum):
    """How well something is; a warning may wait until tomorrow."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """What is told of one thing, and what helps; it never holds a secret."""

    check: str
    level: Level
    text: str
    cure: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """One look; whatever it raises is told as its problem."""

    name: str
    look: Callable[[], Awaitable[Sequence[Finding]]]


def ok(check: str, text: str) -> Finding:
    return Finding(check, Level.OK, text)


def warning(check: str, text: str, cure: str) -> Finding:
    return Finding(check, Level.WARNING, text, cure)


def problem(check: str, text: str, cure: str) -> Finding:
    return Finding(check, Level.PROBLEM, text, cure)


def judged(check: str, text: str, cure: str, *, warns: bool, fails: bool) -> Finding:
    """Return a finding whose cure is told only when something is wrong."""
    if fails:
        return problem(check, text, cure)
    return warning(check, text, cure) if warns else ok(check, text)


def by_rule(rule: alert.AlertSpec, value: float, check: str, text: str, cure: str) -> Finding:
    """Judge a value as the alert on it does, by the thresholds of the operator's choice."""
    level = rule.level(value)
    fails = level is alert.Level.CRITICAL
    return judged(check, text, cure, warns=level is not None, fails=fails)


def worst(findings: Sequence[Finding]) -> Level:
    """Return the worst level among findings."""
    order = list(Level)
    return max((each.level for each in findings), key=order.index, default=Level.OK)
