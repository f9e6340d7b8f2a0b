"""Where the entries of a universe wait for one another, so that the best of a bar come first.

All entries of one universe decided at one bar's close are one round. It is over once every
strategy has spoken whose bot could enter at that close; whoever is late is not waited for
beyond the first price at or after `due`, before which nothing of it could be sent anyway (an
entry waits for a price, and APEX's for its delay). Nothing of a round is written down: one
that is lost with its host has promised nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from tradefleet.domain.events import BarClosed
from tradefleet.domain.market import Symbol
from tradefleet.domain.signal import Entry
from tradefleet.engine.universe import Universe, ranked, standing
from tradefleet.runtime.hosted import HostedBot
from tradefleet.runtime.signal_board import Group

WAIT_MOST = timedelta(seconds=3)  # after the close; or a strategy's own delay, if that is longer


@dataclass(slots=True, eq=False)
class Round:
    """The entries of one universe at one close, and the groups that have not spoken yet."""

    due: datetime
    waits_for: set[Group]
    entries: dict[Symbol, tuple[HostedBot, BarClosed]] = field(default_factory=dict)

    def in_order(self) -> Iterator[tuple[HostedBot, BarClosed]]:
        """Yield the entries, best first, each with how it stands among the others."""
        rivals: list[tuple[Symbol, Entry]] = []
        for symbol, (_, event) in self.entries.items():
            assert event.signal is not None and event.signal.entry is not None
            rivals.append((symbol, event.signal.entry))
        order = ranked(rivals)
        for place, (symbol, _) in enumerate(order):
            bot, event = self.entries[symbol]
            yield bot, replace(event, rank=standing(place, order))


class Rounds:
    """All open rounds of a host, by the close of their bar."""

    __slots__ = ("open",)

    def __init__(self) -> None:
        self.open: dict[datetime, dict[Universe, Round]] = {}

    def take(self, bot: HostedBot, event: BarClosed) -> None:
        """Let an entry wait for its rivals."""
        engine = bot.engine
        assert engine.universe is not None
        rounds = self.open.setdefault(event.at, {})
        found = rounds.get(engine.universe)
        if found is None:
            due = event.at + max(WAIT_MOST, engine.entry_delay)
            found = rounds[engine.universe] = Round(due, groups_awaited(bot, event))
        found.entries[engine.spec.symbol] = bot, event

    def spoken(self, group: Group, at: datetime) -> list[Round]:
        """Note that a group has said all it has to say of a close; return what is over by that."""
        rounds = self.open.get(at)
        if rounds is None:
            return []
        over = []
        for universe, found in list(rounds.items()):
            found.waits_for.discard(group)
            if not found.waits_for:
                over.append(rounds.pop(universe))
        if not rounds:
            del self.open[at]
        return over

    def overdue(self, now: datetime) -> list[Round]:
        """Return the rounds that wait no longer."""
        over = []
        for at, rounds in list(self.open.items()):
            for universe, found in list(rounds.items()):
                if found.due <= now:
                    over.append(rounds.pop(universe))
            if not rounds:
                del self.open[at]
        return over

    def rest(self) -> list[Round]:
        """Return all rounds: nothing more is to come."""
        rounds = [found for rounds in self.open.values() for found in rounds.values()]
        self.open.clear()
        return rounds


def groups_awaited(bot: HostedBot, event: BarClosed) -> set[Group]:
    """Return the groups whose word on this close could bring a rival of the bot's entry."""
    universe, timeframe = bot.engine.universe, bot.engine.spec.timeframe
    return {
        other.group
        for other in bot.user.bots.values()
        if other.engine.universe is universe
        and other.engine.spec.timeframe == timeframe
        and other.engine.running
        and not other.engine.is_engaged
        and other.group.awaits(event.bar)
    }
