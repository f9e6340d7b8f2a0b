"""What replay and backtest are asked, as it was typed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tradefleet.domain.errors import Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayRequest:
    """One bar file and how to play it; pace is in seconds per bar, db "" is memory alone."""

    file: Path
    symbol: str
    timeframe: str
    strategy: str
    balance: str
    bots: int = 1
    db: str = ""
    resume: bool = False
    pace: float = 0.0
    params: Mapping[str, str] = field(default_factory=dict)
    report: Path | None = None


def read_params(words: Sequence[str]) -> dict[str, str]:
    """Read --param name=value, given any number of times."""
    params: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not (name.strip() and equals and value.strip()):
            raise Refused(f"Write a parameter as name=value, not {word!r}.")
        if name.strip() in params:
            raise Refused(f"The parameter {name.strip()!r} is given twice.")
        params[name.strip()] = value.strip()
    return params
