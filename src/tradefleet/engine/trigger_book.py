"""The stops and targets of all bots on one symbol: an idle price costs two comparisons."""

from bisect import bisect_left, bisect_right, insort
from decimal import Decimal
from typing import Literal, NamedTuple, TypeAlias

from tradefleet.domain.ids import BotId

Kind: TypeAlias = Literal["stop", "target"]


class Hit(NamedTuple):
    """A level the price has reached, and whose it is."""

    bot_id: BotId
    kind: Kind
    level: Decimal


class Ladder:
    """Levels in ascending order, each with the bots that wait at it.

    Followers of one signal share their levels, so there are far fewer levels than bots.
    """

    __slots__ = ("bots", "levels")

    def __init__(self) -> None:
        self.levels: list[Decimal] = []
        self.bots: dict[Decimal, dict[BotId, None]] = {}  # a dict, for it keeps the order

    def add(self, level: Decimal, bot_id: BotId) -> None:
        bots = self.bots.get(level)
        if bots is None:
            self.bots[level] = {bot_id: None}
            insort(self.levels, level)
        else:
            bots[bot_id] = None

    def remove(self, level: Decimal, bot_id: BotId) -> None:
        bots = self.bots[level]
        del bots[bot_id]
        if not bots:
            del self.bots[level]
            del self.levels[bisect_left(self.levels, level)]

    def down_to(self, price: Decimal) -> list[tuple[Decimal, BotId]]:
        """Return who waits at or above price, highest level first."""
        levels = self.levels[bisect_left(self.levels, price) :]
        return [(level, bot_id) for level in reversed(levels) for bot_id in self.bots[level]]

    def up_to(self, price: Decimal) -> list[tuple[Decimal, BotId]]:
        """Return who waits at or below price, lowest level first."""
        levels = self.levels[: bisect_right(self.levels, price)]
        return [(level, bot_id) for level in levels for bot_id in self.bots[level]]


class TriggerBook:
    """At most one stop and one target per bot; bots at the same level in the order they came.

    best_stop is the highest stop, best_target the lowest target: while the price is between
    them nothing is hit. A hit stays in the book until its owner sets other levels or clears.
    """

    __slots__ = ("_levels", "_stops", "_targets", "best_stop", "best_target")

    def __init__(self) -> None:
        self._stops = Ladder()
        self._targets = Ladder()
        self._levels: dict[BotId, tuple[Decimal | None, Decimal | None]] = {}
        self.best_stop: Decimal | None = None
        self.best_target: Decimal | None = None

    def __len__(self) -> int:
        """Return how many bots wait for a price."""
        return len(self._levels)

    def set(self, bot_id: BotId, stop: Decimal | None, target: Decimal | None) -> None:
        """Watch these levels in place of the bot's earlier ones; None: no such level.

        A level that stays the same keeps its place among its equals.
        """
        old_stop, old_target = self._levels.get(bot_id, (None, None))
        if stop is None and target is None:
            self._levels.pop(bot_id, None)
        else:
            self._levels[bot_id] = (stop, target)
        if stop != old_stop:
            self._move(self._stops, bot_id, old_stop, stop)
            self.best_stop = self._stops.levels[-1] if self._stops.levels else None
        if target != old_target:
            self._move(self._targets, bot_id, old_target, target)
            self.best_target = self._targets.levels[0] if self._targets.levels else None

    def stop_of(self, bot_id: BotId) -> Decimal | None:
        """Return the stop that is watched for a bot."""
        return self._levels.get(bot_id, (None, None))[0]

    def clear(self, bot_id: BotId) -> None:
        """Watch nothing for the bot any more."""
        self.set(bot_id, None, None)

    def hits(self, price: Decimal) -> list[Hit]:
        """Return what a jump to price reaches: stops from the highest down, then targets up.

        A bot is named once; when price reaches both its levels, the stop counts.
        """
        stops = self.stops_down_to(price)
        stopped = {bot_id for _, bot_id in stops}
        return [Hit(bot_id, "stop", level) for level, bot_id in stops] + [
            Hit(bot_id, "target", level)
            for level, bot_id in self.targets_up_to(price)
            if bot_id not in stopped
        ]

    def stops_down_to(self, price: Decimal) -> list[tuple[Decimal, BotId]]:
        """Return the stops a fall to price reaches, highest first."""
        if self.best_stop is None or self.best_stop < price:
            return []
        return self._stops.down_to(price)

    def targets_up_to(self, price: Decimal) -> list[tuple[Decimal, BotId]]:
        """Return the targets a rise to price reaches, lowest first."""
        if self.best_target is None or self.best_target > price:
            return []
        return self._targets.up_to(price)

    @staticmethod
    def _move(ladder: Ladder, bot_id: BotId, old: Decimal | None, new: Decimal | None) -> None:
        if old is not None:
            ladder.remove(old, bot_id)
        if new is not None:
            ladder.add(new, bot_id)
