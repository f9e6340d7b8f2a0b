"""How long a start takes, by phase: told once, to whoever waited for it."""

from dataclasses import dataclass, field

from tradefleet.clock import Clock


@dataclass(slots=True, kw_only=True, eq=False)
class StartTimes:
    """Phases that follow each other; what has passed since the last one ended is the next one's."""

    clock: Clock
    spent: dict[str, float] = field(default_factory=dict)
    is_over: bool = False
    _last: float = field(init=False)

    def __post_init__(self) -> None:
        self._last = self.clock.monotonic()

    def ends(self, phase: str) -> None:
        """Note that a phase, or another part of it, ends now."""
        if self.is_over:
            return
        now = self.clock.monotonic()
        self.spent[phase] = self.spent.get(phase, 0.0) + now - self._last
        self._last = now

    def told(self) -> str:
        """Return the whole and its phases in words, and count no further."""
        self.is_over = True
        phases = ", ".join(f"{phase} {seconds:.2f}" for phase, seconds in self.spent.items())
        return f"{sum(self.spent.values()):.2f} s: {phases}"
