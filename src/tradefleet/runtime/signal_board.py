"""One strategy run per group of followers: a fact is computed once, whoever follows it.

A group is (stream, strategy, parameters). Its strategy takes every bar of the stream; the
board says what that means, the host wakes the followers whom it concerns.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from tradefleet.domain.bot import BotSpec
from tradefleet.domain.errors import Refused
from tradefleet.domain.ids import BotId
from tradefleet.domain.market import Bar, Stream
from tradefleet.domain.signal import Signal, TradePlan
from tradefleet.store import SignalNote
from tradefleet.strategy import Strategy, StrategySpec

NOTES_MAX = 50  # kept per group


class Silent:
    """The strategy of a bot that only guards what it holds: it never says anything."""

    bars_needed = 0

    def __init__(self, plan: TradePlan) -> None:
        self.plan = plan

    def on_bar(self, bar: Bar) -> Signal | None:
        return None

    def why_not(self) -> str:
        return "the bot is set aside"

    def trail_distance(self) -> Decimal | None:
        return None


@dataclass(slots=True, eq=False)
class Group:
    """Everybody who follows one strategy run; last_at is the opening of its last bar."""

    key: str
    stream: Stream
    strategy: Strategy
    followers: dict[BotId, None] = field(default_factory=dict)  # ordered
    last_at: datetime | None = None
    signals: int = 0
    bars: int = 0
    fault: str = ""
    warming: bool = False  # its history is on its way
    notes: deque[SignalNote] = field(default_factory=lambda: deque(maxlen=NOTES_MAX))

    def awaits(self, bar: Bar) -> bool:
        """Say whether the strategy is to see the bar: no older one, and none twice."""
        if self.fault or self.warming:
            return False
        return self.last_at is None or bar.opened_at > self.last_at

    def take(self, bar: Bar) -> Signal | None:
        """Feed a bar that is later than the last one; return what the strategy says."""
        self.last_at = bar.opened_at
        self.bars += 1
        signal = self.strategy.on_bar(bar)
        if signal is not None:
            self.signals += 1
        return signal

    def trail(self) -> Decimal | None:
        return self.strategy.trail_distance() if self.strategy.plan.trails else None

    def note(self, at: datetime, signal: Signal | None) -> None:
        """Remember for /why what was said of the bar that closed at `at`."""
        if signal is None or (signal.entry is None and not signal.exit_reason):
            self.notes.append(SignalNote(self.key, at, "no", self.strategy.why_not()))
            return
        kind = "entry" if signal.entry is not None else "exit"
        self.notes.append(SignalNote(self.key, at, kind, "; ".join(signal.reasons)))


class SignalBoard:
    """All groups of a host, by stream."""

    def __init__(self, strategies: Mapping[str, StrategySpec]) -> None:
        self._strategies = strategies
        self.groups: dict[str, Group] = {}
        self.by_stream: dict[Stream, list[Group]] = {}

    def join(self, spec: BotSpec) -> Group:
        """Return the group a bot follows; Refused for bad parameters.

        It is made for the first one, and anew after a fault set all aside who followed.
        """
        group = self.groups.get(spec.group)
        if group is None or group.fault:
            known = self._strategies.get(spec.strategy)
            if known is None:
                raise Refused(f"There is no strategy {spec.strategy!r}.")
            strategy = known.build(spec.params)
            group = self._add(Group(spec.group, spec.stream, strategy))
            self.groups[spec.group] = group
        group.followers[spec.id] = None
        return group

    def guard(self, spec: BotSpec, plan: TradePlan) -> Group:
        """Return a group of its own for a bot that only guards what it holds.

        It has no strategy, but its stream is followed: its stop waits for a price.
        """
        group = self._add(Group(spec.group, spec.stream, Silent(plan), notes=deque(maxlen=0)))
        group.followers[spec.id] = None
        return group

    def _add(self, group: Group) -> Group:
        self.by_stream.setdefault(group.stream, []).append(group)
        return group

    def leave(self, group: Group, bot_id: BotId) -> None:
        """Take a bot out of its group; a group nobody follows is forgotten."""
        group.followers.pop(bot_id, None)
        groups = self.by_stream.get(group.stream, [])
        if group.followers or group not in groups:
            return
        groups.remove(group)
        if not groups:
            del self.by_stream[group.stream]
        if self.groups.get(group.key) is group:
            del self.groups[group.key]

    def take_notes(self) -> list[SignalNote]:
        """Return all new notes and forget them here."""
        notes: list[SignalNote] = []
        for group in self.groups.values():
            notes += group.notes
            group.notes.clear()
        return notes
