"""Changes of alerts as people read them."""

from collections.abc import Sequence

from tradefleet.alert import AlertChange, AlertState, Level

MARKS = {Level.WARNING: "🟠", Level.CRITICAL: "🔴"}
OVER = {AlertState.RESOLVED: "✅", AlertState.ACKNOWLEDGED: "👀"}
MORE_LENGTH = 60  # characters kept for saying that there is more


def told(change: AlertChange) -> str:
    """Return one change, with what to do while that is of use."""
    mark = OVER.get(change.state, MARKS[change.level])
    if change.state in OVER:
        return f"{mark} {change.text}"
    text = f"{mark} {change.level.value}: {change.text}"
    return f"{text}\n→ {change.cure}" if change.cure else text


def told_together(changes: Sequence[AlertChange], longest: int) -> str:
    """Return changes as one message of at most so many characters; what is left out is counted."""
    lines: list[str] = []
    left = longest - MORE_LENGTH
    for number, change in enumerate(changes):
        line = told(change)
        if lines and len(line) + 1 > left:
            lines.append(f"… and {len(changes) - number} more; /alerts shows what is open")
            break
        lines.append(line[:left])
        left -= len(line) + 1
    return "\n".join(lines)
